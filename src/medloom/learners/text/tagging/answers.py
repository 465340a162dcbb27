"""What taggers answer about samples: rows of places, and why."""

from __future__ import annotations

import numpy as np
import polars as pl

from medloom.foundation.messages import tr
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.tagging import Tagging

_METHOD = "places by how sure each is"


def predicted(tagger: Tagging, samples: Samples) -> Predictions:
    """Give a row for each place that is named: `output` its name, `value` how sure, `start` and `end` in characters."""
    return Predictions(_rows(tagger, samples, PREDICTION_SCHEMA, "value"))


def explained(tagger: Tagging, names: tuple[str, ...], samples: Samples) -> Explanation:
    """Give the places themselves: each answer is one, and stands for itself."""
    return Explanation(
        _rows(tagger, samples, EXPLANATION_SCHEMA, "contribution"),
        pl.DataFrame({"output": names, "value": np.zeros(len(names))}),
        _METHOD,
        "probability",
        additive=False,
    )


def _rows(tagger: Tagging, samples: Samples, schema: pl.Schema, told: str) -> pl.DataFrame:
    ids, items = samples.sample_ids.tolist(), samples.frame["item"].to_list()
    rows = [
        {
            "input": tr("characters {start} to {end}", start=tagged.span.start, end=tagged.span.end),
            "sample_id": one,
            "output": tagged.span.name,
            told: tagged.confidence,
            "start": float(tagged.span.start),
            "end": float(tagged.span.end),
            "asset": item,
        }
        for one, item, found in zip(ids, items, tagger.tag(samples.texts()), strict=True)
        for tagged in found
    ]
    known = [
        *("sample_id", "output", told, "start", "end", "asset"),
        *(["input"] if "input" in schema else []),
    ]
    frame = pl.DataFrame(
        [{name: row[name] for name in known} for row in rows], schema={name: schema[name] for name in known}
    )
    missing = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in frame.columns]
    return frame.with_columns(missing).select(schema.names())
