"""Histories as bytes: the same content gives the same bytes on every machine and in every version.

A header of JSON and plain little-endian arrays. Codes stand in alphabetical order, codes of no fact not at all, so
that the bytes do not depend on which record the facts were read from.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from medloom.foundation.errors import IntegrityError
from medloom.record.store import as_array

_VERSION: Final = b"MLH1"
_LENGTH: Final = struct.Struct("<I")
_TYPES: Final[Mapping[str, pa.DataType]] = {
    str(kind): kind
    for kind in (pa.string(), pa.large_string(), pa.int64(), pa.int32(), pa.float32(), pa.timestamp("us"))
}


class Parts(NamedTuple):
    """What a history consists of, in the order of its fields."""

    prediction_time: NDArray[np.int64]
    sample: NDArray[np.int32]
    code: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float32]
    vocabulary: tuple[str, ...]
    columns: Mapping[str, pa.Array]


def payload(parts: Parts) -> bytes:
    """Write down all there is."""
    codes, code = _used(parts.code, parts.vocabulary)
    columns, places = [], []
    for name, column in sorted(parts.columns.items()):
        kind, values, place = _distinct(column)
        columns.append([name, kind, values])
        places.append(place)
    header = orjson.dumps([len(parts.prediction_time), len(parts.sample), codes, columns])
    value = np.where(np.isnan(parts.value), np.float32(np.nan), parts.value)  # one NaN of the many there are
    arrays = (parts.prediction_time, parts.sample, code, parts.time, value, *places)
    plain = [np.asarray(one, kind).tobytes() for one, kind in zip(arrays, _kinds(len(columns)), strict=True)]
    return b"".join([_LENGTH.pack(len(header)), header, *plain])


def pack(content: bytes) -> bytes:
    """Make a payload small."""
    return _VERSION + zlib.compress(content, 6)


def unpack(packed: bytes) -> Parts:
    """Read back what was packed.

    Raises:
        IntegrityError: it is damaged, or was written by a newer Medloom.
    """
    if packed[:3] == _VERSION[:3] and packed[:4] != _VERSION:
        raise IntegrityError(
            "this history was written by a newer Medloom; upgrade with: pip install -U medloom"
        )
    try:
        if packed[:4] != _VERSION:
            raise ValueError
        return _parsed(zlib.decompress(packed[4:]))
    except (zlib.error, struct.error, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise IntegrityError("this history is damaged; restore it from a copy") from error


def _parsed(content: bytes) -> Parts:
    (length,) = _LENGTH.unpack_from(content)
    place = _LENGTH.size + length
    m, n, codes, columns = orjson.loads(content[_LENGTH.size : place])
    arrays: list[NDArray[Any]] = []
    for kind, count in zip(_kinds(len(columns)), (m, *[n] * (4 + len(columns))), strict=True):
        arrays.append(np.frombuffer(content, kind, count, place))
        place += arrays[-1].nbytes
    if place != len(content):
        raise ValueError
    made = {
        name: _column(kind, values, index)
        for (name, kind, values), index in zip(columns, arrays[5:], strict=True)
    }
    return Parts(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], tuple(codes), made)


def _kinds(n_columns: int) -> tuple[str, ...]:
    return ("<i8", "<i4", "<i4", "<i8", "<f4", *["<i4"] * n_columns)


def _used(code: NDArray[np.int32], vocabulary: tuple[str, ...]) -> tuple[list[str], NDArray[np.int32]]:
    """Give the codes that occur, sorted, and each fact's place among them."""
    used = np.flatnonzero(np.bincount(code, minlength=len(vocabulary))).tolist()
    used.sort(key=vocabulary.__getitem__)
    rank = np.zeros(len(vocabulary), np.int32)
    rank[used] = np.arange(len(used))
    return [vocabulary[place] for place in used], rank[code]


def _distinct(column: pa.Array) -> tuple[str, list[Any], NDArray[np.int32]]:
    """Give a column's type, its distinct values in order of appearance, and each row's place among them; -1: null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = str(column.type)
    if column.null_count == len(column):
        return kind, [], np.full(len(column), -1, np.int32)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    encoded = column.dictionary_encode()
    return kind, encoded.dictionary.to_pylist(), as_array(encoded.indices.fill_null(-1))


def _column(kind: str, values: list[Any], place: NDArray[np.int32]) -> pa.Array:
    wanted = _TYPES[kind]
    plain = pa.array(values, pa.int64() if pa.types.is_timestamp(wanted) else wanted).cast(wanted)
    if not values:
        return pa.nulls(len(place), wanted)
    index = pl.Series(place)
    return plain.take(index.set(index < 0, None).to_arrow())
