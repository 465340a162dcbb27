"""Net benefit and sample size."""

import numpy as np
import pytest

from medloom.evidence.sample_size import for_binary
from medloom.evidence.tally import rank, tally
from medloom.evidence.utility import THRESHOLDS, net_benefit, net_benefit_of_all, useful_range


def test_net_benefit_agrees_with_counting_people() -> None:
    random = np.random.default_rng(3)
    risk = np.round(random.random(200), 2)
    truth = random.random(200) < risk
    found = net_benefit(tally(truth, risk))
    for threshold, value in zip(THRESHOLDS, found, strict=True):
        flagged = risk >= threshold
        price = threshold / (1 - threshold)
        assert value == pytest.approx(((flagged & truth).sum() - (flagged & ~truth).sum() * price) / 200)


def test_acting_on_everybody_is_a_model_that_flags_everybody() -> None:
    truth = np.array([0, 1, 0, 1, 1])
    np.testing.assert_allclose(
        net_benefit_of_all(tally(truth, np.linspace(0, 1, 5))),
        net_benefit(tally(truth, np.ones(5))),
        atol=1e-12,
    )


def test_resamples_have_their_own_curves() -> None:
    ranked = rank([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9])
    weight = np.array([[1.0, 1, 1, 1], [0, 2, 0, 2]])
    assert net_benefit(ranked.tally(weight)).shape == (2, 99)
    assert (net_benefit(ranked.tally(weight))[1] >= net_benefit(ranked.tally(weight))[0]).all()


def test_a_useless_model_is_useful_nowhere() -> None:
    counted = tally([0, 1] * 50, np.full(100, 0.5))
    assert useful_range(net_benefit(counted) - np.maximum(net_benefit_of_all(counted), 0)) is None


def test_more_people_expect_a_better_slope() -> None:
    few, many = for_binary(300, 24, 0.174, 0.288), for_binary(3000, 24, 0.174, 0.288)
    assert few.expected_slope < 0.9 < many.expected_slope
    assert (few.enough, many.enough) == (False, True)


def test_the_slope_expected_of_the_needed_people_is_the_criterion() -> None:
    assert for_binary(623, 24, 0.174, 0.288).expected_slope == pytest.approx(0.9, abs=1e-3)
