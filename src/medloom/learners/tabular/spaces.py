"""Which settings of a learner are worth trying: a range each, drawn by Optuna."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

Space = Callable[["optuna.Trial"], dict[str, Any]]


def draw(trial: "optuna.Trial", learner: str) -> dict[str, Any]:
    """Draw settings of a learner; one whose space is not known is tried as it is."""
    space = SPACES.get(learner)
    return {} if space is None else space(trial)


def _gbdt(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("gbdt.learning_rate", 0.02, 0.1, log=True),
        "num_leaves": trial.suggest_int("gbdt.num_leaves", 4, 31, log=True),
        "min_leaf": trial.suggest_int("gbdt.min_leaf", 10, 80, log=True),
        "feature_fraction": trial.suggest_float("gbdt.feature_fraction", 0.1, 0.8),
        "lambda_l2": trial.suggest_float("gbdt.lambda_l2", 1.0, 100.0, log=True),
        "extra_trees": trial.suggest_categorical("gbdt.extra_trees", [True, False]),
    }


def _elastic_net(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "l1_ratios": [trial.suggest_categorical("elastic.l1_ratio", [0.0, 0.1, 0.5, 1.0])],
        "curved": trial.suggest_categorical("elastic.curved", [True, False]),
    }


def _tree(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("tree.max_depth", 2, 8),
        "min_leaf": trial.suggest_int("tree.min_leaf", 5, 100, log=True),
    }


def _forest(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "min_leaf": trial.suggest_int("forest.min_leaf", 1, 20, log=True),
        "max_features": trial.suggest_float("forest.max_features", 0.03, 0.5, log=True),
    }


def _svm(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "costs": [trial.suggest_float("svm.cost", 0.01, 10.0, log=True)],
        "widths": [trial.suggest_float("svm.width", 0.05, 5.0, log=True)],
    }


def _mlp(trial: "optuna.Trial") -> dict[str, Any]:
    units = trial.suggest_categorical("mlp.units", [16, 32, 64])
    layers = trial.suggest_int("mlp.layers", 1, 2)
    return {
        "hidden": [units] * layers,
        "penalty": trial.suggest_float("mlp.penalty", 1e-4, 10.0, log=True),
        "learning_rate": trial.suggest_float("mlp.learning_rate", 3e-4, 1e-2, log=True),
    }


SPACES: Mapping[str, Space] = {
    "gbdt": _gbdt,
    "logistic": _elastic_net,
    "linear": _elastic_net,
    "tree": _tree,
    "forest": _forest,
    "svm": _svm,
    "mlp": _mlp,
}
