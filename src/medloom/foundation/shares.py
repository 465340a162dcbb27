"""How sure a share is that was counted."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z: Final = 1.959964  # 95 % of a normal distribution lie within so many standard deviations


def wilson(count: ArrayLike, n: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the 95 % intervals of shares (Wilson, JASA 1927;22:209-212): low and high, as shaped; of none: 0 to 1.

    >>> [end.round(3).tolist() for end in wilson([0, 14, 0], [10, 50, 0])]
    [[0.0, 0.175, 0.0], [0.278, 0.417, 1.0]]
    """
    counted, of = np.asarray(count, np.float64), np.asarray(n, np.float64)
    known = np.maximum(of, 1)
    share = np.where(of > 0, counted / known, 0.5)
    middle = (share + Z**2 / (2 * known)) / (1 + Z**2 / known)
    reach = Z * np.sqrt(share * (1 - share) / known + Z**2 / (4 * known**2)) / (1 + Z**2 / known)
    low, high = np.maximum(middle - reach, 0), np.minimum(middle + reach, 1)
    return np.where(of > 0, low, 0.0), np.where(of > 0, high, 1.0)
