"""The smooth calibration curve and its distances."""

import numpy as np
import pytest

from medloom.evidence.calibration import hosmer_lemeshow, scaled_brier
from medloom.evidence.flexible import FlexibleCurve
from medloom.evidence.tally import rank, tally


def world(n: int = 4000, slope: float = 1.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and predictions whose log-odds are `slope` times too large."""
    random = np.random.default_rng(seed)
    score = random.normal(-1, 1.2, n)
    return random.random(n) < 1 / (1 + np.exp(-score)), 1 / (1 + np.exp(-slope * score))


def test_a_calibrated_model_lies_near_the_diagonal_and_an_extreme_one_does_not() -> None:
    good, extreme = (
        FlexibleCurve(ranked := rank(*world(slope=s))).indices(ranked.tally()) for s in (1.0, 2.5)
    )
    assert good["e_avg"] < 0.02
    assert extreme["e_avg"] > 0.08
    for found in (good, extreme):
        assert found["e50"] <= found["e90"] <= found["e_max"]


def test_the_curve_is_the_regression_on_a_spline_that_scikit_learn_fits() -> None:
    from sklearn.linear_model import LogisticRegression

    outcome, risk = world(slope=1.5)
    ranked = rank(outcome, risk)
    curve = FlexibleCurve(ranked)
    oracle = LogisticRegression(C=1e6, tol=1e-10, max_iter=5000, fit_intercept=False)
    oracle.fit(curve._columns, ranked.outcome)
    expected = oracle.predict_proba(curve._columns)[:, 1]
    np.testing.assert_allclose(curve.curve(ranked.tally()), expected, atol=2e-3)


def test_resamples_are_fitted_each_on_its_own() -> None:
    outcome, risk = world(400)
    ranked = rank(outcome, risk)
    weight = np.random.default_rng(2).integers(0, 3, (2, 400)).astype(float)
    together = FlexibleCurve(ranked).indices(ranked.tally(weight))
    for row in range(2):
        alone = FlexibleCurve(ranked).indices(ranked.tally(weight[row]))
        for name, value in alone.items():
            assert together[name][row] == pytest.approx(value, abs=1e-5)


def test_one_outcome_has_no_curve() -> None:
    ranked = rank(np.ones(30), np.linspace(0.1, 0.9, 30))
    assert np.isnan(FlexibleCurve(ranked).indices(ranked.tally())["e_avg"])


def test_constant_predictions_have_a_curve_of_one_point() -> None:
    ranked = rank([0, 1, 1, 1], [0.5] * 4)
    found = FlexibleCurve(ranked).indices(ranked.tally())
    assert found["e_max"] == pytest.approx(0.25, abs=0.01)


def test_scaled_brier_is_nought_for_the_prevalence() -> None:
    assert scaled_brier(tally([0, 0, 0, 1], [0.25] * 4)) == pytest.approx(0)


def test_hosmer_lemeshow_agrees_with_the_sum_by_hand() -> None:
    outcome, risk = np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.1, 0.4, 0.4, 0.8, 0.8])
    statistic, p_value = hosmer_lemeshow(tally(outcome, risk), bins=3)
    by_hand = 0.2**2 / (2 * 0.09) + 0.2**2 / (2 * 0.24) + 0.4**2 / (2 * 0.16)
    assert statistic == pytest.approx(by_hand)
    assert 0 < p_value < 1
