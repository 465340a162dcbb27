"""Whether predicted risks are the risks that were observed.

The hierarchy of Van Calster et al., J Clin Epidemiol 2016;74:167-176: mean
(intercept), weak (slope), and moderate calibration (by bins of risk).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.tally import Floats, Tally, ratio

SMALLEST_RISK = 1e-7
"""Risks of exactly 0 or 1 have no logit; they are moved this far inside before recalibration."""

_EPSILON = float(np.finfo(np.float64).eps)
# Newton's steps shrink quadratically: after one of 1e-4 the next would be about 1e-8.
_TOLERANCE = 1e-4
_STEPS = 40
_STEEPEST = 1e4


class CalibrationLine(NamedTuple):
    """Logistic recalibration: logit(risk) = intercept + slope x logit(prediction)."""

    intercept: Floats
    slope: Floats


class CalibrationBins(NamedTuple):
    """Equal-mass bins of risk: `weight`, mean `predicted`, `observed` share, each (..., bins)."""

    weight: Floats
    predicted: Floats
    observed: Floats


def brier(counted: Tally) -> Floats:
    """Compute the mean squared error of predicted risks. Brier, Mon Weather Rev 1950;78:1-3.

    >>> from medloom.evidence.tally import tally
    >>> round(float(brier(tally([0, 1], [0.2, 0.9]))), 6)
    0.025
    """
    loss = counted.positive @ (1 - counted.score) ** 2 + counted.negative @ counted.score**2
    return ratio(loss, counted.total.sum(axis=-1))


def scaled_brier(counted: Tally) -> Floats:
    """Compute the share of the Brier score of the observed prevalence that is gained: 1 is perfect, 0 no gain.

    Steyerberg et al., Epidemiology 2010;21:128-138.

    >>> from medloom.evidence.tally import tally
    >>> round(float(scaled_brier(tally([0, 0, 1, 1], [0.0, 0.5, 0.5, 1.0]))), 6)
    0.5
    """
    share = ratio(counted.positive.sum(axis=-1), counted.total.sum(axis=-1))
    return 1 - ratio(brier(counted), share * (1 - share))


def hosmer_lemeshow(counted: Tally, bins: int = 10, fitted: bool = False) -> tuple[Floats, Floats]:
    """Test calibration over equal-mass bins: the statistic and its p-value by χ².

    Reported because reviewers ask for it; it finds nothing in small samples and something in any large one, so
    the curve says more. Hosmer and Lemeshow, Commun Stat 1980;A9:1043-1069; degrees of freedom are the bins, or two
    fewer where the model was `fitted` to these very samples (Hosmer, Lemeshow and Sturdivant 2013, section 5.2.2).
    """
    from scipy.stats import chi2

    weight, predicted, observed = calibration_bins(counted, bins)
    variance = weight * predicted * (1 - predicted)
    parts = ratio((weight * (observed - predicted)) ** 2, variance)
    used = np.isfinite(parts).sum(axis=-1)
    statistic = np.where(used > 2, np.nansum(parts, axis=-1), np.nan)
    return statistic, np.asarray(chi2.sf(statistic, np.maximum(used - 2 * fitted, 1)))


def log_loss(counted: Tally) -> Floats:
    """Compute the mean negative log likelihood; risks are clipped to the float's epsilon as in scikit-learn.

    >>> from medloom.evidence.tally import tally
    >>> round(float(log_loss(tally([0, 1], [0.5, 0.5]))), 6)
    0.693147
    """
    risk = np.clip(counted.score, _EPSILON, 1 - _EPSILON)
    loss = -(counted.positive @ np.log(risk) + counted.negative @ np.log1p(-risk))
    return ratio(loss, counted.total.sum(axis=-1))


def calibration_intercept(counted: Tally, start: Floats | float = 0.0) -> Floats:
    """Compute calibration in the large: the intercept when logit(prediction) is an offset; ideal 0.

    Above 0 the model says too little, below 0 too much. Newton's method from `start`;
    NaN where only one outcome occurs. Van Calster 2016, equation for mean calibration.

    >>> from medloom.evidence.tally import tally
    >>> abs(round(float(calibration_intercept(tally([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]))), 6))
    0.0
    """
    x, total = logit(counted.score), counted.total
    events = counted.positive.sum(axis=-1)
    intercept = np.broadcast_to(np.asarray(start, dtype=np.float64), events.shape).copy()
    settled = np.zeros(events.shape, dtype=bool)
    for _ in range(_STEPS):
        risk = expit(intercept[..., None] + x)
        expected = total * risk
        gap = events - expected.sum(axis=-1)
        step = _bounded(ratio(gap, np.einsum("...u,...u->...", expected, 1 - risk)))
        intercept += step
        settled = ~(np.abs(step) > _TOLERANCE)
        if settled.all():
            break
    both = (events > 0) & (counted.negative.sum(axis=-1) > 0)
    return np.where(settled & both, intercept, np.nan)


def calibration_line(counted: Tally, start: CalibrationLine | None = None) -> CalibrationLine:
    """Fit logistic recalibration, outcome on logit(prediction), by Newton's method from `start`.

    NaN where it has no finite solution: one outcome only, constant predictions, or
    predictions that separate the outcomes completely.
    """
    x, total = logit(counted.score), counted.total
    mass, events = total.sum(axis=-1), counted.positive.sum(axis=-1)
    # Centred for conditioning; powers of x in columns make each sum one matrix product.
    centre = float(x.mean()) if x.size else 0.0
    powers = np.stack([np.ones_like(x), x - centre, (x - centre) ** 2], axis=-1)
    targets = counted.positive @ powers[:, :2]
    if start is None:
        level, slope = logit(ratio(events, mass)), np.zeros_like(mass)
    else:
        slope = np.broadcast_to(start.slope, mass.shape)
        level = start.intercept + slope * centre
    settled = np.zeros(mass.shape, dtype=bool)
    for _ in range(_STEPS):
        risk = expit(level[..., None] + slope[..., None] * powers[:, 1])
        expected = total * risk
        gradient = targets - expected @ powers[:, :2]
        curvature = (expected * (1 - risk)) @ powers
        g0, g1 = gradient[..., 0], gradient[..., 1]
        h00, h01, h11 = curvature[..., 0], curvature[..., 1], curvature[..., 2]
        determinant = h00 * h11 - h01 * h01
        # A relative bound: constant predictions make the determinant zero up to rounding.
        determinant = np.where(determinant > 1e-12 * h00 * h11, determinant, np.nan)
        level_step = _bounded((h11 * g0 - h01 * g1) / determinant)
        slope_step = _bounded((h00 * g1 - h01 * g0) / determinant)
        level, slope = level + level_step, slope + slope_step
        settled = ~(np.maximum(np.abs(level_step), np.abs(slope_step)) > _TOLERANCE)
        if settled.all():
            break
    solved = settled & (np.abs(slope) < _STEEPEST) & (events > 0) & (events < mass)
    intercept = level - slope * centre
    return CalibrationLine(np.where(solved, intercept, np.nan), np.where(solved, slope, np.nan))


def calibration_slope(counted: Tally) -> Floats:
    """Compute the calibration slope: outcome regressed on logit(prediction); ideal 1.

    Below 1 predictions are too extreme (overfitting), above 1 too timid. Van Calster 2016.

    >>> from medloom.evidence.tally import tally
    >>> odds = [0.2] * 10 + [0.8] * 10
    >>> round(float(calibration_slope(tally([1] * 2 + [0] * 8 + [1] * 8 + [0] * 2, odds))), 6)
    1.0
    """
    return calibration_line(counted).slope


def calibration_bins(counted: Tally, bins: int = 10) -> CalibrationBins:
    """Sort risks into `bins` bins of equal weight; equal predictions stay together, an empty bin is NaN.

    A prediction belongs to the bin in which the middle of its weight falls.
    """
    total = counted.total
    summed = counted.positive_up_to + counted.negative_up_to
    middle = (summed - total / 2).reshape(-1, counted.score.size)
    inner = np.arange(1, bins) / bins
    masses = summed[..., -1].reshape(-1)
    cuts = [
        [0, *np.searchsorted(row, inner * mass), row.size] for row, mass in zip(middle, masses, strict=True)
    ]
    at = np.array(cuts, dtype=np.intp).reshape(*total.shape[:-1], bins + 1)
    weight = _between(summed, at)
    predicted = _between(np.cumsum(total * counted.score, axis=-1), at)
    observed = _between(counted.positive_up_to, at)
    return CalibrationBins(weight, ratio(predicted, weight), ratio(observed, weight))


def ece(counted: Tally, bins: int = 10) -> Floats:
    """Compute the expected calibration error over equal-mass bins (ten by default).

    The mean distance between predicted and observed risk, weighted by bin. Equal-mass
    rather than equal-width: with rare outcomes nearly all risks share the lowest
    equal-width bin. Nixon et al., CVPR Workshops 2019 (adaptive calibration error).

    >>> from medloom.evidence.tally import tally
    >>> round(float(ece(tally([0, 1, 0, 1], [0.1, 0.1, 0.7, 0.7]))), 6)
    0.3
    """
    weight, predicted, observed = calibration_bins(counted, bins)
    gap = np.where(weight > 0, np.abs(predicted - observed) * weight, 0.0)
    return ratio(gap.sum(axis=-1), weight.sum(axis=-1))


def logit(risk: Floats) -> Floats:
    """Give log-odds, finite for risks of 0 and 1."""
    clipped = np.clip(risk, SMALLEST_RISK, 1 - SMALLEST_RISK)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds


def expit(x: Floats) -> Floats:
    """Give risks of log-odds."""
    # tanh never overflows, and is one pass.
    risk: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return risk


def _bounded(step: Floats) -> Floats:
    return np.clip(step, -4.0, 4.0)


def _between(summed: Floats, at: NDArray[np.intp]) -> Floats:
    """Differences of a running sum at cut positions: (..., u) and (..., bins + 1) → (..., bins)."""
    padded = np.concatenate([np.zeros((*summed.shape[:-1], 1)), summed], axis=-1)
    difference: Floats = np.diff(np.take_along_axis(padded, at, axis=-1), axis=-1)
    return difference
