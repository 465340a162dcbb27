"""How often a model was asked, week by week, and how often it alerted, as bars."""

from __future__ import annotations

from html import escape

from markupsafe import Markup

from medloom.foundation.charts import nice_high
from medloom.foundation.messages import tr
from medloom.loop.usage import Usage

_WIDE, _TALL, _LEFT, _BELOW = 640, 150, 44, 22


def usage_drawing(usage: Usage) -> Markup:
    """Draw the weeks of a model in the reader's language; styled by `charts.css`."""
    top = nice_high(max(max(week.asked for week in usage.weeks), 1))
    floor = _TALL - _BELOW
    step = (_WIDE - _LEFT) / len(usage.weeks)
    parts = [
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDE}" y1="{floor}" y2="{floor}"/>',
        f'<text class="soft" x="{_LEFT - 6}" y="{floor + 4}" text-anchor="end">0</text>',
        f'<line class="rule" x1="{_LEFT}" x2="{_WIDE}" y1="12" y2="12"/>',
        f'<text class="soft" x="{_LEFT - 6}" y="16" text-anchor="end">{top:,.0f}</text>',
    ]
    for place, week in enumerate(usage.weeks):
        x = _LEFT + place * step + step * 0.15
        for kind, count in (("bars", week.asked), ("f2", week.alerts)):
            tall = (floor - 12) * count / top
            if count:
                parts.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{floor - tall:.1f}" width="{step * 0.7:.1f}"'
                    f' height="{tall:.1f}" rx="1.5"/>'
                )
        if place % 3 == len(usage.weeks) % 3:
            said = f"{week.begins:%m-%d}"
            parts.append(
                f'<text class="soft" x="{x + step * 0.35:.1f}" y="{_TALL - 5}" text-anchor="middle">{said}</text>'
            )
    total = usage.total
    said = tr(
        "Asked {n:,} times in {weeks} weeks, {alerts:,} alerts; week by week, alerts darker",
        n=total.asked,
        weeks=len(usage.weeks),
        alerts=total.alerts,
    )
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDE} {_TALL}" role="img" aria-label="{escape(said)}">'
        f"{''.join(parts)}</svg>"
    )
