"""What was known of each sample at its prediction time: the only inputs a model gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.ranges import ranges
from medloom.record.record import Record
from medloom.record.schema import BIRTH
from medloom.record.store import as_array
from medloom.tasks import history_format
from medloom.tasks.history_format import Parts

STATIC: Final = np.iinfo(np.int64).min  # `time` of a static fact
MICROSECONDS_PER_HOUR: Final = 3_600_000_000
HOURS_PER_YEAR: Final = 24 * 365.2425  # for ages


@dataclass(frozen=True)
class Visibility:
    """Which facts a task lets its models see, beside the rule of what was known when."""

    hidden: frozenset[str] = frozenset()  # codes of the label
    static: frozenset[str] = frozenset()  # codes that may be seen without a time
    window: int | None = None  # µs before the prediction time; None: all
    only: frozenset[str] | None = None  # codes; None: all

    def shows(self, code: str) -> bool:
        """Tell whether facts with a code may be seen."""
        return code not in self.hidden and (self.only is None or code in self.only)


@dataclass(frozen=True)
class History:
    """The visible facts of m samples, n in all, as columns; sorted by sample, static facts first, then by time.

    Attributes:
        prediction_time: (m,) int64, µs since 1970 on the site's wall clock.
        sample: (n,) int32, position of the sample each fact belongs to, 0 … m-1, ascending.
        code: (n,) int32, position in `vocabulary`.
        time: (n,) int64, µs since 1970 on the site's wall clock, or `STATIC`.
        value: (n,) float32 in the code's canonical unit, NaN where there is none.
        vocabulary: the codes; some may occur in no fact.
        columns: further columns asked for (`text_value`, `role`, `asset`, …), each (n,).
    """

    prediction_time: NDArray[np.int64]
    sample: NDArray[np.int32]
    code: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float32]
    vocabulary: tuple[str, ...]
    columns: Mapping[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sample)

    @property
    def n_samples(self) -> int:
        """Count the samples, those without any visible fact included."""
        return len(self.prediction_time)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Give where each sample's facts begin and end: (m + 1,)."""
        return np.searchsorted(self.sample, np.arange(self.n_samples + 1))

    def digest(self) -> str:
        """Name the content: hex; codes of no fact, and the order in which codes are numbered, are none of it."""
        return sha256_bytes(self._payload)

    def to_bytes(self) -> bytes:
        """Give all there is, for `from_bytes`."""
        return history_format.pack(self._payload)

    @classmethod
    def from_bytes(cls, packed: bytes) -> History:
        """Read back what `to_bytes` gave; models answer on it as they did on the original.

        Raises:
            IntegrityError: it is damaged, or was written by a newer Medloom.
        """
        return cls(*history_format.unpack(packed))

    def of(self, samples: NDArray[np.integer]) -> History:
        """Give the history of some samples, in the order of their positions."""
        offsets = self.offsets
        starts, lengths = offsets[samples], np.diff(offsets)[samples]
        numbered = np.repeat(np.arange(len(samples), dtype=np.int32), lengths)
        taken = self._rows(ranges(starts, lengths))
        return replace(taken, prediction_time=self.prediction_time[samples], sample=numbered)

    def each(self) -> list[History]:
        """Give the history of each sample by itself; they share their facts with this one."""
        edges = self.offsets.tolist()
        return [
            replace(
                self,
                prediction_time=self.prediction_time[place : place + 1],
                sample=np.zeros(stop - start, np.int32),
                code=self.code[start:stop],
                time=self.time[start:stop],
                value=self.value[start:stop],
                columns={name: column.slice(start, stop - start) for name, column in self.columns.items()},
            )
            for place, (start, stop) in enumerate(pairwise(edges))
        ]

    def without(self, codes: Set[str]) -> History:
        """Leave out all facts of some codes."""
        return self._rows(np.flatnonzero(~_among(self.vocabulary, codes)[self.code]))

    def with_values(self, changes: Mapping[str, float | None], static: Set[str] = frozenset()) -> History:
        """Suppose other values of some codes, in every sample.

        The latest value of a code becomes the one given, NaN: none, only that the fact is there. Where there is no
        fact of the code, one is added, at the prediction time.

        Args:
            changes: code → value in the code's unit, None: no fact of it at all.
            static: codes whose facts have no time.

        >>> empty = np.empty(0, np.int32)
        >>> nothing = History(np.array([0]), empty, empty, empty.astype(np.int64), empty.astype(np.float32), ())
        >>> nothing.with_values({"LOINC//8867-4": 72}).value.tolist()
        [72.0]
        """
        made = self.without({code for code, value in changes.items() if value is None})
        for code, value in changes.items():
            if value is not None:
                made = made._with_value(code, value, code in static)
        return made

    def with_static(self, codes: Sequence[str], values: NDArray[np.float32]) -> History:
        """Add static facts to each sample: values (m, p) of p codes that no fact has yet, NaN: none.

        >>> empty = np.empty(0, np.int32)
        >>> nothing = History(np.array([0]), empty, empty, empty.astype(np.int64), empty.astype(np.float32), ())
        >>> nothing.with_static(["X//a", "X//b"], np.array([[np.nan, 2]], np.float32)).value.tolist()
        [2.0]
        """
        sample, place = np.nonzero(~np.isnan(values))
        longer = History(
            self.prediction_time,
            np.append(self.sample, sample.astype(np.int32)),
            np.append(self.code, (len(self.vocabulary) + place).astype(np.int32)),
            np.append(self.time, np.full(len(sample), STATIC)),
            np.append(self.value, values[sample, place].astype(np.float32)),
            (*self.vocabulary, *codes),
            {name: _lengthened(column, len(sample)) for name, column in self.columns.items()},
        )
        return longer._rows(np.lexsort((longer.time, longer.sample)))

    @cached_property
    def _payload(self) -> bytes:
        parts = (self.prediction_time, self.sample, self.code, self.time, self.value, self.vocabulary)
        return history_format.payload(Parts(*parts, self.columns))

    def _rows(self, rows: NDArray[np.integer]) -> History:
        return replace(
            self,
            sample=self.sample[rows],
            code=self.code[rows],
            time=self.time[rows],
            value=self.value[rows],
            columns={name: column.take(pl.Series(rows).to_arrow()) for name, column in self.columns.items()},
        )

    def _with_value(self, code: str, value: float, static: bool) -> History:
        vocabulary = self.vocabulary if code in self.vocabulary else (*self.vocabulary, code)
        number = vocabulary.index(code)
        rows = np.flatnonzero(self.code == number)
        latest = np.full(self.n_samples, -1)
        for found in (rows, rows[~np.isnan(self.value[rows])]):  # rather the last of those that have a value
            latest[self.sample[found]] = found
        values = self.value.copy()
        if not np.isnan(value):
            values[latest[latest >= 0]] = value
        lacking = np.flatnonzero(latest < 0).astype(np.int32)
        n = len(lacking)
        times = np.full(n, STATIC) if static else self.prediction_time[lacking]
        longer = History(
            self.prediction_time,
            np.append(self.sample, lacking),
            np.append(self.code, np.full(n, number, np.int32)),
            np.append(self.time, times),
            np.append(values, np.full(n, value, np.float32)),
            vocabulary,
            {name: _lengthened(column, n) for name, column in self.columns.items()},
        )
        return longer._rows(np.lexsort((longer.time, longer.sample)))


def read_history(
    record: Record,
    subject_ids: NDArray[np.int64],
    prediction_times: NDArray[np.int64],
    visibility: Visibility,
    columns: Sequence[str] = (),
) -> History:
    """Read what is visible of each subject at its prediction time.

    A fact is visible at t if the later of `time` and `known_time` is at or
    before t, no newer version had ended it by t, and its code is not hidden; a
    fact without a time only if its code is static too.

    Args:
        record: where to read.
        subject_ids: (m,) int64, ascending; a subject may occur several times.
        prediction_times: (m,) int64, µs.
        visibility: what the task shows and hides.
        columns: further columns of the record to carry along.
    """
    base = ("subject_id", "time", "known_time", "known_until", "code", "numeric_value")
    table = record.read([*base, *(name for name in columns if name not in base)], subject_ids)
    ids = as_array(table["subject_id"])
    starts = np.searchsorted(ids, subject_ids, "left")
    lengths = np.searchsorted(ids, subject_ids, "right") - starts
    # each subject asked once, which is the rule: its rows are taken as they stand
    rows = slice(None) if _is_whole(starts, lengths, len(ids)) else ranges(starts, lengths)
    code, vocabulary = _codes(table["code"])
    code = code[rows]
    time = _microseconds(table["time"])[rows]
    at = np.repeat(prediction_times, lengths)
    visible = _shown(vocabulary, visibility)[code]
    visible &= time <= at
    if _says_anything(table["known_time"]):
        visible &= _microseconds(table["known_time"])[rows] <= at
    if _says_anything(table["known_until"]):
        until = _microseconds(table["known_until"])[rows]
        visible &= (at < until) | (until == STATIC)
    static = np.flatnonzero(time == STATIC)
    visible[static[~_among(vocabulary, visibility.static)[code[static]]]] = False
    if visibility.window is not None:
        recent = time > at - visibility.window
        recent[static] = True
        # demographics are facts about the whole life, whatever the window
        visible &= recent | _among(vocabulary, frozenset([BIRTH]))[code]
    kept = np.flatnonzero(visible)
    taken = kept if isinstance(rows, slice) else rows[kept]
    values = as_array(table["numeric_value"])
    return History(
        prediction_times,
        np.repeat(np.arange(len(subject_ids), dtype=np.int32), lengths)[kept],
        code[kept],
        time[kept],
        np.asarray(values[taken], dtype=np.float32),
        vocabulary,
        {name: _take(table[name], taken) for name in columns},
    )


def _shown(vocabulary: Sequence[str], visibility: Visibility) -> NDArray[np.bool_]:
    return np.fromiter((visibility.shows(code) for code in vocabulary), np.bool_, len(vocabulary))


def _among(vocabulary: Sequence[str], codes: Set[str]) -> NDArray[np.bool_]:
    return np.fromiter((code in codes for code in vocabulary), np.bool_, len(vocabulary))


def _says_anything(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count < len(column))


def _take(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.Array:
    if not _says_anything(column):
        return pa.nulls(len(rows), column.type)
    return column.take(pl.Series(rows).to_arrow()).combine_chunks()


def _lengthened(column: pa.Array, n: int) -> pa.Array:
    """Put n nulls behind a column."""
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return pa.concat_arrays([plain, pa.nulls(n, plain.type)])


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.array([], pa.dictionary(pa.int32(), pa.string()))
    code, dictionary = as_array(array.indices).astype(np.int32, copy=False), array.dictionary
    if len(code) < len(dictionary):  # few facts: only the codes they have are worth naming
        used = np.flatnonzero(np.bincount(code, minlength=len(dictionary)))
        rank = np.empty(len(dictionary), np.int32)
        rank[used] = np.arange(len(used))
        return rank[code], tuple(dictionary.take(pl.Series(used).to_arrow()).to_pylist())
    return code, tuple(dictionary.to_pylist())


def _microseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Give moments as µs since 1970; a missing one as `STATIC`, which is how NumPy writes it."""
    return as_array(column).view(np.int64)


def _is_whole(starts: NDArray[np.int64], lengths: NDArray[np.int64], n: int) -> bool:
    """Tell whether the ranges are 0 … n - 1, one after another.

    >>> _is_whole(np.array([0, 2]), np.array([2, 3]), 5), _is_whole(np.array([0, 0]), np.array([2, 2]), 4)
    (True, False)
    """
    ends = np.cumsum(lengths)
    return bool(n == (ends[-1] if len(ends) else 0) and np.array_equal(starts, ends - lengths))
