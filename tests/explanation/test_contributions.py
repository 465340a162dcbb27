"""Contributions against values that can be computed by hand, or by going through all orders."""

from itertools import permutations
from math import factorial

import numpy as np
import polars as pl
import pytest

from medloom.explanation.contributions import Contributions, explanation_of, linear_contributions
from medloom.explanation.shapley import (
    TreeArrays,
    boosted_contributions,
    sampled_contributions,
    tree_contributions,
)


def test_a_linear_answer_is_divided_by_coefficient_times_distance_from_the_mean() -> None:
    x = np.array([[3.0, 1.0]])
    coefficients = np.array([[2.0, 0.0], [-1.0, 5.0]])
    divided = linear_contributions(x, coefficients, np.array([10.0, 20.0]), mean=np.array([1.0, 1.0]))
    assert divided.values.tolist() == [[[4.0, 0.0], [0.0, 0.0]]]
    assert divided.baseline.tolist() == [10 + 2 - 1, 20 + 5]


def test_columns_of_one_input_are_summed_and_absent_inputs_contribute_nothing() -> None:
    divided = Contributions(np.arange(6.0).reshape(1, 2, 3), np.zeros(2)).gathered(np.array([3, 0, 3]), 4)
    assert divided.values.tolist() == [[[1.0, 0.0, 0.0, 2.0], [4.0, 0.0, 0.0, 8.0]]]


def test_no_columns_at_all_contribute_nothing() -> None:
    divided = Contributions(np.empty((2, 1, 0)), np.zeros(1)).gathered(np.empty(0, np.int64), 3)
    assert divided.values.tolist() == [[[0.0, 0.0, 0.0]]] * 2


def test_a_tree_is_divided_as_all_orders_of_its_inputs_say() -> None:
    # x0 <= 0 (half of the samples): 1; else x1 <= 0 (one quarter): 2, else (one quarter): 6
    tree = TreeArrays(
        left=np.array([1, -1, 3, -1, -1]),
        right=np.array([2, -1, 4, -1, -1]),
        feature=np.array([0, -2, 1, -2, -2]),
        threshold=np.array([0.0, -2, 0, -2, -2]),
        missing_left=np.array([True, False, False, False, False]),
        value=np.array([[0.0], [1], [0], [2], [6]]),
        cover=np.array([4.0, 2, 2, 1, 1]),
    )
    # nothing known 2.5; x0 known 4; x1 known 3.5; both known 6
    divided = tree_contributions([tree], np.array([[1.0, 1.0]], np.float32))
    assert divided.baseline == pytest.approx([2.5])
    assert divided.values[0, 0] == pytest.approx([(1.5 + 2.5) / 2, (1.0 + 2.0) / 2])
    # a missing x0 goes left, a missing x1 goes right
    assert tree_contributions([tree], np.array([[np.nan, 1.0]], np.float32)).values.sum() == pytest.approx(
        1 - 2.5
    )
    assert tree_contributions([tree], np.array([[1.0, np.nan]], np.float32)).values.sum() == pytest.approx(
        6 - 2.5
    )


def test_two_trees_are_divided_as_their_mean() -> None:
    def stump(feature: int) -> TreeArrays:
        leaves = np.array([[0.0, 1.0], [-1.0, 1.0], [1.0, 1.0]])
        sides = np.array([1, -1, -1]), np.array([2, -1, -1])
        asked = np.array([feature, -2, -2])
        return TreeArrays(*sides, asked, np.zeros(3), np.ones(3, np.bool_), leaves, np.array([2.0, 1, 1]))

    divided = tree_contributions([stump(0), stump(2)], np.array([[1.0, 9.0, -1.0]], np.float32))
    assert divided.values == pytest.approx(np.array([[[0.5, 0.0, -0.5], [0.0, 0.0, 0.0]]]))
    assert divided.baseline == pytest.approx([0.0, 1.0])


def test_what_lightgbm_gives_is_read_output_by_output() -> None:
    raw = np.array([[1.0, 2.0, 10.0, 3.0, 4.0, 20.0]])
    divided = boosted_contributions(raw, 2)
    assert divided.values.tolist() == [[[1.0, 2.0], [3.0, 4.0]]]
    assert divided.baseline.tolist() == [10.0, 20.0]


def _rest(reached: np.ndarray) -> np.ndarray:
    return np.column_stack([np.tanh(reached).prod(axis=1), reached.max(axis=1)])


def test_sampled_contributions_add_up_exactly_and_come_near_the_mean_over_all_orders() -> None:
    rng = np.random.default_rng(0)
    first, x, background = rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=(1, 4))
    sources = np.array([0, 1, 2, 1])  # two columns come from input 1
    many = sampled_contributions(_rest, first, x, np.repeat(background, 400, axis=0), sources, 3)
    np.testing.assert_allclose(many.values.sum(axis=2) + many.baseline, _rest(x @ first), atol=1e-12)
    exact = np.zeros((2, 2, 3))
    for order in permutations(range(3)):
        now = np.repeat(background, 2, axis=0)
        for player in order:
            before = _rest(now @ first)
            now[:, sources == player] = x[:, sources == player]
            exact[:, :, player] += (_rest(now @ first) - before) / factorial(3)
    np.testing.assert_allclose(many.values, exact, atol=0.08)


def test_sampled_contributions_of_a_sample_do_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    first, x, background = rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
    together = sampled_contributions(_rest, first, x, background, np.arange(4), 4)
    alone = sampled_contributions(_rest, first, x[3:4], background, np.arange(4), 4)
    assert (together.values[3:4] == alone.values).all()


def test_an_input_that_equals_the_typical_one_contributes_nothing() -> None:
    first, x = np.eye(2), np.array([[1.0, 7.0]])
    divided = sampled_contributions(_rest, first, x, np.array([[1.0, 2.0]]), np.arange(2), 2)
    assert (divided.values[:, :, 0] == 0).all()


def test_the_frame_names_inputs_and_leaves_out_what_contributes_nothing() -> None:
    divided = Contributions(np.array([[[0.5, 0.0, -1.0]]]), np.array([0.25]))
    explanation = explanation_of(
        divided,
        np.array([7]),
        ["true"],
        ["age", "sex", "lab last 24h"],
        ["MEDS_BIRTH", None, "LOINC//1"],
        np.array([[60.0, 1.0, np.nan]], np.float32),
        method="by hand",
        scale="log-odds",
    )
    assert explanation.frame.select(
        "sample_id", "output", "input", "code", "value", "contribution"
    ).rows() == [
        (7, "true", "age", "MEDS_BIRTH", 60.0, 0.5),
        (7, "true", "lab last 24h", "LOINC//1", None, -1.0),
    ]
    assert explanation.baseline.rows() == [("true", 0.25)]
    assert explanation.top(7, n=1)["input"].to_list() == ["lab last 24h", "…"]
    assert explanation.frame.schema["asset"] == pl.String
