"""Decision trees and forests: learned by scikit-learn, kept as arrays, read as rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.contributions import Contributions
from medloom.explanation.shapley import TreeArrays, tree_contributions
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.tabular.answers import Floats
from medloom.learners.tabular.estimator import Estimator, Names
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.problem import Problem
from medloom.tasks.kinds import Kind
from medloom.training.arrays import read_array, write_arrays
from medloom.training.machine import threads
from medloom.training.parameters import check_parameter

_FIELDS: Final = ("left", "right", "feature", "threshold", "missing_left", "value", "cover")


class TreesEstimator(Estimator):
    """The mean answer of one tree or many."""

    method = "TreeSHAP, path-dependent (Lundberg et al. 2020)"
    explains_scores = False

    def __init__(
        self, kind: Kind, trees: Sequence[TreeArrays], gain: Floats, may_be_missing: NDArray[np.bool_]
    ) -> None:
        self.kind = kind
        self.trees = tuple(trees)
        self.gain = gain  # (p,) impurity that splits on each input removed
        self.may_be_missing = may_be_missing  # (p,) whether it was for any training sample
        sizes = [len(tree.left) for tree in trees]
        self._roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        # all trees in one list of nodes, so that a step down is taken in all of them at once
        self._nodes = {name: np.concatenate([getattr(tree, name) for tree in trees]) for name in _FIELDS}
        shift = np.repeat(self._roots, sizes)
        self._inner = self._nodes["left"] >= 0
        self._left = np.where(self._inner, self._nodes["left"] + shift, 0)
        self._right = np.where(self._inner, self._nodes["right"] + shift, 0)

    def predict(self, x: NDArray[np.floating]) -> Floats:
        at = np.repeat(self._roots[None], len(x), axis=0)
        rows = np.arange(len(x))[:, None]
        inner = self._inner[at]
        while inner.any():
            value = x[rows, np.where(inner, self._nodes["feature"][at], 0)]
            left = np.where(
                np.isnan(value), self._nodes["missing_left"][at], value <= self._nodes["threshold"][at]
            )
            at = np.where(inner, np.where(left, self._left[at], self._right[at]), at)
            inner = self._inner[at]
        total = np.zeros((len(x), self._nodes["value"].shape[1]))
        for tree in range(len(self._roots)):
            total += self._nodes["value"][at[:, tree]]
        return total / len(self._roots)

    def contributions(
        self, x: NDArray[np.floating], sources: NDArray[np.int64], n_inputs: int
    ) -> Contributions:
        return tree_contributions(self.trees, x.astype(np.float32)).gathered(sources, n_inputs)

    def importance(self) -> Floats:
        return self.gain

    def write(self, folder: Path) -> None:
        write_arrays(
            folder, roots=self._roots, gain=self.gain, may_be_missing=self.may_be_missing, **self._nodes
        )

    @classmethod
    def read(cls, folder: Path, kind: Kind) -> Self:
        edges = read_array(folder, "roots")[1:]
        columns = [np.split(read_array(folder, name), edges) for name in _FIELDS]
        trees = [TreeArrays(*parts) for parts in zip(*columns, strict=True)]
        return cls(kind, trees, read_array(folder, "gain"), read_array(folder, "may_be_missing"))

    def as_text(self, names: Names) -> str:
        if len(self.trees) > 1:
            return super().as_text(names)
        return "\n".join(self._rules(names, 0, 0))

    def _rules(self, names: Names, node: int, depth: int) -> list[str]:
        tree, indent = self.trees[0], "    " * depth
        if tree.left[node] < 0:
            return [indent + self._answer(names, node)]
        name = names.inputs[tree.feature[node]]
        first, second = int(tree.left[node]), int(tree.right[node])
        condition, takes_missing = f"{name} ≤ {tree.threshold[node]:.4g}", bool(tree.missing_left[node])
        if name in names.flags:
            first, second, condition, takes_missing = second, first, name, not takes_missing
        unknown = ""
        if not np.isfinite(tree.threshold[node]):  # asked only whether there is a value
            condition = tr("{name} is known", name=name)
        elif self.may_be_missing[tree.feature[node]]:
            unknown = tr(" or not known") if takes_missing else tr(" and known")
        return [
            indent + tr("if {condition}{unknown}:", condition=condition, unknown=unknown),
            *self._rules(names, first, depth + 1),
            indent + tr("otherwise:"),
            *self._rules(names, second, depth + 1),
        ]

    def _answer(self, names: Names, node: int) -> str:
        value, cover = self.trees[0].value[node], int(self.trees[0].cover[node])
        if self.kind == "regression":
            answer = f"{value[0]:.4g}"
        elif self.kind == "binary":
            answer = f"{value[0]:.1%}"
        else:
            best = int(value.argmax())
            answer = f"{names.outputs[best]} {value[best]:.1%}"
        return tr("→ {answer} ({n} training samples)", answer=answer, n=cover)


@dataclass(frozen=True)
class TreeLearner(TabularLearner):
    """One decision tree, small enough to read: `model.as_text()` gives its rules.

    Args:
        max_depth: questions asked at most.
        min_leaf: training samples that an answer rests on at least.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "tree"
    kinds: ClassVar = frozenset({"binary", "multiclass", "multilabel", "regression"})
    estimator: ClassVar[type[Estimator]] = TreesEstimator
    prepares: ClassVar[bool] = False

    max_depth: int = 4
    min_leaf: int = 20
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(self.name, "max_depth", self.max_depth, self.max_depth >= 1, tr("1 or more"))
        check_parameter(self.name, "min_leaf", self.min_leaf, self.min_leaf >= 1, tr("1 or more"))

    def _learn(self, problem: Problem) -> Estimator:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        made = DecisionTreeRegressor if problem.kind == "regression" else DecisionTreeClassifier
        state = derive(problem.seed, "tree")
        learned = made(max_depth=self.max_depth, min_samples_leaf=self.min_leaf, random_state=state)
        return _estimator(problem, [learned.fit(problem.x, _target(problem))])


@dataclass(frozen=True)
class ForestLearner(TabularLearner):
    """A random forest (Breiman 2001).

    Args:
        n_trees: how many.
        min_leaf: training samples that a tree's answer rests on at least.
        max_features: share of the inputs to choose each question from, or `sqrt` of their number.
        windows: of the inputs; None: as suits the histories.
    """

    name: ClassVar = "forest"
    kinds: ClassVar = frozenset({"binary", "multiclass", "multilabel", "regression"})
    estimator: ClassVar[type[Estimator]] = TreesEstimator
    prepares: ClassVar[bool] = False

    n_trees: int = 300
    min_leaf: int = 5
    max_features: float | Literal["sqrt"] = "sqrt"
    windows: Sequence[str] | None = None

    def _check_parameters(self) -> None:
        check_parameter(self.name, "n_trees", self.n_trees, self.n_trees >= 1, tr("1 or more"))
        check_parameter(self.name, "min_leaf", self.min_leaf, self.min_leaf >= 1, tr("1 or more"))
        share = self.max_features
        check_parameter(
            self.name,
            "max_features",
            share,
            share == "sqrt" if isinstance(share, str) else 0 < share <= 1,
            tr("sqrt, or a share up to 1"),
        )

    def _learn(self, problem: Problem) -> Estimator:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        made = RandomForestRegressor if problem.kind == "regression" else RandomForestClassifier
        learned = made(
            n_estimators=self.n_trees,
            min_samples_leaf=self.min_leaf,
            max_features=self.max_features,
            random_state=derive(problem.seed, "forest"),
            n_jobs=threads(),
        )
        return _estimator(problem, learned.fit(problem.x, _target(problem)).estimators_)


def _target(problem: Problem) -> Floats:
    return problem.y.argmax(axis=1) if problem.kind == "multiclass" else problem.y[:, 0]


def _estimator(problem: Problem, learned: Sequence[Any]) -> TreesEstimator:
    prior = problem.y.mean(axis=0)
    trees = [_arrays(problem.kind, one.tree_, prior) for one in learned]
    gain = np.mean([one.tree_.compute_feature_importances(normalize=True) for one in learned], axis=0)
    return TreesEstimator(problem.kind, trees, gain, np.isnan(problem.x).any(axis=0))


def _arrays(kind: Kind, tree: Any, prior: Floats) -> TreeArrays:
    cover = np.asarray(tree.weighted_n_node_samples, dtype=np.float64)
    value = np.asarray(tree.value[:, 0, :], dtype=np.float64)
    if kind == "binary":
        value = value[:, 1:]
    if kind != "regression":
        # a leaf without an event does not prove that there is none: one more sample, with the average answer
        value = (value * cover[:, None] + prior) / (cover[:, None] + 1)
    return TreeArrays(
        np.asarray(tree.children_left, dtype=np.int64),
        np.asarray(tree.children_right, dtype=np.int64),
        np.asarray(tree.feature, dtype=np.int64),
        np.asarray(tree.threshold, dtype=np.float64),
        np.asarray(tree.missing_go_to_left, dtype=np.bool_),
        value,
        cover,
    )
