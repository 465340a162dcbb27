"""What has been learned, as arrays: from prepared inputs to answers, and back to reasons."""

from abc import ABC, abstractmethod
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.foundation.errors import InputError
from medloom.learners.tabular.answers import Floats, answer_scale, score_scale
from medloom.tasks.kinds import Kind
from medloom.tasks.question import Question


@dataclass(frozen=True)
class Names:
    """What inputs and outputs are called when an estimator is put into words; `flags` are inputs of 0 and 1."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    flags: Set[str] = frozenset()


class Estimator(ABC):
    """Answers for rows of numbers; a row's answer does not depend on the other rows.

    `explains_scores` tells whether contributions add up to scores (log-odds) or to answers (probabilities).
    """

    method: str  # how contributions are found, with the source
    explains_scores: bool = True
    explains_slowly: bool = False  # about a second a row

    @property
    def settled(self) -> dict[str, Any]:
        """Give the learner's arguments that a search settled; with them nothing is searched for again."""
        return {}

    @abstractmethod
    def predict(self, x: NDArray[np.floating]) -> Floats:
        """Answer: (n, c) → (n, k) probabilities or values."""

    @abstractmethod
    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        """Divide answers between inputs: (n, c) → (n, k, n_inputs); `sources` (c,) is the input behind each column."""

    @abstractmethod
    def importance(self) -> Floats:
        """Tell how much each column matters on the whole: (c,), in the estimator's own measure."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write what was learned; the same always gives the same bytes."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        """Read back what `write` wrote."""

    def as_text(self, names: Names) -> str:
        """Say what was learned in words.

        Raises:
            InputError: it has no form that a person could read.
        """
        raise InputError(
            "this model cannot be read as rules; learn a tree, or ask for importance() or explain()"
        )

    def scale(self, question: Question) -> str:
        """Name the scale of contributions."""
        return score_scale(question) if self.explains_scores else answer_scale(question)


class LabelByLabel(Estimator):
    """One binary estimator a label."""

    def __init__(self, estimators: Sequence[Estimator]) -> None:
        self.estimators = tuple(estimators)
        self.method = estimators[0].method
        self.explains_scores = estimators[0].explains_scores
        self.explains_slowly = estimators[0].explains_slowly

    def predict(self, x: NDArray[np.floating]) -> Floats:
        return np.hstack([estimator.predict(x) for estimator in self.estimators])

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        each = [estimator.contributions(x, sources, n_inputs) for estimator in self.estimators]
        values = np.concatenate([one.values for one in each], axis=1)
        return Contributions(values, np.concatenate([one.baseline for one in each]))

    def importance(self) -> Floats:
        mean: Floats = np.mean([estimator.importance() for estimator in self.estimators], axis=0)
        return mean

    def write(self, folder: Path) -> None:
        for position, estimator in enumerate(self.estimators):
            estimator.write(folder / f"label-{position}")

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        raise NotImplementedError("its parts are read one by one: `read_labels`")

    def as_text(self, names: Names) -> str:
        each = zip(names.outputs, self.estimators, strict=True)
        return "\n".join(
            f"{label}\n{part.as_text(Names(names.inputs, (label,), names.flags))}" for label, part in each
        )


def read_estimator(part: type[Estimator], folder: Path, question: Question) -> Estimator:
    """Read an estimator, or for a multilabel question one of them a label."""
    if question.kind != "multilabel":
        return part.read(folder, question.kind)
    labels = range(len(question.classes))
    return LabelByLabel([part.read(folder / f"label-{position}", "binary") for position in labels])
