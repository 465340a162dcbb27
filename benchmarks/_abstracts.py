"""Abstracts with named places as samples of a tagging question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from _pubtator import abstracts  # type: ignore[import-not-found]  # beside this one

from medloom.foundation.hashing import sha256_bytes
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task


def abstract_samples(folder: Path, files: Mapping[str, str], names: dict[str, str]) -> Samples:
    """Put the question to abstracts: each is a patient of its own, and of the split its file is of.

    Args:
        folder: with files of PubTator.
        files: each with its split.
        names: what places are to be called, by what the files call them.
    """
    rows, splits = [], {}
    number = 0
    for file, split in files.items():
        for one in abstracts(folder / file, names):
            number += 1
            splits[number] = split
            asset = "sha256:" + sha256_bytes(f"{number} {one.text}".encode())
            rows.append((number, "NOTE//abstract", asset, None, None, one.text))
            rows.append((number, "READ//all", None, asset, None, None))
            rows += [(number, f"PLACE//{span.name}", None, asset, span.place, None) for span in one.spans]
    columns = ["subject_id", "code", "asset", "derived_from", "span", "text_value"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(time=pl.datetime(2020, 1, 1))
    task = Task.model_validate(
        {
            "name": "entities",
            "kind": "tagging",
            "title": {"en": "Entities", "zh": "实体"},
            "prediction_time": {"event": ["NOTE//abstract"], "which": "every"},
            "predict": {
                "of": "note",
                "spans": {name: [f"PLACE//{name}"] for name in sorted(set(names.values()))},
            },
        }
    )
    samples = apply(task, Record.from_events(frame)).samples
    split = pl.col("subject_id").replace_strict(splits, return_dtype=pl.String)
    return Samples(
        samples.frame.with_columns(split=split), samples.question, samples._record, samples._visibility
    )
