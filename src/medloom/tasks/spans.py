"""Spans: places in a text that are named, as facts and labels write them.

A place is written `start:end`, in characters of the note's text, half open; one of several parts `12:24;30:35`. A label
of a tagging question is JSON: a list of pairs of place and name, in the order of the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from medloom.foundation.errors import InputError

Part = tuple[int, int]


@dataclass(frozen=True, order=True)
class Span:
    """A named place in a text.

    Attributes:
        parts: (start, end) in characters, in order, without overlap; most have but one.
        name: what it is.
    """

    parts: tuple[Part, ...]
    name: str

    @property
    def start(self) -> int:
        """Give where its first part begins."""
        return self.parts[0][0]

    @property
    def end(self) -> int:
        """Give where its last part ends."""
        return self.parts[-1][1]

    @property
    def place(self) -> str:
        """Write where it is.

        >>> Span(((12, 24), (30, 35)), "finding").place
        '12:24;30:35'
        """
        return ";".join(f"{start}:{end}" for start, end in self.parts)

    def words(self, text: str) -> str:
        """Give its words.

        >>> Span(((0, 4), (15, 19)), "finding").words("left and right lung")
        'left lung'
        """
        return " ".join(text[start:end] for start, end in self.parts)


def span(start: int, end: int, name: str) -> Span:
    """Name a place of one part."""
    return Span(((start, end),), name)


def parts_of(place: str) -> tuple[Part, ...]:
    """Read a place.

    Raises:
        InputError: it is none.

    >>> parts_of("12:24;30:35")
    ((12, 24), (30, 35))
    """
    try:
        found = tuple((int(start), int(end)) for start, end in (one.split(":") for one in place.split(";")))
    except ValueError:
        found = ()
    flat = [edge for part in found for edge in part]
    whole = all(start < end for start, end in found) and flat == sorted(flat)
    if not (flat and whole and flat[0] >= 0):
        raise InputError("{place!r} is no place in a text; write start:end, such as 12:24", place=place)
    return found


def as_label(spans: Iterable[Span]) -> str:
    """Write spans as a label.

    >>> as_label([span(12, 24, "disease"), span(0, 4, "drug")])
    '[["0:4","drug"],["12:24","disease"]]'
    """
    return json.dumps(
        [[one.place, one.name] for one in sorted(set(spans))], ensure_ascii=False, separators=(",", ":")
    )


def spans_in(label: str) -> tuple[Span, ...]:
    """Read the spans of a label.

    >>> [one.name for one in spans_in('[["0:4","drug"],["12:24","disease"]]')]
    ['drug', 'disease']
    """
    return tuple(Span(parts_of(place), name) for place, name in json.loads(label))
