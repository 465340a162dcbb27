"""Cox's partial likelihood: how well log-hazards rank who has the event when.

Tied events by Efron, J Am Stat Assoc 1977;72:557-565. Samples are sorted once; a value with
its slopes then costs a few running sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medloom.tasks.survival import Outcomes

Floats = NDArray[np.float64]


class PartialLikelihood:
    """The negative log partial likelihood of one event, and its slopes.

    Args:
        outcomes: of n samples; any event but the first counts as censoring.

    >>> outcomes = Outcomes(np.array([1.0, 2.0]), np.array([1, 1]))
    >>> round(PartialLikelihood(outcomes).loss(np.zeros(2)), 6)  # log 2, over two samples
    0.346574
    """

    def __init__(self, outcomes: Outcomes) -> None:
        time, event = outcomes.time, outcomes.cause == 1
        self.n = len(time)
        self._order = np.argsort(time, kind="stable")
        ordered, self._event = time[self._order], event[self._order]
        self._start = np.searchsorted(ordered, ordered, "left")  # (n,) first of the same time
        deaths = np.flatnonzero(self._event)
        self._deaths = deaths
        first = self._start[deaths]
        # where each death's group begins among the deaths, how many are in it, and its own rank there
        head = np.searchsorted(first, first, "left")
        size = np.searchsorted(first, first, "right") - head
        self._head, self._share = head, (np.arange(len(deaths)) - head) / np.maximum(size, 1)
        self._tail = head + size
        self._risk_from = first
        # deaths up to and with each sample's time
        self._until = np.searchsorted(ordered[deaths], ordered, "right")
        self.events = len(deaths)

    def loss(self, score: Floats) -> float:
        """Give the negative log partial likelihood of log-hazards (n,), per sample."""
        eta, _, denominator = self._at_risk(score)
        return float(np.log(denominator).sum() - eta[self._deaths].sum()) / max(self.n, 1)

    def slopes(self, score: Floats) -> tuple[float, Floats, Floats]:
        """Give the loss, its gradient and the diagonal of its Hessian, each per sample: (n,) twice."""
        eta, power, denominator = self._at_risk(score)
        loss = float(np.log(denominator).sum() - eta[self._deaths].sum()) / max(self.n, 1)
        once, twice = 1 / denominator, 1 / denominator**2
        hazard, square = _running(once)[self._until], _running(twice)[self._until]
        # a death weighs less in the denominators of its own tied group
        own, own_square = (
            _between(_running(part), self._head, self._tail)
            for part in (self._share * once, (self._share * (2 - self._share)) * twice)
        )
        hazard[self._deaths] -= own
        square[self._deaths] -= own_square
        gradient, curvature = np.empty(self.n), np.empty(self.n)
        gradient[self._order] = power * hazard - self._event
        curvature[self._order] = power * hazard - power**2 * square
        return loss, gradient / self.n, np.maximum(curvature, 0.0) / self.n

    def _at_risk(self, score: Floats) -> tuple[Floats, Floats, Floats]:
        """Give scores in order of time, shifted; their powers; and the denominator of each death."""
        eta = score[self._order]
        eta = eta - (eta.max() if self.n else 0.0)
        power = np.exp(eta)
        at_risk = np.cumsum(power[::-1])[::-1]
        tied = _between(_running(power[self._deaths]), self._head, self._tail)
        denominator = at_risk[self._risk_from] - self._share * tied
        return eta, power, np.maximum(denominator, 1e-300)


def breslow(outcomes: Outcomes, scores: Floats, times: Floats) -> Floats:
    """Estimate the cumulative baseline hazard of each event at some times, for a log-hazard of 0: (k, t).

    Breslow, J R Stat Soc B 1972;34:216-217.

    Args:
        outcomes: of n samples and k events.
        scores: (n, k) log-hazards.
        times: (t,) ascending.
    """
    order = np.argsort(outcomes.time, kind="stable")
    time, cause = outcomes.time[order], outcomes.cause[order]
    first = np.searchsorted(time, time, "left")
    place = np.searchsorted(times, time, "left")
    hazard = np.zeros((outcomes.causes, len(times) + 1))
    for column in range(outcomes.causes):
        eta = scores[order, column]
        shift = eta.max() if len(eta) else 0.0
        at_risk = np.cumsum(np.exp(eta - shift)[::-1])[::-1]
        rows = np.flatnonzero(cause == column + 1)
        steps = np.exp(-shift) / at_risk[first[rows]]
        hazard[column] = np.bincount(place[rows], steps, minlength=len(times) + 1)
    summed: Floats = np.cumsum(hazard[:, :-1], axis=1)
    return summed


def null_scores(outcomes: Outcomes) -> Floats:
    """Give log-rank scores: what each sample's event or event-free time says against the average, (n,).

    The event less the hazard that was lived through (martingale residual of no model).
    """
    likelihood = PartialLikelihood(outcomes)
    gradient: Floats = -likelihood.slopes(np.zeros(len(outcomes)))[1] * len(outcomes)
    return gradient


def _running(values: Floats) -> Floats:
    return np.append(0.0, np.cumsum(values))


def _between(running: Floats, start: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
    return running[stop] - running[start]
