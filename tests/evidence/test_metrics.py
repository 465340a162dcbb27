"""Every metric agrees with an independent implementation, and says when it cannot be estimated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloom.evidence.answers import Answers, binary_answers, regression_answers
from medloom.evidence.calibration import (
    brier,
    calibration_bins,
    calibration_intercept,
    calibration_line,
    ece,
    log_loss,
)
from medloom.evidence.discrimination import auprc, auroc, precision_at, sensitivity_at
from medloom.evidence.metrics import BINARY, METRICS, not_estimable
from medloom.evidence.multiclass import Multiclass, Multilabel
from medloom.evidence.regression import regression_metrics
from medloom.evidence.tally import tally
from medloom.evidence.threshold import at_threshold, balanced_threshold


@st.composite
def weighted_predictions(draw):
    """Outcomes, risks with many ties, and whole or fractional weights."""
    size = draw(st.integers(4, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outcome = random.random(size) < 0.4
    outcome[:2] = [True, False]
    levels = draw(st.sampled_from([2, 5, 1000]))
    risk = random.integers(0, levels, size) / levels
    weight = random.integers(0, 4, size).astype(float) if draw(st.booleans()) else random.random(size) + 0.01
    weight[:2] = 1.0
    return outcome, risk, weight


@given(weighted_predictions())
@settings(max_examples=200, deadline=None)
def test_discrimination_agrees_with_scikit_learn_with_ties_and_weights(made):
    from sklearn.metrics import average_precision_score, roc_auc_score

    outcome, risk, weight = made
    counted = tally(outcome, risk, weight)
    assert float(auroc(counted)) == pytest.approx(
        roc_auc_score(outcome, risk, sample_weight=weight), abs=1e-9
    )
    expected = average_precision_score(outcome, risk, sample_weight=weight)
    assert float(auprc(counted)) == pytest.approx(expected, abs=1e-9)


@given(weighted_predictions())
@settings(max_examples=100, deadline=None)
def test_brier_and_log_loss_agree_with_scikit_learn(made):
    from sklearn.metrics import brier_score_loss
    from sklearn.metrics import log_loss as reference

    outcome, risk, weight = made
    counted = tally(outcome, risk, weight)
    assert float(brier(counted)) == pytest.approx(
        brier_score_loss(outcome, risk, sample_weight=weight), abs=1e-9
    )
    expected = reference(outcome, risk, sample_weight=weight, labels=[False, True])
    assert float(log_loss(counted)) == pytest.approx(expected, abs=1e-9)


@given(weighted_predictions())
@settings(max_examples=50, deadline=None)
def test_whole_weights_are_the_same_as_repeated_samples(made):
    outcome, risk, weight = made
    times = np.ceil(weight).astype(int)
    weighed = tally(outcome, risk, times.astype(float))
    repeated = tally(np.repeat(outcome, times), np.repeat(risk, times))
    for metric in (auroc, auprc, brier, log_loss, ece):
        assert float(metric(weighed)) == pytest.approx(float(metric(repeated)), abs=1e-12)


def test_a_row_of_weights_gives_what_each_alone_gives():
    random = np.random.default_rng(0)
    outcome, risk = random.random(80) < 0.4, random.integers(1, 20, 80) / 20
    weights = random.integers(0, 3, (5, 80)).astype(float)
    together = tally(outcome, risk, weights)
    metrics = (auroc, auprc, brier, log_loss, ece, calibration_intercept, lambda t: calibration_line(t).slope)
    for metric in metrics:
        alone = [float(metric(tally(outcome, risk, row))) for row in weights]
        np.testing.assert_allclose(metric(together), alone, atol=1e-9)


def test_recalibration_solves_the_likelihood_equations():
    # The maximum of the likelihood is where residuals sum to zero, plain and times the logit:
    # a check that needs no second implementation.
    random = np.random.default_rng(1)
    logit = random.normal(-1, 1.5, 500)
    outcome = random.random(500) < 1 / (1 + np.exp(-(0.3 + 0.6 * logit)))
    counted = tally(outcome, 1 / (1 + np.exp(-logit)))
    intercept, slope = (float(part) for part in calibration_line(counted))
    residual = outcome - 1 / (1 + np.exp(-(intercept + slope * logit)))
    assert abs(residual.sum()) < 1e-6
    assert abs(residual @ logit) < 1e-6
    large = float(calibration_intercept(counted))
    assert abs((outcome - 1 / (1 + np.exp(-(large + logit)))).sum()) < 1e-6


def test_recalibration_agrees_with_an_unpenalised_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(2)
    logit = random.normal(0, 2, 400)
    outcome = random.random(400) < 1 / (1 + np.exp(-(-0.5 + 0.7 * logit)))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit[:, None], outcome)
    line = calibration_line(tally(outcome, 1 / (1 + np.exp(-logit))))
    assert float(line.slope) == pytest.approx(fitted.coef_[0, 0], abs=1e-4)
    assert float(line.intercept) == pytest.approx(fitted.intercept_[0], abs=1e-4)


def test_risks_that_are_true_have_slope_one_and_doubled_logits_one_half():
    # 2 of 10 at logit(0.2), 8 of 10 at logit(0.8): exactly true; logits twice as far are twice too extreme.
    outcome = [1] * 2 + [0] * 8 + [1] * 8 + [0] * 2
    true = np.array([0.2] * 10 + [0.8] * 10)
    assert float(calibration_line(tally(outcome, true)).slope) == pytest.approx(1, abs=1e-9)
    odds = (true / (1 - true)) ** 2
    assert float(calibration_line(tally(outcome, odds / (1 + odds))).slope) == pytest.approx(0.5, abs=1e-9)


def test_calibration_in_the_large_is_the_shift_of_the_logit():
    # All say 0.5 and 3 of 4 have the outcome: logit(0.75) - logit(0.5) = log 3.
    assert float(calibration_intercept(tally([1, 1, 1, 0], [0.5] * 4))) == pytest.approx(np.log(3), abs=1e-9)


def test_ece_is_the_hand_computed_mean_gap_of_ten_bins():
    # 20 distinct risks, two a bin; predicted means 0.025 + 0.1 k, nobody has the outcome but the last two.
    risk = np.arange(20) / 20
    outcome = risk >= 0.9
    means = np.array([risk[2 * k : 2 * k + 2].mean() for k in range(10)])
    observed = np.array([0.0] * 9 + [1.0])
    counted = tally(outcome, risk)
    assert float(ece(counted)) == pytest.approx(np.abs(means - observed).mean(), abs=1e-12)
    np.testing.assert_allclose(calibration_bins(counted).weight, 2)


def test_equal_predictions_are_never_torn_into_two_bins():
    counted = tally([0, 1] * 10, [0.3] * 20)
    weight = calibration_bins(counted).weight
    assert sorted(weight.tolist()) == [0.0] * 9 + [20.0]
    assert float(ece(counted)) == pytest.approx(0.2)


def test_the_threshold_table_is_what_counting_by_hand_gives():
    # Flagged at 0.5 or more: 0.5+, 0.6-, 0.9+ → 2 true, 1 false; missed: 0.2+; rightly left: 0.1-, 0.3-.
    counted = tally([1, 0, 1, 1, 0, 0], [0.5, 0.6, 0.9, 0.2, 0.1, 0.3])
    found = {name: float(value) for name, value in at_threshold(counted, 0.5).items()}
    assert found == pytest.approx(
        {
            "sensitivity": 2 / 3,
            "specificity": 2 / 3,
            "ppv": 2 / 3,
            "npv": 2 / 3,
            "f1": 2 / 3,
            "min_se_ppv": 2 / 3,
            "flagged_per_100": 50,
            "number_needed_to_evaluate": 3 / 2,
        }
    )


def test_nobody_flagged_has_no_ppv():
    found = at_threshold(tally([1, 0], [0.1, 0.2]), 0.9)
    assert np.isnan(found["ppv"])
    assert float(found["sensitivity"]) == 0


def test_the_balanced_threshold_maximises_the_smaller_of_sensitivity_and_ppv():
    random = np.random.default_rng(3)
    risk = random.integers(0, 30, 200) / 30
    counted = tally(random.random(200) < risk, risk)
    chosen = balanced_threshold(counted)
    scores = {level: float(at_threshold(counted, level)["min_se_ppv"]) for level in np.unique(risk)}
    assert scores[chosen] == pytest.approx(max(scores.values()))


def test_curves_pass_through_hand_computed_points():
    counted = tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    np.testing.assert_allclose(sensitivity_at(counted, np.array([0.0, 0.5, 1.0])), [0.5, 1.0, 1.0])
    np.testing.assert_allclose(precision_at(counted, np.array([0.5, 1.0])), [1.0, 2 / 3])


def test_multiclass_agrees_with_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
    from sklearn.metrics import log_loss as reference

    random = np.random.default_rng(4)
    label = random.integers(0, 4, 300)
    risk = random.dirichlet(np.ones(4), 300)
    weight = random.random(300)
    found = Multiclass(label, risk)(weight)
    assert float(found["accuracy"]) == pytest.approx(
        accuracy_score(label, risk.argmax(1), sample_weight=weight), abs=1e-9
    )
    assert float(found["f1_macro"]) == pytest.approx(
        f1_score(label, risk.argmax(1), average="macro", sample_weight=weight), abs=1e-9
    )
    assert float(found["log_loss"]) == pytest.approx(reference(label, risk, sample_weight=weight), abs=1e-9)
    assert float(Multiclass(label, risk)()["auroc_macro"]) == pytest.approx(
        roc_auc_score(label, risk, multi_class="ovr", average="macro"), abs=1e-9
    )
    squares = ((risk - np.eye(4)[label]) ** 2).sum(axis=1)
    assert float(found["brier"]) == pytest.approx(np.average(squares, weights=weight), abs=1e-9)


def test_multilabel_agrees_with_scikit_learn():
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    random = np.random.default_rng(5)
    label, risk = random.random((200, 3)) < 0.3, random.integers(0, 20, (200, 3)) / 20
    weight = random.random(200)
    found = Multilabel(label, risk)(weight)
    for average in ("macro", "micro"):
        arguments = {"average": average, "sample_weight": weight}
        assert float(found[f"auroc_{average}"]) == pytest.approx(
            roc_auc_score(label, risk, **arguments), abs=1e-9
        )
        expected = average_precision_score(label, risk, **arguments)
        assert float(found[f"auprc_{average}"]) == pytest.approx(expected, abs=1e-9)
        expected = f1_score(label, risk >= 0.5, **arguments)
        assert float(found[f"f1_{average}"]) == pytest.approx(expected, abs=1e-9)


def test_regression_agrees_with_scikit_learn():
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    random = np.random.default_rng(6)
    predicted = random.normal(1000, 5, 200)
    observed = predicted * 0.7 + random.normal(0, 3, 200)
    weight = random.random(200)
    found = regression_metrics(observed, predicted, weight)
    pairs = {
        "mae": mean_absolute_error(observed, predicted, sample_weight=weight),
        "rmse": np.sqrt(mean_squared_error(observed, predicted, sample_weight=weight)),
        "r2": r2_score(observed, predicted, sample_weight=weight),
        "calibration_slope": np.polyfit(predicted, observed, 1, w=np.sqrt(weight))[0],
    }
    for name, expected in pairs.items():
        assert float(found[name]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("answers", "names", "reason"),
    [
        (binary_answers([0] * 30, np.linspace(0, 1, 30)), BINARY, "nobody had the outcome"),
        (binary_answers([1] * 30, np.linspace(0, 1, 30)), BINARY, "everybody had the outcome"),
        (binary_answers([0, 1, 1], [0.1, 0.5, 0.6]), BINARY, "too few subjects; at least 10 are needed"),
        (binary_answers([0, 1] * 15, [0.1, np.nan] * 15), BINARY, "15 of 30 predictions are missing"),
        (binary_answers([0, 1] * 15, [0.1, np.inf] * 15), BINARY, "15 of 30 predictions are missing"),
        (binary_answers([], []), BINARY, "there are no samples"),
        (binary_answers([0, 1] * 15, [0.3] * 30), ("calibration_slope",), "all predictions are the same"),
        (
            binary_answers([0, 1] * 15, [0.2, 0.9] * 15),
            ("calibration_slope",),
            "separate the outcomes completely",
        ),
        (binary_answers([0, 1] * 15, [-3.0, 4.0] * 15), ("brier", "ece"), "not probabilities"),
        (
            binary_answers([1] * 3 + [0] * 30, np.linspace(0, 1, 33)),
            ("auroc", "auprc"),
            "with the outcome;",
        ),
        (regression_answers([2.0] * 30, np.linspace(0, 1, 30)), ("r2",), "all observed values are the same"),
        (regression_answers([1.0, 2.0], [1.0, 2.0]), METRICS["regression"], "too few subjects;"),
    ],
)
def test_what_cannot_be_estimated_has_a_reason_and_not_a_number(answers, names, reason):
    from medloom.evidence.intervals import estimates

    found = estimates(answers, replicates=20)
    for name in names:
        assert found[name].value is None
        assert found[name].low is None
        assert reason in found[name].reason.en
        assert found[name].reason.zh != found[name].reason.en


def test_samples_of_few_subjects_do_not_count_as_many():
    answers = binary_answers([0, 1] * 50, np.linspace(0, 1, 100), group=np.arange(100) % 4)
    assert "auroc" in not_estimable(answers)


def test_a_class_that_never_occurs_leaves_macro_means_out():
    random = np.random.default_rng(7)
    answers = Answers(
        "multiclass",
        random.integers(0, 2, 40),
        random.dirichlet(np.ones(3), 40),
        np.arange(40),
        ("a", "b", "c"),
    )
    reasons = not_estimable(answers)
    assert reasons.keys() == {"auroc_macro", "f1_macro"}
    assert reasons["auroc_macro"].en.endswith("c")
