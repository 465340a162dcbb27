"""Writing a generation: shards of whole subjects, and the metadata MEDS asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import meds
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from medloom.foundation.hashing import sha256_file
from medloom.foundation.site import SiteSettings
from medloom.record import generation
from medloom.record.catalogue import CodeCatalogue
from medloom.record.generation import Manifest, Shard
from medloom.record.schema import RECORD_SCHEMA

# Rows merged at once, which bounds the memory of an import whatever its size.
ROWS_IN_MEMORY: Final = 100_000
_ROW_GROUP: Final = 32_768
_SUBJECTS: Final = "metadata/subjects.parquet"
_IMPORTS: Final = "metadata/imports.json"
SUBJECTS_SCHEMA: Final = pl.Schema(
    {"subject_id": pl.Int64(), "split_position": pl.UInt16(), "fixed_split": pl.String()}
)
SPLIT_RESOLUTION: Final = 10_000

Rows = Callable[[int, int], pl.DataFrame]  # first and last subject → their complete rows, sorted


@dataclass(frozen=True)
class Metadata:
    """What stands beside the shards of a generation."""

    catalogue: CodeCatalogue
    subjects: pl.DataFrame  # SUBJECTS_SCHEMA, sorted
    imports: list[dict[str, object]]

    @classmethod
    def read(cls, folder: Path | None) -> Metadata:
        """Read the metadata of a generation; None: of an empty record."""
        if folder is None:
            return cls(CodeCatalogue.empty(), pl.DataFrame(schema=SUBJECTS_SCHEMA), [])
        imports = json.loads((folder / _IMPORTS).read_text(encoding="utf-8"))
        return cls(CodeCatalogue.read(folder), pl.read_parquet(folder / _SUBJECTS), imports)

    def write(self, folder: Path, manifest: Manifest, settings: SiteSettings) -> None:
        """Write everything under `metadata/`."""
        self.catalogue.write(folder)
        generation.write_table(folder / _SUBJECTS, self.subjects.to_arrow())
        splits = self.subjects.select("subject_id", split=split_names(self.subjects, settings))
        table = meds.SubjectSplitSchema.align(splits.to_arrow())
        generation.write_table(folder / meds.subject_splits_filepath, table)
        (folder / _IMPORTS).write_text(json.dumps(self.imports, indent=1), encoding="utf-8")
        (folder / generation.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        dataset = {
            "dataset_name": settings.name,
            "dataset_version": str(manifest.number),
            "etl_name": "medloom",
            "meds_version": meds.__version__,
            "raw_source_id_columns": ["source", "key"],
            "additional_value_modality_columns": ["asset"],
            "other_extension_columns": [
                name for name in RECORD_SCHEMA if name not in (*_CORE, "source", "key", "asset")
            ],
        }
        meds.DatasetMetadataSchema.validate(dataset)
        (folder / meds.dataset_metadata_filepath).write_text(json.dumps(dataset, indent=1), encoding="utf-8")


_CORE: Final = ("subject_id", "time", "code", "numeric_value", "text_value")


def split_names(subjects: pl.DataFrame, settings: SiteSettings) -> pl.Series:
    """Name the split of each subject: as its source fixed it, else by its place in the hash: (n,) string."""
    shares = settings.split
    names = ("train", "tuning", "calibration", "held_out")
    edges = np.cumsum([getattr(shares, name) for name in names])
    place = subjects["split_position"].to_numpy() / SPLIT_RESOLUTION
    ordinal = np.searchsorted(edges / edges[-1], place, side="right").clip(max=len(names) - 1)
    hashed = pl.Series("split", np.array(names)[ordinal], dtype=pl.String)
    return subjects["fixed_split"].zip_with(subjects["fixed_split"].is_not_null(), hashed).alias("split")


def write_shard(path: Path, groups: Iterator[tuple[int, int]], rows: Rows) -> Shard | None:
    """Write one shard, some subjects at a time; None (and no file) when no row is left."""
    writer: pq.ParquetWriter | None = None
    count, first, last = 0, 0, 0
    try:
        for start, stop in groups:
            frame = rows(start, stop)
            if not frame.height:
                continue
            table = _aligned(frame)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
                first = int(frame["subject_id"][0])
            last = int(frame["subject_id"][-1])
            count += frame.height
            writer.write_table(table, row_group_size=_ROW_GROUP)
    finally:
        if writer is not None:
            writer.close()
    return None if writer is None else Shard(path.stem, first, last, count, sha256_file(path))


def subject_groups(counts: NDArray[np.int64], first: int) -> Iterator[tuple[int, int]]:
    """Cut consecutive subjects into groups of bounded rows; yields (first, last) inclusive.

    `counts`: (n,) rows of subject `first`, `first + 1`, …

    >>> list(subject_groups(np.array([80_000, 40_000, 5]), first=11))
    [(11, 11), (12, 13)]
    """
    start, rows = 0, 0
    for position, count in enumerate(counts.tolist()):
        if rows and rows + count > ROWS_IN_MEMORY:
            yield first + start, first + position - 1
            start, rows = position, 0
        rows += count
    if len(counts):
        yield first + start, first + len(counts) - 1


def read_rows(folder: Path | None, shard: str, first: int, last: int) -> pl.DataFrame:
    """Read the rows of subjects `first` … `last` from a shard that may not exist."""
    path = None if folder is None else generation.shard_path(folder, shard)
    if path is None or not path.exists():
        return pl.DataFrame(schema=RECORD_SCHEMA)
    frame = pl.scan_parquet(path).filter(pl.col("subject_id").is_between(first, last)).collect()
    return frame.select(RECORD_SCHEMA.names()).cast(RECORD_SCHEMA)


def row_counts(folder: Path | None, shard: str, first: int, subjects: int) -> NDArray[np.int64]:
    """Count the rows of `subjects` consecutive subjects in a shard that may not exist: (subjects,)."""
    path = None if folder is None else generation.shard_path(folder, shard)
    if path is None or not path.exists():
        return np.zeros(subjects, np.int64)
    ids = pq.read_table(path, columns=["subject_id"])["subject_id"].to_numpy()
    return np.bincount(ids - first, minlength=subjects).astype(np.int64)


def link_shards(last: Path | None, folder: Path, shards: Sequence[Shard]) -> None:
    """Carry unchanged shards into the next generation."""
    for shard in shards:
        assert last is not None
        generation.link_shard(
            generation.shard_path(last, shard.name), generation.shard_path(folder, shard.name)
        )


def _aligned(frame: pl.DataFrame) -> pa.Table:
    # Polars hands strings over as large_string, which MEDS' schema refuses for `code`
    return meds.DataSchema.align(frame.to_arrow())
