"""A source and a site for tests of the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from medloom.foundation.site import SiteDirectory, SiteSettings, create_site
from medloom.record.importing import Batch, CodeInfo, ImportContext, Importer
from medloom.record.record import Record
from medloom.record.schema import BATCH_SCHEMA

GLUCOSE = "LOINC//2345-7"
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="  # 32 times A


class Listed(Importer):
    """Yields frames as they are."""

    name = "listed"

    def __init__(
        self, *frames: pl.DataFrame, system: str = "", codes: dict[str, CodeInfo] | None = None
    ) -> None:
        self.frames = frames
        self.system = system
        self.codes = codes or {}

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        for frame in self.frames:
            yield Batch(frame, frame.height, codes=self.codes)


def facts(*rows: dict[str, Any]) -> pl.DataFrame:
    """Make a batch of rows; what a row leaves out is null."""
    schema = {name: kind for name, kind in BATCH_SCHEMA.items() if any(name in row for row in rows)}
    frame = pl.DataFrame(list(rows), schema=schema or BATCH_SCHEMA)
    return (
        frame
        if "row" in frame.columns
        else frame.with_columns(row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    )


def glucose(patient: str, day: int, value: float = 90.0, **more: Any) -> dict[str, Any]:
    """Make one measurement in January 2020."""
    row = {"patient": patient, "time": datetime(2020, 1, day), "code": GLUCOSE, "numeric_value": value}
    return row | {"unit": "mg/dL", "role": "observation"} | more


def new_site(folder: Path, **settings: Any) -> SiteDirectory:
    """Make a site of small shards."""
    return create_site(folder / "site", SiteSettings(**({"subjects_per_shard": 3} | settings)))


def content(record: Record, leave: Sequence[str] = ("source", "subject_id")) -> list[tuple[Any, ...]]:
    """Give the record's rows without their place in the source, in an order of their own."""
    frame = record.events().drop(leave)
    return sorted(frame.iter_rows(), key=repr)
