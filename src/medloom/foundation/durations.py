"""Lengths of time as people write them: `48h`, `30d`, `15min`, `1y`."""

from __future__ import annotations

import re
from typing import Final

from medloom.foundation.errors import InputError

_HOURS: Final = {"min": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0, "y": 24 * 365.25}
_PATTERN: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*(min|h|d|w|y)")


def hours(text: str) -> float:
    """Read a length of time, in hours.

    Raises:
        InputError: no number, or no unit.

    >>> hours("2d")
    48.0
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise InputError(
            "length of time {text!r} needs a number and a unit (min, h, d, w, y): write 48h or 2d", text=text
        )
    return float(match[1]) * _HOURS[match[2]]


def microseconds(text: str) -> int:
    """Read a length of time, in microseconds.

    >>> microseconds("1h")
    3600000000
    """
    return round(hours(text) * 3_600_000_000)
