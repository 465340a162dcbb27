"""Late fusion: several models answer, each from its own modality, and a stack makes one answer of theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.files import write_text
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.fusion.stack import Stack
from medloom.tasks import package
from medloom.tasks.explanation import EXPLANATION_SCHEMA, Explanation
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model, Origin
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.answers import answers_of, labels_as_numbers, score_scale, scores_of

Floats = NDArray[np.float64]

METHOD: Final = (
    "reasons of each model by its own method, weighted as its answer is; where they divide a probability, stretched to"
    " its log-odds (rescale rule, Shrikumar et al., ICML 2017)"
)
LACKING: Final = "models without an answer"
FILE: Final = "fusion.json"

_KEY: Final = ["sample_id", "output", "input", "code", "value", "start", "end", "asset"]
_CLOSE: Final = 1e-9
_SURE: Final = 1e-12  # as answers are turned into scores


@dataclass(frozen=True)
class LateFusion(Model):
    """A stack of models.

    Attributes:
        origin: where it comes from.
        members: by name; where several of one name were learned on folds, the mean of their scores counts.
        stack: of the members, in their order.
    """

    origin: Origin
    members: Mapping[str, Sequence[Model]]
    stack: Stack

    @property
    def codes(self) -> frozenset[str]:
        return frozenset().union(*(model.codes for models in self.members.values() for model in models))

    @property
    def explains_slowly(self) -> bool:
        """Tell whether one of the members does."""
        return any(model.explains_slowly for models in self.members.values() for model in models)

    def predict(self, samples: Samples) -> Predictions:
        """Answer for each sample, in order; a member may lack an answer, which is then left to the others."""
        question = self.origin.question
        answers = answers_of(question.kind, self.stack.scores(self._scores(samples)))
        return Predictions.of_matrix(samples.frame["sample_id"], question.outputs, answers)

    def explain(self, samples: Samples) -> Explanation:
        """Add up the reasons of the members, each weighted as its answer is."""
        question = self.origin.question
        outputs = list(question.outputs)
        each = self._scores(samples)
        reached, shares = self.stack.scores(each), self.stack.shares(each)
        frames, additive = [EXPLANATION_SCHEMA.to_frame()], True
        baseline = np.array(self.stack.intercept)
        for place, models in enumerate(self.members.values()):
            weighted = pl.DataFrame(
                {
                    "sample_id": samples.frame["sample_id"],
                    "share": shares[:, place] / len(models),
                }
            )
            for model in models:
                explained = self._on_scores(model, samples)
                additive &= explained.additive
                starts = explained.baseline["value"].to_numpy()
                baseline = baseline + self.stack.slope * self.stack.weights[place] * starts / len(models)
                rows = explained.frame.join(weighted, on="sample_id", how="left", maintain_order="left")
                rows = rows.filter(pl.col("share") > 0).with_columns(pl.col("contribution") * pl.col("share"))
                frames.append(rows.select(EXPLANATION_SCHEMA.names()))
        summed = pl.concat(frames).group_by(_KEY, maintain_order=True).agg(pl.col("contribution").sum())
        if question.kind == "multiclass":
            reached, baseline = reached - reached.mean(axis=1, keepdims=True), baseline - baseline.mean()
            summed = _centred(summed, outputs)
        lacking: NDArray[np.bool_] = np.asarray(np.isnan(each).any(axis=(1, 2)))
        summed = pl.concat(
            [
                summed.select(EXPLANATION_SCHEMA.names()),
                *self._lacking(samples, summed, reached - baseline, lacking),
            ]
        )
        order = samples.frame.select("sample_id").with_row_index("_row")
        summed = summed.join(order, on="sample_id", how="left", maintain_order="left")
        summed = summed.sort("_row", maintain_order=True).drop("_row")
        return Explanation(
            summed,
            pl.DataFrame({"output": outputs, "value": baseline}),
            METHOD,
            score_scale(question),
            additive,
        )

    def as_text(self) -> str:
        """Say how much each member counts."""
        lines = [tr("a weighted mean of {n} models:", n=len(self.members))]
        for weight, name in zip(self.stack.weights, self.members, strict=True):
            lines.append(f"  {weight:.0%}  {name}")
        return "\n".join(lines)

    def save(self, directory: Path) -> str:
        """Write a model package that holds those of the members; give its digest."""
        return package.write(directory, self.origin, self._write, libraries=("numpy", "polars"))

    def _write(self, folder: Path) -> None:
        content = {
            "how": "late",
            "stack": asdict(self.stack),
            "members": {name: len(models) for name, models in self.members.items()},
        }
        write_text(folder / FILE, json.dumps(content, indent=1) + "\n")
        for name, models in self.members.items():
            for place, model in enumerate(models):
                model.save(folder / name / str(place))

    @classmethod
    def read(cls, origin: Origin, folder: Path, content: dict[str, Any]) -> LateFusion:
        """Read back what `save` wrote into a folder."""
        members = {
            name: [package.load(folder / name / str(place)) for place in range(many)]
            for name, many in content["members"].items()
        }
        return cls(origin, members, Stack.from_json(content["stack"]))

    def _scores(self, samples: Samples) -> Floats:
        """Give the mean score of each member's models: (n, m, k)."""
        return scores_by(self.members, samples)

    def _on_scores(self, model: Model, samples: Samples) -> Explanation:
        """Give a member's reasons on the scale of scores."""
        explained, question = model.explain(samples), self.origin.question
        if question.kind == "regression" or explained.scale == score_scale(question):
            return explained
        outputs = list(question.outputs)
        start = explained.baseline["value"].to_numpy()[None]
        answers = model.predict(samples).matrix(outputs)
        gained = _logs(question.kind, answers) - _logs(question.kind, start)
        moved = answers - start
        slope = 1 / np.maximum(answers * (1 if question.kind == "multiclass" else 1 - answers), _CLOSE)
        stretch = np.where(np.abs(moved) > _CLOSE, gained / np.where(moved == 0, 1, moved), slope)
        stretched = pl.DataFrame(
            {
                "sample_id": np.repeat(samples.sample_ids, len(outputs)),
                "output": pl.Series(outputs * len(samples), dtype=pl.String),
                "stretch": stretch.ravel(),
            }
        )
        frame = explained.frame.join(
            stretched, on=["sample_id", "output"], how="left", maintain_order="left"
        ).with_columns(pl.col("contribution") * pl.col("stretch"))
        value = _logs(question.kind, start)[0]
        return Explanation(
            frame.drop("stretch"),
            explained.baseline.with_columns(value=pl.Series(value)),
            explained.method,
            score_scale(question),
            explained.additive,
        )

    def _lacking(
        self, samples: Samples, summed: pl.DataFrame, whole: Floats, lacking: NDArray[np.bool_]
    ) -> list[pl.DataFrame]:
        """Tell how far it moves an answer that a member has none: `whole` (n, k) less the other reasons."""
        if not lacking.any():
            return []
        outputs = list(self.origin.question.outputs)
        rows = pl.DataFrame(
            {
                "sample_id": np.repeat(samples.sample_ids[lacking], len(outputs)),
                "output": outputs * int(lacking.sum()),
                "whole": whole[lacking].ravel(),
            }
        )
        told = summed.group_by("sample_id", "output").agg(pl.col("contribution").sum())
        rows = rows.join(told, on=["sample_id", "output"], how="left", maintain_order="left")
        rows = rows.with_columns(
            input=pl.lit(LACKING), contribution=pl.col("whole") - pl.col("contribution").fill_null(0)
        )
        return [
            rows.select(
                pl.col(name) if name in rows.columns else pl.lit(None, kind).alias(name)
                for name, kind in EXPLANATION_SCHEMA.items()
            )
        ]


def _logs(kind: Kind, answers: Floats) -> Floats:
    """Turn probabilities into log-odds, or, of classes that exclude each other, into logarithms."""
    if kind != "multiclass":
        return scores_of(kind, answers)
    logs: Floats = np.log(np.clip(answers, _SURE, 1))
    return logs


def _centred(rows: pl.DataFrame, outputs: list[str]) -> pl.DataFrame:
    """Give of each reason what speaks for a class rather than for the others."""
    key = [name for name in _KEY if name != "output"]
    mean = rows.group_by(key, maintain_order=True).agg(_mean=pl.col("contribution").sum() / len(outputs))
    every = mean.join(pl.DataFrame({"output": outputs}), how="cross")
    joined = every.join(rows, on=_KEY, how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(pl.col("contribution").fill_null(0) - pl.col("_mean"))


def scores_by(members: Mapping[str, Sequence[Model]], samples: Samples) -> Floats:
    """Give the mean score of each member's models: (n, m, k), NaN where a member has no answer."""
    question = samples.question
    means = []
    for models in members.values():
        total: Floats = np.zeros((len(samples), len(question.outputs)))
        for model in models:
            total = total + scores_of(question.kind, model.predict(samples).matrix(question.outputs))
        means.append(total / len(models))
    return np.stack(means, axis=1)


def fused(models: Mapping[str, Model], unseen: Samples, *, hidden: float = 0.2, seed: int = 0) -> LateFusion:
    """Stack models that were learned already.

    Args:
        models: by name; of the same question.
        unseen: samples that none of them learned from; not those for tuning, from which several learners learn in the
            end.
        hidden: how much it counts to answer well without one of the models.
        seed: of what is drawn.

    Raises:
        InputError: there is one model alone, or a label is missing.
    """
    if len(models) < 2:
        raise InputError("fusion needs two models or more, not {n}", n=len(models))
    members = {name: (model,) for name, model in models.items()}
    question = unseen.question
    scores, y = scores_by(members, unseen), labels_as_numbers(unseen)
    stack = Stack.fit(question.kind, scores, y, hidden, derive(seed, "fusion"))
    first = next(iter(models.values())).origin
    parameters = {
        "members": list(models),
        "options": {name: model.origin.parameters for name, model in models.items()},
        "folds": 0,
        "hidden": hidden,
    }
    origin = Origin(first.question, "fusion", parameters, seed, first.data_digest, first.split_rule)
    return LateFusion(origin, members, stack)
