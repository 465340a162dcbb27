"""The record's codes behind each part of a task, and what of the record the task lets models see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from medloom.foundation.durations import microseconds
from medloom.foundation.errors import InputError
from medloom.record.catalogue import CodeCatalogue
from medloom.record.record import Record
from medloom.record.schema import BIRTH, DEATH
from medloom.tasks.doubts import near_codes
from medloom.tasks.history import Visibility
from medloom.tasks.task import Task


def visibility(task: Task, record: Record) -> Visibility:
    """Say which facts the task lets models see."""
    catalogue = record.catalogue
    # what tells training from held-out subjects is no input
    hidden = resolve(record, task.observe.without or ()) | {*task.split.train, *task.split.held_out}
    label = resolve(record, task.predict.codes)
    if not task.observe.label_history:
        hidden |= label
    only = None
    if task.observe.only is not None:
        only = resolve(record, task.observe.only) | catalogue.static_codes() | {BIRTH}
    return Visibility(
        hidden=frozenset(hidden),
        static=catalogue.static_codes() - label,
        window=microseconds(task.observe.window) if task.observe.window else None,
        only=only,
    )


def resolve(record: Record, patterns: Sequence[str]) -> frozenset[str]:
    """Find the record's codes that patterns mean: themselves, those below them, and endings of `*`."""
    return matching(record.catalogue, patterns)


def matching(catalogue: CodeCatalogue, patterns: Sequence[str]) -> frozenset[str]:
    """Find the codes of a catalogue that patterns mean, as `resolve`."""
    found: set[str] = set()
    for pattern in patterns:
        if pattern.endswith("*"):
            found.update(catalogue.frame.filter(pl.col("code").str.starts_with(pattern[:-1]))["code"])
        else:
            found |= catalogue.with_descendants(pattern)
    return frozenset(found & set(catalogue.frame["code"]))


@dataclass(frozen=True)
class TaskCodes:
    """The record's codes behind each part of a task."""

    ask: frozenset[str]
    until: frozenset[str]
    has: frozenset[str]
    exclude: tuple[frozenset[str], ...]
    predict: dict[str, frozenset[str]]  # class ("" where there is but one answer) → codes
    horizon: frozenset[str]
    follow_up: frozenset[str]
    said_of_items: bool = False  # whether all is wanted that was said of images and notes

    @classmethod
    def resolve(cls, task: Task, record: Record) -> TaskCodes:
        """Find them; a part of which no code occurs in the record has none."""
        named = task.predict.named or {"": task.predict.codes}
        predict = task.events if task.kind == "survival" else named
        return cls(
            resolve(record, task.prediction_time.event),
            resolve(record, task.prediction_time.until or ()),
            resolve(record, task.population.has or ()),
            tuple(resolve(record, exclude.event) for exclude in task.exclude),
            {name: resolve(record, patterns) for name, patterns in predict.items()},
            resolve(record, task.predict.until or ()),
            resolve(record, task.censor.follow_up or ()) if task.censor else frozenset(),
            task.of_items,
        )

    def check(self, task: Task, record: Record) -> None:
        """Refuse a record that knows no code of what the task asks after, or of what it predicts.

        Raises:
            InputError: so it is, with the nearest codes that there are.
        """
        for key, patterns, found in (
            ("prediction_time.event", task.prediction_time.event, self.ask),
            ("predict", task.predict.codes, frozenset().union(*self.predict.values())),
        ):
            if found:
                continue
            near = list(filter(None, (near_codes(one, record.catalogue) for one in patterns[:5])))
            if near:
                raise InputError(
                    "task {task!r}: no code of {key} ({codes}) occurs in the record; nearest: {near}",
                    task=task.name,
                    key=key,
                    codes=patterns,
                    near=near,
                )
            raise InputError(
                "task {task!r}: no code of {key} ({codes}) occurs in the record; "
                "list the record's codes with: medloom codes",
                task=task.name,
                key=key,
                codes=patterns,
            )

    @property
    def all(self) -> frozenset[str]:
        """Give the codes of all parts, and those that tell who somebody is."""
        return frozenset(
            self.ask
            | self.until
            | self.has
            | self.horizon
            | self.follow_up
            | {BIRTH, DEATH, "GENDER//F", "GENDER//M"}
        ).union(*self.exclude, *self.predict.values())
