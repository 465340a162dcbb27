"""Dates and times of DICOM (PS3.5 section 6.2: DA, TM, DT) as wall clock of the site."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from medloom.record.imaging.dicom.layout import Layout

_DATES: Final = (
    (0x00080022, 0x00080032),
    (0x00080021, 0x00080031),
    (0x00080020, 0x00080030),
    (0x00080023, 0x00080033),
)
"""Date and time of acquisition, series, study, content."""

_ACQUIRED: Final = 0x0008002A
_OFFSET: Final = 0x00080201
_MOMENT: Final = re.compile(
    r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)(?:(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,6}))?)?([+-]\d{4})?"
)


def moment_of(layout: Layout, zone: str) -> tuple[datetime, bool] | None:
    """Tell when a picture was taken, and whether its time of day is told; None: no date is."""
    offset = layout.text(_OFFSET)
    offset = offset if re.fullmatch(r"[+-]\d{4}", offset) else ""
    told = [layout.text(_ACQUIRED)]
    for day, time in _DATES:
        if date := layout.text(day):
            told.append(date + (clock + offset if (clock := layout.text(time)) else ""))
    return next((found for one in told if (found := read_moment(one, zone)) is not None), None)


def read_moment(text: str, zone: str) -> tuple[datetime, bool] | None:
    """Read a date with or without a time; with an offset it is turned to the wall clock of `zone`.

    >>> read_moment("20200131093000.5", "UTC")
    (datetime.datetime(2020, 1, 31, 9, 30, 0, 500000), True)
    >>> read_moment("20200131", "UTC"), read_moment("soon", "UTC")
    ((datetime.datetime(2020, 1, 31, 0, 0), False), None)
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        moment = datetime(
            *(int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59)),
            int((fraction or "0").ljust(6, "0")),
        )
    except ValueError:
        return None
    if offset and hour:
        ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
        aware = moment.replace(tzinfo=timezone(-ahead if offset[0] == "-" else ahead))
        moment = aware.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return moment, hour is not None
