"""Moderate calibration: the observed risk as a smooth curve of the predicted one, and how far it lies away.

The outcome is regressed on a natural cubic spline of logit(prediction) with four knots (Harrell, Regression
Modeling Strategies 2015, chapter 2.4). The distance between curve and prediction, averaged over the samples, is the
integrated calibration index (Eavg), beside its median (E50), ninetieth percentile (E90) and largest (Emax): Austin
and Steyerberg, Stat Med 2019;38:4051-4065; Van Hoorde et al., J Biomed Inform 2015;54:283-293.
"""

from typing import Final

import numpy as np

from medloom.evidence.calibration import expit, logit
from medloom.evidence.tally import Floats, Ranking, Tally

INDICES: Final = ("e_avg", "e50", "e90", "e_max")
"""Names of what `FlexibleCurve.indices` answers."""

_KNOTS: Final = (0.05, 0.35, 0.65, 0.95)  # quantiles, Harrell's table 2.3
_STEPS: Final = 25
_TOLERANCE: Final = 1e-4  # of a step of Newton's method; the next would be about 1e-8
# A hundredth of an event's weight: keeps the curve finite where a spline could separate the outcomes.
_RIDGE: Final = 1e-2


class FlexibleCurve:
    """Fits the curve to resamples of one ranking; the knots are those of all samples.

    >>> from medloom.evidence.tally import rank
    >>> risk = np.linspace(0.05, 0.95, 400)
    >>> honest = rank(np.random.default_rng(0).random(400) < risk, risk)
    >>> bool(FlexibleCurve(honest).indices(honest.tally())["e_avg"] < 0.05)
    True
    """

    def __init__(self, ranking: Ranking) -> None:
        whole = ranking.tally()
        x = logit(whole.score)
        share = (np.cumsum(whole.total) - whole.total / 2) / whole.total.sum()
        self._score = whole.score
        self._columns = _natural_spline(x, np.interp(_KNOTS, share, x))
        c = self._columns
        self._products = (c[:, :, None] * c[:, None, :]).reshape(len(c), -1)
        self._start = self._fit(whole, np.zeros(self._columns.shape[1]))

    def curve(self, counted: Tally) -> Floats:
        """Give the observed risk at each distinct prediction: (..., u); NaN where only one outcome occurs."""
        observed = expit(self._fit(counted, self._start) @ self._columns.T)
        both = (counted.positive.sum(axis=-1) > 0) & (counted.negative.sum(axis=-1) > 0)
        return np.where(both[..., None], observed, np.nan)

    def indices(self, counted: Tally) -> dict[str, Floats]:
        """Give Eavg, E50, E90 and Emax: (...) each."""
        return distances(np.abs(self.curve(counted) - self._score), counted.total)

    def _fit(self, counted: Tally, start: Floats) -> Floats:
        """Penalised logistic regression by Newton's method: coefficients (..., c)."""
        x, total, positive = self._columns, counted.total, counted.positive
        size = x.shape[1]
        penalty = np.diag([0.0, *[_RIDGE] * (size - 1)])
        weights = np.broadcast_to(start, (*total.shape[:-1], size)).copy()
        for _ in range(_STEPS):
            risk = expit(weights @ x.T)
            slope = (positive - total * risk) @ x - weights @ penalty
            bend = (total * risk * (1 - risk)) @ self._products
            bend = bend.reshape(*bend.shape[:-1], size, size) + penalty
            step = np.linalg.solve(bend + 1e-9 * np.eye(size), slope[..., None])[..., 0]
            weights += np.clip(step, -4, 4)
            if (np.abs(step) < _TOLERANCE).all():
                break
        return weights


def distances(gap: Floats, weight: Floats) -> dict[str, Floats]:
    """Summarise distances between curve and prediction: `gap`, `weight` (..., u) → (...) each.

    >>> found = distances(np.array([0.0, 0.1, 0.3]), np.array([1.0, 2, 1]))
    >>> {name: round(float(value), 3) for name, value in found.items()}
    {'e_avg': 0.125, 'e50': 0.1, 'e90': 0.3, 'e_max': 0.3}
    """
    order = np.argsort(gap, axis=-1)
    sorted_gap = np.take_along_axis(gap, order, axis=-1)
    summed = np.cumsum(np.take_along_axis(np.broadcast_to(weight, gap.shape), order, axis=-1), axis=-1)
    total = summed[..., -1]

    def quantile(share: float) -> Floats:
        first = (summed < share * total[..., None]).sum(axis=-1)
        return np.take_along_axis(sorted_gap, np.minimum(first, gap.shape[-1] - 1)[..., None], axis=-1)[
            ..., 0
        ]

    met = np.where(weight > 0, gap, 0.0)
    return {
        "e_avg": (met * weight).sum(axis=-1) / total,
        "e50": quantile(0.5),
        "e90": quantile(0.9),
        "e_max": np.where(np.isnan(sorted_gap[..., 0]), np.nan, met.max(axis=-1)),
    }


def _natural_spline(x: Floats, knots: Floats) -> Floats:
    """Columns of a natural cubic spline, the intercept first: (u, c); fewer where knots coincide.

    Harrell 2015, equation 2.25: linear beyond the outer knots.
    """
    knots = np.unique(knots)
    plain = [np.ones_like(x), x]
    if knots.size < 3:
        return np.stack(plain, axis=-1)
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2

    def cubed(knot: float) -> Floats:
        return np.maximum(x - knot, 0.0) ** 3

    bent = [
        (
            cubed(knot)
            - cubed(before) * (last - knot) / (last - before)
            + cubed(last) * (before - knot) / (last - before)
        )
        / scale
        for knot in knots[:-2]
    ]
    return np.stack([*plain, *bent], axis=-1)
