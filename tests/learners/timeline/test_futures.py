"""Futures sampled from timelines, and tasks answered by counting them, where the true chances are known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.timeline.batches import Gathering
from medloom.learners.timeline.futures import Futures, Sampling, sample_futures
from medloom.learners.timeline.model import Reading
from medloom.learners.timeline.pretraining import Encoder, Pretraining, pretrain
from medloom.learners.timeline.zero_shot import zero_shot
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from medloom.tasks.timelines import timelines
from medloom.training.schedule import Schedule

HOURS = 8
A_DEATH_AN_HOUR = {"RISK//high": 0.2, "RISK//low": 0.03}
FAST = Schedule(epochs=12, batch=32, learning_rate=0.01, patience=None)


def recorded(rows: list[Any]) -> Record:
    """Record rows of patient, time, code and value."""
    schema = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float64,
    }
    return Record.from_events(pl.DataFrame(rows, schema=schema, orient="row"))


@cache
def ward() -> Record:
    """Of 300 patients half are at high risk, and told so; each hour brings a measurement or death."""
    rng, rows = np.random.default_rng(0), []
    for subject in range(300):
        risk = "RISK//high" if rng.random() < 0.5 else "RISK//low"
        now = datetime(2020, 1, 1) + timedelta(days=int(rng.integers(300)))
        rows += [(subject, None, "GENDER//F", None), (subject, now, risk, None)]
        for _ in range(HOURS):
            now += timedelta(hours=1)
            if rng.random() < A_DEATH_AN_HOUR[risk]:
                rows.append((subject, now, "MEDS_DEATH", None))
                break
            rows.append((subject, now, "LAB", rng.normal(100 if risk == "RISK//high" else 60, 5)))
    return recorded(rows)


@cache
def encoder() -> Encoder:
    of = timelines(ward())
    how = Pretraining("next-event", "nano", None, 12, FAST)  # five facts of history, six to come at once
    return pretrain(of.in_split("train"), of.in_split("tuning"), how, seed=1)


def asked(predict: dict[str, Any], kind: str = "binary") -> tuple[Task, Samples]:
    task = Task.model_validate(
        {
            "name": "asked",
            "title": {"en": "Asked", "zh": "提问"},
            "kind": kind,
            "prediction_time": {"event": ["RISK//*"]},
            "predict": predict,
        }
    )
    return task, apply(task, ward()).samples.in_split("held_out", "tuning")


def at_high_risk(samples: Samples) -> np.ndarray:
    history = samples.history()
    return np.isin(
        np.arange(len(samples)), history.sample[history.code == history.vocabulary.index("RISK//high")]
    )


def test_the_share_of_futures_comes_near_the_true_chance() -> None:
    task, samples = asked({"event": ["MEDS_DEATH"], "within": "6h"})
    found = zero_shot(encoder(), samples, task, futures=60).frame
    high = at_high_risk(samples)
    for group, hazard in ((high, 0.2), (~high, 0.03)):
        assert found["value"].to_numpy()[group].mean() == pytest.approx(1 - (1 - hazard) ** 6, abs=0.12)
    assert found.select(
        ((pl.col("low") <= pl.col("value")) & (pl.col("value") <= pl.col("high"))).all()
    ).item()
    widths = found["high"] - found["low"]
    assert widths.max() < 0.26  # of a share of 60, Wilson


def test_a_patient_has_the_same_futures_alone_as_among_others() -> None:
    task, samples = asked({"event": ["MEDS_DEATH"], "within": "6h"})
    together = zero_shot(encoder(), samples, task, futures=20, seed=3).frame
    alone = zero_shot(encoder(), samples.at(5), task, futures=20, seed=3).frame
    assert alone["value"].item() == pytest.approx(together["value"][5], abs=0.051)
    assert zero_shot(encoder(), samples, task, futures=20, seed=3).frame.equals(together)
    assert not zero_shot(encoder(), samples, task, futures=20, seed=4).frame.equals(together)


def test_futures_go_on_to_the_horizon_and_end_with_death() -> None:
    found = futures_of(Sampling(10))
    codes = np.array(["", *encoder().reading.vocabulary.codes])[found.code]
    thread = found.row * 10 + found.future
    same = thread[1:] == thread[:-1]
    assert (found.hours <= 20).all()
    assert (np.diff(found.hours)[same] >= 0).all()
    died = np.flatnonzero(codes == "MEDS_DEATH")
    later = np.isin(np.arange(len(codes)), died + 1) & np.append(False, same)
    np.testing.assert_array_equal(found.hours[later], found.hours[np.flatnonzero(later) - 1])
    assert found.until[found.row[died], found.future[died]] == pytest.approx(found.hours[died])
    assert np.bincount(thread).max() > 6  # longer than what is read at once
    assert np.isfinite(found.value[codes == "LAB"]).all()


def test_what_is_never_sampled_and_a_low_temperature_hold() -> None:
    found = futures_of(Sampling(10, never=frozenset({"MEDS_DEATH"})))
    assert "MEDS_DEATH" not in np.array(["", *encoder().reading.vocabulary.codes])[found.code]
    cold = futures_of(Sampling(10, temperature=0.05))
    assert len(np.unique(cold.code)) <= len(np.unique(found.code))


def test_values_curves_and_classes_are_counted_too() -> None:
    value, samples = asked({"value": ["LAB"], "within": "3h", "take": "mean"}, "regression")
    high = at_high_risk(samples)
    told = zero_shot(encoder(), samples, value, futures=30).frame["value"].to_numpy()
    assert told[high].mean() == pytest.approx(100, abs=8)
    assert told[~high].mean() == pytest.approx(60, abs=8)
    above = zero_shot(encoder(), samples, value, futures=30, above=80.0).frame
    assert above["output"].unique().to_list() == ["true"]
    assert above["value"].to_numpy()[high].mean() > 0.85 > 0.15 > above["value"].to_numpy()[~high].mean()
    task, samples = asked({"event": ["MEDS_DEATH"], "horizons": ["2h", "6h"], "unit": "h"}, "survival")
    curves = zero_shot(encoder(), samples, task, futures=30).frame
    assert curves["end"].unique().sort().to_list() == [2.0, 6.0]
    by = curves.group_by("end").agg(pl.col("value").mean()).sort("end")["value"]
    assert by[0] < by[1]
    classes = {"died": ["MEDS_DEATH"], "measured": ["LAB"]}
    task, samples = asked({"classes": classes, "within": "4h"}, "multiclass")
    matrix = zero_shot(encoder(), samples, task, futures=30).matrix(("died", "measured"))
    np.testing.assert_allclose(matrix.sum(1), 1)


def test_what_cannot_be_answered_is_refused() -> None:
    task, samples = asked({"event": ["MEDS_DEATH"], "within": "6h"})
    together = replace(encoder(), reading=Reading(encoder().reading.vocabulary, Gathering(1.0, 12)))
    with pytest.raises(InputError, match="cannot sample futures"):
        zero_shot(together, samples, task)
    with pytest.raises(InputError, match="cannot sample futures"):
        zero_shot(replace(encoder(), objectives=("masked",)), samples, task)
    with pytest.raises(InputError, match="never seen what task 'asked' asks about"):
        zero_shot(
            encoder(),
            samples,
            asked({"event": ["GENDER//F*"], "within": "6h"})[0].model_copy(
                update={"predict": task.predict.model_copy(update={"event": ("OTHER",)})}
            ),
        )
    with pytest.raises(LeakageError, match="under another split"):
        zero_shot(replace(encoder(), origin=replace(encoder().origin, split_rule="other")), samples, task)
    with pytest.raises(InputError, match="nothing is known of"):
        zero_shot(encoder(), samples.hiding("RISK//high", "RISK//low", "GENDER//F"), task)
    with pytest.raises(InputError, match="time_to"):
        zero_shot(encoder(), samples, asked({"time_to": ["MEDS_DEATH"], "unit": "h"}, "regression")[0])


def futures_of(how: Sampling) -> Futures:
    _, samples = asked({"event": ["MEDS_DEATH"], "within": "6h"})
    samples = samples.among(range(8))
    names = [str(subject) for subject in samples.subject_ids]
    return sample_futures(encoder(), encoder().reading.timelines(samples), np.full(8, 20.0), names, how)


def test_the_verb_of_the_api_counts_the_same() -> None:
    task, samples = asked({"event": ["MEDS_DEATH"], "within": "6h"})
    one, two = (
        zero_shot(encoder(), samples, task, futures=5),
        ml.zero_shot(encoder(), samples, task, futures=5),
    )
    assert one.frame.equals(two.frame)


def futures_learned_from(record: Record, futures: int) -> tuple[Futures, np.ndarray]:
    """Go on from all patients' first facts; the codes stand beside what was found."""
    of = timelines(record)
    how = Pretraining("next-event", "nano", None, 24, replace(FAST, epochs=40))
    foresees = pretrain(of.in_split("train"), of.in_split("tuning"), how)
    begun = recorded([(subject, datetime(2020, 1, 1), "ADMISSION", None) for subject in range(20)])
    found = sample_futures(
        foresees,
        foresees.reading.timelines(timelines(begun)),
        np.full(20, 500.0),
        [str(subject) for subject in range(20)],
        Sampling(futures, ends=frozenset({"DISCHARGE"}), never=frozenset({"ADMISSION"})),
    )
    return found, np.array(["", *foresees.reading.vocabulary.codes])[found.code]


def test_what_comes_suits_how_long_it_took_to_come() -> None:
    """Each patient is next measured soon or late, by chance."""
    rng, rows = np.random.default_rng(1), []
    for subject in range(100):
        now = datetime(2020, 1, 1)
        rows.append((subject, now, "ADMISSION", None))
        for late in rng.random(10) < 0.5:
            now += timedelta(hours=100 if late else 1)
            rows.append((subject, now, "LATE" if late else "SOON", None))
    found, codes = futures_learned_from(recorded(rows), 20)
    thread = found.row * 20 + found.future
    first = np.append(True, thread[1:] != thread[:-1])
    gaps = np.where(first, found.hours, np.diff(found.hours, prepend=0))
    assert 0.3 < (codes == "LATE").mean() < 0.7
    assert ((codes == "LATE") == (gaps > 30)).mean() > 0.97


def test_what_follows_the_end_of_a_few_is_not_held_to_follow_that_of_all() -> None:
    """A third of stays end with death, and nothing is known of the others after theirs."""
    rng, rows = np.random.default_rng(2), []
    for subject in range(120):
        now = datetime(2020, 1, 1)
        rows.append((subject, now, "ADMISSION", None))
        now += timedelta(hours=int(rng.integers(10, 60)))
        rows.append((subject, now, "DISCHARGE", None))
        if rng.random() < 1 / 3:
            rows.append((subject, now, "MEDS_DEATH", None))
    _, codes = futures_learned_from(recorded(rows), 20)
    assert (codes == "DISCHARGE").sum() > 300
    assert (codes == "MEDS_DEATH").sum() / (codes == "DISCHARGE").sum() == pytest.approx(1 / 3, abs=0.12)
