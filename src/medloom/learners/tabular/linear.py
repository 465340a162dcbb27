"""Logistic and linear regression with an elastic net."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, linear_contributions
from medloom.foundation.messages import tr
from medloom.learners.tabular import elastic_net
from medloom.learners.tabular.answers import Floats, answers_of, loss
from medloom.learners.tabular.elastic_net import Line
from medloom.learners.tabular.estimator import Estimator, Names
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.problem import Problem
from medloom.tasks.kinds import Kind
from medloom.training.arrays import read_array, write_arrays
from medloom.training.parameters import check_parameter
from medloom.training.products import product

# Two strengths past the best: a path that gets worse does not get better again, and its weak end takes longest.
_PATIENCE = 2
# What is only judged by its loss need not be fitted to the last digit.
_ENOUGH_TO_JUDGE = 1e-6


class LinearEstimator(Estimator):
    """Weights on standardised columns, whose mean is 0."""

    method = "coefficient × (value − mean), exact for a linear model (Lundberg and Lee 2017)"

    def __init__(self, kind: Kind, line: Line) -> None:
        self.kind = kind
        self.line = line

    def predict(self, x: NDArray[np.floating]) -> Floats:
        return answers_of(self.kind, product(x.astype(np.float64), self.line.weights) + self.line.intercept)

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        divided = linear_contributions(x.astype(np.float64), self.line.weights, self.line.intercept)
        gathered = divided.gathered(sources, n_inputs)
        return gathered.centred() if self.kind == "multiclass" else gathered

    def importance(self) -> Floats:
        # columns are standardised: a weight's size is the mean size of its contribution, times a constant
        sizes: Floats = np.abs(self.line.weights).sum(axis=1)
        return sizes

    def write(self, folder: Path) -> None:
        write_arrays(folder, weights=self.line.weights, intercept=self.line.intercept)

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        return cls(kind, Line(read_array(folder, "weights"), read_array(folder, "intercept")))

    def as_text(self, names: Names) -> str:
        lines = []
        for place, output in enumerate(names.outputs):
            weights = self.line.weights[:, place]
            order = np.argsort(-np.abs(weights), kind="stable")
            lines.append(
                tr(
                    "{output}: begins at {value:+.3g}; a standard deviation of each input adds",
                    output=output,
                    value=self.line.intercept[place],
                )
            )
            lines += [f"  {weights[at]:+.3g}  {names.inputs[at]}" for at in order if weights[at]]
        return "\n".join(lines)


@dataclass(frozen=True)
class ElasticNetLearner(TabularLearner):
    """What logistic and linear regression share: their arguments, and how the penalty's strength is tuned."""

    estimator: ClassVar[type[Estimator]] = LinearEstimator

    l1_ratios: Sequence[float] = (0.1, 0.5)
    curved: bool = True
    refit: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        ratios = self.l1_ratios
        holds = len(ratios) > 0 and all(0 <= ratio <= 1 for ratio in ratios)
        check_parameter(self.name, "l1_ratios", list(ratios), holds, tr("one or more numbers from 0 to 1"))

    def _learn(self, problem: Problem) -> Estimator:
        return LinearEstimator(problem.kind, tuned_line(problem, self.l1_ratios, self.refit))


@dataclass(frozen=True)
class LogisticLearner(ElasticNetLearner):
    """Logistic regression (softmax for several classes) with an elastic net whose strength is tuned.

    Args:
        l1_ratios: shares of the lasso to try; 0 is a ridge, 1 a lasso.
        curved: whether an input also enters by its distance from its median (`Preparation`); with False the
            log-odds are a straight line in each (clipped, where skewed logarithmic) input.
        refit: whether, once the strength is chosen, the weights are learned from train and tuning together.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "logistic"
    kinds: ClassVar = frozenset({"binary", "multiclass", "multilabel"})


@dataclass(frozen=True)
class LinearLearner(ElasticNetLearner):
    """Linear regression with an elastic net whose strength is tuned.

    Arguments as in `LogisticLearner`.
    """

    name: ClassVar = "linear"
    kinds: ClassVar = frozenset({"regression"})


def tuned_line(problem: Problem, l1_ratios: Sequence[float], refit: bool) -> Line:
    """Fit along a path for each ratio; keep what has the least loss on the tuning samples, or over folds."""
    along = {ratio: elastic_net.strengths(problem.kind, problem.x, problem.y, ratio) for ratio in l1_ratios}
    losses = {ratio: np.zeros(len(along[ratio])) for ratio in l1_ratios}
    kept: dict[tuple[float, int], Line] = {}
    for trial in problem.trials():
        for ratio in l1_ratios:
            best, since, reached = np.inf, 0, np.full(len(along[ratio]), np.inf)
            for step, line in enumerate(
                elastic_net.path(problem.kind, trial.x, trial.y, ratio, along[ratio], _ENOUGH_TO_JUDGE)
            ):
                reached[step] = loss(
                    problem.kind, trial.y_judge, answers_of(problem.kind, line.scores(trial.x_judge))
                )
                if problem.can_judge:
                    kept[ratio, step] = line
                best, since = (reached[step], 0) if reached[step] < best else (best, since + 1)
                if since > _PATIENCE:
                    break
            losses[ratio] += reached
    ratio = min(l1_ratios, key=lambda one: float(losses[one].min()))
    step = int(np.argmin(losses[ratio]))
    if (ratio, step) in kept and not refit:
        return kept[ratio, step]
    x, y = problem.together() if refit else (problem.x, problem.y)
    *_, line = elastic_net.path(problem.kind, x, y, ratio, along[ratio][: step + 1])
    return line
