"""What all tabular learners do alike: check, make inputs, prepare them, learn, wrap up."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.learners.tabular.answers import Floats, labels_as_numbers
from medloom.learners.tabular.estimator import Estimator, LabelByLabel
from medloom.learners.tabular.model import TabularModel, load_model
from medloom.learners.tabular.problem import Problem
from medloom.tasks.model import Learner
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.inputs import check_varies, dense_inputs
from medloom.training.learning import check_samples, origin_of_fit, plain_parameters
from medloom.training.parameters import check_types
from medloom.training.preparation import Preparation

_log = logging.getLogger(__name__)


class TabularLearner(Learner):
    """Learns from window features.

    A subclass has plain constructor arguments, among them `windows` (lengths such as `6h`, or `ever`; None: as
    suits the histories), and learns one binary, multiclass or regression problem in `_learn`; a multilabel
    question becomes one binary problem a label.
    """

    modality: ClassVar[str] = "tabular"
    estimator: ClassVar[type[Estimator]]
    prepares: ClassVar[bool] = True  # whether inputs are standardised, and missing ones filled in
    takes_sparse: ClassVar[bool] = False

    windows: Sequence[str] | None

    def fit(
        self, train: Samples, tuning: Samples, seed: int = 0, features: WindowFeatures | None = None
    ) -> TabularModel:
        """Learn from `train`; choose settings on `tuning`, or by folds of `train` where it is too small for that.

        Args:
            train: the samples to learn from.
            tuning: others; may be empty.
            seed: of whatever is random.
            features: a frozen specification of the inputs; None: it is learned from `train`.

        Raises:
            InputError: the samples cannot be learned from, with the remedy.
            LeakageError: a patient is in both.
        """
        check_types(self.name, self)
        self._check_parameters()
        y, y_tuning = _check_samples(self, train, tuning)
        specification = features or WindowFeatures.fit(train, windows=self.windows)
        x, x_tuning = self._inputs(specification, train), self._inputs(specification, tuning)
        preparation = None
        if self.prepares:
            preparation = Preparation.fit(x, curved=self._curved)
            x, x_tuning = preparation.transform(x), preparation.transform(x_tuning)
        else:
            check_varies(x)
        problem = Problem(
            train.question.kind,
            x,
            y,
            train.groups,
            x_tuning,
            y_tuning,
            tuning.groups,
            derive(seed, "tabular", self.name),
        )
        estimator = self._estimate(problem)
        _log.info("fitted learner=%s samples=%d inputs=%d", self.name, len(train), len(specification.names))
        origin = origin_of_fit(self, train, tuning, seed)
        return TabularModel(origin, specification, preparation, estimator)

    @classmethod
    def load(cls, directory: Path) -> TabularModel:
        """Load a package this learner's model wrote."""
        return load_model(directory, cls.estimator)

    def parameters(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain JSON values."""
        return plain_parameters(self)

    @abstractmethod
    def _learn(self, problem: Problem) -> Estimator:
        """Learn one problem: binary, multiclass or regression."""

    def _check_parameters(self) -> None:
        """Check the values of the constructor's arguments; their types have been."""

    @property
    def _curved(self) -> bool:
        return False

    def _estimate(self, problem: Problem) -> Estimator:
        if problem.kind != "multilabel":
            return self._learn(problem)
        return LabelByLabel([self._learn(problem.of_label(label)) for label in range(problem.y.shape[1])])

    def _inputs(self, specification: WindowFeatures, samples: Samples) -> Any:
        if not len(samples):
            return np.empty((0, len(specification.names)), np.float32)
        values = specification.transform(samples).values
        return values if self.takes_sparse and hasattr(values, "toarray") else dense_inputs(values)


def _check_samples(learner: TabularLearner, train: Samples, tuning: Samples) -> tuple[Floats, Floats]:
    check_samples(learner, train, tuning)
    y, y_tuning = labels_as_numbers(train), labels_as_numbers(tuning)
    _check_answers(train.question, y)
    return y, y_tuning


def _check_answers(question: Question, y: Floats) -> None:
    constant = np.flatnonzero(y.min(axis=0) == y.max(axis=0))
    if not len(constant):
        return
    if question.kind in ("multiclass", "multilabel"):
        raise InputError(
            "none or all of the {n} training samples have the answer {classes}; remove it from the task's classes, "
            "merge it with another, or widen the population",
            n=len(y),
            classes=", ".join(question.classes[place] for place in constant),
        )
    raise InputError(
        "all {n} training samples have the same answer; there is nothing to learn: check the task's predict and "
        "horizon, or widen the population",
        n=len(y),
    )
