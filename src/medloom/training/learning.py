"""What every learner does before and after it learns: check the samples, write down where the model comes from."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl

from medloom.foundation.errors import InputError, LeakageError
from medloom.foundation.hashing import digest
from medloom.foundation.seeds import generator
from medloom.tasks.model import Learner, Origin, check_none_held_out
from medloom.tasks.samples import Samples

_LEAST_TO_JUDGE: Final = 50
_JUDGED: Final = 0.2  # of training patients, where the tuning samples are too few


def check_samples(learner: Learner, train: Samples, tuning: Samples) -> None:
    """Refuse samples that a learner cannot, or must not, learn from.

    Raises:
        InputError: they ask another kind of question, or there are none.
        LeakageError: a patient is in both, or a sample is held out.
    """
    question = train.question
    if question.kind not in learner.kinds:
        raise InputError(
            "learner {learner!r} answers {kinds} questions, not {kind}; `medloom learners` lists those that do",
            learner=learner.name,
            kinds=sorted(learner.kinds),
            kind=question.kind,
        )
    if not len(train):
        raise InputError(
            "there are no training samples; check the cohort flow of the task, and the site's split shares"
        )
    check_none_held_out(train, tuning)
    shared = np.intersect1d(train.groups, tuning.groups)
    if len(shared):
        raise LeakageError(
            "{n} patients are both in train and in tuning; split by patient, with samples.in_split",
            n=len(shared),
        )


def side_by_side(train: Samples, tuning: Samples) -> Samples:
    """Put training and tuning samples together, in the order that samples have."""
    frame = pl.concat([train.frame, tuning.frame.select(train.frame.columns)])
    return replace(train, frame=frame.sort("subject_id", "prediction_time", maintain_order=True))


def divided(train: Samples, tuning: Samples, seed: int) -> tuple[Samples, Samples]:
    """Give samples to learn from and to be judged by."""
    if len(tuning) >= _LEAST_TO_JUDGE:
        return train, tuning
    groups = np.unique(train.groups)
    drawn = generator(seed, "judged").permutation(groups)[: max(1, round(_JUDGED * len(groups)))]
    if len(groups) < 2:
        return train, train
    judged = pl.col("group").is_in(drawn.tolist())
    return train.where(~judged), train.where(judged)


def plain_parameters(learner: Learner) -> dict[str, Any]:
    """Give a learner's constructor arguments as plain JSON values."""
    arguments = {name: getattr(learner, name) for name in inspect.signature(type(learner)).parameters}
    plain: dict[str, Any] = json.loads(json.dumps(arguments))
    return plain


def origin_of_fit(learner: Learner, train: Samples, tuning: Samples, seed: int) -> Origin:
    """Write down where a model comes from that was fitted on these samples."""
    return Origin(
        train.question,
        learner.name,
        plain_parameters(learner),
        seed,
        digest([train.digest(), tuning.digest()]),
        train.split_rule,
    )
