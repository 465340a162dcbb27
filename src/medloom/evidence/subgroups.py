"""For whom: the same metrics within sexes and age bands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.tasks.demographics import AGE_BANDS, UNKNOWN, age_band


@dataclass(frozen=True)
class Subgroup:
    """Metrics within one subgroup; `prevalence` as in `Evaluation`, None where too few would be exposed."""

    n: int
    n_subjects: int
    prevalence: float | dict[str, float] | None
    metrics: dict[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Answer the documented form."""
        return {
            "n": self.n,
            "n_subjects": self.n_subjects,
            "prevalence": self.prevalence,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
        }


def split_by(
    sample_id: pl.Series, demographics: pl.DataFrame
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield (dimension, name, (n,) bool) for every subgroup that occurs, in order, unknown last.

    `demographics`: sample_id, and a column a dimension: age in years is divided into bands, others are texts; a null
    is unknown, as is a sample without a row. Where nobody is known, there is no subgroup.
    """
    joined = sample_id.to_frame("sample_id").join(
        demographics.unique("sample_id"), on="sample_id", how="left", maintain_order="left"
    )
    for dimension in joined.columns[1:]:
        if dimension == "age":
            said, order = joined.select(age_band(pl.col("age").cast(pl.Float64)))["age"], list(AGE_BANDS)
        else:
            said = joined[dimension].cast(pl.String).fill_null(UNKNOWN)
            order = sorted(set(said.to_list()) - {UNKNOWN})
        for name in (*order, UNKNOWN) if (said != UNKNOWN).any() else ():
            chosen = (said == name).to_numpy()
            if chosen.any():
                yield dimension, name, chosen
