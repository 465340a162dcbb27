"""Bands around predicted curves: how often patients with such a predicted risk really had the event by then.

At each time of a grid calibration patients are ordered by the risk the model gave them without having learned from
them. Among the tenth of them nearest to a risk, the observed share is estimated under censoring (Aalen and Johansen
1978) with limits of its effective sample size (Dorey and Korn, Stat Med 1987;6:679-687; Clopper and Pearson 1934).
Between such neighbourhoods limits are straight on the scale of the log cumulative hazard; they are made to rise with
risk and with time, and to hold the model's own answer.

What is promised: at one time, for patients from where the calibration patients came from and censored independently of
what awaits them, the share that will have the event among those with this predicted risk lies inside with `level`
confidence. It is no promise for each patient: that holds only as far as the model tells like patients apart. A model
may be well calibrated and still know nothing of what makes two patients with the same risk differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.nonparametric import Timeline, grid_of
from medloom.training.weights import one_a_patient

Floats = NDArray[np.float64]

LEAST: Final = 50  # patients: fewer make one neighbourhood, and hardly a band
_SHARE: Final = 0.1  # of the patients, in a neighbourhood
_FEWEST: Final = 30  # patients in one, at least
_KNOTS: Final = 20  # neighbourhoods, overlapping by half or more
_TIMES: Final = 25
_SURE: Final = 1e-9


@dataclass(frozen=True)
class CurveBands:
    """Limits of the observed share, by event, time and predicted risk.

    Attributes:
        times: (t,) ascending, in the question's unit.
        knots: (k, t, m) predicted risks ascending, on the scale of the log cumulative hazard; NaN behind the last.
        low, high: (k, t, m) limits there, on the same scale.
        patients: how many calibration patients tell.
    """

    times: Floats
    knots: Floats
    low: Floats
    high: Floats
    patients: int

    @classmethod
    def fit(
        cls, curves: Curves, outcomes: Outcomes, groups: NDArray[np.int64], level: float, grid: Floats
    ) -> CurveBands:
        """Learn from calibration samples.

        Args:
            curves: what the model says of them (n samples).
            outcomes: what came true.
            groups: (n,) patients; one with several samples counts once.
            level: confidence of the limits.
            grid: (t,) times to tell limits at; those beyond the curves are left out.

        Raises:
            InputError: the patients are too few, or followed too short.
        """
        patients = len(np.unique(groups))
        if patients < LEAST:
            raise InputError(
                "{n} calibration patients are too few for a band around curves; at least {least} are needed",
                n=patients,
                least=LEAST,
            )
        times = grid[(grid > 0) & (grid <= curves.times[-1])]
        if not len(times):
            raise InputError("the curves end before the first time a band could be told for")
        weight = one_a_patient(groups)
        risks = curves.at(times)
        k, t = risks.shape[1:]
        found = np.full((3, k, t, _KNOTS), np.nan)
        for cause in range(k):
            for at in range(t):
                told = _observed(risks[:, cause, at], outcomes, cause, float(times[at]), weight, level)
                found[:, cause, at, : told.shape[1]] = told
        return cls(times, found[0], found[1], found[2], patients)

    def around(self, curves: Curves) -> Curves:
        """Put limits around curves; beyond the last time that is told there are none (NaN)."""
        n, k, t = curves.incidence.shape
        inside = curves.times <= self.times[-1] * (1 + _SURE)
        risks = curves.at(self.times)
        low, high = np.empty((2, n, k, len(self.times)))
        for cause in range(k):
            for at in range(len(self.times)):
                known = ~np.isnan(self.knots[cause, at])
                z, knots = _stretched(risks[:, cause, at]), self.knots[cause, at, known]
                for made, limits in ((low, self.low), (high, self.high)):
                    made[:, cause, at] = _shrunk(_along(z, knots, limits[cause, at, known]))
        low, high = _rising(low), _rising(high)
        read_low, read_high = (Curves(self.times, one).at(curves.times[inside]) for one in (low, high))
        bounds = np.full((2, n, k, t), np.nan)
        value = curves.incidence[..., inside]
        bounds[0, ..., inside] = np.moveaxis(np.minimum(read_low, value), -1, 0)
        bounds[1, ..., inside] = np.moveaxis(np.maximum(read_high, value), -1, 0)
        return replace(curves, low=bounds[0], high=bounds[1])

    def to_json(self) -> dict[str, Any]:
        """Give all there is to know, for `read`."""
        return {
            "times": self.times.tolist(),
            "patients": self.patients,
            "bands": [
                [
                    [row[~np.isnan(row)].tolist() for row in (knots, low, high)]
                    for knots, low, high in zip(*of_cause, strict=True)
                ]
                for of_cause in zip(self.knots, self.low, self.high, strict=True)
            ],
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> CurveBands:
        """Read back what `to_json` gave."""
        bands = content["bands"]
        found = np.full((3, len(bands), len(content["times"]), _KNOTS), np.nan)
        for cause, of_cause in enumerate(bands):
            for at, rows in enumerate(of_cause):
                for which, row in enumerate(rows):
                    found[which, cause, at, : len(row)] = row
        return cls(np.array(content["times"]), found[0], found[1], found[2], content["patients"])


def band_times(outcomes: Outcomes, horizons: tuple[float, ...]) -> Floats:
    """Choose the times to tell limits at: quantiles of the times of events, and the horizons."""
    return grid_of(outcomes, horizons, most=_TIMES)


def _observed(
    risk: Floats, outcomes: Outcomes, cause: int, time: float, weight: Floats, level: float
) -> Floats:
    """Give knots and limits (3, m) of the observed share by one time, over neighbourhoods of predicted risk."""
    order = np.argsort(risk, kind="stable")
    ranked, total = risk[order], np.cumsum(weight[order])
    size = max(_FEWEST, _SHARE * total[-1])
    starts = np.linspace(0, max(total[-1] - size, 0), _KNOTS)
    found: list[tuple[float, float, float]] = []
    seen: set[tuple[int, int]] = set()
    for start in starts:
        first, last = np.searchsorted(total, [start, start + size], "left")
        # patients with the same risk belong together
        first = int(np.searchsorted(ranked, ranked[first], "left"))
        last = int(np.searchsorted(ranked, ranked[min(last, len(ranked) - 1)], "right"))
        if (first, last) in seen:
            continue
        seen.add((first, last))
        rows = order[first:last]
        knot = float(np.average(risk[rows], weights=weight[rows]))
        found.append((knot, *_limits(outcomes[rows], cause, time, weight[rows], level)))
    knots, low, high = np.array(found).T
    z = _stretched(knots)
    kept = np.append(True, np.diff(z) > _SURE)
    return np.stack([z, _stretched(_rising(low)), _stretched(_rising(high))])[:, kept]


def _limits(outcomes: Outcomes, cause: int, time: float, weight: Floats, level: float) -> tuple[float, float]:
    """Give limits of the share with an event by a time: those of as many patients, all followed, as tell as much."""
    from scipy.special import betaincinv

    counted = Timeline.of(outcomes).counted(weight)
    upto = int(np.searchsorted(counted.steps, time, "right")) - 1
    share = float(counted.incidence[cause, upto]) if upto >= 0 else 0.0
    spread = float(counted.spread[cause, upto]) if upto >= 0 else 0.0
    known = float(weight[(outcomes.time >= time) | outcomes.happened].sum())
    n = min(share * (1 - share) / spread**2, float(weight.sum())) if spread > 0 else known
    tail = (1 - level) / 2
    hits, misses = n * share, n * (1 - share)
    low = float(betaincinv(hits, misses + 1, tail)) if hits > _SURE else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - tail)) if misses > _SURE else 1.0
    return low, high


def _rising(values: Floats) -> Floats:
    """Make values rise along the last axis: midway between the least curve above them and the largest below.

    >>> _rising(np.array([1.0, 3.0, 2.0, 4.0])).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    above = np.maximum.accumulate(values, axis=-1)
    below = np.minimum.accumulate(values[..., ::-1], axis=-1)[..., ::-1]
    return np.asarray((above + below) / 2, dtype=np.float64)


def _along(z: Floats, knots: Floats, limits: Floats) -> Floats:
    """Read limits between knots, straight; outside of them they keep their distance from the risk."""
    inside = np.interp(z, knots, limits)
    return np.asarray(inside + np.minimum(z - knots[0], 0) + np.maximum(z - knots[-1], 0), dtype=np.float64)


def _stretched(share: Floats) -> Floats:
    """Take shares to the log cumulative hazard."""
    return np.asarray(np.log(-np.log1p(-np.clip(share, _SURE, 1 - _SURE))), dtype=np.float64)


def _shrunk(z: Floats) -> Floats:
    return np.asarray(-np.expm1(-np.exp(np.clip(z, -50, 4))), dtype=np.float64)
