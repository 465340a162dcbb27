"""The verbs of the public API: train, evaluate, predict, explain, foresee."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from medloom.evidence.detection_evaluation import evaluate_detection
from medloom.evidence.evaluation import PREVALENCE, Evaluation
from medloom.evidence.evaluation import evaluate as evaluate_predictions
from medloom.evidence.relation_evaluation import evaluate_relations
from medloom.evidence.segmentation_evaluation import evaluate_segmentation
from medloom.evidence.survival_evaluation import evaluate_survival
from medloom.evidence.tagging_evaluation import evaluate_tagging
from medloom.foundation import registry
from medloom.foundation.engines import each, is_shared
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.places import find_by, outline_by, relate_by, tag_by
from medloom.record.record import Record
from medloom.site import Site, SiteTask
from medloom.tasks import encoders, models
from medloom.tasks.demographics import demographics
from medloom.tasks.explanation import Explanation
from medloom.tasks.external import from_frame, rows_to_answer
from medloom.tasks.kinds import Kind, Split
from medloom.tasks.labelling import apply
from medloom.tasks.library import find
from medloom.tasks.model import Learner, Model, check_answers
from medloom.tasks.models import ModelName
from medloom.tasks.package import load as load_package
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from medloom.training.descent import check_torch
from medloom.training.ranges import with_default_ranges
from medloom.training.recalibration import CalibratedModel
from medloom.training.wrapping import layer

if TYPE_CHECKING:
    import pandas as pd


_SEARCH_OF_PROGNOSIS: Final = "survival-auto"


@dataclass(frozen=True)
class Trained:
    """A model together with the samples it was made from, so that it can be evaluated at once.

    Printed it says what it is; nothing of a patient.
    """

    model: Model
    samples: Samples
    name: ModelName | None = None  # where a site keeps it
    without_ranges: Text2 | None = None  # why a model that was to tell ranges does not

    def __repr__(self) -> str:
        origin = self.model.origin
        return f"Trained({self.name or origin.learner}, task={origin.question.task}, samples={len(self.samples):,})"

    @property
    def recalibration(self) -> CalibratedModel | None:
        """Give what was done to the model's answers and learned for it; None: nothing."""
        return layer(self.model, CalibratedModel)

    def predict(self, what: Samples | pl.DataFrame | pd.DataFrame | None = None) -> Predictions:
        """Answer for samples, or for rows of a table (as `predict`); for its own samples when none are given."""
        predictions = predict(self.model, self.samples if what is None else what)
        return Predictions(predictions.frame, str(self.name or predictions.model))

    def explain(self, what: Samples | pl.DataFrame | pd.DataFrame) -> Explanation:
        """Tell why, for each sample or row."""
        return explain(self.model, what)

    def save(self, directory: str | Path) -> str:
        """Write a model package into a new directory; gives its digest."""
        return self.model.save(Path(directory))


def learner(name: str, **parameters: Any) -> Learner:
    """Make a registered learner.

    Raises:
        NotFoundError: none of that name is registered.
        InputError: it has no such parameter; the message lists those it has.
    """
    kind = registry.load("medloom.learners", name)
    known = list(inspect.signature(kind).parameters)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise InputError(
            "learner {name!r} has no parameter {unknown}; it has: {known}",
            name=name,
            unknown=unknown,
            known=known,
        )
    made: Learner = kind(**parameters)
    return made


def train(
    what: SiteTask | Samples | pl.DataFrame | pd.DataFrame,
    learner: str | Learner = "gbdt",
    *,
    label: str | None = None,
    time: str | None = None,
    event: str | None = None,
    unit: str | None = None,
    horizons: Sequence[float] = (),
    group: str | None = None,
    drop: Sequence[str] = (),
    kind: Kind | None = None,
    ranges: bool = True,
    seed: int = 0,
    **parameters: Any,
) -> Trained:
    """Learn from a site's task, from samples, or from one table.

    Args:
        what: a task of a site (the model is saved there, and a task named by its path too), samples, or a data frame
            with a row a sample.
        learner: name of a registered learner, with `parameters`; or a learner. `auto` searches among learners; of a
            survival question `survival-auto` does.
        label: of a frame: the column to predict.
        time: of a frame, instead of a label: the column of times until an event, or until follow-up ended without.
        event: of a frame: the column that says whether, or which; empty, 0 or `no`: none.
        unit: of a frame's times: `d`, `w`, ….
        horizons: of a frame: times of interest, in that unit.
        group: of a frame: a column whose equal values must not be split (the patient).
        drop: of a frame: columns to leave out, such as what is known only afterwards.
        kind: of a frame: the kind of question, where the values do not tell.
        ranges: whether each prediction is to say how sure it is: `low` and `high`, or `in_set` of classes. They are
            learned from the `calibration` split or, where there is none, from answers out of fold: 3 to 5 models
            more, or one of a learner that fits slowly, where patients are 1,000 or more. Where patients are too few
            for that the model comes without, and `without_ranges` says why.
        seed: of everything random.

    Raises:
        InputError: the data do not fit, or parameters come beside a learner that is made already.

    >>> frame = pl.DataFrame({"x": list(range(200)), "ill": [i > 99 for i in range(200)]})
    >>> trained = train(frame, label="ill", learner="tree")
    >>> round(evaluate(trained, split="train").metrics["auroc"].value, 2)
    1.0
    >>> trained.predict(pl.DataFrame({"x": [150]})).frame.select(pl.col("low") <= pl.col("value")).item()
    True
    """
    if isinstance(what, SiteTask) and isinstance(parameters.get("encoder"), str):
        parameters["encoder"] = str(encoders.place_of(parameters["encoder"], what.site.directory))
    if isinstance(what, SiteTask) and isinstance(parameters.get("start"), str):
        parameters["start"] = _start_of(what.site, parameters["start"])
    made = made_learner(learner, parameters)
    if isinstance(what, SiteTask):
        what.keep()
    samples = samples_of(
        what,
        label=label,
        time=time,
        event=event,
        unit=unit,
        horizons=horizons,
        group=group,
        drop=drop,
        kind=kind,
        seed=seed,
    )
    if learner == "auto" and samples.question.kind == "survival":
        made = made_learner(_SEARCH_OF_PROGNOSIS, parameters)
    model = made.fit(samples.in_split("train"), samples.in_split("tuning"), seed=seed)
    why_not = None
    if ranges:
        model, why_not = with_default_ranges(model, samples, seed)
    name = models.save(what.site.directory, model) if isinstance(what, SiteTask) else None
    return Trained(model, samples, name, why_not)


def train_together(
    what: Sequence[SiteTask | Samples], *, ranges: bool = True, seed: int = 0, **parameters: Any
) -> list[Trained]:
    """Adapt one body of the learner `timeline` to several questions at once; each gets a model of its own.

    Args:
        what: tasks of one site (the models are saved there), or samples of each question; all split alike.
        ranges: whether predictions are to say how sure they are; they can where patients are set aside for it, in the
            split `calibration`. Else `without_ranges` says so.
        seed: of everything random.
        parameters: of the learner, such as `encoder` and `adapt`.

    Raises:
        InputError: there is nothing to learn together, or samples cannot be learned from.
        LeakageError: they are split by different rules, or a patient is learned from in one and judged by in another.
    """
    check_torch("timeline")
    from medloom.learners.timeline.pretrained import TimelineLearner
    from medloom.learners.timeline.several import fit_together

    sites = [one.site if isinstance(one, SiteTask) else None for one in what]
    if sites and sites[0] is not None and isinstance(parameters.get("encoder"), str):
        parameters["encoder"] = str(encoders.place_of(parameters["encoder"], sites[0].directory))
    made = made_learner(TimelineLearner.name, parameters)
    assert isinstance(made, TimelineLearner)
    asked = [samples_of(one) for one in what]
    parts = [(samples.in_split("train"), samples.in_split("tuning")) for samples in asked]
    done: list[Trained] = []
    for one, samples, model in zip(what, asked, fit_together(made, parts, seed), strict=True):
        whole: Model = model
        why_not = None
        if ranges and len(samples.in_split("calibration")):
            whole, why_not = with_default_ranges(model, samples, seed)
        elif ranges:
            why_not = text2(
                "a model that was learned together with others tells ranges only where the site sets patients aside "
                "for calibration (split `calibration`)"
            )
        name = None
        if isinstance(one, SiteTask):
            one.keep()
            name = models.save(one.site.directory, whole)
        done.append(Trained(whole, samples, name, why_not))
    return done


def evaluate(
    trained: Trained,
    split: Split = "held_out",
    *,
    compared_with: Mapping[str, Trained] | None = None,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Evaluate a model on a split of its samples: metrics with 95 % intervals, by sex and age, against others.

    Args:
        trained: the model and its samples.
        split: which samples.
        compared_with: other models of the same samples, by name.
        thresholds: by name; chosen on other data than the split.
        seed: of the bootstrap.

    Raises:
        InputError: the split is empty, or a model compared with has other samples, or its name is taken.
    """
    rivals = compared_with or {}
    for name, other in rivals.items():
        if name == PREVALENCE:
            raise InputError(
                "a model to compare with cannot be named {name!r}; the report uses it", name=name
            )
        if not _who(other).equals(_who(trained)):
            raise InputError(
                "model {name!r} was made from other samples, or from another split of them; "
                "make both models from the same samples",
                name=name,
            )
    samples = trained.samples.in_split(split)
    if not len(samples):
        raise InputError(
            "there are no samples in split {split!r} of task {task!r}",
            split=split,
            task=samples.question.task,
        )
    if samples.question.kind in _PLACED:
        evaluated, answering = _PLACED[samples.question.kind]
        found: Evaluation = evaluated(
            samples,
            answering(trained),
            demographics(samples),
            compared_with={name: answering(other) for name, other in rivals.items()},
            seed=seed,
            model=str(trained.name or trained.model.origin.learner),
            split=split,
        )
        return found
    if samples.question.kind == "survival":
        if thresholds:
            raise InputError("a survival question has horizons instead of thresholds; name them in the task")
        return evaluate_survival(
            samples,
            trained.predict(samples),
            demographics(samples),
            compared_with={name: other.predict(samples) for name, other in rivals.items()},
            seed=seed,
            model=str(trained.name or trained.model.origin.learner),
            split=split,
        )
    train_labels = trained.samples.in_split("train").frame["label"]
    return evaluate_predictions(
        samples,
        trained.predict(samples),
        demographics(samples),
        thresholds,
        baseline=_usual(train_labels),
        compared_with={name: other.predict(samples) for name, other in rivals.items()},
        seed=seed,
        model=str(trained.name or trained.model.origin.learner),
        split=split,
    )


def predict(model: Model, what: Samples | pl.DataFrame | pd.DataFrame) -> Predictions:
    """Answer for samples, or for the rows of a table like the one the model was learned from.

    Args:
        model: for example one that was loaded.
        what: samples; or a frame with the columns that the model reads, others are ignored. `sample_id` of the
            answers is the row, from 0.

    Raises:
        InputError: the table lacks a column that the model reads; an unknown value is a null in it.

    >>> frame = pl.DataFrame({"x": list(range(200)), "ill": [i > 99 for i in range(200)]})
    >>> model = train(frame, label="ill", learner="tree").model
    >>> predict(model, pl.DataFrame({"x": [3, 190]})).frame["value"].round(1).to_list()
    [0.0, 1.0]
    """
    samples = asked_samples(model, what)
    if not is_shared() or not len(samples):
        return model.predict(samples)
    parts = (part for part in samples.parts() if len(part))
    said = list(each(model.predict, parts))
    return Predictions(pl.concat(one.frame for one in said), said[0].model)


def explain(model: Model, what: Samples | pl.DataFrame | pd.DataFrame) -> Explanation:
    """Tell why a model answers as it does, for samples or rows of a table as in `predict`."""
    return model.explain(asked_samples(model, what))


def load(directory: str | Path) -> Model:
    """Load a model package; its sums are checked first.

    Raises:
        IntegrityError: it was altered, or written by a newer version.
    """
    return load_package(Path(directory))


def trained(site: Site, name: str) -> Trained:
    """Load a site's model together with the samples of its task.

    Raises:
        NotFoundError: there is no such model, or its task is gone.
        InputError: the task asks another question than the model learned to answer.
        LeakageError: the split is another one than the model was learned under.
    """
    full = site.model_name(name)
    return with_samples(site, full, site.task(full.task).samples)


def with_samples(site: Site, name: ModelName, samples: Samples) -> Trained:
    """Load a site's model for samples that are there already; raises as `trained`."""
    model = models.load(site.directory, name)
    check_answers(str(name), model.origin, samples)
    return Trained(model, samples, name)


def ask(record: Record, task: str | Task) -> Samples:
    """Put a task to any record, one in memory included."""
    return apply(find(task) if isinstance(task, str) else task, record).samples


def made_learner(named: str | Learner, parameters: Mapping[str, Any]) -> Learner:
    """Make a learner by its name and parameters, or take one that is made; raises as `train`."""
    if not isinstance(named, Learner):
        return learner(named, **parameters)
    if parameters:
        raise InputError(
            "parameters {names} were given beside a learner that is made already; give them to it, or name the learner",
            names=sorted(parameters),
        )
    return named


def samples_of(
    what: SiteTask | Samples | pl.DataFrame | pd.DataFrame,
    *,
    label: str | None = None,
    time: str | None = None,
    event: str | None = None,
    unit: str | None = None,
    horizons: Sequence[float] = (),
    group: str | None = None,
    drop: Sequence[str] = (),
    kind: Kind | None = None,
    seed: int = 0,
) -> Samples:
    """Give the samples of a site's task or of a table; arguments and errors as `train`."""
    if isinstance(what, SiteTask):
        return what.samples
    if isinstance(what, Samples):
        return what
    if label is None and time is None and event is None:
        raise InputError("to learn from a table, say which column to predict: train(frame, label=...)")
    frame = what if isinstance(what, pl.DataFrame) else pl.from_pandas(what)
    return from_frame(
        frame,
        label,
        time=time,
        event=event,
        unit=unit,
        horizons=horizons,
        kind=kind,
        group=group,
        drop=drop,
        seed=seed,
    )


def asked_samples(model: Model, what: Samples | pl.DataFrame | pd.DataFrame) -> Samples:
    """Give samples, or the rows of a table as samples; raises as `predict`."""
    if isinstance(what, Samples):
        return what
    frame = what if isinstance(what, pl.DataFrame) else pl.from_pandas(what)
    absent = sorted(model.codes - set(frame.columns))
    if absent:
        raise InputError(
            "the model reads columns that the table lacks: {columns}; where a value is not known, leave its cell empty",
            columns=absent,
        )
    return rows_to_answer(frame.select(sorted(model.codes) or frame.columns), model.origin.question)


_PLACED: Final[dict[Kind, tuple[Callable[..., Evaluation], Callable[[Trained], Any]]]] = {
    "segmentation": (evaluate_segmentation, outline_by),
    "detection": (evaluate_detection, find_by),
    "tagging": (evaluate_tagging, tag_by),
    "relations": (evaluate_relations, relate_by),
}
"""What evaluates models that tell places, by kind of question, and how such a model is asked."""


def _start_of(site: Site, named: str) -> str:
    """Place what a learner of images starts from, where it names an encoder of the site."""
    known = encoders.names_in(site.directory)
    is_encoder = named in {*map(str, known), *(one.name for one in known)}
    return str(encoders.place_of(named, site.directory)) if is_encoder else named


def _who(one: Trained) -> pl.DataFrame:
    return one.samples.frame.select("sample_id", "subject_id", "prediction_time", "group", "split", "label")


def _usual(labels: pl.Series) -> float | dict[str, float] | None:
    """Say what one who knows only the training labels would: a risk, a mean, or class → share."""
    if not len(labels):
        return None
    if labels.dtype == pl.Boolean or labels.dtype.is_numeric():
        mean = labels.mean()
        return float(mean) if isinstance(mean, (int, float)) else None
    if labels.dtype == pl.String:
        return {str(name): n / len(labels) for name, n in labels.value_counts().iter_rows()}
    shares = labels.explode(empty_as_null=False).drop_nulls().value_counts()
    return {str(name): n / len(labels) for name, n in shares.iter_rows()}
