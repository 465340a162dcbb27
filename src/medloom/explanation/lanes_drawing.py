"""A patient's record as swim lanes, drawn: all of it small, its latest part large, a row a thing.

SVG that follows the page into dark mode, onto paper and onto a phone.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Final

from medloom.explanation.drawing import both, framed, in_lines, width_of, written, written_inside
from medloom.explanation.lanes import Lane, Lanes, Mark, Row
from medloom.explanation.pushes import Push
from medloom.explanation.wording import fill, number, same
from medloom.foundation.messages import Text2, text2

_APART: Final = 7.0  # marks nearer than this, in px, are drawn as one
_MOST_POINTS: Final = 160  # of a curve, before it is drawn as its extent

_LINE: Final = 14.0  # between the lines of one name
_NAMES: Final = 236.0  # the column of names beside the lanes, in px

Place = Callable[[datetime], float]


def lanes_drawing(lanes: Lanes, summary: Text2, narrow: bool = False) -> str:
    """Draw a patient's record: above, all of it small; beneath, its latest part large, a row a thing.

    Narrow is for phones: a row's name stands above it, not beside it.
    """
    width = 350.0 if narrow else 960.0
    # Curves have more to say at their end than how often.
    notes = 168.0 if any(len(row.values) > 1 for lane in lanes.lanes for row in lane.rows) else 96.0
    left, right = (4.0, width - 10) if narrow else (_NAMES, width - notes)
    parts: list[str] = []
    top = 16.0
    px = _places(lanes.start, lanes.until, left, right)
    if not lanes.whole:
        drawn, top = _overview(lanes, left, right, px(lanes.start), narrow)
        parts += drawn
    body: list[str] = []
    y = top + 22
    for lane in lanes.lanes:
        drawn, y = _lane(lane, px, lanes, y, (left, right, width), narrow)
        body += drawn
    for tick, said in time_ticks(lanes.start, lanes.until, 5 if narrow else 9):
        x = px(tick)
        parts.append(f'<path class="rule" d="M{x:.1f} {top + 4:.1f}V{y:.1f}"/>')
        if x < right - 4:
            parts.append(written_inside(x, y + 15, same(said), left - 2, right, "soft"))
    parts += body
    parts.append(f'<path class="now" d="M{right:.1f} {top - 2:.1f}V{y + 6:.1f}"/>')
    parts.append(written(right - 6, top + 4, text2("prediction time"), "end", "strong"))
    return framed(text2("What the record holds"), summary, width, y + 24, parts, "lanes")


def legend(lanes: Lanes) -> list[tuple[str, Text2]]:
    """Say what the signs of `lanes_drawing` mean, those that occur: SVG 26 by 12, and words."""
    rows = [row for lane in lanes.lanes for row in lane.rows]
    keys = []
    if any(row.effect > 0 for row in rows):
        keys.append(('<path class="f2" d="M13 1l5 9h-10Z"/>', text2("raises this estimate")))
    if any(row.effect < 0 for row in rows):
        keys.append(('<path class="f1" d="M13 11l5 -9h-10Z"/>', text2("lowers this estimate")))
    if any(row.pushes for row in rows):
        marks = '<path class="push f2" d="M7 2l4 7h-8Z"/><path class="push f1" d="M19 10l4 -7h-8Z"/>'
        keys.append((marks, text2("a fact that raises or lowers this estimate; the larger, the stronger")))
    if any(mark.hollow for row in rows for mark in row.marks):
        hollow = '<rect class="hollow" x="9" y="2" width="8" height="8" rx="4"/>'
        keys.append((hollow, text2("ordered, not known to be given")))
    if any(row.usual != (None, None) and len(row.values) > 1 for row in rows):
        band = '<rect class="usual" x="1" y="1" width="24" height="10"/>'
        keys.append((band, text2("usual range of adults")))
        keys.append(('<circle class="unusual" cx="13" cy="6" r="3"/>', text2("outside of it")))
    return keys


def _overview(lanes: Lanes, left: float, right: float, edge: float, narrow: bool) -> tuple[list[str], float]:
    """Draw how many entries each part of the whole record has, and which part is shown large.

    Heights are square roots, as the summary says: one stay in intensive care has more entries than a life before it.
    """
    parts: list[str] = []
    label = text2("Whole record")
    base = 44.0
    if narrow:
        parts.append(written(left, 12, label, "start", "strong"))
        base = 56.0
    else:
        parts.append(written(0, base - 12, label, "start", "strong"))
        parts.append(
            written(right + 12, base - 12, text2("{n} entries", n=f"{lanes.total:,}"), "start", "soft")
        )
    px = _places(lanes.first, lanes.until, left, right)
    tallest = max(lanes.counts) or 1
    wide = (right - left) / len(lanes.counts)
    bars = "".join(
        f"M{left + at * wide:.1f} {base:.1f}v-{max(34 * sqrt(count / tallest), 2):.1f}h{wide - 1:.1f}V{base:.1f}Z"
        for at, count in enumerate(lanes.counts)
        if count
    )
    a = min(px(lanes.start), right - 4)
    parts.append(
        f'<rect class="window" x="{a:.1f}" y="{base - 37:.1f}" width="{right - a:.1f}" height="38" rx="2"/>'
    )
    parts.append(
        f'<path class="count" d="{bars}"/><path class="axis" d="M{left:.1f} {base:.1f}H{right:.1f}"/>'
    )
    for tick, said in time_ticks(lanes.first, lanes.until, 4 if narrow else 8):
        if px(tick) < right - 4:
            parts.append(f'<path class="axis" d="M{px(tick):.1f} {base:.1f}v4"/>')
            parts.append(written_inside(px(tick), base + 16, same(said), left - 2, right, "soft"))
    # The small window opens onto the large one.
    top = base + 40
    parts.append(
        f'<path class="opening" d="M{a:.1f} {base + 1:.1f}L{edge:.1f} {top:.1f}H{right:.1f}V{base + 1:.1f}Z"/>'
    )
    return parts, top


def _lane(
    lane: Lane, px: Place, lanes: Lanes, y: float, columns: tuple[float, float, float], narrow: bool
) -> tuple[list[str], float]:
    left, right, end = columns
    parts = [
        f'<path class="divide" d="M0 {y - 13:.1f}H{end:.1f}"/>',
        written(0 if not narrow else left, y + 3, lane.name, "start", "strong"),
    ]
    if not narrow and any(len(row.values) > 1 for row in lane.rows):
        parts.append(written(right + 12, y + 3, text2("latest"), "start", "soft"))
        parts.append(written(end, y + 3, text2("lowest – highest"), "end", "soft"))
    y += 10
    for row in lane.rows:
        names = (left, right - 92) if narrow else (0.0, left - 8)
        lines = in_lines(row.label, names[1] - names[0] - 14)
        more = _LINE * (len(lines) - 1)
        tall = 28.0 if len(row.values) > 1 else 20.0
        room = max((push.tall for push in row.pushes if push.time >= lanes.start), default=0.0)
        if narrow:
            parts += _words(row, lines, names, (right - 7, right), y + 10, narrow)
            y += 14 + more + room
        else:
            y += room
            tall = max(tall, 20 + more)
            parts += _words(row, lines, names, (right + 12, end), y + (tall - more) / 2 + 4, narrow)
        parts.append(f'<path class="track" d="M{left:.1f} {y + tall / 2:.1f}H{right:.1f}"/>')
        parts.append(_row(row, px, lanes, y, tall))
        y += tall + room
    return parts, y + 22


def _words(
    row: Row,
    name: Sequence[Text2],
    names: tuple[float, float],
    notes: tuple[float, float],
    y: float,
    narrow: bool,
) -> list[str]:
    """Write a row's name in its lines, with a sign where it is a reason, and its note; both in (from, to)."""
    left, _ = names
    lines = []
    if row.effect:
        shape = "l5 9h-10Z" if row.effect > 0 else "l5 -9h-10Z"
        top = y - 9 if row.effect > 0 else y
        lines.append(f'<path class="{_colour(row)}" d="M{left + 5:.1f} {top:.1f}{shape}"/>')
    for at, line in enumerate(name):
        lines.append(written(left + 14, y + at * _LINE, line, "start", "soft" if row.minor else ""))
    classes = "strong" if row.values else "soft"
    y += 0 if narrow else _LINE * (len(name) - 1) / 2
    lines.append(written(notes[0], y, row.note, "end" if narrow else "start", classes))
    if len(row.values) > 1 and not narrow:
        extent = same(" – ".join(number(find(v for _, v in row.values)) for find in (min, max)))
        # Bold figures are a little wider than `_width` reckons.
        if 1.12 * width_of(row.note.en) + width_of(extent.en) + 10 < notes[1] - notes[0]:
            lines.append(written(notes[1], y, extent, "end", "soft"))
    return lines


def _row(row: Row, px: Place, lanes: Lanes, y: float, tall: float) -> str:
    middle = y + tall / 2
    drawn = ""
    for span in row.spans:
        a = px(max(span.start, lanes.start))
        b = px(span.end or lanes.until)
        said = _spoken(span.text, span.start, span.end, lanes.dated)
        classes = "stay" if not row.effect else f"stay {_colour(row)}"
        drawn += (
            f'<rect class="{classes}" x="{min(a, b - 4):.1f}" y="{middle - 5:.1f}"'
            f' width="{max(b - a, 4):.1f}" height="10" rx="3">{said}</rect>'
        )
    for group in _merged(row.marks, px):
        drawn += _mark(row, group, px, middle, lanes.dated)
    if row.values:
        drawn += _curve(row, px, y + 3, y + tall - 3)
    # what is small is drawn over what is large
    pushes = sorted((push for push in row.pushes if push.time >= lanes.start), key=lambda one: -one.share)
    return drawn + "".join(_push(push, px, y, tall) for push in pushes)


def _push(push: Push, px: Place, y: float, tall: float) -> str:
    """Mark a fact that moved the answer: above its row and pointing up if it raised it, else below and down."""
    up = push.contribution > 0
    what = text2("raises this estimate") if up else text2("lowers this estimate")
    said = fill(text2("{name}: {value}"), name=what, value=push.said)
    foot, height = (y, -push.tall) if up else (y + tall, push.tall)
    path = f"M{px(push.time) - push.half:.1f} {foot:.1f}h{2 * push.half:.1f}l{-push.half:.1f} {height:.1f}Z"
    return f'<path class="push {"f2" if up else "f1"}" d="{path}"><title>{both(said)}</title></path>'


def _merged(marks: Sequence[Mark], px: Place) -> list[list[Mark]]:
    """Gather marks that would overlap: 5,000 entries stay a few hundred shapes."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda one: one.time):
        near = groups and px(mark.time) - px(groups[-1][-1].time) < _APART
        if near and groups[-1][-1].hollow == mark.hollow:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return groups


def _mark(row: Row, group: Sequence[Mark], px: Place, y: float, dated: bool) -> str:
    first, last = group[0], group[-1]
    names = {mark.text.en for mark in group}
    name = first.text if len(names) == 1 else text2("{n} entries", n=f"{len(group):,}")
    if len(names) == 1 and len(group) > 1:
        name = Text2(f"{name.en} ({len(group):,}×)", f"{name.zh}（{len(group):,}×）")
    said = _spoken(name, first.time, last.time if len(group) > 1 else None, dated, single=len(group) == 1)
    a, b = px(first.time), px(last.time)
    classes = f"{'hollow ' if first.hollow else ''}{_colour(row)}"
    if row.minor:
        return (
            f'<rect class="count" x="{a - 1.2:.1f}" y="{y - 4:.1f}" width="{b - a + 2.4:.1f}" height="8">'
            f"{said}</rect>"
        )
    return (
        f'<rect class="{classes}" x="{a - 4:.1f}" y="{y - 4:.1f}" width="{b - a + 8:.1f}" height="8" rx="4">'
        f"{said}</rect>"
    )


def _curve(row: Row, px: Place, top: float, bottom: float) -> str:
    numbers = [value for _, value in row.values]
    least, most = min(numbers), max(numbers)
    low, high = row.usual
    if len(row.values) > 1 and low is not None and high is not None and high - low < 4 * (most - least):
        least, most = min(least, low), max(most, high)
    extent = most - least

    def py(value: float) -> float:
        return bottom - (value - least) / extent * (bottom - top) if extent else (top + bottom) / 2

    drawn = ""
    first, last = px(row.values[0][0]), px(row.values[-1][0])
    if len(row.values) > 1 and (low is not None or high is not None):
        a = py(min(high, most)) if high is not None else top
        b = py(max(low, least)) if low is not None else bottom
        if b - a > 0.5:
            drawn += (
                f'<rect class="usual" x="{first:.1f}" y="{a:.1f}" width="{last - first:.1f}"'
                f' height="{b - a:.1f}"/>'
            )
    points = [(px(time), py(value), value) for time, value in row.values]
    if len(points) > _MOST_POINTS:
        points = _extent(points)
    if len(points) > 1:
        drawn += '<path class="curve" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points) + '"/>'
    many = len(points) > 60
    for x, y, value in points:
        outside = (low is not None and value < low) or (high is not None and value > high)
        if outside or not many:
            size = 2.6 if outside else 1.8
            kind = "unusual" if outside else "point"
            drawn += f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}"/>'
    return drawn


def _extent(points: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Keep the lowest and the highest of each few pixels: what is unusual is never averaged away."""
    groups: dict[int, list[tuple[float, float, float]]] = {}
    for point in points:
        groups.setdefault(int(point[0] / 6), []).append(point)
    kept: list[tuple[float, float, float]] = []
    for group in groups.values():
        ends = {min(group, key=lambda p: p[2]), max(group, key=lambda p: p[2])}
        kept += sorted(ends)
    return kept


def _colour(row: Row) -> str:
    return "dot" if not row.effect else "f2" if row.effect > 0 else "f1"


def _spoken(text: Text2, start: datetime, end: datetime | None, dated: bool, single: bool = False) -> str:
    form = "%Y-%m-%d" if dated else "%Y-%m-%d %H:%M"
    when = start.strftime(form)
    if not single and (end is None or end.strftime(form) != when):
        when += f" – {end.strftime(form) if end else ''}"
    return f"<title>{both(Text2(f'{text.en}, {when}', f'{text.zh}，{when}'))}</title>"


def _places(start: datetime, end: datetime, left: float, right: float) -> Place:
    seconds = (end - start).total_seconds()
    if seconds <= 0:
        return lambda time: (left + right) / 2

    def place(time: datetime) -> float:
        share = (time - start).total_seconds() / seconds
        # Room at the left for half a mark; at the right stands the moment of the question.
        return left + 5 + min(max(share, 0.0), 1.0) * (right - left - 12)

    return place


def time_ticks(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
    """Choose round times, at most about `most`, and write them so that both languages read them."""
    length = end - start
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    for hours in (1, 2, 3, 6, 12, 24, 48, 168):
        step = timedelta(hours=hours)
        if length <= step * most:
            times = [midnight + step * at for at in range(int((end - midnight) / step) + 1)]
            return [
                (t, f"{t:%H:%M}" if t.hour or t.minute else f"{t:%m-%d}" if hours < 24 else f"{t:%Y-%m-%d}")
                for t in times
                if start <= t <= end
            ]
    months = next(
        (m for m in (1, 2, 3, 6, 12, 24, 60, 120, 240) if length <= timedelta(days=30.5 * m * most)), 240
    )
    first = -(-(start.year * 12 + start.month - 1) // months) * months
    ticks = []
    for at in range(first, end.year * 12 + end.month, months):
        time = datetime(at // 12, at % 12 + 1, 1)
        if start <= time <= end:
            ticks.append((time, f"{time.year:04d}" if months >= 12 else f"{time:%Y-%m}"))
    return ticks
