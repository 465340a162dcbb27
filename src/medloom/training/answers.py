"""Labels as numbers, and scores as answers."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.kinds import VALUE, Kind
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples

Floats = NDArray[np.float64]

# A probability of exactly 0 or 1 claims more than any number of patients can show, and has no log-odds.
_SURE: Final = 1e-12


def labels_as_numbers(samples: Samples) -> Floats:
    """Give labels as one column an output: (n, k) of 0 and 1, or (n, 1) of values for a regression.

    Raises:
        InputError: a label is missing, no number, or not one of the question's classes.
    """
    question = samples.question
    label = samples.frame["label"]
    missing = label.null_count()
    if missing:
        raise InputError(
            "{missing} of {n} samples have no label; leave them out, or apply the task again so that it labels them",
            missing=missing,
            n=len(label),
        )
    if question.kind == "regression":
        values = label.to_numpy().astype(np.float64)
        if not np.isfinite(values).all():
            raise InputError(
                "{missing} of {n} labels are NaN or infinite; leave these samples out, or mend the value in the task",
                missing=int((~np.isfinite(values)).sum()),
                n=len(label),
            )
        return values[:, None]
    if question.kind == "binary":
        return label.to_numpy().astype(np.float64)[:, None]
    return _one_column_a_class(label, question)


def _one_column_a_class(label: pl.Series, question: Question) -> Floats:
    if not question.classes:
        raise InputError("the question {task!r} names no classes; list them in the task", task=question.task)
    sets = (
        label
        if question.kind == "multilabel"
        else label.to_frame().select(pl.concat_list("label")).to_series()
    )
    unknown = sorted(set(sets.explode(empty_as_null=True).drop_nulls()) - set(question.classes))
    if unknown:
        raise InputError(
            "labels have classes that {task!r} does not name: {unknown}; add them to the task, or mend the labels",
            task=question.task,
            unknown=unknown,
        )
    columns = [sets.list.contains(name).fill_null(False).to_numpy() for name in question.classes]
    return np.column_stack(columns).astype(np.float64)


def answers_of(kind: Kind, scores: Floats) -> Floats:
    """Turn scores (n, k) into probabilities, or leave a regression's values as they are.

    >>> answers_of("binary", np.zeros((1, 1))).tolist()
    [[0.5]]
    """
    if kind == "regression":
        return scores
    if kind == "multiclass":
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: Floats = powers / _sum_of_columns(powers)
        return shares
    # a model may be very sure, but never certain: beyond 36 a chance would round to 1
    chances: Floats = 1 / (1 + np.exp(-np.clip(scores, -700, 36)))
    return chances


def scores_of(kind: Kind, answers: Floats) -> Floats:
    """Turn answers (n, k) back into scores: log-odds, centred log-probabilities, or values."""
    if kind == "regression":
        return answers
    sure = np.clip(answers, _SURE, 1 - _SURE)
    if kind == "multiclass":
        logs = np.log(sure)
        centred: Floats = logs - logs.mean(axis=1, keepdims=True)
        return centred
    odds: Floats = np.log(sure) - np.log1p(-sure)
    return odds


def loss(kind: Kind, y: Floats, answers: Floats) -> float:
    """Tell how far answers are from the labels: log loss, or mean squared error.

    >>> round(loss("binary", np.ones((1, 1)), np.full((1, 1), 0.5)), 3)
    0.693
    """
    if kind == "regression":
        return float(np.mean((y - answers) ** 2))
    sure = np.clip(answers, _SURE, 1 - _SURE)
    if kind == "multiclass":
        return float(-np.mean((y * np.log(sure)).sum(axis=1)))
    return float(-np.mean(y * np.log(sure) + (1 - y) * np.log1p(-sure)))


def score_scale(question: Question) -> str:
    """Name what scores of a question are measured in."""
    return question.unit or VALUE if question.kind == "regression" else "log-odds"


def answer_scale(question: Question) -> str:
    """Name what answers to a question are measured in."""
    return question.unit or VALUE if question.kind == "regression" else "probability"


def _sum_of_columns(x: Floats) -> Floats:
    """Sum the columns one after the other, so that a row's sum does not depend on the number of rows."""
    return np.cumsum(x, axis=1)[:, -1:]
