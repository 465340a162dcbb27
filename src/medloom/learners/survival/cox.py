"""Cox regression under an elastic net; with competing events one hazard each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, linear_contributions
from medloom.learners.survival import penalised
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.hazards import Baseline
from medloom.learners.survival.partial_likelihood import PartialLikelihood
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.arrays import read_array, write_arrays
from medloom.training.products import product

Floats = NDArray[np.float64]


class CoxEstimator(SurvivalEstimator):
    """Weights on standardised columns, whose mean is 0, over a baseline."""

    method = "coefficient × (value − mean), exact for a linear model (Lundberg and Lee 2017)"
    scale = "log-hazard"

    def __init__(self, baseline: Baseline, weights: Floats) -> None:
        self.times = baseline.times
        self.baseline = baseline
        self.weights = weights  # (c, k)

    def curves(self, x: NDArray[np.floating]) -> Curves:
        return self.baseline.curves(self.scores(x))

    def scores(self, x: NDArray[np.floating]) -> Floats:
        return product(x.astype(np.float64), self.weights)

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        nothing = np.zeros(self.weights.shape[1])
        return linear_contributions(x.astype(np.float64), self.weights, nothing).gathered(sources, n_inputs)

    def importance(self) -> Floats:
        # columns are standardised: a weight's size is the mean size of its contribution, times a constant
        sizes: Floats = np.abs(self.weights).sum(axis=1)
        return sizes

    def write(self, folder: Path) -> None:
        write_arrays(folder, times=self.times, hazard=self.baseline.hazard, weights=self.weights)

    @classmethod
    def read(cls, folder: Path) -> Self:
        times, hazard, weights = (read_array(folder, name) for name in ("times", "hazard", "weights"))
        return cls(Baseline(times, hazard), weights)


def learned_cox(problem: Problem, l1_ratios: Sequence[float]) -> CoxEstimator:
    """Tune the penalty for each event, and fit on all samples."""
    x, outcomes = problem.together()
    weights = np.column_stack(
        [penalised.tuned(problem, l1_ratios, _likelihood(cause)) for cause in range(1, outcomes.causes + 1)]
    )
    return CoxEstimator(Baseline.of(outcomes, x @ weights, problem.times), weights)


def _likelihood(cause: int) -> Callable[[Outcomes], PartialLikelihood]:
    return lambda outcomes: PartialLikelihood(outcomes.of(cause))
