"""What learners of tables are fed: numbers, with readable names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

# Above this many cells a matrix with rare columns is handed over sparse.
_DENSE_CELLS: Final = 250_000_000


@dataclass(frozen=True)
class FeatureMatrix:
    """n samples by p inputs, kept in two blocks: common inputs dense, rare ones sparse.

    Attributes:
        dense: (n, d) float32; NaN where nothing was measured.
        sparse: (n, p - d) float32 CSR; counts, 0 where nothing happened.
        names: p readable names, those of `dense` first.
        codes: p codes behind the inputs.
    """

    dense: NDArray[np.float32]
    sparse: sp.csr_matrix
    names: tuple[str, ...]
    codes: tuple[str | None, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Give (n, p)."""
        return self.dense.shape[0], self.dense.shape[1] + self.sparse.shape[1]

    @property
    def values(self) -> NDArray[np.float32] | sp.csr_matrix:
        """Give all inputs as one matrix: an array, or CSR with explicit NaN when an array would not fit."""
        if not self.sparse.shape[1]:
            return self.dense
        n, p = self.shape
        if n * p <= _DENSE_CELLS:
            return np.hstack([self.dense, self.sparse.toarray()])
        rows, columns = np.nonzero(self.dense)  # NaN counts as non-zero and stays
        block = sp.csr_matrix((self.dense[rows, columns], (rows, columns)), shape=self.dense.shape)
        return sp.hstack([block, self.sparse], format="csr")
