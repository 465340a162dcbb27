"""Applying a task to a record: who is asked, when, and what the answer was; with the cohort flow."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medloom.foundation.durations import hours, microseconds
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2, tr
from medloom.foundation.progress import track
from medloom.record.record import Record
from medloom.record.schema import DEATH, LATEST, end_of_day
from medloom.tasks.doubts import doubts
from medloom.tasks.item_labels import Step, label_items
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.moments import Facts, demands, moments, of_same_encounter, with_end
from medloom.tasks.samples import SAMPLE_COLUMNS, Samples
from medloom.tasks.scales import Scales
from medloom.tasks.splitting import split_rule, with_splits
from medloom.tasks.task import Task
from medloom.tasks.task_codes import TaskCodes, visibility


@dataclass(frozen=True)
class FlowStep:
    """One step of the cohort flow: what it demands, and how many are left after it."""

    step: Text2
    samples: int
    subjects: int


@dataclass(frozen=True)
class Cohort:
    """The samples of a task and how they came about."""

    samples: Samples
    flow: tuple[FlowStep, ...]
    doubts: tuple[Text2, ...] = ()  # what is probably not meant


def apply(task: Task, record: Record) -> Cohort:
    """Put a task to a record.

    The prediction time is the event's, or when the event became known, plus
    the offset; facts are judged by what was visible then, answers by what
    happened after.

    Raises:
        InputError: a code of the task occurs nowhere in the record, values do not convert to the task's unit, or
            nobody is left to ask.
    """
    codes = TaskCodes.resolve(task, record)
    codes.check(task, record)
    scales = Scales.of(task, record, codes.predict[""]) if task.predict.value else Scales.none()
    tally = _Tally()
    parts = [
        _label_part(task, codes, scales, Facts.read(record, codes, part), tally)
        for part in track(record.parts(), tr("Asking the record"), total=len(record.parts()))
    ]
    frame = tally.step(text2("in a split"), with_splits(task.split, record, pl.concat(parts)))
    if not frame.height:
        raise InputError(
            "task {task!r} asks nobody in this record: {flow}",
            task=task.name,
            flow="; ".join(f"{step.step.en}: {step.samples}" for step in tally.flow(record.n_subjects)),
        )
    frame = frame.with_columns(
        sample_id=pl.int_range(pl.len(), dtype=pl.Int64), group=pl.col("subject_id")
    ).select(SAMPLE_COLUMNS)
    question = task.question
    if task.predict.value is not None:
        question = question.model_copy(update={"unit": scales.unit})
    samples = Samples(frame, question, record, visibility(task, record), split_rule(task.split, record))
    return Cohort(
        samples, tally.flow(record.n_subjects), doubts(task, record.catalogue, samples.frame["label"])
    )


class _Tally:
    """Counts samples and subjects after each step, over the parts of the record, which take the same steps."""

    def __init__(self) -> None:
        self._steps: list[FlowStep] = []
        self._place = 0

    def begin(self) -> None:
        """Begin with the first step again, for another part."""
        self._place = 0

    def step(self, name: Text2, frame: pl.DataFrame) -> pl.DataFrame:
        if self._place == len(self._steps):
            self._steps.append(FlowStep(name, 0, 0))
        before = self._steps[self._place]
        self._steps[self._place] = FlowStep(
            name, before.samples + frame.height, before.subjects + frame["subject_id"].n_unique()
        )
        self._place += 1
        return frame

    def flow(self, n_subjects: int) -> tuple[FlowStep, ...]:
        return (FlowStep(text2("subjects in the record"), n_subjects, n_subjects), *self._steps)


def _label_part(task: Task, codes: TaskCodes, scales: Scales, facts: Facts, tally: _Tally) -> pl.DataFrame:
    """Ask some subjects and answer: frame of `subject_id`, `prediction_time`, `item`, `label`."""
    tally.begin()
    asked = tally.step(text2("moments of prediction"), moments(task, codes, facts))
    for name, kept in demands(task, codes, facts):
        asked = tally.step(name, kept(asked))
    label_them = label_items if task.of_items else _label_moments
    labelled = label_them(task, codes, scales, facts, asked, tally.step)
    answered = tally.step(text2("answer known"), labelled.filter(pl.col("label").is_not_null()))
    item = "item" if "item" in answered.columns else pl.lit(None, pl.String).alias("item")
    label = pl.col("label").cast(LABEL_TYPES[task.kind])
    return answered.select("subject_id", "prediction_time", item, label).sort(
        "subject_id", "prediction_time", "item"
    )


def _label_moments(
    task: Task, codes: TaskCodes, scales: Scales, facts: Facts, asked: pl.DataFrame, tally: Step
) -> pl.DataFrame:
    """Add `label`: what happened after each moment; null where there is no answer."""
    asked = _with_horizon(task, codes, facts, asked)
    if task.predict.until is not None:
        tally(text2("not over yet, and its end is known"), asked)
    labelled = _with_label(task, codes, scales, facts, asked)
    if task.censor is not None and task.kind != "survival":
        labelled = tally(
            text2("followed long enough, or the answer came earlier"), _followed(task, codes, facts, labelled)
        )
    return labelled


def _counts(codes: TaskCodes) -> pl.Expr:
    """Tell whether an event lies between the prediction time and the horizon.

    A death of which only the day is known counts where the encounter ended on that day: the end has a time of
    day, the death the last moment of it.
    """
    time, horizon = pl.col("time"), pl.col("horizon")
    inside = time <= horizon
    if codes.horizon and all(code.startswith("ENCOUNTER//") for code in codes.horizon):
        of_that_day = (time == end_of_day(time)) & (time == end_of_day(horizon))
        inside |= (pl.col("code") == DEATH) & of_that_day
    return (time > pl.col("prediction_time")) & inside


def _with_horizon(task: Task, codes: TaskCodes, facts: Facts, asked: pl.DataFrame) -> pl.DataFrame:
    """Add `horizon`, the last moment that counts; drops those of whom it is not known."""
    if task.predict.until is not None:
        return with_end(asked, codes.horizon, codes, facts, "horizon")
    length = task.predict.within
    if length is None:
        return asked.with_columns(horizon=pl.lit(LATEST))
    return asked.with_columns(
        horizon=pl.col("prediction_time") + pl.duration(microseconds=microseconds(length))
    )


def _with_label(
    task: Task, codes: TaskCodes, scales: Scales, facts: Facts, asked: pl.DataFrame
) -> pl.DataFrame:
    """Add `label`; null where there is no answer."""
    predict = task.predict
    events = pl.concat(
        [facts.of(found).with_columns(answer=pl.lit(name)) for name, found in codes.predict.items()]
    )
    events = events.select(
        "subject_id", "time", "code", "numeric_value", "answer", event_encounter="encounter"
    )
    happened = (
        asked.join(events, on="subject_id").filter(_counts(codes)).sort("asked", "time", maintain_order=True)
    )
    if task.kind == "survival":
        return _timed(task, codes, facts, asked, happened)
    if predict.time_to is not None:
        unit = hours(f"1{predict.unit}") * 3600
        wait = (pl.col("time") - pl.col("prediction_time")).dt.total_seconds(fractional=True) / unit
        found = happened.filter(of_same_encounter()).group_by("asked").agg(label=wait.min())
    elif predict.value is not None:
        values = happened.filter(pl.col("numeric_value").is_not_null()).group_by("asked", maintain_order=True)
        found = values.agg(label=getattr(scales.applied(), predict.take)())
    elif task.kind == "multiclass":
        found = happened.group_by("asked", maintain_order=True).agg(label=pl.col("answer").first())
    elif task.kind == "multilabel":
        found = happened.group_by("asked").agg(label=pl.col("answer").unique().sort())
    else:
        found = happened.select("asked", label=pl.lit(True)).unique()
    labelled = asked.join(found, on="asked", how="left", maintain_order="left")
    if task.kind == "binary":
        return labelled.with_columns(pl.col("label").fill_null(False))
    if task.kind == "multilabel":
        return labelled.with_columns(pl.col("label").fill_null([]))
    return labelled


def _timed(
    task: Task, codes: TaskCodes, facts: Facts, asked: pl.DataFrame, happened: pl.DataFrame
) -> pl.DataFrame:
    """Add `label`: the first event with its time, else the time followed without one; null where not followed.

    Follow-up ends with the horizon, with death (where it is no event itself), or with the record's knowledge.
    """
    first = happened.group_by("asked", maintain_order=True).agg(
        pl.col("answer").first(), at=pl.col("time").first()
    )
    joined = asked.join(first, on="asked", how="left", maintain_order="left").join(
        _ends_of_follow_up(task, codes, facts), on="subject_id", how="left", maintain_order="left"
    )
    followed = pl.when(pl.col("end").is_not_null() | pl.col("death").is_not_null()).then(
        pl.min_horizontal("end", "horizon", "death")
    )
    unit = hours(f"1{task.predict.unit}") * 3600
    since = pl.coalesce("at", followed) - pl.col("prediction_time")
    wait = since.dt.total_seconds(fractional=True) / unit
    label = pl.when(wait > 0).then(pl.struct(time=wait, event=pl.col("answer")))
    return joined.with_columns(label=label).drop("answer", "at", "end")


def _ends_of_follow_up(task: Task, codes: TaskCodes, facts: Facts) -> pl.DataFrame:
    """Find when each subject was last known of: frame of `subject_id`, `end`."""
    if task.censor is not None and task.censor.follow_up is not None:
        return facts.of(codes.follow_up).group_by("subject_id").agg(end=pl.col("time").max())
    return facts.spans.select("subject_id", end="last")


def _followed(task: Task, codes: TaskCodes, facts: Facts, labelled: pl.DataFrame) -> pl.DataFrame:
    """Drop those whose follow-up ended, alive, before the horizon, unless their answer was settled by then.

    It is once the event happened; of values and of classes once the first came. The highest, lowest, last or mean
    value and what all happens are known at the horizon only.
    """
    ends = _ends_of_follow_up(task, codes, facts)
    joined = labelled.join(ends, on="subject_id", how="left", maintain_order="left")
    predict = task.predict
    first_counts = (
        task.kind == "multiclass"
        or predict.time_to is not None
        or (predict.value is not None and predict.take == "first")
    )
    answered = pl.col("label") if task.kind == "binary" else pl.col("label").is_not_null() & first_counts
    dead = pl.col("death").is_not_null() & (pl.col("death") <= pl.col("horizon"))
    return joined.filter(answered | dead | (pl.col("end") >= pl.col("horizon"))).drop("end")
