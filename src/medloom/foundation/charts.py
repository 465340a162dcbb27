"""Charts as SVG: pure functions from numbers to text, the same for reports, pages and screens.

Colours and sizes come from CSS variables (`STYLE`, to be put into the page once), so
that a chart follows the page into dark mode and onto paper. Series differ in dash or
shape as well as in colour (Okabe and Ito's palette). Every label is real text, in both
languages: `<text class="en">` and `<text class="zh">`, of which the page shows one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Literal
from unicodedata import east_asian_width

from medloom.foundation.hashing import hash64
from medloom.foundation.messages import Text2

STYLE = """
.chart{--ink:#1b2733;--soft:#52606d;--rule:#d5dce3;--paper:#fff;--c1:#0067a8;--c2:#b84a00;--c3:#00745a;--c4:#8a3a7a;
display:block;width:100%;height:auto;font:12px/1.3 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;font-variant-numeric:tabular-nums}
.chart text{fill:var(--ink)}.chart .soft{fill:var(--soft)}.chart .strong{font-weight:650}
.chart .rule{stroke:var(--rule);stroke-width:1;fill:none}
.chart .axis{stroke:var(--soft);stroke-width:1;fill:none}
.chart .guide{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:2 4;fill:none;stroke-linecap:round}
.chart .line{stroke-width:2;fill:none;stroke-linejoin:round;stroke-linecap:round}
.chart .band{stroke:none;fill-opacity:.17}.chart .whisker{stroke-width:1.6;fill:none}
.chart .bars{fill:var(--soft);fill-opacity:.45}
.chart .s1{stroke:var(--c1)}.chart .s2{stroke:var(--c2);stroke-dasharray:7 4}
.chart .s3{stroke:var(--c3);stroke-dasharray:2 4}.chart .s4{stroke:var(--c4);stroke-dasharray:9 3 2 3}
.chart .f1{fill:var(--c1)}.chart .f2{fill:var(--c2)}.chart .f3{fill:var(--c3)}.chart .f4{fill:var(--c4)}
.chart .whisker{stroke-dasharray:none}
@media screen and (prefers-color-scheme:dark){.chart{--ink:#e8edf2;--soft:#a9b5c0;--rule:#36424e;
--paper:#12181f;--c1:#5bb8ef;--c2:#f2a13c;--c3:#3fcfa4;--c4:#e39ccf}}
@media print{.chart{break-inside:avoid}}
"""
"""CSS of every chart; a page includes it once."""

Format = Literal["number", "percent"]

_NOTHING = Text2("", "")


@dataclass(frozen=True)
class Axis:
    """A scale: its label, its ends, and how its ticks are written; `ticks` are places and words of one's own."""

    label: Text2
    low: float = 0.0
    high: float = 1.0
    format: Format = "number"
    ticks: Sequence[tuple[float, str]] | None = None


@dataclass(frozen=True)
class Line:
    """One series: `x`, `y` (n,), with `low` and `high` (n,) a band, or whiskers when `points`."""

    name: Text2
    x: Sequence[float | None]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    points: bool = False
    step: bool = False


@dataclass(frozen=True)
class Guide:
    """A dotted reference from (x1, y1) to (x2, y2), named in the legend."""

    name: Text2
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Interval:
    """A row of a forest plot; `value` None shows `note` in place of a mark. A `heading` has no mark."""

    label: Text2
    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: Text2 = _NOTHING
    size: Text2 = _NOTHING
    strong: bool = False
    heading: bool = False


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Choose at most `most` round ticks (steps of 1, 2, 2.5 or 5) within [low, high].

    >>> nice_ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> nice_ticks(0, 37, 5)
    [0.0, 10.0, 20.0, 30.0]
    """
    if not (isfinite(low) and isfinite(high)) or high <= low:
        return [low] if isfinite(low) else []
    smallest = (high - low) / max(most - 1, 1)
    magnitude = 10.0 ** floor(log10(smallest))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10, 20) if m * magnitude >= smallest * (1 - 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(at * step, 12) + 0.0 for at in range(first, last + 1)]


def nice_high(value: float) -> float:
    """Round an axis end up to a number that ticks well.

    >>> nice_high(0.37), nice_high(83)
    (0.4, 100.0)
    """
    if not isfinite(value) or value <= 0:
        return 1.0
    magnitude = 10.0 ** floor(log10(value))
    return float(
        next(
            m * magnitude for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if m * magnitude >= value * (1 - 1e-9)
        )
    )


def line_chart(
    title: Text2,
    description: Text2,
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    guides: Sequence[Guide] = (),
    histogram: tuple[Sequence[float], Sequence[int]] | None = None,
    width: int = 340,
    height: int = 300,
) -> str:
    """Draw lines or points with bands, on two axes, with a histogram (edges, counts) beneath.

    ROC, precision-recall and calibration are this chart. A point whose x or y is None is
    left out.

    >>> name = Text2("model", "模型")
    >>> svg = line_chart(name, name, [Line(name, [0, 1], [0, 1])], Axis(name), Axis(name))
    >>> svg.startswith("<svg") and 'role="img"' in svg
    True
    """
    legend = [(line.name, f"s{at % 4 + 1}") for at, line in enumerate(lines)] + [
        (g.name, "guide") for g in guides
    ]
    left, right, top = 54.0, width - 20.0, 10.0 + 17 * len(legend)
    strip = 40.0 if histogram else 0.0
    bottom = top + height - 60.0
    tall = bottom + strip + 44
    px, py = _scale(x, left, right), _scale(y, bottom, top)
    parts = [_legend(at, *entry, left=left) for at, entry in enumerate(legend)]
    for tick, said in _ticks(y):
        parts.append(f'<path class="rule" d="M{left:.1f} {py(tick):.1f}H{right:.1f}"/>')
        parts.append(_number(left - 7, py(tick) + 4, said, "end"))
    floor_y = bottom + strip
    for tick, said in _ticks(x):
        parts.append(f'<path class="rule" d="M{px(tick):.1f} {top:.1f}V{floor_y:.1f}"/>')
        parts.append(_number(px(tick), floor_y + 16, said, "middle"))
    if histogram:
        parts.append(_histogram(histogram, px, x, bottom + 4, floor_y))
    parts.append(
        f'<path class="axis" d="M{left:.1f} {top:.1f}V{bottom:.1f}M{left:.1f} {floor_y:.1f}H{right:.1f}"/>'
    )
    parts += [
        f'<path class="guide" d="M{px(g.x1):.1f} {py(g.y1):.1f}L{px(g.x2):.1f} {py(g.y2):.1f}"/>'
        for g in guides
    ]
    parts += [_series(line, at % 4 + 1, px, py) for at, line in enumerate(lines)]
    parts.append(_label((left + right) / 2, floor_y + 35, x.label, "middle"))
    parts.append(
        _label(0, 0, y.label, "middle", place=f"rotate(-90) translate({-(top + bottom) / 2:.1f} 11)")
    )
    return _svg(title, description, width, tall, parts)


def forest_plot(
    title: Text2,
    description: Text2,
    rows: Sequence[Interval],
    axis: Axis,
    reference: float | None = None,
    width: int = 470,
) -> str:
    """Draw one interval a row beneath each other, with `reference` as a dotted line through all.

    Narrower than 400, for a phone, the column of sizes is left out.

    >>> name = Text2("women", "女")
    >>> "0.70" in forest_plot(name, name, [Interval(name, 0.7, 0.6, 0.8, Text2("0.70", "0.70"))], Axis(name))
    True
    """
    narrow = width < 400
    left, step, top = (88.0 if narrow else 152.0), 23.0, 12.0
    name_end, right = (left - 8 if narrow else 96.0), width - 126.0
    px = _scale(axis, left, right)
    bottom = top + step * len(rows)
    parts: list[str] = []
    for tick, said in _ticks(axis, 5):
        parts.append(f'<path class="rule" d="M{px(tick):.1f} {top:.1f}V{bottom:.1f}"/>')
        parts.append(_number(px(tick), bottom + 16, said, "middle"))
    parts.append(f'<path class="axis" d="M{left:.1f} {bottom:.1f}H{right:.1f}"/>')
    if reference is not None and axis.low <= reference <= axis.high:
        parts.append(f'<path class="guide" d="M{px(reference):.1f} {top:.1f}V{bottom:.1f}"/>')
    for at, row in enumerate(rows):
        y = top + step * (at + 0.5)
        if row.heading:
            parts.append(_label(0, y + 5, row.label, "start", "soft strong"))
            continue
        parts.append(
            _label(
                0 if row.strong else 8, y + 4, _shortened(row.label, name_end), "start", "strong" * row.strong
            )
        )
        if not narrow:
            parts.append(_label(left - 10, y + 4, row.size, "end", "soft"))
        parts.append(
            _label(
                right + 10, y + 4, row.note, "start", "soft" if row.value is None else "strong" * row.strong
            )
        )
        if row.value is not None:
            parts.append(_interval(row, axis, px, y))
    parts.append(_label((left + right) / 2, bottom + 34, axis.label, "middle"))
    return _svg(title, description, width, bottom + 42, parts)


def fitted(said: str, room: float, letter: float = 6.4, ellipsis: float = 8.0) -> str:
    """Cut a label that is wider than `room`, in the middle, where names differ least.

    Args:
        said: the label.
        room: pixels.
        letter: pixels of a character at 12 px; an East Asian one takes 12.
        ellipsis: pixels of the mark that stands for what was cut.

    >>> fitted("Doxycycline 100 MG Oral Tablet, last recorded 3 years ago", 200)
    'Doxycycline 100…ed 3 years ago'
    """
    widths = [12.0 if east_asian_width(character) in "WF" else letter for character in said]
    if sum(widths) <= room:
        return said
    head, tail, used = 0, len(said), ellipsis
    while head < tail:
        at = head if head <= len(said) - tail else tail - 1
        used += widths[at]
        if used > room:
            break
        head, tail = (head + 1, tail) if at == head else (head, tail - 1)
    return f"{said[:head]}…{said[tail:]}"


def _svg(title: Text2, description: Text2, width: float, height: float, parts: Sequence[str]) -> str:
    body = "".join(parts)
    # The content names the element, so that two charts on one page do not share ids.
    name = f"c{hash64(body + title.en + description.en):016x}"
    return (
        f'<svg class="chart" role="img" aria-labelledby="{name}t {name}d"'
        f' viewBox="0 0 {width:g} {height:g}">'
        f'<title id="{name}t">{_both(title)}</title><desc id="{name}d">{_both(description)}</desc>'
        f"{body}</svg>"
    )


def _both(text: Text2) -> str:
    return escape(text.en if text.en == text.zh else f"{text.en} / {text.zh}")


def _scale(axis: Axis, start: float, end: float) -> Callable[[float], float]:
    extent = (axis.high - axis.low) or 1.0

    def place(value: float) -> float:
        share = min(max((value - axis.low) / extent, -0.02), 1.02)
        return start + share * (end - start)

    return place


def _ticks(axis: Axis, most: int = 6) -> Sequence[tuple[float, str]]:
    if axis.ticks is not None:
        return axis.ticks
    return [(tick, _tick(tick, axis)) for tick in nice_ticks(axis.low, axis.high, most)]


def _tick(value: float, axis: Axis) -> str:
    return f"{100 * value:.4g}%" if axis.format == "percent" else f"{value:.4g}".replace("-", "−")


def _number(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="soft" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _label(x: float, y: float, text: Text2, anchor: str, classes: str = "", place: str = "") -> str:
    if not text.en and not text.zh:
        return ""
    where = f' transform="{place}"' if place else f' x="{x:.1f}" y="{y:.1f}"'
    if text.en == text.zh:
        return f'<text class="{classes}"{where} text-anchor="{anchor}">{escape(text.en)}</text>'
    return "".join(
        f'<text class="{f"{language} {classes}".strip()}" lang="{language}"{where} text-anchor="{anchor}">'
        f"{escape(said)}</text>"
        for language, said in (("en", text.en), ("zh", text.zh))
    )


def _shortened(text: Text2, room: float) -> Text2:
    return Text2(*(fitted(said, room) for said in text))


def _legend(at: int, name: Text2, kind: str, left: float) -> str:
    y = 12.0 + 17 * at
    classes = "guide" if kind == "guide" else f"line {kind}"
    return f'<path class="{classes}" d="M{left:.1f} {y - 4:.1f}h24"/>' + _label(left + 31, y, name, "start")


def _histogram(
    histogram: tuple[Sequence[float], Sequence[int]],
    px: Callable[[float], float],
    x: Axis,
    top: float,
    bottom: float,
) -> str:
    edges, counts = histogram
    most = max(counts, default=0) or 1
    bars: list[str] = []
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        if count and high > x.low and low < x.high:
            tall = max((bottom - top) * count / most, 1.0)
            wide = max(px(min(high, x.high)) - px(low) - 1, 0.5)
            bars.append(
                f'<rect x="{px(low):.1f}" y="{bottom - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>'
            )
    return f'<g class="bars">{"".join(bars)}</g>'


def _series(line: Line, colour: int, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    known = [(px(a), py(b)) for a, b in zip(line.x, line.y, strict=True) if a is not None and b is not None]
    band: list[tuple[float, float, float]] = []
    if line.low is not None and line.high is not None:
        band = [
            (px(a), py(low), py(high))
            for a, low, high in zip(line.x, line.low, line.high, strict=True)
            if a is not None and low is not None and high is not None
        ]
    drawn = ""
    if line.points:
        drawn += "".join(
            f'<path class="whisker s{colour}" d="M{a:.1f} {low:.1f}V{high:.1f}"/>' for a, low, high in band
        )
        drawn += "".join(f'<circle class="f{colour}" cx="{a:.1f}" cy="{b:.1f}" r="3.6"/>' for a, b in known)
    elif len(band) > 1:
        edge = [(a, high) for a, _, high in band] + [(a, low) for a, low, _ in reversed(band)]
        drawn += f'<path class="band f{colour}" d="{_path(edge)}Z"/>'
    if line.step:
        known = [p for (a, b), (c, _) in pairwise(known) for p in ((a, b), (c, b))] + known[-1:]
    if len(known) > 1:
        drawn += f'<path class="line s{colour}" d="{_path(known)}"/>'
    return drawn


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _interval(row: Interval, axis: Axis, px: Callable[[float], float], y: float) -> str:
    drawn = ""
    if row.low is not None and row.high is not None:
        drawn = f'<path class="whisker s1" d="M{px(row.low):.1f} {y:.1f}H{px(row.high):.1f}"/>'
        for end, outward in ((row.low, -1), (row.high, 1)):
            if not axis.low <= end <= axis.high:
                # An arrow: the interval goes on beyond the axis.
                back = -4 * outward
                drawn += (
                    f'<path class="whisker s1" d="M{px(end) + back:.1f} {y - 4:.1f}l{-back} 4l{back} 4"/>'
                )
    value = row.value if row.value is not None else axis.low
    if not axis.low <= value <= axis.high:
        return drawn
    x = px(value)
    if row.strong:
        return drawn + f'<path class="f1" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6Z"/>'
    return drawn + f'<rect class="f1" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
