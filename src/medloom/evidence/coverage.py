"""Whether ranges and sets hold the truth as often as they say, for whom, and how wide they have to be for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

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
from medloom.tasks.kinds import Kind
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, Outcomes, outcomes_of, read_curves
from medloom.training.conformal import EVERYONE
from medloom.training.conformal_model import ConformalModel
from medloom.training.curve_bands import CurveBands
from medloom.training.nonparametric import Timeline, step_at

THIRDS: Final = ("lowest", "middle", "highest")
"""Names of subgroups by predicted risk."""


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
            the outcome should lie; of curves the same by each horizon (`low.90`; of several events `death: low.90`),
            observed under censoring (Aalen and Johansen 1978).
        subgroups: the same within sexes, age bands and, of risks and curves, thirds of `risk`.
        kind: of the question.
        unit: of values, or of horizons.
    """

    level: float | None
    n: int
    n_subjects: int
    metrics: dict[str, Estimate]
    subgroups: dict[str, dict[str, dict[str, Estimate]]]
    kind: Kind = "binary"
    unit: str | None = None

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
    horizons: Sequence[float] = (),
) -> Coverage:
    """Measure ranges or sets on samples they were not made from, every number with a 95 % interval.

    Args:
        samples: labelled.
        predictions: of them, with `low` and `high` where the answers are values or risks.
        level: the share that was promised; None for bounds of risks.
        demographics: `sample_id`, `sex`, `age`; subgroups are made where it is given.
        sets: of classes: `sample_id`, `output`, `in_set`.
        replicates: of the bootstrap over patients.
        seed: of the bootstrap.
        horizons: of curves; empty: the question's.

    Raises:
        InputError: predictions have no bounds, or sets are missing or not those of the samples.
    """
    question = samples.question
    followed: _Followed | None = None
    risk: Floats | None = None
    if question.kind == "survival":
        followed = _Followed(outcomes_of(samples.frame["label"], question.outputs), question.outputs,
                             tuple(horizons) or question.horizons)  # fmt: skip
        columns = _of_curves(samples, predictions, followed)
        risk = columns[f"{followed.name(0)}low.{followed.horizons[-1]:g}"] if followed.horizons else None
    else:
        answers = read_answers(question, samples.frame, predictions.frame)
        if question.kind == "multiclass":
            columns = _of_sets(samples, sets)
        else:
            low, high = _bounds(samples, predictions)
            columns = (
                _of_values(answers.truth, low[:, 0], high[:, 0], level)
                if question.kind == "regression"
                else _of_risks(answers.truth.astype(np.float64).reshape(low.shape), low, high)
            )
            risk = answers.predicted.reshape(-1) if question.kind == "binary" else None
    group = np.unique(samples.groups, return_inverse=True)[1]
    subgroups: dict[str, dict[str, dict[str, Estimate]]] = {}
    parts = list(split_by(samples.frame["sample_id"], demographics)) if demographics is not None else []
    for dimension, name, chosen in [*parts, *_thirds(risk)]:
        part = {metric: values[chosen] for metric, values in columns.items()}
        own = np.unique(group[chosen], return_inverse=True)[1]
        told = None if followed is None else followed.where(chosen)
        found = _means(part, own, told, replicates, seed, dimension, name)
        subgroups.setdefault(dimension, {})[name] = found
    return Coverage(
        level,
        len(samples),
        int(group.max()) + 1 if group.size else 0,
        _means(columns, group, followed, replicates, seed),
        subgroups,
        question.kind,
        question.unit,
    )


def coverage_of(
    model: ConformalModel, samples: Samples, replicates: int = REPLICATES, seed: int = 0
) -> Coverage:
    """Measure what a model that tells ranges or sets says of samples, on the whole and by sex and age."""
    sets = model.sets(samples) if model.scheme == "adaptive" else None
    level = None if model.scheme == "venn-abers" else model.level
    told = model.told[EVERYONE]
    horizons: tuple[float, ...] = model.origin.question.horizons
    if isinstance(told, CurveBands) and not horizons:
        horizons = tuple(np.quantile(told.times, (0.5, 1.0), method="nearest").tolist())
    said = model.predict(samples)
    return coverage(samples, said, level, demographics_of(samples), sets, replicates, seed, horizons)


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


@dataclass(frozen=True)
class _Followed:
    """Samples of a survival question and the horizons they are looked at."""

    outcomes: Outcomes
    events: tuple[str, ...]
    horizons: tuple[float, ...]

    def name(self, cause: int) -> str:
        return f"{self.events[cause]}: " if len(self.events) > 1 else ""

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(
            f"{self.name(cause)}{what}.{horizon:g}"
            for cause in range(len(self.events))
            for horizon in self.horizons
            for what in ("width", "low", "observed", "high")
        )

    def where(self, chosen: NDArray[np.bool_]) -> _Followed:
        return replace(self, outcomes=self.outcomes[chosen])

    @property
    def beyond(self) -> frozenset[str]:
        """Name what was not observed, as nobody was followed so long."""
        last = self.outcomes.time.max() if len(self.outcomes) else 0.0
        return frozenset(
            f"{self.name(cause)}observed.{horizon:g}"
            for cause in range(len(self.events))
            for horizon in self.horizons
            if horizon > last
        )

    def observed(self, weight: Floats) -> dict[str, Floats]:
        """Estimate the share with each event by each horizon that was reached: weights (..., n) → (...,)."""
        counted = Timeline.of(self.outcomes).counted(weight)
        share = step_at(counted.steps, counted.incidence, self.horizons, 0.0)
        found = {
            f"{self.name(cause)}observed.{horizon:g}": share[..., cause, at]
            for cause in range(len(self.events))
            for at, horizon in enumerate(self.horizons)
        }
        return {name: values for name, values in found.items() if name not in self.beyond}


def _of_curves(samples: Samples, predictions: Predictions, followed: _Followed) -> dict[str, Floats]:
    curves = read_curves(predictions.frame, followed.events, samples.frame["sample_id"])
    if curves.low is None or curves.high is None:
        raise InputError(
            "{missing} of {n} predictions have no bounds; make the model tell them with: ml.with_ranges(trained)",
            missing=len(samples),
            n=len(samples),
        )
    low, high = (Curves(curves.times, one).at(followed.horizons) for one in (curves.low, curves.high))
    found: dict[str, Floats] = {}
    for cause in range(len(followed.events)):
        for at, horizon in enumerate(followed.horizons):
            name = followed.name(cause)
            found[f"{name}width.{horizon:g}"] = high[:, cause, at] - low[:, cause, at]
            found[f"{name}low.{horizon:g}"] = low[:, cause, at]
            found[f"{name}high.{horizon:g}"] = high[:, cause, at]
    return found


def _thirds(risk: Floats | None) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Divide by predicted risk; patients with equal risks stay together."""
    if risk is None or not np.isfinite(risk).any():
        return []
    place = np.searchsorted(np.nanquantile(risk, [1 / 3, 2 / 3]), risk, "right")
    named = [("risk", name, place == at) for at, name in enumerate(THIRDS)]
    return [one for one in named if one[2].any()] if len(np.unique(place)) > 1 else []


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
    columns: Mapping[str, Floats],
    group: NDArray[np.intp],
    followed: _Followed | None,
    replicates: int,
    seed: int,
    *names: str,
) -> dict[str, Estimate]:
    patients = int(group.max()) + 1 if group.size else 0
    names_of = tuple(columns) if followed is None else followed.measures
    if patients < FEWEST_SUBJECTS:
        few = text2("too few subjects; at least {least} are needed", least=FEWEST_SUBJECTS)
        return {name: Estimate(None, reason=few) for name in names_of}

    def measure(weight: Floats) -> dict[str, Floats]:
        total = weight.sum(axis=-1)
        means: dict[str, Floats] = {name: weight @ values / total for name, values in columns.items()}
        return means if followed is None else means | followed.observed(weight)

    whole = measure(np.ones(group.size))
    drawn = bootstrap(measure, group, replicates, seed, *names)
    never = Estimate(None, reason=text2("nobody was followed for so long"))
    return {name: estimate(whole[name], drawn.get(name)) if name in whole else never for name in names_of}


def _as_json(found: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: one.to_json() for name, one in found.items()}
