"""Identifiers in a text replaced, by tags or by surrogates, in one of two ways that are named for what they are.

`safe-harbor`: as 45 CFR 164.514(b)(2) lists: dates are reduced to the year, ages over 89 become 90+, postcodes their
first three digits, or 000 where 20,000 or fewer live. `date-shifted`: dates move by some days, the same for all of a
patient's, so that intervals stay; that is no safe harbor, and needs an expert's determination (164.514(b)(1)).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, Protocol, get_args

from medloom.record.deidentify.dates import shifted, year_of
from medloom.record.deidentify.identifiers import identifiers
from medloom.record.deidentify.kinds import Identifier, Kind
from medloom.record.deidentify.repeated import repeated
from medloom.record.deidentify.surrogates import Surrogates

Mode = Literal["safe-harbor", "date-shifted"]
Way = Literal["tags", "surrogates"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
WAYS: Final[tuple[Way, ...]] = get_args(Way)

_YEAR: Final = re.compile(r"\d{4}")
_OLDEST: Final = 89
_FEW: Final = frozenset("036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893".split())
"""Beginnings of postcodes of the United States where 20,000 or fewer live: census of 2000, OCR's guidance of 2012."""


class Finder(Protocol):
    """Finds identifiers that rules do not, such as a learned tagger."""

    def __call__(self, text: str) -> Iterable[Identifier]:
        """Give the places in a text that could name a person."""
        ...


@dataclass(frozen=True)
class Replaced:
    """A text without its identifiers.

    Attributes:
        text: of it.
        counts: of identifiers by kind.
        pieces: (start, end) in the old text and (start, end) in the new one, of what was replaced, in order.
    """

    text: str = field(repr=False)
    counts: Counter[Kind]
    pieces: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()

    def place(self, at: int) -> int:
        """Tell where a character of the old text stands in the new one; of one that was replaced, where that begins."""
        moved = 0
        for (start, end), (first, last) in self.pieces:
            if at < start:
                break
            if at < end:
                return first
            moved = last - end
        return at + moved


def replaced(
    text: str,
    surrogates: Surrogates,
    mode: Mode = "safe-harbor",
    way: Way = "tags",
    finders: Sequence[Finder] = (),
    year: int | None = None,
) -> Replaced:
    """Replace the identifiers of a text.

    Args:
        text: a note, or a field.
        surrogates: of its patient.
        mode: what becomes of dates.
        way: whether names and numbers become `[NAME]` or others that look alike.
        finders: beside the rules.
        year: of today; a year 90 or more before it tells an age over 89, and is no safe harbor. None: the clock's.

    >>> drawn = Surrogates(bytes(32), "P1")
    >>> replaced("Dr. Ann Lee saw him on 3/5/2024, MRN: 0012345.", drawn).text
    'Dr. [NAME] saw him on 2024, MRN: [RECORD_NUMBER].'
    """
    found = places(text, finders)
    oldest = (date.today().year if year is None else year) - _OLDEST
    out, pieces, at, length = [], [], 0, 0
    for one in found:
        new = _instead(one.kind, text[one.start : one.end], surrogates, mode, way, oldest)
        out += [text[at : one.start], new]
        length += one.start - at
        pieces.append(((one.start, one.end), (length, length + len(new))))
        length += len(new)
        at = one.end
    return Replaced("".join([*out, text[at:]]), Counter(one.kind for one in found), tuple(pieces))


def places(text: str, finders: Sequence[Finder] = ()) -> list[Identifier]:
    """Give what is replaced of a text, in order and without overlaps: by rules, by finders, and where it stands again.

    >>> text = "Dr. Ann Stone came. Stone left."
    >>> [text[one.start : one.end] for one in places(text)]
    ['Ann Stone', 'Stone']
    """
    found = [*identifiers(text), *(one for finder in finders for one in finder(text))]
    return _merged([*found, *repeated(text, found)])


def _merged(found: Iterable[Identifier]) -> list[Identifier]:
    """Keep what does not overlap; of what does, all of it under the name of the longest."""
    kept: list[Identifier] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if kept and one.start < kept[-1].end:
            before = kept.pop()
            longer = before if before.end - before.start >= one.end - one.start else one
            one = Identifier(before.start, max(before.end, one.end), longer.kind)
        kept.append(one)
    return kept


def _instead(kind: Kind, words: str, surrogates: Surrogates, mode: Mode, way: Way, oldest: int) -> str:
    tag = f"[{kind.upper()}]"
    if kind == "age":
        return "90+"
    if kind == "date":
        if mode == "safe-harbor":
            told = year_of(words)
            return told if told is not None and int(told) >= oldest else tag
        return shifted(words, surrogates.days) or (words if _YEAR.fullmatch(words) else tag)
    if kind == "postcode":
        digits = words[:3]
        if len(words.split("-")[0]) != 5:  # of another country: HIPAA says nothing of it
            return tag
        return "000" if digits in _FEW else digits
    return tag if way == "tags" else surrogates.of(kind, words)
