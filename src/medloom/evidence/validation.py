"""Validation designs carried out and evaluated: across folds, over time, between hospitals, elsewhere, by size.

How a design divides the samples stands in `medloom.training.designs`. All samples that were tested are evaluated
together, each answered by a model that had not learned from its patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from medloom.evidence.answers import read_answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation, evaluate
from medloom.evidence.intervals import REPLICATES, estimates
from medloom.evidence.metrics import METRICS
from medloom.evidence.stability import Stability, stability
from medloom.evidence.survival_evaluation import SurvivalEvaluation, evaluate_survival
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import track
from medloom.foundation.seeds import derive
from medloom.tasks.demographics import demographics
from medloom.tasks.model import Learner, Model
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import outcomes_of
from medloom.training import designs
from medloom.training.calibrators import Method
from medloom.training.conformal_model import ConformalModel
from medloom.training.designs import OutOfSample, Part, carried_out
from medloom.training.recalibration import CalibratedModel, recalibrated


@dataclass(frozen=True)
class Validation:
    """What a design found.

    Attributes:
        evaluation: of all samples that were tested.
        parts: the same metrics within each part: fold, hospital, period.
        answered: the samples and what was said of them, for whatever else one wants to know.
    """

    evaluation: Evaluation
    parts: dict[str, dict[str, Estimate]]
    answered: OutOfSample

    def to_json(self) -> dict[str, Any]:
        """Answer the evaluation's documented form, with `parts`."""
        parts = {
            name: {metric: one.to_json() for metric, one in found.items()}
            for name, found in self.parts.items()
        }
        return {**self.evaluation.to_json(), "parts": parts}

    def __str__(self) -> str:
        return str(self.evaluation)


@dataclass(frozen=True)
class External:
    """A model on another hospital's samples, as it came and updated.

    Attributes:
        before: the model as it came, on the samples that were tested.
        after: updated on others of that hospital's samples, on the same tested samples, compared with `before`.
        model: the model updated on all samples of that hospital that are not held out.
    """

    before: Evaluation
    after: Evaluation
    model: CalibratedModel

    def to_json(self) -> dict[str, Any]:
        """Answer {"before", "after", "update"}."""
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "update": {**self.model.calibrator.to_json(), "basis": self.model.basis.to_json()},
        }


@dataclass(frozen=True)
class LearningCurve:
    """How good a learner is with how many patients: frame of `patients`, `repeat`, `samples` and a column a metric."""

    frame: pl.DataFrame

    def mean(self) -> pl.DataFrame:
        """Average over repeats: a row a size."""
        metrics = [name for name in self.frame.columns if name not in ("patients", "repeat", "samples")]
        return self.frame.group_by("patients", maintain_order=True).agg(pl.col(metrics).mean())

    def to_json(self) -> list[dict[str, Any]]:
        """Answer the rows."""
        return self.frame.to_dicts()


def validate(
    learner: Learner,
    parts: Sequence[Part],
    design: str,
    replicates: int = REPLICATES,
    seed: int = 0,
    by_group: bool = True,
) -> Validation:
    """Learn a model for each part, ask it about the part's test samples, and evaluate all answers together.

    Args:
        learner: any.
        parts: of a design (`medloom.training.designs`).
        design: what it is called in the report.
        replicates: of the bootstrap over patients.
        seed: of everything random.
        by_group: whether sexes and age bands are evaluated too.

    Raises:
        InputError: the parts are none or overlap, or the learner cannot learn from one of them.
    """
    done = carried_out(learner, parts, seed)
    evaluation = _evaluated(done.samples, done.predictions, learner.name, design, replicates, seed, by_group)
    if len(parts) == 1:
        return Validation(evaluation, {parts[0].name: evaluation.metrics}, done)
    horizons = evaluation.horizons if isinstance(evaluation, SurvivalEvaluation) else None
    found = _by_part(done, [part.name for part in parts], horizons, replicates, seed)
    return Validation(evaluation, found, done)


def cross_validation(
    samples: Samples, learner: Learner, folds: int = 5, replicates: int = REPLICATES, seed: int = 0
) -> Validation:
    """Test every patient that is not held out once, by a model of the other folds; raises as `designs.folds`.

    >>> from medloom.foundation import registry
    >>> from medloom.tasks.external import from_frame
    >>> frame = pl.DataFrame({"x": list(range(200)), "ill": [i > 99 for i in range(200)]})
    >>> tree = registry.load("medloom.learners", "tree")()
    >>> found = cross_validation(from_frame(frame, "ill"), tree, folds=2, replicates=20).evaluation
    >>> found.metrics["auroc"].value > 0.95
    True
    """
    return validate(
        learner, designs.folds(samples, folds, seed), f"cross-validation, {folds} folds", replicates, seed
    )


def temporal(
    samples: Samples, learner: Learner, start: date, replicates: int = REPLICATES, seed: int = 0
) -> Validation:
    """Learn from before a day and test on patients first asked from then on; raises as `designs.temporal`."""
    return validate(
        learner, designs.temporal(samples, start, seed), f"temporal, from {start}", replicates, seed
    )


def leave_one_site_out(
    samples: Samples,
    learner: Learner,
    site: str | pl.Series,
    fewest: int = 20,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Validation:
    """Test each site with a model of all others.

    Args:
        samples: all.
        learner: any.
        site: the name of the fact or column that names each sample's site, which models then do not see; or a
            name a sample.
        fewest: patients a site must have to be tested.
        replicates: of the bootstrap over patients.
        seed: of everything random.

    Raises:
        InputError: there is no such fact, or fewer than two sites have so many patients.
    """
    if isinstance(site, str):
        places = designs.fact(samples, site)
        codes = {code for part in samples.parts() for code in part.history().vocabulary}
        samples = samples.hiding(*(code for code in codes if code == site or code.startswith(f"{site}//")))
    else:
        places = site
    parts = designs.leave_one_out(samples, places, seed, fewest)
    return validate(learner, parts, "leave one site out", replicates, seed)


def external(
    model: Model,
    samples: Samples,
    update: Method | Literal["auto"] = "auto",
    folds: int = 5,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> External:
    """Test a model on another hospital's samples of the same question, as it came and updated there.

    Where that hospital holds samples out, the update is learned from its others and both are tested on those held
    out; else the update is learned and tested across folds by patient.

    Raises:
        InputError: the question is another one, or the samples do not allow the update.
    """
    asked, learned = samples.question, model.origin.question
    about = {"title", "task", "definition"}
    if asked.model_dump(exclude=about) != learned.model_dump(exclude=about):
        raise InputError(
            "the model answers another question than the samples of {task!r} ask: kind, classes, unit and horizon "
            "must be the same",
            task=asked.task,
        )
    if isinstance(model, ConformalModel):
        model = model.model  # its ranges were learned elsewhere
    open_ones = samples.where(pl.col("split") != "held_out")
    held_out = samples.in_split("held_out")
    final = recalibrated(model, open_ones, update)
    if len(held_out):
        tested, after = held_out, final.predict(held_out)
    else:
        parts = designs.folds(open_ones, folds, seed)
        frames = []
        for part in parts:
            others = open_ones.where(~pl.col("group").is_in(np.unique(part.test.groups)))
            frames.append(recalibrated(model, others, update).predict(part.test).frame)
        order = open_ones.frame.select("sample_id")
        joined = order.join(pl.concat(frames), on="sample_id", how="left", maintain_order="left_right")
        tested, after = open_ones, Predictions(joined.select(frames[0].columns))
    said = model.predict(tested)
    name = model.origin.learner
    before = _evaluated(tested, said, name, "external", replicates, seed)
    updated = _evaluated(tested, after, name, "external, updated", replicates, seed, True, {"before": said})
    return External(before, updated, final)


def learning_curve(
    samples: Samples, learner: Learner, sizes: Sequence[int] = (), repeats: int = 3, seed: int = 0
) -> LearningCurve:
    """Learn from ever more patients, and measure on others, always the same within a repeat.

    Args:
        samples: all; those held out take no part.
        learner: any.
        sizes: numbers of patients; empty: 10, 20, 40, 70 and 100 % of those beside the test set.
        repeats: how often the division is drawn.
        seed: of everything random.

    Raises:
        InputError: a size is impossible, or the learner cannot learn from so few.
    """
    if not sizes:
        patients = samples.where(pl.col("split") != "held_out").frame["group"].n_unique()
        most = patients - max(1, round(0.2 * patients))
        sizes = sorted({max(1, round(share * most)) for share in (0.1, 0.2, 0.4, 0.7, 1.0)})
    rows = []
    for size, repeat, part in track(
        designs.by_size(samples, sizes, repeats, seed=seed), tr("models"), len(sizes) * repeats
    ):
        model = learner.fit(part.train, part.tuning, seed=derive(seed, "size", part.name))
        said = model.predict(part.test)
        rows.append(
            {
                "patients": size,
                "repeat": repeat,
                "samples": len(part.train) + len(part.tuning),
                **_values(part.test, said, _times(samples)),
            }
        )
    return LearningCurve(pl.DataFrame(rows, infer_schema_length=None).sort("patients", "repeat"))


def stability_of(
    model: Model,
    learner: Learner,
    samples: Samples,
    refits: int = 50,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Stability:
    """Learn anew from resampled patients, and see how far the answers to the development samples scatter.

    Args:
        model: the one in question.
        learner: that made it, or one of the same parameters.
        samples: it was developed on; those held out take no part.
        refits: models of resamples; the paper takes 200 or more.
        thresholds: at which decisions are taken, by name.
        seed: of everything random.
    """
    asked = samples.where(pl.col("split") != "held_out")
    question, times = asked.question, _times(asked)
    outputs: Sequence[str] = question.outputs
    if question.kind == "survival":
        outputs = [f"{name} ≤ {time:g} {question.unit or ''}".strip() for name in outputs for time in times]
    found = designs.refits(learner, asked, asked, refits, times, seed)
    said = designs.at_times(model.predict(asked), asked, times)
    return stability(asked.frame["sample_id"], outputs, said, found, thresholds)


def _by_part(
    done: OutOfSample,
    names: Sequence[str],
    horizons: Sequence[float] | None,
    replicates: int,
    seed: int,
) -> dict[str, dict[str, Estimate]]:
    """Measure each part alone; of curves without subgroups and at the same horizons."""
    chosen = {name: (done.parts == name).to_numpy() for name in names}
    if done.samples.question.kind == "survival":
        return {
            name: evaluate_survival(
                done.samples.where(pl.lit(pl.Series(rows))),
                done.predictions,
                horizons=horizons,
                replicates=replicates,
                seed=seed,
            ).metrics
            for name, rows in chosen.items()
        }
    answers = read_answers(done.samples.question, done.samples.frame, done.predictions.frame)
    return {name: estimates(answers.where(rows), replicates, seed, name) for name, rows in chosen.items()}


def _times(samples: Samples) -> tuple[float, ...]:
    """Choose the times at which risks of a survival question are compared: its horizons, or when half had an event."""
    if samples.question.kind != "survival" or samples.question.horizons:
        return samples.question.horizons
    outcomes = outcomes_of(samples.frame["label"], samples.question.outputs)
    return (float(np.median(outcomes.time[outcomes.happened])),) if outcomes.happened.any() else ()


def _evaluated(
    samples: Samples,
    predictions: Predictions,
    model: str,
    design: str,
    replicates: int,
    seed: int,
    by_group: bool = True,
    compared_with: Mapping[str, Predictions] | None = None,
) -> Evaluation:
    evaluated = evaluate_survival if samples.question.kind == "survival" else evaluate
    found = evaluated(
        samples,
        predictions,
        demographics(samples) if by_group else None,
        compared_with=compared_with,
        replicates=replicates,
        seed=seed,
        model=model,
    )
    return replace(found, split=design)


def _values(samples: Samples, said: Predictions, horizons: Sequence[float]) -> dict[str, float | None]:
    if samples.question.kind == "survival":
        found = evaluate_survival(samples, said, horizons=horizons, replicates=0).metrics
        return {name: one.value for name, one in found.items()}
    answers = read_answers(samples.question, samples.frame, said.frame)
    found = estimates(answers, 0)
    return {name: found[name].value for name in METRICS[answers.kind]}
