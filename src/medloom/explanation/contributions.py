"""Contributions of inputs to answers: what every additive explanation is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """Shares of n answers with k outputs each, held by p inputs.

    Attributes:
        values: (n, k, p); `baseline` + the sum over inputs is the answer.
        baseline: (k,) what is answered when nothing is known of the sample.
    """

    values: Floats
    baseline: Floats

    def gathered(self, sources: NDArray[np.int64], n_inputs: int) -> "Contributions":
        """Sum the shares of columns that were derived from one input.

        Args:
            sources: (p,) the input each column comes from.
            n_inputs: how many inputs there are; one without a column contributes 0.

        >>> two = Contributions(np.array([[[1.0, 2.0, 4.0]]]), np.zeros(1))
        >>> two.gathered(np.array([1, 0, 1]), 3).values.tolist()
        [[[2.0, 5.0, 0.0]]]
        """
        n, k, _ = self.values.shape
        summed = np.zeros((n, k, n_inputs))
        if len(sources):
            order = np.argsort(sources, kind="stable")
            present, starts = np.unique(sources[order], return_index=True)
            summed[:, :, present] = np.add.reduceat(self.values[:, :, order], starts, axis=2)
        return Contributions(summed, self.baseline)

    def centred(self) -> "Contributions":
        """Subtract the mean over outputs: what speaks for one class rather than for the others.

        >>> Contributions(np.array([[[3.0], [1.0]]]), np.zeros(2)).centred().values.tolist()
        [[[1.0], [-1.0]]]
        """
        return Contributions(
            self.values - self.values.mean(axis=1, keepdims=True), self.baseline - self.baseline.mean()
        )


def linear_contributions(
    x: Floats, coefficients: Floats, intercept: Floats, mean: Floats | None = None
) -> Contributions:
    """Divide a linear answer exactly: coefficient × (value − mean), which is its Shapley value.

    Lundberg and Lee, NeurIPS 2017, Corollary 1 (inputs taken as independent).

    Args:
        x: (n, p).
        coefficients: (p, k).
        intercept: (k,).
        mean: (p,) of the training samples; None: inputs are centred already.

    >>> linear_contributions(np.array([[3.0]]), np.array([[2.0]]), np.ones(1), np.ones(1)).values.tolist()
    [[[4.0]]]
    """
    if mean is None:
        return Contributions(x[:, None, :] * coefficients.T[None], intercept)
    return Contributions((x - mean)[:, None, :] * coefficients.T[None], intercept + mean @ coefficients)


def explanation_of(
    contributions: Contributions,
    sample_ids: NDArray[np.int64],
    outputs: Sequence[str],
    names: Sequence[str],
    codes: Sequence[str | None],
    inputs: NDArray[np.float32],
    *,
    method: str,
    scale: str,
) -> Explanation:
    """Write contributions as the long frame all modalities share; inputs that contribute nothing are left out.

    Args:
        contributions: of n samples, k outputs, p inputs.
        sample_ids: (n,).
        outputs: k names.
        names: p readable names.
        codes: p codes behind the inputs.
        inputs: (n, p) what the inputs were, NaN: missing.
        method: how contributions were found, with its source.
        scale: `log-odds`, `probability` or a unit.
    """
    sample, output, place = np.nonzero(contributions.values)
    value = inputs[sample, place].astype(np.float64)
    frame = pl.DataFrame(
        {
            "sample_id": np.asarray(sample_ids, dtype=np.int64)[sample],
            "output": _chosen(outputs, output),
            "input": _chosen(names, place),
            "code": _chosen(codes, place),
            "value": pl.Series(value, nan_to_null=True),
            "contribution": contributions.values[sample, output, place],
        }
    )
    absent = [
        pl.lit(None, kind).alias(name)
        for name, kind in EXPLANATION_SCHEMA.items()
        if name not in frame.columns
    ]
    baseline = pl.DataFrame({"output": list(outputs), "value": contributions.baseline})
    return Explanation(frame.with_columns(absent).select(EXPLANATION_SCHEMA.names()), baseline, method, scale)


def _chosen(texts: Sequence[str | None], places: NDArray[np.int64]) -> pl.Series:
    return pl.Series(list(texts), dtype=pl.String).gather(pl.Series(places))
