"""Conformal prediction: ranges and sets that hold the truth as often as they say, for any model.

The model's errors on calibration samples it has not learned from are ranked; the share of new patients whose error is
larger is then known, whatever the distribution, as long as they come from where the calibration samples came from
(Vovk, Gammerman and Shafer 2005; Lei et al., J Am Stat Assoc 2018;113:1094-1111). It holds on the whole and within
the groups that were asked for (Mondrian), not for each patient.

- `residual`: value ± one width for all.
- `quantiles`: a low and a high model's values, moved by one amount (Romano, Patterson and Candès, NeurIPS 2019).
- `adaptive`: classes from the likeliest on, until their chances sum up to enough (Romano, Sesia and Candès, NeurIPS
  2020), unlikely ranks being penalised (Angelopoulos et al., ICLR 2021). The draw that decides about the last class
  is a hash of the model's own answers, so that the same patient always gets the same set.

Patients with several samples: each counts as one, its samples sharing its weight (Lee, Barber and Willett,
J R Stat Soc B 2025;87:1001-1033).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.hashing import mix64
from medloom.tasks.demographics import UNKNOWN, age_band, demographics
from medloom.tasks.samples import Samples
from medloom.training.weights import one_a_patient

Floats = NDArray[np.float64]
By = Literal["sex", "age"]
BYS: Final[tuple[By, ...]] = get_args(By)
LEVEL: Final = 0.9
EVERYONE: Final = "everyone"
_TINY: Final = 1e-12  # sums of shares are exact to this


@dataclass(frozen=True)
class Ranks:
    """Nonconformity scores of calibration samples: how unlike the truth the model's answers were.

    Attributes:
        scores: (n,) ascending.
        share: (n,) of the patients, the new one included, whose score is at most this: summed up.
        patients: how many patients they are.
    """

    scores: Floats
    share: Floats
    patients: int

    @classmethod
    def of(cls, scores: Floats, groups: NDArray[np.int64]) -> Ranks:
        """Rank scores (n,) of patients (n,).

        >>> Ranks.of(np.array([3.0, 1.0, 2.0]), np.arange(3)).share.tolist()
        [0.25, 0.5, 0.75]
        """
        patients = len(np.unique(groups))
        order = np.argsort(scores, kind="stable")
        share = np.cumsum(one_a_patient(groups)[order]) / (patients + 1)
        return cls(scores[order].astype(np.float64), share.astype(np.float64), patients)

    def quantile(self, level: float) -> float:
        """Give the score that a new patient's exceeds at most with chance 1 - level; inf where too few tell.

        Of n patients with a sample each it is the ceil((n + 1) level)-th smallest.

        >>> Ranks.of(np.arange(1.0, 10.0), np.arange(9)).quantile(0.9)
        9.0
        >>> Ranks.of(np.arange(1.0, 9.0), np.arange(8)).quantile(0.9)
        inf
        """
        place = int(np.searchsorted(self.share, level - _TINY))
        return float(self.scores[place]) if place < len(self.scores) else float("inf")

    def p_value(self, scores: Floats) -> Floats:
        """Give the chance of a score at least this large, for scores of any shape.

        >>> Ranks.of(np.arange(1.0, 10.0), np.arange(9)).p_value(np.array([9.5, 9.0, 0.0])).round(3).tolist()
        [0.1, 0.2, 1.0]
        """
        below = np.concatenate([[0.0], self.share])[np.searchsorted(self.scores, scores, side="left")]
        return np.asarray(1 - below, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Give all there is to know, for `read`."""
        return {"scores": self.scores.tolist(), "share": self.share.tolist(), "patients": self.patients}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Ranks:
        """Read back what `to_json` gave."""
        return cls(np.array(content["scores"]), np.array(content["share"]), content["patients"])


def least_patients(level: float) -> int:
    """Count the patients it takes for a finite range.

    >>> least_patients(0.9), least_patients(0.95)
    (9, 19)
    """
    return int(np.ceil(level / (1 - level) - 1e-9))


def adaptive_scores(
    shares: Floats, penalty: float = 0.0, free: int = 1, drawn: Floats | None = None
) -> Floats:
    """Score every class by the summed chances of the likelier classes and some of its own: (n, k) → (n, k).

    Args:
        shares: (n, k) chances.
        penalty: added for each rank beyond `free`, so that sets stay small.
        free: ranks without a penalty.
        drawn: (n,) how much of a class's own chance counts, from 0 to 1; None: all of it.

    >>> adaptive_scores(np.array([[0.2, 0.5, 0.3]])).round(2).tolist()
    [[1.0, 0.5, 0.8]]
    >>> adaptive_scores(np.array([[0.2, 0.5, 0.3]]), drawn=np.array([0.5])).round(2).tolist()
    [[0.9, 0.25, 0.65]]
    """
    order = np.argsort(-shares, axis=1, kind="stable")
    ranked = np.take_along_axis(shares, order, axis=1)
    rank = np.arange(1, shares.shape[1] + 1)
    own = np.ones(len(shares)) if drawn is None else drawn
    summed = np.cumsum(ranked, axis=1) - (1 - own[:, None]) * ranked + penalty * np.maximum(0, rank - free)
    found: Floats = np.empty_like(summed)
    np.put_along_axis(found, order, summed, axis=1)
    return found


def draw(shares: Floats) -> Floats:
    """Draw a number from 0 to 1 for each row of chances (n, k), always the same for the same row.

    Chances count to six decimals, as alone and among others the last bits of an answer may differ.

    >>> one, other = draw(np.array([[0.25, 0.75], [0.26, 0.74]]))
    >>> bool(one != other), bool(one == draw(np.array([[0.25, 0.75]]))[0])
    (True, True)
    """
    mixed = np.zeros(len(shares), dtype=np.uint64)
    for column in np.round(shares * 1e6).astype(np.uint64).T:
        mixed = mix64(mixed, column)
    return np.asarray((mixed >> np.uint64(11)) / 2.0**53, dtype=np.float64)


def strata(samples: Samples, by: Sequence[By]) -> NDArray[np.str_]:
    """Name each sample's group: (n,), such as `F · 45-64`; all alike where nothing is asked for."""
    if not by or not len(samples):
        return np.full(len(samples), EVERYONE)
    who = demographics(samples).with_columns(
        age=age_band(pl.col("age")), sex=pl.col("sex").fill_null(UNKNOWN)
    )
    names = who.select(name=pl.concat_str(list(by), separator=" · "))["name"]
    return np.array(names.to_list(), dtype=np.str_)
