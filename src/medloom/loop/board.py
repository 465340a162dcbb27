"""The board: a model's current answers about all patients, made anew for those of whom something changed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.record.record import Record
from medloom.tasks.asking import Asker
from medloom.tasks.demographics import demographics
from medloom.tasks.model import Model
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, read_curves

Subjects = NDArray[np.int64]

BOARD_SCHEMA: Final = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "sex": pl.String(),  # F, M, other, unknown; null: not recorded
        "age": pl.Int64(),  # in completed years at the prediction time
        "model": pl.String(),
        "task": pl.String(),
        "prediction_time": pl.Datetime("us"),
        "until": pl.Datetime("us"),  # null: with an event that has not happened yet
        "output": pl.String(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "rank": pl.Float64(),  # how many of 100 of those asked now have a lower answer; null: it is over
        "alert": pl.Boolean(),
        "before": pl.Float64(),  # the answer a day earlier; null: there was none
    }
)
_TOLD: Final = ("sex", "age", "output", "value", "low", "high")  # what depends on a patient's record alone
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_OLD: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class News:
    """Whose facts came since a board began to be made."""

    touched: frozenset[int] = frozenset()
    of_anybody: bool = False

    def and_of(self, subjects: Subjects | None) -> News:
        if subjects is None:
            return News(self.touched, True)
        return News(self.touched | frozenset(subjects.tolist()), self.of_anybody)


@dataclass(frozen=True)
class Board:
    """Current answers of one model: its samples, and rows of `BOARD_SCHEMA` beside them."""

    made: datetime
    asked_all: datetime  # when everybody's facts were read anew
    record: str  # digest of the record that was asked
    samples: Samples
    frame: pl.DataFrame
    news: News = News()

    def holds(self, now: datetime) -> bool:
        return not self.news.touched and self.is_fresh(now)

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether those whose facts did not change need not be asked again."""
        # a new minute may bring a new moment of prediction
        return not self.news.of_anybody and timedelta(0) <= now - self.made < _MINUTE

    def will_do(self, now: datetime, subject_id: int | None = None) -> bool:
        """Tell whether it may be relied on while it is being made anew: of one patient, or of all.

        No new facts came, and it is but a few minutes old: a new moment of prediction counts when it is made anew.
        """
        news = self.news.touched if subject_id is None else subject_id in self.news.touched
        return not news and not self.news.of_anybody and timedelta(0) <= now - self.made < _OLD

    def samples_of(self, subjects: Sequence[int]) -> Samples:
        """Give the samples of those among some patients who are asked about."""
        return self.samples.among(np.flatnonzero(np.isin(self.samples.subject_ids, subjects)).tolist())


def made(
    model: Model,
    asker: Asker,
    named: tuple[str, str],
    threshold: float | None,
    record: Record,
    now: datetime,
    before: Board | None,
) -> Board:
    """Make a board: ask about everybody; answers that cannot have changed are taken from the board before.

    Args:
        model: who answers.
        asker: who is asked about.
        named: its name and its task's.
        threshold: of alerts.
        record: what is asked.
        now: on the site's wall clock.
        before: the board until now, with the news since; None: there is none, or nothing of it holds.
    """
    digest = record.digest()
    known = _unchanged(before, digest, now)
    some = None
    if known is not None and before is not None and before.is_fresh(now):
        some = np.array(sorted(before.news.touched), dtype=np.int64)
    current = asker.current(now, some)
    samples, told = current.samples, _told(model, current.samples, known)
    keys = ["subject_id", "prediction_time"]
    frame = samples.frame.select("sample_id", *keys).join(told, on="sample_id", how="left")
    frame = frame.join(current.until, on="sample_id", how="left")
    earlier = asker.current(now - _DAY, some).samples
    of_then = pl.concat([frame.select(*keys, *_TOLD), *([] if known is None else [known])]).unique(keys)
    ago = _told(model, earlier, of_then).join(earlier.frame.select("sample_id", "subject_id"), on="sample_id")
    frame = frame.join(ago.select("subject_id", before="value"), on="subject_id", how="left")
    frame = frame.with_columns(
        model=pl.lit(named[0]),
        task=pl.lit(named[1]),
        rank=pl.lit(None, pl.Float64),
        alert=pl.lit(None, pl.Boolean) if threshold is None else pl.col("value") >= threshold,
    )
    answers = frame.select(BOARD_SCHEMA.names()).cast(BOARD_SCHEMA)
    asked_all = now if known is None or before is None else before.asked_all
    if some is not None and before is not None:
        others = ~pl.col("subject_id").is_in(some.tolist())
        rows = pl.concat([before.samples.frame.filter(others), samples.frame]).sort("subject_id")
        rows = rows.with_columns(sample_id=pl.int_range(pl.len(), dtype=pl.Int64))
        samples = replace(samples, frame=rows)
        answers = pl.concat([before.frame.filter(others), answers])
        now = before.made
    return Board(now, asked_all, digest, samples, _ranked(answers, now))


def _unchanged(before: Board | None, digest: str, now: datetime) -> pl.DataFrame | None:
    """Give the answers that still hold: of those without news; None: of nobody is that known."""
    if before is None or before.news.of_anybody or not timedelta(0) <= now - before.asked_all < 2 * _OLD:
        return None
    if before.record != digest and not before.news.touched:
        return None  # somebody else has written
    touched = pl.col("subject_id").is_in(sorted(before.news.touched))
    return before.frame.filter(~touched).select("subject_id", "prediction_time", *_TOLD)


def _told(model: Model, samples: Samples, known: pl.DataFrame | None) -> pl.DataFrame:
    """Answer about samples: `sample_id` and `_TOLD`; what is known already is not asked again."""
    keys = ["subject_id", "prediction_time"]
    empty = pl.DataFrame(schema={"sample_id": pl.Int64, **{name: BOARD_SCHEMA[name] for name in _TOLD}})
    frames = [empty]
    new = samples
    if known is not None:
        again = samples.frame.select("sample_id", *keys).join(known, on=keys)
        frames.append(again.select(empty.columns))
        new = samples.where(~pl.col("sample_id").is_in(again["sample_id"].implode()))
    if len(new):
        who = demographics(new).select("sample_id", "sex", pl.col("age").floor())
        answers = main_answers(model.predict(new), new).join(who, on="sample_id", how="left")
        frames.append(answers.select(empty.columns).cast(empty.schema))
    return pl.concat(frames)


def _ranked(frame: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Add how many of 100 of those who are asked now have a lower answer; null for answers that are over."""
    asked_now = pl.col("until").is_null() | (pl.col("until") > now)
    lower = 100 * (pl.col("value").rank("min").over(asked_now) - 1) / asked_now.sum()
    return frame.sort("subject_id").with_columns(rank=pl.when(asked_now).then(lower))


def main_answers(predictions: Predictions, samples: Samples) -> pl.DataFrame:
    """Give the one answer that stands for each sample: `sample_id`, `output`, `value`, `low`, `high`.

    It is the only one; of several classes the likeliest; of prognosis the first event's risk by the last horizon.
    """
    question = samples.question
    rows = predictions.frame
    if question.kind == "survival":
        curves = read_curves(rows, question.outputs)
        reached = [time for time in question.horizons if time <= curves.times[-1]] or [curves.times[-1]]
        ends = {"value": curves.incidence, "low": curves.low, "high": curves.high}
        at_last = {
            name: None if of is None else Curves(curves.times, of).at(reached[-1:])[:, 0, 0]
            for name, of in ends.items()
        }
        frame = pl.DataFrame(
            {
                "sample_id": samples.frame["sample_id"],
                "output": [question.outputs[0]] * len(samples),
                **at_last,
            }
        )
        return frame.cast({"low": pl.Float64, "high": pl.Float64})
    rows = rows.select("sample_id", "output", "value", "low", "high")
    if len(question.outputs) == 1:
        return rows
    return rows.sort("value", descending=True, maintain_order=True).unique(
        "sample_id", keep="first", maintain_order=True
    )
