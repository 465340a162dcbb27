"""Decision trees as arrays, many of them in one list of nodes, so that a step down is taken in all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_FIELDS: Final = ("left", "right", "feature", "threshold", "missing_left", "cover")


@dataclass(frozen=True)
class Grove:
    """Trees one after the other in one list of m nodes; `x[feature] <= threshold` goes left.

    Attributes:
        roots: (b,) where each tree begins.
        left, right: (m,) the children, as places in the list; -1 at leaves.
        feature: (m,) input asked about.
        threshold: (m,).
        missing_left: (m,) whether a missing value goes left.
        cover: (m,) weight of the training samples that came by.
    """

    roots: Places
    left: Places
    right: Places
    feature: Places
    threshold: Floats
    missing_left: NDArray[np.bool_]
    cover: Floats

    @classmethod
    def of_sklearn(cls, learned: Sequence[Any]) -> Grove:
        """Take the trees of scikit-learn estimators."""
        trees = [one.tree_ for one in learned]
        sizes = [one.node_count for one in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        shift = np.repeat(roots, sizes)

        def joined(name: str, kind: type) -> NDArray[Any]:
            return np.concatenate([np.asarray(getattr(one, name)) for one in trees]).astype(kind)

        left, right = joined("children_left", np.int64), joined("children_right", np.int64)
        return cls(
            roots,
            np.where(left >= 0, left + shift, -1),
            np.where(right >= 0, right + shift, -1),
            joined("feature", np.int64),
            joined("threshold", np.float64),
            joined("missing_go_to_left", np.bool_),
            joined("weighted_n_node_samples", np.float64),
        )

    def __len__(self) -> int:
        return len(self.roots)

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Tell which nodes are leaves: (m,)."""
        return self.left < 0

    @property
    def edges(self) -> Places:
        """Give where each tree but the first begins."""
        return self.roots[1:]

    def leaves(self, x: NDArray[np.floating]) -> Places:
        """Find the leaf of each row in each tree: (n, p) → (n, b)."""
        at = np.repeat(self.roots[None], len(x), axis=0)
        rows = np.arange(len(x))[:, None]
        inner = self.left[at] >= 0
        while inner.any():
            value = x[rows, np.where(inner, self.feature[at], 0)]
            left = np.where(np.isnan(value), self.missing_left[at], value <= self.threshold[at])
            at = np.where(inner, np.where(left, self.left[at], self.right[at]), at)
            inner = self.left[at] >= 0
        return at

    def from_leaves(self, value: Floats) -> Floats:
        """Give each inner node the mean of its leaves' values (m, k), by cover."""
        filled = np.where(self.is_leaf[:, None], value, 0.0)
        # children stand behind their parents
        for node in np.flatnonzero(~self.is_leaf)[::-1]:
            left, right = self.left[node], self.right[node]
            weights = self.cover[left], self.cover[right]
            filled[node] = (weights[0] * filled[left] + weights[1] * filled[right]) / (
                weights[0] + weights[1]
            )
        return filled

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all of it, by name, to be written."""
        return {"roots": self.roots, **{name: getattr(self, name) for name in _FIELDS}}

    @classmethod
    def read(cls, folder: Path) -> Grove:
        """Read back what was written of `arrays`."""
        return cls(*(np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("roots", *_FIELDS)))
