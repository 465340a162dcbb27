"""Curves of survival without a model: Kaplan-Meier, Nelson-Aalen, Aalen-Johansen, and of censoring.

Samples are sorted by time once; weights may carry leading axes (one row a bootstrap
replicate), and every curve answers with those axes. Where an event and a censoring
share a time, the event comes first, so that who is censored then was still at risk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medloom.tasks.survival import Outcomes

Floats = NDArray[np.float64]

_MOST_TIMES: Final = 100
_Z: Final = 1.959963984540054  # the 97.5th percentile of a standard normal


@dataclass(frozen=True)
class Timeline:
    """Samples sorted by time, equal times as one step.

    Attributes:
        outcomes: of n samples.
        steps: (u,) distinct times, ascending.
        order: (n,) sorts the samples.
        starts: (u,) where each step begins in that order.
    """

    outcomes: Outcomes
    steps: Floats
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, outcomes: Outcomes) -> Timeline:
        """Sort outcomes."""
        order = np.argsort(outcomes.time, kind="stable")
        time = outcomes.time[order]
        starts = np.flatnonzero(np.append(True, time[1:] != time[:-1])[: len(time)])
        return cls(outcomes, time[starts], order, starts)

    def counted(self, weight: Floats | None = None) -> Counted:
        """Count who is at risk and what happens at each step, with sample weights (..., n)."""
        weights = np.ones(len(self.order)) if weight is None else weight[..., self.order]
        cause = self.outcomes.cause[self.order]
        events = np.stack(
            [self._summed(weights * (cause == one)) for one in range(1, self.outcomes.causes + 1)], axis=-2
        )
        total = np.asarray(self._summed(weights), dtype=np.float64)
        at_risk = np.asarray(np.cumsum(total[..., ::-1], axis=-1)[..., ::-1], dtype=np.float64)
        return Counted(self.steps, at_risk, events, total - events.sum(axis=-2))

    def _summed(self, values: Floats) -> Floats:
        if len(self.starts) == len(self.order):
            return values
        summed: Floats = np.add.reduceat(values, self.starts, axis=-1)
        return summed


@dataclass(frozen=True)
class Counted:
    """Weights at each distinct time.

    Attributes:
        steps: (u,).
        at_risk: (..., u) just before.
        events: (..., k, u).
        censored: (..., u).
    """

    steps: Floats
    at_risk: Floats
    events: Floats
    censored: Floats

    @cached_property
    def survival(self) -> Floats:
        """Give the chance to be free of any event after each step: (..., u). Kaplan and Meier 1958."""
        any_event = self.events.sum(axis=-2)
        return np.asarray(np.cumprod(1 - _share(any_event, self.at_risk), axis=-1), dtype=np.float64)

    @cached_property
    def uncensored(self) -> Floats:
        """Give the chance not to be censored after each step: (..., u)."""
        # who has an event at a step can no longer be censored at it
        exposed = self.at_risk - self.events.sum(axis=-2)
        # weights sum up with rounding errors; who is left with 1e-12 of a person is nobody
        exposed = np.where(exposed > 1e-9 * self.at_risk, exposed, 0.0)
        left: Floats = np.cumprod(1 - np.minimum(_share(self.censored, exposed), 1.0), axis=-1)
        return left

    @cached_property
    def hazard(self) -> Floats:
        """Give the cumulative hazard of each event: (..., k, u). Nelson 1972, Aalen 1978."""
        summed: Floats = np.cumsum(_share(self.events, self.at_risk[..., None, :]), axis=-1)
        return summed

    @cached_property
    def incidence(self) -> Floats:
        """Give the cumulative incidence of each event: (..., k, u). Aalen and Johansen 1978."""
        before = np.concatenate([np.ones_like(self.survival[..., :1]), self.survival[..., :-1]], axis=-1)
        step = _share(self.events, self.at_risk[..., None, :])
        summed: Floats = np.cumsum(before[..., None, :] * step, axis=-1)
        return summed

    @cached_property
    def spread(self) -> Floats:
        """Give standard errors of the cumulative incidences: (..., k, u).

        Gray's and Aalen's delta method, which for one event is Greenwood's formula. Marubini
        and Valsecchi 1995, formula 10.12.
        """
        survival, incidence = self.survival, self.incidence
        before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)[..., None, :]
        n, any_event = self.at_risk[..., None, :], self.events.sum(axis=-2)[..., None, :]
        d = self.events
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.where(n > any_event, any_event / (n * (n - any_event)), 0.0)
            b = np.where(n > 0, before**2 * (n - d) / n * d / n**2, 0.0)
            c = np.where(n > 0, before * d / n**2, 0.0)
        # sum over earlier steps of (F(t) - F(u))² a + b - 2 (F(t) - F(u)) c, multiplied out
        a0, a1, a2 = (np.cumsum(a * incidence**power, axis=-1) for power in (0, 1, 2))
        c0, c1 = (np.cumsum(c * incidence**power, axis=-1) for power in (0, 1))
        variance = incidence**2 * a0 - 2 * incidence * a1 + a2 + np.cumsum(b, axis=-1)
        variance = variance - 2 * (incidence * c0 - c1)
        errors: Floats = np.sqrt(np.maximum(variance, 0.0))
        return errors


def step_at(steps: Floats, values: Floats, times: ArrayLike, first: float, before: bool = False) -> Floats:
    """Read a step function (..., u) at times (m,): (..., m).

    Args:
        steps: (u,) where it jumps.
        values: after each jump.
        times: where to read it.
        first: before the first jump.
        before: just before the times rather than at them.

    >>> step_at(np.array([1.0, 2.0]), np.array([0.8, 0.5]), [0.5, 2.0], 1.0).tolist()
    [1.0, 0.5]
    """
    place = np.searchsorted(steps, np.asarray(times, dtype=np.float64), "left" if before else "right")
    padded = np.concatenate([np.full((*values.shape[:-1], 1), first), values], axis=-1)
    read: Floats = padded[..., place]
    return read


def grid_of(outcomes: Outcomes, horizons: ArrayLike = (), most: int = _MOST_TIMES) -> Floats:
    """Choose the times of curves: quantiles of the times of events, and the horizons: (t,) ascending.

    >>> grid_of(Outcomes(np.array([3.0, 1.0, 2.0]), np.array([1, 0, 1])), [5.0]).tolist()
    [2.0, 3.0, 5.0]
    """
    times = np.unique(outcomes.time[outcomes.happened & (outcomes.time > 0)])
    if len(times) > most:
        times = np.unique(
            np.quantile(outcomes.time[outcomes.happened], np.linspace(0, 1, most), method="nearest")
        )
    joined = np.union1d(times, np.asarray(horizons, dtype=np.float64))
    return joined[joined > 0]


def interval(incidence: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Give 95 % limits of a cumulative incidence on the scale of log(-log), so that they stay within 0 and 1."""
    inside = (incidence > 0) & (incidence < 1)
    sure = np.where(inside, incidence, 0.5)
    reach = np.exp(_Z * spread / (sure * np.abs(np.log(sure))))
    return np.where(inside, sure**reach, incidence), np.where(inside, sure ** (1 / reach), incidence)


def incidence_of_hazards(hazard: Floats) -> Floats:
    """Turn cumulative cause-specific hazards (..., k, t) into cumulative incidences (..., k, t).

    Within each interval of the grid the hazards keep their proportions, which is exact for
    one event. Benichou and Gail, Biometrics 1990;46:813-826.

    >>> incidence_of_hazards(np.array([[0.0, np.log(2)]])).round(6).tolist()
    [[0.0, 0.5]]
    """
    step = np.diff(hazard, axis=-1, prepend=0.0)
    total = step.sum(axis=-2)
    survival = np.exp(-np.cumsum(total, axis=-1))
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    ended = (before * -np.expm1(-total))[..., None, :]
    summed: Floats = np.cumsum(ended * _share(step, total[..., None, :]), axis=-1)
    return np.clip(summed, 0.0, 1.0)


def _share(part: Floats, whole: Floats) -> Floats:
    whole = np.broadcast_to(whole, np.broadcast_shapes(part.shape, whole.shape))
    shared: Floats = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return shared
