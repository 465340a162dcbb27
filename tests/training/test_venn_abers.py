"""Venn-Abers bounds are those of isotonic regression with the patient put in, and one of them is calibrated."""

import json
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from medloom.training.venn_abers import VennAbers

Floats = NDArray[np.float64]


def put_in(scores: Floats, labels: Floats, weight: Floats, asked: float) -> list[float]:
    """The definition, one regression a label."""
    found = []
    for label in (0.0, 1.0):
        model = IsotonicRegression().fit(
            np.append(scores, asked), np.append(labels, label), sample_weight=np.append(weight, 1.0)
        )
        found.append(float(model.predict([asked])[0]))
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.booleans(), st.sampled_from([1.0, 0.5, 0.25])),
        min_size=1,
        max_size=25,
    )
)
def test_it_is_isotonic_regression_with_the_patient_put_in(rows: list[tuple[int, bool, float]]) -> None:
    scores, labels, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    made = VennAbers.fit(scores, labels, weight)
    asked = np.arange(-1, 10, 0.5)
    expected = [put_in(scores, labels, weight, one) for one in asked]
    np.testing.assert_allclose(made.bounds(asked), expected, atol=1e-9)


def test_two_patients_by_hand() -> None:
    """One without at 0.2, one with at 0.8. Asked at 0.5: as one without 0 of 2, as one with 1; at 0.1: 0 and 1 of 2."""
    made = VennAbers.fit(np.array([0.2, 0.8]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(made.bounds(np.array([0.5, 0.1])), [[0, 1], [0, 0.5]])


def test_bounds_rise_with_the_answer_and_close_with_more_samples() -> None:
    random = np.random.default_rng(0)
    widths = []
    for n in (50, 2000):
        scores = random.random(n)
        made = VennAbers.fit(scores, (random.random(n) < scores).astype(float))
        found = made.bounds(np.linspace(0, 1, 101))
        assert (np.diff(found, axis=0) >= -1e-12).all()
        assert (found[:, 0] <= found[:, 1]).all()
        widths.append((found[:, 1] - found[:, 0]).mean())
    assert widths[1] < widths[0] / 4


def test_the_bounds_are_calibrated_for_a_model_that_is_not() -> None:
    random = np.random.default_rng(1)
    risk = random.random(6000)
    ill = (random.random(6000) < risk).astype(float)
    said = risk**3  # far too low
    made = VennAbers.fit(said[:3000], ill[:3000])
    bounds = made.bounds(said[3000:])
    assert bounds[:, 0].mean() - 0.03 < ill[3000:].mean() < bounds[:, 1].mean() + 0.03


def test_it_is_read_back_as_it_was() -> None:
    random = np.random.default_rng(2)
    made = VennAbers.fit(random.random(40), (random.random(40) < 0.5).astype(float))
    again = VennAbers.read(json.loads(json.dumps(made.to_json())))
    asked = np.linspace(0, 1, 50)
    np.testing.assert_array_equal(again.bounds(asked), made.bounds(asked))


def test_ten_thousand_samples_take_seconds() -> None:
    random = np.random.default_rng(3)
    scores = random.random(10_000)
    start = time.process_time()
    VennAbers.fit(scores, (random.random(10_000) < scores).astype(float))
    assert time.process_time() - start < 5
