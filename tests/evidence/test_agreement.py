"""Agreement of readers, against the papers and an independent count."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from medloom.evidence.agreement import (
    Weighting,
    cohen_kappa,
    fleiss_kappa,
    meaning,
    percent_agreement,
    strength,
)
from medloom.evidence.estimate import Estimate

# Fleiss 1971, Table 1: thirty patients, six psychiatrists each, into five diagnoses.
FLEISS_1971 = [
    [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
    [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
    [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
    [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
    [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
    [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
]  # fmt: skip


def test_fleiss_kappa_of_the_psychiatrists_is_that_of_the_paper() -> None:
    assert np.sum(FLEISS_1971, axis=0).tolist() == [26, 26, 30, 55, 43]
    found = fleiss_kappa(FLEISS_1971)
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert found.low is not None and found.high is not None
    assert 0.2 < found.low < 0.43 < found.high < 0.6


def test_fleiss_kappa_by_hand_with_different_numbers_of_readings() -> None:
    counts = [[2, 0], [0, 2], [2, 1]] * 5
    # agreed (1 + 1 + 1/3) / 3; of 7 readings 4 and 3 are in each category
    agreed, by_chance = 7 / 9, (16 + 9) / 49
    assert fleiss_kappa(counts).value == pytest.approx((agreed - by_chance) / (1 - by_chance))


@pytest.mark.parametrize(
    ("weighting", "named"), [("equal", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_cohens_kappa_agrees_with_scikit_learn(weighting: Weighting, named: str | None) -> None:
    random = np.random.default_rng(5)
    first = random.integers(0, 4, 200)
    second = np.where(random.random(200) < 0.6, first, random.integers(0, 4, 200))
    found = cohen_kappa(first, second, weighting=weighting, categories=range(4))
    assert found.value == pytest.approx(cohen_kappa_score(first, second, weights=named), abs=1e-12)


def test_the_interval_is_about_that_of_the_analytic_form() -> None:
    # kappa, standard error and limits of Fleiss, Cohen and Everitt's form for this table, as SAS prints them
    table = {(0, 1): 4, (0, 2): 1, (1, 1): 8, (2, 1): 1, (2, 2): 5}
    first, second = zip(*(pair for pair, n in table.items() for _ in range(n)), strict=True)
    found = cohen_kappa(first, second, categories=range(3))
    assert found.value == pytest.approx(0.4842, abs=5e-5)
    assert found.low == pytest.approx(0.2137, abs=0.06) and found.high == pytest.approx(0.7547, abs=0.06)


def test_cases_of_one_subject_widen_the_interval() -> None:
    random = np.random.default_rng(2)
    first = np.repeat(random.random(30) < 0.5, 10)
    second = np.where(np.repeat(random.random(30) < 0.8, 10), first, ~first)
    alone = cohen_kappa(first, second)
    together = cohen_kappa(first, second, group=np.repeat(np.arange(30), 10))
    assert alone.value == together.value
    assert together.high - together.low > 2 * (alone.high - alone.low)  # type: ignore[operator]


def test_what_is_undefined_is_a_reason_and_never_a_number() -> None:
    one_category = cohen_kappa(["yes"] * 20, ["yes"] * 20)
    assert one_category.value is None and "one category" in one_category.reason.en  # type: ignore[union-attr]
    assert fleiss_kappa([[3, 0]] * 20).value is None
    few = cohen_kappa([1, 0, 1], [1, 0, 0])
    assert few.value is None and "at least 10" in few.reason.en  # type: ignore[union-attr]
    assert fleiss_kappa([]).value is None
    assert percent_agreement([], []).value is None
    with pytest.raises(ValueError, match="two readings"):
        fleiss_kappa([[2, 0], [1, 0]])
    with pytest.raises(ValueError, match="none of the categories"):
        cohen_kappa(["yes"], ["perhaps"], categories=["yes", "no"])


def test_full_agreement_has_no_interval() -> None:
    found = cohen_kappa([0, 1] * 10, [0, 1] * 10)
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert percent_agreement([0, 1] * 10, [0, 1] * 10).low is None


def test_a_kappa_is_said_in_plain_words() -> None:
    assert "reached 43 %" in meaning(Estimate(0.43, 0.3, 0.5)).en
    assert "moderate" in meaning(Estimate(0.43)).en
    assert "cannot be told" in meaning(fleiss_kappa([])).en
    assert [strength(at).en for at in (-0.1, 0.2, 0.81)] == [
        "no better than chance",
        "slight",
        "almost perfect",
    ]
