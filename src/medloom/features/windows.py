"""Window features: for each code and window, how often, how much, how fast it changes, how long ago.

The plainest description of a history that boosted trees and linear models do
well on (cf. MEDS-Tab, Oufattole 2024). Fitted on training samples: which codes
are common enough, which carry values, which texts a static fact takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import NDArray

from medloom.features.matrix import FeatureMatrix
from medloom.foundation.durations import hours
from medloom.foundation.errors import InputError
from medloom.record.schema import BIRTH
from medloom.tasks.history import MICROSECONDS_PER_HOUR, STATIC, History
from medloom.tasks.samples import Samples

EVER: Final = "ever"
AGE: Final = "age"
_HOURS_PER_YEAR: Final = 24 * 365.2425
_VALUE_STATISTICS: Final = ("first", "last", "min", "max", "mean", "slope")
_COUNT_STATISTICS: Final = ("count", "hours since last")
# A code seen in fewer samples than this share is kept as sparse counts only.
_COMMON: Final = 0.02
_MOST_CATEGORIES: Final = 20


@dataclass(frozen=True)
class WindowFeatures:
    """A fitted specification; plain values, so that it travels in `model.json`.

    Attributes:
        windows: lengths before the prediction time, `ever` for all.
        measured: common codes with values: all statistics, dense.
        counted: common codes without values: count and hours since last, dense.
        rare: other codes: counts, sparse.
        static_values: static codes with a number: the number.
        static_flags: static codes without: 1 where present.
        categories: static codes with texts → the texts: 1 where it is this one.
        has_age: whether births are known.
    """

    windows: tuple[str, ...]
    measured: tuple[str, ...]
    counted: tuple[str, ...]
    rare: tuple[str, ...]
    static_values: tuple[str, ...]
    static_flags: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    has_age: bool

    @classmethod
    def fit(
        cls,
        samples: Samples,
        windows: Sequence[str] | None = None,
        min_subjects: int = 10,
        max_codes: int = 5000,
    ) -> WindowFeatures:
        """Learn from training samples which inputs there are.

        Args:
            samples: the training samples, and no others.
            windows: lengths such as `6h`, `7d`, or `ever`; None: three that suit how long the histories are.
            min_subjects: a code must occur in so many subjects' histories (a tenth of all, where that is fewer).
            max_codes: the most frequent so many are kept.

        Raises:
            InputError: a window is no length of time, or the histories hold nothing.
        """
        for window in windows or ():
            if window != EVER:
                hours(window)
        census = _Census()
        for part in samples.parts():
            census.count(part)
        needed = min(min_subjects, max(1, census.n_samples // 10))
        spec = census.specification(tuple(windows or census.suitable_windows()), needed, max_codes)
        if not spec.names:
            raise InputError(
                "no fact is visible in the histories of {n} training samples; check observe, prediction_time and the record",
                n=census.n_samples,
            )
        return spec

    @property
    def names(self) -> tuple[str, ...]:
        """Name the inputs, dense ones first: `LOINC//8480-6 last 24h`."""
        return tuple(name for name, _ in self._columns())

    @property
    def codes(self) -> tuple[str | None, ...]:
        """Give the code behind each input."""
        return tuple(code for _, code in self._columns())

    def transform(self, samples: Samples) -> FeatureMatrix:
        """Make the inputs of each sample, in order; the same for one as for many."""
        blocks = [self._transform_history(self._read(part)) for part in samples.parts()]
        dense = np.vstack([block[0] for block in blocks]) if len(blocks) != 1 else blocks[0][0]
        sparse = sp.vstack([block[1] for block in blocks], format="csr") if len(blocks) != 1 else blocks[0][1]
        return FeatureMatrix(dense, sparse, self.names, self.codes)

    def to_json(self) -> dict[str, Any]:
        """Give the specification as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> WindowFeatures:
        """Read back what `to_json` gave."""
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
        plain["categories"] = {code: tuple(texts) for code, texts in content["categories"].items()}
        return cls(**plain)

    def _read(self, samples: Samples) -> History:
        return samples.history(columns=("text_value",) if self.categories else ())

    def _columns(self) -> list[tuple[str, str | None]]:
        columns: list[tuple[str, str | None]] = [(AGE, BIRTH)] if self.has_age else []
        columns += [(code, code) for code in self.static_values + self.static_flags]
        columns += [(f"{code}={text}", code) for code, texts in self.categories.items() for text in texts]
        for codes, statistics in ((self.measured, _COUNT_STATISTICS + _VALUE_STATISTICS), (self.counted, _COUNT_STATISTICS)):
            columns += [(f"{code} {statistic} {window}", code) for window in self.windows for code in codes for statistic in statistics]
        columns += [(f"{code} count {window}", code) for window in self.windows for code in self.rare]
        return columns

    def _transform_history(self, history: History) -> tuple[NDArray[np.float32], sp.csr_matrix]:
        n = history.n_samples
        position = {code: index for index, code in enumerate(history.vocabulary)}
        n_static = int(self.has_age) + len(self.static_values) + len(self.static_flags) + sum(map(len, self.categories.values()))
        per_window = (
            len(self.measured) * len(_COUNT_STATISTICS + _VALUE_STATISTICS) + len(self.counted) * len(_COUNT_STATISTICS)
        )
        dense = np.full((n, n_static + per_window * len(self.windows)), np.nan, np.float32, order="F")
        self._fill_static(dense, history, position)
        # facts in the order code, sample, time: a stable radix sort, for histories come sorted by sample and time
        order_of = {code: index for index, code in enumerate((*self.measured, *self.counted, *self.rare))}
        ranks = np.fromiter((order_of.get(code, -1) for code in history.vocabulary), np.int64, len(history.vocabulary))
        rank = ranks[history.code] if len(history) else np.empty(0, np.int64)
        rank[history.time == STATIC] = -1
        kept = np.flatnonzero(rank >= 0)
        small = np.uint16 if len(order_of) < 65536 else np.uint32
        kept = kept[np.argsort(rank[kept].astype(small), kind="stable")]
        facts = _Facts(
            rank[kept],
            history.sample[kept].astype(np.int64),
            (history.prediction_time[history.sample[kept]] - history.time[kept]) / MICROSECONDS_PER_HOUR,
            history.value[kept].astype(np.float64),
        )
        sparse: list[sp.csr_matrix] = []
        column = n_static
        n_measured, n_counted = len(self.measured), len(self.counted)
        # blocks of one kind stand together, window by window, as `_columns` names them
        second = n_static + n_measured * len(_COUNT_STATISTICS + _VALUE_STATISTICS) * len(self.windows)
        for window in self.windows:
            inside = facts if window == EVER else facts.within(hours(window))
            groups = inside.groups()
            column = _fill_counts(dense, groups, inside, column, 0, n_measured, len(_COUNT_STATISTICS + _VALUE_STATISTICS))
            _fill_values(dense, inside, column - n_measured * len(_COUNT_STATISTICS + _VALUE_STATISTICS), n_measured)
            second = _fill_counts(dense, groups, inside, second, n_measured, n_measured + n_counted, len(_COUNT_STATISTICS))
            sparse.append(_sparse_counts(groups, inside, n, n_measured + n_counted, len(self.rare)))
        return dense, sp.hstack(sparse, format="csr") if sparse else sp.csr_matrix((n, 0), dtype=np.float32)

    def _fill_static(self, dense: NDArray[np.float32], history: History, position: dict[str, int]) -> None:
        column = 0
        if self.has_age:
            born = np.flatnonzero(history.code == position.get(BIRTH, -1))
            age = (history.prediction_time[history.sample[born]] - history.time[born]) / MICROSECONDS_PER_HOUR
            dense[history.sample[born], column] = age / _HOURS_PER_YEAR
            column += 1
        is_static = history.time == STATIC
        static = np.flatnonzero(is_static)
        code, sample = history.code[static], history.sample[static]
        columns = np.full(len(history.vocabulary), -1, np.int64)
        for offset, name in enumerate(self.static_values + self.static_flags):
            if name in position:
                columns[position[name]] = column + offset
        first_flag = column + len(self.static_values)
        end = first_flag + len(self.static_flags)
        dense[:, first_flag:end] = 0
        target = columns[code] if len(static) else np.empty(0, np.int64)
        value = np.where(target >= first_flag, 1, history.value[static])
        hit = target >= 0
        dense[sample[hit], target[hit]] = value[hit]
        column = end
        if self.categories:
            texts = np.asarray(history.columns["text_value"].take(static).to_pylist(), dtype=object)
            for name, categories in self.categories.items():
                mine = code == position.get(name, -1)
                dense[sample[mine], column : column + len(categories)] = 0
                for offset, category in enumerate(categories):
                    chosen = mine & (texts == category)
                    dense[sample[chosen], column + offset] = 1
                column += len(categories)


@dataclass(frozen=True)
class _Facts:
    """Facts sorted by code rank, sample, time."""

    rank: NDArray[np.int64]
    sample: NDArray[np.int64]
    age: NDArray[np.float64]  # hours before the prediction time
    value: NDArray[np.float64]

    def within(self, length: float) -> _Facts:
        return self._only(self.age < length)

    def of_ranks(self, stop: int) -> _Facts:
        end = int(np.searchsorted(self.rank, stop))
        return _Facts(self.rank[:end], self.sample[:end], self.age[:end], self.value[:end])

    def valued(self) -> _Facts:
        has_value = ~np.isnan(self.value)
        return self if has_value.all() else self._only(has_value)

    def groups(self) -> NDArray[np.int64]:
        """Give where each (code, sample) begins."""
        if not len(self.rank):
            return np.empty(0, np.int64)
        new = np.empty(len(self.rank), np.bool_)
        new[0] = True
        np.not_equal(self.sample[1:], self.sample[:-1], out=new[1:])
        new[1:] |= self.rank[1:] != self.rank[:-1]
        return np.flatnonzero(new)

    def _only(self, mask: NDArray[np.bool_]) -> _Facts:
        return _Facts(self.rank[mask], self.sample[mask], self.age[mask], self.value[mask])


def _ends(groups: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    return np.append(groups[1:], n)


def _fill_counts(
    dense: NDArray[np.float32], groups: NDArray[np.int64], facts: _Facts, column: int, start: int, stop: int, width: int
) -> int:
    """Fill count and hours since last of the codes ranked start … stop; gives the column after their blocks."""
    after = column + (stop - start) * width
    dense[:, column:after:width] = 0
    low, high = np.searchsorted(facts.rank[groups], [start, stop])
    chosen = groups[low:high]
    if len(chosen):
        ends = _ends(groups, len(facts.rank))[low:high]
        sample, target = facts.sample[chosen], column + (facts.rank[chosen] - start) * width
        dense[sample, target] = ends - chosen
        dense[sample, target + 1] = facts.age[ends - 1]
    return after


def _fill_values(dense: NDArray[np.float32], facts: _Facts, column: int, n_measured: int) -> None:
    """Fill first, last, min, max, mean and slope (per hour, least squares) of the measured codes."""
    facts = facts.of_ranks(n_measured).valued()
    groups = facts.groups()
    if not len(groups):
        return
    value = facts.value
    ends = _ends(groups, len(value))
    count = (ends - groups).astype(np.float64)
    width = len(_COUNT_STATISTICS + _VALUE_STATISTICS)
    sample, target = facts.sample[groups], column + facts.rank[groups] * width + len(_COUNT_STATISTICS)
    mean = np.add.reduceat(value, groups) / count
    dense[sample, target] = value[groups]
    dense[sample, target + 1] = value[ends - 1]
    dense[sample, target + 2] = np.minimum.reduceat(value, groups)
    dense[sample, target + 3] = np.maximum.reduceat(value, groups)
    dense[sample, target + 4] = mean
    time = -facts.age
    mean_time = np.add.reduceat(time, groups) / count
    lengths = ends - groups
    centred = time - np.repeat(mean_time, lengths)
    spread = np.add.reduceat(centred * centred, groups)
    moved = np.add.reduceat(centred * (value - np.repeat(mean, lengths)), groups)
    several = spread > 1e-12
    dense[sample[several], target[several] + 5] = moved[several] / spread[several]


def _sparse_counts(groups: NDArray[np.int64], facts: _Facts, n: int, start: int, codes: int) -> sp.csr_matrix:
    low = int(np.searchsorted(facts.rank[groups], start))
    chosen = groups[low:]
    counts = (_ends(groups, len(facts.rank))[low:] - chosen).astype(np.float32)
    return sp.csr_matrix((counts, (facts.sample[chosen], facts.rank[chosen] - start)), shape=(n, codes))


class _Census:
    """Counts, over training histories, what a specification is made of."""

    def __init__(self) -> None:
        self.n_samples = 0
        self._dated: dict[str, list[int]] = {}  # code → samples with it, facts, facts with a value
        self._static: dict[str, list[int]] = {}  # code → facts, with a value, with a text
        self._texts: dict[str, dict[str, int]] = {}
        self._births = 0
        self._spans: list[NDArray[np.float64]] = []

    def suitable_windows(self) -> tuple[str, ...]:
        """Choose windows for stays of days, courses of months, or lives."""
        span = float(np.median(np.concatenate(self._spans))) if self._spans else 0.0
        if span < hours("14d"):
            return EVER, "24h", "12h", "6h"
        return (EVER, "30d", "7d") if span < hours("2y") else (EVER, "1y", "30d")

    def count(self, samples: Samples) -> None:
        history = samples.history(columns=("text_value",))
        self.n_samples += history.n_samples
        size = len(history.vocabulary)
        dated = history.time != STATIC
        code, sample = history.code[dated].astype(np.int64), history.sample[dated].astype(np.int64)
        births = [index for index, name in enumerate(history.vocabulary) if name == BIRTH]
        lived = code != births[0] if births else np.ones(len(code), np.bool_)
        first = np.flatnonzero(np.diff(sample[lived], prepend=-1))  # histories are sorted by time: the oldest fact
        oldest = history.time[dated][lived][first]
        self._spans.append((history.prediction_time[sample[lived][first]] - oldest) / MICROSECONDS_PER_HOUR)
        facts = np.bincount(code, minlength=size)
        valued = np.bincount(code, weights=~np.isnan(history.value[dated]), minlength=size)
        met = np.zeros((size,), np.int64)
        if len(code):
            small = np.uint16 if size < 65536 else np.uint32
            order = np.argsort(code.astype(small), kind="stable")
            new = np.ones(len(order), np.bool_)
            new[1:] = (code[order][1:] != code[order][:-1]) | (sample[order][1:] != sample[order][:-1])
            met = np.bincount(code[order][new], minlength=size)
        for index in np.flatnonzero(facts):
            name = history.vocabulary[index]
            if name == BIRTH:
                self._births += int(met[index])
                continue
            tally = self._dated.setdefault(name, [0, 0, 0])
            for place, number in enumerate((met[index], facts[index], valued[index])):
                tally[place] += int(number)
        self._count_static(history, ~dated)

    def specification(self, windows: tuple[str, ...], needed: int, max_codes: int) -> WindowFeatures:
        frequent = [(tally[0], code) for code, tally in self._dated.items() if tally[0] >= needed]
        frequent.sort(key=lambda item: (-item[0], item[1]))
        kept = frequent[:max_codes]
        common = sorted(code for met, code in kept if met >= _COMMON * self.n_samples)
        rare = sorted(code for met, code in kept if met < _COMMON * self.n_samples)
        measured = tuple(code for code in common if 2 * self._dated[code][2] >= self._dated[code][1])
        static = sorted(code for code, tally in self._static.items() if tally[0] >= needed)
        values = tuple(code for code in static if self._static[code][1])
        categories = {
            code: tuple(sorted(text for text, _ in sorted(self._texts[code].items(), key=lambda i: (-i[1], i[0]))[:_MOST_CATEGORIES]))
            for code in static
            if code not in values and self._static[code][2]
        }
        return WindowFeatures(
            windows,
            measured,
            tuple(code for code in common if code not in set(measured)),
            tuple(rare),
            values,
            tuple(code for code in static if code not in values and code not in categories),
            categories,
            self._births > 0,
        )

    def _count_static(self, history: History, static: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(static)
        if not len(rows):
            return
        codes = history.code[rows]
        texts = history.columns["text_value"].take(rows)
        has_text = np.asarray(pc.is_valid(texts))
        for index in np.unique(codes):
            mine = codes == index
            name = history.vocabulary[index]
            tally = self._static.setdefault(name, [0, 0, 0])
            tally[0] += int(mine.sum())
            tally[1] += int((~np.isnan(history.value[rows[mine]])).sum())
            with_text = np.flatnonzero(mine & has_text)
            tally[2] += len(with_text)
            counts = self._texts.setdefault(name, {})
            for item in pc.value_counts(texts.take(with_text)).to_pylist():
                counts[item["values"]] = counts.get(item["values"], 0) + item["counts"]
