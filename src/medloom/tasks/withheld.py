"""What a question refuses to see: facts of its subjects that came to be known only after it was put."""

from __future__ import annotations

import numpy as np
import polars as pl

from medloom.record.record import Record
from medloom.tasks.history import Visibility

WITHHELD_SCHEMA = pl.Schema({"code": pl.String(), "description": pl.String(), "samples": pl.Int64()})


def known_later(record: Record, samples: pl.DataFrame, visibility: Visibility) -> pl.DataFrame:
    """Count, for each code, the samples that have facts of it of which none was known when they were asked.

    Codes that the question hides in any case (its own outcome, what `observe` leaves out) are not listed: this is
    what time alone withholds.

    Args:
        record: the samples' record.
        samples: `sample_id`, `subject_id`, `prediction_time`.
        visibility: of the samples.

    Returns:
        frame of `WITHHELD_SCHEMA`, most first.

    >>> from datetime import datetime
    >>> facts = {"subject_id": [1, 1], "time": [datetime(2020, 1, 1), datetime(2020, 1, 9)], "code": ["A", "BILL"]}
    >>> asked = {"sample_id": [0], "subject_id": [1], "prediction_time": [datetime(2020, 1, 2)]}
    >>> known_later(Record.from_events(pl.DataFrame(facts)), pl.DataFrame(asked), Visibility())["code"].to_list()
    ['BILL']
    """
    subjects = samples["subject_id"].unique().to_numpy().astype(np.int64)
    table = record.read(["subject_id", "time", "code", "known_time"], subjects)
    facts = pl.DataFrame(table).lazy().with_columns(pl.col("code").cast(pl.String)).drop_nulls("time")
    shown = ~pl.col("code").is_in(list(visibility.hidden))
    if visibility.only is not None:
        shown &= pl.col("code").is_in(list(visibility.only))
    counted = (
        facts.filter(shown)
        .group_by("subject_id", "code")
        .agg(first=pl.max_horizontal("time", "known_time").min())
        .join(samples.lazy().select("subject_id", "prediction_time"), on="subject_id")
        .filter(pl.col("first") > pl.col("prediction_time"))
        .group_by("code")
        .agg(samples=pl.len().cast(pl.Int64))
        .collect()
    )
    said = record.catalogue.descriptions()
    descriptions = pl.Series("description", [said.get(code) for code in counted["code"]], dtype=pl.String)
    found = counted.with_columns(descriptions).select(WITHHELD_SCHEMA.names())
    return found.sort(["samples", "code"], descending=[True, False])
