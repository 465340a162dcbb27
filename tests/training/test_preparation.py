"""Inputs made fit for models that add and multiply."""

import numpy as np
import pytest

from medloom.foundation.errors import InputError
from medloom.training.preparation import Preparation

RNG = np.random.default_rng(0)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_columns_have_mean_0_and_deviation_1_and_missing_values_are_the_mean() -> None:
    x = RNG.normal(5, 3, (500, 2)).astype(np.float32)
    x[:100, 1] = np.nan
    prepared = Preparation.fit(x, curved=True)
    out = prepared.transform(x)
    assert prepared.sources.tolist() == [0, 1, 0, 1, 1]  # value, distance, missing flag
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(out[:, [0, 2, 4]].std(axis=0), 1, atol=1e-9)
    assert (out[:100, [1, 3]] == 0).all()


def test_the_distance_from_the_median_is_the_same_on_both_sides() -> None:
    x = np.linspace(-1, 1, 201, dtype=np.float32)[:, None]
    out = Preparation.fit(x, curved=True).transform(column(-0.5, 0.5, 0.0))
    assert out[0, 1] == pytest.approx(out[1, 1])
    assert out[2, 1] < out[0, 1]


def test_without_curved_there_are_no_distances() -> None:
    x = RNG.normal(size=(100, 3)).astype(np.float32)
    assert Preparation.fit(x, curved=False).sources.tolist() == [0, 1, 2]


def test_what_is_beyond_the_percentiles_is_clipped() -> None:
    x = RNG.normal(size=(1000, 1)).astype(np.float32)
    prepared = Preparation.fit(x, curved=False)
    far = prepared.transform(column(1e6, float(np.percentile(x, 99)), -1e6))
    assert far[0, 0] == pytest.approx(far[1, 0], abs=1e-5)
    assert -4 < far[2, 0] < -2


def test_skewed_positive_values_are_read_as_logarithms() -> None:
    x = np.exp(RNG.normal(size=(2000, 1))).astype(np.float32)
    out = Preparation.fit(x, curved=False).transform(x)[:, 0]
    skewness = np.mean((out - out.mean()) ** 3) / out.std() ** 3
    assert abs(skewness) < 0.5
    assert np.mean((x - x.mean()) ** 3) / x.std() ** 3 > 2


def test_a_rare_flag_is_not_clipped_away() -> None:
    x = np.zeros((1000, 1), np.float32)
    x[3] = 1
    out = Preparation.fit(x, curved=True).transform(x)
    assert out.shape == (1000, 1)
    assert out[3, 0] > 10


def test_inputs_that_never_vary_have_no_column() -> None:
    x = np.column_stack([np.ones(50), np.arange(50), np.full(50, np.nan)]).astype(np.float32)
    assert set(Preparation.fit(x).sources.tolist()) == {1}


def test_inputs_missing_together_share_one_flag() -> None:
    x = RNG.normal(size=(100, 3)).astype(np.float32)
    x[:30, :2] = np.nan
    assert Preparation.fit(x, curved=False).flagged.tolist() == [0]


def test_nothing_that_varies_is_refused() -> None:
    with pytest.raises(InputError, match="no input differs between the 10"):
        Preparation.fit(np.ones((10, 2), np.float32))


def test_columns_are_named_after_their_inputs() -> None:
    x = RNG.normal(size=(100, 1)).astype(np.float32)
    x[:30] = np.nan
    names = Preparation.fit(x).column_names(["lab"])
    assert names == ["lab", "lab, away from its median", "lab not known"]


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    x = np.exp(RNG.normal(size=(300, 7))).astype(np.float32)
    x[RNG.random(x.shape) < 0.2] = np.nan
    prepared = Preparation.fit(x)
    together = prepared.transform(x)
    assert all((prepared.transform(x[row : row + 1]) == together[row]).all() for row in range(0, 300, 37))
