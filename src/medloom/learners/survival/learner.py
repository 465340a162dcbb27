"""What all survival learners do alike: read times and events, refuse what cannot be learned, learn curves."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.model import SurvivalModel, load_model
from medloom.learners.survival.problem import Problem
from medloom.learners.windowed import Handed, WindowedLearner
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Origin
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Outcomes, outcomes_of
from medloom.training.nonparametric import grid_of
from medloom.training.preparation import Preparation


class SurvivalLearner(WindowedLearner[Outcomes, SurvivalModel]):
    """Learns curves from window features, in `_learn`."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"survival"})
    modality: ClassVar[str] = "survival"
    estimator: ClassVar[type[SurvivalEstimator]]

    @classmethod
    def load(cls, directory: Path) -> SurvivalModel:
        """Load a package this learner's model wrote."""
        return load_model(directory, cls.estimator)

    @abstractmethod
    def _learn(self, problem: Problem) -> SurvivalEstimator:
        """Learn curves."""

    def _labels(self, samples: Samples) -> Outcomes:
        return outcomes_of(samples.frame["label"], samples.question.outputs)

    def _check_labels(self, question: Question, labels: Outcomes) -> None:
        _check_events(question, labels)

    def _estimate(self, handed: Handed[Outcomes]) -> SurvivalEstimator:
        return self._learn(
            Problem(
                handed.x,
                handed.labels,
                handed.groups,
                handed.x_tuning,
                handed.tuned,
                handed.groups_tuning,
                grid_of(handed.labels, handed.question.horizons),
                handed.seed,
            )
        )

    def _wrapped(
        self,
        origin: Origin,
        features: WindowFeatures,
        preparation: Preparation | None,
        estimator: SurvivalEstimator,
    ) -> SurvivalModel:
        return SurvivalModel(origin, features, preparation, estimator)


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
