"""Fine and Gray's proportional subdistribution hazards, under an elastic net.

The hazard of an event's cumulative incidence: who had another event stays at risk, by how likely
it is that he would still be followed. Fine and Gray, J Am Stat Assoc 1999;94:496-509, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.survival import penalised
from medloom.learners.survival.cox import CoxEstimator
from medloom.learners.survival.hazards import Baseline
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.nonparametric import Timeline, step_at

Floats = NDArray[np.float64]

_FAR: Final = 30.0
_LEAST: Final = 1e-6  # chance to be still followed, below which nobody stands for the others


class SubdistributionEstimator(CoxEstimator):
    """Weights on standardised columns over a baseline of the incidence itself, an event."""

    scale = "log subdistribution hazard"

    def curves(self, x: NDArray[np.floating]) -> Curves:
        power = np.exp(np.clip(self.scores(x), -_FAR, _FAR))
        incidence = -np.expm1(-power[:, :, None] * self.baseline.hazard)
        return Curves(self.times, at_most_one(incidence))


def learned_subdistribution(problem: Problem, l1_ratios: Sequence[float]) -> SubdistributionEstimator:
    """Tune the penalty for each event, and fit on all samples."""
    x, outcomes = problem.together()
    weights, hazard = [], []
    for cause in range(1, outcomes.causes + 1):
        own = penalised.tuned(problem, l1_ratios, partial(SubdistributionLikelihood, cause=cause))
        weights.append(own)
        hazard.append(SubdistributionLikelihood(outcomes, cause).baseline(x @ own, problem.times))
    return SubdistributionEstimator(Baseline(problem.times, np.stack(hazard)), np.column_stack(weights))


def at_most_one(incidence: Floats) -> Floats:
    """Let incidences (n, k, t) of events that were modelled apart rise no more once they sum to 1.

    >>> at_most_one(np.array([[[0.4, 0.9], [0.4, 0.5]]])).round(3).tolist()
    [[[0.4, 0.567], [0.4, 0.433]]]
    """
    steps = np.diff(incidence, axis=-1, prepend=0.0)
    whole = steps.sum(axis=1, keepdims=True)
    kept = np.diff(np.minimum(np.cumsum(whole, axis=-1), 1.0), axis=-1, prepend=0.0)
    share = np.divide(kept, whole, out=np.zeros_like(whole), where=whole > 0)
    summed: Floats = np.cumsum(steps * share, axis=-1)
    return summed


class SubdistributionLikelihood:
    """The negative log partial likelihood of one event's subdistribution hazard, and its gradient.

    Tied events by Breslow, as in R's cmprsk. With one event only it is Cox's.

    Args:
        outcomes: of n samples.
        cause: the event, numbered from 1.

    >>> outcomes = Outcomes(np.array([1.0, 2.0]), np.array([2, 1]), 2)
    >>> round(SubdistributionLikelihood(outcomes, 1).loss(np.zeros(2)), 6)  # log 2, over two samples
    0.346574
    """

    def __init__(self, outcomes: Outcomes, cause: int) -> None:
        order = np.argsort(outcomes.time, kind="stable")
        time, happened = outcomes.time[order], outcomes.cause[order]
        counted = Timeline.of(outcomes).counted()
        followed = step_at(counted.steps, counted.uncensored, time, 1.0, before=True)
        self.n = len(time)
        self._order = order
        self._events = np.flatnonzero(happened == cause)
        self._when = time[self._events]
        self._first = np.searchsorted(time, self._when, "left")  # of the same time
        self._followed = followed[self._events]
        # of who had another event: 1 / the chance to have been followed until then
        other = (happened > 0) & (happened != cause)
        self._stays = np.where(other, 1 / np.maximum(followed, _LEAST), 0.0)
        # events up to and with each sample's time, beyond which only another event keeps at risk
        self._until = np.searchsorted(self._when, time, "right")

    def loss(self, score: Floats) -> float:
        """Give the negative log partial likelihood of log-hazards (n,), per sample."""
        eta, _, at_risk = self._at_risk(score)
        return float(np.log(at_risk).sum() - eta[self._events].sum()) / max(self.n, 1)

    def slopes(self, score: Floats) -> tuple[float, Floats]:
        """Give the loss and its gradient, per sample: (n,)."""
        eta, power, at_risk = self._at_risk(score)
        loss = float(np.log(at_risk).sum() - eta[self._events].sum()) / max(self.n, 1)
        until = np.append(0.0, np.cumsum(1 / at_risk))[self._until]
        weighted = np.append(0.0, np.cumsum(self._followed / at_risk))
        hazard = until + self._stays * (weighted[-1] - weighted[self._until])
        sorted_ = power * hazard
        sorted_[self._events] -= 1
        gradient = np.empty(self.n)
        gradient[self._order] = sorted_
        return loss, gradient / self.n

    def baseline(self, score: Floats, times: Floats) -> Floats:
        """Estimate the cumulative subdistribution hazard at some times (t,) for a score of 0. Breslow 1972."""
        shift = float(score.max()) if self.n else 0.0
        _, _, at_risk = self._at_risk(score)
        place = np.searchsorted(times, self._when, "left")
        steps = np.bincount(place, np.exp(-shift) / at_risk, minlength=len(times) + 1)
        summed: Floats = np.cumsum(steps[:-1])
        return summed

    def _at_risk(self, score: Floats) -> tuple[Floats, Floats, Floats]:
        """Give scores in order of time, shifted; their powers; and the denominator of each event."""
        eta = score[self._order]
        eta = eta - (eta.max() if self.n else 0.0)
        power = np.exp(eta)
        here = np.cumsum(power[::-1])[::-1][self._first]
        gone = np.append(0.0, np.cumsum(power * self._stays))[self._first]
        return eta, power, np.maximum(here + self._followed * gone, 1e-300)
