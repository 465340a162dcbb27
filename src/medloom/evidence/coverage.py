"""Whether ranges and sets hold the truth as often as they say, for whom, and how wide they have to be for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.evidence.answers import read_answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.subgroups import split_by
from medloom.evidence.tally import Floats
from medloom.foundation.errors import InputError
from medloom.foundation.messages import text2
from medloom.tasks.demographics import demographics as demographics_of
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training.conformal_model import ConformalModel


@dataclass(frozen=True)
class Coverage:
    """What was found of ranges or sets.

    Attributes:
        level: the share that was promised; None for bounds of risks, which promise none.
        n: samples.
        n_subjects: patients.
        metrics: of values: `coverage` (share inside), `width` (mean, in the value's unit), `interval_score` (mean
            width plus what misses cost, less is better: Gneiting and Raftery, J Am Stat Assoc 2007;102:359-378);
            of classes: `coverage`, `set_size` (mean), `singletons` (share of sets that name one class);
            of risks: `width` (mean), and `low`, `observed`, `high`: the mean bounds, between which the share with
            the outcome should lie.
        subgroups: the same within sexes and age bands.
    """

    level: float | None
    n: int
    n_subjects: int
    metrics: dict[str, Estimate]
    subgroups: dict[str, dict[str, dict[str, Estimate]]]

    def to_json(self) -> dict[str, Any]:
        """Answer plain JSON values; what has no number is explained under "reasons"."""
        places: dict[str, Mapping[str, Estimate]] = {"metrics": self.metrics}
        for dimension, parts in self.subgroups.items():
            places |= {f"subgroups.{dimension}.{name}": found for name, found in parts.items()}
        return {
            "level": self.level,
            "n": self.n,
            "n_subjects": self.n_subjects,
            "metrics": _as_json(self.metrics),
            "subgroups": {
                dimension: {name: _as_json(found) for name, found in parts.items()}
                for dimension, parts in self.subgroups.items()
            },
            "reasons": {
                f"{place}.{name}": one.reason.en
                for place, found in places.items()
                for name, one in found.items()
                if one.reason is not None
            },
        }


def coverage(
    samples: Samples,
    predictions: Predictions,
    level: float | None,
    demographics: pl.DataFrame | None = None,
    sets: pl.DataFrame | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Coverage:
    """Measure ranges or sets on samples they were not made from, every number with a 95 % interval.

    Args:
        samples: labelled; binary, multiclass, multilabel or regression.
        predictions: of them, with `low` and `high` where the answers are values or risks.
        level: the share that was promised; None for bounds of risks.
        demographics: `sample_id`, `sex`, `age`; subgroups are made where it is given.
        sets: of classes: `sample_id`, `output`, `in_set`.
        replicates: of the bootstrap over patients.
        seed: of the bootstrap.

    Raises:
        InputError: predictions have no bounds, or sets are missing or not those of the samples.
    """
    answers = read_answers(samples.question, samples.frame, predictions.frame)
    if answers.kind == "multiclass":
        columns = _of_sets(samples, sets)
    else:
        low, high = _bounds(samples, predictions)
        columns = (
            _of_values(answers.truth, low[:, 0], high[:, 0], level)
            if answers.kind == "regression"
            else _of_risks(answers.truth.astype(np.float64).reshape(low.shape), low, high)
        )
    subgroups: dict[str, dict[str, dict[str, Estimate]]] = {}
    if demographics is not None:
        for dimension, name, chosen in split_by(samples.frame["sample_id"], demographics):
            part = {metric: values[chosen] for metric, values in columns.items()}
            group = np.unique(answers.group[chosen], return_inverse=True)[1]
            subgroups.setdefault(dimension, {})[name] = _means(part, group, replicates, seed, dimension, name)
    return Coverage(
        level,
        len(answers),
        answers.groups,
        _means(columns, answers.group, replicates, seed),
        subgroups,
    )


def coverage_of(
    model: ConformalModel, samples: Samples, replicates: int = REPLICATES, seed: int = 0
) -> Coverage:
    """Measure what a model that tells ranges or sets says of samples, on the whole and by sex and age."""
    sets = model.sets(samples) if model.scheme == "adaptive" else None
    level = None if model.scheme == "venn-abers" else model.level
    return coverage(samples, model.predict(samples), level, demographics_of(samples), sets, replicates, seed)


def _of_values(truth: Floats, low: Floats, high: Floats, level: float | None) -> dict[str, Floats]:
    if level is None:
        raise InputError("say which share of values the ranges were to hold")
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    width = high - low
    inside = (low <= truth) & (truth <= high)
    return {
        "coverage": inside.astype(np.float64),
        "width": width,
        "interval_score": width + 2 / (1 - level) * missed,
    }


def _of_risks(truth: Floats, low: Floats, high: Floats) -> dict[str, Floats]:
    """Take (n, k) each; several risks of one sample are averaged."""
    found = {"width": high - low, "low": low, "observed": truth, "high": high}
    return {name: values.mean(axis=1) for name, values in found.items()}


def _of_sets(samples: Samples, sets: pl.DataFrame | None) -> dict[str, Floats]:
    if sets is None:
        raise InputError("say which classes the sets hold: sets=model.sets(samples)")
    right = pl.col("in_set") & (pl.col("output") == pl.col("label"))
    labelled = sets.join(samples.frame.select("sample_id", "label"), on="sample_id")
    found = labelled.group_by("sample_id").agg(held=right.any(), size=pl.col("in_set").sum())
    joined = samples.frame.select("sample_id").join(found, on="sample_id", how="left", maintain_order="left")
    if joined["size"].null_count():
        raise InputError(
            "{missing} of {n} samples have no set; make sets of the same samples that are measured",
            missing=joined["size"].null_count(),
            n=joined.height,
        )
    size = joined["size"].to_numpy().astype(np.float64)
    held = joined["held"].to_numpy().astype(np.float64)
    return {"coverage": held, "set_size": size, "singletons": (size == 1).astype(np.float64)}


def _bounds(samples: Samples, predictions: Predictions) -> tuple[Floats, Floats]:
    """Give low and high in the order of the samples: (n, k)."""
    ids = samples.frame.select("sample_id")
    joined = ids.join(predictions.frame, on="sample_id", how="left", maintain_order="left_right")
    missing = joined.filter(pl.col("low").is_null() | pl.col("high").is_null()).height
    if missing:
        raise InputError(
            "{missing} of {n} predictions have no bounds; make the model tell them with: ml.with_ranges(trained)",
            missing=missing,
            n=joined.height,
        )
    k = max(len(samples.question.outputs), 1)
    return joined["low"].to_numpy().reshape(-1, k), joined["high"].to_numpy().reshape(-1, k)


def _means(
    columns: Mapping[str, Floats], group: NDArray[np.intp], replicates: int, seed: int, *names: str
) -> dict[str, Estimate]:
    patients = int(group.max()) + 1 if group.size else 0
    if patients < FEWEST_SUBJECTS:
        few = text2("too few subjects: {n}; at least {least} are needed", n=patients, least=FEWEST_SUBJECTS)
        return {name: Estimate(None, reason=few) for name in columns}

    def measure(weight: Floats) -> dict[str, Floats]:
        total = weight.sum(axis=-1)
        return {name: weight @ values / total for name, values in columns.items()}

    whole = measure(np.ones(group.size))
    drawn = bootstrap(measure, group, replicates, seed, *names)
    return {name: estimate(whole[name], drawn.get(name)) for name in columns}


def _as_json(found: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: one.to_json() for name, one in found.items()}
