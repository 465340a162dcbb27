"""Cox regression under an elastic net; with competing events one hazard each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, linear_contributions
from medloom.learners.survival import penalised
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.hazards import Baseline
from medloom.learners.survival.partial_likelihood import PartialLikelihood
from medloom.learners.survival.problem import Problem, Trial
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.arrays import read_array, write_arrays
from medloom.training.products import product

Floats = NDArray[np.float64]

# Two strengths past the best: a path that gets worse does not get better again, and its weak end takes longest.
_PATIENCE: Final = 2


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
    """Tune the strength for each event by the partial likelihood of samples judged by; fit on all samples."""
    x, outcomes = problem.together()
    trials = list(problem.trials())
    weights = np.column_stack(
        [_tuned(x, outcomes, trials, cause, l1_ratios) for cause in range(1, outcomes.causes + 1)]
    )
    return CoxEstimator(Baseline.of(outcomes, x @ weights, problem.times), weights)


def _tuned(
    x: Floats, outcomes: Outcomes, trials: Sequence[Trial], cause: int, l1_ratios: Sequence[float]
) -> Floats:
    loss = _loss(outcomes.of(cause))
    along = {ratio: penalised.strengths(x, loss, ratio) for ratio in l1_ratios}
    losses = {ratio: np.zeros(len(along[ratio])) for ratio in l1_ratios}
    for trial in trials:
        judge = PartialLikelihood(trial.judge.of(cause))
        own = _loss(trial.outcomes.of(cause))
        for ratio in l1_ratios:
            best, since, reached = np.inf, 0, np.full(len(along[ratio]), np.inf)
            for step, weights in enumerate(penalised.path(trial.x, own, ratio, along[ratio])):
                reached[step] = judge.loss(trial.x_judge @ weights)
                best, since = (reached[step], 0) if reached[step] < best else (best, since + 1)
                if since > _PATIENCE:
                    break
            losses[ratio] += reached
    ratio = min(l1_ratios, key=lambda one: float(losses[one].min()))
    step = int(np.argmin(losses[ratio]))
    *_, weights = penalised.path(x, loss, ratio, along[ratio][: step + 1])
    return weights


def _loss(outcomes: Outcomes) -> penalised.Loss:
    likelihood = PartialLikelihood(outcomes)
    return lambda scores: likelihood.slopes(scores)[:2]
