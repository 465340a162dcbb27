"""Single facts that moved an answer, and when they were: what is marked on a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from medloom.explanation.windowed import recorded
from medloom.explanation.wording import readable
from medloom.foundation.messages import Text2

_REASONS: Final = 10
_FACTS: Final = 40  # single facts, of which many are about one thing
_SMALLEST, _LARGEST = 3.5, 9.0  # px, half the width of a mark
_SLOPE: Final = 1.5  # a mark is so many halves tall


@dataclass(frozen=True)
class Push:
    """A fact that moved an answer.

    Attributes:
        code: of the fact.
        time: when it was, naive wall clock.
        contribution: how much it moved the answer, on the scale of the reasons.
        said: the fact in words.
        share: of the largest contribution of such a fact, from 0 to 1.
    """

    code: str
    time: datetime
    contribution: float
    said: Text2
    share: float = 1.0

    @property
    def half(self) -> float:
        """Give half the width of its mark in px: its area is as large as its share, unless too small to be seen."""
        return float(max(_SMALLEST, _LARGEST * self.share**0.5))

    @property
    def tall(self) -> float:
        """Give the height of its mark in px."""
        return _SLOPE * self.half


def pushes_of(rows: Iterable[tuple[str, float, Text2]], now: datetime) -> list[Push]:
    """Find single facts among reasons, in order of time: rows of input, contribution, and the input in words.

    >>> rows = [("A//b 3.50h before", 0.4, Text2("b", "b")), ("age", 0.2, Text2("age", "年龄"))]
    >>> [(one.code, one.time.hour) for one in pushes_of(rows, datetime(2020, 1, 1, 12))]
    [('A//b', 8)]
    """
    found = []
    for name, contribution, said in rows:
        fact = recorded(name)
        if fact is not None and contribution:
            # names tell hours with two digits, so that a minute is as near as one can come
            time = (now - timedelta(hours=fact.hours) + timedelta(seconds=30)).replace(
                second=0, microsecond=0
            )
            found.append(Push(fact.code.split("=")[0], min(time, now), contribution, said))
    largest = max((abs(one.contribution) for one in found), default=1.0)
    shared = [
        Push(one.code, one.time, one.contribution, one.said, abs(one.contribution) / largest) for one in found
    ]
    return sorted(shared, key=lambda one: one.time)


def pushes_in(
    reasons: pl.DataFrame, now: datetime, descriptions: Mapping[str, str], units: Mapping[str, str]
) -> list[Push]:
    """Find single facts among rows of `Explanation.top`."""
    rows = reasons.select("input", "value", "contribution").iter_rows()
    said = (
        (name, contribution, readable(name, value, descriptions, units)) for name, value, contribution in rows
    )
    return pushes_of(said, now)


def as_many(reasons: pl.DataFrame) -> int:
    """Tell how many of the strongest reasons are worth keeping: of single facts more, which are many of few things."""
    names = reasons["input"].head(1000)
    return _FACTS if any(recorded(name) is not None for name in names) else _REASONS
