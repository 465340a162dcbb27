"""A patient's record as a picture through time: lanes by system, a row a thing, each with its latest value.

Every row is drawn by itself in per cent of the width, so that one drawing serves a phone and a wall display; names and
values beside it are text of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl
from markupsafe import Markup

from medloom.explanation.lanes import kind_name
from medloom.explanation.numbers import moment
from medloom.explanation.pushes import Push
from medloom.foundation.messages import here, tr
from medloom.server.web.timeline_drawing import (
    Window,
    axis_drawing,
    grid_drawing,
    overview_drawing,
    push_strength,
)
from medloom.server.web.timeline_facts import facts_of
from medloom.server.web.timeline_lanes import Lane, Lanes, inside_of, stays_of
from medloom.server.web.timeline_view import PERIODS, SHORTEST, View, period_names, system_names
from medloom.server.web.timeline_words import LONGEST_TEXT, amount_of, link_to, name_of, short

ENTRIES_A_PAGE: Final = 100

# As many different hours as are worth looking at large.
_MOMENTS: Final = 25
_LONGEST_NOTE: Final = 20_000
_SAME: Final = timedelta(minutes=1)  # reasons tell hours with two digits


@dataclass(frozen=True)
class Entry:
    """A line of the table that says the same in words; `more` is a long text in full.

    `push` is above 0 where it raised the answer, below where it lowered it. `note` tells when a note was written, by
    which its page is found.
    """

    when: str
    kind: str
    name: str
    value: str
    more: str = ""
    push: int = 0
    note: str = ""


@dataclass(frozen=True)
class Moving:
    """A fact that raised the answer (`up`) or lowered it, and how strongly beside the strongest."""

    when: str
    said: str
    up: bool
    strength: str


@dataclass(frozen=True)
class Choice:
    """A link to another view; `current` is the one that is seen."""

    href: str
    label: str
    current: bool = False


@dataclass(frozen=True)
class Timeline:
    """What the page shows of a record; `lanes` and `entries` are empty where the period is.

    Attributes:
        total: dated entries of the whole record; shown: those in the period and the systems.
        facts: single ones in the period that moved an answer, strongest first.
        since, until: the period, naive wall clock.
        earlier, later, closer, wider: links, or none where there is nothing more.
        page, pages: of the table; `previous`, `next` link to its neighbours.
    """

    view: View
    address: str
    now: datetime
    first: datetime | None
    since: datetime
    until: datetime
    total: int
    shown: int
    said: str
    overview: Markup
    axis: Markup
    grid: Markup
    lanes: Sequence[Lane]
    facts: Sequence[Moving]
    periods: Sequence[Choice]
    systems: Sequence[tuple[str, str, bool]]
    earlier: str | None
    later: str | None
    closer: str | None
    wider: str | None
    entries: Sequence[Entry]
    page: int
    pages: int
    previous: str | None
    next: str | None

    def shows_sign(self, sign: str) -> bool:
        """Tell whether a sign (a class of the drawings) occurs, for the legend."""
        return any(f'class="{sign}' in row.drawing for lane in self.lanes for row in lane.rows)

    @property
    def is_open(self) -> bool:
        """Tell whether the table was asked for."""
        return self.view.page is not None


def timeline_of(
    events: pl.DataFrame,
    now: datetime,
    view: View,
    *,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    adult: bool = True,
    effects: Mapping[str, float] | None = None,
    pushes: Sequence[Push] = (),
    address: str = "",
) -> Timeline:
    """Draw one patient's record as seen at `now`, in the current language.

    Args:
        events: the patient's events that are visible at `now`: time, code, numeric_value, text_value, role, encounter.
        now: naive wall clock; the right end of what can be seen.
        view: what is asked for.
        descriptions: of codes.
        units: UCUM units of codes.
        adult: whether reference ranges of adults apply.
        effects: code → its contribution to an answer; such rows are shown first, with a sign.
        pushes: single facts that moved that answer, in order of time; they are marked where they are.
        address: of the page, to which links add the view as a query.

    Raises:
        InputError: a column is missing.
    """
    facts = facts_of(events, now)
    first = facts["time"][0] if facts.height else None
    window = _window(facts, now, view)
    of_code: dict[str, list[Push]] = {}
    for push in pushes:
        of_code.setdefault(push.code, []).append(push)
    draw = Lanes(window, now, view, descriptions, units, adult, effects or {}, address, of_code)
    seen = facts.filter(inside_of(window))
    if view.systems:
        seen = seen.filter(pl.col("system").is_in(view.systems))
    pages = max(-(-seen.height // ENTRIES_A_PAGE), 1)
    page = min(view.page or 1, pages)
    return Timeline(
        view,
        address,
        now,
        first,
        window.since,
        window.until,
        facts.height,
        seen.height,
        _said(facts.height, seen.height, first, window),
        overview_drawing(facts["time"], first, now, window) if first is not None else Markup(),
        axis_drawing(window, now),
        grid_drawing(window),
        draw.lanes(facts, seen),
        _facts(pushes, window),
        _periods(view, address, window, first, now),
        [(system, here(name), view.shows(system)) for system, name in system_names().items()],
        *_moves(view, address, window, first, now),
        _entries(seen, page, descriptions, units, of_code),
        page,
        pages,
        link_to(address, view.query(page=page - 1)) if page > 1 else None,
        link_to(address, view.query(page=page + 1)) if page < pages else None,
    )


def _window(facts: pl.DataFrame, now: datetime, view: View) -> Window:
    first = facts["time"][0] if facts.height else now - PERIODS["1y"]
    until = min(view.until or now, now)
    if view.period is not None and view.period != "all":
        since = now - PERIODS[view.period]
    elif view.since is not None or view.until is not None:
        since = view.since or min(first, until)
    else:
        since = first if view.period == "all" else _since(facts, now, first)
    return Window(min(since, until - SHORTEST), until)


def _since(facts: pl.DataFrame, now: datetime, first: datetime) -> datetime:
    """Choose the shortest period with enough to see, at least a stay that still goes on."""
    hours = facts["time"].dt.truncate("1h").unique().sort()
    since = first
    for length in PERIODS.values():
        start = now - length
        if start <= first:
            break
        if hours.len() - hours.search_sorted(start) >= _MOMENTS:
            since = start
            break
    stays = [stay for found in stays_of(facts, now).values() for stay in found]
    going_on = [stay.start for stay in stays if stay.goes_on]
    return min([since, *going_on])


def _said(total: int, shown: int, first: datetime | None, window: Window) -> str:
    if first is None:
        return ""
    return tr(
        "{n} of {total} entries, {since} – {until}",
        n=f"{shown:,}",
        total=f"{total:,}",
        since=moment(window.since),
        until=moment(window.until),
    )


def _periods(view: View, address: str, window: Window, first: datetime | None, now: datetime) -> list[Choice]:
    def is_seen(period: str) -> bool:
        if view.period is not None or view.since is not None or view.until is not None:
            return view.period == period
        since = first if period == "all" else now - PERIODS[period]
        return window.until == now and window.since == since

    return [
        Choice(
            link_to(address, view.query(period=period, since=None, until=None, page=None)),
            here(name),
            is_seen(period),
        )
        for period, name in period_names().items()
    ]


def _moves(
    view: View, address: str, window: Window, first: datetime | None, now: datetime
) -> tuple[str | None, str | None, str | None, str | None]:
    """Link to what is earlier, later, closer and wider."""
    if first is None:
        return None, None, None, None
    length = window.until - window.since

    def link(since: datetime, until: datetime) -> str:
        # Minutes are enough, as long as none of them is lost.
        end = None if until >= now else until + timedelta(minutes=1)
        return link_to(address, view.query(period=None, since=since, until=end, page=None))

    earlier = later = closer = wider = None
    if window.since > first:
        earlier = link(window.since - length / 2, window.until - length / 2)
        wider = link(window.since - length / 2, min(window.until + length / 2, now))
    if window.until < now:
        end = min(window.until + length / 2, now)
        later = link(end - length, end)
    if length > 2 * SHORTEST:
        # The latest counts most: where the view ends now, it closes in on now.
        quarter = timedelta() if window.until == now else length / 4
        closer = link(window.until - quarter - length / 2, window.until - quarter)
    return earlier, later, closer, wider


def _facts(pushes: Sequence[Push], window: Window) -> list[Moving]:
    return [
        Moving(moment(one.time), here(one.said), one.contribution > 0, push_strength(one.share))
        for one in sorted(filter(window.holds, pushes), key=lambda one: -one.share)
    ]


def _pushed(pushes: Sequence[Push], time: datetime) -> int:
    """Tell whether the fact at a moment raised the answer or lowered it; 0: neither is known."""
    total = sum(one.contribution for one in pushes if abs(one.time - time) < _SAME)
    return (total > 0) - (total < 0)


def _entries(
    seen: pl.DataFrame,
    page: int,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    pushes: Mapping[str, Sequence[Push]],
) -> list[Entry]:
    rows = seen.reverse().slice((page - 1) * ENTRIES_A_PAGE, ENTRIES_A_PAGE)
    entries = []
    for time, code, value, text, role in rows.select("time", "code", "value", "text", "role").iter_rows():
        name = name_of(code, descriptions)
        if code.startswith("ENCOUNTER//") and code.endswith("//START"):
            name = tr("{name}: {detail}", name=name, detail=tr("start"))
        said = amount_of(value, units.get(code)) if value is not None else short(text)
        long = text is not None and value is None and len(text) > LONGEST_TEXT
        entries.append(
            Entry(
                moment(time),
                here(kind_name(role, value is not None)),
                name,
                said,
                text[:_LONGEST_NOTE] if long else "",
                _pushed(pushes.get(code, ()), time),
                time.isoformat() if role == "note" else "",
            )
        )
    return entries
