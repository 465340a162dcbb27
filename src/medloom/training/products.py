"""Matrix products whose rows do not depend on how many are asked for at once.

BLAS chooses another order of additions for one row than for many, so that the answer
for one patient would differ in the last digits from the same patient's in a batch.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Fills the registers of every BLAS kernel; one row costs as much as 16.
_ROWS: Final = 16


def product(x: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply (n, p) by (p, d), in blocks of a fixed number of rows.

    >>> product(np.ones((2, 3)), np.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """
    n = x.shape[0]
    out = np.empty((n, weights.shape[1]))
    block = np.zeros((_ROWS, x.shape[1]))
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        block[: stop - start] = x[start:stop]
        block[stop - start :] = 0
        out[start:stop] = (block @ weights)[: stop - start]
    return out
