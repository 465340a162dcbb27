"""Reasons and their like as bars: one a thing, named in full, to either side of nothing.

All explainers are drawn by this: reasons of one answer, importance on the whole, what became of similar patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from medloom.explanation.drawing import framed, written
from medloom.explanation.numbers import percent
from medloom.explanation.wording import number, same
from medloom.foundation.charts import fitted, nice_ticks
from medloom.foundation.messages import Text2, text2
from medloom.tasks.explanation import Explanation

_WIDTH: Final = 640.0
_NAMES: Final = 286.0
_NOTES: Final = 96.0
_STEP: Final = 26.0

Write = Callable[[float], str]


@dataclass(frozen=True)
class Bar:
    """A thing, its size with an interval where there is one, and what is said at its end."""

    name: Text2
    value: float | None
    low: float | None = None
    high: float | None = None
    note: Text2 | None = None


def bars_drawing(
    title: Text2, description: Text2, bars: Sequence[Bar], axis: Text2, write: Write, least: float = 0.0
) -> str:
    """Draw bars to the right (more) and to the left (less), beneath each other.

    Args:
        title: what is shown.
        description: for those who cannot see it.
        bars: in their order; a value of None shows its note alone.
        axis: what sizes are.
        write: says a size.
        least: how far the axis reaches at least.

    >>> one = Text2("Age", "年龄")
    >>> "0.3" in bars_drawing(one, one, [Bar(one, 0.3)], one, number)
    True
    """
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]
    low, high = min([0.0, *ends]), max([0.0, least, *ends])
    room = 0.04 * (high - low) or 1.0
    low, high = (low - room if low < 0 else 0.0), high + room
    left, right, bottom = _NAMES + 8, _WIDTH - _NOTES, 6 + _STEP * len(bars)

    def px(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts: list[str] = []
    for tick in nice_ticks(low, high, 5):
        parts.append(f'<path class="rule" d="M{px(tick):.1f} 4V{bottom:.1f}"/>')
        said = write(tick)
        parts.append(written(px(tick), bottom + 16, same(said), "middle", "soft"))
    parts.append(f'<path class="axis" d="M{px(0):.1f} 4V{bottom:.1f}"/>')
    for at, bar in enumerate(bars):
        y = 6 + _STEP * (at + 0.5)
        parts.append(written(_NAMES, y + 4, Text2(*(_cut(said) for said in bar.name)), "end"))
        if bar.value is not None:
            start, end = sorted((px(0), px(bar.value)))
            ranged = bar.low is not None and bar.high is not None
            # under an interval the bar stands back, so that both of its ends are seen
            colour = "bars" if ranged else "f2" if bar.value >= 0 else "f1"
            wide = max(end - start, 1.0)
            parts.append(
                f'<rect class="{colour}" x="{start:.1f}" y="{y - 6:.1f}" width="{wide:.1f}" height="12" rx="1"/>'
            )
        if bar.low is not None and bar.high is not None:
            a, b = px(bar.low), px(bar.high)
            ends_at = f"M{a:.1f} {y:.1f}H{b:.1f}M{a:.1f} {y - 4:.1f}v8M{b:.1f} {y - 4:.1f}v8"
            parts.append(f'<path class="whisker s1" d="{ends_at}"/>')
            if bar.value is not None:
                parts.append(f'<circle class="f1" cx="{px(bar.value):.1f}" cy="{y:.1f}" r="3.6"/>')
        said = "" if bar.value is None else write(bar.value)
        parts.append(written(right + 10, y + 4, bar.note or same(said), "start", "strong"))
    parts.append(written((left + right) / 2, bottom + 34, axis, "middle"))
    return framed(title, description, _WIDTH, bottom + 42, parts)


def reasons_drawing(
    explanation: Explanation,
    sample_id: int,
    name: Callable[[str, float | None], Text2],
    *,
    output: str | None = None,
    n: int = 10,
) -> str:
    """Draw the strongest reasons of one answer, the rest summed up; raises as `Explanation.top`.

    Args:
        explanation: by any method.
        sample_id: whose answer.
        name: says an input and its value: `wording.readable`.
        output: which answer; None: the only one there is.
        n: so many, beside the rest.
    """
    rows = explanation.top(sample_id, n, output)
    shares_of: dict[Text2, float] = {}
    for input, value, contribution in rows.select("input", "value", "contribution").iter_rows():
        # that something was never counted and that it is not known when it was last are one reason
        word = name(input, value)
        shares_of[word] = shares_of.get(word, 0.0) + contribution
    bars = [Bar(word, share) for word, share in shares_of.items()]
    said = text2(
        "Bars to the right raise the answer, bars to the left lower it. Found by: {method}.",
        method=explanation.method,
    )
    shares = explanation.scale == "probability"
    axis = text2("points of probability") if shares else same(explanation.scale)
    return bars_drawing(text2("Why"), said, bars, axis, _points if shares else number)


def importance_drawing(
    ranked: pl.DataFrame, name: Callable[[str], Text2], score: Text2, *, n: int = 15
) -> str:
    """Draw what a model's score loses without each input, with 95 % intervals.

    Args:
        ranked: `permutation.rank_by_permutation`.
        name: says an input or a code: `wording.input_name`.
        score: what is lost.
        n: so many at most.
    """
    bars = [
        Bar(
            name(row["input"]),
            row["importance"],
            row["low"],
            row["high"],
            text2("cannot be said") if row["importance"] is None else None,
        )
        for row in ranked.head(n).iter_rows(named=True)
    ]
    said = text2(
        "How much worse the model answers when this input is another patient's; the line is the 95 % interval."
    )
    return bars_drawing(text2("What the model needs"), said, bars, score, number)


def share_bars(title: Text2, description: Text2, bars: Sequence[Bar], axis: Text2) -> str:
    """Draw shares between 0 and 1 in percent."""
    return bars_drawing(title, description, bars, axis, percent, least=0.1)


def _points(share: float) -> str:
    return number(round(100 * share, 1))


def _cut(said: str) -> str:
    """Cut a name to its room, without spaces beside the mark."""
    head, mark, tail = (cut := fitted(said, _NAMES, letter=6.6, ellipsis=9.0)).rpartition("…")
    return said if cut == said else f"{head.rstrip()}{mark}{tail.lstrip()}"
