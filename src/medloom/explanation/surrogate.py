"""A small tree that answers as a model does, and how faithfully: a model put into words a person can follow.

Craven and Shavlik, NeurIPS 1996. Its fidelity is measured on samples it has not seen; a surrogate that says the same
in seven of ten cases explains seven of ten answers, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.asking import (
    Answer,
    AskedModel,
    Inputs,
    Integers,
    in_blocks,
    interval_of,
    resampled,
    table_of,
)
from medloom.explanation.contributions import Floats
from medloom.explanation.shapley import TreeArrays
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.tasks.kinds import Kind
from medloom.tasks.samples import Samples


@dataclass(frozen=True)
class Surrogate:
    """A tree that stands for a model.

    Attributes:
        tree: its answers are the model's mean answers in each leaf, (m, k).
        fidelity: (k,) R² of the tree for each of the model's answers, on samples it has not seen; NaN where the model
            answers all of them alike.
        low, high: (k,) its 95 % interval over patients; NaN for fewer than 10.
        agreement: share of those samples for which it gives the same class, or the same side of a threshold; None
            where there are neither.
        judged: how many samples that was measured on.
        may_be_missing: (p,) whether each input is missing for some of the samples it was made from.
        names: p names of inputs; empty before they have any.
    """

    tree: TreeArrays
    fidelity: Floats
    low: Floats
    high: Floats
    agreement: float | None
    judged: int
    may_be_missing: NDArray[np.bool_]
    names: tuple[str, ...] = ()


def surrogate_of(
    model: AskedModel,
    samples: Samples,
    judge: Samples,
    *,
    max_depth: int = 3,
    min_leaf: int = 20,
    threshold: float | None = None,
    most: int = 20_000,
    seed: int = 0,
) -> Surrogate:
    """Make a small tree that answers as any model does.

    Args:
        model: any that can be asked.
        samples: what the tree is made from; labels are not used.
        judge: others, of other patients, that its fidelity is measured on.
        max_depth: questions it asks at most.
        min_leaf: samples that an answer rests on at least.
        threshold: of a risk, for the agreement; None: the model's mean answer.
        most: so many samples are drawn at most, of both.
        seed: of the draws.

    Raises:
        InputError: there are no samples, or a patient is in both.
    """
    made, judging = table_of(model, samples, most, seed), table_of(model, judge, most, seed)
    shared = np.intersect1d(made.subjects, judging.subjects)
    if len(shared):
        raise InputError(
            "{n} patients are both among those the surrogate is made from and those that judge it; hand in two splits",
            n=len(shared),
        )
    found = surrogate_tree(
        model.answer,
        made.x,
        judging.x,
        model.origin.question.kind,
        judging.subjects,
        max_depth=max_depth,
        min_leaf=min_leaf,
        threshold=threshold,
        seed=seed,
    )
    return replace(found, names=made.names)


def surrogate_tree(
    answer: Answer,
    x: Inputs,
    judge: Inputs,
    kind: Kind = "binary",
    subjects: Integers | None = None,
    *,
    max_depth: int = 3,
    min_leaf: int = 20,
    threshold: float | None = None,
    seed: int = 0,
) -> Surrogate:
    """Learn a tree from a model's answers, and measure on other rows how well it gives them.

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) to learn from; NaN where missing.
        judge: (q, p) to judge by.
        kind: of the question, for the agreement.
        subjects: (q,) who the judging rows are of. None: each of another.
        max_depth: questions asked at most.
        min_leaf: rows that an answer rests on at least.
        threshold: of a risk, for the agreement; None: the model's mean answer.
        seed: of ties between questions, and of the resamples behind the interval.

    Raises:
        InputError: there are no rows to learn from.

    >>> x = np.arange(100, dtype=np.float32)[:, None]
    >>> found = surrogate_tree(lambda x: (x > 49.5).astype(float), x, x + 0.25)
    >>> found.fidelity.tolist(), found.agreement, float(found.tree.threshold[0])
    ([1.0], 1.0, 49.5)
    """
    from sklearn.tree import DecisionTreeRegressor

    if not len(x):
        raise InputError("a surrogate needs samples to be made from; there are none")
    target = in_blocks(answer, x)
    learned = DecisionTreeRegressor(
        max_depth=max_depth,
        min_samples_leaf=min_leaf,
        # a question that only tells rounding apart is not asked
        min_impurity_decrease=1e-9 * float(target.var(axis=0).mean()),
        random_state=derive(seed, "surrogate"),
    )
    tree = _arrays(learned.fit(x, target).tree_)
    truth = in_blocks(answer, judge) if len(judge) else target[:0]
    said = tree_answers(tree, judge)
    missed, spread = (truth - said) ** 2, truth
    who = np.arange(len(judge)) if subjects is None else subjects
    whole = _r2(missed, spread, np.ones(len(judge)))
    draws = [_r2(missed, spread, weights) for weights in resampled(who, seed, "fidelity")]
    low, high = interval_of(draws, len(whole))
    agreement = None
    if len(judge) and kind in ("binary", "multilabel"):
        side = truth.mean(axis=0) if threshold is None else threshold
        agreement = float(((truth >= side) == (said >= side)).mean())
    elif len(judge) and kind == "multiclass":
        agreement = float((truth.argmax(axis=1) == said.argmax(axis=1)).mean())
    return Surrogate(tree, whole, low, high, agreement, len(judge), np.asarray(np.isnan(x).any(axis=0)))


def tree_answers(tree: TreeArrays, x: Inputs) -> Floats:
    """Answer by one tree: (n, p) → (n, k)."""
    at = np.zeros(len(x), np.int64)
    rows = np.arange(len(x))
    while (inner := tree.left[at] >= 0).any():
        value = x[rows, np.where(inner, tree.feature[at], 0)]
        left = np.where(np.isnan(value), tree.missing_left[at], value <= tree.threshold[at])
        at = np.where(inner, np.where(left, tree.left[at], tree.right[at]), at)
    answers: Floats = tree.value[at]
    return answers


def fidelity_frame(found: Surrogate, outputs: tuple[str, ...]) -> pl.DataFrame:
    """Give fidelity as a frame: `output`, `r2`, `low`, `high`; null where it cannot be said."""
    columns = {"r2": found.fidelity, "low": found.low, "high": found.high}
    return pl.DataFrame(
        {"output": list(outputs), **{name: pl.Series(v, nan_to_null=True) for name, v in columns.items()}},
        schema_overrides={"output": pl.String},
    )


def _arrays(tree: object) -> TreeArrays:
    def column(name: str) -> NDArray[np.generic]:
        return np.asarray(getattr(tree, name))

    return TreeArrays(
        column("children_left").astype(np.int64),
        column("children_right").astype(np.int64),
        column("feature").astype(np.int64),
        column("threshold").astype(np.float64),
        column("missing_go_to_left").astype(np.bool_),
        column("value")[:, :, 0].astype(np.float64),
        column("weighted_n_node_samples").astype(np.float64),
    )


def _r2(missed: Floats, truth: Floats, weights: Floats) -> Floats:
    total = weights.sum()
    if not total:
        return np.full(missed.shape[1], np.nan)
    mean = weights @ truth / total
    spread = weights @ (truth - mean) ** 2
    alike = spread <= 1e-18 * np.maximum(1.0, weights @ truth**2)
    r2: Floats = np.where(alike, np.nan, 1 - weights @ missed / np.where(alike, 1.0, spread))
    return r2
