"""The lanes of the timeline: encounters, conditions, drugs, measurements and the rest, each row drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal

import polars as pl
from markupsafe import Markup

from medloom.explanation.numbers import moment
from medloom.explanation.pushes import Push
from medloom.explanation.wording import usual_range
from medloom.foundation.messages import here, tr
from medloom.server.web.timeline_drawing import (
    Curve,
    Mark,
    Span,
    Window,
    curve_drawing,
    marks_drawing,
)
from medloom.server.web.timeline_facts import vital_codes
from medloom.server.web.timeline_view import PERIODS, SYSTEMS, View, system_names
from medloom.server.web.timeline_words import amount_of, how_often, link_to, name_of, short

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
_LONGEST_STAY: Final = timedelta(days=30)
# Encounters that may still go on; another one without an end has merely none on record.
_LASTING: Final = frozenset(["inpatient", "icu", "emergency"])
# Entries of one drug that follow each other so closely are one course.
_COURSE: Final = {
    True: timedelta(hours=36),
    False: timedelta(days=90),
}  # given; ordered, dispensed or reported


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
class Stay:
    start: datetime
    end: datetime
    goes_on: bool = False


def stays_of(facts: pl.DataFrame, now: datetime) -> dict[str, list[Stay]]:
    """Pair starts with ends by their encounter, else each end with the latest open start of its kind."""
    waiting: dict[str, dict[int | None, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    stays: dict[str, list[Stay]] = defaultdict(list)
    encounters = facts.filter(pl.col("code").str.starts_with("ENCOUNTER//"))
    for time, code, encounter in encounters.select("time", "code", "encounter").iter_rows():
        kind, _, bound = code.removeprefix("ENCOUNTER//").partition("//")
        opened = waiting[kind][encounter]
        if bound != "END":
            opened.append(time)
        elif opened:
            stays[kind].append(Stay(opened.pop(), time))
    for kind, found in waiting.items():
        for start in sorted(time for opened in found.values() for time in opened):
            goes_on = kind in _LASTING and now - start <= _LONGEST_STAY
            stays[kind].append(Stay(start, now if goes_on else start, goes_on))
        stays[kind].sort(key=lambda stay: stay.start)
    return stays


@dataclass(frozen=True)
class Lanes:
    """Draws lanes; holds what all of them need to know."""

    window: Window
    now: datetime
    view: View
    descriptions: Mapping[str, str]
    units: Mapping[str, str]
    adult: bool
    effects: Mapping[str, float]
    address: str
    pushes: Mapping[str, Sequence[Push]] = field(default_factory=dict)

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
                href = link_to(self.address, self.view.query(systems=(system,), page=None))
                lanes.append(Lane(system, here(names[system]), rows, others, href))
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
        return name_of(code, self.descriptions)

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
        for kind, stays in stays_of(facts, self.now).items():
            near = [s for s in stays if s.end >= self.window.since and s.start <= self.window.until]
            if not near:
                continue
            name = self._name(f"ENCOUNTER//{kind}")
            spans = [Span(s.start, None if s.goes_on else s.end, name) for s in near]
            start = f"ENCOUNTER//{kind}//START"
            effect = self._effect(start)
            pushes = sorted(
                [*self.pushes.get(start, ()), *self.pushes.get(f"ENCOUNTER//{kind}//END", ())],
                key=lambda one: one.time,
            )
            latest = near[-1]
            when = tr("goes on") if latest.goes_on else self._when(latest.end)
            said = tr("{n} entries", n=f"{len(near):,}")
            row = Row(
                name,
                marks_drawing(self.window, said, spans=spans, pushes=pushes),
                how_often(len(near)),
                when,
                effect=effect,
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
                inside_of(self.window).any().alias("new"),
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
            drawing = marks_drawing(self.window, said, marks, spans, pushes=self.pushes.get(code, ()))
            rows.append(
                Row(name, drawing, how_often(n), self._when(last), effect=self._effect(code), minor=not new)
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
            write = partial(amount_of, unit=self.units.get(curve.code))
            rows.append(
                Row(
                    self._name(curve.code),
                    curve_drawing(self.window, curve, write, self.pushes.get(curve.code, ())),
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
        return Row(name, drawing, how_often(others.height), self._when(marks[-1].time), minor=True)

    def _happenings(self, code: str, facts: pl.DataFrame) -> Row:
        name = self._name(code)
        hollow = _is_unsure(code)
        texts = facts["text"].to_list()
        marks = [
            Mark(time, short(text) or name, hollow)
            for time, text in zip(facts["time"].to_list(), texts, strict=True)
        ]
        said = tr("{n} entries", n=f"{facts.height:,}")
        latest = short(texts[-1], 40)
        return Row(
            name,
            marks_drawing(self.window, said, marks, pushes=self.pushes.get(code, ())),
            latest or how_often(facts.height),
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
        value = tr("given {n}×", n=f"{n_given:,}") if n_given else how_often(n)
        drawing = marks_drawing(self.window, said, marks, spans, pushes=self.pushes.get(code, ()))
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


def inside_of(window: Window) -> pl.Expr:
    """Tell whether an entry lies in the window."""
    return pl.col("time").is_between(window.since, window.until)
