"""Facts of timelines as rows of an explanation: what each is called, what it says, and when it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.windowed import RHYTHM, Recorded
from medloom.learners.timeline.batches import TimelineBatch, Timelines
from medloom.tasks.explanation import EXPLANATION_SCHEMA
from medloom.tasks.history import HOURS_PER_YEAR
from medloom.tasks.samples import Samples

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_DAY: Final = 24.0


def fact_rows(
    batch: TimelineBatch,
    timelines: Timelines,
    part: Samples,
    outputs: Sequence[str],
    shares: Floats,
    rest: Floats,
) -> pl.DataFrame:
    """Give rows of `EXPLANATION_SCHEMA`: of each output the n facts of a batch, and of each of its b rows the rest.

    Args:
        batch: of some of the samples.
        timelines: of the samples.
        part: the samples.
        outputs: k names.
        shares: (k, n) of the facts.
        rest: (b, k) what is no fact's: it is said to be of the rhythm of recording.
    """
    of = batch.samples[batch.row[batch.step].numpy()]
    return rows_of(batch.fact, of, batch.samples, timelines, part, outputs, shares, rest)


def rows_of(
    fact: Rows,
    of: Rows,
    samples: Rows,
    timelines: Timelines,
    part: Samples,
    outputs: Sequence[str],
    shares: Floats,
    rest: Floats,
) -> pl.DataFrame:
    """Give the same of some facts.

    What was recorded on the day of birth stands without its time, which would tell the birthday.

    Args:
        fact: (n,) where each stands among the tokens.
        of: (n,) which sample's it is.
        samples: (b,) that have a rest.
        timelines, part, outputs, shares, rest: as `fact_rows`.
    """
    ids = part.frame["sample_id"].to_numpy()
    tokens, vocabulary = timelines.tokens, timelines.vocabulary
    code, hours = tokens.code[fact], tokens.hours[fact].astype(np.float64)
    hours = np.where(np.abs(hours - tokens.age[of] * HOURS_PER_YEAR) < _DAY, np.nan, hours)
    names = np.array(["", *vocabulary.codes, *tokens.strangers], object)[code]
    known = np.where(code <= len(vocabulary), code, 0)
    has_none = np.where(np.isnan(hours), 1.0, np.nan)  # what has no time is so, or it would not be a fact
    value = np.where(tokens.tenth[fact] > 0, vocabulary.restored(known, tokens.value[fact]), has_none)
    inputs = [
        name if np.isnan(when) else Recorded(name, float(when)).input
        for name, when in zip(names, hours, strict=True)
    ]
    nothing = np.full(len(samples), np.nan)
    size = len(inputs) + len(samples)
    frame = pl.DataFrame(
        {
            "sample_id": np.append(ids[of], ids[samples]),
            "input": [*inputs, *[RHYTHM] * len(samples)],
            "code": [*(name.split("=")[0] for name in names), *[None] * len(samples)],
            "value": _with_nulls(np.append(value, nothing)),
            "start": _with_nulls(np.append(hours, nothing)),
            "end": pl.Series([None], dtype=pl.Float64).new_from_index(0, size),
            "asset": pl.Series([None], dtype=pl.String).new_from_index(0, size),
        },
    )
    each = [
        frame.with_columns(output=pl.lit(output), contribution=pl.Series(np.append(share, left)))
        for output, share, left in zip(outputs, shares, rest.T, strict=True)
    ]
    made = pl.concat(each).select(EXPLANATION_SCHEMA.names()).cast(EXPLANATION_SCHEMA)
    return made.sort("sample_id", maintain_order=True)


def _with_nulls(values: Floats) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64, nan_to_null=True)
