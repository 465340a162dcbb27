"""The drawings of one answer: how many of a hundred people, where it stands, what moves it how far.

SVG that follows the page into dark mode, onto paper and onto a phone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from medloom.explanation.drawing import framed, written_inside
from medloom.explanation.wording import same
from medloom.foundation.charts import nice_high, nice_ticks
from medloom.foundation.messages import Text2, text2


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
    return framed(said, said, columns * wide, of / columns * tall, parts, "people")


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
            parts.append(written_inside(px(tick), axis + 18, same(reading.write(tick)), left, right, "soft"))
    if reading.low is not None and reading.high is not None:
        a, b = px(reading.low), px(reading.high)
        parts.append(
            f'<rect class="range" x="{a:.1f}" y="{axis - 6}" width="{max(b - a, 2):.1f}" height="12" rx="6"/>'
        )
    x = px(reading.value)
    parts.append(f'<path class="affected" d="M{x:.1f} {axis - 9}l8 9l-8 9l-8 -9Z"/>')
    patient = _with_value(text2("this patient"), reading.write(reading.value))
    parts.append(written_inside(x, axis - 18, patient, left, right, "strong"))
    bottom = axis + 24.0
    if reading.average is not None:
        x, bottom = px(reading.average), axis + 42.0
        parts.append(f'<path class="average" d="M{x:.1f} {axis - 11}V{axis + 24}"/>')
        average = _with_value(reading.average_name, reading.write(reading.average))
        parts.append(written_inside(x, axis + 37, average, left, right, ""))
    title = text2("Where this patient stands")
    spoken = [patient]
    if reading.low is not None and reading.high is not None:
        spoken.append(
            _with_value(text2("range"), f"{reading.write(reading.low)} – {reading.write(reading.high)}")
        )
    if reading.average is not None:
        spoken.append(_with_value(reading.average_name, reading.write(reading.average)))
    said = Text2("; ".join(one.en for one in spoken), "；".join(one.zh for one in spoken))
    return framed(title, said, width, bottom, parts)


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
