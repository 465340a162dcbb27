"""`fusion`: several registered learners, of any modality, become one model."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl

from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.fusion.embeddings import with_embeddings
from medloom.learners.fusion.intermediate import EmbeddingModel, IntermediateFusion
from medloom.learners.fusion.late import FILE, LateFusion, scores_by
from medloom.learners.fusion.stack import Stack
from medloom.tasks import package
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner, Model
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import ANSWERED
from medloom.training.answers import labels_as_numbers, scores_of
from medloom.training.designs import carried_out, folds
from medloom.training.learnable import check_answers_vary
from medloom.training.learning import check_samples, origin_of_fit, side_by_side
from medloom.training.parameters import check_parameter, check_types

_log = logging.getLogger(__name__)

WAYS: Final = ("late", "intermediate")


@dataclass(frozen=True)
class FusionLearner(Learner):
    """Several learners as one: their answers stacked, or what they know given to one of them.

    Args:
        members: registered names. Of intermediate fusion the first one answers, from window features and from what
            the others know of each sample.
        how: `late` or `intermediate`.
        options: arguments of the members that differ from their defaults, by name.
        folds: of late fusion: each member learns as many models, each without one fold of the patients, of which the
            stack then learns; 0: each learns one, and the stack learns from a half of the tuning patients, whom no
            member then sees.
        hidden: share of samples that are treated as if they lacked a modality, so that one that does is answered.
    """

    name: ClassVar[str] = "fusion"
    modality: ClassVar[str] = "fusion"
    kinds: ClassVar[frozenset[Kind]] = ANSWERED

    members: Sequence[str] = ("gbdt", "timeline")
    how: str = "late"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folds: int = 5
    hidden: float = 0.2

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> LateFusion | IntermediateFusion:
        """Learn from `train`, and from `tuning` what each member takes it for.

        Raises:
            InputError: the samples cannot be learned from by one of the members, with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        check_types(self.name, self)
        learners = self._learners()
        check_samples(self, train, tuning)
        drawn = derive(seed, self.modality)
        if self.how == "intermediate":
            return self._intermediate(learners, train, tuning, drawn, seed)
        if train.question.kind == "survival":
            raise InputError(
                "curves of prognosis are not stacked; take how='intermediate', with a learner of prognosis first"
            )
        return self._late(learners, train, tuning, drawn, seed)

    @property
    def fits_slowly(self) -> bool:
        """Tell whether a member does."""
        return any(one.fits_slowly for one in self._learners().values())

    @property
    def starts_from_patients(self) -> bool:
        """Tell whether a member does."""
        return any(one.starts_from_patients for one in self._learners().values())

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Load a package this learner's model wrote."""
        folder = directory / "weights"
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        origin = package.origin_in(directory)
        if told["how"] == "late":
            return LateFusion.read(origin, folder, told)
        return IntermediateFusion.read(origin, folder, told)

    def _learners(self) -> dict[str, Learner]:
        """Make the members."""
        check_parameter(self.name, "how", self.how, self.how in WAYS, ", ".join(WAYS))
        names = list(self.members)
        holds = len(set(names)) == len(names) >= 2 and self.name not in names
        check_parameter(self.name, "members", names, holds, tr("two or more different learners"))
        known = set(self.options) <= set(names)
        check_parameter(self.name, "options", dict(self.options), known, tr("arguments of members, by name"))
        check_parameter(
            self.name, "folds", self.folds, self.folds == 0 or self.folds >= 2, tr("0, or 2 or more")
        )
        check_parameter(self.name, "hidden", self.hidden, 0 <= self.hidden < 1, tr("0 or more and below 1"))
        made: dict[str, Learner] = {}
        for name in names:
            kind = registry.load("medloom.learners", name)
            try:
                made[name] = kind(**self.options.get(name, {}))
            except TypeError as error:
                raise InputError(
                    "learner {learner!r} has no such argument: {names}",
                    learner=name,
                    names=", ".join(self.options[name]),
                ) from error
        return made

    def _late(
        self, learners: Mapping[str, Learner], train: Samples, tuning: Samples, drawn: int, seed: int
    ) -> LateFusion:
        question, origin = train.question, origin_of_fit(self, train, tuning, seed)
        check_answers_vary(question, labels_as_numbers(train))
        members: dict[str, Sequence[Model]] = {}
        if self.folds:
            parts = folds(side_by_side(train, tuning), self.folds, drawn)
            told = []
            for name, learner in learners.items():
                unlearned = carried_out(learner, parts, derive(drawn, name))
                members[name] = list(unlearned.models.values())
                told.append(scores_of(question.kind, unlearned.predictions.matrix(question.outputs)))
            scores, y = np.stack(told, axis=1), labels_as_numbers(unlearned.samples)
        else:
            tuning, unseen = _halves(tuning, drawn)
            if not len(unseen):
                raise InputError("without folds a stack learns from tuning samples, and there are none")
            members = {
                name: [learner.fit(train, tuning, derive(drawn, name))] for name, learner in learners.items()
            }
            scores, y = scores_by(members, unseen), labels_as_numbers(unseen)
        stack = Stack.fit(question.kind, scores, y, self.hidden, drawn)
        _log.info("stacked members=%s weights=%s", ",".join(members), stack.weights)
        return LateFusion(origin, members, stack)

    def _intermediate(
        self, learners: Mapping[str, Learner], train: Samples, tuning: Samples, drawn: int, seed: int
    ) -> IntermediateFusion:
        (first, head), *others = learners.items()
        # what a model knows of patients whose labels it has learned promises more than it holds
        apart = any(_shaped_by_labels(learner) for _, learner in others)
        to_embed, to_answer = _halves(train, drawn) if apart else (train, train)
        embedders = {
            name: _embedding(name, learner.fit(to_embed, tuning, derive(drawn, name)))
            for name, learner in others
        }
        rng = generator(drawn, "hidden")
        answered = head.fit(
            with_embeddings(to_answer, embedders, self.hidden, rng),
            with_embeddings(tuning, embedders),
            derive(drawn, first),
        )
        return IntermediateFusion(origin_of_fit(self, train, tuning, seed), answered, embedders)


def _shaped_by_labels(learner: Learner) -> bool:
    """Tell whether what a learner's model knows of its training samples was shaped by their labels."""
    return getattr(learner, "adapt", "full") != "head"


def _embedding(name: str, model: Any) -> EmbeddingModel:
    """Refuse a model that knows no vectors."""
    if not hasattr(model, "represent"):
        raise InputError(
            "a model of learner {learner!r} has no embedding; name it first, or fuse late", learner=name
        )
    checked: EmbeddingModel = model
    return checked


def _halves(samples: Samples, seed: int) -> tuple[Samples, Samples]:
    """Divide samples by patient."""
    groups = generator(seed, "halves").permutation(np.unique(samples.groups))
    one = pl.col("group").is_in(groups[: len(groups) // 2].tolist())
    return samples.where(one), samples.where(~one)
