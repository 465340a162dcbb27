"""Recalibration: what it learns, against scikit-learn and against what was put into the data."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from medloom.foundation.errors import InputError
from medloom.tasks.kinds import Kind
from medloom.training.answers import answers_of, scores_of
from medloom.training.calibrators import (
    KINDS,
    METHODS,
    BetaCalibrator,
    LinearCalibrator,
    Method,
    fit,
    log_likelihood,
    read,
)

Floats = NDArray[np.float64]
# curves are recalibrated by the hazard that was reached: see tests/evidence/test_validation.py
PAIRS = [(method, kind) for method in METHODS for kind in sorted(KINDS[method] - {"survival"})]


def drawn(kind: Kind, n: int = 4000) -> tuple[Floats, Floats]:
    """Answers, and labels drawn so that the truth is 0.4 + 0.6 x score."""
    random = np.random.default_rng(3)
    k = {"binary": 1, "regression": 1, "multilabel": 2}.get(kind, 3)
    scores = random.normal(0, 2, (n, k))
    if kind == "regression":
        return scores, 0.4 + 0.6 * scores + random.normal(0, 0.1, (n, 1))
    answers = answers_of(kind, scores)
    if kind == "multiclass":
        truth = answers_of(kind, np.array([0.4, 0.0, -0.4]) + 0.6 * scores_of(kind, answers))
        chosen = (random.random((n, 1)) > truth.cumsum(axis=1)).sum(axis=1)
        return answers, np.eye(3)[chosen]
    return answers, (random.random((n, k)) < answers_of(kind, 0.4 + 0.6 * scores)).astype(float)


def loss(kind: Kind, answers: Floats, labels: Floats) -> float:
    return -log_likelihood(kind, answers, labels, np.ones(len(labels)))


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_recalibrated_answers_fit_better(method: Method, kind: Kind) -> None:
    answers, labels = drawn(kind)
    made = fit(method, kind, answers, labels)
    assert loss(kind, made.apply(answers), labels) < loss(kind, answers, labels)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_it_is_read_back_as_it_was_and_one_row_gets_what_it_gets_among_many(
    method: Method, kind: Kind
) -> None:
    answers, labels = drawn(kind, 300)
    made = fit(method, kind, answers, labels)
    again = read(json.loads(json.dumps(made.to_json())))
    np.testing.assert_array_equal(again.apply(answers), made.apply(answers))
    np.testing.assert_array_equal(made.apply(answers[7:8]), made.apply(answers)[7:8])


@pytest.mark.parametrize(("method", "kind"), [pair for pair in PAIRS if pair[0] != "temperature"])
def test_mean_answer_becomes_the_mean_outcome(method: Method, kind: Kind) -> None:
    answers, labels = drawn(kind)
    found = fit(method, kind, answers, labels).apply(answers).mean(axis=0)
    np.testing.assert_allclose(found, labels.mean(axis=0), atol=0.02 if method == "isotonic" else 1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_slope_finds_the_line_that_was_put_in(kind: Kind) -> None:
    made = fit("slope", kind, *drawn(kind, 20000))
    assert isinstance(made, LinearCalibrator)
    np.testing.assert_allclose(made.slope, 0.6, atol=0.04)
    np.testing.assert_allclose(made.intercept, [0.4, 0, -0.4] if kind == "multiclass" else [0.4], atol=0.05)


def test_slope_is_logistic_regression_on_the_log_odds() -> None:
    answers, labels = drawn("binary")
    made = fit("slope", "binary", answers, labels)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        scores_of("binary", answers), labels[:, 0]
    )
    np.testing.assert_allclose(
        made.apply(answers)[:, 0], oracle.predict_proba(scores_of("binary", answers))[:, 1], atol=1e-6
    )


def test_beta_is_logistic_regression_on_both_logarithms() -> None:
    answers, labels = drawn("binary")
    made = fit("beta", "binary", answers, labels)
    ends = np.column_stack([np.log(answers), -np.log(1 - answers)])
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(ends, labels[:, 0])
    assert isinstance(made, BetaCalibrator)
    np.testing.assert_allclose([made.a[0], made.b[0]], oracle.coef_[0], atol=1e-4)


def test_beta_never_turns_the_order_round() -> None:
    random = np.random.default_rng(0)
    risk = random.uniform(0.01, 0.99, (400, 1))
    ill = (random.random((400, 1)) < 0.9 * np.sqrt(risk)).astype(float)
    made = fit("beta", "binary", risk, ill)
    assert (np.diff(made.apply(np.linspace(0.01, 0.99, 50)[:, None]), axis=0) >= 0).all()


def test_isotonic_is_scikit_learns_inside_its_bounds() -> None:
    answers, labels = drawn("binary")
    found = fit("isotonic", "binary", answers, labels).apply(answers)[:, 0]
    oracle = IsotonicRegression(out_of_bounds="clip").fit(answers[:, 0], labels[:, 0]).predict(answers[:, 0])
    np.testing.assert_allclose(found, np.clip(oracle, 1 / 4002, 1 - 1 / 4002), atol=1e-12)


def test_nobody_is_told_a_risk_of_nothing() -> None:
    risk = np.linspace(0.1, 0.9, 8)[:, None]
    made = fit("isotonic", "binary", risk, np.array([[0.0]] * 4 + [[1.0]] * 4))
    assert made.apply(np.array([[0.0], [1.0]])).ravel().tolist() == [0.1, 0.9]  # 1 / (8 + 2)


def test_weights_count_like_repeated_samples() -> None:
    answers, labels = drawn("binary", 60)
    weight = np.arange(60) % 3 + 1.0
    repeated = np.repeat(np.arange(60), weight.astype(int))
    for method in METHODS:
        one = fit(method, "binary", answers, labels, weight).apply(answers)
        np.testing.assert_allclose(
            one, fit(method, "binary", answers[repeated], labels[repeated]).apply(answers), atol=1e-8
        )


@pytest.mark.parametrize(
    ("method", "risk", "ill", "said"),
    [
        ("slope", [0.2, 0.4, 0.6], [0, 0, 0], "all or none of the 3 samples"),
        ("slope", [0.2, 0.4, 0.6, 0.8], [0, 0, 1, 1], "separate"),
        ("slope", [0.2, 0.4, 0.6, 0.8], [1, 0, 1, 0], "run against"),
        ("beta", [0.2, 0.4, 0.6, 0.8], [1, 0, 1, 0], "run against"),
        ("slope", [0.5, 0.5, 0.5], [0, 1, 0], "only its intercept"),
        ("beta", [0.5, 0.5, 0.5], [0, 1, 0], "only its intercept"),
        ("slope", [0.5, np.nan, 0.5], [0, 1, 0], "not finite"),
        ("slope", [], [], "no samples"),
        ("magic", [0.5], [0], "there is no recalibration 'magic'"),
    ],
)
def test_what_cannot_be_told_is_refused(method: Method, risk: list[float], ill: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fit(method, "binary", np.array(risk)[:, None], np.array(ill, dtype=float)[:, None])


def test_a_method_that_does_not_fit_the_kind_names_those_that_do() -> None:
    with pytest.raises(InputError, match="intercept, slope, isotonic"):
        fit("beta", "regression", *drawn("regression", 10))
