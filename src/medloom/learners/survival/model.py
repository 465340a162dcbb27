"""A model of prognosis: which inputs, how they are prepared, what was learned about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, explanation_of
from medloom.features.windows import WindowFeatures
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.inputs import batches, read_inputs, write_inputs
from medloom.training.preparation import Preparation

_AT_ONCE: Final = 2_000  # samples whose curves are in memory at a time
_EXPLAINED_AT_ONCE: Final = 1_000
_LIBRARIES: Final = ("lightgbm", "numpy", "polars", "scikit-learn", "scipy", "shap")


@dataclass(frozen=True)
class SurvivalModel(Model):
    """Curves from window features; what every survival learner gives.

    Attributes:
        origin: where it comes from.
        features: the frozen specification of its inputs.
        preparation: None: the estimator takes inputs as they are, missing ones as NaN.
        estimator: what was learned.
    """

    origin: Origin
    features: WindowFeatures
    preparation: Preparation | None
    estimator: SurvivalEstimator

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(code for code in self.features.codes if code is not None)

    def predict(self, samples: Samples) -> Predictions:
        """Predict for each sample, in order, the chance of each event by each time of the model's grid.

        One row a sample, event and time: `value` is the chance by `end`, in the question's unit.
        """
        outputs = self.origin.question.outputs
        frames = [
            self.estimator.curves(self._prepared(raw))
            .predictions(part.frame["sample_id"].to_numpy(), outputs)
            .frame
            for part, raw in batches(self.features, samples, _AT_ONCE)
        ]
        return Predictions(pl.concat(frames) if frames else PREDICTION_SCHEMA.to_frame())

    def explain(self, samples: Samples) -> Explanation:
        """Divide each score between the inputs; what was derived from one input is summed back to it.

        `baseline` + the contributions of a sample is its score on the explanation's scale; more is
        always sooner.
        """
        names = self.features.names
        sources = self._sources()
        frames, baseline = [], None
        for part, raw in batches(self.features, samples, _EXPLAINED_AT_ONCE):
            divided = self.estimator.contributions(self._prepared(raw), sources, len(names))
            explained = self._explained(divided, part.frame["sample_id"].to_numpy(), raw)
            frames.append(explained.frame)
            baseline = explained.baseline
        if baseline is None:
            nothing = np.full((1, len(names)), np.nan, np.float32)
            divided = self.estimator.contributions(self._prepared(nothing), sources, len(names))
            empty = Contributions(divided.values[:0], divided.baseline)
            return self._explained(empty, np.empty(0, np.int64), nothing[:0])
        return Explanation(pl.concat(frames), baseline, self.estimator.method, self._scale)

    def scores(self, samples: Samples) -> NDArray[np.float64]:
        """Give what contributions add up to, on the explanation's scale: (n, k)."""
        each = [
            self.estimator.scores(self._prepared(raw)) for _, raw in batches(self.features, samples, _AT_ONCE)
        ]
        return np.vstack(each) if each else np.empty((0, len(self.origin.question.outputs)))

    def importance(self) -> pl.DataFrame:
        """Rank the inputs by how much they matter on the whole.

        Gives `input`, `code`, `weight`; weights sum to 1, or are 0 where no input is looked at. The
        measure is the estimator's own: mean size of contributions (linear models), gain (boosting),
        impurity (trees).
        """
        summed = np.bincount(self._sources(), self.estimator.importance(), len(self.features.names))
        weight = summed / max(summed.sum(), np.finfo(np.float64).tiny)
        frame = pl.DataFrame({"input": self.features.names, "code": self.features.codes, "weight": weight})
        return frame.sort("weight", descending=True, maintain_order=True)

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

    @property
    def _scale(self) -> str:
        unit = self.origin.question.unit
        scale = self.estimator.scale
        return f"{scale}, {unit}" if scale == "time lost" and unit else scale

    def _explained(
        self, divided: Contributions, ids: NDArray[np.int64], raw: NDArray[np.float32]
    ) -> Explanation:
        return explanation_of(
            divided,
            ids,
            self.origin.question.outputs,
            self.features.names,
            self.features.codes,
            raw,
            method=self.estimator.method,
            scale=self._scale,
        )


def load_model(directory: Path, part: type[SurvivalEstimator]) -> SurvivalModel:
    """Load a package that a `SurvivalModel` wrote, whose sums have been checked."""
    content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    weights = directory / "weights"
    features, preparation = read_inputs(weights)
    return SurvivalModel(package.origin_of(content), features, preparation, part.read(weights))
