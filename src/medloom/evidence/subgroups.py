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

    `demographics`: sample_id, sex (String or null), age (years, or null); either column may
    be absent. A sample without a row counts as unknown; where nobody is known, there is no subgroup.
    """
    joined = sample_id.to_frame("sample_id").join(
        demographics.unique("sample_id"), on="sample_id", how="left", maintain_order="left"
    )
    if "sex" in joined.columns:
        sex = joined["sex"].cast(pl.String).fill_null(UNKNOWN)
        known = sorted(set(sex.to_list()) - {UNKNOWN})
        for name in (*known, UNKNOWN) if known else ():
            chosen = (sex == name).to_numpy()
            if chosen.any():
                yield "sex", name, chosen
    if "age" in joined.columns:
        band = joined.select(age_band(pl.col("age").cast(pl.Float64)))["age"]
        for name in (*AGE_BANDS, UNKNOWN) if (band != UNKNOWN).any() else ():
            chosen = (band == name).to_numpy()
            if chosen.any():
                yield "age", name, chosen
