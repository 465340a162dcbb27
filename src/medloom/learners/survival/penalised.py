"""Minimising a loss of linear scores under an elastic net, along a path from strong to weak.

    loss(x w) + strength · (l1_ratio · |w|₁ + (1 − l1_ratio) / 2 · |w|²)

w is the difference of two parts ≥ 0, which makes the penalty smooth, and L-BFGS-B keeps them ≥ 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]  # of scores (n,): value and gradient

_POINTS: Final = 14
_WEAKEST: Final = 1e-3  # of the strength that sets all weights to 0
_RIDGE_AS: Final = 0.05  # a ridge has no such strength; it is taken from this l1_ratio


def strengths(x: Floats, loss: Loss, l1_ratio: float) -> Floats:
    """Give strengths from the one that sets all weights to 0 down to a thousandth of it."""
    slope = np.abs(x.T @ loss(np.zeros(len(x)))[1]).max()
    return np.asarray(np.geomspace(1, _WEAKEST, _POINTS) * max(slope, 1e-9) / max(l1_ratio, _RIDGE_AS))


def path(x: Floats, loss: Loss, l1_ratio: float, along: Floats) -> Iterator[Floats]:
    """Fit weights (c,) for each strength, each beginning at the last.

    Args:
        x: (n, c), standardised.
        loss: of scores, per sample.
        l1_ratio: 0: ridge; 1: lasso.
        along: strengths, descending.
    """
    weights = np.zeros(x.shape[1])
    for strength in along:
        weights = _fit(x, loss, float(strength) * l1_ratio, float(strength) * (1 - l1_ratio), weights)
        yield weights


def _fit(x: Floats, loss: Loss, l1: float, l2: float, start: Floats) -> Floats:
    from scipy.optimize import minimize

    c = x.shape[1]

    def objective(point: Floats) -> tuple[float, Floats]:
        weights = point[:c] - point[c:] if l1 else point
        value, gradient = loss(x @ weights)
        value += 0.5 * l2 * float(weights @ weights)
        slope = x.T @ gradient + l2 * weights
        if not l1:
            return value, slope
        return value + l1 * float(point.sum()), np.concatenate([slope + l1, l1 - slope])

    begin = np.concatenate([np.maximum(start, 0), np.maximum(-start, 0)]) if l1 else start
    bounds = [(0, None)] * (2 * c) if l1 else None
    found = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-9, "gtol": 1e-7},
    ).x
    fitted: Floats = found[:c] - found[c:] if l1 else found
    return fitted
