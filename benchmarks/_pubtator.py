"""Abstracts with named places, codes and relations, as files of PubTator tell them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from medloom.tasks.spans import Span, span

_TEXT = re.compile(r"(\d+)\|([ta])\|(.*)")


@dataclass(frozen=True)
class Mention:
    """A place that is named, with what is meant.

    Attributes:
        span: the place and its name.
        codes: of what is meant; none where the vocabulary has none.
    """

    span: Span
    codes: tuple[str, ...]


@dataclass
class Abstract:
    """One abstract.

    Attributes:
        number: PubMed's.
        title: of it.
        body: of it.
        mentions: in the order of the file.
        relations: kind, and the codes it is between.
    """

    number: str
    title: str = ""
    body: str = ""
    mentions: list[Mention] = field(default_factory=list)
    relations: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Put title and body together, as mentions count characters."""
        return f"{self.title} {self.body}"

    @property
    def spans(self) -> tuple[Span, ...]:
        """Give the places alone."""
        return tuple(sorted({one.span for one in self.mentions}))


def abstracts(path: Path, names: dict[str, str] | None = None) -> list[Abstract]:
    """Read a file; `names`: what places are to be called, by what the file calls them."""
    found: dict[str, Abstract] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if told := _TEXT.fullmatch(line):
            one = found.setdefault(told[1], Abstract(told[1]))
            if told[2] == "t":
                one.title = told[3]
            else:
                one.body = told[3]
            continue
        cells = line.split("\t")
        if len(cells) == 4:
            found[cells[0]].relations.append((cells[1], cells[2], cells[3]))
        elif len(cells) >= 5:
            codes = tuple(filter(None, re.split(r"[|+]", cells[5]))) if len(cells) > 5 else ()
            name = (names or {}).get(cells[4], cells[4])
            place = span(int(cells[1]), int(cells[2]), name)
            found[cells[0]].mentions.append(Mention(place, tuple(one for one in codes if one != "-1")))
    return list(found.values())
