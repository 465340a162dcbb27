"""Intermediate fusion: one learner answers from window features and from what other models know of each sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from medloom.foundation.files import write_text
from medloom.learners.fusion.embeddings import SYSTEM, Embedder, embedder_of, parts_with_embeddings
from medloom.learners.fusion.late import FILE
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions
from medloom.tasks.samples import Samples

_HEAD: Final = "head"
_EMBEDDERS: Final = "embedders"
_KEY: Final = ["sample_id", "output", "input", "code", "value", "start", "end", "asset"]


class EmbeddingModel(Embedder, Protocol):
    """A model that also knows samples by vectors."""

    @property
    def codes(self) -> frozenset[str]:
        """Name the codes its answers may depend on."""
        ...

    def save(self, directory: Path) -> str:
        """Write a model package; give its digest."""
        ...


@dataclass(frozen=True)
class IntermediateFusion(Model):
    """A model of window features and embeddings.

    Attributes:
        origin: where it comes from.
        head: answers; embeddings are static numbers to it.
        embedders: by name.
    """

    origin: Origin
    head: Model
    embedders: Mapping[str, EmbeddingModel]

    @property
    def codes(self) -> frozenset[str]:
        own = {code for code in self.head.codes if not code.startswith(f"{SYSTEM}//")}
        return frozenset(own).union(*(one.codes for one in self.embedders.values()))

    @property
    def explains_slowly(self) -> bool:
        """Tell whether the head does."""
        return self.head.explains_slowly

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order."""
        frames = [self.head.predict(part).frame for part in parts_with_embeddings(samples, self.embedders)]
        return Predictions(pl.concat(frames) if frames else PREDICTION_SCHEMA.to_frame())

    def explain(self, samples: Samples) -> Explanation:
        """Divide each answer between the inputs, as the head does; an embedding counts as one input."""
        each = [self.head.explain(part) for part in parts_with_embeddings(samples, self.embedders)]
        if not each:
            each = [self.head.explain(samples)]
        rows = pl.concat([one.frame for one in each]).with_columns(_embedder=embedder_of(pl.col("code")))
        embedded = pl.col("_embedder").is_not_null()
        rows = rows.with_columns(
            input=pl.when(embedded).then(_said("_embedder")).otherwise("input"),
            code=pl.when(~embedded).then("code"),
            value=pl.when(~embedded).then("value"),
        )
        summed = rows.group_by(_KEY, maintain_order=True).agg(pl.col("contribution").sum())
        return Explanation(
            summed.select(EXPLANATION_SCHEMA.names()),
            each[0].baseline,
            each[0].method,
            each[0].scale,
            each[0].additive,
        )

    def importance(self) -> pl.DataFrame:
        """Rank the inputs by how much they matter to the head; an embedding counts as one."""
        ranked = self.head.importance().with_columns(_embedder=embedder_of(pl.col("code")))
        embedded = pl.col("_embedder").is_not_null()
        named = ranked.select(
            pl.when(embedded).then(_said("_embedder")).otherwise("input").alias("input"),
            pl.when(~embedded).then("code").alias("code"),
            "weight",
        )
        summed = named.group_by("input", "code", maintain_order=True).agg(pl.col("weight").sum())
        return summed.sort("weight", descending=True, maintain_order=True)

    def save(self, directory: Path) -> str:
        """Write a model package that holds those of the head and the embedders; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=("numpy", "polars"))

    def _write(self, folder: Path) -> None:
        content = {"how": "intermediate", "embedders": list(self.embedders)}
        write_text(folder / FILE, json.dumps(content, indent=1) + "\n")
        self.head.save(folder / _HEAD)
        for name, embedder in self.embedders.items():
            embedder.save(folder / _EMBEDDERS / name)

    @classmethod
    def read(cls, origin: Origin, folder: Path, content: dict[str, Any]) -> IntermediateFusion:
        """Read back what `save` wrote into a folder."""
        embedders: dict[str, Any] = {
            name: package.load(folder / _EMBEDDERS / name) for name in content["embedders"]
        }
        return cls(origin, package.load(folder / _HEAD), embedders)


def _said(embedder: str) -> pl.Expr:
    return pl.format("{} (embedding)", embedder)
