"""Where in a text that was written anew a person should look: what may name somebody still, and no rule took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from medloom.record.deidentify.chinese_people import possible_names
from medloom.record.deidentify.words import GIVEN, ORDINARY

Reason = Literal["number", "capitals", "first name", "surname"]

_NUMBER: Final = re.compile(r"(?<![\w.])(?=[A-Za-z]{0,4}-?\d)[A-Za-z0-9-]{6,}(?![\w.])", re.ASCII)
_CAPITALS: Final = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z'’-]{2,}(?: [A-Z]\.?)?(?: [A-Z][a-z'’-]{2,})+")
_WORD: Final = re.compile(r"(?<![\w\[])[A-Z][a-z]{2,}(?![\w\]])")
_FEWEST_DIGITS: Final = 5


@dataclass(frozen=True, order=True)
class Doubt:
    """A place to look at.

    Attributes:
        start: of it, in characters of the new text.
        end: of it.
        reason: a long number, words with capitals, a common first name, a Chinese surname at the beginning of a clause.
    """

    start: int
    end: int
    reason: Reason


def doubts(text: str) -> tuple[Doubt, ...]:
    """Give the places of a text without identifiers that a person should look at, in order.

    >>> new = "[NAME] met old Giles Winter, case file 889123; dose 500 mg"
    >>> [(new[one.start : one.end], one.reason) for one in doubts(new)]
    [('Giles Winter', 'capitals'), ('889123', 'number')]
    """
    return tuple(sorted(set(_all(text))))


def _all(text: str) -> Iterator[Doubt]:
    for match in _NUMBER.finditer(text):
        if sum(map(str.isdigit, match.group())) >= _FEWEST_DIGITS:
            yield Doubt(match.start(), match.end(), "number")
    taken = []
    for match in _CAPITALS.finditer(text):
        if not any(one.lower() in ORDINARY for one in match.group().split()):
            taken.append(match.span())
            yield Doubt(match.start(), match.end(), "capitals")
    for match in _WORD.finditer(text):
        within = any(start <= match.start() < end for start, end in taken[-4:])
        if match.group().lower() in GIVEN and not within:
            yield Doubt(match.start(), match.end(), "first name")
    for start, end in possible_names(text):
        yield Doubt(start, end, "surname")
