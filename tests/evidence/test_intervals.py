"""Intervals are resampled by subject, reproducible, paired, and cover what they should."""

import numpy as np
import pytest

from medloom.evidence.answers import binary_answers
from medloom.evidence.intervals import bootstrap, bounds, estimate, estimates, paired_difference


def _made(random, size, noise=0.0):
    logit = random.normal(-1, 1, size)
    outcome = random.random(size) < 1 / (1 + np.exp(-logit))
    return outcome, 1 / (1 + np.exp(-(logit + noise * random.normal(size=size))))


def test_intervals_cover_the_truth_about_95_times_in_100():
    random = np.random.default_rng(0)
    outcome, risk = _made(random, 400_000)
    truth = {name: one.value for name, one in estimates(binary_answers(outcome, risk), replicates=0).items()}
    covered = dict.fromkeys(("auroc", "brier", "calibration_slope", "calibration_intercept"), 0)
    runs = 150
    for _ in range(runs):
        found = estimates(binary_answers(*_made(random, 300)), replicates=200)
        for name in covered:
            covered[name] += found[name].low <= truth[name] <= found[name].high
    # 95 % of 150 is 142; below 132 would be 3.5 standard errors away.
    assert min(covered.values()) >= 132, covered


def test_repeating_each_subjects_samples_does_not_narrow_the_interval():
    outcome, risk = _made(np.random.default_rng(1), 200)
    once = estimates(binary_answers(outcome, risk), 500)["auroc"]
    group = np.repeat(np.arange(200), 10)
    ten_times = estimates(binary_answers(np.repeat(outcome, 10), np.repeat(risk, 10), group), 500)["auroc"]
    assert ten_times.value == pytest.approx(once.value)
    assert (ten_times.low, ten_times.high) == pytest.approx((once.low, once.high), abs=1e-9)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    answers = binary_answers(*_made(np.random.default_rng(2), 200))
    assert estimates(answers, 100, 7) == estimates(answers, 100, 7)
    assert estimates(answers, 100, 7)["auroc"].low != estimates(answers, 100, 8)["auroc"].low


def test_every_replicate_draws_as_many_subjects_as_there_are():
    group = np.repeat(np.arange(50), 3)
    drawn = bootstrap(lambda w: {"n": w.sum(axis=-1)}, group, 40)
    assert set(drawn["n"].tolist()) == {150.0}


def test_pairing_sees_a_difference_that_overlapping_intervals_hide():
    random = np.random.default_rng(3)
    outcome, risk = _made(random, 2000)
    good = binary_answers(outcome, risk)
    worse = binary_answers(outcome, np.clip(risk + random.normal(0, 0.06, 2000), 0, 1))
    one, other = estimates(good, 300)["auroc"], estimates(worse, 300)["auroc"]
    assert one.low < other.high
    assert paired_difference("auroc", good, worse, 300).low > 0
    assert paired_difference("auroc", good, good, 300).to_json() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_pairing_refuses_other_samples():
    with pytest.raises(ValueError, match="same samples"):
        paired_difference("auroc", binary_answers([0, 1], [0, 1]), binary_answers([0], [0]))


def test_an_interval_over_mostly_inestimable_resamples_is_not_given():
    draws = np.where(np.arange(100) < 20, np.nan, 0.5)
    one = estimate(0.5, draws)
    assert (one.value, one.low, one.high) == (0.5, None, None)
    assert one.reason is not None
    assert np.isnan(bounds(draws[:, None])[0]).all()
