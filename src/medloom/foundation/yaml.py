"""YAML files read into validated models, with errors that name line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from medloom.foundation.documents import Place, nearest_line, read_document
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import tr
from medloom.foundation.spelling import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path, model: type[M], what: str) -> M:
    """Read one YAML file.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is no YAML or does not fit; the message says line, key, and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError("there is no {what} file {name!r}", what=what, name=path.name) from None
    except UnicodeDecodeError:
        raise InputError(
            "{what} {name!r} is not UTF-8 text; save it as UTF-8", what=what, name=path.name
        ) from None
    return parse_yaml(text, model, what, path.name)


def parse_yaml(text: str, model: type[M], what: str, name: str) -> M:
    """Read YAML text; raises as `read_yaml`."""
    document, lines = read_document(text, name)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = _most_telling(error.errors())
        place = found["loc"]
        raise InputError(
            "{what} {name!r} line {line}: {key}: {reason}",
            what=what,
            name=name,
            line=nearest_line(lines, place),
            key=".".join(map(str, place)) or what,
            reason=_reason(model, found),
        ) from error


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """Choose what to tell first: an unknown key, for a misspelled key makes the right one seem missing."""
    return next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])


def _reason(model: type[BaseModel], error: ErrorDetails) -> str:
    """Say in words what is wrong; what pydantic says stands where there are no words for it."""
    kind, given, place = error["type"], error["input"], error["loc"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(place[-1]), _keys_at(model, place[:-1]))
    if kind == "missing":
        return tr("is missing")
    if kind == "literal_error":
        return _no_choice(str(given), str(context.get("expected", "")))
    if kind in ("tuple_type", "list_type"):
        if isinstance(given, str):
            return tr("must be a list: write [{given}]", given=given)
        return tr("must be a list: begin each entry with -")
    if kind in ("model_type", "dict_type"):
        return tr("needs keys of its own, each with a value; {given!r} has none", given=given)
    if kind == "string_type":
        return tr("must be one text, no list and no keys")
    if kind in ("int_parsing", "int_type", "int_from_float"):
        return tr("must be a whole number, not {given!r}", given=given)
    if kind in ("float_parsing", "float_type"):
        return tr("must be a number, not {given!r}", given=given)
    if kind in ("bool_parsing", "bool_type"):
        return tr("must be true or false, not {given!r}", given=given)
    if kind in ("too_short", "string_too_short"):
        return tr("must not be empty")
    if kind == "string_pattern_mismatch":
        return tr(
            "{given!r} has characters that cannot stand here; allowed: {pattern}",
            given=given,
            pattern=context.get("pattern"),
        )
    return error["msg"].removeprefix("Value error, ")


def _unknown_key(key: str, known: list[str]) -> str:
    near = nearest(key, known, most=1)
    if near:
        return tr("unknown key; did you mean {near}? known here: {known}", near=near[0], known=known)
    if known:
        return tr("unknown key; known here: {known}", known=known)
    return tr("unknown key")


def _no_choice(given: str, expected: str) -> str:
    """Say what may stand here; pydantic lists it as 'a', 'b' or 'c'."""
    choices = expected.split("'")[1::2]
    near = nearest(given, choices, most=1)
    if near:
        return tr(
            "{given!r} is none of {known}; did you mean {near}?", given=given, known=choices, near=near[0]
        )
    return tr("{given!r} is none of {known}", given=given, known=choices)


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """List the keys allowed at a place, by walking the model's JSON schema."""
    schema = model.model_json_schema()
    node: dict[str, object] = schema
    for step in place:
        node = _resolved(schema, node)
        inner = node.get("items") if isinstance(step, int) else None
        if inner is None:
            properties = node.get("properties")
            inner = properties.get(step) if isinstance(properties, dict) else None
        if inner is None:
            inner = node.get("additionalProperties")
        if not isinstance(inner, dict):
            return []
        node = inner
    properties = _resolved(schema, node).get("properties")
    return sorted(properties) if isinstance(properties, dict) else []


def _resolved(schema: dict[str, object], node: dict[str, object]) -> dict[str, object]:
    choices = node.get("anyOf")
    if isinstance(choices, list):
        node = next((c for c in choices if "$ref" in c), node)
    reference = node.get("$ref")
    definitions = schema.get("$defs")
    if isinstance(reference, str) and isinstance(definitions, dict):
        found = definitions[reference.rsplit("/", 1)[1]]
        return found if isinstance(found, dict) else node
    return node
