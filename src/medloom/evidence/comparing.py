"""Whether one model is better than another on the same people, beside the paired bootstrap.

DeLong's test (DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837-845; the fast form of Sun and Xu, IEEE Signal
Process Lett 2014;21:1389-1393) and reclassification (Pencina et al., Stat Med 2008;27:157-172 and 2011;30:11-21).
Samples of one subject are not independent: then the bootstrap over subjects is the one to believe.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medloom.evidence.tally import Floats


@dataclass(frozen=True)
class DeLong:
    """Two areas under the ROC curve, their difference, its standard error and the two-sided p-value."""

    first: float
    second: float
    difference: float
    standard_error: float
    p_value: float


def delong(outcome: ArrayLike, first: ArrayLike, second: ArrayLike) -> DeLong:
    """Test whether two predictions (n,) of the same outcome (n,) have the same AUROC.

    Raises:
        ValueError: fewer than two samples with, or without, the outcome.

    >>> truth = [0, 0, 0, 1, 1, 1]
    >>> found = delong(truth, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.5, 0.3, 0.4, 0.2, 0.6])
    >>> round(found.first, 3), round(found.second, 3)
    (1.0, 0.667)
    """
    from scipy.stats import norm

    truth = np.asarray(outcome, dtype=bool)
    if min(truth.sum(), (~truth).sum()) < 2:
        raise ValueError("DeLong's test needs two samples with the outcome and two without")
    one, other = (_placements(truth, np.asarray(risk, dtype=np.float64)) for risk in (first, second))
    covariance = np.cov(one.with_outcome, other.with_outcome) / truth.sum()
    covariance += np.cov(one.without, other.without) / (~truth).sum()
    difference = one.area - other.area
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    p_value = float(2 * norm.sf(abs(difference) / error)) if error > 0 else float(difference == 0)
    return DeLong(one.area, other.area, difference, error, p_value)


@dataclass(frozen=True)
class Reclassification:
    """How new predictions move people against old ones; each in shares of those with, and without, the outcome.

    Attributes:
        nri_events, nri_nonevents: net share moved the right way, over `thresholds` or, without them, at all.
        nri: their sum, from -2 to 2; it is no share of anything and does not add up like one.
        idi: gain in the difference of mean risks between those with and without the outcome.
    """

    nri_events: float
    nri_nonevents: float
    nri: float
    idi: float


def reclassification(
    outcome: ArrayLike, old: ArrayLike, new: ArrayLike, thresholds: ArrayLike | None = None
) -> Reclassification:
    """Count how people move between risk categories, or with None up and down at all (n,).

    >>> found = reclassification([0, 0, 1, 1], [0.4, 0.6, 0.4, 0.6], [0.2, 0.4, 0.7, 0.8], [0.5])
    >>> found.nri_events, found.nri_nonevents, round(found.idi, 3)
    (0.5, 0.5, 0.45)
    """
    truth = np.asarray(outcome, dtype=bool)
    before, after = np.asarray(old, dtype=np.float64), np.asarray(new, dtype=np.float64)
    if thresholds is None:
        moved = np.sign(after - before)
    else:
        cuts = np.sort(np.asarray(thresholds, dtype=np.float64))
        moved = np.sign(np.searchsorted(cuts, after, "right") - np.searchsorted(cuts, before, "right"))
    events, nonevents = float(moved[truth].mean()), float(-moved[~truth].mean())
    gain = after - before
    return Reclassification(
        events, nonevents, events + nonevents, float(gain[truth].mean() - gain[~truth].mean())
    )


@dataclass(frozen=True)
class _Placements:
    area: float
    with_outcome: Floats  # share of those without that each one with the outcome outranks
    without: Floats  # and the other way round


def _placements(truth: NDArray[np.bool_], risk: Floats) -> _Placements:
    from scipy.stats import rankdata

    events, others = risk[truth], risk[~truth]
    among_all = rankdata(risk)
    with_outcome = (among_all[truth] - rankdata(events)) / len(others)
    without = 1 - (among_all[~truth] - rankdata(others)) / len(events)
    return _Placements(float(with_outcome.mean()), with_outcome, without)
