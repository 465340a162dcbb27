"""What the name of an input says: of which code, which statistic, over which window (`features.windows`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite
from typing import Final

from medloom.explanation.wording import amount
from medloom.foundation.messages import Text2, text2
from medloom.tasks.history import HOURS_PER_YEAR

AGE: Final = "age"
COUNT: Final = "count"
SINCE: Final = "hours since last"
SLOPE: Final = "slope"

_WINDOWED: Final = re.compile(
    r"(?P<code>.+?) (?P<statistic>hours since last|count|first|last|min|max|mean|slope)"
    r" (?P<window>ever|\d+(?:\.\d+)?(?:min|h|d|w|y))"
)


@dataclass(frozen=True)
class Windowed:
    """An input over a window; statistics: count, hours since last, first, last, min, max, mean, slope."""

    code: str
    statistic: str
    window: str


def windowed(input: str) -> Windowed | None:
    """Read the name of an input; None: it is not over a window.

    >>> windowed("LOINC//8480-6 hours since last 24h")
    Windowed(code='LOINC//8480-6', statistic='hours since last', window='24h')
    >>> windowed("age") is None
    True
    """
    found = _WINDOWED.fullmatch(input)
    return None if found is None else Windowed(found["code"], found["statistic"], found["window"])


def unit_of(input: str, units: Mapping[str, str]) -> str | None:
    """Give the UCUM unit of what an input holds; None: it has none.

    >>> units = {"LOINC//8480-6": "mm[Hg]"}
    >>> [unit_of(f"LOINC//8480-6 {said} 24h", units) for said in ("last", "slope", "count", "hours since last")]
    ['mm[Hg]', 'mm[Hg]/h', None, 'h']
    """
    if input == AGE:
        return "a"
    found = windowed(input)
    if found is None:
        return units.get(input)
    if found.statistic in (COUNT, SINCE):
        return None if found.statistic == COUNT else "h"
    unit = units.get(found.code)
    return f"{unit}/h" if found.statistic == SLOPE and unit else unit


def sides(input: str, threshold: float, unit: str | None, is_flag: bool = False) -> tuple[Text2, Text2]:
    """Say the two sides of a threshold: at or below it, and above; an infinite one tells known from missing.

    >>> [side.en for side in sides("A count ever", 0.5, None)], [side.en for side in sides("age", 64.5, "a")]
    (['none', '≥ 1'], ['≤ 64.5 years', '> 64.5 years'])
    >>> [side.zh for side in sides("GENDER//F", 0.5, None, is_flag=True)]
    ['否', '是']
    """
    if not isfinite(threshold):
        return text2("known"), text2("not known")
    if is_flag:
        return text2("no"), text2("yes")
    found = windowed(input)
    if found is not None and found.statistic == COUNT:
        n = floor(threshold)
        return text2("none") if n <= 0 else _same(f"≤ {n:,}"), _same(f"≥ {max(n, 0) + 1:,}")
    if found is not None and found.statistic == SINCE and threshold >= 2 * HOURS_PER_YEAR:
        said = amount(round(threshold / HOURS_PER_YEAR, 1), "a")
    elif found is not None and found.statistic == SINCE and threshold >= 72:
        said = amount(round(threshold / 24, 1), "d")
    else:
        said = amount(threshold, unit)
    return Text2(f"≤ {said.en}", f"≤ {said.zh}"), Text2(f"> {said.en}", f"> {said.zh}")


def _same(said: str) -> Text2:
    return Text2(said, said)
