"""How much each sample counts where a patient has several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def one_a_patient(groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weigh samples so that those of each patient (n,) count as one together: (n,).

    >>> one_a_patient(np.array([7, 7, 8])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place], dtype=np.float64)
