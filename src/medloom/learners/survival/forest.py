"""Random survival forests, grown by scikit-learn's compiled trees."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import TreeArrays, tree_contributions
from medloom.foundation.seeds import derive
from medloom.learners.survival.estimator import SurvivalEstimator
from medloom.learners.survival.leaf_curves import leaf_incidence
from medloom.learners.survival.problem import Problem
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.arrays import read_array, write_arrays
from medloom.training.nonparametric import Timeline, step_at
from medloom.training.trees import Grove

Floats = NDArray[np.float64]

# Settings tried on samples out of bag: whether thresholds are drawn at random, and samples in a leaf at least. The
# first is kept unless another is better by more than chance in a few hundred samples.
TRIED: Final = ((False, 8), (False, 3), (False, 25), (True, 5))
_BETTER: Final = 0.97
_HORIZONS: Final = 3
_TREES_A_TRIAL: Final = 4  # one in so many
_WIDE: Final = 0.7
_MOST_CELLS: Final = 60_000_000  # numbers that leaves hold: a quarter of a gigabyte


class ForestEstimator(SurvivalEstimator):
    """The mean of the curves in the leaves that a sample falls into."""

    method = "TreeSHAP, path-dependent (Lundberg et al. 2020)"
    scale = "time lost"

    def __init__(self, times: Floats, grove: Grove, incidence: NDArray[np.float32], gain: Floats) -> None:
        self.times = times
        self.grove = grove
        self.incidence = incidence  # (leaves, k, t), in the order of the leaves among the nodes
        self.gain = gain  # (c,)
        self._number = np.cumsum(grove.is_leaf) - 1

    def curves(self, x: NDArray[np.floating]) -> Curves:
        return Curves(self.times, self._mean(x, self.incidence))

    def scores(self, x: NDArray[np.floating]) -> Floats:
        """Give the time each event is expected to take away until the last time of the curves: (n, k)."""
        return self._mean(x, self._lost())

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        grove, lost = self.grove, self._lost()
        value = np.zeros((len(grove.left), lost.shape[1]))
        value[grove.is_leaf] = lost
        value = grove.from_leaves(value)
        edges = np.append(grove.roots, len(grove.left))
        trees = []
        for root, end in pairwise(edges):
            part = slice(root, end)
            inner = grove.left[part] >= 0
            trees.append(
                TreeArrays(
                    np.where(inner, grove.left[part] - root, -1),
                    np.where(inner, grove.right[part] - root, -1),
                    grove.feature[part],
                    grove.threshold[part],
                    grove.missing_left[part],
                    value[part],
                    grove.cover[part],
                )
            )
        return tree_contributions(trees, x.astype(np.float32)).gathered(sources, n_inputs)

    def importance(self) -> Floats:
        return self.gain

    def write(self, folder: Path) -> None:
        write_arrays(
            folder, times=self.times, incidence=self.incidence, gain=self.gain, **self.grove.arrays()
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        times, incidence, gain = (read_array(folder, name) for name in ("times", "incidence", "gain"))
        return cls(times, Grove.read(folder), incidence, gain)

    def _mean(self, x: NDArray[np.floating], value: NDArray[np.floating]) -> Floats:
        leaf = self._number[self.grove.leaves(x)]
        total = np.zeros((len(x), *value.shape[1:]))
        for tree in range(len(self.grove)):
            total += value[leaf[:, tree]]
        return total / len(self.grove)

    def _lost(self) -> Floats:
        return Curves(self.times, self.incidence.astype(np.float64)).time_lost()


@dataclass(frozen=True)
class Growth:
    """How trees are grown.

    Attributes:
        n_trees: how many.
        min_leaf: samples in a leaf at least.
        random_thresholds: whether thresholds are drawn at random.
        max_features: share of the inputs to choose each question from, or `sqrt` of their number.
    """

    n_trees: int
    min_leaf: int
    random_thresholds: bool
    max_features: float | str

    def grown(self, x: NDArray[np.float32], target: Floats, seed: int, threads: int) -> Grown:
        """Grow trees whose leaves differ in a target (n, m), each from samples drawn with replacement."""
        from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

        made = ExtraTreeRegressor if self.random_thresholds else DecisionTreeRegressor
        # a random threshold is a weak question: more inputs are asked about at each
        share = _WIDE if self.random_thresholds and self.max_features == "sqrt" else self.max_features
        rng = np.random.default_rng(seed)
        n = len(x)
        drawn = rng.integers(n, size=(self.n_trees, n))
        states = rng.integers(2**31 - 1, size=self.n_trees)
        bag = np.stack([np.bincount(one, minlength=n) for one in drawn])
        look = bool(np.isnan(x).any())  # only then does each tree have to look where values are missing

        def one(place: int) -> Any:
            tree = made(min_samples_leaf=self.min_leaf, max_features=share, random_state=int(states[place]))
            return tree.fit(x, target, sample_weight=bag[place].astype(np.float64), check_input=look)

        # scikit-learn's own forest copies, checks and draws again for each tree, which takes longer than a small tree
        if threads == 1:
            trees = [one(place) for place in range(self.n_trees)]
        else:
            with ThreadPoolExecutor(threads) as pool:
                trees = list(pool.map(one, range(self.n_trees)))
        is_leaf = np.concatenate([tree.tree_.children_left < 0 for tree in trees])
        number = np.cumsum(is_leaf) - 1
        roots = np.concatenate([[0], np.cumsum([tree.tree_.node_count for tree in trees])[:-1]])
        fallen = np.stack([tree.tree_.apply(x) for tree in trees], axis=1)
        return Grown(trees, number[fallen + roots], bag.T, int(is_leaf.sum()))


@dataclass(frozen=True)
class Grown:
    """Trees, and where the samples they were grown from fell.

    Attributes:
        trees: b of scikit-learn's.
        leaf: (n, b) number of each sample's leaf; trees share no numbers.
        bag: (n, b) how often each sample was drawn.
        leaves: how many there are.
    """

    trees: Sequence[Any]
    leaf: NDArray[np.int64]
    bag: NDArray[np.int64]
    leaves: int

    def incidence(self, outcomes: Outcomes, times: Floats) -> NDArray[np.float32]:
        """Fill the leaves with curves: (leaves, k, t)."""
        return leaf_incidence(self.leaf, self.bag, outcomes, times, self.leaves)


def residuals(outcomes: Outcomes, horizons: int = _HORIZONS) -> Floats:
    """Give what each sample's fate says against the average, up to some horizons: (n, k · horizons), each scaled.

    Events less the hazard lived through by then (martingale residuals of no model). Trees that
    divide their squares divide by the log-rank test, early and late: Hothorn and Lausen,
    Comput Stat Data Anal 2003;43:121-137; Keleş and Segal, Stat Med 2002;21:313-326.
    """
    counted = Timeline.of(outcomes).counted()
    columns = []
    for cause in range(1, outcomes.causes + 1):
        happened = outcomes.cause == cause
        ends = np.quantile(outcomes.time[happened], np.linspace(0, 1, horizons + 1)[1:])
        for end in ends:
            until = np.minimum(outcomes.time, end)
            lived = step_at(counted.steps, counted.hazard[cause - 1], until, 0.0)
            residual = (happened & (outcomes.time <= end)) - lived
            columns.append(residual / max(float(residual.std()), 1e-12))
    return np.column_stack(columns)


def tuned_growth(
    x: NDArray[np.float32],
    outcomes: Outcomes,
    target: Floats,
    candidates: Sequence[Growth],
    seed: int,
    threads: int,
) -> Growth:
    """Choose how to grow trees by the error of curves on samples out of bag."""
    if len(candidates) == 1:
        return candidates[0]
    happened = outcomes.time[outcomes.happened]
    times = np.unique(np.quantile(happened, np.linspace(0, 1, _HORIZONS + 2)[1:-1]))
    losses = []
    for growth in candidates:
        grown = growth.grown(x, target, seed, threads)
        incidence = grown.incidence(outcomes, times)
        outside = (grown.bag == 0).astype(np.float64)
        said = np.einsum("nb,nbkt->nkt", outside, incidence[grown.leaf])
        asked = outside.sum(axis=1)
        some = asked > 0
        losses.append(censored_error(outcomes[some], said[some] / asked[some, None, None], times))
    best = int(np.argmin(losses))
    return candidates[best if losses[best] < _BETTER * losses[0] else 0]


def censored_error(outcomes: Outcomes, incidence: Floats, times: Floats) -> float:
    """Give the mean Brier score, over events and times, of incidences (n, k, t); censored samples stood for."""
    weight, early = censoring_weights(outcomes, times), outcomes.time[:, None] <= times
    error = 0.0
    for cause in range(1, outcomes.causes + 1):
        truth = early & (outcomes.cause == cause)[:, None]
        error += float((weight * (truth - incidence[:, cause - 1]) ** 2).mean())
    return error


def censoring_weights(outcomes: Outcomes, times: Floats) -> Floats:
    """Give how many samples each stands for at some times, as others were censored before them: (n, t).

    Graf et al., Stat Med 1999;18:2529-2545.
    """
    counted = Timeline.of(outcomes).counted()
    own = step_at(counted.steps, counted.uncensored, outcomes.time, 1.0)
    by = step_at(counted.steps, counted.uncensored, times, 1.0)
    early = outcomes.time[:, None] <= times
    return np.where(early, (outcomes.happened / np.maximum(own, 0.01))[:, None], 1 / np.maximum(by, 0.01))


def learned_forest(
    problem: Problem, candidates: Sequence[Growth], n_trees: int, threads: int
) -> ForestEstimator:
    """Choose among candidates, grow the trees, and fill their leaves with curves."""
    x, outcomes = problem.together()
    x = np.asarray(x, dtype=np.float32)
    target = residuals(outcomes)
    seed = derive(problem.seed, "forest") & 0x7FFFFFFF
    # leaves hold a curve each: with many samples they have to be larger
    least = -(-len(x) * n_trees * len(problem.times) * outcomes.causes // _MOST_CELLS)
    few = max(1, n_trees // _TREES_A_TRIAL)
    tried = [
        Growth(few, max(one.min_leaf, least), one.random_thresholds, one.max_features) for one in candidates
    ]
    best = tuned_growth(x, outcomes, target, tried, seed, threads)
    growth = Growth(n_trees, best.min_leaf, best.random_thresholds, best.max_features)
    grown = growth.grown(x, target, seed, threads)
    gain = np.mean([tree.tree_.compute_feature_importances() for tree in grown.trees], axis=0)
    grove = Grove.of_sklearn(grown.trees)
    return ForestEstimator(problem.times, grove, grown.incidence(outcomes, problem.times), gain)
