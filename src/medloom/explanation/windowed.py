"""What the name of an input says: of which code, which statistic over which window, or when it was recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

AGE: Final = "age"
COUNT: Final = "count"
SINCE: Final = "hours since last"
SLOPE: Final = "slope"
RHYTHM: Final = "rhythm"
"""When and how often facts were recorded, whatever they say."""

_WINDOWED: Final = re.compile(
    r"(?P<code>.+?) (?P<statistic>hours since last|count|first|last|min|max|mean|slope)"
    r" (?P<window>ever|\d+(?:\.\d+)?(?:min|h|d|w|y))"
)
_RECORDED: Final = re.compile(r"(?P<code>.+?) (?P<hours>\d+\.\d\d)h before")


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


@dataclass(frozen=True)
class Recorded:
    """One fact: of which code, and how many hours before the prediction it was."""

    code: str
    hours: float

    @property
    def input(self) -> str:
        """Name it.

        >>> Recorded("LOINC//8480-6", 3.5).input
        'LOINC//8480-6 3.50h before'
        """
        return f"{self.code} {self.hours:.2f}h before"


def recorded(input: str) -> Recorded | None:
    """Read the name of an input; None: it is not one fact.

    >>> recorded("LOINC//8480-6 3.50h before")
    Recorded(code='LOINC//8480-6', hours=3.5)
    """
    found = _RECORDED.fullmatch(input)
    return None if found is None else Recorded(found["code"], float(found["hours"]))


def unit_of(input: str, units: Mapping[str, str]) -> str | None:
    """Give the UCUM unit of what an input holds; None: it has none.

    >>> units = {"LOINC//8480-6": "mm[Hg]"}
    >>> [unit_of(f"LOINC//8480-6 {said} 24h", units) for said in ("last", "slope", "count", "hours since last")]
    ['mm[Hg]', 'mm[Hg]/h', None, 'h']
    """
    if input == AGE:
        return "a"
    fact = recorded(input)
    if fact is not None:
        return units.get(fact.code)
    found = windowed(input)
    if found is None:
        return units.get(input)
    if found.statistic in (COUNT, SINCE):
        return None if found.statistic == COUNT else "h"
    unit = units.get(found.code)
    return f"{unit}/h" if found.statistic == SLOPE and unit else unit
