"""What taggers answer about samples: rows of places, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from medloom.foundation.messages import tr
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.tagging import Tagging

Named = tuple[str, str, int, int, float]
"""Name, place as facts write it, first character, the one behind the last, and how sure."""

_METHOD = "places by how sure each is"


def predicted(tagger: Tagging, samples: Samples) -> Predictions:
    """Give a row for each place that is named: `output` its name, `value` how sure, `start` and `end` in characters."""
    return as_predictions(_named(tagger, samples), samples)


def explained(tagger: Tagging, names: tuple[str, ...], samples: Samples) -> Explanation:
    """Give the places themselves: each answer is one, and stands for itself."""
    return as_explanation(_named(tagger, samples), names, samples)


def as_predictions(named: Sequence[Sequence[Named]], samples: Samples) -> Predictions:
    """Give a row for all that is named in each note."""
    return Predictions(_rows(named, samples, PREDICTION_SCHEMA, "value"))


def as_explanation(named: Sequence[Sequence[Named]], names: tuple[str, ...], samples: Samples) -> Explanation:
    """Give all that is named in each note, with how sure it is; `names`: that there are."""
    return Explanation(
        _rows(named, samples, EXPLANATION_SCHEMA, "contribution"),
        pl.DataFrame({"output": names, "value": np.zeros(len(names))}),
        _METHOD,
        "probability",
        additive=False,
    )


def _rows(named: Sequence[Sequence[Named]], samples: Samples, schema: pl.Schema, told: str) -> pl.DataFrame:
    ids, items = samples.sample_ids.tolist(), samples.frame["item"].to_list()
    rows = [
        {
            "input": tr("characters {start} to {end}", start=start, end=end),
            "sample_id": one,
            "output": name,
            told: sure,
            "start": float(start),
            "end": float(end),
            "place": place,
            "asset": item,
        }
        for one, item, found in zip(ids, items, named, strict=True)
        for name, place, start, end, sure in found
    ]
    always = ("sample_id", "output", told, "start", "end", "asset")
    known = [*always, *(one for one in ("place", "input") if one in schema)]
    frame = pl.DataFrame(
        [{name: row[name] for name in known} for row in rows], schema={name: schema[name] for name in known}
    )
    missing = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in frame.columns]
    return frame.with_columns(missing).select(schema.names())


def _named(tagger: Tagging, samples: Samples) -> list[list[Named]]:
    return [
        [(one.span.name, one.span.place, one.span.start, one.span.end, one.confidence) for one in found]
        for found in tagger.tag(samples.texts())
    ]
