"""Two units in one code: values in two groups, well apart, by a known factor.

The test, on the logarithm of the values: their density (Gaussian kernel) has a valley
no higher than a fifth of the lower peak beside it; the groups it parts are apart by
Ashman's D > 3 (Ashman, Bird and Zepf, Astron J 1994;108:2348; above 2 is a clean
separation) and each fill the range they span, which doses and scores do not; the
smaller has 20 values and 0.5 % at least; and the ratio of the medians is within 10 %
of a factor between units. A factor of the measurement itself (by its molar mass, say)
is strong evidence; one of the general ones only a hint. On 2,000 samples of lognormal,
normal, gamma, t-distributed and whole numbers and of doses there was one false hint;
groups that overlap, as adults' weights in kg and lb do, are not found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.knowledge import units
from medloom.knowledge.limits import limits
from medloom.knowledge.loinc import observable

BIN: Final = 0.01  # decades
LOWEST: Final = -6.0
BINS: Final = 1_400  # up to 10^8
_KERNEL: Final = 0.03
_VALLEY: Final = 0.2
_APART: Final = 3.0
_FEWEST: Final = 20
_LEAST_SHARE: Final = 0.005
_NEAR: Final = math.log10(1.1)
_FILLED: Final = 0.35

# pounds, inches, kPa, kcal; glucose, creatinine, cholesterol, bilirubin, calcium between mass and moles; powers of ten
_TENS: Final = (10.0, 100.0, 1000.0)
_GENERAL: Final = (2.2046, 2.54, 7.5006, 4.184, 18.016, 88.4, 38.67, 17.1, 4.008, *_TENS)
_USUAL_UNITS: Final = (
    "mg/dL g/dL g/L mg/L ug/dL ug/L ng/mL ng/L mmol/L umol/L nmol/L pmol/L meq/L kg g [lb_av] cm m [in_i] mm[Hg] kPa "
    "Cel [degF] % 1 mmol/mol 10*9/L 10*3/uL /uL 10*12/L 10*6/uL L mL [IU]/L U/L fL pg mL/min L/min"
).split()


@dataclass(frozen=True)
class Groups:
    """Two groups of values: their medians, the size of the one that seems wrong, and its likely unit."""

    main: float
    other: float
    count: int
    of: int
    unit: str | None  # that the other group seems to be in; None: a general factor
    again: bool  # the other group is not in this unit but was converted from it once too often


def place(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the bin of each positive value: (n,) in [0, BINS)."""
    return np.clip(((np.log10(values) - LOWEST) / BIN).astype(np.int64), 0, BINS - 1)


def two_units(histogram: NDArray[np.int64], code: str, unit: str | None) -> Groups | None:
    """Test whether values in `histogram` (BINS,) of log10 seem to be in two units; None: they do not.

    >>> rng = np.random.default_rng(1)
    >>> values = np.concatenate([rng.lognormal(np.log(100), 0.2, 900), rng.lognormal(np.log(5.55), 0.2, 100)])
    >>> found = two_units(np.bincount(place(values), minlength=BINS), "LOINC//2345-7", "mg/dL")
    >>> found.count, found.unit
    (100, 'mmol/L')
    """
    total = int(histogram.sum())
    if total < 2 * _FEWEST:
        return None
    bins = np.flatnonzero(histogram)
    if (bins[-1] - bins[0]) * BIN < math.log10(2):
        return None
    best: Groups | None = None
    for valley in _valleys(_smoothed(histogram)):
        found = _parted(histogram, valley, code, unit)
        if found is not None and (
            best is None or (found.unit is not None, found.count) > (best.unit is not None, best.count)
        ):
            best = found
    return best


def _smoothed(histogram: NDArray[np.int64]) -> NDArray[np.float64]:
    reach = int(4 * _KERNEL / BIN)
    offsets = np.arange(-reach, reach + 1) * BIN
    kernel = np.exp(-0.5 * (offsets / _KERNEL) ** 2)
    return np.convolve(histogram, kernel / kernel.sum(), mode="same")


def _valleys(density: NDArray[np.float64]) -> list[int]:
    """Find where the density falls to a fifth of the lower of the highest peaks on either side."""
    left, right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    low = density <= _VALLEY * np.minimum(left, right)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    return [
        int(start + np.argmin(density[start:stop]) + _flat(density[start:stop]) // 2)
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]


def _flat(density: NDArray[np.float64]) -> int:
    """Count the bins that are as low as the lowest, so that the cut falls in the middle of an empty valley."""
    return int((density <= density.min() + 1e-12).sum())


def _parted(histogram: NDArray[np.int64], valley: int, code: str, unit: str | None) -> Groups | None:
    below, above = histogram[:valley], histogram[valley:]
    total, n_below = int(histogram.sum()), int(below.sum())
    smaller = min(n_below, total - n_below)
    if smaller < max(_FEWEST, _LEAST_SHARE * total):
        return None
    if not (_is_spread(below) and _is_spread(above)):
        return None
    (low, low_spread), (high, high_spread) = _middle(below, 0), _middle(above, valley)
    if math.sqrt(2) * (high - low) <= _APART * math.hypot(low_spread, high_spread):
        return None
    sizes = {low: n_below, high: total - n_below}
    usual, unusual = sorted(sizes, key=lambda middle: -sizes[middle])
    # most values are in the code's unit, unless the measurement itself tells otherwise
    for again in (False, True):
        for main, other in ((usual, unusual), (unusual, usual)):
            if (name := _other_unit(10**main, 10**other, code, unit, again)) is not None:
                return Groups(10**main, 10**other, sizes[other], total, name, again)
    if not _is_general_factor(unusual - usual, code):
        return None
    return Groups(10**usual, 10**unusual, smaller, total, None, False)


def _is_spread(histogram: NDArray[np.int64]) -> bool:
    """Tell whether values fill the bins they span, as measurements do and doses and scores do not."""
    bins = np.flatnonzero(histogram)
    span = int(bins[-1] - bins[0]) + 1
    return len(bins) >= max(2.0, _FILLED * min(span, int(histogram.sum())))


def _middle(histogram: NDArray[np.int64], start: int) -> tuple[float, float]:
    """Give median and spread (from the quartiles) of log10 values."""
    cumulated = np.cumsum(histogram) / histogram.sum()
    q1, median, q3 = (
        LOWEST + (start + int(np.searchsorted(cumulated, q)) + 0.5) * BIN for q in (0.25, 0.5, 0.75)
    )
    return median, max((q3 - q1) / 1.349, BIN)


def _other_unit(main: float, other: float, code: str, unit: str | None, again: bool) -> str | None:
    """Find the unit that makes of `other` what `main` is: in which it was left or, with `again`, from which it was
    converted once too often."""
    possible = limits(code)
    for name in _USUAL_UNITS:
        found = _conversion(name, code, unit)
        if found is None:
            continue
        scale, offset = found
        mended = (other - offset) / scale if again else other * scale + offset
        if mended > 0 and _near(mended, main) and not _near(other, main):
            bounds = None if possible is None else _conversion(possible.unit, code, unit)
            if possible is None or bounds is None:
                return name
            low, high = (bound * bounds[0] + bounds[1] for bound in (possible.low, possible.high))
            return name if low <= main <= high else None
    return None


def _near(first: float, second: float) -> bool:
    return abs(math.log10(first / second)) < _NEAR


def _is_general_factor(difference: float, code: str) -> bool:
    """Tell whether `difference` (log10) is near a factor between any units."""
    # of a measurement that is known, all units are: another ratio is another thing, or a decimal point
    factors = _GENERAL if observable(code) is None else _TENS
    return any(abs(abs(difference) - math.log10(factor)) < _NEAR for factor in factors)


@cache
def _conversion(name: str, code: str, unit: str | None) -> tuple[float, float] | None:
    target = unit or units.preferred(code)
    if target is None or observable(code) is None:
        return None
    return units.factor(name, target, code)
