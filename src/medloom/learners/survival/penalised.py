"""Minimising a loss of linear scores under an elastic net, along a path from strong to weak.

    loss(x w) + strength · (l1_ratio · |w|₁ + (1 − l1_ratio) / 2 · |w|²)

w is the difference of two parts ≥ 0, which makes the penalty smooth, and L-BFGS-B keeps them ≥ 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Outcomes

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]  # of scores (n,): value and gradient

_POINTS: Final = 14
_WEAKEST: Final = 1e-3  # of the strength that sets all weights to 0
_RIDGE_AS: Final = 0.05  # a ridge has no such strength; it is taken from this l1_ratio
# Two strengths past the best: a path that gets worse does not get better again, and its weak end takes longest.
_PATIENCE: Final = 2


class Likelihood(Protocol):
    """How well scores (n,) fit what happened to n samples."""

    def loss(self, score: Floats) -> float:
        """Give the negative log-likelihood, per sample."""
        ...

    def slopes(self, score: Floats) -> tuple[Any, ...]:
        """Give the same, then its gradient (n,)."""
        ...


def tuned(problem: Problem, l1_ratios: Sequence[float], made: Callable[[Outcomes], Likelihood]) -> Floats:
    """Tune share of the lasso and strength by the likelihood of samples judged by; fit on all samples: (c,).

    Args:
        problem: to learn.
        l1_ratios: to try.
        made: makes the likelihood of some samples.
    """
    x, outcomes = problem.together()
    loss = _loss(made(outcomes))
    along = {ratio: strengths(x, loss, ratio) for ratio in l1_ratios}
    losses = {ratio: np.zeros(len(along[ratio])) for ratio in l1_ratios}
    for trial in problem.trials():
        judge, own = made(trial.judge), _loss(made(trial.outcomes))
        for ratio in l1_ratios:
            best, since, reached = np.inf, 0, np.full(len(along[ratio]), np.inf)
            for step, weights in enumerate(path(trial.x, own, ratio, along[ratio])):
                reached[step] = judge.loss(trial.x_judge @ weights)
                best, since = (reached[step], 0) if reached[step] < best else (best, since + 1)
                if since > _PATIENCE:
                    break
            losses[ratio] += reached
    ratio = min(l1_ratios, key=lambda one: float(losses[one].min()))
    step = int(np.argmin(losses[ratio]))
    *_, weights = path(x, loss, ratio, along[ratio][: step + 1])
    return weights


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


def _loss(likelihood: Likelihood) -> Loss:
    def loss(scores: Floats) -> tuple[float, Floats]:
        value, gradient, *_ = likelihood.slopes(scores)
        return value, gradient

    return loss


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
