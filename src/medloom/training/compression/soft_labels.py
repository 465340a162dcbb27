"""Boosted trees that learned from another model's answers: log-odds as values to be met (Hinton et al., 2015)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.tasks import package
from medloom.tasks.explanation import Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.answers import Floats, answers_of, scores_of
from medloom.training.wrapping import WrappingModel

_INNER: Final = "model"
_STUDENT: Final = "gbdt"


@dataclass(frozen=True)
class SoftLabelModel(WrappingModel):
    """Answers a question of yes or no by a model of its log-odds.

    Attributes:
        origin: of the model that taught it.
        model: of log-odds.
    """

    origin: Origin
    model: Model

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order."""
        said = self.model.predict(_asked(samples, np.zeros(len(samples))))
        ids = samples.frame["sample_id"]
        outputs = self.origin.question.outputs
        scores = said.matrix(self.model.origin.question.outputs)
        return Predictions.of_matrix(ids, outputs, answers_of("binary", scores))

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, as the model of log-odds does."""
        said = self.model.explain(_asked(samples, np.zeros(len(samples))))
        (output,) = self.origin.question.outputs
        frame, baseline = (
            one.with_columns(output=pl.lit(output, pl.String)) for one in (said.frame, said.baseline)
        )
        return replace(said, frame=frame, baseline=baseline, scale="log-odds")

    def save(self, directory: Path) -> str:
        """Write a model package that holds the model's own; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=(), wrapper="soft-labels")

    @classmethod
    def load(cls, directory: Path) -> SoftLabelModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        return cls(package.origin_in(directory), package.load(directory / "weights" / _INNER))

    def _write(self, folder: Path) -> None:
        self.model.save(folder / _INNER)


def taught(teacher: Model, train: Samples, tuning: Samples, seed: int) -> SoftLabelModel:
    """Let boosted trees learn what a model answers about its own training samples.

    Raises:
        InputError: the question is not one of yes or no.
    """
    question = teacher.origin.question
    if question.kind != "binary":
        raise InputError(
            "only models of binary questions can teach gbdt; this one is {kind}", kind=question.kind
        )
    student: Any = registry.load("medloom.learners", _STUDENT)()
    answered = (
        _asked(part, scores_of("binary", teacher.predict(part).matrix(question.outputs))[:, 0])
        for part in (train, tuning)
    )
    return SoftLabelModel(teacher.origin, student.fit(*answered, seed=seed))


def _asked(samples: Samples, scores: Floats) -> Samples:
    """Ask for log-odds instead of the answer."""
    question = samples.question.model_copy(update={"kind": "regression"})
    return samples.asking(question, pl.Series("label", scores, dtype=pl.Float64))
