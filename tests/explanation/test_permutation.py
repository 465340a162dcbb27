"""Permutation importance: what the model looks at comes out on top, nothing else counts, patients stay whole."""

import numpy as np
import polars as pl
import pytest

from medloom.explanation.permutation import permutation_importance, rank_by_permutation
from tests.explanation.known_models import Floats, known_model, risk, samples_of, table


def closeness(truth: Floats):
    return lambda answers, places: -float(np.abs(answers[:, 0] - truth[places]).mean())


def auroc(samples):
    """Compare all pairs of a sample with and one without the event; NaN where there are none."""
    ill = samples.frame["label"].to_numpy()

    def score(answers: Floats, places: np.ndarray) -> float:
        event, risk = ill[places], answers[:, 0]
        pairs = risk[event][:, None] - risk[~event][None]
        return float(((pairs > 0) + 0.5 * (pairs == 0)).mean()) if pairs.size else float("nan")

    return score


def test_the_fall_is_the_size_of_what_was_lost() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)).astype(np.float32)
    truth = 2.0 * x[:, 0] + x[:, 1]
    found = permutation_importance(lambda x: 2.0 * x[:, :1] + x[:, 1:2], x, closeness(truth), replicates=50)
    # the mean distance of two normal values, times the coefficient: 2/√π
    assert found["importance"].to_list() == pytest.approx(
        [4 / np.sqrt(np.pi), 2 / np.sqrt(np.pi), 0], rel=0.05
    )
    assert found["low"][0] < found["importance"][0] < found["high"][0]
    assert found["low"][2] == found["high"][2] == 0


def test_inputs_that_stand_for_each_other_count_only_together() -> None:
    # the model takes the larger of two copies: with one of them exchanged it is led astray; with both, more so
    x = np.repeat(np.random.default_rng(0).normal(size=(500, 1)), 2, axis=1).astype(np.float32)

    def mean(x: np.ndarray) -> Floats:
        return x.mean(axis=1, keepdims=True).astype(np.float64)

    apart = permutation_importance(mean, x, closeness(x[:, 0]), replicates=0)
    together = permutation_importance(mean, x, closeness(x[:, 0]), np.array([0, 0]), replicates=0)
    assert together.height == 1
    assert together["importance"][0] > 1.5 * apart["importance"].max()


def test_patients_are_exchanged_whole() -> None:
    # the model looks at nothing but who the patient is; samples of one patient never get what another of his has
    subjects = np.repeat(np.arange(30), [1, 2, 3] * 10)
    x = subjects[:, None].astype(np.float32)
    taken = []

    def answer(rows: np.ndarray) -> Floats:
        taken.append(rows[:, 0].copy())
        return rows.astype(np.float64)

    permutation_importance(answer, x, closeness(x[:, 0]), subjects=subjects, repeats=3, replicates=0)
    for exchanged in taken[1:]:
        assert (exchanged != x[:, 0]).all()
        assert all(len(np.unique(exchanged[subjects == who])) == 1 for who in range(30))


def test_what_cannot_be_said_is_null() -> None:
    x = np.arange(6, dtype=np.float32).reshape(6, 1)

    def answer(x: np.ndarray) -> Floats:
        return x.astype(np.float64)

    none = permutation_importance(answer, x[:0], closeness(x[:, 0]))
    assert none.row(0) == (0, None, None, None)
    assert permutation_importance(answer, x[:1], closeness(x[:, 0])).row(0) == (0, None, None, None)
    few = permutation_importance(answer, x, closeness(x[:, 0]))
    assert few["importance"][0] is not None and few["low"][0] is None
    silent = permutation_importance(answer, x, lambda answers, places: float("nan"))
    assert silent.row(0) == (0, None, None, None)


def test_what_the_model_does_not_look_at_costs_no_scores() -> None:
    asked = []

    def score(answers: Floats, places: np.ndarray) -> float:
        asked.append(len(places))
        return 0.7

    x = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    found = permutation_importance(lambda x: np.zeros((len(x), 1)), x, score, replicates=4)
    assert found.row(0) == (0, 0.0, 0.0, 0.0)
    # once for all samples, once for each resample
    assert len(asked) == 5


def test_missing_values_are_exchanged_too() -> None:
    x = np.full((100, 1), np.nan, np.float32)
    x[::2] = 1
    truth = np.isnan(x[:, 0]).astype(float)
    found = permutation_importance(lambda x: np.isnan(x).astype(float), x, closeness(truth), replicates=0)
    assert found["importance"][0] == pytest.approx(0.5, abs=0.1)


def test_what_the_model_looks_at_comes_out_on_top() -> None:
    frame = table(600)
    # patients fall ill as the model says
    model = known_model(samples_of(frame), risk)
    chance = model.answer(model.inputs(samples_of(frame)).values)[:, 0]
    frame = frame.with_columns(ill=pl.Series(np.random.default_rng(1).random(600) < chance))
    samples = samples_of(frame)
    ranked = rank_by_permutation(known_model(samples, risk), samples, auroc, replicates=40)
    assert ranked["input"].to_list()[:2] == ["LOINC//2160-0", "age"]
    assert ranked["importance"].to_list()[2:] == [0.0] * (ranked.height - 2)
    assert ranked["low"][0] > 0
    fewer = rank_by_permutation(
        known_model(samples, risk), samples, auroc, by="input", replicates=0, most=100
    )
    assert "sex=F" in fewer["input"].to_list() and fewer["input"][0] == "LOINC//2160-0"
