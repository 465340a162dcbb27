"""Binary outcomes counted at each distinct prediction: what every binary metric is computed from.

Predictions are sorted once; a bootstrap replicate is then only a new weight for
each sample, and a metric a few sums. Weights may carry leading axes (one row a
replicate), and every metric answers with those axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

STEPS = 2000
"""Steps that a resample is counted in, where there are many more distinct predictions."""

_MANY = 5_000
"""Samples from which on counting cell by cell is faster than sorting weights."""


@dataclass(frozen=True)
class Tally:
    """How much weight with and without the outcome lies at each distinct prediction.

    `score`: (u,) ascending, distinct. `positive`, `negative`: (..., u), sums of sample weights.
    """

    score: Floats
    positive: Floats
    negative: Floats

    @cached_property
    def total(self) -> Floats:
        """Weight at each distinct prediction: (..., u)."""
        return self.positive + self.negative

    @cached_property
    def positive_up_to(self) -> Floats:
        """Weight with the outcome at or below each distinct prediction: (..., u)."""
        return np.cumsum(self.positive, axis=-1)

    @cached_property
    def negative_up_to(self) -> Floats:
        """Weight without the outcome at or below each distinct prediction: (..., u)."""
        return np.cumsum(self.negative, axis=-1)


@dataclass(frozen=True)
class Ranking:
    """Samples sorted by prediction, equal predictions marked as one step.

    `score`: (u,); `order`: (n,) sorts the samples; `starts`: (u,) where each step begins;
    `outcome`: (n,) bool, in sorted order.
    """

    score: Floats
    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    outcome: NDArray[np.bool_]

    def tally(self, weight: Floats | None = None) -> Tally:
        """Count outcomes at each step with sample weights (..., n); None weighs every sample 1."""
        if weight is not None and self.order.size > _MANY:
            return self._counted(weight)
        sorted_weight = np.ones(self.order.size) if weight is None else weight[..., self.order]
        positive = sorted_weight * self.outcome
        if self.starts.size < self.order.size:
            positive = np.add.reduceat(positive, self.starts, axis=-1)
            sorted_weight = np.add.reduceat(sorted_weight, self.starts, axis=-1)
        return Tally(self.score, positive, sorted_weight - positive)

    @cached_property
    def cell(self) -> NDArray[np.intp]:
        """Number the step and outcome of each sample, 2 · step + outcome, in the samples' order: (n,)."""
        cell = np.empty(self.order.size, dtype=np.intp)
        step = np.repeat(np.arange(self.starts.size), np.diff(self.starts, append=self.order.size))
        cell[self.order] = 2 * step + self.outcome
        return cell

    def _counted(self, weight: Floats) -> Tally:
        """Count without sorting the weights first, which for many samples takes longest."""
        cells = 2 * self.starts.size
        rows = weight.reshape(-1, weight.shape[-1])
        each = [np.bincount(self.cell, row, cells) for row in rows]
        counted = np.asarray(each, np.float64).reshape(*weight.shape[:-1], self.starts.size, 2)
        return Tally(self.score, counted[..., 1], counted[..., 0])

    def coarse(self, cuts: Sequence[float] = ()) -> "Ranking":
        """Join neighbouring predictions to some `STEPS` steps of equal size, where there are many more.

        A step stands at its mean prediction; none reaches across one of `cuts`. For replicates: with steps of
        0.05 % of the samples no metric moves by more than 1e-5, a hundredth of what an interval is wide.

        >>> fine = rank(np.arange(20_000) % 2, np.linspace(0, 1, 20_000))
        >>> fine.coarse([0.3003]).score.size
        2001
        """
        distinct = self.starts.size
        if distinct <= 2 * STEPS:
            return self
        places = np.linspace(0, distinct, STEPS + 1)[:-1].astype(np.intp)
        places = np.union1d(places, np.searchsorted(self.score, np.asarray(cuts, dtype=np.float64)))
        places = places[places < distinct]
        size = np.diff(self.starts, append=self.order.size)
        mean = np.add.reduceat(self.score * size, places) / np.add.reduceat(size, places)
        return Ranking(mean, self.order, self.starts[places], self.outcome)


def rank(outcome: ArrayLike, score: ArrayLike) -> Ranking:
    """Sort samples by prediction.

    `outcome`: (n,) 0 or 1; `score`: (n,) finite, higher means the outcome is likelier.

    >>> rank([1, 0, 1], [0.5, 0.1, 0.5]).score.tolist()
    [0.1, 0.5]
    """
    values = np.asarray(score, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: ordered.size])
    return Ranking(ordered[starts], order, starts, np.asarray(outcome, dtype=bool)[order])


def tally(outcome: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Tally:
    """Count outcomes at each distinct prediction; arguments as in `rank`, `weight`: (..., n) or None.

    >>> tally([1, 0, 1], [0.5, 0.1, 0.5]).positive.tolist()
    [0.0, 2.0]
    """
    return rank(outcome, score).tally(None if weight is None else np.asarray(weight, dtype=np.float64))


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, answering NaN (not estimable) where nothing was counted."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) > 0)
    return quotient
