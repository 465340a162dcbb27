"""Where a record's rows are: in the shards of a generation, or in memory; both are read the same way."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from medloom.foundation.errors import IntegrityError
from medloom.foundation.hashing import digest, hash64_all, sha256_bytes
from medloom.record import generation
from medloom.record.catalogue import CodeCatalogue
from medloom.record.commit import SPLIT_RESOLUTION, SUBJECTS_SCHEMA, Metadata
from medloom.record.generation import Manifest, Shard
from medloom.record.schema import RECORD_SCHEMA

# A part has about so many rows at most: its columns and what is made of them then stay below 100 MB.
PART_ROWS: Final = 250_000


class Store(Protocol):
    """Rows sorted by subject and, within one, by time with static facts first."""

    @property
    def catalogue(self) -> CodeCatalogue:
        """The codes."""

    @property
    def subjects(self) -> pl.DataFrame:
        """The subjects, in SUBJECTS_SCHEMA, sorted."""

    @property
    def imports(self) -> list[dict[str, object]]:
        """Where the rows came from, one entry an import."""

    def read(self, columns: Sequence[str], subjects: NDArray[np.int64] | None = None) -> pa.Table:
        """Read columns of all or of some (sorted, unique) subjects; `code` and `role` come dictionary-encoded."""

    def parts(self) -> list[NDArray[np.int64]]:
        """Cut the subjects into pieces that are read well at once."""

    def digest(self) -> str:
        """Name the content."""


class GenerationStore:
    """The rows of one generation on disk; stays with it while newer ones are made."""

    def __init__(self, folder: Path) -> None:
        metadata = Metadata.read(folder)
        self.catalogue = metadata.catalogue
        self.subjects = metadata.subjects
        self.imports = metadata.imports
        self._folder = folder
        self._manifest = Manifest.read(folder)
        self.number = self._manifest.number
        self._footers: dict[str, pq.FileMetaData] = {}

    def read(self, columns: Sequence[str], subjects: NDArray[np.int64] | None = None) -> pa.Table:
        if subjects is None or len(subjects) > 1:
            pa.default_memory_pool().release_unused()  # what the last part needed
        tables = []
        for shard in self._manifest.shards:
            wanted = None
            if subjects is not None:
                low, high = np.searchsorted(subjects, [shard.first_subject, shard.last_subject + 1])
                if low == high:
                    continue
                wanted = subjects[low:high]
            tables.append(self._read_shard(shard.name, columns, wanted))
        if not tables:
            return _empty(columns)
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables).unify_dictionaries()

    def parts(self) -> list[NDArray[np.int64]]:
        ids = self.subjects["subject_id"].to_numpy()
        return [part for part in np.split(ids, np.searchsorted(ids, self._firsts[1:])) if len(part)]

    def digest(self) -> str:
        return digest([shard.sha256 for shard in self._manifest.shards])

    @cached_property
    def _firsts(self) -> list[int]:
        return [first for shard in self._manifest.shards for first in self._cuts(shard)]

    def _cuts(self, shard: Shard) -> list[int]:
        """Give the first subject of each piece of a shard; only where row groups meet can it be cut cheaply."""
        cuts = {shard.first_subject}
        if shard.rows > PART_ROWS:
            with self._open(shard.name) as file:
                groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
            rows = 0
            for group in groups:
                rows += group.num_rows
                if rows > PART_ROWS:
                    cuts.add(group.column(0).statistics.min)
                    rows = group.num_rows
        return sorted(cuts)

    def _read_shard(self, name: str, columns: Sequence[str], subjects: NDArray[np.int64] | None) -> pa.Table:
        with self._open(name) as file:
            if subjects is None:
                return file.read(columns=list(columns), use_threads=True).unify_dictionaries()
            groups = _row_groups(file.metadata, int(subjects[0]), int(subjects[-1]))
            names = list(dict.fromkeys([*columns, "subject_id"]))
            # one thread: as fast for the few columns of a part, and Arrow keeps less memory for itself
            table = file.read_row_groups(groups, columns=names, use_threads=False).unify_dictionaries()
        return _only(table, subjects).select(list(columns))

    def _open(self, name: str) -> pq.ParquetFile:
        path = generation.shard_path(self._folder, name)
        if not path.exists():
            raise IntegrityError(
                "shard {name} of the record is missing; restore the site from a copy", name=name
            )
        file = pq.ParquetFile(path, metadata=self._footers.get(name), read_dictionary=["code", "role"])
        self._footers[name] = file.metadata
        return file


class MemoryStore:
    """Rows in memory, with the same face."""

    def __init__(self, rows: pl.DataFrame, catalogue: CodeCatalogue, subjects: pl.DataFrame) -> None:
        self.catalogue = catalogue
        self.subjects = subjects
        self.imports: list[dict[str, object]] = []
        self._table = dictionary_encoded(rows.to_arrow())

    @classmethod
    def of_events(
        cls, rows: pl.DataFrame, split_seed: int = 0, catalogue: CodeCatalogue | None = None
    ) -> MemoryStore:
        """Keep rows of `RECORD_SCHEMA`; splits follow the hash of the subject's number.

        Without a catalogue one is derived from the rows.
        """
        rows = rows.sort("subject_id", "time", nulls_last=False, maintain_order=True)
        ids = rows["subject_id"].unique().sort()
        hashes = hash64_all(f"{split_seed}\x1f{subject}" for subject in ids)
        position = pl.Series("split_position", hashes % np.uint64(SPLIT_RESOLUTION), dtype=pl.UInt16)
        subjects = pl.DataFrame({"subject_id": ids, "split_position": position}).with_columns(
            fixed_split=pl.lit(None, dtype=pl.String)
        )
        return cls(rows, catalogue or CodeCatalogue.of_events(rows), subjects.cast(SUBJECTS_SCHEMA))

    def read(self, columns: Sequence[str], subjects: NDArray[np.int64] | None = None) -> pa.Table:
        table = self._table if subjects is None else _only(self._table, subjects)
        return table.select(list(columns))

    def parts(self) -> list[NDArray[np.int64]]:
        ids = self.subjects["subject_id"].to_numpy()
        return [ids] if len(ids) else []

    def digest(self) -> str:
        buffer = io.BytesIO()
        pl.DataFrame(self._table).write_csv(buffer)
        return sha256_bytes(buffer.getvalue())


def _row_groups(metadata: pq.FileMetaData, first: int, last: int) -> list[int]:
    """Find the row groups that may hold subjects `first` … `last`; `subject_id` is the first column."""
    found = []
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(0).statistics
        if statistics.min <= last and statistics.max >= first:
            found.append(group)
    return found


def _only(table: pa.Table, subjects: NDArray[np.int64]) -> pa.Table:
    """Keep the rows of some sorted subjects; `table` is sorted by subject."""
    ids = as_array(table["subject_id"])
    starts, stops = np.searchsorted(ids, subjects, "left"), np.searchsorted(ids, subjects, "right")
    if len(subjects) == 1:
        return table.slice(int(starts[0]), int(stops[0] - starts[0]))
    if np.sum(stops - starts) == len(ids):
        return table
    keep = np.zeros(len(ids) + 1, np.int8)
    np.add.at(keep, starts, 1)
    np.add.at(keep, stops, -1)
    return table.filter(pl.Series(np.cumsum(keep[:-1], dtype=np.int8) > 0).to_arrow())


def as_array(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Give a column as an array, a missing number as NaN.

    Through Polars, because Arrow's own conversion imports pandas: 0.4 s and 50 MB.

    >>> as_array(pa.array([1.5, None], pa.float32())).tolist()
    [1.5, nan]
    """
    return pl.Series(column).to_numpy()


def dictionary_encoded(table: pa.Table) -> pa.Table:
    """Encode `code` and `role`, as stores hand them over."""
    for name in [name for name in ("code", "role") if name in table.column_names]:
        position = table.column_names.index(name)
        column = pc.cast(table[name], pa.string()).combine_chunks().dictionary_encode()
        table = table.set_column(position, name, column)
    return table.combine_chunks()


def _empty(columns: Sequence[str]) -> pa.Table:
    rows = pl.DataFrame(schema=RECORD_SCHEMA).to_arrow()
    return dictionary_encoded(rows).select(list(columns))
