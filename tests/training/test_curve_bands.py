"""Bands around curves hold the truth of patients about as often as they say where the model is right."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.tasks.survival import Curves, Outcomes
from medloom.training.curve_bands import LEAST, CurveBands, band_times

GRID = np.linspace(0.1, 1.5, 15)


def world(n: int, seed: int, slope: float = 1.0, factor: float = 1.0) -> tuple[Curves, Outcomes, Curves]:
    """Give what a model says, what came true under censoring, and the true curves: hazards exp(x)."""
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    time, censored = random.exponential(size=n) / np.exp(x), random.uniform(0.3, 3, n)
    outcomes = Outcomes(np.minimum(time, censored), (time <= censored).astype(np.int64))
    said, true = (_curves(hazard) for hazard in (factor * np.exp(slope * x), np.exp(x)))
    return said, outcomes, true


def _curves(hazard: NDArray[np.float64]) -> Curves:
    return Curves(GRID, -np.expm1(-hazard[:, None] * GRID)[:, None])


def bands_of(said: Curves, outcomes: Outcomes) -> CurveBands:
    return CurveBands.fit(said, outcomes, np.arange(len(outcomes)), 0.9, band_times(outcomes, (1.0,)))


def inside(around: Curves, true: Curves) -> NDArray[np.bool_]:
    assert around.low is not None and around.high is not None
    told = ~np.isnan(around.low[0, 0])
    held = (around.low <= true.incidence) & (true.incidence <= around.high)
    return np.asarray(held[..., told])


@pytest.mark.parametrize("n", [200, 1500])
def test_the_true_risk_lies_inside_for_nine_of_ten_patients_where_the_model_is_about_right(n: int) -> None:
    shares, widths = [], []
    for seed in range(5):
        error = np.random.default_rng(seed).normal(
            0, 1 / np.sqrt(0.6 * n)
        )  # of a slope learned from n patients
        said, outcomes, _ = world(n, seed, 1 + error)
        new, _, true = world(1000, 100 + seed, 1 + error)
        around = bands_of(said, outcomes).around(new)
        shares.append(inside(around, true).mean())
        widths.append(np.nanmean(around.high - around.low))  # type: ignore[operator]
    assert np.mean(shares) >= 0.9
    assert np.mean(widths) < (0.35 if n == 200 else 0.2)


def test_bands_hold_the_truth_of_a_model_whose_risks_are_far_too_low() -> None:
    said, outcomes, true = world(800, 0, factor=0.4)
    around = bands_of(said, outcomes).around(said)
    assert inside(around, true).mean() >= 0.9
    assert (around.low[..., :10] <= said.incidence[..., :10]).all()  # type: ignore[index]


def test_bands_rise_with_time_and_risk_and_are_read_back_as_they_were() -> None:
    said, outcomes, _ = world(300, 1)
    bands = bands_of(said, outcomes)
    around = bands.around(said)
    order = np.argsort(said.incidence[:, 0, -1])
    for limit in (around.low, around.high):
        assert limit is not None
        told = limit[:, 0, ~np.isnan(limit[0, 0])]
        assert (np.diff(told, axis=1) >= -1e-9).all()
        assert (np.diff(told[order], axis=0) >= -1e-9).all()
    again = CurveBands.read(json.loads(json.dumps(bands.to_json()))).around(said)
    np.testing.assert_array_equal(again.high, around.high)


def test_patients_with_one_risk_are_one_neighbourhood() -> None:
    said, outcomes, _ = world(400, 2)
    alike = Curves(GRID, np.repeat(said.incidence.mean(axis=0, keepdims=True), 400, axis=0))
    around = bands_of(alike, outcomes).around(alike)
    assert np.ptp(around.low[:, 0, 5]) == 0  # type: ignore[index]
    assert np.nanmax(around.high - around.low) < 0.15  # type: ignore[operator]


def test_too_few_patients_have_no_band() -> None:
    said, outcomes, _ = world(LEAST - 1, 0)
    with pytest.raises(InputError, match="too few for a band"):
        bands_of(said, outcomes)
