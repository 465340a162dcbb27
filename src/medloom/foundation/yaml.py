"""YAML files read into validated models, with errors that name line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from medloom.foundation.documents import Place, nearest_line, read_document
from medloom.foundation.errors import InputError, NotFoundError

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
        first = error.errors()[0]
        place = first["loc"]
        raise InputError(
            "{what} {name!r} line {line}: {key}: {reason}",
            what=what,
            name=name,
            line=nearest_line(lines, place),
            key=".".join(map(str, place)) or what,
            reason=_reason(model, first["type"], first["msg"], place),
        ) from error


def _reason(model: type[BaseModel], kind: str, message: str, place: Place) -> str:
    if kind == "extra_forbidden":
        known = _keys_at(model, place[:-1])
        return f"unknown key; known here: {', '.join(known)}" if known else "unknown key"
    return "is missing" if kind == "missing" else message.removeprefix("Value error, ")


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
