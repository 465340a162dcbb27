"""What a finder of facts gives: places in a text, what kind of thing each names, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

Kind = Literal["problem", "drug", "measurement", "procedure", "anatomy", "allergy", "social"]
Part = tuple[int, int]

KINDS: Final[tuple[Kind, ...]] = (
    "problem",
    "drug",
    "measurement",
    "procedure",
    "anatomy",
    "allergy",
    "social",
)


@dataclass(frozen=True)
class Mention:
    """A place in a text that names something.

    Attributes:
        kind: of what it names.
        parts: character ranges of the text, half open, ascending; several where words stand between.
        code: of what it names, `SYSTEM//code` without a prefix; None: the finder knows no code of it.
        confidence: that it is what it is said to be, from 0 to 1.
        value: a number it tells, in `unit`.
        unit: of the value, UCUM.
        comparator: `<`, `<=`, `>` or `>=` where the value is a bound.
        details: what else it tells, by name: `dose route frequency duration` of a drug, `status` of a habit, `onset` of
            a problem or procedure.
    """

    kind: Kind
    parts: tuple[Part, ...]
    code: str | None
    confidence: float
    value: float | None = None
    unit: str | None = None
    comparator: str | None = None
    details: dict[str, str] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """Give where it begins."""
        return self.parts[0][0]

    @property
    def end(self) -> int:
        """Give where it ends."""
        return self.parts[-1][1]


class Finder(Protocol):
    """Finds mentions in texts: rules and dictionaries do, and so may a learned tagger."""

    @property
    def name(self) -> str:
        """Name it as its facts name their `model` in the record."""

    def find(self, text: str) -> Sequence[Mention]:
        """Find what a text names, in its order; characters of `text` are what parts count."""


def span_of(parts: Sequence[Part]) -> str:
    """Write parts as the record has them.

    >>> span_of([(0, 2), (7, 9)])
    '0:2;7:9'
    """
    return ";".join(f"{start}:{end}" for start, end in parts)


def parts_of(span: str) -> tuple[Part, ...]:
    """Read parts as the record has them.

    Raises:
        ValueError: it is no span of characters.

    >>> parts_of("0:2;7:9")
    ((0, 2), (7, 9))
    """
    found = []
    for one in span.split(";"):
        start, _, end = one.partition(":")
        found.append((int(start), int(end)))
    return tuple(found)


def words_at(text: str, parts: Sequence[Part]) -> str:
    """Give the words of a text that stand at some parts.

    >>> words_at("BP 120/80", [(0, 2), (7, 9)])
    'BP 80'
    """
    return " ".join(text[start:end] for start, end in parts)
