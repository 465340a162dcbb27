"""What `explain` tells of places that a model names in a note."""

from __future__ import annotations

from typing import Any

import polars as pl

from medloom.cli import screen
from medloom.explanation.numbers import percent
from medloom.foundation.messages import tr
from medloom.tasks.relations import BETWEEN, ends_of
from medloom.tasks.samples import Samples
from medloom.tasks.spans import Span, parts_of

_LONGEST = 60  # characters of a place's words


def places_told(answers: pl.DataFrame, sample: Samples) -> list[dict[str, Any]]:
    """List the places and relations of one note: name, where (characters), words, how sure the model is.

    The words of a relation are those of its head, an arrow, and those of its tail.
    """
    (text,) = sample.texts()
    columns = ["output", "place", "start", "end", "value"]
    return [
        {
            "name": name,
            "place": place,
            "start": int(start),
            "end": int(end),
            "words": _words(text, place),
            "confidence": sure,
        }
        for name, place, start, end, sure in answers.sort("start").select(columns).iter_rows()
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
        rows.append([one["name"], words, one["place"], percent(one["confidence"])])
    screen.table([tr("name"), tr("words"), tr("characters"), tr("how sure")], rows, right=[2, 3])


def _words(text: str, place: str) -> str:
    """Give the words of a place, or those of a relation's two places."""
    ends = ends_of(place) if BETWEEN in place else (parts_of(place),)
    return " → ".join(Span(parts, "").words(text) for parts in ends)
