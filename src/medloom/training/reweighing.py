"""Learning as if the outcome were as frequent in every group: reweighing.

Kamiran and Calders, Knowl Inf Syst 2012;33:1-33, sections 4.2 and 4.3: a sample weighs as often as its group and
outcome would meet if they were independent, by as often as they do meet. Samples are drawn by these weights, so that
any learner can learn from them. The model no longer knows that groups differ in how often the outcome occurs, and its
risks within groups are off by as much: that is the price.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.tasks import package
from medloom.tasks.demographics import group_names
from medloom.tasks.explanation import Explanation
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner, Model, Origin, check_none_held_out
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.answers import Floats
from medloom.training.wrapping import WrappingModel

_FILE: Final = "reweighing.json"
_INNER: Final = "model"

Weights = Mapping[str, Mapping[str, float]]


def weights_of(names: NDArray[np.str_], labels: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    """Weigh each group and label that meet: expected by chance over observed, group → label → weight.

    >>> found = weights_of(np.array(["F", "F", "F", "M"]), np.array(["ill", "well", "well", "ill"]))
    >>> found["F"], found["M"]
    ({'ill': 1.5, 'well': 0.75}, {'ill': 0.5})
    """
    found: dict[str, dict[str, float]] = {}
    for name in np.unique(names).tolist():
        for label in np.unique(labels[names == name]).tolist():
            met = float(((names == name) & (labels == label)).mean())
            found.setdefault(name, {})[label] = float((names == name).mean() * (labels == label).mean() / met)
    return found


def drawn_by(weight: Floats, seed: int) -> NDArray[np.intp]:
    """Draw each of n samples as often as it weighs (n,), what is left after whole numbers by chance: rows, ascending.

    >>> drawn_by(np.array([2.0, 1.0, 0.0]), seed=0).tolist()
    [0, 0, 1]
    """
    whole = np.floor(weight)
    more = generator(seed, "reweighing").random(len(weight)) < weight - whole
    return np.repeat(np.arange(len(weight)), (whole + more).astype(np.intp))


@dataclass(frozen=True)
class ReweighedModel(WrappingModel):
    """A model that was learned from reweighed samples, and says so.

    Attributes:
        origin: the model's.
        model: what was learned.
        by: of `tasks.demographics.DIMENSIONS`.
        weights: group → label → how often each such sample counted.
    """

    origin: Origin
    model: Model
    by: str
    weights: Weights

    def predict(self, samples: Samples) -> Predictions:
        """Answer as the model does."""
        return self.model.predict(samples)

    def explain(self, samples: Samples) -> Explanation:
        """Tell why, as the model does."""
        return self.model.explain(samples)

    def relearner(self) -> Learner:
        """Give a learner that reweighs likewise."""
        return ReweighedLearner(self.model.relearner(), self.by)

    def save(self, directory: Path) -> str:
        """Write a model package that holds the model's own; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=(), wrapper="reweighed")

    @classmethod
    def load(cls, directory: Path) -> ReweighedModel:
        """Load a package that `save` wrote, whose sums have been checked."""
        weights = directory / "weights"
        content = json.loads((weights / _FILE).read_text(encoding="utf-8"))
        model = package.load(weights / _INNER)
        return cls(model.origin, model, content["by"], content["weights"])

    def _write(self, folder: Path) -> None:
        self.model.save(folder / _INNER)
        content: dict[str, Any] = {"by": self.by, "weights": self.weights}
        (folder / _FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


class ReweighedLearner(Learner):
    """Lets another learner learn from reweighed samples; those for tuning stay as they are."""

    name: ClassVar[str] = "reweighed"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary", "multiclass"})
    modality: ClassVar[str] = "any"

    def __init__(self, learner: Learner, by: str) -> None:
        self.learner = learner
        self.by = by

    @property
    def starts_from_patients(self) -> bool:
        """Tell whether the other learner does."""
        return self.learner.starts_from_patients

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> ReweighedModel:
        """Learn from `train`, reweighed.

        Raises:
            InputError: the question has no classes, or nothing tells groups apart.
            LeakageError: a sample is held out.
        """
        check_none_held_out(train, tuning)
        kind = train.question.kind
        if kind not in self.kinds:
            raise InputError("samples of {kind} questions cannot be reweighed; a class is needed", kind=kind)
        names, labels = (
            group_names(train, self.by),
            np.array(train.frame["label"].cast(pl.String).to_list(), dtype=np.str_),
        )
        if len(np.unique(names)) < 2:
            raise InputError(
                "all training samples are of one group by {by}; there is nothing to reweigh", by=self.by
            )
        weights = weights_of(names, labels)
        met = zip(names.tolist(), labels.tolist(), strict=True)
        rows = drawn_by(np.array([weights[name][label] for name, label in met]), seed)
        model = self.learner.fit(replace(train, frame=train.frame[rows]), tuning, seed=seed)
        return ReweighedModel(model.origin, model, self.by, weights)

    @classmethod
    def load(cls, directory: Path) -> ReweighedModel:
        """Load a package that a reweighed model wrote."""
        return ReweighedModel.load(directory)
