"""The verbs that ask what a model rests on: they find what the outcome was made from, and explain what is answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.explaining import asked, surrogate_rules
from medloom.foundation.errors import InputError
from tests.explanation.known_models import known_model, risk, samples_of, table

CREATININE = "LOINC//2160-0"


@pytest.fixture(scope="module")
def trained():
    """Learn from patients who fall ill as `risk` says."""
    frame = table(1000)
    truth = known_model(samples_of(frame), risk)
    chance = truth.answer(truth.inputs(samples_of(frame)).values)[:, 0]
    ill = pl.Series(np.random.default_rng(1).random(1000) < chance)
    return ml.train(samples_of(frame.with_columns(ill=ill)), "gbdt", ranges=False)


@pytest.fixture(scope="module")
def ill(trained):
    """Take the held-out patient of the highest risk."""
    held_out = trained.samples.in_split("held_out")
    place = trained.predict(held_out).frame["value"].arg_max()
    return held_out.where(pl.int_range(pl.len()) == place)


@pytest.mark.parametrize("method", ["own", "shap", "lime"])
def test_every_method_finds_what_the_outcome_was_made_from(trained, ill, method) -> None:
    found = ml.reasons(trained, ill, method)
    strongest = found.explanation.top(int(ill.frame["sample_id"][0]), 2)["input"]
    assert CREATININE in strongest[:2].to_list()
    assert (found.fidelity is not None) == (method == "lime")


def test_shapley_values_sum_to_the_answer(trained, ill) -> None:
    found = ml.reasons(trained, ill, "shap", by="code").explanation
    answer = trained.predict(ill).frame["value"][0]
    assert found.baseline["value"][0] + found.frame["contribution"].sum() == pytest.approx(answer, abs=1e-9)


def test_rows_of_a_table_are_explained(trained) -> None:
    found = ml.reasons(trained, table(3).drop("ill", "stay", "where", "patient"), "shap")
    assert found.explanation.frame["sample_id"].unique().sort().to_list() == [0, 1, 2]


def test_a_counterfactual_changes_what_can_change(trained, ill) -> None:
    (found,) = ml.counterfactuals(trained, ill, 0.5)
    assert found.answer > 0.5 and found.found
    for way in found.found:
        assert way.answer < 0.5
        assert "age" not in {change.input for change in way.changes}


def test_similar_patients_fell_ill_as_often_as_the_model_says(trained, ill) -> None:
    (found,) = ml.similar(trained, ill, n=20)
    low, high = found.outcomes.select("low", "high").row(0)
    assert low <= trained.predict(ill).frame["value"][0] <= high


def test_importance_and_effects_put_what_matters_first(trained) -> None:
    ranked = ml.importance(trained)
    assert ranked["input"][0] == CREATININE
    assert ranked["low"][0] > 0
    found = ml.effects(trained, n=2)
    assert CREATININE in {one.input for one in found}
    (named,) = ml.effects(trained, ["noise"])
    assert named.input == "noise" and named.effect.max() - named.effect.min() < 0.1


def test_a_surrogate_is_read_as_rules(trained) -> None:
    found = ml.surrogate(trained, max_depth=4)
    assert found.fidelity[0] > 0.7
    rules = surrogate_rules(trained, found, lambda name: {CREATININE: "creatinine"}.get(name, name))
    assert rules.startswith("if creatinine ≤")


@pytest.mark.parametrize("update", ["slope", "isotonic"])
def test_what_is_explained_is_what_a_recalibrated_model_answers(trained, update) -> None:
    updated = ml.recalibrate(trained, update, folds=2)
    _answers_as_it_predicts(updated)


def test_ranges_leave_what_is_explained_as_it_is(trained) -> None:
    _answers_as_it_predicts(ml.with_ranges(trained, by=["sex"], folds=2))
    stay = ml.train(samples_of(table(400), "stay"), "linear", ranges=False)
    _answers_as_it_predicts(ml.with_ranges(stay, folds=2))


def test_of_several_classes_one_must_be_named() -> None:
    where = ml.train(samples_of(table(400), "where"), "tree", ranges=False)
    with pytest.raises(InputError, match="home, icu, ward"):
        ml.effects(where)
    assert {one.output for one in ml.effects(where, ["LOINC//2345-7"], output="icu")} == {"icu"}


def test_a_model_that_cannot_be_asked_says_what_can(trained) -> None:
    frame = pl.DataFrame(
        {
            "x": [float(i % 20) for i in range(200)],
            "days": [30.0 - i % 20 + i % 7 for i in range(200)],
            "died": [i % 3 > 0 for i in range(200)],
        }
    )
    cox = ml.train(frame, "cox", time="days", event="died", unit="d", ranges=False)
    with pytest.raises(InputError, match="--method own"):
        ml.importance(cox)
    with pytest.raises(InputError, match="still followed"):
        ml.similar(cox, cox.samples.in_split("held_out"))
    assert ml.reasons(cox, cox.samples.in_split("held_out")).explanation.frame.height > 0


def test_what_is_asked_for_must_be_there(trained, ill) -> None:
    with pytest.raises(InputError, match="own, shap, kernel, lime"):
        ml.reasons(trained, ill, "magic")
    with pytest.raises(InputError, match="no samples in split 'calibration'"):
        ml.importance(trained, split="calibration")
    with pytest.raises(InputError, match="no input 'creatinine'"):
        ml.effects(trained, ["creatinine"])
    nobody = replace(trained, samples=trained.samples.where(pl.col("split") == "held_out"))
    with pytest.raises(InputError, match="no samples in split 'train'"):
        ml.surrogate(nobody)


def _answers_as_it_predicts(trained) -> None:
    held_out = trained.samples.in_split("held_out")
    model = asked(trained.model)
    answers = model.answer(model.inputs(held_out).values)
    predicted = trained.predict(held_out).matrix(trained.samples.question.outputs)
    np.testing.assert_allclose(answers, predicted, rtol=1e-12)
