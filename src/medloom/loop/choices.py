"""What a person may answer to a question that a model was asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.tasks.question import Question

Value = bool | str | float
"""Whether it is so, a class, or a number."""

CATEGORICAL: Final = ("binary", "multiclass")
"""Kinds of question whose answers two readers can be said to agree on."""


@dataclass(frozen=True)
class Choice:
    """One of few possible answers, and what it is called."""

    value: Value
    name: Text2


def choices(question: Question) -> tuple[Choice, ...]:
    """List the possible answers; empty where they are not few.

    >>> from medloom.tasks.question import Title
    >>> [one.value for one in choices(Question(task="aki", kind="binary", title=Title(en="AKI", zh="急性肾损伤")))]
    [True, False]
    """
    if question.kind == "binary":
        return (Choice(True, text2("yes")), Choice(False, text2("no")))
    if question.kind == "multiclass":
        return tuple(Choice(name, Text2(name, name)) for name in question.classes)
    return ()


def checked(question: Question, answer: object) -> Value:
    """Give an answer as it is kept, or refuse it.

    Raises:
        InputError: it is no answer to this question.
    """
    match question.kind:
        case "binary" if isinstance(answer, bool):
            return answer
        case "multiclass" if isinstance(answer, str) and answer in question.classes:
            return answer
        case "regression" if (
            isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(answer)
        ):
            return float(answer)
    raise InputError(
        "this is no answer to {task}; there are: {known}", task=question.task, known=_known(question)
    )


def name_of(question: Question, answer: Value) -> Text2:
    """Name an answer for people, with the unit of a number."""
    named = next((one.name for one in choices(question) if one.value == answer), None)
    if named is not None:
        return named
    text = f"{answer:g}" if isinstance(answer, float) else str(answer)
    text = f"{text} {question.unit}" if question.unit else text
    return Text2(text, text)


def _known(question: Question) -> str:
    if question.kind == "binary":
        return "true, false"
    return ", ".join(question.classes) if question.kind == "multiclass" else question.unit or "-"
