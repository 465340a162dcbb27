"""How much a patient's answer depends on which other patients the model happened to learn from.

Riley and Collins, Biom J 2023;65:2200302: models of bootstrap samples of the development data are asked about the same
patients; where their answers scatter, a different draw of patients would have led to a different decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stability:
    """The scatter of answers over refits.

    Attributes:
        refits: how many models were made beside the one in question.
        mean_difference: by output: the mean over patients of the mean absolute difference from the model's answer
            (the paper's average MAPE), in the answer's own unit.
        frame: the instability plot, a row a patient and output: `sample_id`, `output`, `value`, `low` and `high`
            (2.5th and 97.5th percentile over refits), `mean_difference`.
        reclassified: by threshold: the mean share of refits that put a patient on the other side of it.
    """

    refits: int
    mean_difference: dict[str, float]
    frame: pl.DataFrame
    reclassified: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values; the plot as columns without the patients' numbers."""
        return {
            "refits": self.refits,
            "mean_difference": self.mean_difference,
            "reclassified": self.reclassified,
            "plot": self.frame.drop("sample_id").to_dict(as_series=False),
        }


def stability(
    sample_ids: Sequence[int] | pl.Series,
    outputs: Sequence[str],
    answers: Floats,
    refits: Floats,
    thresholds: Mapping[str, float] | None = None,
) -> Stability:
    """Measure the scatter of refits around a model's answers.

    Args:
        sample_ids: (n,).
        outputs: k names.
        answers: (n, k) of the model in question.
        refits: (b, n, k) of models of resamples (`medloom.training.designs.refits`).
        thresholds: by name, for questions with one output.

    Raises:
        InputError: the shapes do not fit, or there is no refit.

    >>> found = stability([7], ["true"], np.array([[0.5]]), np.array([[[0.4]], [[0.7]]]), {"half": 0.5})
    >>> round(found.mean_difference["true"], 2), found.reclassified
    (0.15, {'half': 0.5})
    """
    if refits.ndim != 3 or refits.shape[1:] != answers.shape or not len(refits):
        raise InputError(
            "answers of refits have the shape {found}; expected is (refits, {n}, {k})",
            found=str(refits.shape),
            n=answers.shape[0],
            k=answers.shape[1],
        )
    gap = np.abs(refits - answers).mean(axis=0)
    low, high = np.quantile(refits, [0.025, 0.975], axis=0)
    n, k = answers.shape
    frame = pl.DataFrame(
        {
            "sample_id": np.repeat(np.asarray(sample_ids, dtype=np.int64), k),
            "output": list(outputs) * n,
            "value": answers.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "mean_difference": gap.ravel(),
        }
    )
    moved = {
        name: float(((refits >= value) != (answers >= value)).mean())
        for name, value in (thresholds or {}).items()
        if k == 1
    }
    means = (
        dict(zip(outputs, gap.mean(axis=0).tolist(), strict=True))
        if n
        else dict.fromkeys(outputs, float("nan"))
    )
    return Stability(len(refits), means, frame, moved)
