"""Support vector machines that hold no support vectors.

A kernel machine's support vectors are training patients, row by row; a package of one
would carry them along. Here the kernel is replaced by random Fourier features (Rahimi and
Recht, NIPS 2007), in which the machine is linear and its package holds weights alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np

from medloom.foundation.messages import tr
from medloom.foundation.seeds import generator
from medloom.learners.tabular.answers import Floats, answers_of, loss
from medloom.learners.tabular.layered import LayeredEstimator, standard
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.problem import Problem, Trial
from medloom.tasks.kinds import Kind
from medloom.training.arrays import read_array, write_arrays
from medloom.training.networks import typical_rows
from medloom.training.parameters import check_parameter
from medloom.training.products import product

_FOLDS: Final = 3


@dataclass(frozen=True)
class Margins:
    """From the first product to scores: features of a kernel, weights on them, a slope and a level for each output.

    Attributes:
        phase: (d,) of the cosines; empty: no kernel, the first product is the margin.
        weights: (d, k); empty without a kernel.
        bias: (k,) of the margins.
        slope, level: (k,) from margins to scores (Platt 1999), or back to the unit of a value.
    """

    phase: Floats
    weights: Floats
    bias: Floats
    slope: Floats
    level: Floats

    def of(self, reached: Floats) -> Floats:
        """Give margins: (m, d) → (m, k)."""
        if not len(self.phase):
            return reached + self.bias
        features = np.sqrt(2 / len(self.phase)) * np.cos(reached + self.phase)
        return product(features, self.weights) + self.bias


class SvmEstimator(LayeredEstimator):
    """Margins, turned into probabilities by Platt's sigmoid."""

    def __init__(self, kind: Kind, first: Floats, background: Floats, margins: Margins) -> None:
        super().__init__(kind, first, background)
        self.margins = margins

    def rest(self, reached: Floats) -> Floats:
        scores = self.margins.of(reached) * self.margins.slope + self.margins.level
        # one sigmoid a class, made to sum to 1: the softmax of their logarithms
        return -np.logaddexp(0, -scores) if self.kind == "multiclass" else scores

    def write(self, folder: Path) -> None:
        m = self.margins
        write_arrays(folder, first=self.first, background=self.background, phase=m.phase, weights=m.weights)
        write_arrays(folder, bias=m.bias, slope=m.slope, level=m.level)

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        margins = Margins(
            *(read_array(folder, name) for name in ("phase", "weights", "bias", "slope", "level"))
        )
        return cls(kind, read_array(folder, "first"), read_array(folder, "background"), margins)


@dataclass(frozen=True)
class SvmLearner(TabularLearner):
    """A support vector machine with a Gaussian or a linear kernel; width and cost are tuned.

    Probabilities come from Platt's sigmoid, fitted on the tuning samples or on margins of left-out folds.

    Args:
        kernel: `rbf` or `linear`.
        costs: costs of a violated margin to try (C).
        widths: for rbf, values to try of gamma × number of columns.
        n_components: random Fourier features that stand for the kernel.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "svm"
    kinds: ClassVar = frozenset({"binary", "multiclass", "multilabel", "regression"})
    estimator: ClassVar[type[SvmEstimator]] = SvmEstimator

    kernel: Literal["rbf", "linear"] = "rbf"
    costs: Sequence[float] = (0.1, 1.0, 10.0)
    widths: Sequence[float] = (0.1, 0.3, 1.0)
    n_components: int = 2000
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(
            self.name, "kernel", self.kernel, self.kernel in ("rbf", "linear"), tr("rbf or linear")
        )
        for name in ("costs", "widths"):
            values = getattr(self, name)
            holds = len(values) > 0 and all(value > 0 for value in values)
            check_parameter(self.name, name, list(values), holds, tr("one or more numbers above 0"))
        check_parameter(self.name, "n_components", self.n_components, self.n_components >= 1, tr("1 or more"))

    def _learn(self, problem: Problem) -> SvmEstimator:
        kernel = _Kernel(self, problem)
        scale = standard(problem.y) if problem.kind == "regression" else (0.0, 1.0)
        trials = [*problem.trials(_FOLDS)]
        # first the width at a middling cost, then the cost at that width: a third of the time of trying all pairs
        widths = self.widths if self.kernel == "rbf" else (1.0,)
        middling = sorted(self.costs)[len(self.costs) // 2]
        tried = [self._judged(problem, trials, kernel, width, middling, scale) for width in widths]
        width = min(tried, key=lambda one: one.loss).width
        costs = [cost for cost in self.costs if cost != middling]
        tried += [self._judged(problem, trials, kernel, width, cost, scale) for cost in costs]
        best = min(tried, key=lambda one: one.loss)
        x, y = problem.together()
        machine = _fit(problem.kind, kernel.features(x, best.width), _scaled(y, scale), best.cost)
        first, margins = kernel.margins(machine, best)
        estimator = SvmEstimator(problem.kind, first, np.empty((0, 0)), margins)
        scores = estimator.rest(product(problem.x, first))
        return SvmEstimator(problem.kind, first, typical_rows(problem.x, scores), margins)

    def _judged(
        self,
        problem: Problem,
        trials: Sequence[Trial],
        kernel: "_Kernel",
        width: float,
        cost: float,
        scale: tuple[float, float],
    ) -> "_Judged":
        margins = []
        for trial in trials:
            machine = _fit(problem.kind, kernel.features(trial.x, width), _scaled(trial.y, scale), cost)
            margins.append(machine.margins(kernel.features(trial.x_judge, width)))
        labels = np.vstack([trial.y_judge for trial in trials])
        return _Judged.of(problem.kind, width, cost, np.vstack(margins), labels, scale)


@dataclass(frozen=True)
class _Machine:
    weights: Floats  # (d, k)
    bias: Floats  # (k,)

    def margins(self, features: Floats) -> Floats:
        margins: Floats = features @ self.weights + self.bias
        return margins


class _Kernel:
    """Random Fourier features of a Gaussian kernel, or the columns themselves."""

    def __init__(self, learner: SvmLearner, problem: Problem) -> None:
        self._linear = learner.kernel == "linear"
        self._columns = problem.x.shape[1]
        components = 0 if self._linear else learner.n_components
        rng = generator(problem.seed, "fourier")
        self._directions = rng.standard_normal((self._columns, components))
        self._phase = rng.uniform(0, 2 * np.pi, components)

    def first(self, width: float) -> Floats:
        # exp(-gamma |a - b|²) with gamma = width / columns
        directions: Floats = self._directions * np.sqrt(2 * width / self._columns)
        return directions

    def features(self, x: Floats, width: float) -> Floats:
        if self._linear:
            return x
        features: Floats = np.sqrt(2 / len(self._phase)) * np.cos(x @ self.first(width) + self._phase)
        return features

    def margins(self, machine: _Machine, judged: "_Judged") -> tuple[Floats, Margins]:
        if self._linear:
            return machine.weights, Margins(
                np.empty(0), np.empty((0, 0)), machine.bias, judged.slope, judged.level
            )
        margins = Margins(self._phase, machine.weights, machine.bias, judged.slope, judged.level)
        return self.first(judged.width), margins


@dataclass(frozen=True)
class _Judged:
    width: float
    cost: float
    slope: Floats
    level: Floats
    loss: float = field(compare=False)

    @classmethod
    def of(
        cls, kind: Kind, width: float, cost: float, margins: Floats, y: Floats, scale: tuple[float, float]
    ) -> "_Judged":
        k = margins.shape[1]
        if kind == "regression":
            centre, unit = scale
            return cls(
                width, cost, np.full(k, unit), np.full(k, centre), loss(kind, y, margins * unit + centre)
            )
        fitted = [_sigmoid(margins[:, column], y[:, column]) for column in range(k)]
        slope, level = np.array([one[0] for one in fitted]), np.array([one[1] for one in fitted])
        scores = margins * slope + level
        answers = answers_of(kind, -np.logaddexp(0, -scores) if kind == "multiclass" else scores)
        return cls(width, cost, slope, level, loss(kind, y, answers))


def _scaled(y: Floats, scale: tuple[float, float]) -> Floats:
    return (y - scale[0]) / scale[1]


def _fit(kind: Kind, features: Floats, y: Floats, cost: float) -> _Machine:
    from sklearn.svm import LinearSVC, LinearSVR

    if kind == "regression":
        machine: Any = LinearSVR(
            C=cost, loss="squared_epsilon_insensitive", epsilon=0.1, dual=False, max_iter=2000
        )
        machine.fit(features, y[:, 0])
        return _Machine(machine.coef_.reshape(-1, 1), np.atleast_1d(machine.intercept_))
    columns = []
    for column in y.T:  # several classes: each against the rest
        machine = LinearSVC(C=cost, dual=False, tol=1e-3, max_iter=2000)
        machine.fit(features, column)
        columns.append((machine.coef_[0], machine.intercept_[0]))
    return _Machine(np.column_stack([one[0] for one in columns]), np.array([one[1] for one in columns]))


def _sigmoid(margin: Floats, y: Floats) -> tuple[float, float]:
    """Fit Platt's sigmoid: slope and level of the log-odds in the margin, with his smoothed targets."""
    from scipy.optimize import minimize

    n_with, n_without = y.sum(), len(y) - y.sum()
    target = np.where(y > 0, (n_with + 1) / (n_with + 2), 1 / (n_without + 2))

    def objective(point: Floats) -> tuple[float, Floats]:
        score = point[0] * margin + point[1]
        value = float(np.mean(np.logaddexp(0, score) - target * score))
        off = answers_of("binary", score[:, None])[:, 0] - target
        return value, np.array([np.mean(off * margin), np.mean(off)])

    # a slope below 0 would turn the machine round on a few samples' word
    bounds = [(0, None), (None, None)]
    start = [1.0, float(np.log((n_with + 1) / (n_without + 1)))]
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), float(found.x[1])
