"""The text of a note as a page shows it: pieces that do not overlap, each with all that is said of its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

from medloom.record.notes.sections import sections
from medloom.server.notes import Entity

PART: Final = 20_000
"""Characters of a note that a page shows at once."""

_LOOK_BACK: Final = 2_000  # for the end of a line at which to cut
_HEADING: Final = 80  # characters of a heading, at most


@dataclass(frozen=True)
class Piece:
    """Words of which the same is said.

    Attributes:
        start: in the note, in characters.
        text: the words.
        heading: whether they head a section.
        of: what is said of them, the narrowest first.
        begins: what begins here, to be reached from here; ends: what ends here, to be named here.
    """

    start: int
    text: str = field(repr=False)
    heading: bool = False
    of: tuple[Entity, ...] = ()
    begins: tuple[Entity, ...] = ()
    ends: tuple[Entity, ...] = ()

    @property
    def html(self) -> Markup:
        """Give the words for a page, which would make another character of a carriage return.

        >>> Piece(0, "a<b\\r").html
        Markup('a&lt;b&#13;')
        """
        return Markup(str(escape(self.text)).replace("\r", "&#13;"))


@dataclass(frozen=True)
class Part:
    """A part of a note: its number of all, from 1, where it stands, its pieces and what is said in it."""

    number: int
    of: int
    start: int
    end: int
    pieces: tuple[Piece, ...] = field(repr=False)
    entities: tuple[Entity, ...] = field(repr=False)


def part_of(text: str, number: int, entities: Sequence[Entity], size: int = PART) -> Part:
    """Give a part of a note, by its number; long notes are cut at ends of lines where there are any.

    Args:
        text: of the note.
        number: from 1; beyond the last, the last.
        entities: of the whole note.
        size: characters of a part, at most.
    """
    cuts = cuts_of(text, size)
    number = min(max(number, 1), len(cuts) - 1)
    start, end = cuts[number - 1], cuts[number]
    within = tuple(one for one in entities if one.start < end and one.end > start)
    return Part(number, len(cuts) - 1, start, end, pieces_of(text, start, end, within), within)


def part_with(text: str, place: int, size: int = PART) -> int:
    """Give the number of the part that a character stands in."""
    return sum(cut <= place for cut in cuts_of(text, size)[:-1])


def cuts_of(text: str, size: int = PART) -> list[int]:
    """Give where a note is cut: 0, …, its length.

    >>> cuts_of("one\\ntwo\\nthree", 9)
    [0, 8, 13]
    """
    cuts = [0]
    while len(text) - cuts[-1] > size:
        last = cuts[-1] + size
        line = text.rfind("\n", max(cuts[-1], last - min(_LOOK_BACK, size // 2)), last)
        cuts.append(last if line < 0 else line + 1)
    return [*cuts, len(text)]


def pieces_of(text: str, start: int, end: int, entities: Sequence[Entity]) -> tuple[Piece, ...]:
    """Cut a part of a note wherever something begins or ends.

    >>> one = Entity("ICD10CM//C34", "2:13", "lung cancer", "problem")
    >>> other = Entity("ANATOMY//lung", "2:6", "lung", "anatomy")
    >>> [(piece.text, len(piece.of)) for piece in pieces_of("A lung cancer.", 0, 14, [one, other])]
    [('A ', 0), ('lung', 2), (' cancer', 1), ('.', 0)]
    """
    headings = _headings(text, start, end)
    edges = {start, end} | {edge for heading in headings for edge in heading}
    opening: dict[int, list[Entity]] = {}
    closing: dict[int, list[Entity]] = {}
    for one in entities:
        for first, last in one.parts:
            first, last = max(first, start), min(last, end)
            if first < last:
                edges |= {first, last}
                opening.setdefault(first, []).append(one)
                closing.setdefault(last, []).append(one)
    heads = set(headings)
    pieces, standing = [], list[Entity]()
    inside_heading = -1
    for first, last in pairwise(sorted(edges)):
        for one in closing.get(first, ()):
            standing.remove(one)
        standing += opening.get(first, ())
        inside_heading = max([inside_heading, *(stop for begin, stop in heads if begin == first)])
        narrow = sorted(standing, key=lambda one: (one.end - one.start, one.start))
        pieces.append(
            Piece(
                first,
                text[first:last],
                last <= inside_heading,
                tuple(narrow),
                tuple(one for one in narrow if max(one.start, start) == first),
                tuple(one for one in narrow if min(one.end, end) == last),
            )
        )
    return tuple(pieces)


def _headings(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Give where the headings of sections stand in a part."""
    found = []
    for section in sections(text[start:end]):
        if section.name == "other":
            continue
        first = start + section.start
        line = text[first : min(first + _HEADING, end)]
        line = line[len(line) - len(line.lstrip()) :].split("\n")[0]
        first += len(text[first : first + _HEADING]) - len(text[first : first + _HEADING].lstrip())
        places = [place for sign in ":：】]" if (place := line.find(sign)) > 0]
        stop = min(places) + 1 if places else len(line)
        if stop < len(line) and line[stop] in ":：":
            stop += 1
        found.append((first, first + stop))
    return found
