"""What acting on predictions is worth: net benefit over thresholds (decision curve analysis).

Whoever acts at a risk of p says that one person helped outweighs (1 − p) / p who are treated in vain. In that
currency a model, treating everybody and treating nobody can be compared: Vickers and Elkin, Med Decis Making
2006;26:565-574.
"""

from typing import Any

import numpy as np

from medloom.evidence.tally import Floats, Tally, ratio

THRESHOLDS = np.arange(1, 100) / 100
"""The thresholds of a decision curve."""

_NOTHING = 1e-9  # rounding is no benefit


def net_benefit(counted: Tally, thresholds: Floats = THRESHOLDS) -> Floats:
    """Give the net benefit of acting on predictions ≥ each of (t,) thresholds, per person: (..., t).

    True positives minus false positives times threshold / (1 − threshold), by the number of people.

    >>> from medloom.evidence.tally import tally
    >>> net_benefit(tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), np.array([0.2, 0.5])).round(4).tolist()
    [0.4375, 0.25]
    """
    first = np.searchsorted(counted.score, thresholds, side="left")
    true = _at_or_above(counted.positive_up_to, first)
    false = _at_or_above(counted.negative_up_to, first)
    everyone = counted.positive_up_to[..., -1:] + counted.negative_up_to[..., -1:]
    return ratio(true - false * _price(thresholds), np.broadcast_to(everyone, true.shape))


def net_benefit_of_all(counted: Tally, thresholds: Floats = THRESHOLDS) -> Floats:
    """Give the net benefit of acting on everybody: (..., t).

    >>> from medloom.evidence.tally import tally
    >>> net_benefit_of_all(tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), np.array([0.2, 0.5])).tolist()
    [0.375, 0.0]
    """
    share = ratio(
        counted.positive_up_to[..., -1:], counted.positive_up_to[..., -1:] + counted.negative_up_to[..., -1:]
    )
    return share - (1 - share) * _price(thresholds)


def useful_range(gain: Floats, thresholds: Floats = THRESHOLDS) -> tuple[float, float] | None:
    """Give the widest run of thresholds at which something is gained; None: nowhere.

    Args:
        gain: (t,) net benefit beyond that of acting on everybody or on nobody, whichever is more.
        thresholds: (t,) ascending.

    >>> useful_range(np.array([-0.05, 0.1, 0.1]), np.array([0.1, 0.2, 0.3]))
    (0.2, 0.3)
    """
    better = np.append((gain > _NOTHING).astype(int), 0)
    change = np.diff(better, prepend=0)
    begins, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1
    if not begins.size:
        return None
    widest = int(np.argmax(ends - begins))
    return float(thresholds[begins[widest]]), float(thresholds[ends[widest]])


def _at_or_above(summed: Floats, first: np.ndarray[Any, np.dtype[np.intp]]) -> Floats:
    below = np.where(first > 0, summed[..., np.maximum(first - 1, 0)], 0.0)
    above: Floats = summed[..., -1:] - below
    return above


def _price(thresholds: Floats) -> Floats:
    price: Floats = thresholds / (1 - thresholds)
    return price
