"""What evaluations share of models that tell places in images: those that outline, and those that find objects."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import polars as pl

from medloom.evidence.evaluation import Evaluation
from medloom.evidence.table import aligned
from medloom.foundation.messages import Text2, here, tr
from medloom.tasks.samples import Samples


@dataclass(frozen=True)
class PlacesEvaluation(Evaluation):
    """What was measured of a model that tells places, on one split.

    Attributes:
        cases: rows of each image and structure, numbered by the places of the samples that were evaluated.
        structures: their names.
    """

    cases: pl.DataFrame | None = None
    structures: tuple[str, ...] = ()

    @staticmethod
    @abstractmethod
    def name_of(name: str) -> Text2:
        """Name a metric in words."""

    def __str__(self) -> str:
        seen = tr("{n:,} samples of {subjects:,} subjects", n=self.n, subjects=self.n_subjects)
        head = f"{here(self.title)} · {self.model or self.task} · {self.split}\n{seen}"
        rows = [(here(self.name_of(name)), one.said(2)) for name, one in self.metrics.items()]
        blocks = [aligned([(tr("measure"), tr("value (95 % interval)")), *rows])]
        reasons = dict.fromkeys(here(one.reason) for one in self.metrics.values() if one.reason is not None)
        if reasons:
            blocks.append("\n".join([tr("not estimable"), *(f"  {one}" for one in reasons)]))
        return "\n\n".join([head, *blocks])


def known_outlines(samples: Samples, split: str | None = None) -> Samples:
    """Keep the samples of a split that an expert outlined: those that cases are numbered by."""
    asked = samples.where(pl.col("label").is_not_null())
    return asked if split is None else asked.where(pl.col("split") == split)
