"""What every learner and every model can do, whatever the modality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from medloom.foundation import registry
from medloom.foundation.errors import InputError, LeakageError
from medloom.tasks.explanation import Explanation
from medloom.tasks.kinds import Kind
from medloom.tasks.predictions import Predictions
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples


@dataclass(frozen=True)
class Origin:
    """Where a model comes from; stands in its package."""

    question: Question
    learner: str
    parameters: dict[str, Any]  # the learner's constructor arguments
    seed: int
    data_digest: str  # of the training and tuning samples
    split_rule: str = ""  # what decided who was trained on, as `Samples.split_rule`


class Model(ABC):
    """Answers one question. Whatever it learned about inputs is part of it.

    Predicting one sample takes the same path, and gives the same numbers, as predicting many.
    """

    origin: Origin

    @property
    def codes(self) -> frozenset[str]:
        """Name the codes its answers may depend on; none where that cannot be told."""
        return frozenset()

    @abstractmethod
    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order."""

    @abstractmethod
    def explain(self, samples: Samples) -> Explanation:
        """Tell why, for each sample."""

    @property
    def explains_slowly(self) -> bool:
        """Tell whether `explain` takes about a second a sample; callers then ask for fewer."""
        return False

    @property
    def settled(self) -> dict[str, Any]:
        """Give the constructor arguments that a search settled; with them nothing is searched for again."""
        return {}

    def relearner(self) -> Learner:
        """Give a learner of the same configuration, for refits: on folds, on resamples, on fewer patients.

        Raises:
            NotFoundError: the learner is not installed.
        """
        kind = registry.load("medloom.learners", self.origin.learner)
        made: Learner = kind(**{**self.origin.parameters, **self.settled})
        return made

    def as_text(self) -> str:
        """Say what was learned in words.

        Raises:
            InputError: the model has no form that a person could read.
        """
        raise InputError(
            "a model of learner {learner!r} has no form that a person could read; explain it instead",
            learner=self.origin.learner,
        )

    def importance(self) -> pl.DataFrame:
        """Rank the inputs by how much they matter on the whole: `input`, `code`, `weight`.

        Raises:
            InputError: the model has no measure of its own.
        """
        raise InputError(
            "a model of learner {learner!r} has no measure of importance of its own; ask it from outside: "
            "ml.importance(trained)",
            learner=self.origin.learner,
        )

    @property
    def shared_bytes(self) -> int:
        """Count the bytes of what it answers with and shares with other models: its package leaves them out."""
        return 0

    @abstractmethod
    def save(self, directory: Path) -> str:
        """Write a model package (`tasks.package`) into an empty or new directory; give its digest."""


class Learner(ABC):
    """Turns samples into a model.

    The constructor only stores its arguments, unchanged; `fit` checks them.
    """

    name: ClassVar[str]  # as registered
    kinds: ClassVar[frozenset[Kind]]  # questions it can learn to answer
    modality: ClassVar[str]  # its room

    @property
    def fits_slowly(self) -> bool:
        """Tell whether it takes minutes; callers then ask for fewer refits."""
        return False

    @property
    def starts_from_patients(self) -> bool:
        """Tell whether it starts from what was learned, without labels, from the patients it will be given."""
        return False

    @abstractmethod
    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> Model:
        """Learn from `train`; choose settings on `tuning`. Held-out samples are never handed in.

        Raises:
            InputError: the samples do not fit (other kind, one class only, no labels), with the remedy.
        """

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Model:
        """Load a package this learner's model wrote, whose sums have been checked (`tasks.package.load`)."""


def check_answers(model: str, origin: Origin, samples: Samples) -> None:
    """Refuse a model for samples that ask something else than it learned to answer, or split patients otherwise.

    Raises:
        InputError: the question is another one.
        LeakageError: the split is another one, so that the model may have learned from patients it is tested on.
    """
    asked = samples.question
    about = {"title", "task"}
    if origin.question.model_dump(exclude=about) != asked.model_dump(exclude=about):
        raise InputError(
            "{model} answers another question than task {task!r} asks now; train it anew",
            model=model,
            task=asked.task,
        )
    if origin.split_rule != samples.split_rule:
        raise LeakageError(
            "{model} was learned under another split than task {task!r} and the site have now, perhaps from patients "
            "it would be tested on; train it anew",
            model=model,
            task=asked.task,
        )


def check_none_held_out(*handed: Samples) -> None:
    """Refuse held-out samples; every learner calls this first.

    Raises:
        LeakageError: some of the samples are held out.
    """
    for samples in handed:
        n = int((samples.frame["split"] == "held_out").sum())
        if n:
            raise LeakageError(
                "{n} held_out samples were handed to fit; hand it samples.in_split('train') and in_split('tuning')",
                n=n,
            )
