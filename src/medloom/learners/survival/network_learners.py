"""The learners of prognosis that need PyTorch to learn; what they learned answers without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from medloom.foundation.messages import tr
from medloom.learners.survival.deepsurv import NetworkHazards, learned_deepsurv
from medloom.learners.survival.discrete import DiscreteHazards, learned_discrete
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.learner import SurvivalLearner
from medloom.learners.survival.problem import Problem
from medloom.training.descent import Descent, check_torch
from medloom.training.parameters import check_parameter


@dataclass(frozen=True)
class DeepSurvLearner(SurvivalLearner):
    """A small neural network under Cox's partial likelihood (DeepSurv), or rather the mean of several.

    A network a fold, stopped on the samples left out; what each says of these makes the baseline. Competing
    events have networks of their own. Katzman et al., BMC Med Res Methodol 2018;18:24.

    Args:
        hidden: units of each hidden layer.
        dropout: share of hidden units left out at random in each step.
        weight_decay: by which weights shrink.
        learning_rate: of AdamW.
        batch: samples a step; they are compared with each other alone.
        n_models: folds, and networks an event.
        max_epochs: passes over the samples at most.
        patience: passes without gain on the samples left out before it stops.
        curved: whether an input also enters by its distance from its median (`Preparation`).
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "deepsurv"
    estimator: ClassVar[type[SurvivalEstimator]] = NetworkHazards

    hidden: Sequence[int] = (32,)
    dropout: float = 0.5
    weight_decay: float = 0.1
    learning_rate: float = 0.003
    batch: int = 256
    n_models: int = 5
    max_epochs: int = 200
    patience: int = 10
    curved: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        _check_descent(self)

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        check_torch(self.name)
        return learned_deepsurv(problem, _descent(self), self.n_models)


@dataclass(frozen=True)
class DiscreteHazardLearner(SurvivalLearner):
    """A small neural network that gives the hazard of each event in each interval of time, without proportions.

    A network a fold, stopped on the samples left out; their log-odds are averaged. Nnet-survival: Gensheimer and
    Narasimhan, PeerJ 2019;7:e6257.

    Args:
        intervals: of time at most; each holds as many events.
        hidden: units of each hidden layer.
        dropout: share of hidden units left out at random in each step.
        weight_decay: by which weights shrink.
        learning_rate: of AdamW.
        batch: samples a step.
        n_models: folds, and networks.
        max_epochs: passes over the samples at most.
        patience: passes without gain on the samples left out before it stops.
        curved: whether an input also enters by its distance from its median (`Preparation`).
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "discrete-hazard"
    estimator: ClassVar[type[SurvivalEstimator]] = DiscreteHazards

    intervals: int = 10
    hidden: Sequence[int] = (32,)
    dropout: float = 0.5
    weight_decay: float = 0.1
    learning_rate: float = 0.003
    batch: int = 256
    n_models: int = 5
    max_epochs: int = 200
    patience: int = 10
    curved: bool = True
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(self.name, "intervals", self.intervals, self.intervals >= 1, tr("1 or more"))
        _check_descent(self)

    def _learn(self, problem: Problem) -> SurvivalEstimator:
        check_torch(self.name)
        return learned_discrete(problem, _descent(self), self.n_models, self.intervals)


def _check_descent(learner: DeepSurvLearner | DiscreteHazardLearner) -> None:
    name, hidden = learner.name, list(learner.hidden)
    holds = len(hidden) > 0 and all(units >= 1 for units in hidden)
    check_parameter(name, "hidden", hidden, holds, tr("one or more numbers of units"))
    check_parameter(name, "dropout", learner.dropout, 0 <= learner.dropout < 1, tr("0 or more and below 1"))
    decay, rate = learner.weight_decay, learner.learning_rate
    check_parameter(name, "weight_decay", decay, decay >= 0, tr("0 or more"))
    check_parameter(name, "learning_rate", rate, rate > 0, tr("above 0"))
    for one, least in (("batch", 2), ("n_models", 2), ("max_epochs", 1), ("patience", 1)):
        value = getattr(learner, one)
        check_parameter(name, one, value, value >= least, tr("2 or more") if least == 2 else tr("1 or more"))


def _descent(learner: DeepSurvLearner | DiscreteHazardLearner) -> Descent:
    return Descent(
        tuple(learner.hidden),
        learner.dropout,
        learner.weight_decay,
        learner.learning_rate,
        learner.batch,
        learner.max_epochs,
        learner.patience,
    )
