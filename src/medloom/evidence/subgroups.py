"""For whom: the same metrics within sexes and age bands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.counts import FEWEST, Count, of_groups
from medloom.evidence.estimate import Estimate
from medloom.tasks.demographics import AGE_BANDS, UNKNOWN, age_band

OTHER = "other"
_MOST_GROUPS = 6


@dataclass(frozen=True)
class Subgroup:
    """Metrics within one subgroup; `prevalence` as in `Evaluation`, None where too few would be exposed."""

    n: int
    n_subjects: int
    prevalence: float | dict[str, float] | None
    metrics: dict[str, Estimate]

    @property
    def prevalence_shown(self) -> float | None:
        """Give the share with the one outcome there is, unless those with or without it are few."""
        if not isinstance(self.prevalence, float):
            return None
        told = Count.of_part(round(self.prevalence * self.n), self.n)
        return None if told.n is None else self.prevalence

    def to_json(self) -> dict[str, Any]:
        """Answer the documented form."""
        return {
            "n": self.n,
            "n_subjects": self.n_subjects,
            "prevalence": self.prevalence,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
        }


def persons_shown(groups: Mapping[str, Subgroup], whole: int) -> dict[str, str]:
    """Say how many persons are in each group of a dimension; `whole`: how many there are in all."""
    return of_groups({name: part.n_subjects for name, part in groups.items()}, whole)


def split_by(
    sample_id: pl.Series, demographics: pl.DataFrame, counted: NDArray[np.bool_] | None = None
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield (dimension, name, (n,) bool) for every subgroup that occurs, in order, unknown last.

    `demographics`: sample_id, and a column a dimension: age in years is divided into bands, others are texts; a null
    is unknown, as is a sample without a row. Where nobody is known, there is no subgroup. Of many texts the
    commonest stand for themselves, the others together: a handful of people would be no more than a list of them.
    `counted`, (n,): among which samples the commonest are found; None: among all.
    """
    joined = sample_id.to_frame("sample_id").join(
        demographics.unique("sample_id"), on="sample_id", how="left", maintain_order="left"
    )
    for dimension in joined.columns[1:]:
        if dimension == "age":
            said, order = joined.select(age_band(pl.col("age").cast(pl.Float64)))["age"], list(AGE_BANDS)
        else:
            said = _few(joined[dimension].cast(pl.String).fill_null(UNKNOWN), counted)
            known = sorted(set(said.to_list()) - {UNKNOWN, OTHER})
            order = [*known, OTHER]
        for name in (*order, UNKNOWN) if (said != UNKNOWN).any() else ():
            chosen = (said == name).to_numpy()
            if chosen.any():
                yield dimension, name, chosen


def _few(said: pl.Series, counted: NDArray[np.bool_] | None) -> pl.Series:
    """Let what is rare, where there are many texts, be one group."""
    among = said if counted is None else said.filter(pl.Series(counted))
    counts = among.filter(among != UNKNOWN).value_counts()
    if said.filter(said != UNKNOWN).n_unique() <= _MOST_GROUPS:
        return said
    name = counts.columns[0]
    counts = counts.sort(["count", name], descending=[True, False])
    frequent = counts if counts.height <= _MOST_GROUPS else counts.filter(pl.col("count") >= FEWEST)
    kept = frequent.head(_MOST_GROUPS)[name]
    common = said.is_in(kept.implode()) | (said == UNKNOWN)
    return said.to_frame("said").select(pl.when(common).then("said").otherwise(pl.lit(OTHER)).alias("said"))[
        "said"
    ]
