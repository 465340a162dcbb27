"""Measuring what is named in notes, places and relations: scores of each name and of all, with intervals and rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Comparison
from medloom.evidence.intervals import bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.subgroups import Subgroup, split_by
from medloom.evidence.tally import Floats, ratio
from medloom.foundation.messages import Text2, text2
from medloom.tasks.samples import Samples

CASES: Final = pl.Schema(
    {
        "case": pl.Int64,
        "structure": pl.String,
        "there": pl.Int64,  # that people named
        "named": pl.Int64,  # that the model names
        "right": pl.Int64,
        "touched": pl.Int64,  # of `there`, those that one of the same name touches
        "touching": pl.Int64,  # of `named`, those that touch one of the same name
    }
)
_COUNTS: Final = ("there", "named", "right", "touched", "touching")


@dataclass(frozen=True)
class NamedMeasure:
    """How is measured: with intervals over subjects, of each name and of all.

    Attributes:
        group: (notes,) whose each is.
        names: of what is named.
        whole: those of them that are counted together, too.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """

    group: NDArray[Any]
    names: tuple[str, ...]
    whole: tuple[str, ...]
    replicates: int
    seed: int

    def of(self, cases: pl.DataFrame) -> dict[str, Estimate]:
        """Measure one model."""
        counts = self._counts(cases)
        return self._told(lambda weight: self._scores(counts, weight))

    def difference(self, ours: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, Estimate]:
        """Measure by how much one is above another, on the same resamples."""
        one, other = self._counts(ours), self._counts(theirs)

        def between(weight: Floats) -> dict[str, Floats]:
            rivals = self._scores(other, weight)
            return {name: value - rivals[name] for name, value in self._scores(one, weight).items()}

        return self._told(between)

    def compared(self, cases: pl.DataFrame, rivals: Mapping[str, pl.DataFrame]) -> dict[str, Comparison]:
        """Measure rivals, and by how much ours is above each."""
        return {
            name: Comparison(self.of(theirs), self.difference(cases, theirs))
            for name, theirs in rivals.items()
        }

    def subgroups(
        self, samples: Samples, demographics: pl.DataFrame, cases: pl.DataFrame
    ) -> dict[str, dict[str, Subgroup]]:
        """Measure one model for each subgroup."""
        found: dict[str, dict[str, Subgroup]] = {}
        for dimension, name, chosen in split_by(samples.frame["sample_id"], demographics):
            group = self.group[chosen]
            subjects = len(np.unique(group))
            part = cases.filter(pl.col("case").is_in(np.flatnonzero(chosen).tolist()))
            own = replace(self, group=group)
            found.setdefault(dimension, {})[name] = Subgroup(
                n=len(group),
                n_subjects=subjects,
                # the share among a handful of people tells what each of them has
                prevalence=prevalence(part, self.names) if subjects >= FEWEST_SUBJECTS else None,
                metrics=own.of(part),
            )
        return found

    def _counts(self, cases: pl.DataFrame) -> dict[str, Floats]:
        """Count by name and of all: (notes, counts) each."""
        each = {
            name: cases.filter(pl.col("structure") == name).select(_COUNTS).to_numpy().astype(np.float64)
            for name in self.names
        }
        if len(each) == 1:
            return each
        return {"": np.sum([each[name] for name in self.whole], axis=0), **each}

    def _scores(self, counts: Mapping[str, Floats], weight: Floats) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for name, each in counts.items():
            there, named, right, touched, touching = np.moveaxis(weight @ each, -1, 0)
            scores = {
                "f1": ratio(2 * right, there + named),
                "precision": ratio(right, named),
                "sensitivity": ratio(right, there),
                "touching_f1": ratio(touched + touching, there + named),
            }
            found |= {f"{name}.{metric}" if name else metric: one for metric, one in scores.items()}
        return found

    def _told(self, measure: Any) -> dict[str, Estimate]:
        whole = measure(np.ones(len(self.group)))
        if len(np.unique(self.group)) < FEWEST_SUBJECTS:
            few = text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
            return {name: Estimate(None, reason=few) for name in whole}
        groups = np.unique(self.group, return_inverse=True)[1].astype(np.intp)
        drawn = bootstrap(measure, groups, self.replicates, self.seed, "tagging")
        return {
            name: estimate(one, drawn.get(name))
            if np.isfinite(one)
            else Estimate(None, reason=_nothing(name.rpartition(".")[2]))
            for name, one in whole.items()
        }


def prevalence(cases: pl.DataFrame, names: Sequence[str]) -> dict[str, float] | None:
    """Give the share of notes with each name."""
    if not cases.height:
        return None
    shares = dict(cases.group_by("structure").agg((pl.col("there") > 0).mean()).iter_rows())
    return {name: float(shares[name]) for name in names}


def _nothing(metric: str) -> Text2:
    return text2("nothing is named") if metric == "precision" else text2("no note has such a place")
