"""Where a record's rows are: in the shards of a generation, or in memory; both are read the same way."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
# Bytes of columns that stay decoded for the next patient who is asked about: 3 million rows of what models read.
_KEPT_BYTES: Final = 128 << 20
# Of so many subjects rows are looked up in what is kept; of more, a shard is read.
_FEW: Final = 64
# What lies in Arrow's memory as it does in NumPy's, where nothing is missing.
_PLAIN: Final[Mapping[pa.DataType, np.dtype[Any]]] = {
    pa.int64(): np.dtype(np.int64),
    pa.int32(): np.dtype(np.int32),
    pa.float32(): np.dtype(np.float32),
    pa.timestamp("us"): np.dtype("datetime64[us]"),
}


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
        self._bounds: dict[str, _Bounds] = {}
        self._kept = _KeptColumns(_KEPT_BYTES)

    def read(self, columns: Sequence[str], subjects: NDArray[np.int64] | None = None) -> pa.Table:
        if subjects is not None and len(subjects) <= _FEW:
            return self._read_few(columns, subjects)
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

    def _read_few(self, columns: Sequence[str], subjects: NDArray[np.int64]) -> pa.Table:
        """Read a few subjects' rows out of decoded columns: 0.1 ms for one where those are kept from before."""
        tables = []
        shards = np.searchsorted(self._last_subjects, subjects)
        for place in np.unique(shards[shards < len(self._last_subjects)]).tolist():
            name, wanted = self._manifest.shards[place].name, subjects[shards == place]
            bounds = self._bounds.get(name) or self._read_bounds(name)
            for group in bounds.holding(wanted):
                ids, *found = self._columns(name, group, ["subject_id", *columns])
                rows = _rows_of(as_array(ids), wanted)
                if isinstance(rows, slice):
                    taken = [column.slice(rows.start, rows.stop - rows.start) for column in found]
                else:
                    taken = [column.take(rows) for column in found]
                if taken and len(taken[0]):
                    tables.append(pa.Table.from_arrays(taken, list(columns)))
        if len(tables) == 1:
            return tables[0]
        return pa.concat_tables(tables).unify_dictionaries() if tables else _empty(columns)

    def _columns(self, name: str, group: int, columns: Sequence[str]) -> list[pa.Array]:
        """Give columns of a row group, decoding those that are not kept."""
        found = {column: self._kept.get((name, group, column)) for column in columns}
        missing = [column for column, kept in found.items() if kept is None]
        if missing:
            with self._open(name) as file:
                table = file.read_row_group(group, columns=missing, use_threads=False).unify_dictionaries()
            for column in missing:
                found[column] = table[column].combine_chunks()
                self._kept.put((name, group, column), found[column])
        return [found[column] for column in columns]

    def _read_bounds(self, name: str) -> _Bounds:
        with self._open(name) as file:
            bounds = _Bounds.of(file.metadata)
        self._bounds[name] = bounds
        return bounds

    @cached_property
    def _last_subjects(self) -> NDArray[np.int64]:
        return np.array([shard.last_subject for shard in self._manifest.shards], np.int64)

    def _read_shard(self, name: str, columns: Sequence[str], subjects: NDArray[np.int64] | None) -> pa.Table:
        with self._open(name) as file:
            if subjects is None:
                return file.read(columns=list(columns), use_threads=True).unify_dictionaries()
            first, last = int(subjects[0]), int(subjects[-1])
            groups = list(range(*_Bounds.of(file.metadata).groups(first, last)))
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


@dataclass(frozen=True)
class _Bounds:
    """The first and last subject of each row group of a shard; ascending, a subject may stand in several."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, metadata: pq.FileMetaData) -> _Bounds:
        """Read them of a shard's footer; `subject_id` is the first column."""
        groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
        found = [(one.min, one.max) for one in (group.column(0).statistics for group in groups)]
        first, last = np.array(found, np.int64).reshape(-1, 2).T
        return cls(first, last)

    def groups(self, first: int, last: int | None = None) -> tuple[int, int]:
        """Give the range of the row groups that may hold some subjects."""
        start = int(np.searchsorted(self.last, first, "left"))
        stop = int(np.searchsorted(self.first, first if last is None else last, "right"))
        return start, max(start, stop)

    def holding(self, subjects: NDArray[np.int64]) -> list[int]:
        """Give the row groups that may hold some of these (sorted) subjects."""
        from_first = np.searchsorted(subjects, self.first, "left")
        return np.flatnonzero(from_first < np.searchsorted(subjects, self.last, "right")).tolist()


class _KeptColumns:
    """Decoded columns of row groups, those asked for last; threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._columns: OrderedDict[tuple[str, int, str], pa.Array] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int, str]) -> pa.Array | None:
        with self._lock:
            found = self._columns.get(key)
            if found is not None:
                self._columns.move_to_end(key)
            return found

    def put(self, key: tuple[str, int, str], column: pa.Array) -> None:
        if column.nbytes > self._most // 4:  # of long texts one patient's are read anew each time
            return
        with self._lock:
            if key in self._columns:
                return
            self._columns[key] = column
            self._bytes += column.nbytes
            while self._bytes > self._most:
                self._bytes -= self._columns.popitem(last=False)[1].nbytes


def _rows_of(ids: NDArray[np.int64], subjects: NDArray[np.int64]) -> slice | pa.Array:
    """Find the rows of some sorted subjects among sorted `ids`; those of one lie together."""
    starts, stops = np.searchsorted(ids, subjects, "left"), np.searchsorted(ids, subjects, "right")
    if len(subjects) == 1:
        return slice(int(starts[0]), int(stops[0]))
    pieces = [np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)]
    return pl.Series(np.concatenate(pieces)).to_arrow()


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

    Not by Arrow's own conversion, which imports pandas: 0.4 s and 50 MB.

    >>> as_array(pa.array([1.5, None], pa.float32())).tolist()
    [1.5, nan]
    """
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1 else column
    kind = _PLAIN.get(array.type)
    if kind is not None and isinstance(array, pa.Array) and not array.null_count and len(array):
        shared: NDArray[Any] = np.frombuffer(
            array.buffers()[1], kind, len(array), array.offset * kind.itemsize
        )
        return shared
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
