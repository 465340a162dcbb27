"""Every explainer on models that were learned: through the two methods each tabular model has."""

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.explanation.counterfactual import ways_below
from medloom.explanation.dependence import effects_of
from medloom.explanation.kernel import explain_by_shapley
from medloom.explanation.lime import explain_by_lime
from medloom.explanation.permutation import rank_by_permutation
from medloom.explanation.surrogate import surrogate_of
from medloom.explanation.tree_drawing import TreeWords, tree_drawing
from medloom.explanation.windowed import unit_of
from medloom.explanation.wording import input_name
from tests.explanation.known_models import known_model, risk, samples_of, table
from tests.sites import LAB, site_of

CREATININE = "LOINC//2160-0"


@pytest.fixture(scope="module")
def patients():
    """Make patients who fall ill as `risk` says."""
    frame = table(1200)
    truth = known_model(samples_of(frame), risk)
    chance = truth.answer(truth.inputs(samples_of(frame)).values)[:, 0]
    return samples_of(frame.with_columns(ill=pl.Series(np.random.default_rng(1).random(1200) < chance)))


@pytest.fixture(scope="module", params=["gbdt", "logistic", "tree"])
def learned(request, patients):
    return ml.train(patients, request.param, ranges=False).model


def test_a_row_is_answered_as_its_sample_is(learned, patients) -> None:
    asked = patients.in_split("held_out")
    answers = learned.answer(learned.inputs(asked).values)
    assert np.array_equal(answers, learned.predict(asked).matrix(("true",)))
    nobody = learned.inputs(patients.where(pl.lit(False)))
    assert learned.answer(nobody.values).shape == (0, 1)


def test_shapley_values_and_lime_find_what_matters(learned, patients) -> None:
    few = patients.in_split("held_out").where(pl.col("sample_id") < 500)
    train = patients.in_split("train")
    explained = explain_by_shapley(learned, few, train, most=10)
    local, _ = explain_by_lime(learned, few, train, kept=3, draws=500)
    for one in (explained, local):
        strength = one.frame.group_by("input").agg(pl.col("contribution").abs().sum())
        assert set(strength.sort("contribution")["input"][-2:]) == {CREATININE, "age"}
    sums = dict(explained.frame.group_by("sample_id").agg(pl.col("contribution").sum()).iter_rows())
    answers = learned.answer(learned.inputs(few).values)[:, 0]
    for sample, answer in zip(few.frame["sample_id"], answers, strict=True):
        assert explained.baseline["value"][0] + sums.get(sample, 0) == pytest.approx(answer, abs=1e-9)


def test_importance_effects_and_counterfactuals_agree(learned, patients) -> None:
    held_out = patients.in_split("held_out")

    def brier(samples):
        ill = samples.frame["label"].to_numpy().astype(float)
        return lambda answers, places: -float(((answers[:, 0] - ill[places]) ** 2).mean())

    assert rank_by_permutation(learned, held_out, brier, replicates=20)["input"][0] == CREATININE
    effects = effects_of(learned, held_out, CREATININE)
    assert effects.effect[-1] > effects.effect[0] + 0.2
    found = ways_below(learned, held_out.where(pl.col("sample_id") < 100), patients.in_split("train"), 0.4)
    ways = [way for one in found for way in one.found]
    assert ways
    for way in ways:
        assert learned.answer(way.row[None])[0, 0] < 0.4


def test_a_surrogate_follows_a_learned_model(learned, patients) -> None:
    found = surrogate_of(learned, patients.in_split("train"), patients.in_split("held_out"), max_depth=4)
    assert found.fidelity[0] > 0.8


def test_a_learned_tree_is_drawn(patients) -> None:
    model = ml.train(patients, "tree", ranges=False).model
    words = TreeWords(
        model.features.names,
        patients.question,
        lambda input: input_name(input, {}, {}),
        lambda input: unit_of(input, {}),
        model.features.flags,
        model.estimator.may_be_missing,
    )
    drawn = tree_drawing(model.estimator.trees[0], words)
    assert "Creatinine" in drawn and "肌酐" in drawn


def test_windows_of_a_record_move_together(tmp_path) -> None:
    samples = site_of(tmp_path / "site", 400).task("outcome").samples
    model = ml.train(samples, "gbdt", ranges=False).model
    held_out = samples.in_split("held_out")
    rows = model.inputs(held_out).values
    found = ways_below(model, held_out, samples.in_split("train"), 0.3, may_change=[LAB])
    last = model.features.names.index(f"{LAB} last ever")
    assert any(one.found for one in found)
    for one, row in zip(found, rows, strict=True):
        for way in one.found:
            moved = {model.features.names[at] for at in np.flatnonzero((way.row != row) & ~np.isnan(row))}
            # one value in the whole stay: it is the first, the last, the lowest, the highest and the mean
            assert moved == {
                f"{LAB} {statistic} ever" for statistic in ("first", "last", "min", "max", "mean")
            }
            assert way.row[last] == np.float32(way.changes[0].after)
