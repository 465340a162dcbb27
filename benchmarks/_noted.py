"""Samples of texts whose answers are known, for questions about notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from medloom.foundation.hashing import sha256_bytes
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task


def noted(task: dict[str, Any], notes: Sequence[tuple[int, str, str]]) -> Samples:
    """Put a question to notes, in their order, all to be learned from.

    Args:
        task: of a question about notes with the code `NOTE//text`; without a name and a title.
        notes: subject, text, and label of each, in the order of subjects.
    """
    rows, labels = [], {}
    for number, (subject, text, label) in enumerate(notes):
        asset = "sha256:" + sha256_bytes(f"{number} {text}".encode())
        labels[asset] = (number, label)
        rows += [(subject, "NOTE//text", asset, None, text), (subject, "READ//all", None, asset, None)]
    columns = ["subject_id", "code", "asset", "derived_from", "text_value"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(time=pl.datetime(2020, 1, 1))
    asked = {
        "name": "asked",
        "title": {"en": "Asked", "zh": "提问"},
        "prediction_time": {"event": ["NOTE//text"], "which": "every"},
        **task,
    }
    samples = apply(Task.model_validate(asked), Record.from_events(frame)).samples
    placed = samples.frame.with_columns(
        label=pl.col("item").replace_strict({one: label for one, (_, label) in labels.items()}),
        split=pl.lit("train"),
    )
    ordered = Samples(placed, samples.question, samples._record, samples._visibility)
    order = placed["item"].replace_strict({one: number for one, (number, _) in labels.items()})
    return ordered.among(order.arg_sort().to_list())
