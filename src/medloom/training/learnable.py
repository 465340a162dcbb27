"""Labels from which something can be learned; those from which nothing can are refused, with the remedy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.question import Question
from medloom.tasks.survival import Outcomes


def check_answers_vary(question: Question, y: NDArray[np.float64]) -> None:
    """Refuse labels (n, k), as `labels_as_numbers` gives them, that are all alike.

    Raises:
        InputError: a class, or the only answer, is the same in all samples.
    """
    constant = np.flatnonzero(y.min(axis=0) == y.max(axis=0))
    if not len(constant):
        return
    if question.kind in ("multiclass", "multilabel"):
        raise InputError(
            "none or all of the {n} training samples have the answer {classes}; remove it from the task's classes, "
            "merge it with another, or widen the population",
            n=len(y),
            classes=[question.classes[place] for place in constant],
        )
    raise InputError(
        "all {n} training samples have the same answer; there is nothing to learn: check the task's predict and "
        "horizon, or widen the population",
        n=len(y),
    )


def check_events_happen(question: Question, outcomes: Outcomes) -> None:
    """Refuse outcomes in which an event hardly happens, or only at once.

    Raises:
        InputError: fewer than two samples have an event, or all have it at time 0.
    """
    if not question.outputs:
        raise InputError("the question {task!r} names no events; list them in the task", task=question.task)
    seen = np.bincount(outcomes.cause, minlength=outcomes.causes + 1)[1:]
    absent = [name for name, n in zip(question.outputs, seen, strict=True) if n < 2]
    if absent:
        raise InputError(
            "fewer than 2 of the {n} training samples have the event {events}; follow patients longer, "
            "widen the population, or remove the event from the task",
            n=len(outcomes),
            events=absent,
        )
    if not (outcomes.time[outcomes.happened] > 0).any():
        raise InputError(
            "all events are at time 0; count time from the moment of prediction, and predict from before the event"
        )
