"""Gradient-boosted decision trees by LightGBM."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import boosted_contributions
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.tabular.answers import Floats, answers_of
from medloom.learners.tabular.estimator import Estimator
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.problem import Problem, Trial
from medloom.tasks.kinds import Kind
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    import lightgbm

_OBJECTIVES: Final = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}
# As many inputs as a tree may choose from at least: a share of few would leave none that matters.
_INPUTS_TO_CHOOSE_FROM: Final = 12


class BoostedEstimator(Estimator):
    """The mean score of several boosted models, as an answer."""

    method = "TreeSHAP, path-dependent (Lundberg et al. 2020), by LightGBM"

    def __init__(self, kind: Kind, boosters: Sequence["lightgbm.Booster"]) -> None:
        self.kind = kind
        self.boosters = tuple(boosters)

    def predict(self, x: NDArray[np.floating]) -> Floats:
        scores = self._mean([self._asked(booster, x, raw_score=True) for booster in self.boosters])
        return answers_of(self.kind, scores.reshape(len(x), -1))

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        k = self.boosters[0].num_model_per_iteration()
        raw = self._mean([self._asked(booster, x, pred_contrib=True) for booster in self.boosters])
        divided = boosted_contributions(raw, k).gathered(sources, n_inputs)
        return divided.centred() if self.kind == "multiclass" else divided

    def importance(self) -> Floats:
        gains = [booster.feature_importance("gain") for booster in self.boosters]
        total: Floats = np.sum(gains, axis=0, dtype=np.float64)
        return total

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for place, booster in enumerate(self.boosters):
            (folder / f"booster-{place}.txt").write_text(booster.model_to_string(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        import lightgbm

        paths = [folder / f"booster-{place}.txt" for place in range(len(list(folder.glob("booster-*.txt"))))]
        return cls(kind, [lightgbm.Booster(model_str=path.read_text(encoding="utf-8")) for path in paths])

    @staticmethod
    def _mean(each: Sequence[Floats]) -> Floats:
        total = each[0]
        for more in each[1:]:
            total = total + more
        return total / len(each)

    def _asked(self, booster: "lightgbm.Booster", x: NDArray[np.floating], **what: bool) -> Any:
        # starting threads takes longer than a few rows do
        more: dict[str, Any] = {"num_threads": 1} if len(x) < 32 else {}
        return booster.predict(x, **what, **more)


@dataclass(frozen=True)
class GbdtLearner(TabularLearner):
    """Gradient-boosted decision trees (LightGBM), stopped early on the tuning samples.

    Defaults were chosen by cross-validation on ICU stays (PhysioNet 2012, set a).

    Args:
        n_models: boosted models, each with its own seed, whose scores are averaged.
        learning_rate: of each tree.
        num_leaves: of each tree at most.
        min_leaf: samples in a leaf at least; None: 40, less where there are fewer than 1,600 samples.
        feature_fraction: share of the inputs each tree chooses from.
        bagging_fraction: share of the samples each tree learns from.
        lambda_l2: penalty on leaf values.
        extra_trees: whether thresholds are drawn at random: faster, and no worse on noisy data.
        max_bin: steps a number is rounded to.
        max_rounds: trees at most.
        patience: trees without gain on the tuning samples before it stops.
        refit: whether, once the number of trees is chosen, they are grown from train and tuning together.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "gbdt"
    kinds: ClassVar = frozenset({"binary", "multiclass", "multilabel", "regression"})
    estimator: ClassVar[type[Estimator]] = BoostedEstimator
    prepares: ClassVar[bool] = False
    takes_sparse: ClassVar[bool] = True

    n_models: int = 3
    learning_rate: float = 0.05
    num_leaves: int = 15
    min_leaf: int | None = None
    feature_fraction: float = 0.3
    bagging_fraction: float = 0.8
    lambda_l2: float = 20.0
    extra_trees: bool = True
    max_bin: int = 63
    max_rounds: int = 3000
    patience: int = 60
    refit: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        for name in ("n_models", "max_rounds", "patience"):
            value = getattr(self, name)
            check_parameter(self.name, name, value, value >= 1, tr("1 or more"))
        for name in ("learning_rate", "feature_fraction", "bagging_fraction"):
            value = getattr(self, name)
            check_parameter(self.name, name, value, 0 < value <= 1, tr("above 0 and up to 1"))
        for name in ("num_leaves", "max_bin"):
            value = getattr(self, name)
            check_parameter(self.name, name, value, value >= 2, tr("2 or more"))
        if self.min_leaf is not None:
            check_parameter(self.name, "min_leaf", self.min_leaf, self.min_leaf >= 1, tr("1 or more"))
        check_parameter(self.name, "lambda_l2", self.lambda_l2, self.lambda_l2 >= 0, tr("0 or more"))

    def _objective(self, kind: Kind) -> dict[str, Any]:
        """Say what LightGBM is to learn."""
        return {"objective": _OBJECTIVES[kind]}

    def _learn(self, problem: Problem) -> Estimator:
        boosters = [self._boosted(problem, problem.trial(place), place) for place in range(self.n_models)]
        return BoostedEstimator(problem.kind, boosters)

    def _boosted(self, problem: Problem, trial: Trial, place: int) -> "lightgbm.Booster":
        import lightgbm

        n, inputs = trial.x.shape
        parameters: dict[str, Any] = {
            **self._objective(problem.kind),
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_leaf or int(np.clip(n // 40, 2, 40)),
            "feature_fraction": max(self.feature_fraction, min(1.0, _INPUTS_TO_CHOOSE_FROM / inputs)),
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            # in the scale of sums over a leaf: a penalty fit for thousands of samples would flatten a hundred
            "lambda_l2": self.lambda_l2 * min(1.0, n / 3000),
            "extra_trees": self.extra_trees,
            "max_bin": self.max_bin,
            "seed": derive(problem.seed, "boosting", str(place)) & 0x7FFFFFFF,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if problem.kind == "multiclass":
            parameters["num_class"] = problem.y.shape[1]
        learned = lightgbm.Dataset(trial.x, _target(problem, trial.y), params=parameters, free_raw_data=True)
        judged = lightgbm.Dataset(
            trial.x_judge, _target(problem, trial.y_judge), reference=learned, params=parameters
        )
        stop = lightgbm.early_stopping(self.patience, verbose=False)
        booster = lightgbm.train(parameters, learned, self.max_rounds, valid_sets=[judged], callbacks=[stop])
        if self.refit:
            x, y = problem.together()
            everything = lightgbm.Dataset(x, _target(problem, y), params=parameters, free_raw_data=True)
            booster = lightgbm.train(parameters, everything, max(booster.best_iteration, 1))
            return lightgbm.Booster(model_str=booster.model_to_string())
        # only the rounds up to the best are kept, as they are when it is read back
        return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def _target(problem: Problem, y: Floats) -> NDArray[np.generic]:
    return y.argmax(axis=1) if problem.kind == "multiclass" else y[:, 0]
