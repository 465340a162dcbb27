"""A model of prognosis: curves from window features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.windowed import WindowedModel, read_package
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.training.inputs import batches
from medloom.training.novelty import Novelty

_AT_ONCE: Final = 2_000  # samples whose curves are in memory at a time


@dataclass(frozen=True)
class SurvivalModel(WindowedModel[SurvivalEstimator]):
    """Curves from window features; what every survival learner gives."""

    libraries: ClassVar[tuple[str, ...]] = ("lightgbm", "numpy", "polars", "scikit-learn", "scipy", "shap")

    @property
    def scale(self) -> str:
        unit = self.origin.question.unit
        scale = self.estimator.scale
        return f"{scale}, {unit}" if scale == "time lost" and unit else scale

    @property
    def settled(self) -> dict[str, Any]:
        return self.estimator.settled

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

    def scores(self, samples: Samples) -> NDArray[np.float64]:
        """Give what contributions add up to, on the explanation's scale: (n, k)."""
        each = [
            self.estimator.scores(self._prepared(raw)) for _, raw in batches(self.features, samples, _AT_ONCE)
        ]
        return np.vstack(each) if each else np.empty((0, len(self.origin.question.outputs)))


def load_model(directory: Path, part: type[SurvivalEstimator]) -> SurvivalModel:
    """Load a package that a `SurvivalModel` wrote, whose sums have been checked."""
    weights = directory / "weights"
    return SurvivalModel(*read_package(directory), part.read(weights), Novelty.read(weights))
