"""A task put to a record as of a moment, without labels: whom it asks now, and until when an answer is current."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.durations import hours
from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import Text2, text2
from medloom.record.catalogue import CodeCatalogue
from medloom.record.record import Record
from medloom.tasks.history import History, Visibility
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.moments import Facts, demands, moments, next_event, with_end
from medloom.tasks.question import Question
from medloom.tasks.samples import SAMPLE_COLUMNS, Samples
from medloom.tasks.scales import Scales
from medloom.tasks.splitting import split_rule, splits_of
from medloom.tasks.task import Task
from medloom.tasks.task_codes import TaskCodes, visibility


@dataclass(frozen=True)
class Current:
    """Whom a task asks as of a moment.

    Attributes:
        samples: the latest of each subject, without labels.
        until: `sample_id`, `until`: when its answer ends to be about what is to come; null: with an event that has
            not happened yet.
    """

    samples: Samples
    until: pl.DataFrame


@dataclass(frozen=True)
class _Resolved:
    """What a task means in terms of one catalogue of codes."""

    catalogue: CodeCatalogue
    codes: TaskCodes
    visibility: Visibility
    question: Question


class Asker:
    """Puts a task to a record that grows; threads may share it.

    Whatever is answered as of a moment depends on nothing that came to be known after it. A task of which the record
    has no code asks nobody.
    """

    def __init__(self, task: Task, record: Record) -> None:
        self.task = task
        self.record = record
        self._split_rule = split_rule(task.split, record)
        self._last = self._resolved(record.catalogue)

    def current(self, now: datetime, subjects: Sequence[int] | NDArray[np.int64] | None = None) -> Current:
        """Give of each subject the latest moment, up to now, at which the task asks.

        The split tells whether a model of the task may have learned from the patient; who belongs to none is
        `held_out`.

        Args:
            now: on the site's wall clock.
            subjects: some of the record's; None: all.

        Raises:
            InputError: values of the task's codes do not convert to its unit.
        """
        means = self._means()
        parts = self.record.parts()
        if subjects is not None:
            wanted = np.unique(np.asarray(subjects, dtype=np.int64))
            parts = [part for part in (np.intersect1d(part, wanted) for part in parts) if len(part)]
        found = [
            self._current(Facts.read(self.record, means.codes, part, now), means.codes) for part in parts
        ]
        frame = pl.concat(found) if found else pl.DataFrame(schema=_CURRENT)
        samples = self._samples(frame, means)
        return Current(samples, samples.frame.select("sample_id").with_columns(frame["until"]))

    def at(self, moment: datetime, subject: int) -> tuple[Samples, list[Text2]]:
        """Ask of one subject at any moment; with the reasons for which the task itself would not ask then.

        Raises:
            NotFoundError: there is no such subject.
        """
        means = self._means()
        who = np.array([subject], dtype=np.int64)
        if not np.isin(who, self.record.subject_ids).item():
            raise NotFoundError("there is no subject {subject}", subject=subject)
        facts = Facts.read(self.record, means.codes, who, moment)
        last = facts.of(means.codes.ask).filter(pl.col("visible").is_not_null()).sort("visible").tail(1)
        asked = pl.DataFrame(
            {
                "asked": [0],
                "subject_id": who,
                "prediction_time": pl.Series([moment], dtype=pl.Datetime("us")),
                "encounter": pl.Series(last["encounter"].to_list() or [None], dtype=pl.Int64),
                "since": pl.Series(last["time"].to_list() or [None], dtype=pl.Datetime("us")),
            },
            schema_overrides={"asked": pl.UInt32},
        )
        reasons = list(self._reasons(asked, facts, means.codes))
        moments_of = ["subject_id", "prediction_time"]
        every = pl.concat([self._asked(facts, means.codes).select(moments_of), asked.select(moments_of)])
        frame = self._with_split(asked, every).with_columns(until=pl.lit(None, pl.Datetime("us")))
        if self.task.of_items:
            frame = frame.with_columns(item=last["asset"].cast(pl.String)) if last.height else frame.clear()
        frame = _with_item(frame)
        return self._samples(frame.select(_CURRENT.names()), means), reasons

    def with_history(self, moment: datetime, subject: int, history: History) -> Samples:
        """Give a sample that holds a history which is handed in; of the record only the image itself is looked at.

        Args:
            moment: of prediction.
            subject: who.
            history: of this one sample; of a question about an image with the column `asset`: its last is asked about.
        """
        means, item = self._means(), None
        if self.task.of_items:
            asked = [place for place, code in enumerate(history.vocabulary) if code in means.codes.ask]
            rows = np.flatnonzero(np.isin(history.code, asked))
            item = history.columns["asset"][int(rows[-1])].as_py() if len(rows) else None
        frame = pl.DataFrame([(subject, moment, "held_out", None, item)], schema=_CURRENT, orient="row")
        return self._samples(frame, means).holding(history)

    def _means(self) -> _Resolved:
        """Give what the task means now: a fact that has just come may have brought a new code."""
        catalogue = self.record.catalogue
        if catalogue is not self._last.catalogue:
            self._last = self._resolved(catalogue)
        return self._last

    def _resolved(self, catalogue: CodeCatalogue) -> _Resolved:
        task, record = self.task, self.record
        codes, question = TaskCodes.resolve(task, record), task.question
        if task.predict.value is not None:
            unit = Scales.of(task, record, codes.predict[""]).unit
            question = question.model_copy(update={"unit": unit})
        return _Resolved(catalogue, codes, visibility(task, record), question)

    def _asked(self, facts: Facts, codes: TaskCodes) -> pl.DataFrame:
        """Find all moments at which the task asks, with `death` and, where an event ends the wait, `horizon`."""
        asked = moments(self.task, codes, facts)
        for _, kept in demands(self.task, codes, facts):
            asked = kept(asked)
        if self.task.predict.until is not None:
            asked = with_end(asked, codes.horizon, codes, facts, "horizon")
        return asked

    def _current(self, facts: Facts, codes: TaskCodes) -> pl.DataFrame:
        asked = self._asked(facts, codes)
        latest = asked.sort("subject_id", "prediction_time", maintain_order=True)
        latest = latest.unique("subject_id", keep="last", maintain_order=True)
        latest = self._with_until(latest, facts, codes)
        return self._with_split(_with_item(latest), asked).select(_CURRENT.names())

    def _with_until(self, asked: pl.DataFrame, facts: Facts, codes: TaskCodes) -> pl.DataFrame:
        """Add `until`: the horizon, or the event that ends the wait, or death, where it came first."""
        predict = self.task.predict
        lengths = [predict.within] if predict.within is not None else list(predict.horizons)
        if self.task.of_items:
            return asked.with_columns(until=pl.lit(None, pl.Datetime("us")))
        if lengths:
            longest = timedelta(hours=max(map(hours, lengths)))
            asked = asked.with_columns(horizon=pl.col("prediction_time") + longest)
        elif predict.until is None:
            ends = next_event(asked, facts.of(codes.predict[""]), "horizon")
            asked = asked.join(ends, on="asked", how="left", maintain_order="left")
        return asked.with_columns(until=pl.min_horizontal("horizon", "death"))

    def _with_split(self, frame: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        splits = splits_of(self.task.split, self.record, asked)
        joined = frame.join(splits, on="subject_id", how="left", maintain_order="left")
        return joined.with_columns(pl.col("split").fill_null("held_out"))

    def _samples(self, frame: pl.DataFrame, means: _Resolved) -> Samples:
        filled = frame.with_columns(
            sample_id=pl.int_range(pl.len(), dtype=pl.Int64),
            group=pl.col("subject_id"),
            label=pl.lit(None, LABEL_TYPES[self.task.kind]),
        )
        return Samples(
            filled.select(SAMPLE_COLUMNS), means.question, self.record, means.visibility, self._split_rule
        )

    def _reasons(self, asked: pl.DataFrame, facts: Facts, codes: TaskCodes) -> list[Text2]:
        reasons = []
        own = moments(self.task, codes, facts)["prediction_time"]
        if not own.is_in(asked["prediction_time"].implode()).any():
            reasons.append(text2("the task asks at other moments"))
        for name, kept in demands(self.task, codes, facts):
            if not kept(asked).height:
                reasons.append(_unmet(name))
        if (
            self.task.predict.until is not None
            and not with_end(asked, codes.horizon, codes, facts, "end").height
        ):
            reasons.append(text2("what is asked about was over by then"))
        return reasons


_CURRENT: Final = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": pl.Datetime("us"),
        "split": pl.String(),
        "until": pl.Datetime("us"),
        "item": pl.String(),
    }
)


def _with_item(asked: pl.DataFrame) -> pl.DataFrame:
    """Add `item`, where those asked about are patients."""
    return asked if "item" in asked.columns else asked.with_columns(item=pl.lit(None, pl.String))


def _unmet(demand: Text2) -> Text2:
    """Say that something demanded does not hold.

    >>> _unmet(text2("alive at the moment")).en
    'the task asks only where this holds: alive at the moment'
    """
    return Text2(
        text2("the task asks only where this holds: {demand}", demand=demand.en).en,
        text2("the task asks only where this holds: {demand}", demand=demand.zh).zh,
    )
