"""How near what was made up lies to what it was learned from, beside what it was not learned from.

Nearest neighbours: Yale et al., Neurocomputing 2020;416:244-255. Membership by distance to what was made up: Chen et
al., CCS 2020 (GAN-Leaks, full black box).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import estimate

Floats = NDArray[np.float64]
Groups = NDArray[Any]

MEMBERSHIP_LIMIT: Final = 0.55
"""An attacker surely above this tells too well who was learned from; 0.5 is a guess."""

DISTANCE_LIMIT: Final = 0.9
"""What is made up surely nearer than this share of what unseen real ones are, is too near."""

_REPLICATES: Final = 200


@dataclass(frozen=True)
class Nearness:
    """Distances to nearest neighbours, compared.

    Attributes:
        near: of what was made up, to the nearest that was learned from: (k,).
        usual: of unseen real ones, to the same: (m,).
        ratio: median of the first over that of the second.
        membership: AUROC of one who tells, by the distance to the nearest made-up one, who was learned from.
    """

    near: Floats
    usual: Floats
    ratio: Estimate
    membership: Estimate


def nearness(
    every: Floats,
    inside: Floats,
    outside: Floats,
    made: Floats,
    rng: np.random.Generator,
    *,
    groups: tuple[Groups | None, Groups | None] = (None, None),
) -> Nearness:
    """Compare rows (n, d) that distances can be taken between.

    Args:
        every: all that was learned from.
        inside: as many of them as there are unseen ones: the nearest of more is nearer.
        outside: unseen real ones.
        made: what was made up.
        rng: of intervals.
        groups: of `inside` and of `outside`, whom each row belongs to; None: each its own.
    """
    near, usual = nearest(made, every), nearest(outside, every)
    of_inside, of_outside = groups
    draws = np.array(
        [_ratio(resampled(near, rng), resampled(usual, rng, of_outside)) for _ in range(_REPLICATES)]
    )
    members, others = -nearest(inside, made), -nearest(outside, made)
    told = np.array(
        [
            auroc(resampled(members, rng, of_inside), resampled(others, rng, of_outside))
            for _ in range(_REPLICATES)
        ]
    )
    return Nearness(near, usual, estimate(_ratio(near, usual), draws), estimate(auroc(members, others), told))


def nearest(rows: Floats, others: Floats) -> Floats:
    """Give the distance of each row to the nearest of others: (n,)."""
    found: Floats = _neighbours(rows, others)[0][:, 0]
    return found


def nearest_places(rows: Floats, others: Floats) -> NDArray[np.int64]:
    """Give the place of the nearest of others of each row: (n,)."""
    found: NDArray[np.int64] = _neighbours(rows, others)[1][:, 0]
    return found


def auroc(yes: Floats, no: Floats) -> float:
    """Give the share of pairs in which the first scores higher; NaN: there is no pair."""
    from scipy.stats import rankdata

    if not len(yes) or not len(no):
        return float("nan")
    ranks = rankdata(np.concatenate([yes, no]))[: len(yes)]
    return float((ranks.sum() - len(yes) * (len(yes) + 1) / 2) / (len(yes) * len(no)))


def resampled(values: Floats, rng: np.random.Generator, groups: Groups | None = None) -> Floats:
    """Draw with replacement as many values as there are, or as many groups of them.

    Args:
        values: (n,).
        rng: that draws.
        groups: (n,) whom each belongs to, who is drawn with all that is theirs; None: each is drawn alone.

    >>> drawn = resampled(np.array([1.0, 1.0, 2.0]), np.random.default_rng(0), np.array(["a", "a", "b"]))
    >>> drawn.tolist()
    [2.0, 2.0]
    """
    if groups is None:
        return values[rng.integers(len(values), size=len(values))]
    owner = np.unique(groups, return_inverse=True)[1]
    n = int(owner.max()) + 1
    times = np.bincount(rng.integers(n, size=n), minlength=n)
    return np.repeat(values, times[owner])


def _ratio(near: Floats, usual: Floats) -> float:
    middle = float(np.median(usual))
    return float(np.median(near)) / middle if middle > 0 else float("nan")


def _neighbours(rows: Floats, others: Floats) -> tuple[Floats, NDArray[np.int64]]:
    from sklearn.neighbors import NearestNeighbors

    distances, places = NearestNeighbors(n_neighbors=1).fit(others).kneighbors(rows)
    return distances, places
