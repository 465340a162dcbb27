"""A YAML document as plain texts, lists and dictionaries, with the line of every part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import yaml

from medloom.foundation.errors import InputError

Place = tuple[int | str, ...]

_DEEPEST: Final = 100  # beyond, a parser takes ever longer, and ends for want of stack


def read_document(text: str, name: str) -> tuple[object, dict[Place, int]]:
    """Parse YAML without guessing types: every scalar is text. Give the document and line numbers by place.

    Raises:
        InputError: not YAML, nested too deeply, or a key stands twice, or a part is named and repeated (& and *).

    >>> read_document("a: [0, no]", "x")
    ({'a': ['0', 'no']}, {(): 1, ('a',): 1, ('a', 0): 1, ('a', 1): 1})
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise InputError("{name!r} is nested too deeply; write it flatter", name=name)
            if isinstance(event, yaml.AliasEvent):
                raise InputError(
                    "{name!r} line {line}: a part cannot be repeated by its name (*{anchor}); write it out",
                    name=name,
                    line=event.start_mark.line + 1 if event.start_mark else 1,
                    anchor=event.anchor,
                )
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(
            "{name!r} line {line} is not valid YAML: {reason}",
            name=name,
            line=mark.line + 1 if mark else 1,
            reason=error.problem or "syntax",
        ) from error
    except yaml.YAMLError as error:
        raise InputError(
            "{name!r} line {line} is not valid YAML: {reason}", name=name, line=1, reason="characters"
        ) from error
    lines: dict[Place, int] = {}
    return (None if root is None else _plain(root, (), lines, name)), lines


def nearest_line(lines: Mapping[Place, int], place: Place) -> int:
    """Find the line of a place, or of the nearest part around it that exists."""
    for length in range(len(place), -1, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return 1


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int], name: str) -> object:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        document: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in document:
                raise InputError(
                    "{name!r} line {line}: {key!r} stands twice; keep one",
                    name=name,
                    line=key_node.start_mark.line + 1,
                    key=key,
                )
            lines[(*place, key)] = key_node.start_mark.line + 1
            document[key] = _plain(value_node, (*place, key), lines, name)
        return document
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*place, n), lines, name) for n, child in enumerate(node.value)]
    return str(node.value)
