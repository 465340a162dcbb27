"""Histories that are held, kept as bytes, and supposed: models answer on them as on what was read."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from medloom.foundation.errors import InputError, IntegrityError
from medloom.learners.survival.learners import CoxLearner
from medloom.learners.tabular.gbdt import GbdtLearner
from medloom.record.record import Record
from medloom.tasks import history_format
from medloom.tasks.history import STATIC, History
from medloom.tasks.kinds import SPLITS
from medloom.tasks.labelling import apply
from medloom.tasks.model import Learner, Model
from medloom.tasks.samples import Samples
from tests.tasks.builders import at, record_of, stay, task_of

RISK: dict[str, Any] = {}
PROGNOSIS: dict[str, Any] = {
    "kind": "survival",
    "predict": {"event": ["X//outcome"], "horizons": ["2d"], "unit": "h"},
}


def rows(n: int = 120) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found: list[dict[str, Any]] = []
    for subject in range(1, n + 1):
        value = float(rng.normal())
        found += stay(subject)
        ward = {"subject_id": subject, "time": None, "code": "X//ward"}
        found.append({**ward, "text_value": str(rng.choice(["north", "south"])), "role": "demographic"})
        found.append({"subject_id": subject, "time": None, "code": "X//weight", "numeric_value": 70 + value})
        for hours in (5, 10, 20):
            lab = {"subject_id": subject, "time": at(hours), "code": "X//lab", "role": "observation"}
            found.append({**lab, "numeric_value": value + 0.1 * hours})
        if value + rng.normal() > 0:
            found.append({"subject_id": subject, "time": at(60 + subject % 30), "code": "X//outcome"})
    return found


@pytest.fixture(scope="module")
def record() -> Record:
    return record_of(rows())


@pytest.fixture(scope="module")
def samples(record: Record) -> Samples:
    return apply(task_of(**RISK), record).samples


@pytest.fixture(scope="module", params=["risk", "prognosis"])
def asked(request: pytest.FixtureRequest, record: Record) -> tuple[Model, Samples]:
    learner: Learner = GbdtLearner(n_models=1) if request.param == "risk" else CoxLearner()
    parts = RISK if request.param == "risk" else PROGNOSIS
    found = apply(task_of(**parts), record).samples
    return learner.fit(found.in_split("train"), found.in_split("tuning")), found


def lab(history: History, sample: int = 0) -> list[float]:
    number = history.vocabulary.index("X//lab")
    return [float(value) for value in history.value[(history.code == number) & (history.sample == sample)]]


def test_a_model_answers_on_a_kept_history_as_on_the_record(asked: tuple[Model, Samples]) -> None:
    model, everyone = asked
    for some in (everyone, everyone.where(pl.col("subject_id") == 7)):
        kept = History.from_bytes(some.held().history().to_bytes())
        again = some.holding(kept)
        assert model.predict(again).frame.equals(model.predict(some).frame)
        assert model.explain(again).frame.equals(model.explain(some).frame)
        assert kept.digest() == some.held().history().digest()


def test_threads_get_the_same_answers(asked: tuple[Model, Samples]) -> None:
    model, everyone = asked
    ones = [everyone.where(pl.col("subject_id") == subject) for subject in range(1, 41)]
    alone = [model.predict(one.held()).frame for one in ones]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: model.predict(one.held()).frame, ones))
    assert all(a.equals(b) for a, b in zip(alone, together, strict=True))


def test_a_held_history_is_read_once_and_serves_every_part(
    samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = samples.held()
    fresh = {
        subject: samples.where(pl.col("subject_id") == subject).held().history().digest()
        for subject in (1, 5)
    }
    splits = {name: samples.in_split(name).held().history().digest() for name in SPLITS}
    monkeypatch.setattr(Record, "read", None)
    assert held.held() is held
    for subject, digest in fresh.items():
        assert held.where(pl.col("subject_id") == subject).history().digest() == digest
    for name, digest in splits.items():
        assert held.in_split(name).history(("text_value",)).digest() == digest
    assert [len(part) for part in held.parts(50)] == [50, 50, 20]
    assert sum(len(part.history()) for part in held.parts(50)) == len(held.history())
    hidden = held.hiding("X//lab").history()
    assert lab(held.history())
    assert not lab(hidden)


def test_a_held_history_is_of_its_own_samples_only(samples: Samples) -> None:
    held = samples.where(pl.col("subject_id") < 9).held()
    with pytest.raises(InputError, match="lacks role"):
        held.history(("role",))
    assert "role" in samples.held(("role",)).history().columns
    renumbered = held.frame.with_columns(pl.col("sample_id") + 1)
    later = held.frame.with_columns(pl.col("prediction_time") + timedelta(hours=1))
    for frame in (renumbered, later, samples.frame):
        with pytest.raises(InputError, match="of other samples"):
            dataclasses.replace(held, frame=frame).history()
    with pytest.raises(InputError, match="of other samples"):
        samples.holding(held.history())


def test_a_digest_names_the_content_alone(samples: Samples) -> None:
    history = samples.where(pl.col("subject_id") < 4).held(("text_value", "role")).history()
    turned = dataclasses.replace(
        history,
        code=(len(history.vocabulary) - history.code).astype(np.int32),
        vocabulary=("X//unused", *reversed(history.vocabulary)),
    )
    assert turned.digest() == history.digest()
    assert turned.to_bytes() == history.to_bytes()
    changed = [
        dataclasses.replace(history, value=history.value + 1),
        dataclasses.replace(history, time=history.time + 1),
        dataclasses.replace(history, prediction_time=history.prediction_time + 1),
        dataclasses.replace(history, vocabulary=tuple(f"{code}!" for code in history.vocabulary)),
        dataclasses.replace(history, columns={"text_value": history.columns["text_value"]}),
        history.without({"X//lab"}),
        history.of(np.array([0, 1])),
    ]
    assert len({history.digest(), *(one.digest() for one in changed)}) == len(changed) + 1


def test_bytes_hold_every_column_and_say_when_they_are_damaged() -> None:
    columns = {
        "text_value": pa.array(["a", None, "ä"], pa.large_string()),
        "role": pa.array(["x", "x", None]).dictionary_encode(),
        "asset": pa.nulls(3, pa.string()),
        "confidence": pa.array([0.1, None, 0.3], pa.float32()),
        "encounter": pa.array([2**62, None, -1], pa.int64()),
        "known_time": pa.array([at(1), at(2), None], pa.timestamp("us")),
    }
    history = History(
        np.array([10, 20]),
        np.array([0, 0, 1], np.int32),
        np.array([1, 0, 1], np.int32),
        np.array([STATIC, 5, 6]),
        np.array([np.nan, 1.5, 0], np.float32),
        ("B", "A"),
        columns,
    )
    packed = history.to_bytes()
    again = History.from_bytes(packed)
    assert {name: column.to_pylist() for name, column in again.columns.items()} == {
        name: column.to_pylist() for name, column in columns.items()
    }
    assert again.digest() == history.digest()
    assert again.offsets.tolist() == [0, 2, 3]
    nobody = History.from_bytes(history.of(np.array([], np.int64)).to_bytes())
    assert (nobody.n_samples, len(nobody)) == (0, 0)
    for damaged in (b"", b"nothing", packed[:-3], packed[:4] + b"?" + packed[5:]):
        with pytest.raises(IntegrityError, match="damaged"):
            History.from_bytes(damaged)
    longer = history_format.pack(history_format.payload(history_format.unpack(packed)) + b"1")
    with pytest.raises(IntegrityError, match="damaged"):
        History.from_bytes(longer)
    with pytest.raises(IntegrityError, match="newer"):
        History.from_bytes(b"MLH2" + packed[4:])


def test_what_if_a_value_were_another(samples: Samples) -> None:
    held = samples.where(pl.col("subject_id") < 3).held()
    first, second = lab(held.history()), lab(held.history(), 1)
    changed = held.supposing({"X//lab": 9.0}).history()
    assert (lab(changed), lab(changed, 1)) == ([*first[:-1], 9.0], [*second[:-1], 9.0])
    assert lab(held.history()) == first
    assert not lab(held.supposing({"X//lab": None}).history())
    assert lab(held.supposing({"X//lab": float("nan")}).history()) == first
    assert held.supposing({}).history().digest() == held.history().digest()


def test_what_if_something_were_there_that_is_not(samples: Samples) -> None:
    held = samples.where(pl.col("subject_id") < 3).held()
    changed = held.supposing({"X//new": 1.5}).history()
    added = np.flatnonzero(changed.code == changed.vocabulary.index("X//new"))
    assert changed.sample[added].tolist() == [0, 1]
    assert (changed.time[added] == changed.prediction_time).all()
    assert changed.columns["text_value"].take(pa.array(added)).null_count == 2
    assert (np.diff(changed.sample) >= 0).all()
    fixed = held.supposing({"X//weight": None}).supposing({"X//weight": 80.0}).history()
    weight = fixed.code == fixed.vocabulary.index("X//weight")
    assert fixed.time[weight].tolist() == [STATIC, STATIC]
    assert fixed.value[weight].tolist() == [80.0, 80.0]
    with pytest.raises(InputError, match="do not see X//outcome"):
        held.supposing({"X//outcome": float("nan")})


def test_a_changed_input_changes_the_answer(asked: tuple[Model, Samples]) -> None:
    model, everyone = asked
    one = everyone.where(pl.col("subject_id") == 7)
    low, high = (model.predict(one.supposing({"X//lab": value})).frame["value"] for value in (-9.0, 9.0))
    assert (high >= low).all()
    assert high[-1] > low[-1]
