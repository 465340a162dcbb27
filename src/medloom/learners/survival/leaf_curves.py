"""What the leaves of trees say: the observed incidence among their samples, all leaves at once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.tasks.survival import Outcomes
from medloom.training.nonparametric import incidence_of_hazards

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_NOBODY: Final = 1e-12  # left alive of a leaf


def leaf_incidence(
    leaf: Places, bag: NDArray[np.integer], outcomes: Outcomes, times: Floats, leaves: int
) -> NDArray[np.float32]:
    """Estimate the cumulative incidence of each event in each leaf: (leaves, k, t).

    Kaplan and Meier's; with competing events Aalen and Johansen's, but for events of several kinds within one
    interval of the grid, which share it.

    Args:
        leaf: (n, b) number of each sample's leaf in each tree; trees share no numbers.
        bag: (n, b) how often each sample was drawn for each tree.
        outcomes: of the n.
        times: (t,) of the curves.
        leaves: how many there are.
    """
    trees = leaf.shape[1]
    drawn = bag.T.ravel() > 0
    weight = bag.T.ravel()[drawn].astype(np.float64)
    distinct, rank = np.unique(outcomes.time, return_inverse=True)
    key = leaf.T.ravel()[drawn] * len(distinct) + np.tile(rank, trees)[drawn]
    order = np.argsort(key, kind="stable")
    key, weight = key[order], weight[order]
    cause = np.tile(outcomes.cause, trees)[drawn][order]
    place = np.tile(np.searchsorted(times, outcomes.time, "left"), trees)[drawn][order]
    number = key // len(distinct)
    events = np.flatnonzero((cause > 0) & (place < len(times)))
    # at risk: from the first of the same leaf and time to the last of the leaf
    running = np.append(0.0, np.cumsum(weight))
    new_key = np.append(True, key[1:] != key[:-1])
    first = np.maximum.accumulate(np.where(new_key, np.arange(len(key)), 0))
    ends = np.searchsorted(number, np.arange(leaves), "right")
    at_risk = running[ends[number[events]]] - running[first[events]]
    # of events at one time each is taken out before the next: together the leaf's Kaplan-Meier factor, whose
    # logarithm stands for the hazard; in small leaves Nelson-Aalen's sum would leave too many alive
    seen = np.append(0.0, np.cumsum(np.where(cause > 0, weight, 0.0)))
    left = at_risk - (seen[events] - seen[first[events]])
    step = -np.log(np.maximum(1 - weight[events] / left, _NOBODY))
    hazard = np.empty((leaves, outcomes.causes, len(times)))
    for column in range(outcomes.causes):
        own = cause[events] == column + 1
        at = number[events][own] * len(times) + place[events][own]
        steps = np.bincount(at, step[own], minlength=leaves * len(times))
        hazard[:, column] = np.cumsum(steps.reshape(leaves, len(times)), axis=1)
    return incidence_of_hazards(hazard).astype(np.float32)
