"""A model of tables: answers from window features."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.tabular.answers import Floats
from medloom.learners.tabular.estimator import Estimator, Names, read_estimator
from medloom.learners.windowed import WindowedModel, read_package
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.inputs import batches, dense_inputs
from medloom.training.novelty import Novelty

_AT_ONCE: Final = 5_000  # samples whose inputs are dense in memory at a time


@dataclass(frozen=True)
class TabularModel(WindowedModel[Estimator]):
    """Answers from window features; what every tabular learner gives."""

    libraries: ClassVar[tuple[str, ...]] = ("lightgbm", "numpy", "polars", "scikit-learn", "shap")

    @property
    def scale(self) -> str:
        return self.estimator.scale(self.origin.question)

    @property
    def settled(self) -> dict[str, Any]:
        return self.estimator.settled

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order; a few milliseconds for one, and the same numbers as in a batch."""
        outputs = self.origin.question.outputs
        answers = [
            self.estimator.predict(self._prepared(raw))
            for _, raw in batches(self.features, samples, _AT_ONCE)
        ]
        values = np.vstack(answers) if answers else np.empty((0, len(outputs)))
        return Predictions.of_matrix(samples.frame["sample_id"], outputs, values)

    def answer(self, x: NDArray[np.float32]) -> Floats:
        """Answer for rows of inputs, NaN where missing: (n, p) → (n, k); the same numbers as `predict`."""
        if not len(x):
            return np.empty((0, len(self.origin.question.outputs)))
        return self.estimator.predict(self._prepared(dense_inputs(x)))

    def as_text(self) -> str:
        """Say what was learned in words, with the inputs' readable names.

        Raises:
            InputError: the model has no form that a person could read.
        """
        names, outputs = self.features.names, self.origin.question.outputs
        if self.preparation is not None:
            return self.estimator.as_text(Names(self.preparation.column_names(names), outputs))
        return self.estimator.as_text(Names(names, outputs, self.features.flags))


def load_model(directory: Path, part: type[Estimator]) -> TabularModel:
    """Load a package that a `TabularModel` wrote, whose sums have been checked."""
    origin, features, preparation = read_package(directory)
    weights = directory / "weights"
    estimator = read_estimator(part, weights, origin.question)
    return TabularModel(origin, features, preparation, estimator, Novelty.read(weights))
