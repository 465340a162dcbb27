"""Rows that were made up, beside those they were learned from and those they were not: privacy and utility.

Trained on synthetic, tested on real: Esteban et al., 2017. What is near: `nearness`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import estimate
from medloom.evidence.nearness import DISTANCE_LIMIT, MEMBERSHIP_LIMIT, auroc, nearness, resampled
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator

Floats = NDArray[np.float64]

_REPLICATES: Final = 200
_FEWEST: Final = 20  # rows of each table
_MOST: Final = 5_000  # rows that distances are measured from
_FURTHEST: Final = 4.0  # standard deviations


@dataclass(frozen=True)
class SyntheticEvidence:
    """What was found out about made-up rows.

    Attributes:
        rows: of the tables `train`, `held_out` and `synthetic`.
        copies: rows that came out as rows of the original stand, and were left out.
        distance_ratio: median distance of made-up rows to the nearest row learned from, over that of unseen real rows.
        membership: AUROC of one who tells, by the distance to the nearest made-up row, who was learned from.
        utility: AUROC on unseen real rows of a model of `real` rows, and of one of `synthetic` rows; none where
            nothing was predicted.
        columns: name → how far its values are spread otherwise, from 0 to 1 (Kolmogorov-Smirnov; total variation).
        correlation: mean difference between correlations of pairs of columns.
    """

    rows: Mapping[str, int]
    copies: int
    distance_ratio: Estimate
    membership: Estimate
    utility: Mapping[str, Estimate]
    columns: Mapping[str, float]
    correlation: float

    @property
    def doubts(self) -> tuple[Text2, ...]:
        """Say why these rows should not be given away; none: nothing was found against it."""
        said = []
        if self.membership.low is not None and self.membership.low > MEMBERSHIP_LIMIT:
            said.append(
                text2(
                    "Who was learned from can be told: AUROC {value}, more than {limit}.",
                    value=f"{self.membership.value:.2f}",
                    limit=f"{MEMBERSHIP_LIMIT:.2f}",
                )
            )
        if self.distance_ratio.high is not None and self.distance_ratio.high < DISTANCE_LIMIT:
            said.append(
                text2(
                    "Made-up rows lie too near to real ones: {value} of unseen rows' distance, less than {limit}.",
                    value=f"{self.distance_ratio.value:.2f}",
                    limit=f"{DISTANCE_LIMIT:.2f}",
                )
            )
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values."""
        return {
            "rows": dict(self.rows),
            "copies": self.copies,
            "distance_ratio": self.distance_ratio.to_json(),
            "membership_auroc": self.membership.to_json(),
            "utility_auroc": {name: one.to_json() for name, one in self.utility.items()},
            "columns": dict(self.columns),
            "correlation_difference": self.correlation,
            "doubts": [one.en for one in self.doubts],
        }


def judge_synthetic(
    train: pl.DataFrame,
    held_out: pl.DataFrame,
    synthetic: pl.DataFrame,
    *,
    copies: int = 0,
    utility: Mapping[str, Estimate] | None = None,
    seed: int = 0,
) -> SyntheticEvidence:
    """Judge made-up rows.

    Args:
        train: rows they were learned from.
        held_out: real rows they were not learned from.
        synthetic: made-up rows; the same columns.
        copies: rows that were left out, as they stood in the original.
        utility: as `SyntheticEvidence.utility`.
        seed: of rows that are drawn, and of intervals.

    Raises:
        InputError: a table has fewer than twenty rows.
    """
    tables = {"train": train, "held_out": held_out, "synthetic": synthetic}
    rows = {name: frame.height for name, frame in tables.items()}
    if min(rows.values()) < _FEWEST:
        raise InputError(
            "made-up rows cannot be judged by {n} rows; {least} of each are the least",
            n=min(rows.values()),
            least=_FEWEST,
        )
    rng = generator(seed, "synthetic")
    # as many that were learned from as not: the nearest of more is nearer
    n = min(_MOST, held_out.height, train.height)
    coded = _coded(train, tables)
    inside, outside, made = (
        one[rng.permutation(len(one))[:most]]
        for one, most in zip(
            (coded["train"], coded["held_out"], coded["synthetic"]), (n, n, _MOST), strict=True
        )
    )
    every = coded["train"]
    found = nearness(every, inside, outside, made, rng)
    return SyntheticEvidence(
        rows,
        copies,
        found.ratio,
        found.membership,
        utility or {},
        {name: _spread_otherwise(train[name], synthetic[name]) for name in train.columns},
        _correlations_apart(every, coded["synthetic"]),
    )


def auroc_between(label: NDArray[np.bool_], score: Floats, seed: int = 0) -> Estimate:
    """Estimate the AUROC of scores (n,), with its interval over resampled rows."""
    yes, no = score[label], score[~label]
    rng = generator(seed, "auroc")
    draws = np.array([auroc(resampled(yes, rng), resampled(no, rng)) for _ in range(_REPLICATES)])
    return estimate(auroc(yes, no), draws)


def same_rows(made: pl.DataFrame, original: pl.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows stand in the original just so: (n,)."""
    aligned = original.select(made.columns).cast(made.schema).unique().with_columns(_same=True)
    joined = made.join(aligned, on=made.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined["_same"].fill_null(False).to_numpy()


def _coded(train: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> dict[str, Floats]:
    """Make numbers of tables: in standard deviations of the rows learned from; choices, and what is missing, 0 or 1."""
    columns: dict[str, list[Floats]] = {name: [] for name in tables}
    for name in train.columns:
        if train.schema[name].is_numeric():
            known = train[name].cast(pl.Float64).fill_nan(None).drop_nulls()
            middle, sd = float(known.mean() or 0.0), float(known.std() or 0.0) or 1.0  # type: ignore[arg-type]
            for table, frame in tables.items():
                x = frame[name].cast(pl.Float64).fill_nan(None).to_numpy().astype(np.float64)
                scaled = np.clip((x - middle) / sd, -_FURTHEST, _FURTHEST)
                columns[table] += [np.nan_to_num(scaled), np.isnan(x).astype(np.float64)]
        else:
            choices = train[name].cast(pl.String).fill_null("").unique().sort()
            for table, frame in tables.items():
                text = frame[name].cast(pl.String).fill_null("")
                columns[table] += [(text == choice).to_numpy().astype(np.float64) for choice in choices]
    return {table: np.stack(each, 1) for table, each in columns.items()}


def _spread_otherwise(real: pl.Series, made: pl.Series) -> float:
    from scipy.stats import ks_2samp

    if not real.dtype.is_numeric():
        shares = [
            one.cast(pl.String).value_counts(normalize=True).rename({one.name: "choice"})
            for one in (real, made)
        ]
        joined = (
            shares[0].join(shares[1], on="choice", how="full", coalesce=True, nulls_equal=True).fill_null(0)
        )
        first, second = joined.select(pl.exclude("choice")).to_numpy().T
        return float(np.abs(first - second).sum() / 2)
    known = [one.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy() for one in (real, made)]
    absent = abs(len(known[0]) / len(real) - len(known[1]) / len(made))
    if not len(known[0]) or not len(known[1]):
        return float(absent)
    return float(max(ks_2samp(*known, method="asymp").statistic, absent))


def _correlations_apart(real: Floats, made: Floats) -> float:
    varied = (real.std(0) > 0) & (made.std(0) > 0)
    if varied.sum() < 2:
        return float("nan")
    one, two = (np.corrcoef(table[:, varied], rowvar=False) for table in (real, made))
    return float(np.abs(one - two)[np.triu_indices(int(varied.sum()), 1)].mean())
