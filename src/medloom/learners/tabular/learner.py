"""What all tabular learners do alike: read labels as numbers, refuse what cannot be learned, learn."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from medloom.features.windows import WindowFeatures
from medloom.learners.tabular.answers import Floats, labels_as_numbers
from medloom.learners.tabular.estimator import Estimator, LabelByLabel
from medloom.learners.tabular.model import TabularModel, load_model
from medloom.learners.tabular.problem import Problem
from medloom.learners.windowed import Handed, WindowedLearner
from medloom.tasks.model import Origin
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.learnable import check_answers_vary
from medloom.training.preparation import Preparation


class TabularLearner(WindowedLearner[Floats, TabularModel]):
    """Learns one binary, multiclass or regression problem in `_learn`; of a multilabel question one a label."""

    modality: ClassVar[str] = "tabular"
    estimator: ClassVar[type[Estimator]]

    @classmethod
    def load(cls, directory: Path) -> TabularModel:
        """Load a package this learner's model wrote."""
        return load_model(directory, cls.estimator)

    @abstractmethod
    def _learn(self, problem: Problem) -> Estimator:
        """Learn one problem: binary, multiclass or regression."""

    def _labels(self, samples: Samples) -> Floats:
        return labels_as_numbers(samples)

    def _check_labels(self, question: Question, labels: Floats) -> None:
        check_answers_vary(question, labels)

    def _estimate(self, handed: Handed[Floats]) -> Estimator:
        problem = Problem(
            handed.question.kind,
            handed.x,
            handed.labels,
            handed.groups,
            handed.x_tuning,
            handed.tuned,
            handed.groups_tuning,
            handed.seed,
        )
        if problem.kind != "multilabel":
            return self._learn(problem)
        return LabelByLabel([self._learn(problem.of_label(label)) for label in range(problem.y.shape[1])])

    def _wrapped(
        self, origin: Origin, features: WindowFeatures, preparation: Preparation | None, estimator: Estimator
    ) -> TabularModel:
        return TabularModel(origin, features, preparation, estimator)
