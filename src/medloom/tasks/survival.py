"""Time to an event: what came true as arrays, and predicted curves as arrays and as the long frame.

A label is {time, event}: how long after the prediction time, in the question's unit, and what happened then;
no event: followed so long without one (censored). Several events compete: the first ends the wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """When something happened to each sample, and what.

    Attributes:
        time: (n,) ≥ 0, in the question's unit.
        cause: (n,) 0: censored; j: the j-th of the question's events, from 1.
        causes: k, how many events compete.
    """

    time: Floats
    cause: NDArray[np.int64]
    causes: int = 1

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Outcomes:
        return Outcomes(self.time[rows], self.cause[rows], self.causes)

    @property
    def happened(self) -> NDArray[np.bool_]:
        """Tell where any event was seen: (n,)."""
        return self.cause > 0

    def of(self, cause: int) -> Outcomes:
        """Keep one event (numbered from 1); others count as censoring, as cause-specific hazards take them."""
        return Outcomes(self.time, (self.cause == cause).astype(np.int64), 1)

    def with_more(self, other: Outcomes) -> Outcomes:
        """Put others behind these."""
        return Outcomes(
            np.concatenate([self.time, other.time]), np.concatenate([self.cause, other.cause]), self.causes
        )


def outcomes_of(label: pl.Series, events: Sequence[str]) -> Outcomes:
    """Read labels of a survival question.

    Args:
        label: struct of `time` and `event`.
        events: names of the competing events, in order.

    Raises:
        InputError: a label is missing, a time is negative or no number, or an event is not one of the question's.

    >>> label = pl.Series([{"time": 2.0, "event": "death"}, {"time": 5.0, "event": None}])
    >>> outcomes_of(label, ["death"]).cause.tolist()
    [1, 0]
    """
    time, event = label.struct.field("time").cast(pl.Float64), label.struct.field("event").cast(pl.String)
    missing = int((label.is_null() | time.is_null()).sum())
    if missing:
        raise InputError(
            "{missing} of {n} samples have no label; leave them out, or apply the task again so that it labels them",
            missing=missing,
            n=len(label),
        )
    times = time.to_numpy().astype(np.float64)
    bad = int((~np.isfinite(times) | (times < 0)).sum())
    if bad:
        raise InputError(
            "{bad} of {n} times are negative, NaN or infinite; count time from the moment of prediction",
            bad=bad,
            n=len(label),
        )
    unknown = sorted(set(event.drop_nulls().unique().to_list()) - set(events))
    if unknown:
        raise InputError(
            "labels have events that the question does not name: {unknown}; it names: {known}",
            unknown=unknown,
            known=list(events),
        )
    number = {name: place for place, name in enumerate(events, start=1)}
    cause = event.replace_strict(number, default=0, return_dtype=pl.Int64).fill_null(0).to_numpy()
    return Outcomes(times, cause.astype(np.int64), len(events))


@dataclass(frozen=True)
class Curves:
    """Predicted cumulative incidence: the chance that each event has happened by each time.

    Attributes:
        times: (t,) ascending, in the question's unit.
        incidence: (n, k, t), from 0 to 1; over k sums to 1 at most.
        low, high: (n, k, t) where the model knows an interval.
    """

    times: Floats
    incidence: Floats
    low: Floats | None = None
    high: Floats | None = None

    def at(self, times: ArrayLike) -> Floats:
        """Read the curves at other times: (n, k, m); straight between grid points, from 0 at time 0.

        Beyond the last point of the grid nothing was predicted: NaN.

        >>> Curves(np.array([1.0, 2.0]), np.array([[[0.2, 0.4]]])).at([0.5, 1.5, 3.0]).round(3).tolist()
        [[[0.1, 0.3, nan]]]
        """
        wanted = np.atleast_1d(np.asarray(times, dtype=np.float64))
        grid, incidence = self._from_zero()
        above = np.clip(np.searchsorted(grid, wanted, "left"), 1, len(grid) - 1)
        share = (wanted - grid[above - 1]) / (grid[above] - grid[above - 1])
        read = incidence[..., above - 1] * (1 - share) + incidence[..., above] * share
        return np.where((wanted >= 0) & (wanted <= grid[-1]), read, np.nan)

    def time_lost(self, until: float | None = None) -> Floats:
        """Give the time each event is expected to take away before `until` (None: the last time): (n, k).

        The area under the cumulative incidence; for one event `until` less this is the
        restricted mean survival time. Andersen, Stat Med 2013;32:5278-5285.
        """
        end = float(self.times[-1]) if until is None else until
        grid, incidence = self._from_zero()
        inside = grid < end
        grid = np.append(grid[inside], end)
        values = np.concatenate([incidence[..., inside], self.at([end])], axis=-1)
        lost: Floats = ((values[..., 1:] + values[..., :-1]) / 2 * np.diff(grid)).sum(axis=-1)
        return lost

    def predictions(self, sample_ids: ArrayLike | pl.Series, outputs: Sequence[str]) -> Predictions:
        """Write the long frame: one row a sample, event and time; `value` is the chance by `end`."""
        n, k, t = self.incidence.shape
        frame = pl.DataFrame(
            {
                "sample_id": np.repeat(np.asarray(sample_ids, dtype=np.int64), k * t),
                "output": pl.Series(list(outputs), dtype=pl.String).gather(
                    pl.Series(np.tile(np.repeat(np.arange(k), t), n))
                ),
                "value": self.incidence.ravel(),
                "low": _flat(self.low, n * k * t),
                "high": _flat(self.high, n * k * t),
                "start": np.zeros(n * k * t),
                "end": np.tile(self.times, n * k),
                "asset": pl.Series([None], dtype=pl.String).new_from_index(0, n * k * t),
                "place": pl.Series([None], dtype=pl.String).new_from_index(0, n * k * t),
                "in_set": pl.Series([None], dtype=pl.Boolean).new_from_index(0, n * k * t),
            },
            schema=PREDICTION_SCHEMA,
        )
        return Predictions(frame)

    def _from_zero(self) -> tuple[Floats, Floats]:
        if len(self.times) and self.times[0] <= 0:
            return self.times, self.incidence
        nothing = np.zeros((*self.incidence.shape[:2], 1))
        return np.append(0.0, self.times), np.concatenate([nothing, self.incidence], axis=-1)


def read_curves(frame: pl.DataFrame, outputs: Sequence[str], sample_ids: pl.Series | None = None) -> Curves:
    """Read predictions of a survival model as arrays.

    Args:
        frame: rows of `PREDICTION_SCHEMA`.
        outputs: the events, in the order wanted.
        sample_ids: the samples, in the order wanted; None: as they come.

    Raises:
        InputError: a sample, an event or a time is missing or doubled.

    >>> curves = Curves(np.array([1.0, 2.0]), np.array([[[0.2, 0.4]], [[0.1, 0.3]]]))
    >>> read_curves(curves.predictions([7, 8], ["death"]).frame, ["death"], pl.Series([8])).incidence.tolist()
    [[[0.1, 0.3]]]
    """
    ids = frame["sample_id"].unique(maintain_order=True) if sample_ids is None else sample_ids
    times = frame["end"].unique().sort()
    n, k, t = len(ids), len(outputs), len(times)
    wanted = frame.filter(pl.col("output").is_in(list(outputs)) & pl.col("sample_id").is_in(ids.implode()))
    if wanted.height != n * k * t or times.null_count():
        raise InputError(
            "predictions do not hold one value for each of {n} samples, {k} events ({outputs}) and {t} times;"
            " predict the same samples that are evaluated",
            n=n,
            k=k,
            outputs=list(outputs),
            t=t,
        )
    place = {name: number for number, name in enumerate(outputs)}
    order = ids.to_frame("sample_id").with_row_index("_row").with_columns(pl.col("sample_id").cast(pl.Int64))
    placed = wanted.join(order, on="sample_id", how="left").with_columns(
        _output=pl.col("output").replace_strict(place, return_dtype=pl.Int64)
    )
    sorted_ = placed.sort("_row", "_output", "end")
    same_times = sorted_["end"].to_numpy().reshape(-1, t) == times.to_numpy() if t else np.ones(0, bool)
    if not same_times.all():
        raise InputError("predictions do not give the same times for every sample and event")

    def shaped(name: str) -> Floats:
        values: Floats = sorted_[name].cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(n, k, t)
        return values

    known = wanted.height > 0 and wanted["low"].null_count() < wanted.height
    return Curves(
        times.to_numpy().astype(np.float64),
        shaped("value"),
        shaped("low") if known else None,
        shaped("high") if known else None,
    )


def _flat(values: Floats | None, size: int) -> pl.Series:
    if values is None:
        return pl.Series([None], dtype=pl.Float64).new_from_index(0, size)
    return pl.Series(values.ravel(), nan_to_null=True)
