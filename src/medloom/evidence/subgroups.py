"""For whom: the same metrics within sexes and age bands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.tasks.demographics import AGE_BANDS, UNKNOWN, age_band

OTHER = "other"
_MOST_GROUPS = 6
_FEWEST = 10


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
    is unknown, as is a sample without a row. Where nobody is known, there is no subgroup. Of many texts the
    commonest stand for themselves, the others together: a handful of people would be no more than a list of them.
    """
    joined = sample_id.to_frame("sample_id").join(
        demographics.unique("sample_id"), on="sample_id", how="left", maintain_order="left"
    )
    for dimension in joined.columns[1:]:
        if dimension == "age":
            said, order = joined.select(age_band(pl.col("age").cast(pl.Float64)))["age"], list(AGE_BANDS)
        else:
            said = _few(joined[dimension].cast(pl.String).fill_null(UNKNOWN))
            known = sorted(set(said.to_list()) - {UNKNOWN, OTHER})
            order = [*known, OTHER]
        for name in (*order, UNKNOWN) if (said != UNKNOWN).any() else ():
            chosen = (said == name).to_numpy()
            if chosen.any():
                yield dimension, name, chosen


def _few(said: pl.Series) -> pl.Series:
    """Let what is rare, where there are many texts, be one group."""
    counts = said.filter(said != UNKNOWN).value_counts(sort=True)
    if counts.height <= _MOST_GROUPS:
        return said
    name = counts.columns[0]
    kept = counts.filter(pl.col("count") >= _FEWEST).head(_MOST_GROUPS)[name]
    common = said.is_in(kept.implode()) | (said == UNKNOWN)
    return said.to_frame("said").select(pl.when(common).then("said").otherwise(pl.lit(OTHER)).alias("said"))[
        "said"
    ]
