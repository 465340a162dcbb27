"""Whom a task asks, and when: moments of prediction, and what must hold of a patient then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.durations import microseconds
from medloom.foundation.messages import Text2, text2
from medloom.record.record import Record
from medloom.record.schema import BIRTH, DEATH, visible_time
from medloom.tasks.history import HOURS_PER_YEAR
from medloom.tasks.task import Exclude, Task
from medloom.tasks.task_codes import TaskCodes

Keep = Callable[[pl.DataFrame], pl.DataFrame]
"""Keeps those asked of whom something holds."""


@dataclass(frozen=True)
class Facts:
    """What a task needs of some subjects.

    Attributes:
        facts: of the task's codes: `subject_id`, `time`, `visible`, `known_until`, `code`, `numeric_value`,
            `encounter`, `asset`; of images and notes also what was said of them, with `derived_from`,
            `span` and `model`.
        spans: `subject_id`, `first`, `last`: of all its dated facts but birth.
        now: the moment as of which they are known; None: all that the record knows, whenever it came to be known.
    """

    facts: pl.DataFrame
    spans: pl.DataFrame
    now: datetime | None = None

    @classmethod
    def read(
        cls, record: Record, codes: TaskCodes, subjects: NDArray[np.int64], now: datetime | None = None
    ) -> Facts:
        """Read them of some subjects, as they were known at `now`."""
        columns = ["subject_id", "time", "known_time", "known_until", "code", "numeric_value", "encounter"]
        about_items = ["asset", "derived_from", "span", "model"] if codes.said_of_items else []
        frame = pl.DataFrame(record.read([*columns, *about_items], subjects))
        if now is not None:
            frame = _as_known(frame, now)
        # codes are compared as the categories they come as: to make texts of them first takes fifteen times as long
        wanted = frame["code"].is_in(pl.Series(sorted(codes.all), dtype=pl.Categorical).implode())
        if about_items:  # whatever was said of an image makes it one that somebody described
            wanted |= frame["derived_from"].is_not_null()
        dated = frame.select("subject_id", "time").filter(frame["code"] != BIRTH)
        spans = dated.group_by("subject_id").agg(first=pl.col("time").min(), last=pl.col("time").max())
        facts = frame.filter(wanted).with_columns(pl.col("code").cast(pl.String), visible=visible_time())
        return cls(facts.drop("known_time"), spans, now)

    def of(self, codes: frozenset[str], *, current: bool = True) -> pl.DataFrame:
        """Give the facts of some codes; `current`: without ended versions."""
        chosen = self.facts.filter(pl.col("code").is_in(codes))
        return chosen.filter(pl.col("known_until").is_null()) if current else chosen


def moments(task: Task, codes: TaskCodes, facts: Facts) -> pl.DataFrame:
    """Find the prediction times, those that have come by `facts.now`.

    Returns:
        frame of `asked` (row number), `subject_id`, `prediction_time`, `encounter`, `since` (when the event was),
        and of images and notes `item`.
    """
    when = task.prediction_time
    events = (
        facts.of(codes.ask)
        .filter(pl.col("visible").is_not_null())
        .sort("subject_id", "visible", maintain_order=True)
        .with_columns(
            prediction_time=pl.col("visible") + pl.duration(microseconds=microseconds(when.offset)),
            since="time",
        )
    )
    if facts.now is not None:
        events = events.filter(pl.col("prediction_time") <= facts.now)
    if when.which != "every":
        events = events.unique("subject_id", keep=when.which, maintain_order=True)
    columns = ["subject_id", "encounter", "prediction_time", "since"]
    if task.of_items:  # each, also where two are alike
        events = events.filter(pl.col("asset").is_not_null())
        found = events.select(*columns, item=pl.col("asset").cast(pl.String))
    else:
        found = events.select(columns)
        found = found.unique(
            ["subject_id", "prediction_time", "encounter"], keep="first", maintain_order=True
        )
    found = found.with_row_index("asked")
    if when.every is not None:
        found = _repeated(found, task, codes, facts)
    return found.select("asked", *(name for name in found.columns if name != "asked"))


def _as_known(facts: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Give facts as they stood at a moment: what was visible, in the versions of then."""
    ended = pl.col("known_until") <= now
    known = facts.filter(visible_time().is_null() | (visible_time() <= now))
    return known.with_columns(known_until=pl.when(ended).then("known_until"))


def _repeated(found: pl.DataFrame, task: Task, codes: TaskCodes, facts: Facts) -> pl.DataFrame:
    """Repeat moments until the event that ends repetition, or as far as it has come."""
    when = task.prediction_time
    assert when.every is not None
    step = microseconds(when.every)
    ended = with_end(found, codes.until, codes, facts, "end")
    if facts.now is not None:
        ended = ended.with_columns(
            end=pl.min_horizontal("end", pl.lit(facts.now + timedelta(microseconds=1)))
        )
    times = pl.datetime_ranges("prediction_time", "end", interval=f"{step}us", closed="left")
    repeated = ended.with_columns(prediction_time=times.list.head(when.at_most))
    return (
        repeated.explode("prediction_time", empty_as_null=False).drop("end", "asked").with_row_index("asked")
    )


def demands(task: Task, codes: TaskCodes, facts: Facts) -> Iterator[tuple[Text2, Keep]]:
    """Yield what must hold of those asked: its name, and what keeps those of whom it does.

    The first adds `death`, the time of it.
    """
    yield text2("alive at the moment"), partial(_alive, facts=facts)
    yield from _population(task, codes, facts)
    for exclude, excluded, name in zip(task.exclude, codes.exclude, _names(task.exclude), strict=True):
        yield name, partial(_without, facts=facts, codes=excluded, within=exclude.within)


def with_end(
    asked: pl.DataFrame, ending: frozenset[str], codes: TaskCodes, facts: Facts, name: str
) -> pl.DataFrame:
    """Add when the next of some events is: of the same encounter, or of any where none is named.

    Drops those of whom it is not known; as of a moment only those for whom it was over when they were asked: it may
    come yet for the others.
    """
    events = facts.of(ending)
    ends = next_event(asked, events, name)
    if facts.now is None:
        return asked.join(ends, on="asked", how="inner", maintain_order="left")
    joined = asked.join(ends, on="asked", how="left", maintain_order="left")
    return joined.filter(pl.col(name).is_not_null() | ~pl.col("asked").is_in(_over(asked, events, codes)))


def _names(excludes: Sequence[Exclude]) -> list[Text2]:
    """Name the steps that leave somebody out, equal names by number."""
    names: list[Text2] = []
    for exclude in excludes:
        if exclude.reason is not None:
            names.append(Text2(exclude.reason.en, exclude.reason.zh))
        elif exclude.within is not None:
            names.append(
                text2("without {codes} in {length} before", codes=exclude.event, length=exclude.within)
            )
        else:
            names.append(text2("without {codes} before", codes=exclude.event))
    numbers = [names[:place].count(name) + 1 for place, name in enumerate(names)]
    return [
        name if number == 1 else Text2(f"{name.en} ({number})", f"{name.zh}（{number}）")
        for name, number in zip(names, numbers, strict=True)
    ]


def _alive(asked: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    deaths = facts.of(frozenset([DEATH])).group_by("subject_id").agg(death=pl.col("time").min())
    joined = asked.join(deaths, on="subject_id", how="left", maintain_order="left")
    return joined.filter(pl.col("death").is_null() | (pl.col("death") > pl.col("prediction_time")))


def _population(task: Task, codes: TaskCodes, facts: Facts) -> Iterator[tuple[Text2, Keep]]:
    """Yield the population's demands: name, and what keeps the samples that meet it."""
    who = task.population
    if who.min_age is not None or who.max_age is not None:
        births = facts.of(frozenset([BIRTH])).group_by("subject_id").agg(born=pl.col("time").min())
        low, high = who.min_age or 0, who.max_age if who.max_age is not None else float("inf")

        def of_age(asked: pl.DataFrame) -> pl.DataFrame:
            age = (
                (pl.col("prediction_time") - pl.col("born")).dt.total_seconds(fractional=True)
                / 3600
                / HOURS_PER_YEAR
            )
            joined = asked.join(births, on="subject_id", how="left", maintain_order="left")
            return joined.filter(age.is_between(low, high)).drop("born")

        if who.max_age is None:
            yield text2("aged {low:g} or older", low=low), of_age
        else:
            yield text2("aged {low:g} to {high:g}", low=low, high=high), of_age
    if who.sex is not None:
        chosen = facts.of(frozenset([f"GENDER//{who.sex}"]))["subject_id"].unique()
        name = text2("women") if who.sex == "F" else text2("men")
        yield name, lambda asked: asked.filter(pl.col("subject_id").is_in(chosen.implode()))
    if who.has is not None:
        name = text2("with {codes} before", codes=who.has)
        yield (
            name,
            lambda asked: asked.filter(pl.col("asked").is_in(_with_visible(asked, facts, codes.has, None))),
        )
    if who.history is not None:
        length = microseconds(who.history)

        def known_long(asked: pl.DataFrame) -> pl.DataFrame:
            joined = asked.join(
                facts.spans.select("subject_id", "first"), on="subject_id", how="left", maintain_order="left"
            )
            since = pl.col("prediction_time") - pl.duration(microseconds=length)
            return joined.filter(pl.col("first") <= since).drop("first")

        yield text2("known for {length} before", length=who.history), known_long


def _with_visible(asked: pl.DataFrame, facts: Facts, codes: frozenset[str], within: str | None) -> list[int]:
    """Find those asked who had a visible fact of some codes, in a time before: their `asked`."""
    at = pl.col("prediction_time")
    joined = asked.join(facts.of(codes, current=False), on="subject_id")
    seen = (pl.col("visible").is_null() | (pl.col("visible") <= at)) & (
        pl.col("known_until").is_null() | (pl.col("known_until") > at)
    )
    if within is not None:
        seen &= pl.col("time") > at - pl.duration(microseconds=microseconds(within))
    return joined.filter(seen)["asked"].unique().to_list()


def _without(asked: pl.DataFrame, facts: Facts, codes: frozenset[str], within: str | None) -> pl.DataFrame:
    return asked.filter(~pl.col("asked").is_in(_with_visible(asked, facts, codes, within)))


def _over(asked: pl.DataFrame, events: pl.DataFrame, codes: TaskCodes) -> list[int]:
    """Find those asked for whom one of some events has been since the event they are asked after: their `asked`."""
    joined = asked.join(
        events.select("subject_id", "time", "code", event_encounter="encounter"), on="subject_id"
    )
    since, time = pl.col("since"), pl.col("time")
    # at the very moment an event may end what another began, but not what it began itself
    after = (time > since) | ((time == since) & ~pl.col("code").is_in(codes.ask))
    found = joined.filter(of_same_encounter() & after & (time <= pl.col("prediction_time")))
    return found["asked"].unique().to_list()


def next_event(asked: pl.DataFrame, events: pl.DataFrame, name: str) -> pl.DataFrame:
    """Find, for each asked, when the next of some events is: of the same encounter, or of any where none is named."""
    joined = asked.join(events.select("subject_id", "time", event_encounter="encounter"), on="subject_id")
    later = joined.filter(of_same_encounter() & (pl.col("time") > pl.col("prediction_time")))
    return later.group_by("asked").agg(pl.col("time").min().alias(name))


def of_same_encounter() -> pl.Expr:
    """Tell whether an event belongs to the encounter that is asked about, or whether either names none."""
    asked, event = pl.col("encounter"), pl.col("event_encounter")
    return asked.is_null() | event.is_null() | (asked == event)
