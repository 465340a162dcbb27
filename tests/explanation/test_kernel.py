"""Shapley values from outside: sums hold, and small models give what all orders of their inputs say."""

from itertools import permutations

import numpy as np
import pytest

from medloom.explanation.kernel import explain_by_shapley, kernel_contributions, walked_contributions
from medloom.foundation.errors import InputError
from tests.explanation.known_models import Floats, known_model, risk, samples_of, table, three_ways

NONE = np.nan


def bent(x: np.ndarray) -> Floats:
    """Two answers with interactions and missing values, of four inputs."""
    y = np.nan_to_num(x.astype(np.float64), nan=-2.0)
    return np.stack([y[:, 0] * y[:, 1] + y[:, 2], np.maximum(y[:, 1], y[:, 3]) * y[:, 0]], axis=1)


def by_all_orders(x: np.ndarray, background: np.ndarray) -> Floats:
    values = np.zeros((2, x.shape[0]))
    orders = [*permutations(range(len(x)))]
    for begin in background:
        for order in orders:
            at = begin.copy()
            for place in order:
                before = bent(at[None])[0]
                at[place] = x[place]
                values[:, place] += bent(at[None])[0] - before
    return values / len(orders) / len(background)


X = np.array([[1, 2, 3, 4], [NONE, 1, NONE, 0], [2, NONE, 0, 1]], np.float32)
BACKGROUND = np.array([[0, 1, NONE, 2], [NONE, NONE, 1, 1], [3, 0, 0, 1]], np.float32)


def test_kernel_shap_of_few_inputs_is_the_shapley_value() -> None:
    divided = kernel_contributions(bent, X, BACKGROUND)
    expected = np.stack([by_all_orders(row, BACKGROUND) for row in X])
    assert divided.values == pytest.approx(expected, abs=1e-9)


def test_walks_come_near_the_shapley_value() -> None:
    divided = walked_contributions(bent, X, BACKGROUND, walks=200)
    expected = np.stack([by_all_orders(row, BACKGROUND) for row in X])
    assert divided.values == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("divide", [kernel_contributions, walked_contributions])
def test_shares_sum_to_the_answer_however_many_inputs(divide) -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(40, 2))
    x, background = rng.normal(size=(3, 40)).astype(np.float32), rng.normal(size=(4, 40)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan

    def answer(rows: np.ndarray) -> Floats:
        return np.tanh(np.nan_to_num(rows.astype(np.float64), nan=0.3) @ weights)

    divided = divide(answer, x, background)
    assert np.abs(divided.baseline + divided.values.sum(axis=2) - answer(x)).max() < 1e-9


@pytest.mark.parametrize("divide", [kernel_contributions, walked_contributions])
def test_an_input_that_is_as_in_the_background_gets_nothing(divide) -> None:
    same = np.array([[1, NONE, 5]], np.float32)
    other = np.array([[0, NONE, 5]], np.float32)
    divided = divide(lambda x: np.nan_to_num(x, nan=7).sum(axis=1, keepdims=True), same, other)
    assert divided.values.tolist() == [[[1.0, 0.0, 0.0]]]
    assert divide(lambda x: np.nan_to_num(x)[:, :1], other, other).values.tolist() == [[[0.0, 0.0, 0.0]]]


@pytest.mark.parametrize("divide", [kernel_contributions, walked_contributions])
def test_inputs_of_one_group_share_their_part(divide) -> None:
    product = divide(
        lambda x: (x[:, :1] * x[:, 1:2] + x[:, 2:]).astype(float),
        np.array([[2, 3, 4]], np.float32),
        np.zeros((1, 3), np.float32),
        np.array([0, 0, 1]),
    )
    assert product.values.tolist() == pytest.approx(np.array([[[6.0, 4.0]]]))


@pytest.mark.parametrize("divide", [kernel_contributions, walked_contributions])
def test_no_sample_gives_no_rows_and_no_background_is_refused(divide) -> None:
    assert divide(bent, X[:0], BACKGROUND).values.shape == (0, 2, 4)
    with pytest.raises(InputError, match="need background samples"):
        divide(bent, X, BACKGROUND[:0])


@pytest.mark.parametrize("method", ["kernel", "walks"])
def test_what_the_model_looks_at_comes_out_on_top(method) -> None:
    samples = samples_of(table())
    model = known_model(samples, risk)
    few = samples.where(samples.frame["sample_id"].is_in([0, 1, 2, 3]).alias("few"))
    explained = explain_by_shapley(model, few, samples.in_split("train"), method=method)
    assert set(explained.frame["input"]) <= {"LOINC//2160-0", "age"}
    assert explained.scale == "probability"
    sums = explained.frame.group_by("sample_id", maintain_order=True).agg(total="contribution").to_dict()
    baseline = explained.baseline["value"][0]
    answers = model.answer(model.inputs(few).values)[:, 0]
    found = dict(zip(sums["sample_id"], [sum(one) for one in sums["total"]], strict=True))
    for place, sample in enumerate(few.frame["sample_id"]):
        assert baseline + found[sample] == pytest.approx(answers[place], abs=1e-9)


def test_windows_of_a_code_are_explained_as_one_and_classes_apart() -> None:
    samples = samples_of(table(), "where")
    model = known_model(samples, three_ways)
    one = samples.where(samples.frame["sample_id"].is_in([5]).alias("one"))
    explained = explain_by_shapley(model, one, samples.in_split("train"), method="kernel", by="code")
    assert explained.baseline["output"].to_list() == ["home", "icu", "ward"]
    ward = explained.top(5, output="ward")
    assert set(ward["input"]) <= {"LOINC//2160-0", "LOINC//2345-7"}
    # what is said of all classes together is nothing: their shares sum to 1 whatever is known
    whole = explained.frame.group_by("input").agg(total=explained.frame["contribution"].sum())
    assert whole["total"].abs().max() < 1e-9
