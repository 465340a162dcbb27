"""The verb that makes a model fairer, and shows at what price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medloom.api import Trained
from medloom.evidence.answers import read_answers
from medloom.evidence.intervals import REPLICATES
from medloom.evidence.mitigation import Decisions, Price, price
from medloom.evidence.mitigation_section import as_text
from medloom.foundation.errors import InputError, LeakageError
from medloom.site import Site
from medloom.tasks import models
from medloom.tasks.demographics import group_names
from medloom.tasks.kinds import Split
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples
from medloom.training.answers import Floats
from medloom.training.conformal_model import ConformalModel
from medloom.training.group_thresholds import AIMS, Aim, ThresholdedModel, thresholded
from medloom.training.ranges import passed_on, with_default_ranges
from medloom.training.reweighing import ReweighedLearner
from medloom.training.wrapping import innermost
from medloom.validation import unlearned_of

Method = Literal["thresholds", "reweighing"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)


@dataclass(frozen=True)
class Mitigated:
    """A model made fairer, and what that changed on samples that nothing was learned from.

    Attributes:
        trained: the new model: one with a threshold a group, or one learned from reweighed samples.
        price: gaps, performance of all and within groups, before and after.
    """

    trained: Trained
    price: Price

    def __str__(self) -> str:
        return as_text(self.price)


def mitigate(
    trained: Trained,
    by: str,
    method: Method = "thresholds",
    aim: Aim = "equalised_odds",
    *,
    threshold: float | None = None,
    samples: Samples | None = None,
    folds: int | None = None,
    split: Split = "held_out",
    site: Site | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Mitigated:
    """Make a model fairer between groups, and measure what that costs on another split.

    `thresholds` leaves the risks as they are and flags each group from a threshold of its own; about as many are
    flagged as before. It treats people differently by a protected attribute, which may be unlawful where the model is
    used, whatever the aim: for people to decide. `reweighing` learns anew from samples in which outcome and group are
    independent; it works towards demographic parity, for other aims it is measured what it does.

    Args:
        trained: the model of a binary question, and its samples.
        by: `sex`, `age` (bands), `race`, `ethnicity`, `language`, `insurance` or `site`.
        method: one of `METHODS`.
        aim: what is to be alike: `equal_opportunity` sensitivity, `demographic_parity` the share that is flagged,
            `equalised_odds` sensitivity and false positive rate.
        threshold: the one risk from which everybody is flagged; None: the share with the outcome in training.
        samples: to choose thresholds on; None: the `calibration` split or, where there is none, answers out of fold.
        folds: how many, for that; None: 5, or 3 of many patients, or one of these 3 where a learner fits slowly.
        split: where the price is measured, of patients that neither model nor thresholds were learned from.
        site: where the new model is to be kept, as the next version of its name.
        replicates: of the bootstrap over patients.
        seed: of everything random.

    Raises:
        InputError: the question is not binary, or the samples do not allow it, with the remedy.
        LeakageError: the samples are held out, or the model has learned from their patients, or from those of `split`.

    >>> import polars as pl
    >>> from medloom import train
    >>> rows = [{"x": i % 20, "sex": "FM"[i % 2], "ill": i % 20 + 4 * (i % 2) + i % 7 > 14} for i in range(800)]
    >>> found = mitigate(train(pl.DataFrame(rows), label="ill", learner="tree"), "sex", folds=2, replicates=20)
    >>> sorted(found.price.thresholds)
    ['F', 'M']
    """
    question = trained.model.origin.question
    if question.kind != "binary":
        raise InputError(
            "thresholds by group are for binary questions; this one is {kind}", kind=question.kind
        )
    if aim not in AIMS:
        raise InputError("there is no aim {aim!r}; there are: {aims}", aim=aim, aims=AIMS)
    one = _usual(trained) if threshold is None else threshold
    if not 0 < one < 1:
        raise InputError(
            "threshold {threshold} is not between 0 and 1; write 0.2 for a risk of 20 %", threshold=one
        )
    tested = trained.samples.in_split(split)
    if not len(tested):
        raise InputError(
            "there are no samples in split {split!r} of task {task!r}", split=split, task=question.task
        )
    names = group_names(tested, by)
    if len(np.unique(names)) < 2:
        raise InputError(
            "all {n} samples are of one group by {by}; there are no two groups to make alike",
            n=len(names),
            by=by,
        )
    made, learned = _made(trained, by, method, aim, one, samples, folds, seed)
    known = len(np.intersect1d(learned, tested.groups))
    if known:
        raise LeakageError(
            "{n} of the patients of split {split!r} were learned from, and would not show the price; take held_out",
            n=known,
            split=split,
        )
    name = None if site is None else models.save(site.directory, made)
    answers = read_answers(question, tested.frame, made.predict(tested).frame)
    old, new = _risks(trained.model, tested), answers.predicted
    own = made.thresholds.thresholds if isinstance(made, ThresholdedModel) else {}
    limits = made.thresholds.of(names) if isinstance(made, ThresholdedModel) else np.full(len(names), one)
    found = price(
        answers,
        names,
        Decisions(old, old >= one),
        Decisions(new, new >= limits),
        by=by,
        method=method,
        aim=aim,
        threshold=one,
        thresholds=own,
        model=str(name or ""),
        earlier=str(trained.name or ""),
        replicates=replicates,
        seed=seed,
    )
    return Mitigated(replace(trained, model=made, name=name), found)


def _made(
    trained: Trained,
    by: str,
    method: Method,
    aim: Aim,
    threshold: float,
    samples: Samples | None,
    folds: int | None,
    seed: int,
) -> tuple[Model, NDArray[np.int64]]:
    """Make the model; give with it the groups it learned from, or its thresholds were chosen on."""
    developed = trained.samples.in_split("train", "tuning").groups
    if method == "thresholds":
        basis = unlearned_of(trained, samples, folds, seed)
        said = passed_on(trained.model, basis.answers)
        made = thresholded(trained.model, basis.samples, by, aim, threshold, said)
        same = basis.samples.record_digest == trained.samples.record_digest
        return made, np.union1d(developed, basis.samples.groups) if same else developed
    if method == "reweighing":
        learner = ReweighedLearner(innermost(trained.model).relearner(), by)
        own = trained.samples.in_split("train"), trained.samples.in_split("tuning")
        model = learner.fit(*own, seed=trained.model.origin.seed)
        if not isinstance(trained.model, ConformalModel):
            return model, developed
        return with_default_ranges(model, trained.samples, seed)[0], developed
    raise InputError("there is no method {method!r}; there are: {methods}", method=method, methods=METHODS)


def _risks(model: Model, samples: Samples) -> Floats:
    return model.predict(samples).matrix(model.origin.question.outputs)[:, 0]


def _usual(trained: Trained) -> float:
    mean = trained.samples.in_split("train").frame["label"].mean()
    return float(mean) if isinstance(mean, (int, float)) else 0.5
