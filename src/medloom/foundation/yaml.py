"""YAML files read into validated models, with errors that name line and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

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
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(
            "{what} {name!r} line {line}: not valid YAML: {reason}",
            what=what,
            name=name,
            line=line,
            reason=error.problem or "",
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            "{what} {name!r} line 1: expected keys with values, such as `name: aki-48h`", what=what, name=name
        )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"]) or what
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = f"unknown key; known are: {', '.join(_known(model, first['loc'][:-1]))}"
        elif first["type"] == "missing":
            reason = "is missing"
        raise InputError(
            "{what} {name!r} line {line}: {key}: {reason}",
            what=what,
            name=name,
            line=_line(root, first["loc"]),
            key=key,
            reason=reason,
        ) from error


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """Find the line of the deepest node on the way to `location` that the file has."""
    line = 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(step)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _known(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """List the keys of the model a location lies in, as far as types tell."""
    found: object = model
    for step in location:
        if isinstance(found, type) and issubclass(found, BaseModel) and step in found.model_fields:
            annotation = found.model_fields[str(step)].annotation
            candidates = [annotation, *getattr(annotation, "__args__", ())]
            found = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []
