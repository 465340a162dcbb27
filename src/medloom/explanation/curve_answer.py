"""The answer about one patient where it is a curve: how likely by when, how sure, drawn with its band."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from medloom.explanation.numbers import percent
from medloom.explanation.patient import PatientPage
from medloom.explanation.wording import clean, same
from medloom.foundation.charts import Axis, Line, line_chart, nice_high
from medloom.foundation.messages import Text2, text2
from medloom.tasks.survival import Curves

_MOST_SENTENCES: Final = 4


def answer_of_curves(page: PatientPage, curves: Curves) -> dict[str, Any]:
    """Say the answer as the template wants it: see `patient_answer.answer_in_words`."""
    times = _times(page, curves)
    last = times[-1]
    risks = curves.at(times)[0]
    events = [clean(name) for name in page.question.outputs]
    # what the question is about stands first, as in worklists, alerts and reasons; not what is likeliest
    risk = float(risks[0, -1])
    named = {"event": events[0], "time": _time(page, last)}
    return {
        "big": same(percent(risk)),
        "headline": text2(
            "Of 100 patients like this one, about {n} would have “{event}” within {time}.",
            n=round(100 * risk),
            **named,
        ),
        "direction": 0,
        "compared": None,
        "sentences": [*_by_when(page, curves, times, events), *_meaning(page, curves)],
        "figures": [_drawing(page, curves, events)],
        "classes": [
            (event, percent(float(one)), 100 * float(one), place == 0)
            for place, (event, one) in enumerate(zip(events, risks[:, -1], strict=True))
        ]
        if len(events) > 1
        else [],
    }


def main_risks(page_horizons: tuple[float, ...], curves: Curves) -> dict[int, float]:
    """Give the risk of each event, by its place, at the last time a page speaks of."""
    times = _reached(page_horizons, curves)
    return dict(enumerate(curves.at(times)[0, :, -1].tolist()))


def _by_when(page: PatientPage, curves: Curves, times: list[float], events: list[str]) -> list[Text2]:
    said = []
    for place, event in enumerate(events):
        for time in times:
            risk = percent(float(curves.at([time])[0, place, 0]))
            values = {"event": event, "time": _time(page, time), "risk": risk}
            ends = _ends(curves, place, time)
            if ends is None:
                said.append(text2("“{event}” within {time}: {risk}.", **values))
            else:
                low, high = map(percent, ends)
                said.append(
                    text2("“{event}” within {time}: {risk} ({low} to {high}).", **values, low=low, high=high)
                )
    return said[:_MOST_SENTENCES]


def _meaning(page: PatientPage, curves: Curves) -> list[Text2]:
    if curves.low is None or page.level is None:
        return []
    return [
        text2(
            "The band: how often patients with such predicted risks had the event, at {level} confidence, and the"
            " model's answer. It does not say how this patient differs from them.",
            level=f"{page.level:.0%}",
        )
    ]


def _drawing(page: PatientPage, curves: Curves, events: list[str]) -> str:
    x = [0.0, *curves.times.tolist()]
    lines, highest = [], 0.01
    for place, event in enumerate(events):
        y = [0.0, *curves.incidence[0, place].tolist()]
        low, high = (
            None if one is None else [0.0, *(None if np.isnan(v) else v for v in one[0, place].tolist())]
            for one in (curves.low, curves.high)
        )
        lines.append(Line(same(event), x, y, low, high))
        highest = max(highest, *y, *(v for v in high or () if v is not None))
    title = text2("The chance by time")
    unit = page.question.unit
    across = text2("time ({unit})", unit=unit) if unit else text2("time")
    return line_chart(
        title,
        text2("A curve from nothing to the chance by the last time, with its band."),
        lines,
        Axis(across, 0.0, x[-1]),
        Axis(text2("chance"), 0.0, min(1.0, nice_high(highest)), "percent"),
        width=380,
        height=240,
    )


def _times(page: PatientPage, curves: Curves) -> list[float]:
    return _reached(page.question.horizons, curves)


def _reached(horizons: tuple[float, ...], curves: Curves) -> list[float]:
    """Take the question's horizons that the curve reaches; else its last time."""
    return [one for one in sorted(horizons) if one <= curves.times[-1]] or [float(curves.times[-1])]


def _ends(curves: Curves, place: int, time: float) -> tuple[float, float] | None:
    if curves.low is None or curves.high is None:
        return None
    low, high = (
        float(Curves(curves.times, one).at([time])[0, place, 0]) for one in (curves.low, curves.high)
    )
    return None if np.isnan(low) or np.isnan(high) else (low, high)


def _time(page: PatientPage, time: float) -> str:
    return f"{time:g} {page.question.unit or ''}".strip()
