"""Shapley values: exact for trees, sampled for what begins with one matrix product."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions, Floats
from medloom.foundation.seeds import generator


@dataclass(frozen=True)
class TreeArrays:
    """One decision tree of m nodes, the root first; `x[feature] <= threshold` goes left.

    Attributes:
        left, right: (m,) the children, -1 at leaves.
        feature: (m,) input asked about.
        threshold: (m,).
        missing_left: (m,) whether a missing value goes left.
        value: (m, k) answers.
        cover: (m,) weight of the training samples that came by.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    missing_left: NDArray[np.bool_]
    value: Floats
    cover: Floats


def tree_contributions(trees: Sequence[TreeArrays], x: NDArray[np.float32]) -> Contributions:
    """Divide the mean answer of trees by TreeSHAP, path-dependent, through `shap`.

    Lundberg et al., Nature Machine Intelligence 2020;2:56-67, Algorithm 2. Needs no
    background data: the trees' own covers stand for the training samples.

    Args:
        trees: with the same k outputs.
        x: (n, p); NaN where missing.
    """
    import shap

    model = {
        "trees": [_as_shap(tree, len(trees)) for tree in trees],
        "internal_dtype": np.float64,
        "input_dtype": np.float32,
    }
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    k = trees[0].value.shape[1]
    values = np.asarray(explainer.shap_values(x, check_additivity=False), dtype=np.float64).reshape(
        *x.shape, k
    )
    baseline = np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64))
    return Contributions(np.moveaxis(values, 2, 1), baseline)


def boosted_contributions(raw: Floats, k: int) -> Contributions:
    """Read what LightGBM's `pred_contrib` gives: (n, k · (p + 1)), each output's baseline last.

    >>> boosted_contributions(np.array([[0.5, -2.0]]), 1).baseline.tolist()
    [-2.0]
    """
    n = raw.shape[0]
    shares = raw.reshape(n, k, -1)
    baseline = shares[0, :, -1] if n else np.zeros(k)
    return Contributions(shares[:, :, :-1], baseline)


def sampled_contributions(
    rest: Callable[[Floats], Floats],
    first_layer: Floats,
    x: Floats,
    background: Floats,
    sources: NDArray[np.int64],
    n_inputs: int,
    seed: int = 0,
) -> Contributions:
    """Estimate Shapley values of `rest(x @ first_layer)` by permutations, each also walked backwards.

    The inputs of a sample take the place of a background row's one after the other; what
    the answer moves at each step is that input's share. Sums hold exactly whatever the
    number of permutations. Štrumbelj and Kononenko, KAIS 2014;41:647-665; pairs of
    opposite permutations: Mitchell et al., JMLR 2022;23(43).

    As the first layer is linear, a walk over p inputs is a running sum and costs p
    vectors, not p matrix products.

    Args:
        rest: (m, d) → (m, k), row by row.
        first_layer: (c, d).
        x: (n, c) columns.
        background: (b, c) what stands for an unknown sample; the baseline is the mean answer for it.
        sources: (c,) the input each column comes from: they are exchanged together.
        n_inputs: p.
        seed: of the permutations; the same for every sample.
    """
    known = background @ first_layer
    starts = rest(known)
    values = np.zeros((x.shape[0], starts.shape[1], n_inputs))
    rng = generator(seed, "permutations")
    orders = [rng.permutation(n_inputs) for _ in background]
    by_input = np.argsort(sources, kind="stable")
    present, edges = np.unique(sources[by_input], return_index=True)
    for row, columns in enumerate(x):
        for start, begin, order in zip(background, known, orders, strict=True):
            steps = np.zeros((n_inputs, first_layer.shape[1]))
            moved = (columns - start)[by_input, None] * first_layer[by_input]
            steps[present] = np.add.reduceat(moved, edges, axis=0)
            for walk in (order, order[::-1]):
                path = np.vstack([begin, begin + np.cumsum(steps[walk], axis=0)])
                values[row][:, walk] += np.diff(rest(path), axis=0).T
    return Contributions(values / (2 * len(background)), starts.mean(axis=0))


def _as_shap(tree: TreeArrays, n_trees: int) -> dict[str, NDArray[np.generic]]:
    return {
        "children_left": tree.left.astype(np.int32),
        "children_right": tree.right.astype(np.int32),
        "children_default": np.where(tree.missing_left, tree.left, tree.right).astype(np.int32),
        "features": tree.feature.astype(np.int32),
        "thresholds": tree.threshold.astype(np.float64),
        "values": tree.value.astype(np.float64) / n_trees,
        "node_sample_weight": tree.cover.astype(np.float64),
    }
