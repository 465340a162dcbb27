"""The wall clock of a site's zone, as FHIR dates and instants (R4 § 2.24.0.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

Precision = Literal["year", "month", "day"]
_LENGTHS: Final = {"year": 4, "month": 7, "day": 10}


@dataclass(frozen=True)
class Clock:
    """Writes the wall clock of a site's zone.

    >>> clock = Clock("Asia/Shanghai")
    >>> clock.written(datetime(2020, 3, 1, 8)), clock.written(datetime(2020, 3, 1), "month")
    ('2020-03-01T08:00:00+08:00', '2020-03')
    """

    zone: str

    def written(self, time: datetime, precision: Precision | None = None) -> str:
        """Give a FHIR dateTime, as precise as the source was; without a precision also an instant."""
        if precision is not None:
            return time.date().isoformat()[: _LENGTHS[precision]]
        moment = time.replace(tzinfo=ZoneInfo(self.zone))
        offset = moment.utcoffset() or timedelta()
        if offset % timedelta(minutes=1):  # local mean time, before there were zones: FHIR has no such offset
            moment = moment.astimezone(UTC)
        return moment.isoformat()

    def recorded(self, time: datetime, known: datetime | None) -> str | None:
        """Say when a fact became known, if its source says so; None: not later than it happened."""
        if known is None or known <= time:
            return None
        if _is_end_of_day(known):
            return None if known.date() == time.date() else known.date().isoformat()
        return self.written(known)


def _is_end_of_day(time: datetime) -> bool:
    return (time + timedelta(microseconds=1)).time() == datetime.min.time()
