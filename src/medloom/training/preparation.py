"""Inputs made fit for models that add and multiply: linear ones, networks, support vectors.

Trees need none of it. Everything is learned on the training samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.training.arrays import read_array, write_arrays

Floats = NDArray[np.float64]

_LOW, _HIGH = 1.0, 99.0  # percentiles; beyond them a value is a rare extreme or a slip of the pen
# (q95 + q5 - 2 q50) / (q95 - q5) from which a positive quantity (creatinine, counts) is read as a logarithm
_SKEWED: Final = 0.35
# A "not measured" column for inputs missing in neither nearly all nor nearly none of the samples
_MISSING_LEAST, _MISSING_MOST = 0.02, 0.98
_ROWS_LOOKED_AT: Final = 50_000  # percentiles and means need no more


@dataclass(frozen=True)
class Preparation:
    """Clip to percentiles, take logarithms of what is skewed, standardise; say what was missing.

    A value that was not measured becomes the mean, so that it speaks for nothing; that it
    was not measured may speak, in a column of its own. With `curved` an input also enters
    by its distance from the median, so that both too low and too high can be harmful: temperature, glucose, potassium.

    Columns are: standardised inputs, distances, missing flags. All arrays are (c0,) over
    the c0 inputs that vary, but for the last two.

    Attributes:
        kept: positions of the inputs that vary.
        low, high: where they are clipped.
        offset: added before the logarithm; NaN: no logarithm.
        mean, scale: of what comes out of that.
        centre: the median, after standardising.
        far_mean, far_scale: of the distances; scale NaN: no such column.
        flagged: positions of the inputs with a missing flag.
        flag_mean: share missing.
    """

    kept: NDArray[np.int64]
    low: Floats
    high: Floats
    offset: Floats
    mean: Floats
    scale: Floats
    centre: Floats
    far_mean: Floats
    far_scale: Floats
    flagged: NDArray[np.int64]
    flag_mean: Floats

    @classmethod
    def fit(cls, x: NDArray[np.float32], curved: bool = True) -> "Preparation":
        """Learn from training inputs (n, p), NaN: missing.

        Raises:
            InputError: no input varies.
        """
        if len(x) > _ROWS_LOOKED_AT:
            x = x[:: -(-len(x) // _ROWS_LOOKED_AT)]
        least, low, q5, median, q95, high, most = _quantiles(x, (0, _LOW, 5, 50, 95, _HIGH, 100))
        flagged = _flagged(x)
        kept = np.flatnonzero(most > least)
        if not len(kept) and not len(flagged):
            raise InputError(
                "no input differs between the {n} training samples; import more facts, or widen what the task observes",
                n=len(x),
            )
        # what happens to fewer than one in a hundred would be clipped away altogether
        rare = low >= high
        low, high = np.where(rare, least, low)[kept], np.where(rare, most, high)[kept]
        spread = np.where(q95 > q5, q95 - q5, np.inf)
        skewed = ((q95 + q5 - 2 * median) / spread > _SKEWED) | (rare & (most > 1))
        logged = (skewed & (least >= 0))[kept]
        offset = np.where(logged, np.where(median[kept] > 0, 0.1 * median[kept], 1.0), np.nan)
        values = _clipped(x[:, kept], low, high, offset)
        mean, scale = _moments(values)
        values = (values - mean) / scale
        centre = _quantiles(values, (50,))[0]
        far_mean, far_scale = _moments(np.abs(values - centre))
        # two values have a distance each, which says nothing that the value does not
        bent = curved & (_count_different(values) > 2) & (far_scale > 1e-6)
        far_scale = np.where(bent, far_scale, np.nan)
        flag_mean = np.isnan(x[:, flagged]).mean(axis=0)
        return cls(kept, low, high, offset, mean, scale, centre, far_mean, far_scale, flagged, flag_mean)

    @property
    def sources(self) -> NDArray[np.int64]:
        """Give the input each column comes from: (c,)."""
        return np.concatenate([self.kept, self.kept[self._curved], self.flagged])

    def column_names(self, names: Sequence[str]) -> list[str]:
        """Name the columns after the inputs they come from."""
        kept = [names[place] for place in self.kept]
        far = [tr("{input}, away from its median", input=kept[place]) for place in self._curved]
        return kept + far + [tr("{input} not known", input=names[place]) for place in self.flagged]

    def transform(self, x: NDArray[np.float32]) -> Floats:
        """Prepare inputs (n, p), NaN: missing; gives (n, c)."""
        z = (_clipped(x[:, self.kept], self.low, self.high, self.offset) - self.mean) / self.scale
        curved = self._curved
        n_kept, n_curved = len(self.kept), len(curved)
        out = np.empty((len(x), n_kept + n_curved + len(self.flagged)))
        far = (np.abs(z[:, curved] - self.centre[curved]) - self.far_mean[curved]) / self.far_scale[curved]
        out[:, :n_kept] = z
        out[:, n_kept : n_kept + n_curved] = far
        np.nan_to_num(out[:, : n_kept + n_curved], copy=False)
        deviation = np.sqrt(self.flag_mean * (1 - self.flag_mean))
        out[:, n_kept + n_curved :] = (np.isnan(x[:, self.flagged]) - self.flag_mean) / deviation
        return out

    def write(self, folder: Path) -> None:
        """Write into a model's weights."""
        write_arrays(
            folder, **{f"preparation.{field.name}": getattr(self, field.name) for field in fields(self)}
        )

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Tell whether a model's weights hold one."""
        return (folder / "preparation.kept.npy").is_file()

    @classmethod
    def read(cls, folder: Path) -> "Preparation":
        """Read back what `write` wrote."""
        return cls(*(read_array(folder, f"preparation.{field.name}") for field in fields(cls)))

    @property
    def _curved(self) -> NDArray[np.int64]:
        return np.flatnonzero(~np.isnan(self.far_scale))


def _clipped(x: NDArray[np.float32], low: Floats, high: Floats, offset: Floats) -> Floats:
    values = np.clip(x.astype(np.float64), low, high)
    logged = np.flatnonzero(~np.isnan(offset))
    values[:, logged] = np.log(values[:, logged] + offset[logged])
    return values


def _quantiles(x: NDArray[np.floating], percents: tuple[float, ...]) -> Floats:
    """Give percentiles of each column without its missing values: (len(percents), p), NaN where all are missing."""
    ordered = np.sort(x, axis=0).astype(np.float64)  # NaN last
    counts = (~np.isnan(ordered)).sum(axis=0)
    columns = np.arange(x.shape[1])
    out = np.full((len(percents), x.shape[1]), np.nan)
    some = counts > 0
    for row, percent in enumerate(percents):
        place = (counts - 1) * percent / 100
        below = np.clip(np.floor(place), 0, None).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(counts - 1, 0))
        value = ordered[below, columns] + (place - below) * (
            ordered[above, columns] - ordered[below, columns]
        )
        out[row, some] = value[some]
    return out


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Give mean and standard deviation of each column without its missing values; a deviation of 0 becomes 1."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / count)
    return mean, np.where(deviation > 1e-9, deviation, 1.0)


def _count_different(values: Floats) -> NDArray[np.int64]:
    """Count the different values of each column, up to 3."""
    least, most = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    between = ((values > least) & (values < most)).any(axis=0)
    return np.where(between, 3, np.where(most > least, 2, 1))


def _flagged(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Choose the inputs that get a missing flag: one for each pattern of missing values."""
    share = np.isnan(x).mean(axis=0)
    candidates = np.flatnonzero((share >= _MISSING_LEAST) & (share <= _MISSING_MOST))
    first: dict[bytes, int] = {}
    for column in candidates:
        first.setdefault(np.packbits(np.isnan(x[:, column])).tobytes(), int(column))
    return np.array(sorted(first.values()), dtype=np.int64)
