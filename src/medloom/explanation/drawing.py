"""The drawings of a patient's page, as SVG that follows the page into dark mode, onto paper and onto a phone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from math import sqrt
from typing import Final
from unicodedata import east_asian_width

from medloom.explanation.lanes import Lane, Lanes, Mark, Row
from medloom.explanation.wording import number
from medloom.foundation.charts import nice_high, nice_ticks
from medloom.foundation.hashing import hash64
from medloom.foundation.messages import Text2, text2

_APART: Final = 7.0  # marks nearer than this, in px, are drawn as one
_MOST_POINTS: Final = 160  # of a curve, before it is drawn as its extent

_LINE: Final = 14.0  # between the lines of one name
_NAMES = 236.0  # the column of names beside the lanes, in px

Place = Callable[[datetime], float]


def people_drawing(of: int, affected: int) -> str:
    """Draw `affected` of `of` (100 or 1,000) people filled: a frequency that can be counted.

    >>> people_drawing(100, 18).count("<path")
    2
    """
    columns, wide, tall, size = (20, 19.0, 24.0, 1.0) if of <= 100 else (50, 7.6, 9.6, 0.4)
    inside: list[str] = []
    outside: list[str] = []
    for at in range(of):
        row, column = divmod(at, columns)
        shape = _person((column + 0.5) * wide, row * tall + 1, size)
        (inside if at < affected else outside).append(shape)
    said = text2("{n} of {of} people are filled in.", n=f"{affected:,}", of=f"{of:,}")
    parts = [
        f'<path class="others" d="{"".join(outside)}"/>',
        f'<path class="affected" d="{"".join(inside)}"/>',
    ]
    return _svg(said, said, columns * wide, of / columns * tall, parts, "people")


@dataclass(frozen=True)
class Reading:
    """A value on a scale: the patient's, its range, and what is usual; `write` says a value in words."""

    value: float
    low: float | None
    high: float | None
    average: float | None
    bounded: bool  # a risk: from 0 to at most 1
    write: Callable[[float], str]
    average_name: Text2


def scale_drawing(reading: Reading, width: float = 380.0) -> str:
    """Draw where an answer stands between nothing and much, with its range and the average.

    >>> "usual 10%" in scale_drawing(Reading(0.12, None, None, 0.1, True, "{:.0%}".format, Text2("usual", "通常")))
    True
    """
    known = [v for v in (reading.value, reading.low, reading.high, reading.average) if v is not None]
    if reading.bounded:
        least, most = 0.0, min(1.0, nice_high(max(known) * 1.1))
    else:
        least, most = min(known), max(known)
        room = 0.35 * (most - least) or abs(least) * 0.5 or 1.0
        least = max(least - room, 0.0) if least >= 0 else least - room
        most += room
    left, right, axis = 12.0, width - 12.0, 40.0

    def px(value: float) -> float:
        return left + (min(max(value, least), most) - least) / (most - least) * (right - left)

    parts = [f'<path class="axis" d="M{left:.1f} {axis}H{right:.1f}"/>']
    for tick in nice_ticks(least, most, 5):
        parts.append(f'<path class="axis" d="M{px(tick):.1f} {axis}v4"/>')
        if reading.average is None or abs(px(tick) - px(reading.average)) > 24:
            parts.append(_text_inside(px(tick), axis + 18, _same(reading.write(tick)), left, right, "soft"))
    if reading.low is not None and reading.high is not None:
        a, b = px(reading.low), px(reading.high)
        parts.append(
            f'<rect class="range" x="{a:.1f}" y="{axis - 6}" width="{max(b - a, 2):.1f}" height="12" rx="6"/>'
        )
    x = px(reading.value)
    parts.append(f'<path class="affected" d="M{x:.1f} {axis - 9}l8 9l-8 9l-8 -9Z"/>')
    patient = _with_value(text2("this patient"), reading.write(reading.value))
    parts.append(_text_inside(x, axis - 18, patient, left, right, "strong"))
    bottom = axis + 24.0
    if reading.average is not None:
        x, bottom = px(reading.average), axis + 42.0
        parts.append(f'<path class="average" d="M{x:.1f} {axis - 11}V{axis + 24}"/>')
        average = _with_value(reading.average_name, reading.write(reading.average))
        parts.append(_text_inside(x, axis + 37, average, left, right, ""))
    title = text2("Where this patient stands")
    spoken = [patient]
    if reading.low is not None and reading.high is not None:
        spoken.append(
            _with_value(text2("range"), f"{reading.write(reading.low)} – {reading.write(reading.high)}")
        )
    if reading.average is not None:
        spoken.append(_with_value(reading.average_name, reading.write(reading.average)))
    said = Text2("; ".join(one.en for one in spoken), "；".join(one.zh for one in spoken))
    return _svg(title, said, width, bottom, parts)


def bar_drawing(share: float) -> str:
    """Draw one signed bar, from -1 to 1 of its room, around a middle line; its words stand beside it.

    >>> 'class="f1"' in bar_drawing(-0.5)
    True
    """
    size = min(abs(share), 1.0) * 48
    start = 50.0 if share >= 0 else 50 - size
    return (
        '<svg class="chart bar" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{"f2" if share >= 0 else "f1"}" x="{start:.2f}" y="2" width="{size:.2f}" height="12"/>'
        '<path class="axis" vector-effect="non-scaling-stroke" d="M50 0V16"/></svg>'
    )


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
    for tick, said in _time_ticks(lanes.start, lanes.until, 5 if narrow else 9):
        x = px(tick)
        parts.append(f'<path class="rule" d="M{x:.1f} {top + 4:.1f}V{y:.1f}"/>')
        if x < right - 4:
            parts.append(_text_inside(x, y + 15, _same(said), left - 2, right, "soft"))
    parts += body
    parts.append(f'<path class="now" d="M{right:.1f} {top - 2:.1f}V{y + 6:.1f}"/>')
    parts.append(_text(right - 6, top + 4, text2("prediction time"), "end", "strong"))
    return _svg(text2("What the record holds"), summary, width, y + 24, parts, "lanes")


def legend(lanes: Lanes) -> list[tuple[str, Text2]]:
    """Say what the signs of `lanes_drawing` mean, those that occur: SVG 26 by 12, and words."""
    rows = [row for lane in lanes.lanes for row in lane.rows]
    keys = []
    if any(row.effect > 0 for row in rows):
        keys.append(('<path class="f2" d="M13 1l5 9h-10Z"/>', text2("raises this estimate")))
    if any(row.effect < 0 for row in rows):
        keys.append(('<path class="f1" d="M13 11l5 -9h-10Z"/>', text2("lowers this estimate")))
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
        parts.append(_text(left, 12, label, "start", "strong"))
        base = 56.0
    else:
        parts.append(_text(0, base - 12, label, "start", "strong"))
        parts.append(
            _text(right + 12, base - 12, text2("{n} entries", n=f"{lanes.total:,}"), "start", "soft")
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
    for tick, said in _time_ticks(lanes.first, lanes.until, 4 if narrow else 8):
        if px(tick) < right - 4:
            parts.append(f'<path class="axis" d="M{px(tick):.1f} {base:.1f}v4"/>')
            parts.append(_text_inside(px(tick), base + 16, _same(said), left - 2, right, "soft"))
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
        _text(0 if not narrow else left, y + 3, lane.name, "start", "strong"),
    ]
    if not narrow and any(len(row.values) > 1 for row in lane.rows):
        parts.append(_text(right + 12, y + 3, text2("latest"), "start", "soft"))
        parts.append(_text(end, y + 3, text2("lowest – highest"), "end", "soft"))
    y += 10
    for row in lane.rows:
        names = (left, right - 92) if narrow else (0.0, left - 8)
        lines = _wrapped(row.label, names[1] - names[0] - 14)
        more = _LINE * (len(lines) - 1)
        tall = 28.0 if len(row.values) > 1 else 20.0
        if narrow:
            parts += _words(row, lines, names, (right - 7, right), y + 10, narrow)
            y += 14 + more
        else:
            tall = max(tall, 20 + more)
            parts += _words(row, lines, names, (right + 12, end), y + (tall - more) / 2 + 4, narrow)
        parts.append(f'<path class="track" d="M{left:.1f} {y + tall / 2:.1f}H{right:.1f}"/>')
        parts.append(_row(row, px, lanes, y, tall))
        y += tall
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
        lines.append(_text(left + 14, y + at * _LINE, line, "start", "soft" if row.minor else ""))
    classes = "strong" if row.values else "soft"
    y += 0 if narrow else _LINE * (len(name) - 1) / 2
    lines.append(_text(notes[0], y, row.note, "end" if narrow else "start", classes))
    if len(row.values) > 1 and not narrow:
        extent = _same(" – ".join(number(find(v for _, v in row.values)) for find in (min, max)))
        # Bold figures are a little wider than `_width` reckons.
        if 1.12 * _width(row.note.en) + _width(extent.en) + 10 < notes[1] - notes[0]:
            lines.append(_text(notes[1], y, extent, "end", "soft"))
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
    return drawn


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
    return f"<title>{_both(Text2(f'{text.en}, {when}', f'{text.zh}，{when}'))}</title>"


def _places(start: datetime, end: datetime, left: float, right: float) -> Place:
    seconds = (end - start).total_seconds()
    if seconds <= 0:
        return lambda time: (left + right) / 2

    def place(time: datetime) -> float:
        share = (time - start).total_seconds() / seconds
        # Room at the left for half a mark; at the right stands the moment of the question.
        return left + 5 + min(max(share, 0.0), 1.0) * (right - left - 12)

    return place


def _time_ticks(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
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


def _person(x: float, y: float, size: float) -> str:
    """A head above shoulders, 12 wide and 20 tall before `size`."""
    r, w, t = 3.6 * size, 5.6 * size, y + 8.6 * size
    bottom = y + 20 * size
    return (
        f"M{x - r:.1f} {y + r:.1f}a{r:.2f} {r:.2f} 0 1 1 {2 * r:.2f} 0a{r:.2f} {r:.2f} 0 1 1 {-2 * r:.2f} 0Z"
        f"M{x - w:.1f} {bottom:.1f}V{t + w:.1f}a{w:.2f} {w:.2f} 0 0 1 {2 * w:.2f} 0V{bottom:.1f}Z"
    )


def _with_value(text: Text2, value: str) -> Text2:
    return Text2(f"{text.en} {value}", f"{text.zh} {value}")


def _same(text: str) -> Text2:
    return Text2(text, text)


def _text_inside(x: float, y: float, text: Text2, left: float, right: float, classes: str) -> str:
    """Write a text centred at x, or flush with an edge it would cross."""
    half = max(_width(said) for said in text) / 2
    if x - half < left - 8:
        return _text(max(left - 8, 0), y, text, "start", classes)
    if x + half > right + 8:
        return _text(right + 8, y, text, "end", classes)
    return _text(x, y, text, "middle", classes)


def _text(x: float, y: float, text: Text2, anchor: str, classes: str = "") -> str:
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    if text.en == text.zh:
        return f'<text class="{classes}" {at}>{escape(text.en)}</text>' if text.en else ""
    return "".join(
        f'<text class="{f"{language} {classes}".strip()}" lang="{language}" {at}>{escape(said)}</text>'
        for language, said in (("en", text.en), ("zh", text.zh))
    )


def _width(text: str) -> float:
    return sum(12.0 if east_asian_width(character) in "WF" else 6.5 for character in text)


def _wrapped(text: Text2, room: float) -> list[Text2]:
    """Set a name in as many lines as it needs, at most three, the same number in both languages.

    >>> [line.en for line in _wrapped(Text2("Penicillin V Potassium 500 MG Oral Tablet", "青霉素"), 150)]
    ['Penicillin V Potassium', '500 MG Oral Tablet']
    """
    both = [_broken(said, room) for said in text]
    return [
        Text2(*("".join(lines[at : at + 1]) for lines in both))
        for at in range(max(len(lines) for lines in both))
    ]


def _broken(text: str, room: float) -> list[str]:
    lines: list[str] = []
    while text and len(lines) < 2 and _width(text) > room:
        most = next(n for n in range(len(text), 0, -1) if n == 1 or _width(text[:n]) <= room)
        # At a space, unless that leaves most of the line empty or the text is one word.
        at = text.rfind(" ", most // 2, most + 1)
        lines.append(text[: at if at > 0 else most].rstrip())
        text = text[at if at > 0 else most :].lstrip()
    return [*lines, _fitted(text, room)]


def _fitted(text: str, room: float) -> str:
    if _width(text) <= room:
        return text
    while text and _width(text) + 8 > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _both(text: Text2) -> str:
    return escape(text.en if text.en == text.zh else f"{text.en} / {text.zh}")


def _svg(
    title: Text2, description: Text2, width: float, height: float, parts: Sequence[str], classes: str = ""
) -> str:
    body = "".join(parts)
    # The content names the element, so that two drawings on one page do not share ids.
    name = f"p{hash64(body + title.en + description.en):016x}"
    return (
        f'<svg class="{f"chart {classes}".strip()}" role="img" aria-labelledby="{name}t {name}d"'
        f' viewBox="0 0 {width:g} {height:g}">'
        f'<title id="{name}t">{_both(title)}</title><desc id="{name}d">{_both(description)}</desc>'
        f"{body}</svg>"
    )
