"""Who is trained on and who is tested on; always whole subjects."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from medloom.foundation.hashing import digest
from medloom.record.commit import SPLIT_RESOLUTION, split_names
from medloom.record.record import Record
from medloom.tasks.task import Splits


def with_splits(splits: Splits, record: Record, frame: pl.DataFrame) -> pl.DataFrame:
    """Add `split` to a frame of `subject_id`, `prediction_time`; drops who belongs to none.

    - `record`: as `subject_splits.parquet` has it: by the hash of the source's identifier, unless the source fixed it.
    - `hash`: by the hash, whatever the source says.
    - `fact`: by static facts (site, set), tuning set aside by hash within train.
    - `time`: subjects first asked on or after a day are held out; what others were asked from then on is dropped.
    """
    joined = frame.join(splits_of(splits, record, frame), on="subject_id", how="inner", maintain_order="left")
    if splits.by == "time" and splits.held_out_from is not None:
        start = datetime.combine(splits.held_out_from, datetime.min.time())
        joined = joined.filter((pl.col("split") == "held_out") | (pl.col("prediction_time") < start))
    return joined


def splits_of(splits: Splits, record: Record, asked: pl.DataFrame) -> pl.DataFrame:
    """Give the split of those asked: frame of `subject_id`, `split`; without who belongs to none.

    Args:
        splits: the task's rule.
        record: whose subjects they are.
        asked: `subject_id`, `prediction_time`; all moments of a subject.
    """
    if splits.by == "fact":
        return _by_fact(splits, record, asked)
    if splits.by == "time":
        return _by_time(splits, record, asked)
    subjects = record.subjects.join(asked, on="subject_id", how="semi")
    if splits.by == "hash":
        subjects = subjects.with_columns(fixed_split=pl.lit(None, pl.String))
    return subjects.select("subject_id", split_names(subjects, record.settings))


def split_rule(splits: Splits, record: Record) -> str:
    """Name what decides who is trained on: hex; the same when patients are added to the record."""
    settings = record.settings
    rule = splits.model_dump(mode="json")
    return digest({"task": rule, "shares": settings.split.model_dump(), "seed": settings.split_seed})


def _by_fact(splits: Splits, record: Record, asked: pl.DataFrame) -> pl.DataFrame:
    columns, subjects = ["subject_id", "time", "code"], asked["subject_id"].unique()
    parts = [
        pl.DataFrame(record.read(columns, part)).filter(pl.col("time").is_null())
        for part in (np.intersect1d(part, subjects) for part in record.parts())
    ]
    facts = pl.concat([part.with_columns(pl.col("code").cast(pl.String)) for part in parts])
    held_out = facts.filter(pl.col("code").is_in(splits.held_out)).select("subject_id").unique()
    train = facts.filter(pl.col("code").is_in(splits.train)).select("subject_id").unique()
    train = train.join(held_out, on="subject_id", how="anti")
    return pl.concat([held_out.with_columns(split=pl.lit("held_out")), _with_tuning(splits, record, train)])


def _by_time(splits: Splits, record: Record, frame: pl.DataFrame) -> pl.DataFrame:
    assert splits.held_out_from is not None
    start = datetime.combine(splits.held_out_from, datetime.min.time())
    first = frame.group_by("subject_id").agg(pl.col("prediction_time").min())
    later = pl.col("prediction_time") >= start
    held_out = first.filter(later).select("subject_id", split=pl.lit("held_out"))
    return pl.concat([held_out, _with_tuning(splits, record, first.filter(~later).select("subject_id"))])


def _with_tuning(splits: Splits, record: Record, train: pl.DataFrame) -> pl.DataFrame:
    joined = train.join(record.subjects, on="subject_id", how="inner")
    is_tuning = pl.col("split_position") < splits.tuning * SPLIT_RESOLUTION
    split = pl.when(is_tuning).then(pl.lit("tuning")).otherwise(pl.lit("train"))
    return joined.select("subject_id", split=split)
