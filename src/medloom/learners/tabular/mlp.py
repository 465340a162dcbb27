"""Small neural networks: learned by scikit-learn epoch by epoch, stopped on the tuning samples, kept as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np

from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.tabular.answers import Floats, answers_of, loss
from medloom.learners.tabular.layered import LayeredEstimator, standard
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.problem import Problem, Trial
from medloom.tasks.kinds import Kind
from medloom.training.arrays import read_array, write_arrays
from medloom.training.networks import (
    Network,
    first_layers,
    mean_after_first,
    read_networks,
    typical_rows,
    write_networks,
)
from medloom.training.parameters import check_parameter
from medloom.training.products import product

_BATCH: Final = 64


class MlpEstimator(LayeredEstimator):
    """The mean score of several networks."""

    def __init__(self, kind: Kind, networks: Sequence[Network], background: Floats) -> None:
        super().__init__(kind, first_layers(networks), background)
        self.networks = tuple(networks)

    def rest(self, reached: Floats) -> Floats:
        return mean_after_first(self.networks, reached)

    def write(self, folder: Path) -> None:
        write_arrays(folder, background=self.background)
        write_networks(folder, self.networks)

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        return cls(kind, read_networks(folder), read_array(folder, "background"))


@dataclass(frozen=True)
class MlpLearner(TabularLearner):
    """A small neural network, or rather the mean of several that began differently.

    Args:
        hidden: units of each hidden layer.
        penalty: on the squares of weights.
        learning_rate: of Adam.
        n_models: networks to average.
        max_epochs: passes over the training samples at most.
        patience: passes without gain on the tuning samples before it stops.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "mlp"
    kinds: ClassVar = frozenset({"binary", "multiclass", "multilabel", "regression"})
    estimator: ClassVar[type[MlpEstimator]] = MlpEstimator

    hidden: Sequence[int] = (32,)
    penalty: float = 3.0
    learning_rate: float = 0.001
    n_models: int = 3
    max_epochs: int = 200
    patience: int = 10
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        holds = len(self.hidden) > 0 and all(units >= 1 for units in self.hidden)
        check_parameter(self.name, "hidden", list(self.hidden), holds, tr("one or more numbers of units"))
        check_parameter(self.name, "penalty", self.penalty, self.penalty >= 0, tr("0 or more"))
        check_parameter(self.name, "learning_rate", self.learning_rate, self.learning_rate > 0, tr("above 0"))
        for name in ("n_models", "max_epochs", "patience"):
            value = getattr(self, name)
            check_parameter(self.name, name, value, value >= 1, tr("1 or more"))

    def _learn(self, problem: Problem) -> MlpEstimator:
        networks = [self._network(problem, problem.trial(place), place) for place in range(self.n_models)]
        estimator = MlpEstimator(problem.kind, networks, np.empty((0, 0)))
        scores = estimator.rest(product(problem.x, estimator.first))
        return MlpEstimator(problem.kind, networks, typical_rows(problem.x, scores))

    def _network(self, problem: Problem, trial: Trial, place: int) -> Network:
        kind = problem.kind
        centre, unit = standard(trial.y) if kind == "regression" else (0.0, 1.0)
        learned = self._unfitted(kind, derive(problem.seed, "network", str(place)))
        target = trial.y.argmax(axis=1) if kind == "multiclass" else (trial.y[:, 0] - centre) / unit
        more = {} if kind == "regression" else {"classes": np.unique(target)}
        best, least, since = Network((), ()), np.inf, 0
        for _ in range(self.max_epochs):
            learned.partial_fit(trial.x, target, **more)
            network = _as_it_is(learned, kind)
            scores = network.after_first(trial.x_judge @ network.weights[0])
            reached = loss(kind, trial.y_judge, answers_of(kind, scores * unit + centre))
            if reached < least:
                best, least, since = network, reached, 0
            else:
                since += 1
            if since >= self.patience:
                break
        *weights, last = best.weights
        *biases, level = best.biases
        return Network((*weights, last * unit), (*biases, level * unit + centre))

    def _unfitted(self, kind: Kind, state: int) -> Any:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        made = MLPRegressor if kind == "regression" else MLPClassifier
        return made(
            hidden_layer_sizes=tuple(self.hidden),
            alpha=self.penalty,
            learning_rate_init=self.learning_rate,
            batch_size=_BATCH,
            random_state=state,
        )


def _as_it_is(learned: Any, kind: Kind) -> Network:
    """Copy what scikit-learn has learned so far; it goes on learning in place."""
    *weights, last = [np.array(array, dtype=np.float64) for array in learned.coefs_]
    *biases, level = [np.array(array, dtype=np.float64) for array in learned.intercepts_]
    if kind == "multiclass" and last.shape[1] == 1:  # of two classes it scores the second; both need one
        last, level = np.hstack([-last / 2, last / 2]), np.concatenate([-level / 2, level / 2])
    return Network((*weights, last), (*biases, level))
