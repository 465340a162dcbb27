"""The verbs that ask how far a model can be trusted: validation designs, updating, ranges, stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import polars as pl

from medloom.api import Trained, learner, made_learner, samples_of
from medloom.evidence import validation
from medloom.evidence.coverage import Coverage, coverage_of
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.intervals import REPLICATES
from medloom.evidence.stability import Stability
from medloom.evidence.validation import External, LearningCurve, Validation
from medloom.foundation.errors import InputError, LeakageError
from medloom.site import Site, SiteTask
from medloom.tasks import models
from medloom.tasks.kinds import Kind, Split
from medloom.tasks.model import Learner, Model
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training import designs
from medloom.training.calibrators import Method
from medloom.training.conformal import LEVEL, By
from medloom.training.conformal_model import ConformalModel, Scheme, conformal
from medloom.training.ranges import Unlearned, parts_for, passed_on, unlearned
from medloom.training.recalibration import recalibrated

if TYPE_CHECKING:
    import pandas as pd

Design = Literal["cross-validation", "temporal", "leave-one-site-out"]
DESIGNS: Final[tuple[Design, ...]] = get_args(Design)


def cross_validate(
    what: SiteTask | Samples | pl.DataFrame | pd.DataFrame,
    learner: str | Learner = "gbdt",
    folds: int = 5,
    *,
    label: str | None = None,
    group: str | None = None,
    drop: Sequence[str] = (),
    kind: Kind | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    **parameters: Any,
) -> Evaluation:
    """Test every patient once, by a model of the other folds; all answers are evaluated together.

    Of a task or samples, those held out take no part, so that they can still be tested once; of a table all rows do.

    Args:
        what: a task of a site, samples, or a data frame with a row a sample.
        learner: name of a registered learner, with `parameters`; or a learner.
        folds: how many; patients (`group`) are never divided.
        label: of a frame: the column to predict.
        group: of a frame: a column whose equal values must not be split (the patient).
        drop: of a frame: columns to leave out.
        kind: of a frame: the kind of question, where the values do not tell.
        replicates: of the bootstrap over patients.
        seed: of everything random.

    Raises:
        InputError: the data do not fit, or too few patients have one of the answers.

    >>> frame = pl.DataFrame({"x": list(range(200)), "ill": [i > 99 for i in range(200)]})
    >>> found = cross_validate(frame, "tree", folds=2, label="ill", replicates=50)
    >>> found.n, found.metrics["auroc"].value > 0.95
    (200, True)
    """
    made = made_learner(learner, parameters)
    samples = samples_of(what, label=label, group=group, drop=drop, kind=kind, seed=seed)
    if not isinstance(what, SiteTask | Samples):
        samples = designs.marked(samples, "train")
    return validation.cross_validation(samples, made, folds, replicates, seed).evaluation


def validate(
    what: SiteTask | Samples,
    learner: str | Learner = "gbdt",
    design: Design = "cross-validation",
    *,
    folds: int = 5,
    start: date | None = None,
    site: str | pl.Series | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    **parameters: Any,
) -> Validation:
    """Carry out a validation design; the result has the evaluation, the metrics of each part, and every answer.

    Args:
        what: a task of a site, or samples; those held out take no part.
        learner: name of a registered learner, with `parameters`; or a learner.
        design: `cross-validation`, `temporal` or `leave-one-site-out`.
        folds: of a cross-validation.
        start: of a temporal design: the first day of the test patients.
        site: of leave-one-site-out: the fact that names each sample's site, or a name a sample.
        replicates: of the bootstrap over patients.
        seed: of everything random.

    Raises:
        InputError: the design lacks what it needs, or the samples do not allow it.
    """
    made = made_learner(learner, parameters)
    samples = samples_of(what)
    if design == "cross-validation":
        return validation.cross_validation(samples, made, folds, replicates, seed)
    if design == "temporal":
        if start is None:
            raise InputError("a temporal design needs the first day of the test patients: start")
        return validation.temporal(samples, made, start, replicates, seed)
    if design == "leave-one-site-out":
        if site is None:
            raise InputError("leaving one site out needs the fact that names each sample's site: site")
        return validation.leave_one_site_out(samples, made, site, replicates=replicates, seed=seed)
    raise InputError("there is no design {design!r}; there are: {designs}", design=design, designs=DESIGNS)


def validate_elsewhere(
    trained: Trained | Model,
    samples: Samples,
    update: Method | Literal["auto"] = "auto",
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> External:
    """Test a model on another hospital's samples of the same question, as it came and updated there.

    Args:
        trained: the model.
        samples: of the other hospital: `ml.ask(other_record, task)`.
        update: how its answers are made to fit there; `auto`: as a closed test finds warranted.
        replicates: of the bootstrap over patients.
        seed: of everything random.

    Raises:
        InputError: the question is another one, or the samples do not allow the update.
        LeakageError: the samples are of the model's own record, with patients it has learned from.
    """
    if isinstance(trained, Trained):
        _check_not_learned_from(trained, samples)
    model = trained.model if isinstance(trained, Trained) else trained
    return validation.external(model, samples, update, replicates=replicates, seed=seed)


def recalibrate(
    trained: Trained,
    method: Method | Literal["auto"] = "auto",
    *,
    samples: Samples | None = None,
    folds: int | None = None,
    site: Site | None = None,
    seed: int = 0,
) -> Trained:
    """Make a model's answers fit samples it has not learned from; ranges are made anew around them.

    Args:
        trained: the model and its samples.
        method: `intercept`, `slope` (and intercept), `temperature`, `beta`, `isotonic`; `auto`: the smallest of
            none, intercept, slope and beta that the samples do not refute.
        samples: what to fit, such as another hospital's; None: the `calibration` split or, where there is none,
            answers out of fold: the learner is made anew and learns from all but one fold in turn.
        folds: how many, for that; None: 5, or 3 of many patients, or one of these 3 where a learner fits slowly.
        site: where the recalibrated model is to be kept, as the next version of its name.
        seed: of everything random.

    Raises:
        InputError: the samples do not allow it, with the remedy.
        LeakageError: some of the samples are held out, or the model has learned from their patients.

    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": [i % 10 for i in range(400)], "ill": [i % 13 < i % 10 for i in range(400)]})
    >>> trained = train(frame, label="ill", learner="logistic")
    >>> recalibrate(trained, "slope", folds=3).recalibration.calibrator.method
    'slope'
    """
    basis = unlearned_of(trained, samples, folds, seed)
    before = trained.model
    ranges = before if isinstance(before, ConformalModel) else None
    model: Model = recalibrated(ranges.model if ranges else before, basis.samples, method, basis.answers)
    if ranges is not None:
        model = ranges.around(model, basis.samples, passed_on(model, basis.answers))
    return _kept(trained, model, site)


def with_ranges(
    trained: Trained,
    scheme: Scheme | Literal["auto"] = "auto",
    *,
    level: float = LEVEL,
    by: Sequence[By] = (),
    between: tuple[Model, Model] | None = None,
    samples: Samples | None = None,
    folds: int | None = None,
    site: Site | None = None,
    seed: int = 0,
) -> Trained:
    """Make a model say how sure it is: `low` and `high` in its predictions, sets of classes by `model.sets`.

    Args:
        trained: the model and its samples.
        scheme: `residual` or `quantiles` for values, `adaptive` for classes, `venn-abers` for risks; `auto`: what
            suits the kind.
        level: the share of new patients whose truth is to lie inside.
        by: `sex`, `age`: groups within which that is to hold.
        between: models of a low and a high quantile, for `quantiles`; None: two learners `quantile` make them.
        samples: to learn the errors from; None: the `calibration` split or, where there is none, answers out of fold,
            for which the share holds approximately (Vovk, Ann Math Artif Intell 2015;74:9-28). Samples that a
            recalibration was learned from are a little too kind.
        folds: how many, for that; None: 5, or 3 of many patients, or one of these 3 where a learner fits slowly.
        site: where the model is to be kept, as the next version of its name.
        seed: of everything random.

    Raises:
        InputError: the samples do not allow it, with the remedy.
        LeakageError: some of the samples are held out, or the model has learned from their patients.

    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": range(300), "days": [i + i % 7 / 2 for i in range(300)]})
    >>> ranged = with_ranges(train(frame, label="days", learner="linear", kind="regression"), folds=3)
    >>> ranged.predict().frame.select((pl.col("low") < pl.col("high")).all()).item()
    True
    """
    basis = unlearned_of(trained, samples, folds, seed)
    answers = passed_on(trained.model, basis.answers)
    edges: tuple[Predictions, Predictions] | None = None
    if scheme == "quantiles" and between is None:
        tail = (1 - level) / 2
        low, high = (learner("quantile", quantile=share) for share in (tail, 1 - tail))
        own = trained.samples.in_split("train"), trained.samples.in_split("tuning")
        between = low.fit(*own, seed=seed), high.fit(*own, seed=seed)
        if answers is not None:
            both = trained.samples.in_split("train", "tuning")
            parts = parts_for(trained.model.relearner(), both, folds, seed)
            below, above = (designs.carried_out(one, parts, seed).predictions for one in (low, high))
            edges = below, above
    elif between is not None and answers is not None:
        raise InputError("ranges between two models need samples they have not learned from; hand in samples")
    model = conformal(
        trained.model,
        basis.samples,
        scheme,
        level=level,
        by=by,
        between=between,
        answers=answers,
        edges=edges,
    )
    return _kept(trained, model, site)


def coverage(
    trained: Trained, split: Split = "held_out", *, replicates: int = REPLICATES, seed: int = 0
) -> Coverage:
    """Measure how often a model's ranges or sets hold the truth, on the whole and by sex and age.

    Raises:
        InputError: the model tells no ranges; make it do so with `with_ranges`.
    """
    model = trained.model
    if not isinstance(model, ConformalModel):
        raise InputError("this model tells no ranges; make it tell them with: ml.with_ranges(trained)")
    return coverage_of(model, trained.samples.in_split(split), replicates, seed)


def learning_curve(
    what: SiteTask | Samples,
    learner: str | Learner = "gbdt",
    sizes: Sequence[int] = (),
    *,
    repeats: int = 3,
    seed: int = 0,
    **parameters: Any,
) -> LearningCurve:
    """Measure how good a learner is with how many patients; those held out take no part."""
    made = made_learner(learner, parameters)
    return validation.learning_curve(samples_of(what), made, sizes, repeats, seed)


def stability(
    trained: Trained, refits: int = 50, *, thresholds: Mapping[str, float] | None = None, seed: int = 0
) -> Stability:
    """Measure how far each patient's answer depends on who else was learned from, by refits on resampled patients."""
    return validation.stability_of(
        trained.model, trained.model.relearner(), trained.samples, refits, thresholds, seed
    )


def unlearned_of(trained: Trained, samples: Samples | None, folds: int | None, seed: int) -> Unlearned:
    """Give samples a model has not learned from: those handed in, else as `medloom.training.ranges.unlearned`."""
    if samples is not None:
        _check_not_learned_from(trained, samples)
        return Unlearned(samples, None)
    return unlearned(trained.model, trained.samples, folds, seed)


def _check_not_learned_from(trained: Trained, samples: Samples) -> None:
    """Refuse samples of patients the model was learned from, as far as that can be told: within one record."""
    if samples.record_digest != trained.samples.record_digest:
        return
    learned = trained.samples.in_split("train", "tuning").groups
    n = len(np.intersect1d(learned, samples.groups))
    if n:
        raise LeakageError(
            "the model has learned from {n} of these patients, whom it answers too well; hand in samples of others, or "
            "none: answers out of fold are taken then",
            n=n,
        )


def _kept(trained: Trained, model: Model, site: Site | None) -> Trained:
    name = None if site is None else models.save(site.directory, model)
    return replace(trained, model=model, name=name)
