"""Tasks answered without a label: by counting, among sampled futures, those in which the answer comes true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.durations import hours
from medloom.foundation.errors import InputError, LeakageError
from medloom.foundation.shares import Z, wilson
from medloom.knowledge.units import factor
from medloom.learners.timeline.futures import Futures, Sampling, check_foresees, sample_futures
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves
from medloom.tasks.task import Task
from medloom.tasks.task_codes import matching

if TYPE_CHECKING:
    from medloom.learners.timeline.pretraining import Encoder

Floats = NDArray[np.float64]

_AT_ONCE: Final = 500  # samples whose futures are in memory at a time
_UNBOUNDED: Final = 24.0 * 365 * 5  # hours, where an event ends the wait


def zero_shot(
    encoder: Encoder,
    samples: Samples,
    task: Task,
    *,
    futures: int = 100,
    temperature: float = 1.0,
    above: float | None = None,
    seed: int = 0,
) -> Predictions:
    """Answer a task by counting futures; nothing is learned from its labels.

    `low` and `high` are 95 % intervals of the counting alone (Wilson; of mean values, normal): more futures make them
    narrower, and they say nothing of how right the encoder is.

    Args:
        encoder: pretrained by next-event, fact by fact, under the same split.
        samples: of the task.
        task: whose events are counted until its horizon.
        futures: of each sample.
        temperature: 1: as likely as the encoder says.
        above: of a task about a value: answer how likely the value is to lie above this, in the task's unit; None:
            the value to be expected.
        seed: of what is drawn.

    Raises:
        InputError: the encoder does not foresee fact after fact or never saw what the task asks about, the task
            cannot be counted, or nothing is known of a sample.
        LeakageError: the encoder was pretrained under another split.
    """
    check_foresees(encoder)
    if encoder.origin.split_rule != samples.split_rule:
        raise LeakageError(
            "the encoder was pretrained under another split, perhaps on patients that task {task!r} tests on; "
            "pretrain anew for this task",
            task=task.name,
        )
    counted = _Counted(encoder, samples, task, above)
    how = Sampling(futures, temperature, counted.ends, samples.catalogue.static_codes(), seed)
    found = []
    for part in samples.parts(_AT_ONCE):
        if len(part):
            names = [
                f"{who}.{when}" for who, when in zip(part.subject_ids, part.prediction_times, strict=True)
            ]
            horizon = np.full(len(part), counted.hours)
            sampled = sample_futures(encoder, encoder.reading.timelines(part), horizon, names, how)
            found.append(counted.answers(sampled, part).frame)
    return Predictions(pl.concat(found) if found else PREDICTION_SCHEMA.to_frame())


class _Counted:
    """What is counted in futures."""

    def __init__(self, encoder: Encoder, samples: Samples, task: Task, above: float | None) -> None:
        predict, vocabulary = task.predict, encoder.reading.vocabulary
        if predict.time_to is not None or (above is not None and predict.value is None):
            raise InputError(
                "task {task!r} cannot be answered by counting futures: it asks for {what}",
                task=task.name,
                what="time_to" if predict.time_to is not None else "above",
            )
        self.task, self.above, self.outputs = task, above, samples.question.outputs
        events = task.events if task.kind == "survival" else predict.classes or {"": predict.codes}
        names = np.array(["", *vocabulary.codes])
        self.event = np.full(len(names), -1)
        catalogue = samples.catalogue
        for place, patterns in enumerate(events.values()):
            meant = matching(catalogue, patterns)
            here = np.isin(names, sorted(meant))
            if not here.any():
                raise InputError(
                    "the encoder has never seen what task {task!r} asks about ({codes}); pretrain it where these codes "
                    "are not hidden",
                    task=task.name,
                    codes=patterns,
                )
            self.event[here] = place
        self.events = len(events)
        self.ends = matching(catalogue, predict.until or ())
        lengths = [predict.within] if predict.within is not None else list(predict.horizons)
        self.hours = max(map(hours, lengths)) if lengths else _UNBOUNDED
        self.scale, self.shift = np.ones(len(names)), np.zeros(len(names))
        if predict.value is not None:
            self._convert(names, catalogue.units(), samples.question.unit)

    def answers(self, futures: Futures, samples: Samples) -> Predictions:
        """Count: one answer a sample and output."""
        ids, kind = samples.frame["sample_id"], self.task.kind
        if self.task.predict.value is not None:
            return self._of_values(futures, ids)
        first = self._first(futures)
        if kind == "survival":
            return self._curves(first, ids)
        n, happened = np.full(first.shape[0], first.shape[1]), np.isfinite(first)
        if kind == "multiclass":
            answered = happened.any(2)
            leading = np.arange(self.events) == np.where(answered, first.argmin(2), -1)[..., None]
            counts, n = leading.sum(1), answered.sum(1)
        else:
            counts = happened.sum(1)
        return self._shares(counts, n[:, None], ids)

    def _convert(self, names: NDArray[np.str_], units: dict[str, str], unit: str | None) -> None:
        for place in np.flatnonzero(self.event >= 0):
            code = str(names[place])
            found = None if unit is None else factor(units.get(code, unit), unit, code)
            if found is not None:
                self.scale[place], self.shift[place] = found

    def _first(self, futures: Futures) -> Floats:
        """Tell when each event comes first: (b, futures, events) hours, infinite: never."""
        b, m = futures.until.shape
        first = np.full((b, m, self.events), np.inf)
        event = self.event[futures.code]
        # what happens at the moment of prediction is no answer
        rows = np.flatnonzero((event >= 0) & (futures.hours > 0))
        np.minimum.at(first, (futures.row[rows], futures.future[rows], event[rows]), futures.hours[rows])
        return first

    def _shares(self, counts: NDArray[np.int64], n: NDArray[np.int64], ids: pl.Series) -> Predictions:
        """Give shares counts (b, k) of n (b, 1); where none of the futures tells, all alike."""
        low, high = wilson(counts, np.broadcast_to(n, counts.shape))
        shares = np.where(n > 0, counts / np.maximum(n, 1), 1 / counts.shape[1])
        outputs = ("true",) if self.above is not None else self.outputs
        return Predictions.of_matrix(ids, outputs, shares).between(low.ravel(), high.ravel())

    def _curves(self, first: Floats, ids: pl.Series) -> Predictions:
        """Count by the times of interest, in the question's unit."""
        unit = hours(f"1{self.task.predict.unit}")
        times = np.array(sorted({hours(one) / unit for one in self.task.predict.horizons}))
        leading = np.arange(self.events) == first.argmin(2)[..., None]
        by = (leading & np.isfinite(first))[..., None] & (first[..., None] <= times * unit)
        m = first.shape[1]
        counts = by.sum(1)
        return Curves(times, counts / m, *wilson(counts, m)).predictions(ids, self.outputs)

    def _of_values(self, futures: Futures, ids: pl.Series) -> Predictions:
        """Take the value of each future as the task does."""
        b, m = futures.until.shape
        kept = (self.event[futures.code] >= 0) & (futures.hours > 0) & np.isfinite(futures.value)
        code = futures.code[kept]
        facts = pl.DataFrame(
            {
                "place": futures.row[kept] * m + futures.future[kept],
                "value": futures.value[kept] * self.scale[code] + self.shift[code],
            }
        )
        taken = getattr(pl.col("value"), self.task.predict.take)()
        one = facts.group_by("place", maintain_order=True).agg(taken)
        values = np.full(b * m, np.nan)
        values[one["place"].to_numpy()] = one["value"].to_numpy()
        values = values.reshape(b, m)
        n = np.isfinite(values).sum(1)
        if self.above is not None:
            return self._shares((values > self.above).sum(1)[:, None], n[:, None], ids)
        if not n.all():
            raise InputError(
                "no future of {n} samples holds a value that task {task!r} asks for; sample more futures",
                n=int((n == 0).sum()),
                task=self.task.name,
            )
        mean, reach = np.nanmean(values, 1), Z * np.nanstd(values, 1) / np.sqrt(n)
        return Predictions.of_matrix(ids, self.outputs, mean[:, None]).between(mean - reach, mean + reach)
