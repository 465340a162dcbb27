"""Timelines as no hospital should have them: networks learn from them, answer, and say why, in bounded memory."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.foundation.errors import InputError, IntegrityError
from medloom.learners.timeline.network import batches
from medloom.learners.timeline.objectives import OBJECTIVES
from medloom.learners.timeline.pretrained import TimelineLearner
from medloom.learners.timeline.pretraining import Encoder, Pretraining, load_encoder, pretrain
from medloom.learners.timeline.transformer import TransformerLearner
from medloom.record.record import Record
from medloom.tasks.samples import Samples
from medloom.training.schedule import Schedule
from tests.learners.tabular.worlds import ASKED, DAY, LAB, NOISE, samples_in, samples_of

MANY = 200_000
QUICK: dict[str, Any] = {"epochs": 1, "batch": 32, "most": 64}


def ward(lab: str = LAB, n: int = 40) -> Samples:
    """Give a ward in which each patient is strange in one of five ways."""
    rows: list[tuple[Any, ...]] = []
    for subject in range(n):
        at = [DAY + timedelta(hours=hour) for hour in range(6)]
        rows += [
            [(subject, at[0], lab, 50.0)],
            [(subject, at[0], lab, float(value)) for value in range(100)],
            [
                (subject, time, lab, value)
                for time, value in zip(at, (1e30, np.nan, -np.inf, 5, 1, 2), strict=True)
            ],
            [(subject, at[1], f"LOINC//of-nobody-but-{subject}", 1.0)],
            [(subject, ASKED + timedelta(days=1), lab, 50.0)],
        ][subject % 5]
    events = pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
    return samples_in(Record.from_events(events), "binary", [subject % 3 == 0 for subject in range(n)], n)


def pretrained(samples: Samples, objective: str = "masked") -> Encoder:
    how = Pretraining(objective, "nano", 0.0, 64, Schedule(epochs=2, batch=16, patience=None))
    return pretrain(samples.in_split("train"), samples.in_split("tuning"), how, seed=1)


def test_every_objective_learns_from_strange_timelines() -> None:
    made = pretrained(ward(), "+".join(OBJECTIVES))
    assert made.course is not None
    assert np.isfinite(made.course.curve).all()
    assert all(weight.isfinite().all() for weight in made.network.state_dict().values())


def test_a_network_learns_from_strange_timelines_and_answers_them() -> None:
    samples = ward()
    model = TransformerLearner(**QUICK).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)
    assert model.predict(samples).frame["value"].is_between(0, 1).all()
    assert model.explain(samples).frame["contribution"].is_finite().all()


def test_a_patient_with_two_hundred_thousand_facts_is_answered_and_explained() -> None:
    number = np.arange(MANY)
    same = np.full(MANY, np.datetime64(DAY, "us"))
    spread = np.datetime64(ASKED, "us") - number[::-1].astype("timedelta64[m]")
    times = (same, spread, same, same)
    events = pl.DataFrame(
        {
            "subject_id": np.repeat(np.arange(len(times)), MANY),
            "time": np.concatenate(times),
            "code": pl.Series([LAB, NOISE] * (len(times) * MANY // 2)),
            "numeric_value": np.tile(number % 97 + 0.5, len(times)),
        }
    )
    samples = samples_in(Record.from_events(events), "binary", [True] * len(times), len(times))
    train = samples_of("binary", n=60)
    model = TransformerLearner(**QUICK).fit(train.in_split("train"), train.in_split("tuning"), seed=1)
    read = list(batches(model.reading.timelines(samples)))
    assert [batch.rows for batch in read] == [2, 2]
    assert int(read[0].place.max()) < QUICK["most"]
    together = model.predict(samples).frame["value"]
    for place in (0, 1):
        alone = samples.at(place)
        assert model.predict(alone).frame["value"].item() == pytest.approx(together[place], rel=1e-10)
        reasons = model.explain(alone).frame
        assert reasons["contribution"].is_finite().all()
        # all facts of one time are one step; of those a minute apart, the latest hours are read
        assert reasons.height == (MANY + 1 if place == 0 else 63 * 60 + 1)


def test_where_nobody_has_a_fact_nothing_is_pretrained() -> None:
    with pytest.raises(InputError, match="no patient to learn from has a fact"):
        pretrained(ward().where(pl.lit(False)))


def test_an_encoder_of_other_codes_is_refused(tmp_path: Path) -> None:
    pretrained(ward("LOINC//elsewhere")).save(tmp_path / "theirs")
    samples = ward()
    with pytest.raises(InputError, match="knows 0% of the facts.*pretrain one on this record"):
        TimelineLearner(encoder=str(tmp_path / "theirs"), **QUICK).fit(
            samples.in_split("train"), samples.in_split("tuning")
        )


def test_an_encoder_with_the_vocabulary_of_another_is_refused(tmp_path: Path) -> None:
    for name, lab in (("ours", LAB), ("theirs", "LOINC//elsewhere")):
        pretrained(ward(lab)).save(tmp_path / name)
    shutil.copy(tmp_path / "theirs/weights/encoder.json", tmp_path / "ours/weights/encoder.json")
    with pytest.raises(IntegrityError, match=r"encoder\.json was altered.*restore it from a copy"):
        load_encoder(tmp_path / "ours")


def test_a_model_is_no_encoder(tmp_path: Path) -> None:
    samples = ward()
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    TransformerLearner(**QUICK).fit(train, tuning).save(tmp_path / "model")
    with pytest.raises(InputError, match="model is a model, not an encoder; pretrain one with"):
        TimelineLearner(encoder=str(tmp_path / "model"), **QUICK).fit(train, tuning)
