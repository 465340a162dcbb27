"""What part of a patient's record a reader asks to see: a period, some systems, a page of the table.

All of it stands in the address, so that links and forms zoom and filter without a script, and a view can be shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import urlencode

from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2

SYSTEMS: Final = (
    "encounters",
    "conditions",
    "drugs",
    "vitals",
    "labs",
    "procedures",
    "images",
    "notes",
    "other",
)
"""The lanes of a timeline, from above to below."""

PERIODS: Final[Mapping[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
    "5y": timedelta(days=5 * 365.25),
}
"""Periods that end now; `all` is the whole record."""

SHORTEST: Final = timedelta(hours=2)
_LAST_PAGE: Final = 100_000


class Query(Protocol):
    """An address's query, as Starlette's `QueryParams` has it."""

    def get(self, key: str, /) -> str | None:
        """Give the last value of a key."""

    def getlist(self, key: str, /) -> Sequence[str]:
        """Give all values of a key."""


@dataclass(frozen=True)
class View:
    """What is asked for.

    Attributes:
        period: a key of `PERIODS`, or `all`; None: chosen by how much there is to see, or `since` and `until` say it.
        since, until: naive wall clock; until None: now.
        systems: of `SYSTEMS`; empty: all.
        page: of the table, from 1; None: the table is closed.
    """

    period: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    systems: tuple[str, ...] = ()
    page: int | None = None

    def query(self, **changes: object) -> str:
        """Write the view, with changes, as an address's query.

        >>> View(period="7d").query(page=2)
        'period=7d&page=2'
        """
        changed = replace(self, **changes)  # type: ignore[arg-type]
        pairs: list[tuple[str, str]] = [("period", changed.period)] if changed.period else []
        for name, moment in (("since", changed.since), ("until", changed.until)):
            if moment is not None:
                pairs.append((name, moment.isoformat(timespec="minutes")))
        pairs += [("systems", system) for system in changed.systems]
        if changed.page is not None:
            pairs.append(("page", str(changed.page)))
        return urlencode(pairs)

    def shows(self, system: str) -> bool:
        """Tell whether a system is asked for."""
        return not self.systems or system in self.systems


def asked(query: Query) -> View:
    """Read a view from an address's query; empty values count as not given.

    Raises:
        InputError: a value is none of those that can be asked for, or the period ends before it begins.
    """
    period = query.get("period") or None
    if period is not None and period != "all" and period not in PERIODS:
        raise InputError("the period is one of {known}, or since and until", known=["all", *PERIODS])
    since, until = _moment(query.get("since")), _moment(query.get("until"))
    if since is not None and until is not None and until <= since:
        raise InputError("the period ends before it begins")
    chosen = set(query.getlist("systems")) - {""}
    if chosen - set(SYSTEMS):
        raise InputError("the systems of a timeline are {known}", known=SYSTEMS)
    systems = tuple(system for system in SYSTEMS if system in chosen)
    page = query.get("page") or None
    if page is not None and not (page.isascii() and page.isdigit() and 1 <= int(page[:9]) <= _LAST_PAGE):
        raise InputError("a page is a number from 1")
    between = since is not None or until is not None
    return View(
        None if between else period,
        since,
        until,
        () if len(systems) == len(SYSTEMS) else systems,
        None if page is None else int(page),
    )


def system_names() -> Mapping[str, Text2]:
    """Name the systems."""
    return {
        "encounters": text2("Encounters"),
        "conditions": text2("Conditions"),
        "drugs": text2("Drugs and vaccines"),
        "vitals": text2("Vital signs"),
        "labs": text2("Laboratory and other measurements"),
        "procedures": text2("Procedures and devices"),
        "images": text2("Images and waveforms"),
        "notes": text2("Notes"),
        "other": text2("Other observations"),
    }


def period_names() -> Mapping[str, Text2]:
    """Name the periods."""
    return {
        "all": text2("All"),
        "5y": text2("5 years"),
        "1y": text2("1 year"),
        "90d": text2("90 days"),
        "7d": text2("7 days"),
        "24h": text2("24 hours"),
    }


def _moment(said: str | None) -> datetime | None:
    """Read a moment as `<input type=datetime-local>` writes it; years 1 to 9999 leave room to shift it."""
    if not said:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise InputError("since and until are moments such as 2019-03-01T08:30") from None
    if moment.tzinfo is not None or not 1800 <= moment.year <= 2400:
        raise InputError("since and until are moments such as 2019-03-01T08:30")
    return moment
