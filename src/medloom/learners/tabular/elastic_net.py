"""Linear scores under an elastic-net penalty, along a path from strong to weak.

    mean loss(y, x w + b) + strength · (l1_ratio · |w|₁ + (1 − l1_ratio) / 2 · |w|²)

as in Friedman, Hastie and Tibshirani, J Stat Softw 2010;33(1). One solver for logistic,
softmax and squared loss: w is the difference of two parts ≥ 0, which makes the penalty
smooth, and L-BFGS-B keeps them ≥ 0. It takes the same time for correlated inputs, which
windows of one code are, where coordinate descent and SAGA crawl.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloom.learners.tabular.answers import Floats, answers_of, loss
from medloom.tasks.kinds import Kind

_POINTS: Final = 14
_WEAKEST: Final = 1e-3  # of the strength that sets all weights to 0
_RIDGE_AS: Final = 0.05  # a ridge has no such strength; it is taken from this l1_ratio


@dataclass(frozen=True)
class Line:
    """Scores are `x @ weights + intercept`: weights (c, k), intercept (k,)."""

    weights: Floats
    intercept: Floats

    def scores(self, x: Floats) -> Floats:
        """Score rows: (n, c) → (n, k)."""
        scores: Floats = x @ self.weights + self.intercept
        return scores


def strengths(kind: Kind, x: Floats, y: Floats, l1_ratio: float) -> Floats:
    """Give strengths from the one that sets all weights to 0 down to a thousandth of it."""
    slope = np.abs(x.T @ (_at_rest(kind, y) - y)).max() / len(y)
    strongest = max(slope, 1e-6) / max(l1_ratio, _RIDGE_AS)
    return np.asarray(np.geomspace(strongest, _WEAKEST * strongest, _POINTS))


def path(
    kind: Kind, x: Floats, y: Floats, l1_ratio: float, along: Floats, tolerance: float = 1e-8
) -> Iterator[Line]:
    """Fit one line a strength, each beginning at the last.

    Args:
        kind: `binary`, `multiclass` or `regression`.
        x: (n, c), standardised.
        y: (n, k).
        l1_ratio: 0: ridge; 1: lasso.
        along: strengths, descending.
        tolerance: relative change of the objective at which a fit ends.
    """
    rest = _at_rest(kind, y)[0]
    intercept = rest if kind == "regression" else np.log(rest) - (np.log1p(-rest) if kind == "binary" else 0)
    line = Line(np.zeros((x.shape[1], y.shape[1])), intercept)
    for strength in along:
        line = _fit(kind, x, y, float(strength), l1_ratio, line, tolerance)
        yield line


def _at_rest(kind: Kind, y: Floats) -> Floats:
    return np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)


def _fit(
    kind: Kind, x: Floats, y: Floats, strength: float, l1_ratio: float, start: Line, tolerance: float
) -> Line:
    from scipy.optimize import minimize

    n, c = x.shape
    k = y.shape[1]
    size = c * k
    l1, l2 = strength * l1_ratio, strength * (1 - l1_ratio)
    # half the squared error, so that its slope is (answer - label) like that of the log losses
    half = 0.5 if kind == "regression" else 1.0

    def split(point: Floats) -> Line:
        weights = point[:size] - point[size : 2 * size] if l1 else point[:size]
        return Line(weights.reshape(c, k), point[-k:])

    def objective(point: Floats) -> tuple[float, Floats]:
        line = split(point)
        answers = answers_of(kind, line.scores(x))
        residual = (answers - y) / n
        # log loss is a mean over outputs, of which a binary problem has one and softmax sums over all
        value = half * loss(kind, y, answers) + 0.5 * l2 * float((line.weights**2).sum())
        slope = (x.T @ residual + l2 * line.weights).ravel()
        if not l1:
            return value, np.concatenate([slope, residual.sum(axis=0)])
        value += l1 * float(point[: 2 * size].sum())
        return value, np.concatenate([slope + l1, l1 - slope, residual.sum(axis=0)])

    flat = start.weights.ravel()
    parts = [np.maximum(flat, 0), np.maximum(-flat, 0)] if l1 else [flat]
    bounds = [(0, None)] * (2 * size) + [(None, None)] * k if l1 else None
    found = minimize(
        objective,
        np.concatenate([*parts, start.intercept]),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "ftol": tolerance, "gtol": 1e-6},
    )
    return split(found.x)
