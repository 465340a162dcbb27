"""LIME: a small linear model that answers like the large one in the neighbourhood of one sample.

Ribeiro, Singh and Guestrin, KDD 2016, Algorithm 1, with the choices of their package for tables (`lime` 0.2): inputs
cut at training quartiles, an exponential kernel of width 0.75 √p, ridge regression. Written here because the package
needs scikit-image and does not know missing values, which are a bin of their own here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.explanation.asking import Answer, AskedModel, Inputs, Integers, answer_scale, in_blocks, table_of
from medloom.explanation.contributions import Contributions, Floats, explanation_of
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.tasks.explanation import Explanation
from medloom.tasks.samples import Samples

METHOD: Final = "LIME (Ribeiro et al. 2016)"
_RIDGE: Final = 1.0
_WIDTH: Final = 0.75  # of the kernel, times the root of the number of inputs


@dataclass(frozen=True)
class Local:
    """Linear models around n samples.

    Attributes:
        contributions: (n, k, p); `baseline` here is the mean over samples of the small models' constant terms.
        constant: (n, k) of each small model; with its shares it sums to the small model's answer, not the large one's.
        fidelity: (n, k) R² of the small model in the neighbourhood, weighted as it was fitted; NaN where the large
            one's answer does not change there.
    """

    contributions: Contributions
    constant: Floats
    fidelity: Floats


def explain_by_lime(
    model: AskedModel,
    samples: Samples,
    background: Samples,
    *,
    kept: int = 10,
    draws: int = 5000,
    most: int = 5000,
    seed: int = 0,
) -> tuple[Explanation, pl.DataFrame]:
    """Explain answers of any model by a small linear model around each sample.

    Args:
        model: any that can be asked.
        samples: whose answers are explained.
        background: training samples: what values inputs take.
        kept: inputs of the small model.
        draws: neighbours of each sample.
        most: so many of the background are drawn.
        seed: of all draws.

    Returns:
        the explanation, which is not additive; and a frame of `sample_id`, `output`, `fidelity` (R² of the small
        model, null where the answer does not change): reasons of a model that fits badly mean little.
    """
    known, rows = table_of(model, samples), table_of(model, background, most, seed)
    local = local_models(model.answer, known.x, rows.x, kept=kept, draws=draws, seed=seed)
    question = model.origin.question
    explained = explanation_of(
        local.contributions,
        known.sample_ids,
        question.outputs,
        known.names,
        known.codes,
        known.x,
        method=METHOD,
        scale=answer_scale(question),
    )
    k = len(question.outputs)
    fidelity = pl.DataFrame(
        {
            "sample_id": np.repeat(known.sample_ids, k),
            "output": list(question.outputs) * len(known.x),
            "fidelity": pl.Series(local.fidelity.ravel(), nan_to_null=True),
        },
        schema_overrides={"output": pl.String},
    )
    return Explanation(explained.frame, explained.baseline, METHOD, explained.scale, additive=False), fidelity


def local_models(
    answer: Answer, x: Inputs, background: Inputs, *, kept: int = 10, draws: int = 5000, seed: int = 0
) -> Local:
    """Fit a small linear model around each sample.

    A neighbour takes each input from a training sample of its own; an input counts as kept where its value falls into
    the same quarter of the training values as the sample's (few values and missing: the same).

    Args:
        answer: (m, p) → (m, k).
        x: (n, p) NaN where missing.
        background: (b, p) training samples.
        kept: inputs of a small model: those with the largest coefficients in a first fit of all.
        draws: neighbours of each sample, itself included.
        seed: of the draws.

    Raises:
        InputError: the background is empty or has other columns.

    >>> rows = np.arange(200, dtype=np.float32).reshape(100, 2)
    >>> found = local_models(lambda x: (x[:, :1] > 149).astype(float), rows[-1:], rows, draws=500)
    >>> bool(abs(found.contributions.values[0, 0]).argmax() == 0), bool(found.fidelity[0, 0] > 0.8)
    (True, True)
    """
    if not len(background) or background.shape[1] != x.shape[1]:
        raise InputError(
            "reasons need background samples with the same {p} inputs, not {b} with {q}; hand in training samples",
            p=x.shape[1],
            b=len(background),
            q=background.shape[1],
        )
    bins = _Bins.of(background)
    k = in_blocks(answer, background[:1]).shape[1]
    values = np.zeros((len(x), k, x.shape[1]))
    constant, fidelity = np.zeros((len(x), k)), np.full((len(x), k), np.nan)
    for row, known in enumerate(x):
        rng = generator(seed, "neighbours")
        mine = bins.of_rows(known[None])[0]
        # an input that is the same in all of the background and in the sample says nothing
        acting = np.flatnonzero((bins.of_background != mine).any(axis=0))
        neighbours = np.repeat(known[None], max(draws, 2), axis=0)
        drawn = rng.integers(0, len(background), (len(neighbours) - 1, len(acting)))
        neighbours[1:, acting] = background[drawn, acting]
        z = np.ones((len(neighbours), len(acting)))
        z[1:] = bins.of_background[drawn, acting] == mine[acting]
        weights = np.exp(-(1 - z).sum(axis=1) / (2 * _WIDTH**2 * max(1, len(acting))))
        answers = in_blocks(answer, neighbours)
        for output in range(k):
            chosen, fitted = _fit(z, answers[:, output], weights, kept)
            values[row, output, acting[chosen]] = fitted.coefficients
            constant[row, output], fidelity[row, output] = fitted.constant, fitted.fidelity
    baseline = constant.mean(axis=0) if len(x) else np.zeros(k)
    return Local(Contributions(values, baseline), constant, fidelity)


@dataclass(frozen=True)
class _Fit:
    coefficients: Floats
    constant: float
    fidelity: float


def _fit(z: Floats, y: Floats, weights: Floats, kept: int) -> tuple[Integers, _Fit]:
    """Fit all inputs, then again the `kept` with the largest coefficients."""
    first = _ridge(z, y, weights)
    strong = np.argsort(-np.abs(first.coefficients), kind="stable")[:kept]
    chosen = np.sort(strong[first.coefficients[strong] != 0])
    return chosen, _ridge(z[:, chosen], y, weights)


def _ridge(z: Floats, y: Floats, weights: Floats) -> _Fit:
    total = weights.sum()
    mean, usual = weights @ z / total, float(weights @ y / total)
    away, moved = z - mean, y - usual
    gram = (away * weights[:, None]).T @ away + _RIDGE * np.eye(z.shape[1])
    coefficients = np.linalg.solve(gram, (away * weights[:, None]).T @ moved)
    spread = float(weights @ moved**2)
    missed = float(weights @ (moved - away @ coefficients) ** 2)
    # rounding alone is no change
    changes = spread > 1e-18 * max(1.0, float(weights @ y**2))
    return _Fit(coefficients, usual - float(mean @ coefficients), 1 - missed / spread if changes else np.nan)


@dataclass(frozen=True)
class _Bins:
    """Quarters of the training values of each input; few values are a bin each; missing is one."""

    edges: Floats  # (3, p)
    few: NDArray[np.bool_]  # (p,)
    of_background: Floats  # (b, p)

    @classmethod
    def of(cls, background: Inputs) -> _Bins:
        p = background.shape[1]
        edges, few = np.full((3, p), np.nan), np.zeros(p, np.bool_)
        for column in range(p):
            values = background[:, column]
            values = values[~np.isnan(values)]
            few[column] = len(np.unique(values)) <= 4
            if len(values):
                edges[:, column] = np.quantile(values, (0.25, 0.5, 0.75))
        bins = cls(edges, few, np.empty((0, p)))
        return cls(edges, few, bins.of_rows(background))

    def of_rows(self, x: Inputs) -> Floats:
        quarter = (x[:, None, :] > self.edges).sum(axis=1).astype(np.float64)
        found = np.where(self.few, x.astype(np.float64), quarter)
        return np.where(np.isnan(x), -1e30, found)
