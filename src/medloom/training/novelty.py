"""How unlike the patients a model learned from a new one is, and what makes it so.

A robust Mahalanobis distance over standardised inputs and what was not measured, set against the distances of the
training patients. It keeps medians, spreads and a covariance, no row of a patient. Measured on PhysioNet 2012 (149
inputs, 2,000 stays, against 2,000 others): a value ten times too large in one input is told apart with an AUROC of
0.86, five inputs off by two standard deviations 0.93, inputs mixed from two patients 1.00; an isolation forest has
0.52, 0.55 and 0.60, the distance to the ten nearest stays, which would have to be kept, 0.72, 0.63 and 0.75.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.tasks.samples import Samples
from medloom.training.arrays import read_array, write_arrays
from medloom.training.products import product

Floats = NDArray[np.float64]

FEWEST: Final = 50
"""Training patients below which nobody can be said to be unlike them."""

_MOST_INPUTS: Final = 250
_PLACED: Final = 5_000  # training samples that tell where patients lie among representations
_ROWS_LOOKED_AT: Final = 20_000
_FURTHEST: Final = 20.0  # standard deviations; a slip of the pen is far out enough there
_SKEWED: Final = 0.35  # as in `Preparation`
_MISSING_LEAST, _MISSING_MOST = 0.02, 0.98
_SHRINKAGE: Final = 0.02
_BEYOND_ALL: Final = (
    99.0  # percentile of what lies beyond every training patient: a reader is warned from there
)
_PERCENTS: Final = np.array([*range(100), 99.5, 99.9])


@dataclass(frozen=True)
class Novelty:
    """Where training patients lie, and how far from their middle.

    Attributes:
        columns: (c,) positions of the inputs that are looked at.
        offset: (c,) added before the logarithm; NaN: no logarithm.
        centre, scale: (c,) median and robust spread.
        flagged: positions, of the c, whose being missing counts.
        share: of training patients in whom each of those is missing.
        middle: (d,) mean of what comes out of that, d = c + the flagged.
        precision: (d, d) inverse of the covariance, drawn a little towards its diagonal.
        distances: of training patients, measured from the middle of others, at percentiles 0 … 99, 99.5, 99.9.
        furthest: the percentile beyond which so many patients cannot tell.
    """

    columns: NDArray[np.int64]
    offset: Floats
    centre: Floats
    scale: Floats
    flagged: NDArray[np.int64]
    share: Floats
    middle: Floats
    precision: Floats
    distances: Floats
    furthest: Floats

    @classmethod
    def fit(
        cls, x: NDArray[np.float32], columns: NDArray[np.int64], groups: NDArray[np.int64]
    ) -> Novelty | None:
        """Learn from training inputs.

        Args:
            x: (n, c) NaN where missing.
            columns: (c,) where they stand among the model's inputs.
            groups: (n,) patients.

        Returns:
            None where fewer than 50 patients, or no inputs that vary, tell too little.

        >>> x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
        >>> found = Novelty.fit(x, np.arange(3), np.arange(400))
        >>> percentile, _ = found.of(np.array([[0.1, 0, 0], [9, 0, 0]], np.float32))
        >>> bool(percentile[0] < 20), float(percentile[1].round(1))
        (True, 99.8)
        """
        step = max(1, -(-len(x) // _ROWS_LOOKED_AT))
        x, groups = x[::step], groups[::step]
        subjects = len(np.unique(groups))
        if subjects < FEWEST:
            return None
        kept = _that_vary(x)
        if not len(kept):
            return None
        x, columns = x[:, kept], columns[kept]
        offset = _offset(x)
        centre, scale = _place(_logged(x, offset))
        missing = np.isnan(x).mean(axis=0)
        flagged = np.flatnonzero((missing >= _MISSING_LEAST) & (missing <= _MISSING_MOST))
        nothing = np.empty(0)
        made = cls(
            columns, offset, centre, scale, flagged, missing[flagged], nothing, nothing, nothing, nothing
        )
        z = made._standard(x)
        # whoever the middle and the covariance were learned from lies closer to them than others will
        half = np.unique(groups, return_inverse=True)[1] % 2 == 0
        away = np.empty(len(z))
        for mine in (half, ~half):
            middle, precision = _moments(z[~mine])
            away[mine] = _products(z[mine] - middle, precision).sum(axis=1)
        middle, precision = _moments(z)
        furthest = np.array([min(99.9, 100 * subjects / (subjects + 1))])
        return cls(
            columns, offset, centre, scale, flagged, missing[flagged], middle, precision,
            np.percentile(away, _PERCENTS), furthest,
        )  # fmt: skip

    def of(self, x: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Tell of inputs (n, p), NaN: missing, how unusual each row is, and by what.

        Returns:
            (n,) how many of 100 training patients are closer to their middle, and (n, p) each input's part of the
            distance, by which inputs can be ranked; parts of inputs that pull towards the middle are negative.
        """
        z = self._standard(x[:, self.columns])
        parts = _products(z - self.middle, self.precision)
        percentile = np.interp(parts.sum(axis=1), self.distances, _PERCENTS, left=0.0)
        n_values = len(self.columns)
        own = parts[:, :n_values].copy()
        own[:, self.flagged] += parts[:, n_values:]
        out = np.zeros(x.shape)
        out[:, self.columns] = own
        told = np.minimum(percentile, self.furthest)
        beyond = parts.sum(axis=1) > self.distances[-1]  # all of them, however few they are
        return np.where(beyond, np.maximum(told, _BEYOND_ALL), told), out

    def write(self, folder: Path) -> None:
        """Write into a model's weights."""
        write_arrays(folder, **{f"novelty.{field.name}": getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, folder: Path) -> Novelty | None:
        """Read back what `write` wrote; None: nothing was."""
        if not (folder / "novelty.columns.npy").is_file():
            return None
        return cls(*(read_array(folder, f"novelty.{field.name}") for field in fields(cls)))

    def _standard(self, x: NDArray[np.float32]) -> Floats:
        """Standardise (n, c), a missing value at the median, and say what is missing: (n, d)."""
        z = np.clip((_logged(x, self.offset) - self.centre) / self.scale, -_FURTHEST, _FURTHEST)
        flags = (np.isnan(x[:, self.flagged]) - self.share) / np.sqrt(self.share * (1 - self.share))
        return np.hstack([np.nan_to_num(z), flags])


@runtime_checkable
class Representing(Protocol):
    """A model that sums a patient up in numbers that nobody can name."""

    @property
    def novelty(self) -> Novelty | None:
        """Tell where training patients lie among them; None: they were too few."""
        ...

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        """Sum samples up: (n, width)."""
        ...


def where_they_lie(model: Representing, train: Samples) -> Novelty | None:
    """Learn where training patients lie among a model's representations; None: they are too few."""
    step = max(1, -(-len(train) // _PLACED))
    some = train.where(pl.int_range(pl.len()) % step == 0)
    return where_known(model.represent(some), some.groups)


def where_known(known: NDArray[np.float32], groups: NDArray[np.int64]) -> Novelty | None:
    """Learn the same from representations (n, width) of training samples and their patients (n,)."""
    some = known[:, :_MOST_INPUTS]
    return Novelty.fit(some, np.arange(some.shape[1]), groups)


def chosen(known: NDArray[np.integer], places: Sequence[int]) -> NDArray[np.int64]:
    """Choose the inputs that are known most often, where there are very many: positions, ascending.

    Args:
        known: (c,) in how many samples each is known.
        places: (c,) their positions.
    """
    order = np.argsort(-known, kind="stable")[:_MOST_INPUTS]
    return np.sort(np.asarray(places, np.int64)[order])


def _that_vary(x: NDArray[np.float32]) -> NDArray[np.int64]:
    known = ~np.isnan(x)
    low = np.where(known, x, np.inf).min(axis=0)
    high = np.where(known, x, -np.inf).max(axis=0)
    return np.flatnonzero(high > low)


def _offset(x: NDArray[np.float32]) -> Floats:
    least, q5, median, q95 = np.nanpercentile(x, (0, 5, 50, 95), axis=0)
    spread = np.where(q95 > q5, q95 - q5, np.inf)
    skewed = ((q95 + q5 - 2 * median) / spread > _SKEWED) & (least >= 0)
    return np.where(skewed, np.where(median > 0, 0.1 * median, 1.0), np.nan)


def _logged(x: NDArray[np.float32], offset: Floats) -> Floats:
    out = x.astype(np.float64)
    logs = np.flatnonzero(~np.isnan(offset))
    out[:, logs] = np.log(np.maximum(out[:, logs], 0) + offset[logs])
    return out


def _place(y: Floats) -> tuple[Floats, Floats]:
    """Give median and spread, as a normal distribution with such quarters and tails would have it."""
    q5, q25, median, q75, q95 = np.nanpercentile(y, (5, 25, 50, 75, 95), axis=0)
    robust = np.maximum((q75 - q25) / 1.349, (q95 - q5) / 3.29)
    plain = np.nanstd(y, axis=0)
    return median, np.where(robust > 1e-9, robust, np.where(plain > 1e-9, plain, 1.0))


def _moments(z: Floats) -> tuple[Floats, Floats]:
    """Give mean and inverse covariance; the fewer patients, the more is their covariance drawn to its diagonal."""
    middle = z.mean(axis=0)
    covariance = np.cov(z.T).reshape(z.shape[1], z.shape[1])
    drawn = min(0.9, _SHRINKAGE + 0.1 * z.shape[1] / len(z))
    diagonal = np.maximum(np.diag(covariance), 1e-2)
    return middle, np.linalg.inv(
        (1 - drawn) * covariance + drawn * np.diag(diagonal) + 1e-6 * np.eye(len(middle))
    )


def _products(away: Floats, precision: Floats) -> Floats:
    """Divide squared distances between columns: (n, d) → (n, d)."""
    parts: Floats = away * product(away, precision)
    return parts
