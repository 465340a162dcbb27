"""Statistics of facts over windows: each fact is gone through once, however many windows there are.

All windows end at the prediction time, so that each lies within the next longer one. Facts are cut where a
shorter window begins; the cells in between are summed up and then joined, newest first, by the pairwise update
of Chan, Golub and LeVeque (The American Statistician 1983;37:242-247), which keeps slopes accurate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """n facts with a time, sorted by code, sample, time.

    Attributes:
        code: (n,) unsigned, any numbering of the codes.
        sample: (n,) position of the sample.
        age: (n,) hours before the prediction time.
        value: (n,) float32, NaN where there is none.
    """

    code: NDArray[Any]
    sample: NDArray[np.int32]
    age: Floats
    value: NDArray[np.float32]

    def below(self, code: int) -> Facts:
        """Keep the codes numbered lower."""
        return self._at(slice(0, int(np.searchsorted(self.code, code))))

    def within(self, length: float) -> Facts:
        """Keep what is less than so many hours old."""
        return self if np.isinf(length) else self._at(self.age < length)

    def with_values(self) -> Facts:
        """Keep what has a value."""
        empty = np.isnan(self.value)
        return self._at(~empty) if empty.any() else self

    def _at(self, rows: slice | NDArray[np.bool_]) -> Facts:
        return Facts(self.code[rows], self.sample[rows], self.age[rows], self.value[rows])


@dataclass(frozen=True)
class Counts:
    """How often and how long ago, of g pairs of a code and a sample that has it, in w windows.

    Attributes:
        code: (g,) as numbered in the facts.
        sample: (g,) position of the sample.
        count: (g, w) facts.
        age: (g,) hours since the last fact, the same in all windows that hold one.
    """

    code: Integers
    sample: NDArray[np.int32]
    count: Integers
    age: Floats


@dataclass(frozen=True)
class Values:
    """Statistics of values, of g pairs of a code and a sample that has values of it, in w windows.

    Attributes:
        code: (g,) as numbered in the facts.
        sample: (g,) position of the sample.
        count: (g, w) facts with a value; where it is 0, the others mean nothing.
        first, last, min, max, mean: (g, w).
        slope: (g, w) change per hour by least squares; NaN where all values are of one moment.
    """

    code: Integers
    sample: NDArray[np.int32]
    count: Integers
    first: Floats
    last: Floats
    min: Floats
    max: Floats
    mean: Floats
    slope: Floats


def count_facts(facts: Facts, lengths: Sequence[float]) -> Counts:
    """Count facts in windows of some lengths in hours (infinity: all).

    >>> one, age, value = np.zeros(3, np.int32), np.array([30.0, 5, 2]), np.full(3, 7, np.float32)
    >>> count_facts(Facts(one, one, age, value), [24, 6, np.inf]).count.tolist()
    [[2, 2, 3]]
    """
    facts = facts.within(max(lengths))
    cells = _Cells.cut(facts, lengths)
    count = _newest_first(np.add, cells.grid(cells.sizes, 0))
    return Counts(*cells.pairs(facts), count[:, cells.window], facts.age[cells.ends - 1])


def summarise_values(facts: Facts, lengths: Sequence[float]) -> Values:
    """Summarise values in windows of some lengths in hours (infinity: all).

    >>> one, age, value = np.zeros(3, np.int32), np.array([3.0, 2, 1]), np.array([1, 3, 5], np.float32)
    >>> found = summarise_values(Facts(one, one, age, value), [24, 2.5])
    >>> found.first.tolist(), found.mean.tolist(), found.slope.tolist()
    ([[1.0, 3.0]], [[3.0, 4.0]], [[2.0, 2.0]])
    """
    facts = facts.with_values().within(max(lengths))
    cells = _Cells.cut(facts, lengths)
    starts, sizes = cells.starts, cells.sizes
    value, time = facts.value.astype(np.float64), -facts.age
    total, mean_time = np.add.reduceat(value, starts), np.add.reduceat(time, starts) / sizes
    time -= np.repeat(mean_time, sizes)
    spread = np.add.reduceat(time * time, starts)
    time *= value - np.repeat(total / sizes, sizes)
    moved = np.add.reduceat(time, starts)
    count = _newest_first(np.add, cells.grid(sizes, 0))
    totals = _newest_first(np.add, cells.grid(total, 0.0))
    mean = totals / np.maximum(count, 1)
    back = cells.window
    return Values(
        *cells.pairs(facts),
        count[:, back],
        _oldest(cells.grid(value[starts], np.nan))[:, back],
        np.broadcast_to(value[cells.ends - 1][:, None], count.shape),
        _newest_first(np.minimum, cells.grid(np.minimum.reduceat(value, starts), np.inf))[:, back],
        _newest_first(np.maximum, cells.grid(np.maximum.reduceat(value, starts), -np.inf))[:, back],
        mean[:, back],
        _slopes(cells, total, mean_time, spread, moved)[:, back],
    )


@dataclass(frozen=True)
class _Cells:
    """Where facts are cut: by code and sample into g groups, and these where one of w windows begins.

    Attributes:
        starts, sizes: (c,) of each cell that holds facts.
        place: (c,) group times w, plus the number of shorter windows that begin before the cell does.
        ends: (g,) where each group ends.
        window: (w,) the column of each window asked for; columns go from the longest to the shortest.
    """

    starts: Integers
    sizes: Integers
    place: Integers
    ends: Integers
    window: Integers

    @classmethod
    def cut(cls, facts: Facts, lengths: Sequence[float]) -> _Cells:
        """Cut facts, all of them within the longest window."""
        n = len(facts.age)
        longest_first = np.argsort(-np.asarray(lengths), kind="stable")
        stretch = np.zeros(n, np.uint8)
        for length in np.asarray(lengths)[longest_first[1:]]:
            stretch += facts.age < length
        group = np.ones(n, np.bool_)
        np.not_equal(facts.sample[1:], facts.sample[:-1], out=group[1:])
        group[1:] |= facts.code[1:] != facts.code[:-1]
        cell = group.copy()
        cell[1:] |= stretch[1:] != stretch[:-1]
        starts = np.flatnonzero(cell)
        place = (np.cumsum(group[starts]) - 1) * len(lengths) + stretch[starts]
        ends = np.append(np.flatnonzero(group)[1:], n)[: np.count_nonzero(group)]
        return cls(starts, np.diff(starts, append=n), place, ends, np.argsort(longest_first, kind="stable"))

    def pairs(self, facts: Facts) -> tuple[Integers, NDArray[np.int32]]:
        """Give code and sample of each group."""
        return facts.code[self.ends - 1].astype(np.int64), facts.sample[self.ends - 1]

    def grid(self, values: NDArray[Any], absent: float) -> NDArray[Any]:
        """Spread values of cells to (g, w); `absent` where a cell holds no fact."""
        spread = np.full((len(self.ends), len(self.window)), absent, values.dtype)
        spread.reshape(-1)[self.place] = values
        return spread


def _newest_first(join: np.ufunc, cells: NDArray[Any]) -> NDArray[Any]:
    """Join each cell with all newer ones."""
    joined: NDArray[Any] = join.accumulate(cells[:, ::-1], axis=1)[:, ::-1]
    return joined


def _oldest(cells: Floats) -> Floats:
    """Give the oldest of each cell and all newer ones; NaN stands for an empty cell."""
    for column in reversed(range(cells.shape[1] - 1)):
        empty = np.isnan(cells[:, column])
        cells[empty, column] = cells[empty, column + 1]
    return cells


def _slopes(cells: _Cells, total: Floats, mean_time: Floats, spread: Floats, moved: Floats) -> Floats:
    """Join the cells' sums of squares about their means, and divide.

    Args:
        cells: where the facts were cut.
        total: (c,) sum of values.
        mean_time: (c,) mean of times.
        spread: (c,) sum of squared times, about their mean.
        moved: (c,) sum of times multiplied by values, about their means.
    """
    count, time, value = (cells.grid(each, 0) for each in (cells.sizes, mean_time, total / cells.sizes))
    squares, products = cells.grid(spread, 0), cells.grid(moved, 0)
    slope = np.full(count.shape, np.nan)
    for column in reversed(range(count.shape[1])):
        if column + 1 < count.shape[1]:
            older, newer = count[:, column], count[:, column + 1]
            both = np.maximum(older + newer, 1)
            apart, higher = time[:, column] - time[:, column + 1], value[:, column] - value[:, column + 1]
            weight = older * newer / both
            squares[:, column] += squares[:, column + 1] + apart * apart * weight
            products[:, column] += products[:, column + 1] + apart * higher * weight
            time[:, column] = time[:, column + 1] + apart * (older / both)
            value[:, column] = value[:, column + 1] + higher * (older / both)
            count[:, column] += newer
        several = squares[:, column] > 1e-12
        slope[several, column] = products[several, column] / squares[several, column]
    return slope
