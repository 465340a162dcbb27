"""Shapley values of any model, asked from outside: by weighted coalitions (Kernel SHAP) or by walks.

Both give shares that sum to the answer exactly, whatever is spent on them. What is unknown is taken from background
samples, a whole row at a time (the interventional value function of Janzing et al., AISTATS 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from medloom.explanation.asking import (
    Answer,
    AskedModel,
    Inputs,
    Integers,
    answer_scale,
    by_code,
    differ,
    in_blocks,
    table_of,
)
from medloom.explanation.contributions import Contributions, Floats, explanation_of
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.tasks.explanation import Explanation
from medloom.tasks.samples import Samples

KERNEL: Final = "Kernel SHAP (Lundberg and Lee 2017; pairs of coalitions: Covert and Lee 2021)"
WALKS: Final = "permutation sampling of Shapley values (Štrumbelj and Kononenko 2014; Mitchell et al. 2022)"
_MANY: Final = 12  # inputs that differ, from which on walks need fewer answers for the same accuracy


def explain_by_shapley(
    model: AskedModel,
    samples: Samples,
    background: Samples,
    *,
    method: Literal["kernel", "walks"] = "walks",
    by: Literal["input", "code"] = "input",
    most: int = 20,
    seed: int = 0,
) -> Explanation:
    """Divide each answer of any model between its inputs; they sum to the answer.

    Args:
        model: any that can be asked.
        samples: whose answers are explained.
        background: training samples; what an average patient is compared with.
        method: `walks` for many inputs, `kernel` for few (exact up to about ten).
        by: explain each input, or each code with all its windows as one.
        most: so many of the background are drawn.
        seed: of the draws.

    Raises:
        InputError: there is no background.
    """
    known, rows = table_of(model, samples), table_of(model, background, most, seed)
    shown, names, codes = known.x, known.names, known.codes
    groups = np.arange(len(names))
    if by == "code":
        groups, names = by_code(names, codes)
        alone = np.bincount(groups) == 1
        firsts = np.unique(groups, return_index=True)[1]
        # of an input that stands alone its value can be shown; of many windows there is no one value
        shown = np.where(alone, known.x[:, firsts], np.float32(np.nan))
        codes = tuple(codes[first] for first in firsts)
    divide = kernel_contributions if method == "kernel" else walked_contributions
    divided = divide(model.answer, known.x, rows.x, groups, seed=seed)
    return explanation_of(
        divided,
        known.sample_ids,
        model.origin.question.outputs,
        names,
        codes,
        shown,
        method=KERNEL if method == "kernel" else WALKS,
        scale=answer_scale(model.origin.question),
    )


def kernel_contributions(
    answer: Answer,
    x: Inputs,
    background: Inputs,
    groups: Integers | None = None,
    *,
    budget: int = 2048,
    seed: int = 0,
) -> Contributions:
    """Divide answers by Kernel SHAP: a weighted linear fit to the answers of coalitions, held to sum exactly.

    Lundberg and Lee, NeurIPS 2017, Theorem 2. Where all coalitions of the inputs that differ from the background fit
    into the budget, this is the Shapley value itself; else coalitions are drawn in complementary pairs (Covert and
    Lee, AISTATS 2021).

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) what is explained; NaN where missing.
        background: (b, p) what stands for an unknown sample; the baseline is the mean answer for it.
        groups: (p,) numbers from 0; inputs of one number are known or unknown together. None: each by itself.
        budget: coalitions at most (at least four times the inputs that differ, where that is more).
        seed: of the drawn coalitions.

    Raises:
        InputError: the background is empty or has other columns.

    >>> line = lambda x: (2.0 * x[:, :1] - x[:, 1:]).astype(float)
    >>> rows = np.zeros((1, 2), np.float32)
    >>> kernel_contributions(line, np.array([[1, 3]], np.float32), rows).values.round(9).tolist()
    [[[2.0, -3.0]]]
    """
    groups, size, start, final = _begin(answer, x, background, groups)
    values = np.zeros((len(x), start.shape[1], size))
    baseline = start.mean(axis=0)
    for row, known in enumerate(x):
        acting = np.unique(groups[differ(background, known).any(axis=0)])
        moved = final[row] - baseline
        if len(acting) == 1:
            values[row, :, acting[0]] = moved
        if len(acting) < 2:
            continue
        masks, weights = _coalitions(len(acting), budget, seed)
        held = np.zeros((len(masks), size), np.bool_)
        held[:, acting] = masks
        worth = _worth(answer, known, background, held[:, groups]) - baseline
        values[row][:, acting] = _fitted(masks, weights, worth, moved).T
    return Contributions(values, baseline)


def walked_contributions(
    answer: Answer,
    x: Inputs,
    background: Inputs,
    groups: Integers | None = None,
    *,
    walks: int = 1,
    seed: int = 0,
) -> Contributions:
    """Divide answers by walks from each background row to the sample, one input after the other, and back.

    Štrumbelj and Kononenko, KAIS 2014;41:647-665; pairs of opposite orders: Mitchell et al., JMLR 2022;23(43). A walk
    asks once for each input in which the two rows differ. `shapley.sampled_contributions` does the same for models
    that begin with a matrix product, much faster.

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) what is explained; NaN where missing.
        background: (b, p) what stands for an unknown sample; the baseline is the mean answer for it.
        groups: (p,) numbers from 0; inputs of one number change together. None: each by itself.
        walks: pairs of walks from each background row.
        seed: of the orders; the same for every sample.

    Raises:
        InputError: the background is empty or has other columns.

    >>> line = lambda x: (2.0 * x[:, :1] - x[:, 1:]).astype(float)
    >>> rows = np.zeros((1, 2), np.float32)
    >>> walked_contributions(line, np.array([[1, 3]], np.float32), rows).values.tolist()
    [[[2.0, -3.0]]]
    """
    groups, size, start, _ = _begin(answer, x[:0], background, groups)
    values = np.zeros((len(x), start.shape[1], size))
    for row, known in enumerate(x):
        rng = generator(seed, "walks")
        for begin in background:
            apart = differ(known, begin)
            for _ in range(walks):
                order = rng.permutation(size)
                order = order[np.isin(order, groups[apart])]
                for walk in (order, order[::-1]):
                    steps = in_blocks(answer, _walk(known, begin, groups, walk))
                    values[row][:, walk] += np.diff(steps, axis=0).T
    return Contributions(values / (2 * walks * len(background)), start.mean(axis=0))


def _begin(
    answer: Answer, x: Inputs, background: Inputs, groups: Integers | None
) -> tuple[Integers, int, Floats, Floats]:
    if not len(background) or background.shape[1] != x.shape[1]:
        raise InputError(
            "reasons need background samples with the same {p} inputs, not {b} with {q}; hand in training samples",
            p=x.shape[1],
            b=len(background),
            q=background.shape[1],
        )
    groups = np.arange(x.shape[1]) if groups is None else groups
    size = int(groups.max()) + 1 if len(groups) else 0
    answers = in_blocks(answer, np.vstack([background, x]))
    return groups, size, answers[: len(background)], answers[len(background) :]


def _coalitions(n: int, budget: int, seed: int) -> tuple[NDArray[np.bool_], Floats]:
    """Give coalitions of n inputs and their weights, none empty and none whole: all, or pairs that are drawn."""
    sizes = np.arange(1, n)
    if n < 30 and 2**n - 2 <= budget:
        masks = (np.arange(1, 2**n - 1)[:, None] >> np.arange(n)) & 1 == 1
        weight = np.array([(n - 1) / (comb(n, s) * s * (n - s)) for s in sizes])
        return masks, weight[masks.sum(axis=1) - 1]
    rng = generator(seed, "coalitions")
    pairs = max(budget, 4 * n) // 2
    chance = 1 / (sizes * (n - sizes))
    drawn = rng.choice(sizes, pairs, p=chance / chance.sum())
    ranks = rng.random((pairs, n)).argsort(axis=1).argsort(axis=1)
    masks = ranks < drawn[:, None]
    return np.vstack([masks, ~masks]), np.ones(2 * pairs)


def _worth(answer: Answer, known: Inputs, background: Inputs, held: NDArray[np.bool_]) -> Floats:
    """Give the mean answer over the background when some inputs are known: (m, p) → (m, k)."""
    b, p = background.shape
    at_once = max(1, 4_000_000 // max(1, b * p))
    parts = []
    for first in range(0, len(held), at_once):
        rows = np.where(held[first : first + at_once, None], known, background)
        answers = in_blocks(answer, rows.reshape(-1, p))
        parts.append(answers.reshape(len(rows), b, -1).mean(axis=1))
    return np.concatenate(parts)


def _fitted(masks: NDArray[np.bool_], weights: Floats, worth: Floats, moved: Floats) -> Floats:
    """Fit shares (n, k) to the worth of coalitions (m, k) by least squares, held to sum to `moved` (k,)."""
    z = masks.astype(np.float64)
    root = np.sqrt(weights)[:, None]
    # the last share is what the others leave of the sum
    columns, target = z[:, :-1] - z[:, -1:], worth - z[:, -1:] * moved
    shares = np.linalg.lstsq(columns * root, target * root, rcond=None)[0]
    whole: Floats = np.vstack([shares, moved - shares.sum(axis=0)])
    # an input that does nothing gets nothing, not what rounding left
    return np.where(np.abs(whole) < 1e-12 * np.abs(worth).max(axis=0), 0.0, whole)


def _walk(known: Inputs, begin: Inputs, groups: Integers, order: Sequence[int] | Integers) -> Inputs:
    """Give the rows of a walk: the beginning, then one group after the other as it is known: (len(order) + 1, p)."""
    turn = np.full(int(groups.max()) + 1 if len(groups) else 0, len(order))
    turn[np.asarray(order, np.int64)] = np.arange(len(order))
    return np.where(np.arange(len(order) + 1)[:, None] > turn[groups], known, begin)
