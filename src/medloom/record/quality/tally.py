"""Counting a record piece by piece, whole subjects at a time, in memory bounded by codes, months and subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medloom.knowledge import units
from medloom.knowledge.limits import limits
from medloom.record.catalogue import CodeCatalogue
from medloom.record.quality.modes import BINS, place
from medloom.record.schema import BIRTH, DEATH

COLUMNS: Final = (
    "subject_id",
    "time",
    "code",
    "numeric_value",
    "text_value",
    "known_time",
    "known_until",
    "role",
)
# doses differ by factors that are also those between units
_DOSED: Final = frozenset("order dispense administration statement immunization".split())
_DAY: Final = 86_400_000_000
_NEVER: Final = np.iinfo(np.int64).min
_ALWAYS: Final = np.iinfo(np.int64).max


@dataclass
class CodeTally:
    """What was counted of one code."""

    low: float = float("-inf")
    high: float = float("inf")
    limited: bool = False
    events: int = 0
    subjects: int = 0
    numeric: int = 0
    below: int = 0
    above: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    before_birth: int = 0
    after_death: int = 0
    repeated: int = 0
    undated: int = 0
    future: int = 0
    known: int = 0
    foreseen: int = 0  # known before they happened
    histogram: NDArray[np.int64] | None = None


@dataclass
class Tally:
    """What was counted of a record; only facts that no newer version has ended."""

    now: datetime
    catalogue: CodeCatalogue
    codes: dict[str, CodeTally] = field(default_factory=dict)
    months: Counter[int] = field(default_factory=Counter)  # since 1970-01
    per_subject: list[NDArray[np.int64]] = field(default_factory=list)
    events: int = 0
    ended: int = 0
    dated: int = 0
    first: int | None = None  # µs
    last: int | None = None
    born: int = 0
    with_gender: int = 0
    dead: int = 0
    dead_undated: int = 0
    dead_twice: int = 0  # on different days
    subjects_before_birth: int = 0
    subjects_after_death: int = 0

    def __post_init__(self) -> None:
        self._units = self.catalogue.units()
        self._now = int((self.now - datetime(1970, 1, 1)).total_seconds() * 1e6)

    def add(self, table: pa.Table, subjects: NDArray[np.int64]) -> None:
        """Count the rows (COLUMNS) of some whole subjects (n,), sorted."""
        current = table["known_until"].is_null().combine_chunks()
        if table["known_until"].null_count < table.num_rows:
            self.ended += table.num_rows - table["known_until"].null_count
            table = table.filter(current)
        subject = np.searchsorted(subjects, table["subject_id"].to_numpy())
        code, vocabulary = _encoded(table["code"])
        rows = _Rows(
            subject, code, _microseconds(table["time"]), _microseconds(table["known_time"]), vocabulary
        )
        n = len(vocabulary)
        tallies = [self._code(name) for name in vocabulary]
        self.events += table.num_rows
        self.per_subject.append(np.bincount(subject, minlength=len(subjects)))
        pairs = np.unique(subject * np.int64(max(n, 1)) + code)
        _count(tallies, "events", np.bincount(code, minlength=n))
        _count(tallies, "subjects", np.bincount(pairs % max(n, 1), minlength=n))
        role, roles = _encoded(table["role"])
        self._roles(tallies, code, role, roles)
        self._values(tallies, code, np.asarray(table["numeric_value"].to_numpy(), np.float64), role, roles)
        self._times(tallies, rows)
        self._lives(tallies, rows, len(subjects))
        self._repeated(table, tallies, vocabulary)

    def _code(self, name: str) -> CodeTally:
        tally = self.codes.get(name)
        if tally is None:
            tally = self.codes[name] = CodeTally()
            found = limits(name) if name.startswith("LOINC//") else None
            # a code without a unit is taken to be in the usual one
            scale = (
                None if found is None else units.factor(found.unit, self._units.get(name) or found.unit, name)
            )
            if found is not None and scale is not None:
                tally.low, tally.high = (bound * scale[0] + scale[1] for bound in (found.low, found.high))
                tally.limited = True
        return tally

    def _roles(
        self, tallies: list[CodeTally], code: NDArray[np.int64], role: NDArray[np.int64], roles: list[str]
    ) -> None:
        pairs, counts = np.unique(code * np.int64(len(roles)) + role, return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            tallies[pair // len(roles)].roles[roles[pair % len(roles)]] += count

    def _values(
        self,
        tallies: list[CodeTally],
        code: NDArray[np.int64],
        values: NDArray[np.float64],
        role: NDArray[np.int64],
        roles: list[str],
    ) -> None:
        n = len(tallies)
        numeric = ~np.isnan(values)
        code, values, role = code[numeric], values[numeric], role[numeric]
        low, high = (
            np.array([getattr(tally, name) for tally in tallies], np.float64) for name in ("low", "high")
        )
        # float32 in the record: a value at the limit is within it
        margin = 1e-6 * np.abs(values)
        _count(tallies, "numeric", np.bincount(code, minlength=n))
        _count(tallies, "below", np.bincount(code[values < low[code] - margin], minlength=n))
        _count(tallies, "above", np.bincount(code[values > high[code] + margin], minlength=n))
        dosed = np.array([name in _DOSED for name in roles], np.bool_)
        usable = (values > 0) & np.isfinite(values) & ~dosed[role]
        cells, counts = np.unique(code[usable] * BINS + place(values[usable]), return_counts=True)
        starts = np.searchsorted(cells, np.arange(n + 1) * BINS)
        for at in np.flatnonzero(np.diff(starts)).tolist():
            histogram = tallies[at].histogram
            if histogram is None:
                histogram = tallies[at].histogram = np.zeros(BINS, np.int64)
            span = slice(starts[at], starts[at + 1])
            histogram[cells[span] - at * BINS] += counts[span]

    def _times(self, tallies: list[CodeTally], rows: _Rows) -> None:
        n = len(tallies)
        dated = rows.time != _NEVER
        self.dated += int(dated.sum())
        _count(tallies, "undated", np.bincount(rows.code[~dated], minlength=n))
        _count(tallies, "future", np.bincount(rows.code[dated & (rows.time > self._now)], minlength=n))
        known = dated & (rows.known_time != _NEVER)
        _count(tallies, "known", np.bincount(rows.code[known], minlength=n))
        _count(
            tallies, "foreseen", np.bincount(rows.code[known & (rows.known_time < rows.time)], minlength=n)
        )
        lived = rows.time[dated & ~rows.are(BIRTH)]
        if len(lived):
            first, last = int(lived.min()), int(lived.max())
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)
            months, counts = np.unique(
                lived.view("datetime64[us]").astype("datetime64[M]").astype(np.int64), return_counts=True
            )
            self.months.update(dict(zip(months.tolist(), counts.tolist(), strict=True)))

    def _lives(self, tallies: list[CodeTally], rows: _Rows, n_subjects: int) -> None:
        n = len(tallies)
        is_birth, is_death = rows.are(BIRTH), rows.are(DEATH)
        dated = rows.time != _NEVER
        day = rows.time // _DAY
        birth = np.full(n_subjects, _NEVER)
        first_death, last_death = np.full(n_subjects, _ALWAYS), np.full(n_subjects, _NEVER)
        np.maximum.at(birth, rows.subject[is_birth & dated], day[is_birth & dated])
        np.minimum.at(first_death, rows.subject[is_death & dated], day[is_death & dated])
        np.maximum.at(last_death, rows.subject[is_death & dated], day[is_death & dated])
        self.born += int((birth != _NEVER).sum())
        has_gender = rows.where(lambda name: name.startswith("GENDER//"))
        self.with_gender += len(np.unique(rows.subject[has_gender]))
        dead = np.unique(rows.subject[is_death])
        self.dead += len(dead)
        self.dead_undated += int((last_death[dead] == _NEVER).sum())
        self.dead_twice += int(((last_death > first_death) & (last_death != _NEVER)).sum())
        told = dated & ~is_birth & ~is_death
        early = told & (birth[rows.subject] != _NEVER) & (day < birth[rows.subject])
        late = told & (last_death[rows.subject] != _NEVER) & (day > last_death[rows.subject])
        _count(tallies, "before_birth", np.bincount(rows.code[early], minlength=n))
        _count(tallies, "after_death", np.bincount(rows.code[late], minlength=n))
        self.subjects_before_birth += len(np.unique(rows.subject[early]))
        self.subjects_after_death += len(np.unique(rows.subject[late]))

    def _repeated(self, table: pa.Table, tallies: list[CodeTally], vocabulary: list[str]) -> None:
        same = ["subject_id", "time", "code", "numeric_value", "text_value"]
        code, _ = _encoded(table["code"])
        text = table["text_value"]
        frame = pl.DataFrame(table.select(["subject_id", "time", "numeric_value"])).with_columns(
            pl.Series("code", code),
            pl.Series("text_value", text).hash()
            if text.null_count < len(text)
            else pl.lit(0).alias("text_value"),
        )
        if frame.n_unique(same) == frame.height:
            return
        again = ~frame.select(pl.struct(same).is_first_distinct()).to_series().to_numpy()
        _count(tallies, "repeated", np.bincount(code[again], minlength=len(vocabulary)))


@dataclass(frozen=True)
class _Rows:
    subject: NDArray[np.int64]  # (n,) position among the subjects of the piece
    code: NDArray[np.int64]  # (n,) position in the vocabulary
    time: NDArray[np.int64]  # (n,) µs, or _NEVER
    known_time: NDArray[np.int64]
    vocabulary: list[str]

    def are(self, code: str) -> NDArray[np.bool_]:
        """Tell which rows have this code: (n,)."""
        return self.where(lambda name: name == code)

    def where(self, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Tell which rows have a code that is wanted: (n,)."""
        return np.fromiter((wanted(name) for name in self.vocabulary), np.bool_, len(self.vocabulary))[
            self.code
        ]


def _count(tallies: list[CodeTally], name: str, counts: NDArray[np.int64]) -> None:
    for at in np.flatnonzero(counts).tolist():
        setattr(tallies[at], name, getattr(tallies[at], name) + int(counts[at]))


def _encoded(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Give places in a vocabulary: (n,), and the vocabulary; a null is ''."""
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.array([], pa.dictionary(pa.int32(), pa.string()))
    words = [*array.dictionary.to_pylist(), ""]
    return pc.fill_null(array.indices, len(words) - 1).to_numpy().astype(np.int64), words


def _microseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.cast(column, pa.int64()), _NEVER).to_numpy(), np.int64)
