"""Small networks as arrays: how learned ones are kept and asked, without the library that they were learned by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.training.arrays import read_array, write_arrays
from medloom.training.products import product

Floats = NDArray[np.float64]

_BACKGROUND: Final = 8
_LEAST_BEHIND_ONE: Final = 20


@dataclass(frozen=True)
class Network:
    """Layers of rectified units; the last gives scores. weights[i]: (d_i, d_i+1), biases[i]: (d_i+1,)."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def after_first(self, reached: Floats) -> Floats:
        """Score from the first product on: (m, d1) → (m, k)."""
        for bias, weights in zip(self.biases[:-1], self.weights[1:], strict=True):
            reached = product(np.maximum(reached + bias, 0), weights)
        return reached + self.biases[-1]

    def scores(self, x: Floats) -> Floats:
        """Score: (m, c) → (m, k)."""
        return self.after_first(product(x, self.weights[0]))


def first_layers(networks: Sequence[Network]) -> Floats:
    """Put the first layers of networks that look at the same columns beside each other: (c, d)."""
    return np.hstack([network.weights[0] for network in networks])


def mean_after_first(networks: Sequence[Network], reached: Floats) -> Floats:
    """Average the scores of networks from their first products on, as `first_layers` put them: (m, d) → (m, k)."""
    edges = np.cumsum([network.weights[0].shape[1] for network in networks])[:-1]
    parts = np.split(reached, edges, axis=1)
    scores = [network.after_first(part) for network, part in zip(networks, parts, strict=True)]
    total = scores[0]
    for more in scores[1:]:
        total = total + more
    return total / len(scores)


def write_networks(folder: Path, networks: Sequence[Network]) -> None:
    """Write networks into a model's weights, a folder each."""
    for place, network in enumerate(networks):
        for layer, (weights, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            write_arrays(folder / f"network-{place}", **{f"weights-{layer}": weights, f"bias-{layer}": bias})


def read_networks(folder: Path) -> list[Network]:
    """Read back what `write_networks` wrote."""
    networks = []
    for place in range(len(list(folder.glob("network-*")))):
        part = folder / f"network-{place}"
        layers = range(len(list(part.glob("bias-*.npy"))))
        weights = tuple(read_array(part, f"weights-{layer}") for layer in layers)
        networks.append(Network(weights, tuple(read_array(part, f"bias-{layer}") for layer in layers)))
    return networks


def typical_rows(x: NDArray[np.floating], scores: Floats) -> Floats:
    """Give means of training samples with similar scores, low to high: (b, c).

    Reasons need something to compare a patient with, and a package must not hold other
    patients: each number is a mean of at least 20 (of all, where there are fewer); what is known of fewer is missing.

    Args:
        x: (n, c) NaN: missing.
        scores: (n, k).

    >>> typical_rows(np.array([[1.0], [3.0]]), np.array([[0.0], [1.0]])).tolist()
    [[2.0]]
    """
    order = np.argsort(scores @ np.arange(1, scores.shape[1] + 1), kind="stable")
    parts = min(_BACKGROUND, max(1, len(x) // _LEAST_BEHIND_ONE))
    return np.stack([_mean_known(x[rows]) for rows in np.array_split(order, parts)])


def _mean_known(x: NDArray[np.floating]) -> Floats:
    known = (~np.isnan(x)).sum(axis=0)
    enough = known >= min(_LEAST_BEHIND_ONE, len(x))
    mean: Floats = np.nansum(x, axis=0, dtype=np.float64) / np.maximum(known, 1)
    return np.where(enough, mean, np.nan)
