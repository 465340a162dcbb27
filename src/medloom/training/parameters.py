"""Checking a learner's constructor arguments: their types as its hints say, their values as its rules say."""

from collections.abc import Sequence
from functools import reduce
from inspect import signature
from operator import or_
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr


def check_parameter(learner: str, name: str, value: object, holds: bool, rule: str) -> None:
    """Refuse a constructor's argument.

    Raises:
        InputError: `holds` is false; `rule` says what is expected.
    """
    if not holds:
        raise InputError(
            "learner {learner!r}: {name} must be {rule}, not {value!r}",
            learner=learner,
            name=name,
            rule=rule,
            value=value,
        )


def check_types(learner: str, made: object) -> None:
    """Refuse constructor arguments that are not of the types the constructor names.

    A whole number is a number; nothing else is converted, and no number is infinite or NaN.

    Raises:
        InputError: one is of another type; the message says which is expected.
    """
    hints = get_type_hints(type(made))  # of each base in the words of its own module
    for name in signature(type(made)).parameters:
        plain, value = _without_choices(hints[name]), getattr(made, name)
        adapter = TypeAdapter[Any](plain, config=ConfigDict(strict=True, allow_inf_nan=False))
        try:
            adapter.validate_python(value)
        except ValidationError:
            check_parameter(learner, name, value, False, _said(plain))


def _without_choices(hint: Any) -> Any:
    """Take a choice of texts as a text: which ones there are is a rule of the learner."""
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, map(_without_choices, get_args(hint)))
    return hint


def _said(hint: Any) -> str:
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) in (Union, UnionType):
        said = [_said(part) for part in parts]
        if len(parts) < len(get_args(hint)):
            said.append("None")
        return reduce(lambda first, second: tr("{first} or {second}", first=first, second=second), said)
    known = {
        int: tr("a whole number"),
        float: tr("a number"),
        bool: tr("True or False"),
        str: tr("a text"),
        Sequence[int]: tr("a list of whole numbers, such as [64, 32]"),
        Sequence[float]: tr("a list of numbers, such as [0.1, 0.5]"),
        Sequence[str]: tr("a list of texts, such as ['24h', 'ever']"),
    }
    return known.get(hint, str(hint))
