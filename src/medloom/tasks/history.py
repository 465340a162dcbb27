"""What was known of each sample at its prediction time: the only inputs a model gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medloom.record.record import Record

STATIC: Final = np.iinfo(np.int64).min  # `time` of a static fact
MICROSECONDS_PER_HOUR: Final = 3_600_000_000


@dataclass(frozen=True)
class Visibility:
    """Which facts a task lets its models see, beside the rule of what was known when."""

    hidden: frozenset[str] = frozenset()  # codes of the label
    static: frozenset[str] = frozenset()  # codes that may be seen without a time
    window: int | None = None  # µs before the prediction time; None: all
    only: frozenset[str] | None = None  # codes; None: all


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
    ids = table["subject_id"].to_numpy()
    starts = np.searchsorted(ids, subject_ids, "left")
    lengths = np.searchsorted(ids, subject_ids, "right") - starts
    sample = np.repeat(np.arange(len(subject_ids), dtype=np.int32), lengths)
    rows = _ranges(starts, lengths)
    code, vocabulary = _codes(table["code"])
    time = _microseconds(table["time"], STATIC)
    known = _microseconds(table["known_time"], STATIC)
    known_until = _microseconds(table["known_until"], np.iinfo(np.int64).max)
    shown = _shown(vocabulary, visibility)
    if not _is_identity(rows, len(ids)):
        code, time, known, known_until = code[rows], time[rows], known[rows], known_until[rows]
    at = prediction_times[sample]
    visible = shown[code] & (np.maximum(time, known) <= at) & (at < known_until)
    is_static = time == STATIC
    if is_static.any():
        may_be_static = np.fromiter(
            (name in visibility.static for name in vocabulary), np.bool_, len(vocabulary)
        )
        visible &= ~is_static | may_be_static[code]
    if visibility.window is not None:
        # demographics are facts about the whole life, whatever the window
        lasting = np.fromiter((name == "MEDS_BIRTH" for name in vocabulary), np.bool_, len(vocabulary))
        visible &= is_static | lasting[code] | (time > at - visibility.window)
    kept = np.flatnonzero(visible)
    taken = rows[kept]
    values = table["numeric_value"].to_numpy()
    return History(
        prediction_times,
        sample[kept],
        code[kept],
        time[kept],
        np.asarray(values[taken], dtype=np.float32),
        vocabulary,
        {name: table[name].take(pa.array(taken)).combine_chunks() for name in columns},
    )


def _shown(vocabulary: Sequence[str], visibility: Visibility) -> NDArray[np.bool_]:
    def may_see(code: str) -> bool:
        return code not in visibility.hidden and (visibility.only is None or code in visibility.only)

    return np.fromiter((may_see(code) for code in vocabulary), np.bool_, len(vocabulary))


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.array([], pa.dictionary(pa.int32(), pa.string()))
    return np.asarray(array.indices.to_numpy(), dtype=np.int32), tuple(array.dictionary.to_pylist())


def _microseconds(column: pa.ChunkedArray, null: int) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.cast(column, pa.int64()), null).to_numpy(), dtype=np.int64)


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate the ranges [start, start + length).

    >>> _ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    total = int(lengths.sum())
    before = np.cumsum(lengths) - lengths
    return np.arange(total) + np.repeat(starts - before, lengths)


def _is_identity(rows: NDArray[np.int64], n: int) -> bool:
    return len(rows) == n and (n == 0 or (rows[0] == 0 and rows[-1] == n - 1))
