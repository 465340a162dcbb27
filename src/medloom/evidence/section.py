"""One section of a report: what was found out, as sentences, tables and drawings, in both languages.

A finding gives a section; a page shows sections and knows no finding. Sections are kept beside a model as JSON, so
that what one command found stands in the report that another one writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from xml.etree import ElementTree

from medloom.evidence.estimate import Estimate
from medloom.foundation.errors import IntegrityError
from medloom.foundation.messages import Text2

Said = Text2 | str | int | Estimate | None

# All that a drawing of ours holds: whoever alters a kept section must not thereby run anything in a reader's browser.
_SHAPES: Final = frozenset({"svg", "title", "desc", "g", "path", "rect", "circle", "text"})
_ATTRIBUTES: Final = frozenset(
    "aria-labelledby class cx cy d height id lang r role text-anchor transform viewBox width x y".split()
)


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table: a text, and beneath it a `detail` in small print.

    `marked` cells are set off from the others.
    """

    text: Text2
    detail: Text2 | None = None
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        head: the names of all columns.
        rows: as wide as the head.
        texts: places of further columns that hold sentences rather than numbers.
    """

    head: tuple[Text2, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A drawing (SVG of `foundation.charts`) with its name and how it is read."""

    title: Text2
    svg: str
    reading: Text2


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        key: its identifier on the page, such as `robustness`; small letters and hyphens.
        title: what it is about.
        sentences: what was found, before any table.
        figures: drawings, side by side where there is room.
        tables: one beneath the other.
        note: how it is to be read, in small print.

    >>> one = Section("size", Text2("samples", "样本"), tables=(table(["split", "n"], [["train", 1200]]),))
    >>> Section.from_json(one.to_json()) == one
    True
    """

    key: str
    title: Text2
    sentences: tuple[Text2, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    note: Text2 | None = None

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values, from which `from_json` makes the same section."""
        return {
            "key": self.key,
            "title": _both(self.title),
            "sentences": [_both(one) for one in self.sentences],
            "figures": [
                {"title": _both(one.title), "svg": one.svg, "reading": _both(one.reading)}
                for one in self.figures
            ],
            "tables": [
                {
                    "head": [_both(name) for name in one.head],
                    "rows": [[_cell_json(each) for each in row] for row in one.rows],
                    "texts": list(one.texts),
                }
                for one in self.tables
            ],
            "note": None if self.note is None else _both(self.note),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Section:
        """Read what `to_json` wrote.

        Raises:
            IntegrityError: it is no section, or a drawing in it holds more than shapes and words.
        """
        try:
            figures = tuple(
                Figure(Text2(**one["title"]), _passive(one["svg"]), Text2(**one["reading"]))
                for one in content["figures"]
            )
            tables = tuple(
                Table(
                    tuple(Text2(**name) for name in one["head"]),
                    tuple(tuple(_read_cell(each) for each in row) for row in one["rows"]),
                    tuple(one["texts"]),
                )
                for one in content["tables"]
            )
            return cls(
                content["key"],
                Text2(**content["title"]),
                tuple(Text2(**one) for one in content["sentences"]),
                figures,
                tables,
                None if content["note"] is None else Text2(**content["note"]),
            )
        except (KeyError, TypeError) as error:
            raise IntegrityError(
                "a kept section of the evidence cannot be read; evaluate the model again"
            ) from error


def table(head: Sequence[Said], rows: Sequence[Sequence[Said | Cell]], texts: Sequence[int] = ()) -> Table:
    """Make a table of whatever can be said: texts, counts, estimates.

    >>> table(["measure", "value"], [["AUROC", Estimate(0.8, 0.7, 0.9)]]).rows[0][1].text.en
    '0.800'
    """
    return Table(
        tuple(cell(name).text for name in head),
        tuple(tuple(one if isinstance(one, Cell) else cell(one) for one in row) for row in rows),
        tuple(texts),
    )


def cell(said: Said, digits: int = 3, detail: Text2 | None = None) -> Cell:
    """Make a cell; the interval of an estimate, or why it has no value, becomes the detail.

    Arguments:
        said: None gives a dash.
        digits: after the point, of an estimate.
        detail: another small print than the interval.

    >>> cell(12345).text.en, cell(Estimate(0.5, 0.25, 0.75), 2).detail.en
    ('12,345', '0.25–0.75')
    """
    if isinstance(said, Estimate):
        if said.value is None:
            return Cell(Text2("–", "–"), detail or said.reason)
        both = said.said2(digits)
        number, interval = (
            both.en.partition(" (")[0],
            [one.partition(" (")[2].removesuffix(")") for one in both],
        )
        return Cell(Text2(number, number), detail or (Text2(*interval) if interval[0] else None))
    if isinstance(said, Text2):
        return Cell(said, detail)
    text = "–" if said is None else f"{said:,}" if isinstance(said, int) else said
    return Cell(Text2(text, text), detail)


def number(one: Estimate, digits: int = 3) -> Cell:
    """Make a cell of an estimate whose reason, where it has no value, is told elsewhere on the page."""
    return Cell(Text2("–", "–")) if one.value is None else cell(one, digits)


def marked(one: Cell) -> Cell:
    """Give the cell set off from others."""
    return replace(one, marked=True)


def _passive(svg: str) -> str:
    try:
        # declarations and sections of raw text mean one thing to XML and another to a browser
        parts = () if "<!" in svg or "<?" in svg else tuple(ElementTree.fromstring(svg).iter())
    except ElementTree.ParseError:
        parts = ()
    if not parts or any(one.tag not in _SHAPES or not one.attrib.keys() <= _ATTRIBUTES for one in parts):
        raise IntegrityError(
            "a kept drawing of the evidence holds more than shapes and words; evaluate again"
        )
    return svg


def _both(text: Text2) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def _cell_json(one: Cell) -> dict[str, Any]:
    detail = {} if one.detail is None else {"detail": _both(one.detail)}
    return {"text": _both(one.text), **detail, **({"marked": True} if one.marked else {})}


def _read_cell(content: Mapping[str, Any]) -> Cell:
    detail = content.get("detail")
    return Cell(
        Text2(**content["text"]), None if detail is None else Text2(**detail), content.get("marked", False)
    )
