"""Values that stand below what tells them: cells below a table's first line, a value below its label."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from medloom.record.deidentify.kinds import Identifier, Kind
from medloom.record.deidentify.labels import CHINESE, ENGLISH, PEOPLE, PLACES, ZH_PEOPLE, ZH_PLACES

_CELL: Final = re.compile(r"[^\s|](?:[^\t\n|]*?[^\s|])??(?=[ ]{2,}|[ ]*[|\t\n]|[ ]*$)")
_FEWEST_CELLS: Final = 2
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_OLDEST: Final = 89
_NUMBER_WORDS: Final = re.compile(r"(?:[ ]?(?:number|no\.?|num|id|code|#)|号码|编号|号|[:：.])+$")


def cells(text: str, low: str) -> Iterator[Identifier]:
    """Find them.

    Args:
        text: in the usual characters.
        low: the same in lower case.

    >>> text = "Name        MRN\\nLee, Ann    0012345\\n"
    >>> [(one.kind, text[one.start : one.end]) for one in cells(text, text.lower())]
    [('name', 'Lee, Ann'), ('record_number', '0012345')]
    """
    kinds: list[Kind | None] = []
    at = 0
    for line in text.split("\n"):
        row = [(match.start(), match.end()) for match in _CELL.finditer(line)] if _apart(line) else []
        if not row and line.strip() and len(line) < 30:
            row = [(len(line) - len(line.lstrip()), len(line.rstrip()))]
        heads = (
            []
            if any(_valued(line[start:end]) for start, end in row)
            else [_kind(low[at + a : at + b]) for a, b in row]
        )
        if sum(one is not None for one in heads) >= min(len(row), _FEWEST_CELLS) > 0:
            kinds = heads
        elif kinds and len(row) == len(kinds):
            told = [(place, kind) for place, kind in zip(row, kinds, strict=True) if kind is not None]
            fitting = all(_fits(line[start:end], kind) for (start, end), kind in told)
            if fitting:
                yield from (Identifier(at + start, at + end, kind) for (start, end), kind in told)
            kinds = kinds if fitting and len(kinds) >= _FEWEST_CELLS else []
        else:
            kinds = []
        at += len(line) + 1


def kind_of_column(name: str) -> Kind | None:
    """Tell by its name what a column holds; None: nothing tells.

    >>> kind_of_column("patient_name"), kind_of_column("身份证号"), kind_of_column("sodium")
    ('name', 'citizen_number', None)
    """
    said = name.lower().replace("_", " ").strip()
    return "age" if said in ("age", "年龄") else _kind(said)


def is_value(cell: str, kind: Kind) -> bool:
    """Tell whether a cell is what its column is called.

    >>> is_value("Ann Lee", "name"), is_value("0012345", "record_number"), is_value("blood", "record_number")
    (True, True, False)
    """
    if kind == "age":
        return cell.strip().isdigit() and int(cell) > _OLDEST
    return _fits(cell.strip(), kind)


def _apart(line: str) -> bool:
    return "\t" in line or "|" in line or "  " in line.strip()


def _kind(label: str) -> Kind | None:
    said = label.strip(" :.*#")
    squeezed = "".join(said.split())
    if said in PEOPLE or squeezed.endswith(ZH_PEOPLE):
        return "name"
    if said in PLACES:
        return PLACES[said]
    if squeezed in ZH_PLACES:
        return ZH_PLACES[squeezed]
    bare = _NUMBER_WORDS.sub("", said).strip()
    known = (
        ENGLISH.get(said)
        or ENGLISH.get(bare)
        or CHINESE.get(_NUMBER_WORDS.sub("", squeezed))
        or CHINESE.get(squeezed)
    )
    if known is None or (known[1] and bare == said):
        return None
    return known[0]


def _valued(cell: str) -> bool:
    return sum(map(str.isdigit, cell)) > 1


def _fits(cell: str, kind: Kind) -> bool:
    """Tell whether a cell is what its column is called."""
    digits = sum(map(str.isdigit, cell))
    if kind == "name" and _HAN.search(cell) and "·" not in cell:
        return 1 < len(cell) < 5
    if kind in ("name", "organisation", "hospital"):
        return (
            digits == 0
            and 1 < len(cell) < 40
            and len(cell.split()) < 6
            and ":" not in cell
            and "：" not in cell
        )
    if kind == "address":
        return 3 < len(cell) < 100 and ":" not in cell
    return digits > 3 and len(cell) < 40 and ":" not in cell
