"""What `explain` tells of places that a model names in a note."""

from __future__ import annotations

from typing import Any

import polars as pl

from medloom.cli import screen
from medloom.explanation.numbers import percent
from medloom.foundation.messages import tr
from medloom.tasks.samples import Samples

_LONGEST = 60  # characters of a place's words


def places_told(answers: pl.DataFrame, sample: Samples) -> list[dict[str, Any]]:
    """List the places of one note: name, first character, the one behind the last, words, how sure the model is."""
    (text,) = sample.texts()
    columns = ["output", "start", "end", "value"]
    return [
        {
            "name": name,
            "start": int(start),
            "end": int(end),
            "words": text[int(start) : int(end)],
            "confidence": sure,
        }
        for name, start, end, sure in answers.sort("start").select(columns).iter_rows()
    ]


def show_places(answers: pl.DataFrame, sample: Samples) -> None:
    """Print them, or that there are none."""
    time = sample.frame["prediction_time"][0]
    screen.say(tr("asked at {time:%Y-%m-%d %H:%M}", time=time))
    places = places_told(answers, sample)
    if not places:
        screen.say(tr("The model names nothing in this note."))
        return
    rows = []
    for one in places:
        words = " ".join(one["words"].split())
        words = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
        rows.append([one["name"], words, f"{one['start']}–{one['end']}", percent(one["confidence"])])
    screen.table([tr("name"), tr("words"), tr("characters"), tr("how sure")], rows, right=[2, 3])
