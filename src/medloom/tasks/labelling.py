"""Applying a task to a record: who is asked, when, and what the answer was; with the cohort flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.durations import hours, microseconds
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2, tr
from medloom.foundation.progress import track
from medloom.record.record import Record
from medloom.record.schema import BIRTH, DEATH, LATEST, end_of_day, visible_time
from medloom.tasks.doubts import doubts, near_codes
from medloom.tasks.history import HOURS_PER_YEAR, Visibility
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.samples import SAMPLE_COLUMNS, Samples
from medloom.tasks.scales import Scales
from medloom.tasks.splitting import split_rule, with_splits
from medloom.tasks.task import Exclude, Task


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
    codes = _TaskCodes.resolve(task, record)
    tally = _Tally()
    parts = [
        _label_part(task, codes, _Facts.read(record, codes, part), tally)
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
        sample_id=pl.int_range(pl.len(), dtype=pl.Int64),
        item=pl.lit(None, pl.String),
        group=pl.col("subject_id"),
    ).select(SAMPLE_COLUMNS)
    question = task.question
    if task.predict.value is not None:
        question = question.model_copy(update={"unit": codes.scales.unit})
    samples = Samples(frame, question, record, visibility(task, record), split_rule(task.split, record))
    return Cohort(
        samples, tally.flow(record.n_subjects), doubts(task, record.catalogue, samples.frame["label"])
    )


def visibility(task: Task, record: Record) -> Visibility:
    """Say which facts the task lets models see."""
    catalogue = record.catalogue
    # what tells training from held-out subjects is no input
    hidden = resolve(record, task.observe.without or ()) | {*task.split.train, *task.split.held_out}
    label = resolve(record, task.predict.codes)
    if not task.observe.label_history:
        hidden |= label
    only = None
    if task.observe.only is not None:
        only = resolve(record, task.observe.only) | catalogue.static_codes() | {BIRTH}
    return Visibility(
        hidden=frozenset(hidden),
        static=catalogue.static_codes() - label,
        window=microseconds(task.observe.window) if task.observe.window else None,
        only=only,
    )


def resolve(record: Record, patterns: Sequence[str]) -> frozenset[str]:
    """Find the record's codes that patterns mean: themselves, those below them, and endings of `*`."""
    catalogue = record.catalogue
    found: set[str] = set()
    for pattern in patterns:
        if pattern.endswith("*"):
            found.update(catalogue.frame.filter(pl.col("code").str.starts_with(pattern[:-1]))["code"])
        else:
            found |= catalogue.with_descendants(pattern)
    return frozenset(found & set(catalogue.frame["code"]))


@dataclass(frozen=True)
class _TaskCodes:
    """The record's codes behind each part of a task."""

    ask: frozenset[str]
    until: frozenset[str]
    has: frozenset[str]
    exclude: tuple[frozenset[str], ...]
    predict: dict[str, frozenset[str]]  # class ("" where there is but one answer) → codes
    horizon: frozenset[str]
    follow_up: frozenset[str]
    scales: Scales

    @classmethod
    def resolve(cls, task: Task, record: Record) -> _TaskCodes:
        predict = task.events if task.kind == "survival" else task.predict.classes or {"": task.predict.codes}
        codes = cls(
            resolve(record, task.prediction_time.event),
            resolve(record, task.prediction_time.until or ()),
            resolve(record, task.population.has or ()),
            tuple(resolve(record, exclude.event) for exclude in task.exclude),
            {name: resolve(record, patterns) for name, patterns in predict.items()},
            resolve(record, task.predict.until or ()),
            resolve(record, task.censor.follow_up or ()) if task.censor else frozenset(),
            Scales.none(),
        )
        for key, patterns, found in (
            ("prediction_time.event", task.prediction_time.event, codes.ask),
            ("predict", task.predict.codes, frozenset().union(*codes.predict.values())),
        ):
            if not found:
                near = ", ".join(filter(None, (near_codes(one, record.catalogue) for one in patterns[:5])))
                if near:
                    raise InputError(
                        "task {task!r}: no code of {key} ({codes}) occurs in the record; nearest: {near}",
                        task=task.name,
                        key=key,
                        codes=", ".join(patterns),
                        near=near,
                    )
                raise InputError(
                    "task {task!r}: no code of {key} ({codes}) occurs in the record; "
                    "list the record's codes with: medloom codes",
                    task=task.name,
                    key=key,
                    codes=", ".join(patterns),
                )
        return (
            replace(codes, scales=Scales.of(task, record, codes.predict[""])) if task.predict.value else codes
        )

    @property
    def all(self) -> frozenset[str]:
        return frozenset(
            self.ask
            | self.until
            | self.has
            | self.horizon
            | self.follow_up
            | {BIRTH, DEATH, "GENDER//F", "GENDER//M"}
        ).union(*self.exclude, *self.predict.values())


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


Subjects = NDArray[np.int64]


@dataclass(frozen=True)
class _Facts:
    """What a task needs of some subjects."""

    facts: (
        pl.DataFrame
    )  # of the task's codes: subject_id, time, visible, known_until, code, numeric_value, encounter
    spans: pl.DataFrame  # subject_id, first, last: of all its dated facts but birth

    @classmethod
    def read(cls, record: Record, codes: _TaskCodes, subjects: Subjects) -> _Facts:
        columns = ["subject_id", "time", "known_time", "known_until", "code", "numeric_value", "encounter"]
        frame = pl.DataFrame(record.read(columns, subjects))
        # codes are compared as the categories they come as: to make texts of them first takes fifteen times as long
        wanted = frame["code"].is_in(pl.Series(sorted(codes.all), dtype=pl.Categorical).implode())
        dated = frame.select("subject_id", "time").filter(frame["code"] != BIRTH)
        spans = dated.group_by("subject_id").agg(first=pl.col("time").min(), last=pl.col("time").max())
        facts = frame.filter(wanted).with_columns(pl.col("code").cast(pl.String), visible=visible_time())
        return cls(facts.drop("known_time"), spans)

    def of(self, codes: frozenset[str], *, current: bool = True) -> pl.DataFrame:
        """Give the facts of some codes; `current`: as known today, without ended versions."""
        chosen = self.facts.filter(pl.col("code").is_in(codes))
        return chosen.filter(pl.col("known_until").is_null()) if current else chosen


def _label_part(task: Task, codes: _TaskCodes, facts: _Facts, tally: _Tally) -> pl.DataFrame:
    """Ask some subjects and answer: frame of `subject_id`, `prediction_time`, `label`."""
    tally.begin()
    asked = tally.step(text2("moments of prediction"), _moments(task, codes, facts))
    asked = tally.step(text2("alive at the moment"), _alive(asked, facts))
    for name, kept in _population(task, codes, facts):
        asked = tally.step(name, kept(asked))
    for exclude, excluded, name in zip(task.exclude, codes.exclude, _reasons(task.exclude), strict=True):
        before = _with_visible(asked, facts, excluded, exclude.within)
        asked = tally.step(name, asked.filter(~pl.col("asked").is_in(before)))
    asked = _with_horizon(task, codes, facts, asked)
    if task.predict.until is not None:
        tally.step(text2("not over yet, and its end is known"), asked)
    labelled = _with_label(task, codes, facts, asked)
    if task.censor is not None and task.kind != "survival":
        labelled = tally.step(
            text2("followed long enough, or the answer came earlier"), _followed(task, codes, facts, labelled)
        )
    labelled = tally.step(text2("answer known"), labelled.filter(pl.col("label").is_not_null()))
    kind = LABEL_TYPES[task.kind]
    return labelled.select("subject_id", "prediction_time", pl.col("label").cast(kind)).sort(
        "subject_id", "prediction_time"
    )


def _reasons(excludes: Sequence[Exclude]) -> list[Text2]:
    """Name the steps that leave somebody out, equal names by number."""
    names: list[Text2] = []
    for exclude in excludes:
        codes = ", ".join(exclude.event)
        if exclude.reason is not None:
            names.append(Text2(exclude.reason.en, exclude.reason.zh))
        elif exclude.within is not None:
            names.append(text2("without {codes} in {length} before", codes=codes, length=exclude.within))
        else:
            names.append(text2("without {codes} before", codes=codes))
    numbers = [names[:place].count(name) + 1 for place, name in enumerate(names)]
    return [
        name if number == 1 else Text2(f"{name.en} ({number})", f"{name.zh}（{number}）")
        for name, number in zip(names, numbers, strict=True)
    ]


def _moments(task: Task, codes: _TaskCodes, facts: _Facts) -> pl.DataFrame:
    """Find the prediction times: frame of `asked` (row number), `subject_id`, `prediction_time`, `encounter`."""
    when = task.prediction_time
    events = (
        facts.of(codes.ask)
        .filter(pl.col("visible").is_not_null())
        .sort("subject_id", "visible", maintain_order=True)
    )
    if when.which != "every":
        events = events.unique("subject_id", keep=when.which, maintain_order=True)
    moments = events.select(
        "subject_id",
        "encounter",
        prediction_time=pl.col("visible") + pl.duration(microseconds=microseconds(when.offset)),
    ).unique(["subject_id", "prediction_time", "encounter"], maintain_order=True)
    moments = moments.with_row_index("asked")
    if when.every is not None:
        step = microseconds(when.every)
        ends = _next_event(moments, facts.of(codes.until), "end")
        moments = (
            moments.join(ends, on="asked", how="inner", maintain_order="left")
            .with_columns(
                prediction_time=pl.datetime_ranges(
                    "prediction_time", "end", interval=f"{step}us", closed="left"
                ).list.head(when.at_most)
            )
            .explode("prediction_time", empty_as_null=False)
            .drop("end", "asked")
            .with_row_index("asked")
        )
    return moments.select("asked", "subject_id", "prediction_time", "encounter")


def _alive(asked: pl.DataFrame, facts: _Facts) -> pl.DataFrame:
    deaths = facts.of(frozenset([DEATH])).group_by("subject_id").agg(death=pl.col("time").min())
    joined = asked.join(deaths, on="subject_id", how="left", maintain_order="left")
    return joined.filter(pl.col("death").is_null() | (pl.col("death") > pl.col("prediction_time")))


def _population(
    task: Task, codes: _TaskCodes, facts: _Facts
) -> Iterator[tuple[Text2, Callable[[pl.DataFrame], pl.DataFrame]]]:
    """Yield the population's demands: name, and what keeps the samples that meet it."""
    who = task.population
    if who.min_age is not None or who.max_age is not None:
        births = facts.of(frozenset([BIRTH])).group_by("subject_id").agg(born=pl.col("time").min())
        low, high = who.min_age or 0, who.max_age if who.max_age is not None else float("inf")

        def of_age(asked: pl.DataFrame) -> pl.DataFrame:
            age = (
                (pl.col("prediction_time") - pl.col("born")).dt.total_seconds(fractional=True)
                / 3600
                / HOURS_PER_YEAR
            )
            joined = asked.join(births, on="subject_id", how="left", maintain_order="left")
            return joined.filter(age.is_between(low, high)).drop("born")

        if who.max_age is None:
            yield text2("aged {low:g} or older", low=low), of_age
        else:
            yield text2("aged {low:g} to {high:g}", low=low, high=high), of_age
    if who.sex is not None:
        chosen = facts.of(frozenset([f"GENDER//{who.sex}"]))["subject_id"].unique()
        name = text2("women") if who.sex == "F" else text2("men")
        yield name, lambda asked: asked.filter(pl.col("subject_id").is_in(chosen.implode()))
    if who.has is not None:
        name = text2("with {codes} before", codes=", ".join(who.has))
        yield (
            name,
            lambda asked: asked.filter(pl.col("asked").is_in(_with_visible(asked, facts, codes.has, None))),
        )
    if who.history is not None:
        length = microseconds(who.history)

        def known_long(asked: pl.DataFrame) -> pl.DataFrame:
            joined = asked.join(
                facts.spans.select("subject_id", "first"), on="subject_id", how="left", maintain_order="left"
            )
            since = pl.col("prediction_time") - pl.duration(microseconds=length)
            return joined.filter(pl.col("first") <= since).drop("first")

        yield text2("known for {length} before", length=who.history), known_long


def _with_visible(asked: pl.DataFrame, facts: _Facts, codes: frozenset[str], within: str | None) -> list[int]:
    """Find those asked who had a visible fact of some codes, in a time before: their `asked`."""
    at = pl.col("prediction_time")
    joined = asked.join(facts.of(codes, current=False), on="subject_id")
    seen = (pl.col("visible").is_null() | (pl.col("visible") <= at)) & (
        pl.col("known_until").is_null() | (pl.col("known_until") > at)
    )
    if within is not None:
        seen &= pl.col("time") > at - pl.duration(microseconds=microseconds(within))
    return joined.filter(seen)["asked"].unique().to_list()


def _next_event(asked: pl.DataFrame, events: pl.DataFrame, name: str) -> pl.DataFrame:
    """Find, for each asked, when the next of some events is: of the same encounter, or of any where none is named."""
    joined = asked.join(events.select("subject_id", "time", event_encounter="encounter"), on="subject_id")
    later = joined.filter(_of_same_encounter() & (pl.col("time") > pl.col("prediction_time")))
    return later.group_by("asked").agg(pl.col("time").min().alias(name))


def _of_same_encounter() -> pl.Expr:
    """Tell whether an event belongs to the encounter that is asked about, or whether either names none."""
    asked, event = pl.col("encounter"), pl.col("event_encounter")
    return asked.is_null() | event.is_null() | (asked == event)


def _counts(codes: _TaskCodes) -> pl.Expr:
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


def _with_horizon(task: Task, codes: _TaskCodes, facts: _Facts, asked: pl.DataFrame) -> pl.DataFrame:
    """Add `horizon`, the last moment that counts; drops those of whom it is not known."""
    if task.predict.until is not None:
        ends = _next_event(asked, facts.of(codes.horizon), "horizon")
        return asked.join(ends, on="asked", how="inner", maintain_order="left")
    length = task.predict.within
    if length is None:
        return asked.with_columns(horizon=pl.lit(LATEST))
    return asked.with_columns(
        horizon=pl.col("prediction_time") + pl.duration(microseconds=microseconds(length))
    )


def _with_label(task: Task, codes: _TaskCodes, facts: _Facts, asked: pl.DataFrame) -> pl.DataFrame:
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
        found = happened.filter(_of_same_encounter()).group_by("asked").agg(label=wait.min())
    elif predict.value is not None:
        values = happened.filter(pl.col("numeric_value").is_not_null()).group_by("asked", maintain_order=True)
        found = values.agg(label=getattr(codes.scales.applied(), predict.take)())
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
    task: Task, codes: _TaskCodes, facts: _Facts, asked: pl.DataFrame, happened: pl.DataFrame
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


def _ends_of_follow_up(task: Task, codes: _TaskCodes, facts: _Facts) -> pl.DataFrame:
    """Find when each subject was last known of: frame of `subject_id`, `end`."""
    if task.censor is not None and task.censor.follow_up is not None:
        return facts.of(codes.follow_up).group_by("subject_id").agg(end=pl.col("time").max())
    return facts.spans.select("subject_id", end="last")


def _followed(task: Task, codes: _TaskCodes, facts: _Facts, labelled: pl.DataFrame) -> pl.DataFrame:
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
