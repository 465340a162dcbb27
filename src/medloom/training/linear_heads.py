"""The layer of answers of a network, found from few labels without descending into the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearHead:
    """Scores of representations (n, d): `x @ weight.T + bias`.

    Attributes:
        weight: (k, d).
        bias: (k,).
    """

    weight: Floats
    bias: Floats

    def scores(self, x: Floats) -> Floats:
        """Score: (n, d) → (n, k)."""
        scored: Floats = x @ self.weight.T + self.bias
        return scored


@dataclass(frozen=True)
class Standard:
    """Where representations lie, and how widely: each (d,)."""

    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, x: Floats) -> Standard:
        """Learn from representations (n, d); what never varies keeps its scale."""
        spread = x.std(axis=0)
        return cls(x.mean(axis=0), np.where(spread > 1e-9, spread, 1.0))

    def applied(self, x: Floats) -> Floats:
        """Give distances from the centre in units of the scale."""
        standard: Floats = (x - self.centre) / self.scale
        return standard

    def undone(self, head: LinearHead) -> LinearHead:
        """Turn a head over standardised representations into one over representations."""
        weight = head.weight / self.scale
        return LinearHead(weight, head.bias - weight @ self.centre)
