"""Whole timelines as samples, one a subject, without a label: what a model is pretrained on."""

from __future__ import annotations

from typing import Final

import polars as pl

from medloom.record.record import Record
from medloom.tasks.history import Visibility
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.question import Question, Title
from medloom.tasks.samples import SAMPLE_COLUMNS, Samples
from medloom.tasks.splitting import split_rule, with_splits
from medloom.tasks.task import Splits

NAME: Final = "timelines"


def timelines(record: Record, splits: Splits | None = None) -> Samples:
    """Give each subject's timeline, asked when its last fact had come to be known.

    Args:
        record: whose.
        splits: who is trained on; the same rule as of the tasks that are to be asked afterwards, else what they hold
            out has been read already. None: as the record says.
    """
    rule = splits or Splits()
    parts = [
        pl.DataFrame(record.read(["subject_id", "time", "known_time"], part))
        .group_by("subject_id")
        .agg(prediction_time=pl.max_horizontal(pl.col("time").max(), pl.col("known_time").max()))
        for part in record.parts()
    ]
    schema = pl.Schema({"subject_id": pl.Int64(), "prediction_time": pl.Datetime("us")})
    asked = pl.concat([pl.DataFrame(schema=schema), *(part.cast(schema) for part in parts)])
    frame = with_splits(rule, record, asked.drop_nulls("prediction_time")).sort("subject_id")
    question = Question(
        task=NAME, kind="generation", title=Title(en="What comes next", zh="接下来会发生什么")
    )
    frame = frame.with_columns(
        sample_id=pl.int_range(pl.len(), dtype=pl.Int64),
        item=pl.lit(None, pl.String),
        group=pl.col("subject_id"),
        label=pl.lit(None, LABEL_TYPES["generation"]),
    ).select(SAMPLE_COLUMNS)
    hidden = frozenset((*rule.train, *rule.held_out))
    seen = Visibility(hidden=hidden, static=record.catalogue.static_codes())
    return Samples(frame, question, record, seen, split_rule(rule, record))
