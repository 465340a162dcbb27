"""What the name of an input says: of which code, which statistic, over which window (`features.windows`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
