"""The drawings of a timeline: SVG in per cent of the width, for any screen; styled by timeline.css, without a script.

A curve lies in a stretched inner drawing whose strokes keep their width; a dot of it is a stroke of no length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Final, Literal

import polars as pl
from markupsafe import Markup

from medloom.explanation.lanes_drawing import time_ticks
from medloom.explanation.numbers import moment, percent
from medloom.explanation.pushes import Push
from medloom.explanation.wording import number
from medloom.foundation.messages import here, tr

_NEAR: Final = 0.45  # per cent of the width; nearer marks are drawn as one
_PARTS: Final = 120  # of the overview, and of a curve that has more points than can be seen
_TALL: Final = 30  # px, a row with a curve
_LOW: Final = 20  # px, any other row
_LONG: Final = 12.0  # per cent of the width; a pause this long, and long for this measurement, is seen as one

Point = tuple[float, datetime, float]


@dataclass(frozen=True)
class Window:
    """The period that is drawn, naive wall clock."""

    since: datetime
    until: datetime

    def place(self, time: datetime) -> float:
        """Give the place of a moment in per cent of the width, from 0 to 100."""
        share = (time - self.since) / (self.until - self.since)
        return 100 * min(max(share, 0.0), 1.0)

    def holds(self, push: Push) -> bool:
        """Tell whether a fact lies in the period; its time is known to the minute."""
        return self.since - timedelta(minutes=1) <= push.time <= self.until


@dataclass(frozen=True)
class Mark:
    """Something at a moment; hollow: ordered but not known to have been given, or not sure."""

    time: datetime
    name: str
    hollow: bool = False


@dataclass(frozen=True)
class Span:
    """Something that lasted; `end` None: it has not ended. Thin: a course of a drug. Faint: since it was recorded."""

    start: datetime
    end: datetime | None
    name: str
    thin: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Curve:
    """Values of one measurement in time order, with what is usual (either end None where there is none)."""

    code: str
    times: Sequence[datetime]
    values: Sequence[float]
    low: float | None
    high: float | None

    def flag_of(self, value: float) -> Literal["", "high", "low"]:
        """Tell whether a value is out of the usual range."""
        if self.low is not None and value < self.low:
            return "low"
        return "high" if self.high is not None and value > self.high else ""

    @property
    def flag(self) -> Literal["", "high", "low"]:
        """Tell whether the latest value is out of the usual range."""
        return self.flag_of(self.values[-1])

    @property
    def trend(self) -> Literal["", "rising", "falling", "steady"]:
        """Compare the latest value with the one before: steady within 5 % of the usual range, else of the value."""
        if len(self.values) < 2:
            return ""
        before, latest = self.values[-2:]
        ranged = self.low is not None and self.high is not None and self.high > self.low
        scale = self.high - self.low if ranged and self.high and self.low is not None else abs(before)
        if abs(latest - before) <= 0.05 * scale:
            return "steady"
        return "rising" if latest > before else "falling"


def marks_drawing(
    window: Window,
    said: str,
    marks: Sequence[Mark] = (),
    spans: Sequence[Span] = (),
    minor: bool = False,
    pushes: Sequence[Push] = (),
) -> Markup:
    """Draw what happened in a row; marks too near to be told apart are drawn as one.

    Args:
        window: the period.
        said: the row in words.
        marks: in order of time.
        spans: drawn below the marks.
        minor: whether the row stands for several things.
        pushes: facts of the row that moved the answer.
    """
    middle = _LOW / 2
    parts = [_span(window, span, middle) for span in spans]
    for group in _gathered(window, marks):
        first, last = group[0], group[-1]
        a, b = window.place(first.time), window.place(last.time)
        kind = "hollow" if first.hollow else "minor" if minor else "mark"
        title = f"<title>{escape(_group_said(group))}</title>"
        # a stroke with round ends is a dot where it has no length
        parts.append(
            f'<line class="{kind}" x1="{a:.2f}%" x2="{b + 0.01:.2f}%" y1="{middle:g}" y2="{middle:g}">{title}</line>'
            if kind != "hollow"
            else f'<circle class="hollow" cx="{(a + b) / 2:.2f}%" cy="{middle:g}" r="4">{title}</circle>'
        )
    return _framed(said, _LOW, "".join(parts), window, pushes)


def curve_drawing(
    window: Window, curve: Curve, write: Callable[[float], str], pushes: Sequence[Push] = ()
) -> Markup:
    """Draw a curve over its usual range; what is out of it stands out.

    Args:
        window: the period.
        curve: at least one value.
        write: says a value with its unit.
        pushes: values that moved the answer.
    """
    least, most = min(curve.values), max(curve.values)
    said = tr(
        "{n} values from {least} to {most}",
        n=f"{len(curve.values):,}",
        least=write(least),
        most=write(most),
    )
    bottom, top = _framing(curve, least, most)
    points = [(window.place(t), t, v) for t, v in zip(curve.times, curve.values, strict=True)]
    many = len(points) > 2 * _PARTS
    if many:
        points = _extremes(points)
    extent = (top - bottom) or 1.0

    def py(value: float) -> float:
        return _TALL - 4 - (value - bottom) / extent * (_TALL - 8) if top > bottom else _TALL / 2

    parts = []
    if (curve.low is not None or curve.high is not None) and top > bottom:
        a = py(min(curve.high, top)) if curve.high is not None else 1.0
        b = py(max(curve.low, bottom)) if curve.low is not None else _TALL - 1.0
        if b - a > 0.5:
            parts.append(f'<rect class="usual" x="0" y="{a:.1f}" width="1000" height="{b - a:.1f}"/>')
    for kind, pieces in _pieces(points):
        path = "".join("M" + "L".join(f"{10 * x:.1f} {py(v):.1f}" for x, _, v in piece) for piece in pieces)
        parts.append(f'<path class="{kind}" d="{path}"/>')
    for kind, unusual in (("dot", False), ("unusual", True)):
        dots = "".join(
            f"M{10 * x:.1f} {py(v):.1f}h0"
            for x, _, v in points
            if bool(curve.flag_of(v)) == unusual and (unusual or len(points) <= 60)
        )
        if dots:
            parts.append(f'<path class="{kind}" d="{dots}"/>')
    told = ";".join(f"{t:%Y-%m-%dT%H:%M} {number(v)}" for _, t, v in points)
    inner = (
        f'<svg viewBox="0 0 1000 {_TALL}" width="100%" height="{_TALL}" preserveAspectRatio="none">'
        f"{''.join(parts)}</svg>"
    )
    return _framed(said, _TALL, inner, window, pushes, f' data-points="{escape(told)}"')


def overview_drawing(times: pl.Series, first: datetime, now: datetime, window: Window) -> Markup:
    """Draw how many entries each part of the whole record has, and which part is seen.

    Heights are square roots: one stay in intensive care has more entries than a life before it.
    """
    until = max(now, first + timedelta(hours=1))
    whole = Window(first, until)
    share = (times - first).dt.total_microseconds() / ((until - first) / timedelta(microseconds=1))
    counts = (share * _PARTS).floor().cast(pl.Int64).clip(0, _PARTS - 1).value_counts()
    tallest = counts["count"].max()
    wide = 1000 / _PARTS
    bars = "".join(
        f"M{at * wide:.1f} 40v-{max(38 * (count / tallest) ** 0.5, 2):.1f}h{wide - 1.5:.1f}V40Z"
        for at, count in sorted(counts.iter_rows())
    )
    a, b = whole.place(window.since), whole.place(window.until)
    # where all of it is seen, the axis below says the times
    part = b - a < 99.9
    ticks, tall = (_ticks(whole, 54), 58) if part else ("", 42)
    said = tr("{n} entries since {first}", n=f"{times.len():,}", first=moment(first))
    return Markup(
        f'<svg class="tl-overview" height="{tall}" role="img" aria-label="{escape(said)}"'
        f' data-first="{first:%Y-%m-%dT%H:%M}" data-until="{until:%Y-%m-%dT%H:%M}">'
        f'<rect class="window" x="{a:.2f}%" y="0" width="{max(b - a, 0.4):.2f}%" height="41" rx="2"/>'
        f'<svg viewBox="0 0 1000 40" width="100%" height="40" preserveAspectRatio="none">'
        f'<path class="count" d="{bars}"/></svg>'
        f'<line class="axis" x1="0" x2="100%" y1="40.5" y2="40.5"/>{ticks}</svg>'
    )


def axis_drawing(window: Window, now: datetime) -> Markup:
    """Write the times along the period, and at its end that it is now, if it is."""
    ends = ""
    if window.until >= now:
        ends = f'<text class="tick now" x="100%" y="14" text-anchor="end">{escape(tr("now"))}</text>'
    room = 92.0 if ends else 100.0
    return Markup(
        f'<svg class="tl-axis" height="20" aria-hidden="true">{_ticks(window, 14, room)}{ends}</svg>'
    )


def grid_drawing(window: Window) -> Markup:
    """Draw lines through all rows, at the times of the axis."""
    lines = "".join(
        f'<line x1="{window.place(time):.2f}%" x2="{window.place(time):.2f}%" y1="0" y2="100%"/>'
        for time, _ in time_ticks(window.since, window.until, 8)
    )
    return Markup(f'<svg class="tl-grid" width="100%" height="100%" aria-hidden="true">{lines}</svg>')


def _ticks(window: Window, y: float, room: float = 100.0) -> str:
    parts = []
    for at, (time, said) in enumerate(time_ticks(window.since, window.until, 8)):
        x = window.place(time)
        if x > room:
            continue
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
        # A phone has room for every second, and for none beside the end.
        kind = "tick" + (" second" if at % 2 else "") + (" late" if room < 100 and x > 78 else "")
        parts.append(
            f'<text class="{kind}" x="{x:.2f}%" y="{y:g}" text-anchor="{anchor}">{escape(said)}</text>'
        )
    return "".join(parts)


def _framed(
    said: str, tall: int, body: str, window: Window, pushes: Sequence[Push], attributes: str = ""
) -> Markup:
    """Frame a row, with room for marks of facts that moved the answer; by them it is a group, not one picture."""
    inside = [one for one in pushes if window.holds(one)]
    groups = [
        group
        for up in (True, False)
        for group in _near(window, [one for one in inside if (one.contribution > 0) == up])
    ]
    role, height = "img", float(tall)
    if groups:
        # what is small is drawn over what is large
        room = max(one.tall for one in inside)
        marks = "".join(_push(window, group, tall) for group in sorted(groups, key=_share_of, reverse=True))
        body = f'<svg y="{room:.1f}" height="{tall}">{body}{marks}</svg>'
        role, height = "group", tall + 2 * room
    return Markup(
        f'<svg class="tl-track" height="{height:.0f}" role="{role}" aria-label="{escape(said)}"{attributes}>'
        f"{body}</svg>"
    )


def _near(window: Window, pushes: Sequence[Push]) -> list[list[Push]]:
    groups: list[list[Push]] = []
    for push in pushes:
        if groups and window.place(push.time) - window.place(groups[-1][-1].time) < 2 * _NEAR:
            groups[-1].append(push)
        else:
            groups.append([push])
    return groups


def _share_of(group: Sequence[Push]) -> float:
    return max(one.share for one in group)


def _push(window: Window, group: Sequence[Push], tall: int) -> str:
    """Mark facts at one place: above the row and pointing up if they raised the answer, else below and down."""
    strongest = max(group, key=lambda one: one.share)
    up, half = strongest.contribution > 0, strongest.half
    foot, height = (0, -strongest.tall) if up else (tall, strongest.tall)
    what = tr("raises this estimate") if up else tr("lowers this estimate")
    ordered = sorted(group, key=lambda one: -one.share)
    listed = tr("; ").join([here(one.said) for one in ordered[:3]] + ["…"] * (len(group) > 3))
    strength = push_strength(strongest.share)
    said = escape(tr("{name}: {value}", name=what, value=f"{listed}{tr('; ')}{strength}"))
    path = f"M{-half:.1f} {foot}h{2 * half:.1f}l{-half:.1f} {height:.1f}Z"
    return (
        f'<svg class="push {"up" if up else "down"}" x="{window.place(strongest.time):.2f}%" role="img" tabindex="0"'
        f' aria-label="{said}"><path class="stem" d="M0 0v{tall}"/><path d="{path}"><title>{said}</title></path></svg>'
    )


def push_strength(share: float) -> str:
    """Say how strong a fact is beside the strongest."""
    return (
        tr("the strongest of these") if share == 1 else tr("{share} of the strongest", share=percent(share))
    )


def _span(window: Window, span: Span, middle: float) -> str:
    a = window.place(span.start)
    b = 100.0 if span.end is None else window.place(span.end)
    kind, tall = ("since", 2) if span.faint else ("course", 4) if span.thin else ("stay", 10)
    # What is short in so long a period is seen all the same.
    wide = b - a if span.thin or span.faint else max(b - a, 0.35)
    begins = min(a, 100 - wide)
    when = moment(span.start)
    if span.end is None:
        when += " –"
    elif moment(span.end) != when:
        when += f" – {moment(span.end)}"
    return (
        f'<rect class="{kind}" x="{begins:.2f}%" y="{middle - tall / 2:g}" width="{wide:.2f}%" height="{tall}"'
        f' rx="{min(tall / 2, 3):g}"><title>{escape(tr("{name}: {value}", name=when, value=span.name))}</title></rect>'
    )


def _gathered(window: Window, marks: Sequence[Mark]) -> list[list[Mark]]:
    near = (window.until - window.since) * (_NEAR / 100)
    groups: list[list[Mark]] = []
    for mark in marks:
        if groups and groups[-1][-1].hollow == mark.hollow and mark.time - groups[-1][-1].time < near:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return groups


def _group_said(group: Sequence[Mark]) -> str:
    first, last = moment(group[0].time), moment(group[-1].time)
    names = list(dict.fromkeys(mark.name for mark in group))
    if len(group) == 1:
        return tr("{name}: {value}", name=first, value=names[0])
    when = first if first == last else f"{first} – {last}"
    listed = tr("; ").join([*names[:3], *(["…"] if len(names) > 3 else [])])
    entries = tr("{name}: {value}", name=tr("{n} entries", n=f"{len(group):,}"), value=listed)
    return tr("{name}: {value}", name=when, value=entries)


def _framing(curve: Curve, least: float, most: float) -> tuple[float, float]:
    """Choose the lowest and the highest value drawn: with the usual range, unless it would flatten the curve."""
    low, high = curve.low, curve.high
    if low is None or high is None:
        return least, most
    if most > least and high - low >= 4 * (most - least) and least >= low and most <= high:
        middle = (least + most) / 2
        half = (high - low) / 4
        return middle - half, middle + half
    return min(least, low), max(most, high)


def _pieces(points: Sequence[Point]) -> list[tuple[str, list[list[Point]]]]:
    """Part a curve into what follows closely, and the long pauses between, which are drawn fainter."""
    if len(points) < 2:
        return []
    usual = sorted(b[0] - a[0] for a, b in pairwise(points))[(len(points) - 1) // 2]
    close: list[list[Point]] = [[points[0]]]
    pauses: list[list[Point]] = []
    for before, point in pairwise(points):
        if point[0] - before[0] > max(_LONG, 5 * usual):
            pauses.append([before, point])
            close.append([point])
        else:
            close[-1].append(point)
    close = [piece for piece in close if len(piece) > 1]
    return [(kind, pieces) for kind, pieces in (("line", close), ("pause", pauses)) if pieces]


def _extremes(points: Sequence[Point]) -> list[Point]:
    """Keep the lowest and the highest of each part: what is unusual is never averaged away."""
    groups: dict[int, list[Point]] = {}
    for point in points:
        groups.setdefault(int(point[0] / 100 * _PARTS), []).append(point)
    kept: list[Point] = []
    for group in groups.values():
        ends = {min(group, key=lambda p: p[2]), max(group, key=lambda p: p[2])}
        kept += sorted(ends, key=lambda p: p[1])
    if kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept
