"""What all survival learners do alike: read times and events, refuse what cannot be learned, learn curves."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from medloom.features.windows import WindowFeatures
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.model import SurvivalModel, load_model
from medloom.learners.survival.problem import Problem
from medloom.learners.windowed import Handed, WindowedLearner
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Origin
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Outcomes, outcomes_of
from medloom.training.learnable import check_events_happen
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
        check_events_happen(question, labels)

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
