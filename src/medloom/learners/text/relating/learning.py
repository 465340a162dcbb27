"""How a learner of places learns relations, too: places first, then which of what they name is related."""

from __future__ import annotations

import polars as pl

from medloom.learners.text.relating.model import RelationModel
from medloom.learners.text.relating.pairs import learned
from medloom.tasks.model import Learner
from medloom.tasks.relations import mentions_in
from medloom.tasks.samples import Samples
from medloom.tasks.spans import as_label
from medloom.training.learning import origin_of_fit, side_by_side


def fit_relations(learner: Learner, train: Samples, tuning: Samples, seed: int) -> RelationModel:
    """Let a learner of tagging learn the places of notes, then learn the relations between them.

    Relations are learned from the notes of both splits: nothing is chosen on tuning.

    Raises:
        InputError: as the learner, and where no note names two places that a relation may hold between.
    """
    origin = origin_of_fit(learner, train, tuning, seed)
    relators = learned(side_by_side(train, tuning), seed)
    return RelationModel(origin, learner.fit(_places(train), _places(tuning), seed), relators)


def _places(samples: Samples) -> Samples:
    """Ask for the places alone."""
    question = samples.question.model_copy(update={"kind": "tagging", "relations": ()})
    labels = [None if one is None else as_label(mentions_in(one)) for one in samples.frame["label"]]
    return samples.asking(question, pl.Series("label", labels, pl.String))
