"""Which settings of a learner are worth trying: a few to begin with, and a range each, drawn by Optuna.

What to begin with was chosen on tables that no benchmark of this project uses.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import optuna

Space = Callable[["optuna.Trial"], dict[str, Any]]

# Fewer samples than this and plain, strongly held models do best.
_FEW: Final = 2000

# Seconds of a trial beside those of others, on small tables; 1 where it is not known.
COSTS: Final[Mapping[str, float]] = {
    "tree": 0.05,
    "linear": 0.5,
    "svm": 0.7,
    "logistic": 0.8,
    "gbdt": 1.0,
    "mlp": 3.0,
    "forest": 4.0,
}

# What of a learner is enough to judge settings by; the blend has it whole.
LIGHT: Final[Mapping[str, Mapping[str, Any]]] = {
    "gbdt": {"n_models": 1},
    "mlp": {"n_models": 1},
    "forest": {"n_trees": 100},
}

# Seconds of learning it whole beside those of a trial; 1 where it is not known.
AGAIN: Final[Mapping[str, float]] = {"gbdt": 1.8, "mlp": 0.6, "forest": 0.6}
_STARTS_OF_FEW: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "logistic": ({}, {"l1_ratios": [0.0], "curved": False}),
    # trees of one question: a sum of curves
    "gbdt": ({"num_leaves": 2}, {}),
    "forest": ({"max_features": 0.5, "min_leaf": 10}, {}),
    "svm": (
        {"kernel": "linear", "costs": [0.01, 0.1, 1.0]},
        {"n_components": 500, "widths": [0.02, 0.1], "costs": [0.1, 0.3, 1.0]},
    ),
    "mlp": ({"hidden": [16], "learning_rate": 0.005, "penalty": 1.0, "max_epochs": 100},),
}


def starts(learner: str, n: int) -> Sequence[Mapping[str, Any]]:
    """Give the settings to begin with, where there are n samples; as it is, if none are known."""
    return _STARTS_OF_FEW.get(learner, ({},)) if n < _FEW else ({},)


def draw(trial: "optuna.Trial", learner: str) -> dict[str, Any]:
    """Draw settings of a learner; one whose space is not known is tried as it is."""
    space = SPACES.get(learner)
    return {} if space is None else space(trial)


def _gbdt(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("gbdt.learning_rate", 0.02, 0.1, log=True),
        "num_leaves": trial.suggest_int("gbdt.num_leaves", 2, 31, log=True),
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
