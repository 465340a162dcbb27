"""Window features: for each code and window, how often, how much, how fast it changes, how long ago.

The plainest description of a history that boosted trees and linear models do
well on (cf. MEDS-Tab, Oufattole 2024). Fitted on training samples: which codes
are common enough, which carry values, which texts a static fact takes.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from medloom.features.census import EVER, Census
from medloom.features.matrix import FeatureMatrix
from medloom.features.reading import of_histories, use_histories
from medloom.features.statistics import Counts, Facts, Values, count_facts, summarise_values
from medloom.foundation.durations import hours
from medloom.foundation.engines import is_shared
from medloom.foundation.errors import InputError
from medloom.record.schema import BIRTH
from medloom.tasks.history import HOURS_PER_YEAR, MICROSECONDS_PER_HOUR, STATIC, History
from medloom.tasks.samples import Samples

AGE: Final = "age"
_VALUE_STATISTICS: Final = ("first", "last", "min", "max", "mean", "slope")
_COUNT_STATISTICS: Final = ("count", "hours since last")
_WIDTH: Final = len(_COUNT_STATISTICS + _VALUE_STATISTICS)
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
        static_values: static codes that mostly come with a number: the number.
        static_flags: static codes with neither number nor common text: 1 where present.
        categories: static codes with common texts → the texts: 1 where it is this one.
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
            windows: lengths such as `6h`, `7d`, or `ever`; None: those that suit how long the histories are.
            min_subjects: a code, or a text of a static code, must occur in so many subjects' histories (a tenth of
                all, where that is fewer); so no text that stands for one patient gets into a model.
            max_codes: the most frequent so many are kept.

        Raises:
            InputError: a window is no length of time, or the histories hold nothing.
        """
        for window in windows or ():
            if window != EVER and hours(window) <= 0:
                raise InputError("a window of {window!r} holds nothing; write 24h, 7d or ever", window=window)
        census = Census.of(samples)
        spec = cls._of_census(
            census,
            tuple(windows or census.suitable_windows()),
            min(min_subjects, max(1, census.subjects // 10)),
            max_codes,
        )
        if not spec.names:
            raise InputError(
                "no fact is visible in the histories of {n} training samples; "
                "check observe, prediction_time and the record",
                n=census.samples,
            )
        return spec

    @classmethod
    def _of_census(
        cls, census: Census, windows: tuple[str, ...], needed: int, max_codes: int
    ) -> WindowFeatures:
        """Choose among codes that occur in so many subjects as are needed."""
        dated = census.dated
        frequent = [code for code in dated if dated[code].subjects >= needed]
        frequent = sorted(frequent, key=lambda code: (-dated[code].samples, code))[:max_codes]
        common = sorted(code for code in frequent if dated[code].samples >= _COMMON * census.samples)
        measured = tuple(code for code in common if 2 * dated[code].values >= dated[code].facts)
        static = {code: seen for code, seen in sorted(census.static.items()) if seen.subjects >= needed}
        values = tuple(code for code, seen in static.items() if seen.values and 2 * seen.values >= seen.facts)
        texts = {
            code: _most_frequent(seen.texts, needed) for code, seen in static.items() if code not in values
        }
        categories = {code: frequent for code, frequent in texts.items() if frequent}
        return cls(
            windows,
            measured,
            counted=tuple(code for code in common if code not in set(measured)),
            rare=tuple(sorted(set(frequent) - set(common))),
            static_values=values,
            static_flags=tuple(code for code in static if code not in values and code not in categories),
            categories=categories,
            has_age=census.births > 0,
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name the inputs, dense ones first: `LOINC//8480-6 last 24h`."""
        return tuple(name for name, _ in self._columns())

    @cached_property
    def codes(self) -> tuple[str | None, ...]:
        """Give the code behind each input."""
        return tuple(code for _, code in self._columns())

    @property
    def flags(self) -> Set[str]:
        """Name the inputs that are 0 or 1: a static fact is there, or its text is this one."""
        texts = (f"{code}={text}" for code, texts in self.categories.items() for text in texts)
        return frozenset((*self.static_flags, *texts))

    @cached_property
    def summary(self) -> tuple[int, ...]:
        """Give the inputs that tell of each common code once, over the longest window: count, last, lowest, highest."""
        lengths = [np.inf if window == EVER else hours(window) for window in self.windows]
        longest = int(np.argmax(lengths)) if lengths else 0
        statistics = _COUNT_STATISTICS + _VALUE_STATISTICS
        offsets = [statistics.index(name) for name in ("count", "last", "min", "max")]
        chosen = list(range(self._measured_at(0)))
        if self.windows:
            first = self._measured_at(longest)
            chosen += [first + at * _WIDTH + offset for at in range(len(self.measured)) for offset in offsets]
            first = self._counted_at(longest)
            chosen += [first + at * len(_COUNT_STATISTICS) for at in range(len(self.counted))]
        return tuple(chosen)

    def transform(self, samples: Samples) -> FeatureMatrix:
        """Make the inputs of each sample, in order; the same for one as for many."""
        dense = np.full((len(samples), self._counted_at(len(self.windows))), np.nan, np.float32, order="F")
        columns = ("text_value",) if self.categories else ()
        if is_shared():
            return self._transformed_by_parts(samples, columns, dense)

        def fill(first: int, history: History) -> sp.csr_matrix:
            return self._fill(dense[first : first + history.n_samples], history)

        return self._matrix(dense, use_histories(samples, columns, fill))

    def to_json(self) -> dict[str, Any]:
        """Give the specification as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> WindowFeatures:
        """Read back what `to_json` gave."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        plain["categories"] = {code: tuple(texts) for code, texts in content["categories"].items()}
        return cls(**plain)

    def _transformed_by_parts(
        self, samples: Samples, columns: Sequence[str], dense: NDArray[np.float32]
    ) -> FeatureMatrix:
        """Make the inputs where the engine in force makes them."""
        sparse, first = list[sp.csr_matrix](), 0
        for own, rare in of_histories(samples, columns, self._of_part):
            dense[first : first + len(own)] = own
            sparse.append(rare)
            first += len(own)
        return self._matrix(dense, sparse)

    def _of_part(self, samples: Samples, history: History) -> tuple[NDArray[np.float32], sp.csr_matrix]:
        dense = np.full((len(samples), self._counted_at(len(self.windows))), np.nan, np.float32, order="F")
        return dense, self._fill(dense, history)

    def _matrix(self, dense: NDArray[np.float32], sparse: list[sp.csr_matrix]) -> FeatureMatrix:
        if len(sparse) != 1:
            none = sp.csr_matrix((0, len(self.windows) * len(self.rare)), dtype=np.float32)
            sparse = [sp.vstack([none, *sparse], format="csr")]
        return FeatureMatrix(dense, sparse[0], self.names, self.codes)

    def _columns(self) -> list[tuple[str, str | None]]:
        columns: list[tuple[str, str | None]] = [(AGE, BIRTH)] if self.has_age else []
        columns += [(code, code) for code in self.static_values + self.static_flags]
        columns += [(f"{code}={text}", code) for code, texts in self.categories.items() for text in texts]
        for codes, statistics in (
            (self.measured, _COUNT_STATISTICS + _VALUE_STATISTICS),
            (self.counted, _COUNT_STATISTICS),
        ):
            columns += [
                (f"{code} {statistic} {window}", code)
                for window in self.windows
                for code in codes
                for statistic in statistics
            ]
        columns += [(f"{code} count {window}", code) for window in self.windows for code in self.rare]
        return columns

    def _measured_at(self, window: int) -> int:
        """Give the column where the measured codes of a window begin."""
        static = len(self.static_values) + len(self.static_flags) + sum(map(len, self.categories.values()))
        return int(self.has_age) + static + window * len(self.measured) * _WIDTH

    def _counted_at(self, window: int) -> int:
        """Give the column where the counted codes of a window begin; behind the last one, dense inputs end."""
        return self._measured_at(len(self.windows)) + window * len(self.counted) * len(_COUNT_STATISTICS)

    def _fill(self, dense: NDArray[np.float32], history: History) -> sp.csr_matrix:
        """Fill the dense inputs of some samples, NaN so far; gives their sparse ones."""
        self._fill_static(dense, history, {code: index for index, code in enumerate(history.vocabulary)})
        facts = self._facts(history)
        lengths = [np.inf if window == EVER else hours(window) for window in self.windows]
        counts = count_facts(facts, lengths)
        self._fill_counts(dense, counts)
        if self.measured:
            self._fill_values(dense, summarise_values(facts.below(len(self.measured)), lengths))
        return self._sparse_counts(counts, history.n_samples)

    def _facts(self, history: History) -> Facts:
        """Number the specification's codes, measured first, and sort their facts with a time by code, sample, time."""
        numbers = self._numbers
        small = np.uint16 if len(numbers) < 65535 else np.uint32
        unknown = np.iinfo(small).max
        of_word = np.fromiter(
            (numbers.get(code, unknown) for code in history.vocabulary), small, len(history.vocabulary)
        )
        code = of_word[history.code]
        code[history.time == STATIC] = unknown
        # a stable radix sort: histories come sorted by sample and time; unknown codes end up behind
        kept = np.argsort(code, kind="stable")[: np.count_nonzero(code != unknown)]
        sample = history.sample[kept]
        age = (history.prediction_time[sample] - history.time[kept]) / MICROSECONDS_PER_HOUR
        return Facts(code[kept], sample, age, history.value[kept])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {code: number for number, code in enumerate((*self.measured, *self.counted, *self.rare))}

    def _fill_counts(self, dense: NDArray[np.float32], counts: Counts) -> None:
        """Fill count and hours since last of the measured and the counted codes."""
        n_measured, n_common = len(self.measured), len(self.measured) + len(self.counted)
        first, middle, end = self._measured_at(0), self._counted_at(0), self._counted_at(len(self.windows))
        dense[:, first:middle:_WIDTH] = 0
        dense[:, middle : end : len(_COUNT_STATISTICS)] = 0
        common = int(np.searchsorted(counts.code, n_common))
        code, sample, count = counts.code[:common], counts.sample[:common], counts.count[:common]
        is_measured = code < n_measured
        column = np.where(
            is_measured,
            first + code * _WIDTH,
            middle + (code - n_measured) * len(_COUNT_STATISTICS),
        )
        step = np.where(is_measured, n_measured * _WIDTH, len(self.counted) * len(_COUNT_STATISTICS))
        for window in range(len(self.windows)):
            met = np.flatnonzero(count[:, window])
            row, place = sample[met], column[met] + window * step[met]
            dense[row, place] = count[met, window]
            dense[row, place + 1] = counts.age[met]

    def _fill_values(self, dense: NDArray[np.float32], values: Values) -> None:
        """Fill first, last, min, max, mean and slope of the measured codes."""
        for window in range(len(self.windows)):
            met = np.flatnonzero(values.count[:, window])
            sample, column = values.sample[met], self._measured_at(window) + values.code[met] * _WIDTH
            for offset, statistic in enumerate(_VALUE_STATISTICS, len(_COUNT_STATISTICS)):
                dense[sample, column + offset] = getattr(values, statistic)[met, window]

    def _sparse_counts(self, counts: Counts, n: int) -> sp.csr_matrix:
        """Count the rare codes: (n, windows times codes)."""
        first = int(np.searchsorted(counts.code, len(self.measured) + len(self.counted)))
        count = counts.count[first:]
        pair, window = np.nonzero(count)
        column = (
            window * len(self.rare) + counts.code[first:][pair] - (len(self.measured) + len(self.counted))
        )
        shape, cells = (n, len(self.windows) * len(self.rare)), count[pair, window].astype(np.float32)
        if n == 1:
            order = np.argsort(column)
            return sp.csr_matrix((cells[order], column[order], [0, len(order)]), shape=shape)
        return sp.csr_matrix((cells, (counts.sample[first:][pair], column)), shape=shape)

    def _fill_static(self, dense: NDArray[np.float32], history: History, position: dict[str, int]) -> None:
        column = 0
        if self.has_age:
            born = np.flatnonzero(history.code == position.get(BIRTH, -1))
            age = (history.prediction_time[history.sample[born]] - history.time[born]) / MICROSECONDS_PER_HOUR
            dense[history.sample[born], column] = age / HOURS_PER_YEAR
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
            texts = pl.Series(history.columns["text_value"]).gather(static).to_numpy()
            for name, categories in self.categories.items():
                mine = code == position.get(name, -1)
                dense[sample[mine], column : column + len(categories)] = 0
                for offset, category in enumerate(categories):
                    chosen = mine & (texts == category)
                    dense[sample[chosen], column + offset] = 1
                column += len(categories)


def _most_frequent(texts: dict[str, int], needed: int) -> tuple[str, ...]:
    """Choose texts of as many subjects as are needed.

    >>> _most_frequent({"north": 12, "south": 30, "Jane Doe": 1}, 10)
    ('north', 'south')
    """
    common = (text for text, subjects in texts.items() if subjects >= needed)
    frequent = sorted(common, key=lambda text: (-texts[text], text))
    return tuple(sorted(frequent[:_MOST_CATEGORIES]))
