"""A model of tables: which inputs, how they are prepared, what was learned about them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, explanation_of
from medloom.features.matrix import FeatureMatrix
from medloom.features.windows import WindowFeatures
from medloom.learners.tabular.answers import Floats
from medloom.learners.tabular.estimator import Estimator, Names, read_estimator
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.inputs import batches, dense_inputs, read_inputs, write_inputs
from medloom.training.preparation import Preparation

_AT_ONCE: Final = 5_000  # samples whose inputs are dense in memory at a time
_EXPLAINED_AT_ONCE: Final = 1_000
_LIBRARIES: Final = ("lightgbm", "numpy", "polars", "scikit-learn", "shap")


@dataclass(frozen=True)
class TabularModel(Model):
    """Answers from window features; what every tabular learner gives.

    Attributes:
        origin: where it comes from.
        features: the frozen specification of its inputs.
        preparation: None: the estimator takes inputs as they are, missing ones as NaN.
        estimator: what was learned.
    """

    origin: Origin
    features: WindowFeatures
    preparation: Preparation | None
    estimator: Estimator

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(code for code in self.features.codes if code is not None)

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order; a few milliseconds for one, and the same numbers as in a batch."""
        outputs = self.origin.question.outputs
        answers = [
            self.estimator.predict(self._prepared(raw))
            for _, raw in batches(self.features, samples, _AT_ONCE)
        ]
        values = np.vstack(answers) if answers else np.empty((0, len(outputs)))
        return Predictions.of_matrix(samples.frame["sample_id"], outputs, values)

    def inputs(self, samples: Samples) -> FeatureMatrix:
        """Give what the model looks at, before any preparation; explainers change it and ask again."""
        return self.features.transform(samples)

    def answer(self, x: NDArray[np.float32]) -> Floats:
        """Answer for rows of inputs, NaN where missing: (n, p) → (n, k); the same numbers as `predict`."""
        if not len(x):
            return np.empty((0, len(self.origin.question.outputs)))
        return self.estimator.predict(self._prepared(dense_inputs(x)))

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the inputs; what was derived from one input is summed back to it.

        `baseline` + the contributions of a sample is its answer, on the explanation's scale.
        """
        names = self.features.names
        sources = self._sources()
        frames, baseline = [], None
        for part, raw in batches(self.features, samples, _EXPLAINED_AT_ONCE):
            divided = self.estimator.contributions(self._prepared(raw), sources, len(names))
            ids = part.frame["sample_id"].to_numpy()
            explained = self._explained(divided, ids, raw)
            frames.append(explained.frame)
            baseline = explained.baseline
        if baseline is None:
            nothing = np.full((1, len(names)), np.nan, np.float32)
            divided = self.estimator.contributions(self._prepared(nothing), sources, len(names))
            empty = Contributions(divided.values[:0], divided.baseline)
            return self._explained(empty, np.empty(0, np.int64), nothing[:0])
        return Explanation(
            pl.concat(frames), baseline, self.estimator.method, self.estimator.scale(self.origin.question)
        )

    @property
    def explains_slowly(self) -> bool:
        """Tell whether reasons are found by sampling."""
        return self.estimator.explains_slowly

    def importance(self) -> pl.DataFrame:
        """Rank the inputs by how much they matter on the whole.

        Gives `input`, `code`, `weight`; weights sum to 1. The measure is the estimator's own: mean size of
        contributions (linear models, networks, support vectors), gain (boosting), impurity (trees).
        """
        summed = np.bincount(self._sources(), self.estimator.importance(), len(self.features.names))
        weight = summed / max(summed.sum(), np.finfo(np.float64).tiny)
        frame = pl.DataFrame({"input": self.features.names, "code": self.features.codes, "weight": weight})
        return frame.sort("weight", descending=True, maintain_order=True)

    def as_text(self) -> str:
        """Say what was learned in words, with the inputs' readable names.

        Raises:
            InputError: the model has no form that a person could read.
        """
        names, outputs = self.features.names, self.origin.question.outputs
        if self.preparation is not None:
            return self.estimator.as_text(Names(self.preparation.column_names(names), outputs))
        return self.estimator.as_text(Names(names, outputs, self.features.flags))

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=_LIBRARIES)

    def _write(self, folder: Path) -> None:
        write_inputs(folder, self.features, self.preparation)
        self.estimator.write(folder)

    def _prepared(self, raw: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        return raw if self.preparation is None else self.preparation.transform(raw)

    def _sources(self) -> NDArray[np.int64]:
        return np.arange(len(self.features.names)) if self.preparation is None else self.preparation.sources

    def _explained(
        self, divided: Contributions, ids: NDArray[np.int64], raw: NDArray[np.float32]
    ) -> Explanation:
        question = self.origin.question
        return explanation_of(
            divided,
            ids,
            question.outputs,
            self.features.names,
            self.features.codes,
            raw,
            method=self.estimator.method,
            scale=self.estimator.scale(question),
        )


def load_model(directory: Path, part: type[Estimator]) -> TabularModel:
    """Load a package that a `TabularModel` wrote, whose sums have been checked."""
    content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    origin = package.origin_of(content)
    weights = directory / "weights"
    features, preparation = read_inputs(weights)
    return TabularModel(origin, features, preparation, read_estimator(part, weights, origin.question))
