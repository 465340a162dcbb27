"""The learners of prognosis, as they are registered: their arguments and what each is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np

from medloom.foundation.messages import tr
from medloom.learners.survival.accelerated import SHAPES, AcceleratedEstimator, Shape, learned_acceleration
from medloom.learners.survival.average import AverageEstimator, observed_average
from medloom.learners.survival.boosting import BoostedHazards, Boosting, learned_hazards
from medloom.learners.survival.cox import CoxEstimator, learned_cox
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.forest import TRIED, ForestEstimator, Growth, learned_forest
from medloom.learners.survival.learner import SurvivalLearner
from medloom.learners.survival.problem import Problem
from medloom.learners.survival.subdistribution import SubdistributionEstimator, learned_subdistribution
from medloom.training.machine import threads
from medloom.training.parameters import check_parameter

# As many inputs as a tree may choose from at least: a share of few would leave none that matters.
_INPUTS_TO_CHOOSE_FROM: Final = 12


@dataclass(frozen=True)
class KaplanMeierLearner(SurvivalLearner):
    """The same curves for everybody, by Kaplan and Meier (Aalen and Johansen for competing events): the baseline.

    Args:
        windows: of the inputs, which are not looked at; None: as suits the histories.
    """

    name: ClassVar = "kaplan-meier"
    estimator: ClassVar[type[SurvivalEstimator]] = AverageEstimator
    prepares: ClassVar[bool] = False
    needs_inputs: ClassVar[bool] = False

    windows: Sequence[str] | None = None

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        return observed_average(problem)


@dataclass(frozen=True)
class CoxLearner(SurvivalLearner):
    """Cox regression with an elastic net whose strength is tuned; competing events have a hazard each.

    Args:
        l1_ratios: shares of the lasso to try; 0 is a ridge, 1 a lasso.
        curved: whether an input also enters by its distance from its median (`Preparation`); with False the
            log-hazard is a straight line in each (clipped, where skewed logarithmic) input.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "cox"
    estimator: ClassVar[type[SurvivalEstimator]] = CoxEstimator

    l1_ratios: Sequence[float] = (0.1, 0.5)
    curved: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        _check_ratios(self.name, self.l1_ratios)

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        return learned_cox(problem, self.l1_ratios)


@dataclass(frozen=True)
class FineGrayLearner(SurvivalLearner):
    """Fine and Gray's regression of each event's cumulative incidence, elastic net with tuned strength.

    Weights tell what raises or lowers the chance of an event among competing ones, whichever hazard is behind it; with
    one event it is Cox's regression.

    Args:
        l1_ratios: shares of the lasso to try; 0 is a ridge, 1 a lasso.
        curved: whether an input also enters by its distance from its median (`Preparation`).
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "fine-gray"
    estimator: ClassVar[type[SurvivalEstimator]] = SubdistributionEstimator

    l1_ratios: Sequence[float] = (0.1, 0.5)
    curved: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        _check_ratios(self.name, self.l1_ratios)

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        return learned_subdistribution(problem, self.l1_ratios)


@dataclass(frozen=True)
class SurvivalForestLearner(SurvivalLearner):
    """A random survival forest (Ishwaran 2008); its settings are chosen by samples out of bag.

    Args:
        n_trees: how many.
        min_leaf: samples in a leaf at least; None: tuned.
        random_thresholds: whether thresholds are drawn at random (extremely randomised trees); None: tuned.
        max_features: share of the inputs to choose each question from, or `sqrt` of their number.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "survival-forest"
    estimator: ClassVar[type[SurvivalEstimator]] = ForestEstimator
    prepares: ClassVar[bool] = False

    n_trees: int = 200
    min_leaf: int | None = None
    random_thresholds: bool | None = None
    max_features: float | Literal["sqrt"] = "sqrt"
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(self.name, "n_trees", self.n_trees, self.n_trees >= 1, tr("1 or more"))
        least = self.min_leaf
        check_parameter(self.name, "min_leaf", least, least is None or least >= 1, tr("1 or more"))
        share = self.max_features
        holds = share == "sqrt" if isinstance(share, str) else 0 < share <= 1
        check_parameter(self.name, "max_features", share, holds, tr("sqrt, or a share up to 1"))

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        asked = [(drawn, least) for drawn, least in TRIED if self.random_thresholds in (None, drawn)] or [
            (bool(self.random_thresholds), TRIED[0][1])
        ]
        if self.min_leaf is not None:
            asked = [(drawn, self.min_leaf) for drawn in dict.fromkeys(drawn for drawn, _ in asked)]
        candidates = [Growth(self.n_trees, least, drawn, self.max_features) for drawn, least in asked]
        return learned_forest(problem, candidates, self.n_trees, threads())


@dataclass(frozen=True)
class SurvivalGbdtLearner(SurvivalLearner):
    """Gradient-boosted decision trees (LightGBM) under Cox's partial likelihood, stopped early.

    A model a fold, whose scores are averaged; what each says of the samples left out makes the baseline.

    Args:
        n_models: folds, and boosted models.
        learning_rate: of each tree.
        num_leaves: of each tree at most.
        min_leaf: samples in a leaf at least.
        feature_fraction: share of the inputs each tree chooses from.
        bagging_fraction: share of the samples each tree learns from.
        lambda_l2: penalty on leaf values.
        extra_trees: whether thresholds are drawn at random.
        max_bin: steps a number is rounded to.
        max_rounds: trees at most.
        patience: trees without gain on the samples judged by before it stops.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "survival-gbdt"
    estimator: ClassVar[type[SurvivalEstimator]] = BoostedHazards
    prepares: ClassVar[bool] = False

    n_models: int = 5
    learning_rate: float = 0.05
    num_leaves: int = 8
    min_leaf: int = 20
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    lambda_l2: float = 1.0
    extra_trees: bool = False
    max_bin: int = 63
    max_rounds: int = 2000
    patience: int = 50
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        for name, least in (
            ("n_models", 2), ("max_rounds", 1), ("patience", 1), ("min_leaf", 1), ("num_leaves", 2), ("max_bin", 2),
        ):  # fmt: skip
            value = getattr(self, name)
            rule = tr("2 or more") if least == 2 else tr("1 or more")
            check_parameter(self.name, name, value, value >= least, rule)
        for name in ("learning_rate", "feature_fraction", "bagging_fraction"):
            value = getattr(self, name)
            check_parameter(self.name, name, value, 0 < value <= 1, tr("above 0 and up to 1"))
        check_parameter(self.name, "lambda_l2", self.lambda_l2, self.lambda_l2 >= 0, tr("0 or more"))

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        n, inputs = problem.x.shape
        parameters = {
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": max(1, min(self.min_leaf, n // 20)),
            "feature_fraction": max(self.feature_fraction, min(1.0, _INPUTS_TO_CHOOSE_FROM / inputs))
            if inputs > _INPUTS_TO_CHOOSE_FROM
            else self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "extra_trees": self.extra_trees,
            "max_bin": self.max_bin,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        return learned_hazards(problem, Boosting(parameters, self.max_rounds, self.patience), self.n_models)


@dataclass(frozen=True)
class AftLearner(SurvivalLearner):
    """Accelerated failure time with a ridge: Weibull or log-normal, whichever fits; strength tuned.

    Args:
        shapes: of the errors of log time to try: `weibull`, `lognormal`.
        strengths: of the ridge to try.
        curved: whether an input also enters by its distance from its median (`Preparation`).
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "aft"
    estimator: ClassVar[type[SurvivalEstimator]] = AcceleratedEstimator

    shapes: Sequence[str] = SHAPES
    strengths: Sequence[float] = (0.3, 0.1, 0.03, 0.01, 0.003)
    curved: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        shapes, strengths = self.shapes, self.strengths
        known = len(shapes) > 0 and set(shapes) <= set(SHAPES)
        check_parameter(self.name, "shapes", list(shapes), known, tr("weibull, lognormal, or both"))
        holds = len(strengths) > 0 and all(one >= 0 for one in strengths)
        check_parameter(self.name, "strengths", list(strengths), holds, tr("one or more numbers, 0 or more"))

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        shapes: tuple[Shape, ...] = tuple(one for one in SHAPES if one in self.shapes)
        return learned_acceleration(
            problem, shapes, np.sort(np.asarray(self.strengths, dtype=np.float64))[::-1]
        )


def _check_ratios(name: str, ratios: Sequence[float]) -> None:
    holds = len(ratios) > 0 and all(0 <= ratio <= 1 for ratio in ratios)
    check_parameter(name, "l1_ratios", list(ratios), holds, tr("one or more numbers from 0 to 1"))
