"""What every registered learner of timelines must do; a new one is tested by being registered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.learners.timeline.learner import NeuralTimelineLearner
from medloom.learners.timeline.model import TimelineModel
from medloom.learners.timeline.series import GruLearner
from medloom.record.record import Record
from medloom.tasks.kinds import Kind
from medloom.tasks.package import load
from medloom.tasks.samples import Samples
from medloom.tasks.survival import read_curves
from medloom.training.answers import labels_as_numbers, loss, scores_of
from tests.learners.survival.worlds import TWO
from tests.learners.survival.worlds import samples_of as prognosis_of
from tests.learners.tabular.worlds import ASKED, DAY, LAB, NOISE, samples_in, samples_of

LEARNERS: list[type[NeuralTimelineLearner]] = [
    kind
    for name in sorted(registry.registered("medloom.learners"))
    if (kind := registry.load("medloom.learners", name)).modality == "timeline"
]
# few epochs of few, simple patients
QUICK = {"epochs": 25, "learning_rate": 0.01, "batch": 32, "hidden_facts": 0.0, "most": 32}
SERIES = {"hidden": 16, "dropout": 0.0, "epochs": 8, "learning_rate": 0.02}
MORE = {
    "timeline": {"pretraining_epochs": 2, "learning_rate": 0.004},
    **dict.fromkeys(("lstm", "gru", "gru-d"), SERIES),
    "tcn": SERIES | {"layers": 2},
}
EVERY = [pytest.param(one, id=one.name) for one in LEARNERS]


def small(learner: type[NeuralTimelineLearner], **parameters: Any) -> NeuralTimelineLearner:
    return learner(**(QUICK | MORE.get(learner.name, {}) | parameters))


@cache
def learned(learner: type[NeuralTimelineLearner], kind: Kind = "binary") -> TimelineModel:
    samples = samples_of(kind)
    return small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


def unseen(kind: Kind = "binary") -> Samples:
    return samples_of(kind, n=200, seed=99)


@pytest.mark.parametrize("learner", EVERY)
def test_it_answers_better_than_the_average(learner: type[NeuralTimelineLearner]) -> None:
    samples = unseen()
    answers = learned(learner).predict(samples).matrix(samples.question.outputs)
    y = labels_as_numbers(samples)
    average = np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)
    assert loss("binary", y, answers) < 0.7 * loss("binary", y, average)


@pytest.mark.parametrize("learner", EVERY)
def test_one_patient_gets_the_same_answer_as_among_others(learner: type[NeuralTimelineLearner]) -> None:
    samples, model = unseen(), learned(learner)
    together = model.predict(samples).frame["value"].to_numpy()
    for place in (0, 17, 199):
        alone = model.predict(samples.at(place)).frame["value"].item()
        assert alone == pytest.approx(together[place], rel=1e-10)


@pytest.mark.parametrize("learner", EVERY)
def test_contributions_add_up_and_name_the_cause_before_the_noise(
    learner: type[NeuralTimelineLearner],
) -> None:
    samples, model = unseen().where(pl.col("sample_id") < 1010), learned(learner)
    explanation = model.explain(samples)
    expected = scores_of("binary", model.predict(samples).matrix(samples.question.outputs))[:, 0]
    summed = explanation.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    assert explanation.scale == "log-odds"
    baseline = explanation.baseline["value"].item()
    np.testing.assert_allclose(baseline + summed["contribution"].to_numpy(), expected, atol=1e-9)
    sizes = explanation.frame.drop_nulls("code").group_by("code").agg(pl.col("contribution").abs().sum())
    by_code = dict(sizes.iter_rows())
    assert max(by_code, key=by_code.__getitem__) == LAB
    assert by_code[LAB] > 2 * by_code[NOISE]


@pytest.mark.parametrize("learner", EVERY)
def test_what_is_saved_and_loaded_is_the_same_to_the_byte(
    learner: type[NeuralTimelineLearner], tmp_path: Path
) -> None:
    samples, model = unseen(), learned(learner)
    digest = model.save(tmp_path / "one")
    again = load(tmp_path / "one", digest)
    assert again.save(tmp_path / "two") == digest
    assert again.predict(samples).frame.equals(model.predict(samples).frame)


@pytest.mark.parametrize("learner", EVERY)
def test_the_same_seed_gives_the_same_package(learner: type[NeuralTimelineLearner], tmp_path: Path) -> None:
    samples = samples_of("binary", n=120)
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    one, two = (small(learner, epochs=2, **_fewer(learner)).fit(train, tuning, seed=3) for _ in range(2))
    assert one.save(tmp_path / "one") == two.save(tmp_path / "two")


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("learner", EVERY)
def test_every_kind_of_question_is_answered(learner: type[NeuralTimelineLearner], kind: Kind) -> None:
    samples = samples_of(kind, n=80)
    made = small(learner, epochs=1, **_fewer(learner)).fit(
        samples.in_split("train"), samples.in_split("tuning")
    )
    answers = made.predict(samples).matrix(samples.question.outputs)
    assert np.isfinite(answers).all()
    if kind == "multiclass":
        np.testing.assert_allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("learner", EVERY)
def test_when_something_will_happen_is_answered_by_curves_that_rise(
    learner: type[NeuralTimelineLearner],
) -> None:
    samples = prognosis_of(TWO, n=120)
    made = small(learner, epochs=1, **_fewer(learner)).fit(
        samples.in_split("train"), samples.in_split("tuning")
    )
    incidence = read_curves(made.predict(samples).frame, TWO).incidence
    assert (np.diff(incidence, axis=-1) >= 0).all()
    assert ((incidence >= 0) & (incidence.sum(axis=1, keepdims=True) <= 1)).all()


def test_where_asked_it_is_learned_again_from_the_tuning_samples_too() -> None:
    samples = samples_of("binary")
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    again = GruLearner(**(QUICK | SERIES | {"refit": True})).fit(train, tuning, seed=1)
    facts = [sum(one.reading.vocabulary.facts) for one in (learned(GruLearner), again)]
    assert facts[1] / facts[0] == pytest.approx((len(train) + len(tuning)) / len(train), rel=0.1)


@pytest.mark.parametrize("name", ["gru-d", "timeline"])
def test_several_networks_answer_as_one(name: str, tmp_path: Path) -> None:
    learner = registry.load("medloom.learners", name)
    samples = samples_of("binary")
    model = small(learner, networks=2, epochs=4).fit(
        samples.in_split("train"), samples.in_split("tuning"), seed=1
    )
    first, second = (one.reshape(-1) for one in model.network.head.weight.detach().numpy().reshape(2, -1))
    assert not np.allclose(first, second)
    some = unseen().among(range(20))
    told = model.predict(some)
    model.save(tmp_path / "package")
    assert load(tmp_path / "package").predict(some).frame.equals(told.frame)
    explanation = model.explain(some)
    sums = explanation.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    whole = explanation.baseline["value"].item() + sums["contribution"].to_numpy()
    value = told.frame["value"].to_numpy()
    np.testing.assert_allclose(whole, np.log(value / (1 - value)), atol=1e-6)


@pytest.mark.parametrize("learner", EVERY)
def test_strange_timelines_are_answered(learner: type[NeuralTimelineLearner]) -> None:
    """One fact alone; many at one moment; impossible values; codes never seen; nothing at all."""
    rows = [(0, ASKED, LAB, 50.0)]
    rows += [(1, DAY, LAB, float(value)) for value in range(3000)]
    rows += [(2, DAY, LAB, 1e30), (2, DAY, LAB, float("nan")), (2, DAY, LAB, float("-inf"))]
    rows += [(3, DAY + timedelta(minutes=minute), "LOINC//never-seen", 1.0) for minute in range(900)]
    rows += [(4, ASKED + timedelta(days=1), LAB, 50.0)]
    events = pl.DataFrame(rows, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
    samples = samples_in(Record.from_events(events), "binary", [True] * 5, 5)
    answers = learned(learner).predict(samples).frame["value"].to_numpy()
    assert np.isfinite(answers).all()
    assert ((answers > 0) & (answers < 1)).all()
    assert learned(learner).explain(samples.at(2)).frame["contribution"].is_finite().all()


@pytest.mark.parametrize("learner", EVERY)
def test_no_samples_get_no_answers(learner: type[NeuralTimelineLearner]) -> None:
    nobody = unseen().where(pl.lit(False))
    assert learned(learner).predict(nobody).frame.is_empty()
    assert learned(learner).explain(nobody).frame.is_empty()


@pytest.mark.parametrize("learner", EVERY)
def test_settings_that_make_no_sense_are_refused(learner: type[NeuralTimelineLearner]) -> None:
    samples = samples_of("binary", n=40)
    with pytest.raises(InputError, match="hidden_facts must be"):
        replace(small(learner), hidden_facts=1.0).fit(samples.in_split("train"), samples.in_split("tuning"))


def _fewer(learner: type[NeuralTimelineLearner]) -> dict[str, Any]:
    return {"pretraining_epochs": 1} if learner.name == "timeline" else {}
