"""Accelerated failure time: inputs make time run faster or slower. Weibull and log-normal, with a ridge.

    log T = level − score + width · ε,   ε: smallest extreme value (Weibull) or normal (log-normal)

Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, 2nd ed. 2002, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, linear_contributions
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.arrays import read_array, write_arrays
from medloom.training.nonparametric import incidence_of_hazards
from medloom.training.products import product

Floats = NDArray[np.float64]
Shape = Literal["weibull", "lognormal"]
SHAPES: Final[tuple[Shape, ...]] = ("weibull", "lognormal")

# A time of 0 has no logarithm; it is taken as so small a part of the shortest other one.
_ZERO: Final = 0.5
_FAR: Final = 30.0


@dataclass(frozen=True)
class Acceleration:
    """One event's model.

    Attributes:
        shape: of the errors.
        weights: (c,) more is sooner.
        level: of log time.
        width: of log time.
    """

    shape: Shape
    weights: Floats
    level: float
    width: float

    def hazard(self, scores: Floats, times: Floats) -> Floats:
        """Give the cumulative hazard at times (t,) for scores (n,): (n, t)."""
        with np.errstate(divide="ignore"):
            z = (np.log(times) - self.level + scores[:, None]) / self.width
        return _cumulative(self.shape, np.clip(z, -_FAR, _FAR if self.shape == "lognormal" else 5.0))


class AcceleratedEstimator(SurvivalEstimator):
    """An acceleration an event; weights on standardised columns, whose mean is 0."""

    method = "coefficient × (value − mean), exact for a linear model (Lundberg and Lee 2017)"
    scale = "log acceleration"

    def __init__(self, times: Floats, each: tuple[Acceleration, ...]) -> None:
        self.times = times
        self.each = each
        self.weights: Floats = np.column_stack([one.weights for one in each])

    def curves(self, x: NDArray[np.floating]) -> Curves:
        scores = self.scores(x)
        hazard = [one.hazard(scores[:, column], self.times) for column, one in enumerate(self.each)]
        return Curves(self.times, incidence_of_hazards(np.stack(hazard, axis=1)))

    def scores(self, x: NDArray[np.floating]) -> Floats:
        return product(x.astype(np.float64), self.weights)

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        nothing = np.zeros(len(self.each))
        return linear_contributions(x.astype(np.float64), self.weights, nothing).gathered(sources, n_inputs)

    def importance(self) -> Floats:
        sizes: Floats = np.abs(self.weights).sum(axis=1)
        return sizes

    def write(self, folder: Path) -> None:
        form = np.array([[SHAPES.index(one.shape), one.level, one.width] for one in self.each])
        write_arrays(folder, times=self.times, weights=self.weights, form=form)

    @classmethod
    def read(cls, folder: Path) -> Self:
        times, weights, form = (read_array(folder, name) for name in ("times", "weights", "form"))
        each = tuple(
            Acceleration(
                SHAPES[int(shape)], np.ascontiguousarray(weights[:, column]), float(level), float(width)
            )
            for column, (shape, level, width) in enumerate(form)
        )
        return cls(times, each)


def learned_acceleration(
    problem: Problem, shapes: tuple[Shape, ...], strengths: Floats
) -> AcceleratedEstimator:
    """Choose shape and strength of the ridge, once an event, by the likelihood of samples judged by; fit on all."""
    x, outcomes = problem.together()
    trials = list(problem.trials())
    each = []
    for cause in range(1, outcomes.causes + 1):
        losses = np.zeros((len(shapes), len(strengths)))
        for trial in trials:
            own, judge = trial.outcomes.of(cause), trial.judge.of(cause)
            for row, shape in enumerate(shapes):
                start = None
                for column, strength in enumerate(strengths):
                    start = _fit(trial.x, own, shape, float(strength), start, 1e-6)
                    losses[row, column] += _loss(trial.x_judge, judge, start, _log_time(own))[0]
        best = int(np.argmin(losses))
        row, column = divmod(best, len(strengths))
        each.append(_fit(x, outcomes.of(cause), shapes[row], float(strengths[column]), None))
    return AcceleratedEstimator(problem.times, tuple(each))


def _fit(
    x: Floats,
    outcomes: Outcomes,
    shape: Shape,
    strength: float,
    start: Acceleration | None,
    precision: float = 1e-10,
) -> Acceleration:
    from scipy.optimize import minimize

    log_time = _log_time(outcomes)
    c = x.shape[1]
    seen = log_time(outcomes.time)[outcomes.cause == 1]
    if start is None:
        spread = max(float(seen.std()), 0.1)
        start = Acceleration(shape, np.zeros(c), float(log_time(outcomes.time).mean()) + spread, spread)

    def at(point: Floats) -> Acceleration:
        return Acceleration(shape, point[:c], float(point[c]), float(np.exp(point[c + 1])))

    def objective(point: Floats) -> tuple[float, Floats]:
        model = at(point)
        loss, by_score, by_width = _loss(x, outcomes, model, log_time)
        value = loss + 0.5 * strength * float(model.weights @ model.weights)
        slope = np.concatenate([x.T @ by_score + strength * model.weights, [-by_score.sum(), by_width]])
        return value, slope

    begin = np.concatenate([start.weights, [start.level, np.log(start.width)]])
    bounds = [(None, None)] * (c + 1) + [(-4.0, 4.0)]
    found = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 300, "ftol": precision},
    )
    return at(found.x)


def _loss(
    x: Floats, outcomes: Outcomes, model: Acceleration, log_time: Callable[[Floats], Floats]
) -> tuple[float, Floats, float]:
    """Give the negative log likelihood per sample, its slope in each score (n,), and in the logarithm of the width."""
    n = len(outcomes)
    happened = outcomes.cause == 1
    y = log_time(outcomes.time)
    z = np.clip((y - model.level + x @ model.weights) / model.width, -_FAR, _FAR)
    if model.shape == "weibull":
        power = np.exp(np.minimum(z, _FAR))
        log_density, log_free = z - power, -power
        density_slope, free_slope = 1 - power, -power
    else:
        from scipy.special import log_ndtr

        log_free = log_ndtr(-z)
        log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        free_slope = -np.exp(log_density - log_free)
        density_slope = -z
    # density of time itself, so that shapes can be compared
    value = np.where(happened, log_density - np.log(model.width) - y, log_free)
    by_z = np.where(happened, density_slope, free_slope)
    by_width = float((by_z * z + happened).sum()) / n
    return -float(value.mean()), -by_z / model.width / n, by_width


def _log_time(outcomes: Outcomes) -> Callable[[Floats], Floats]:
    """Make the logarithm of times, in which a time of 0 is a little less than the shortest other one."""
    some = outcomes.time[outcomes.time > 0]
    least = _ZERO * float(some.min()) if len(some) else 1.0
    return lambda time: np.log(np.maximum(time, least))


def _cumulative(shape: Shape, z: Floats) -> Floats:
    if shape == "weibull":
        hazard: Floats = np.exp(z)
        return hazard
    from scipy.special import log_ndtr

    free: Floats = -log_ndtr(-z)
    return free
