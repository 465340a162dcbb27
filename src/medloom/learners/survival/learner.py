"""What all survival learners do alike: check, make inputs, prepare them, learn, wrap up."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.model import SurvivalModel, load_model
from medloom.learners.survival.problem import Problem
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Outcomes, outcomes_of
from medloom.training.inputs import check_varies, dense_inputs
from medloom.training.learning import check_samples, origin_of_fit
from medloom.training.nonparametric import grid_of
from medloom.training.parameters import check_types
from medloom.training.preparation import Preparation

_log = logging.getLogger(__name__)


class SurvivalLearner(Learner):
    """Learns curves from window features.

    A subclass has plain constructor arguments, among them `windows` (lengths such as `6h`, or `ever`; None: as
    suits the histories), and learns in `_learn`.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"survival"})
    modality: ClassVar[str] = "survival"
    estimator: ClassVar[type[SurvivalEstimator]]
    prepares: ClassVar[bool] = True  # whether inputs are standardised, and missing ones filled in
    needs_inputs: ClassVar[bool] = True  # whether there is nothing to learn where no input varies

    windows: Sequence[str] | None

    def fit(
        self, train: Samples, tuning: Samples, seed: int = 0, features: WindowFeatures | None = None
    ) -> SurvivalModel:
        """Learn from `train` and `tuning`; choose settings on `tuning`, or by folds of all where it is too small.

        Args:
            train: the samples to learn from.
            tuning: others; may be empty.
            seed: of whatever is random.
            features: a frozen specification of the inputs; None: it is learned from `train`.

        Raises:
            InputError: the samples cannot be learned from, with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        check_types(self.name, self)
        self._check_parameters()
        check_samples(self, train, tuning)
        question = train.question
        outcomes = outcomes_of(train.frame["label"], question.outputs)
        tuned = outcomes_of(tuning.frame["label"], question.outputs)
        _check_events(question, outcomes)
        specification = features or WindowFeatures.fit(train, windows=self.windows)
        x, x_tuning = self._inputs(specification, train), self._inputs(specification, tuning)
        preparation = None
        if self.prepares:
            preparation = Preparation.fit(x, curved=self._curved)
            x, x_tuning = preparation.transform(x), preparation.transform(x_tuning)
        elif self.needs_inputs:
            check_varies(x)
        problem = Problem(
            x,
            outcomes,
            train.groups,
            x_tuning,
            tuned,
            tuning.groups,
            grid_of(outcomes, question.horizons),
            derive(seed, "survival", self.name),
        )
        estimator = self._learn(problem)
        _log.info("fitted learner=%s samples=%d inputs=%d", self.name, len(train), len(specification.names))
        origin = origin_of_fit(self, train, tuning, seed)
        return SurvivalModel(origin, specification, preparation, estimator)

    @classmethod
    def load(cls, directory: Path) -> SurvivalModel:
        """Load a package this learner's model wrote."""
        return load_model(directory, cls.estimator)

    @abstractmethod
    def _learn(self, problem: Problem) -> SurvivalEstimator:
        """Learn curves."""

    def _check_parameters(self) -> None:
        """Check the values of the constructor's arguments; their types have been."""

    @property
    def _curved(self) -> bool:
        return False

    def _inputs(self, specification: WindowFeatures, samples: Samples) -> Any:
        if not len(samples):
            return np.empty((0, len(specification.names)), np.float32)
        return dense_inputs(specification.transform(samples).values)


def _check_events(question: Question, outcomes: Outcomes) -> None:
    if not question.outputs:
        raise InputError("the question {task!r} names no events; list them in the task", task=question.task)
    seen = np.bincount(outcomes.cause, minlength=outcomes.causes + 1)[1:]
    absent = [name for name, n in zip(question.outputs, seen, strict=True) if n < 2]
    if absent:
        raise InputError(
            "fewer than 2 of the {n} training samples have the event {events}; follow patients longer, "
            "widen the population, or remove the event from the task",
            n=len(outcomes),
            events=", ".join(absent),
        )
    if not (outcomes.time[outcomes.happened] > 0).any():
        raise InputError(
            "all events are at time 0; count time from the moment of prediction, and predict from before the event"
        )
