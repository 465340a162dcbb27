"""Validation designs: which samples a learner learns from, and which it is then asked about.

Whatever the design, in each part a patient is on one side only, and no sample that is held out in the samples handed
in is learned from. The tested samples of each part are marked `held_out`, so that learners refuse them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.durations import hours
from medloom.foundation.engines import each
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.progress import track
from medloom.foundation.seeds import derive, generator
from medloom.tasks.model import Learner, Model
from medloom.tasks.predictions import Predictions
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.tasks.survival import Curves, outcomes_of, read_curves
from medloom.training.nonparametric import grid_of

TUNING: Final = 0.125  # of the patients a model is developed on: as 10 % beside 70 %


@dataclass(frozen=True)
class Part:
    """One model to be learned, and the samples it is to be tested on."""

    name: str
    train: Samples
    tuning: Samples
    test: Samples


@dataclass(frozen=True)
class OutOfSample:
    """What models said of samples they had not learned from.

    Attributes:
        samples: all that were tested, in their order.
        predictions: of each, by the model of its part.
        parts: (n,) name of the part each was tested in.
        models: one a part, by name.
    """

    samples: Samples
    predictions: Predictions
    parts: pl.Series
    models: dict[str, Model]


def carried_out(learner: Learner, parts: Sequence[Part], seed: int = 0) -> OutOfSample:
    """Learn a model for each part and ask it about the part's test samples, where the engine in force does it.

    Raises:
        InputError: there is no part, a sample is tested twice, or the learner cannot learn from a part.
    """
    if not parts:
        raise InputError("the design leaves nothing to test on")
    models, said, names = {}, [], []
    for part, (model, answers) in track(
        zip(parts, each(partial(_learned, learner, seed), parts), strict=True), tr("models"), len(parts)
    ):
        models[part.name] = model
        said.append(answers)
        names.append(part.test.frame.with_columns(part=pl.lit(part.name)))
    tested = pl.concat(names)
    if len(parts) > 1 and parts[0].test.question.kind == "survival":
        said = on_one_grid(said, tested["label"], parts[0].test.question)
    if tested["sample_id"].is_duplicated().any():
        raise InputError("the parts of a design overlap; each sample may be tested once")
    tested = tested.sort("subject_id", "prediction_time", "sample_id", maintain_order=True)
    order = tested.select("sample_id")
    frame = order.join(pl.concat(said), on="sample_id", how="left", maintain_order="left_right")
    samples = replace(parts[0].test, frame=tested.drop("part"))
    return OutOfSample(samples, Predictions(frame.select(said[0].columns)), tested["part"], models)


def on_one_grid(said: Sequence[pl.DataFrame], label: pl.Series, question: Question) -> list[pl.DataFrame]:
    """Read curves of several models at the same times, as far as all of them reach.

    Args:
        said: predictions of each model.
        label: of all samples together; their events and the question's horizons choose the times.
        question: of kind survival.

    Raises:
        InputError: one of the models tells nothing of the time when events happened.
    """
    each = [read_curves(frame, question.outputs) for frame in said if frame.height]
    last = min((float(curves.times[-1]) for curves in each), default=0.0)
    grid = grid_of(outcomes_of(label, question.outputs), question.horizons)
    times = grid[grid <= last]
    if not len(times):
        raise InputError(
            "the models' curves end before the first event; follow patients longer, or take fewer parts"
        )
    read = iter([Curves(times, curves.at(times)) for curves in each])
    return [
        next(read).predictions(frame["sample_id"].unique(maintain_order=True), question.outputs).frame
        if frame.height
        else frame
        for frame in said
    ]


def folds(samples: Samples, k: int = 5, seed: int = 0) -> list[Part]:
    """Divide all samples into k parts by patient, each tested once by a model of the others.

    Parts are alike in their outcomes where these are classes. Samples that are held out take no part.

    Raises:
        InputError: fewer than k patients have one of the outcomes.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    usable = samples.where(pl.col("split") != "held_out")
    groups, rows = usable.groups, np.arange(len(usable))
    fewest = fewest_patients(usable)
    state = derive(seed, "folds")
    if k < 2:
        raise InputError("cross-validation needs 2 folds or more, not {k}", k=k)
    if samples.question.kind in ("binary", "multiclass"):
        classes = usable.frame["label"].cast(pl.String).to_numpy()
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=state)
    else:
        classes = rows
        splitter = GroupKFold(k, shuffle=True, random_state=state)
    if fewest < k:
        raise InputError(
            "{k} folds need at least {k} patients with each answer; there are {n}: take fewer folds, or more patients",
            k=k,
            n=fewest,
        )
    parts = []
    for place, (_, outside) in enumerate(splitter.split(rows, classes, groups)):
        tested = np.zeros(len(usable), dtype=bool)
        tested[outside] = True
        parts.append(part_of(usable, tested, f"{place + 1}", seed))
    return parts


def fewest_patients(samples: Samples) -> int:
    """Count the patients with the rarest answer of classes, or all patients where answers are no classes."""
    if samples.question.kind not in ("binary", "multiclass"):
        return samples.frame["group"].n_unique()
    counted = samples.frame.group_by("label").agg(pl.col("group").n_unique())
    return int(counted["group"].min() or 0)  # type: ignore[arg-type]


def temporal(samples: Samples, start: date, seed: int = 0) -> list[Part]:
    """Learn from what was known before a day, and test on patients first asked on or after it.

    A sample asked earlier whose answer came only after the day (its horizon reaches beyond) is neither learned from
    nor tested, and of patients learned from nothing later is tested.

    Raises:
        InputError: nobody was asked before the day, or nobody first asked on or after it.
    """
    moment = datetime.combine(start, datetime.min.time())
    horizon = timedelta(hours=hours(samples.question.horizon) if samples.question.horizon else 0)
    first = pl.col("prediction_time").min().over("group")
    usable = samples.where(pl.col("split") != "held_out")
    chosen = usable.where((first >= moment) | (pl.col("prediction_time") + horizon <= moment))
    tested = chosen.frame.select(first >= moment).to_series().to_numpy()
    if not tested.any() or tested.all():
        raise InputError(
            "{before} samples were asked and answered before {day}, {after} of patients first asked from then on; "
            "choose a day with patients on both sides",
            before=int((~tested).sum()),
            day=start,
            after=int(tested.sum()),
        )
    return [part_of(chosen, tested, str(start), seed)]


def leave_one_out(samples: Samples, places: pl.Series, seed: int = 0, fewest: int = 1) -> list[Part]:
    """Test each place (hospital, ward, period) with a model of all others.

    Args:
        samples: all.
        places: (n,) name of each sample's place; null: it is learned from, never tested.
        seed: of what is random.
        fewest: patients a place must have to be tested.

    Raises:
        InputError: fewer than two places have so many patients.
    """
    if len(places) != len(samples):
        raise InputError("{n} places were given for {samples} samples", n=len(places), samples=len(samples))
    kept = (samples.frame["split"] != "held_out").to_numpy()
    usable = samples.where(pl.lit(pl.Series(kept)))
    named = places.cast(pl.String).filter(pl.Series(kept))
    counted = (
        usable.frame.select("group", place=named)
        .drop_nulls()
        .group_by("place")
        .agg(pl.col("group").n_unique())
    )
    known = sorted(counted.filter(pl.col("group") >= fewest)["place"].to_list())
    if len(known) < 2:
        raise InputError(
            "leaving one place out needs at least two with {fewest} patients or more; there are: {places}",
            fewest=fewest,
            places=known or "-",
        )
    return [part_of(usable, (named == name).fill_null(False).to_numpy(), name, seed) for name in known]


def part_of(samples: Samples, tested: NDArray[np.bool_], name: str, seed: int = 0) -> Part:
    """Make a part: what is tested (n,), and of all other patients some for tuning and the rest to train on.

    A part is a split of its own: what was pretrained under another has seen whom it tests on.
    """
    rule = digest([samples.split_rule, np.unique(samples.groups[tested]).tolist()])
    samples = replace(samples, split_rule=rule)
    test = samples.where(pl.lit(pl.Series(tested)))
    others = samples.where(~pl.col("group").is_in(np.unique(test.groups)))
    train, tuning = with_tuning(others, seed, name)
    return Part(name, train, tuning, marked(test, "held_out"))


def with_tuning(samples: Samples, seed: int, name: str) -> tuple[Samples, Samples]:
    """Set some patients aside for tuning, whatever their split was: train, tuning."""
    distinct = np.unique(samples.groups)
    drawn = generator(seed, "tuning", name).permutation(distinct)[: round(TUNING * len(distinct))]
    chosen = pl.col("group").is_in(np.sort(drawn))
    return marked(samples.where(~chosen), "train"), marked(samples.where(chosen), "tuning")


def marked(samples: Samples, split: str) -> Samples:
    """Say of all samples that they are in one split."""
    return replace(samples, frame=samples.frame.with_columns(split=pl.lit(split)))


def fact(samples: Samples, name: str) -> pl.Series:
    """Look up a fact that names each sample's place: the text or number under a code, or what follows `name//`.

    The last one known at the prediction time counts; null where there is none.

    Raises:
        InputError: no sample has such a fact.
    """
    parts = [_fact_of(part, name) for part in samples.parts()]
    found = pl.concat(parts) if parts else pl.Series([], dtype=pl.String)
    if found.null_count() == len(found):
        raise InputError("no sample has a fact {name!r} that would name its place", name=name)
    return found


def by_size(
    samples: Samples, sizes: Sequence[int], repeats: int = 3, share: float = 0.2, seed: int = 0
) -> Iterator[tuple[int, int, Part]]:
    """Divide for a learning curve: in each repeat one test set, and ever more of the other patients to learn from.

    Args:
        samples: all; those held out take no part.
        sizes: numbers of patients to learn from, tuning included.
        repeats: how often the division is drawn.
        share: of the patients to test on.
        seed: of the drawing.

    Yields:
        size, repeat from 0, part; smaller sizes are contained in larger ones.

    Raises:
        InputError: a size is larger than there are patients.
    """
    usable = samples.where(pl.col("split") != "held_out")
    distinct = np.unique(usable.groups)
    n_test = max(1, round(share * len(distinct)))
    if not sizes or max(sizes) > len(distinct) - n_test or min(sizes) < 1:
        raise InputError(
            "sizes of a learning curve lie between 1 and {most}, the patients beside the test set, not {sizes}",
            most=len(distinct) - n_test,
            sizes=list(sizes) or "-",
        )
    for repeat in range(repeats):
        order = generator(seed, "by-size", str(repeat)).permutation(distinct)
        test = usable.where(pl.col("group").is_in(np.sort(order[:n_test])))
        for size in sorted(sizes):
            some = usable.where(pl.col("group").is_in(np.sort(order[n_test : n_test + size])))
            train, tuning = with_tuning(some, seed, f"{repeat}")
            yield size, repeat, Part(f"{size}/{repeat}", train, tuning, marked(test, "held_out"))


def resampled(samples: Samples, seed: int, name: str) -> tuple[Samples, Samples]:
    """Draw as many patients as there are, with replacement, and set some aside for tuning: train, tuning.

    A patient drawn twice has each sample twice, and stands on one side.
    """
    usable = samples.where(pl.col("split") != "held_out")
    distinct, place = np.unique(usable.groups, return_inverse=True)
    drawn = generator(seed, "resample", name).integers(len(distinct), size=len(distinct))
    times = np.bincount(drawn, minlength=len(distinct))[place]
    rows = np.repeat(np.arange(len(usable)), times)
    return with_tuning(replace(usable, frame=usable.frame[rows]), seed, name)


def refits(
    learner: Learner, samples: Samples, asked: Samples, n: int, times: Sequence[float] = (), seed: int = 0
) -> NDArray[np.float64]:
    """Ask models of n resamples about the same samples: (n, m, k) answers, of curves those `at_times`.

    Riley and Collins, Biom J 2023;65:2200302: how much each patient's answer depends on who else was in the data.
    """
    refit = partial(_refitted, learner, samples, asked, tuple(times), seed)
    found = list(track(each(refit, range(n)), tr("models"), n))
    return np.array(found).reshape(n, len(asked), -1)


def at_times(said: Predictions, asked: Samples, times: Sequence[float]) -> NDArray[np.float64]:
    """Give answers as one row a sample: (m, k); of curves the risk of each event by each time, events first.

    Raises:
        InputError: a time lies beyond the curves.
    """
    outputs = asked.question.outputs
    if asked.question.kind != "survival":
        return said.matrix(outputs)
    risks = read_curves(said.frame, outputs, asked.frame["sample_id"]).at(times)
    if np.isnan(risks).any():
        raise InputError(
            "the curves end before {times} {unit}; name earlier horizons",
            times=[f"{one:g}" for one in times],
            unit=asked.question.unit or "",
        )
    return risks.reshape(len(asked), -1)


def _learned(learner: Learner, seed: int, part: Part) -> tuple[Model, pl.DataFrame]:
    model = learner.fit(part.train, part.tuning, seed=derive(seed, "part", part.name))
    return model, model.predict(part.test).frame


def _refitted(
    learner: Learner, samples: Samples, asked: Samples, times: Sequence[float], seed: int, place: int
) -> NDArray[np.float64]:
    train, tuning = resampled(samples, seed, str(place))
    model = learner.fit(train, tuning, seed=derive(seed, "refit", str(place)))
    return at_times(model.predict(asked), asked, times)


def _fact_of(samples: Samples, name: str) -> pl.Series:
    history = samples.history(columns=("text_value",))
    places = pl.Series("vocabulary", list(history.vocabulary), dtype=pl.String)
    facts = pl.DataFrame(
        {
            "sample": history.sample,
            "code": places.gather(history.code.astype(np.int64)),
            "text": pl.Series(history.columns["text_value"].to_pylist(), dtype=pl.String),
            "number": history.value,
        }
    )
    value = (
        pl.when(pl.col("code") == name)
        .then(pl.coalesce("text", pl.col("number").fill_nan(None).cast(pl.String)))
        .otherwise(pl.col("code").str.slice(len(name) + 2))
    )
    named = facts.filter((pl.col("code") == name) | pl.col("code").str.starts_with(f"{name}//"))
    last = named.select("sample", place=value).drop_nulls().group_by("sample", maintain_order=True).last()
    all_of_them = pl.DataFrame({"sample": np.arange(history.n_samples, dtype=np.int32)})
    return all_of_them.join(last, on="sample", how="left", maintain_order="left")["place"]
