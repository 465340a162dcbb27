"""A patient's record as a picture through time: lanes by system, a row a thing, each with its latest value.

Every row is drawn by itself in per cent of the width, so that one drawing serves a phone and a wall display; names and
values beside it are text of the page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal

import polars as pl
from markupsafe import Markup

from medloom.explanation.lanes import kind_name
from medloom.explanation.numbers import moment
from medloom.explanation.wording import amount, clean, code_name, usual_range
from medloom.foundation.messages import Text2, language, tr
from medloom.server.web.timeline_drawing import (
    Curve,
    Mark,
    Span,
    Window,
    axis_drawing,
    curve_drawing,
    grid_drawing,
    marks_drawing,
    overview_drawing,
)
from medloom.server.web.timeline_facts import facts_of, vital_codes
from medloom.server.web.timeline_view import PERIODS, SHORTEST, SYSTEMS, View, period_names, system_names

ENTRIES_A_PAGE: Final = 100

_MOST_ROWS: Final[Mapping[str, int]] = {
    "encounters": 5,
    "conditions": 8,
    "drugs": 8,
    "vitals": 8,
    "labs": 10,
    "procedures": 5,
    "images": 4,
    "notes": 3,
    "other": 4,
}
_MOST_ROWS_ALONE: Final = 60
# As many different hours as are worth looking at large.
_MOMENTS: Final = 25
_LONGEST_STAY: Final = timedelta(days=30)
# Encounters that may still go on; another one without an end has merely none on record.
_LASTING: Final = frozenset(["inpatient", "icu", "emergency"])
# Entries of one drug that follow each other so closely are one course.
_COURSE: Final = {
    True: timedelta(hours=36),
    False: timedelta(days=90),
}  # given; ordered, dispensed or reported
_LONGEST_TEXT: Final = 140
_LONGEST_NOTE: Final = 20_000
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True)
class Row:
    """One thing through time: its name, its drawing, and what is said at its end."""

    name: str
    drawing: Markup
    value: str
    when: str
    flag: Literal["", "high", "low"] = ""
    trend: Literal["", "rising", "falling", "steady"] = ""
    effect: int = 0
    tall: bool = False
    minor: bool = False


@dataclass(frozen=True)
class Lane:
    """The rows of one system; `others`: how many things more there are, seen under `href`."""

    system: str
    name: str
    rows: Sequence[Row]
    others: int
    href: str


@dataclass(frozen=True)
class Entry:
    """A line of the table that says the same in words; `more` is a long text in full."""

    when: str
    kind: str
    name: str
    value: str
    more: str = ""


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
        return any(f'class="{sign}"' in row.drawing for lane in self.lanes for row in lane.rows)

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
        address: of the page, to which links add the view as a query.

    Raises:
        InputError: a column is missing.
    """
    facts = facts_of(events, now)
    first = facts["time"][0] if facts.height else None
    window = _window(facts, now, view)
    draw = _Lanes(window, now, view, descriptions, units, adult, effects or {}, address)
    seen = facts.filter(_inside(window))
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
        _periods(view, address, window, first, now),
        [(system, _here(name), view.shows(system)) for system, name in system_names().items()],
        *_moves(view, address, window, first, now),
        _entries(seen, page, descriptions, units),
        page,
        pages,
        _link(address, view.query(page=page - 1)) if page > 1 else None,
        _link(address, view.query(page=page + 1)) if page < pages else None,
    )


def _here(text: Text2) -> str:
    return text.zh if language() == "zh" else text.en


def _link(address: str, query: str) -> str:
    return f"{address}?{query}#timeline"


def _inside(window: Window) -> pl.Expr:
    return pl.col("time").is_between(window.since, window.until)


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
    stays = [stay for found in _stays(facts, now).values() for stay in found]
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
            _link(address, view.query(period=period, since=None, until=None, page=None)),
            _here(name),
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
        return _link(address, view.query(period=None, since=since, until=end, page=None))

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


@dataclass(frozen=True)
class _Stay:
    start: datetime
    end: datetime
    goes_on: bool = False


def _stays(facts: pl.DataFrame, now: datetime) -> dict[str, list[_Stay]]:
    """Pair starts with ends by their encounter, else each end with the latest open start of its kind."""
    waiting: dict[str, dict[int | None, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    stays: dict[str, list[_Stay]] = defaultdict(list)
    encounters = facts.filter(pl.col("code").str.starts_with("ENCOUNTER//"))
    for time, code, encounter in encounters.select("time", "code", "encounter").iter_rows():
        kind, _, bound = code.removeprefix("ENCOUNTER//").partition("//")
        opened = waiting[kind][encounter]
        if bound != "END":
            opened.append(time)
        elif opened:
            stays[kind].append(_Stay(opened.pop(), time))
    for kind, found in waiting.items():
        for start in sorted(time for opened in found.values() for time in opened):
            goes_on = kind in _LASTING and now - start <= _LONGEST_STAY
            stays[kind].append(_Stay(start, now if goes_on else start, goes_on))
        stays[kind].sort(key=lambda stay: stay.start)
    return stays


@dataclass(frozen=True)
class _Lanes:
    """Draws lanes; holds what all of them need to know."""

    window: Window
    now: datetime
    view: View
    descriptions: Mapping[str, str]
    units: Mapping[str, str]
    adult: bool
    effects: Mapping[str, float]
    address: str

    def lanes(self, facts: pl.DataFrame, seen: pl.DataFrame) -> list[Lane]:
        names = system_names()
        lanes = []
        by_system = {str(key[0]): part for key, part in seen.partition_by("system", as_dict=True).items()}
        for system in SYSTEMS:
            if not self.view.shows(system):
                continue
            inside = by_system.get(system, seen.clear())
            rows, others = self._rows(system, facts, inside)
            if rows:
                href = _link(self.address, self.view.query(systems=(system,), page=None))
                lanes.append(Lane(system, _here(names[system]), rows, others, href))
        return lanes

    def _rows(self, system: str, facts: pl.DataFrame, inside: pl.DataFrame) -> tuple[list[Row], int]:
        if system == "encounters":
            return self._encounters(facts, inside)
        if system == "conditions":
            return self._conditions(facts.filter(pl.col("system") == system), inside)
        if system in ("vitals", "labs"):
            return self._measurements(system, inside)
        draw = self._drug if system == "drugs" else self._happenings
        return self._marked(system, inside, draw)

    def _most(self, system: str) -> int:
        n = len(self.view.systems)
        return _MOST_ROWS_ALONE if n == 1 else _MOST_ROWS[system] * (3 if n == 2 else 1)

    def _name(self, code: str) -> str:
        return _name(code, self.descriptions)

    def _when(self, time: datetime) -> str:
        """Write a moment as short as it can be understood; its title and the table say it in full."""
        if time.year != self.now.year or self.window.until - self.window.since > PERIODS["1y"]:
            return f"{time:%Y-%m-%d}"
        said = moment(time)
        return said[5:]

    def _effect(self, code: str) -> int:
        effect = self.effects.get(code, 0.0)
        return (effect > 0) - (effect < 0)

    def _encounters(self, facts: pl.DataFrame, inside: pl.DataFrame) -> tuple[list[Row], int]:
        rows = []
        for kind, stays in _stays(facts, self.now).items():
            near = [s for s in stays if s.end >= self.window.since and s.start <= self.window.until]
            if not near:
                continue
            name = self._name(f"ENCOUNTER//{kind}")
            spans = [Span(s.start, None if s.goes_on else s.end, name) for s in near]
            effect = self._effect(f"ENCOUNTER//{kind}//START")
            latest = near[-1]
            when = tr("goes on") if latest.goes_on else self._when(latest.end)
            said = tr("{n} entries", n=f"{len(near):,}")
            row = Row(
                name, marks_drawing(self.window, said, spans=spans), _times(len(near)), when, effect=effect
            )
            rows.append((latest.end, row))
        rows.sort(key=lambda pair: pair[0], reverse=True)
        others = inside.filter(~pl.col("code").str.starts_with("ENCOUNTER//"))
        marked, left_over = self._marked("encounters", others, self._happenings)
        return [row for _, row in rows] + marked, left_over

    def _conditions(self, known: pl.DataFrame, inside: pl.DataFrame) -> tuple[list[Row], int]:
        """Show what is new in the period first, then what was recorded most often before it."""
        before = known.filter(pl.col("time") <= self.window.until)
        codes = (
            before.group_by("code")
            .agg(
                pl.len().alias("n"),
                pl.col("time").min().alias("first"),
                pl.col("time").max().alias("last"),
                _inside(self.window).any().alias("new"),
            )
            .with_columns(pl.col("code").replace_strict(self.effects, default=0.0).abs().alias("weight"))
            .sort(
                "weight",
                "new",
                pl.when("new").then(0).otherwise("n"),
                "last",
                "code",
                descending=[True] * 4 + [False],
            )
        )
        most = self._most("conditions")
        rows = []
        for code, n, first, last, new in (
            codes.head(most).select("code", "n", "first", "last", "new").iter_rows()
        ):
            name = self._name(code)
            times = inside.filter(pl.col("code") == code)["time"].to_list() if new else []
            hollow = _is_unsure(code)
            spans = [] if hollow else [Span(first, None, name, faint=True)]
            marks = [Mark(time, name, hollow) for time in times]
            said = tr("{n} entries, {first} – {last}", n=f"{n:,}", first=moment(first), last=moment(last))
            drawing = marks_drawing(self.window, said, marks, spans)
            rows.append(
                Row(name, drawing, _times(n), self._when(last), effect=self._effect(code), minor=not new)
            )
        return rows, max(codes.height - most, 0)

    def _measurements(self, system: str, inside: pl.DataFrame) -> tuple[list[Row], int]:
        order = {code: at for at, code in enumerate(vital_codes())} if system == "vitals" else {}
        found: list[tuple[tuple[float, ...], Curve]] = []
        grouped = inside.group_by("code").agg("time", "value")
        for code, times, values in grouped.select("code", "time", "value").iter_rows():
            usual = usual_range(code, self.units.get(code)) if self.adult else None
            low, high = (usual.reference_low, usual.reference_high) if usual else (None, None)
            curve = Curve(code, times, values, low, high)
            # Reasons first; then vital signs as a chart has them, and of other measurements what is out of
            # range now, what has a range, what was measured most.
            weight = -abs(self.effects.get(code, 0.0))
            rank = (
                (weight, order[code])
                if order
                else (weight, -bool(curve.flag), -(usual is not None), -len(times))
            )
            found.append((rank, curve))
        found.sort(key=lambda pair: (pair[0], pair[1].code))
        most = self._most(system)
        rows = []
        for _, curve in found[:most]:
            write = partial(_amount, unit=self.units.get(curve.code))
            rows.append(
                Row(
                    self._name(curve.code),
                    curve_drawing(self.window, curve, write),
                    write(curve.values[-1]),
                    self._when(curve.times[-1]),
                    curve.flag,
                    curve.trend,
                    self._effect(curve.code),
                    tall=True,
                )
            )
        return rows, max(len(found) - most, 0)

    def _marked(
        self, system: str, inside: pl.DataFrame, draw: Callable[[str, pl.DataFrame], Row]
    ) -> tuple[list[Row], int]:
        codes = (
            inside.group_by("code")
            .agg(pl.len().alias("n"), pl.col("time").max().alias("last"))
            .with_columns(pl.col("code").replace_strict(self.effects, default=0.0).abs().alias("weight"))
            .sort("weight", "last", "n", "code", descending=[True, True, True, False])["code"]
            .to_list()
        )
        most = self._most(system)
        # One row that stands for others must stand for at least two.
        kept = codes if len(codes) <= most + 1 else codes[:most]
        parts = inside.filter(pl.col("code").is_in(kept)).partition_by("code", as_dict=True)
        rows = [draw(code, parts[(code,)]) for code in kept]
        others = inside.filter(~pl.col("code").is_in(kept))
        if others.height:
            rows.append(self._rest(others, len(codes) - len(kept)))
        return rows, len(codes) - len(kept)

    def _rest(self, others: pl.DataFrame, n: int) -> Row:
        names = {code: self._name(code) for code in others["code"].unique()}
        marks = [Mark(time, names[code]) for time, code in others.select("time", "code").iter_rows()]
        said = tr("{n} entries", n=f"{others.height:,}")
        name = tr("{n} others", n=f"{n:,}")
        drawing = marks_drawing(self.window, said, marks, minor=True)
        return Row(name, drawing, _times(others.height), self._when(marks[-1].time), minor=True)

    def _happenings(self, code: str, facts: pl.DataFrame) -> Row:
        name = self._name(code)
        hollow = _is_unsure(code)
        texts = facts["text"].to_list()
        marks = [
            Mark(time, _short(text) or name, hollow)
            for time, text in zip(facts["time"].to_list(), texts, strict=True)
        ]
        said = tr("{n} entries", n=f"{facts.height:,}")
        latest = _short(texts[-1], 40)
        return Row(
            name,
            marks_drawing(self.window, said, marks),
            latest or _times(facts.height),
            self._when(marks[-1].time),
            effect=self._effect(code),
        )

    def _drug(self, code: str, facts: pl.DataFrame) -> Row:
        name = self._name(code)
        unsure = _is_unsure(code)
        spans: list[Span] = []
        marks: list[Mark] = []
        given = facts["role"].is_in(["administration", "immunization"]).to_list()
        times = facts["time"].to_list()
        for kind in (True, False):
            own = [time for time, is_given in zip(times, given, strict=True) if is_given == kind]
            courses = [course for course in _courses(own, _COURSE[kind]) if course[1] > course[0]]
            spans += [Span(start, end, name, thin=True) for start, end in courses]
            marks += [Mark(time, name, not kind or unsure) for time in own]
        marks.sort(key=lambda mark: mark.time)
        n, n_given = len(times), sum(given)
        said = tr("{n} entries, {given} of them given", n=f"{n:,}", given=f"{n_given:,}")
        value = tr("given {n}×", n=f"{n_given:,}") if n_given else _times(n)
        drawing = marks_drawing(self.window, said, marks, spans)
        return Row(name, drawing, value, self._when(times[-1]), effect=self._effect(code))


def _courses(times: Sequence[datetime], gap: timedelta) -> list[tuple[datetime, datetime]]:
    courses: list[tuple[datetime, datetime]] = []
    for time in times:
        if courses and time - courses[-1][1] <= gap:
            courses[-1] = (courses[-1][0], time)
        else:
            courses.append((time, time))
    return courses


def _is_unsure(code: str) -> bool:
    return code.startswith(("NOT//", "PLANNED//", "POSSIBLE//", "FAMILY//"))


def _name(code: str, descriptions: Mapping[str, str]) -> str:
    """Name a code; where nobody has described it, what tells it from others stands first."""
    name = _here(code_name(code, descriptions))
    system, _, own = code.rpartition("//")
    return f"{own} ({system.replace('//', ' ')})" if system and name == code.replace("//", " ") else name


def _amount(value: float, unit: str | None) -> str:
    return _here(amount(value, unit))


def _times(n: int) -> str:
    return tr("{n}×", n=f"{n:,}")


def _short(text: str | None, most: int = _LONGEST_TEXT) -> str:
    said = clean((text or "")[: 2 * most])
    if _MOMENT.fullmatch(said):
        return said[:16].replace("T", " ").removesuffix(" 00:00")
    return said if len(said) <= most else said[: most - 1].rstrip() + "…"


def _entries(
    seen: pl.DataFrame, page: int, descriptions: Mapping[str, str], units: Mapping[str, str]
) -> list[Entry]:
    rows = seen.reverse().slice((page - 1) * ENTRIES_A_PAGE, ENTRIES_A_PAGE)
    entries = []
    for time, code, value, text, role in rows.select("time", "code", "value", "text", "role").iter_rows():
        name = _name(code, descriptions)
        if code.startswith("ENCOUNTER//") and code.endswith("//START"):
            name = tr("{name}: {detail}", name=name, detail=tr("start"))
        said = _amount(value, units.get(code)) if value is not None else _short(text)
        long = text is not None and value is None and len(text) > _LONGEST_TEXT
        entries.append(
            Entry(
                moment(time),
                _here(kind_name(role, value is not None)),
                name,
                said,
                text[:_LONGEST_NOTE] if long else "",
            )
        )
    return entries
