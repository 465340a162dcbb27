"""LIME: what the model looks at comes out on top, and how well the small model fits is said."""

import numpy as np
import polars as pl
import pytest

from medloom.explanation.lime import explain_by_lime, local_models
from medloom.foundation.errors import InputError
from tests.explanation.known_models import Floats, known_model, risk, samples_of, table, three_ways


def test_a_model_of_bins_is_found_as_it_is() -> None:
    # one share for a value in the highest quarter, another for a flag: LIME's own shape, so the fit is exact
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=400), rng.random(400) < 0.5, rng.normal(size=400)])
    rows = rows.astype(np.float32)
    edge = np.quantile(rows[:, 0], 0.75)

    def answer(x: np.ndarray) -> Floats:
        return (0.1 + 0.5 * (x[:, :1] > edge) + 0.2 * x[:, 1:2]).astype(np.float64)

    found = local_models(answer, np.array([[5.0, 1.0, 0.0]], np.float32), rows, kept=2)
    assert found.contributions.values[0, 0] == pytest.approx([0.5, 0.2, 0.0], abs=0.01)
    assert found.constant[0, 0] == pytest.approx(0.1, abs=0.01)
    assert found.fidelity[0, 0] == pytest.approx(1, abs=1e-3)


def test_missing_is_a_value_of_its_own() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)).astype(np.float32)
    rows[rng.random(300) < 0.3, 0] = np.nan
    found = local_models(
        lambda x: np.isnan(x[:, :1]).astype(float), np.array([[np.nan, 0]], np.float32), rows, kept=1
    )
    assert found.contributions.values[0, 0, 0] == pytest.approx(1, abs=0.02)


def test_a_constant_answer_has_no_reasons_and_no_fidelity() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    found = local_models(lambda x: np.full((len(x), 1), 0.3), rows[:2], rows)
    assert np.abs(found.contributions.values).max() < 1e-12
    assert np.isnan(found.fidelity).all()
    assert local_models(lambda x: np.full((len(x), 1), 0.3), rows[:0], rows).constant.shape == (0, 1)
    with pytest.raises(InputError, match="background"):
        local_models(lambda x: x, rows, rows[:0])


def test_one_background_row_that_is_the_sample_leaves_nothing_to_vary() -> None:
    row = np.array([[1.0, np.nan]], np.float32)
    found = local_models(lambda x: np.nan_to_num(x), row, row)
    assert np.abs(found.contributions.values).max() == 0
    assert found.constant.tolist() == [[1.0, 0.0]]


def test_what_the_model_looks_at_comes_out_on_top() -> None:
    samples = samples_of(table())
    few = samples.where(pl.col("sample_id") < 20)
    explained, fidelity = explain_by_lime(
        known_model(samples, risk), few, samples.in_split("train"), kept=2, draws=2000
    )
    assert not explained.additive
    strongest = explained.frame.group_by("input").agg(pl.col("contribution").abs().sum())
    assert strongest.sort("contribution", descending=True)["input"][0] == "LOINC//2160-0"
    assert fidelity["fidelity"].is_between(0, 1).all()


def test_each_class_has_its_own_reasons() -> None:
    samples = samples_of(table(), "where")
    # who is far up in creatinine
    one = samples.where(pl.col("sample_id").is_in(_highest(samples)))
    explained, fidelity = explain_by_lime(
        known_model(samples, three_ways), one, samples.in_split("train"), kept=2, draws=2000
    )
    assert fidelity["output"].to_list() == ["home", "icu", "ward"]
    icu = explained.top(int(one.frame["sample_id"][0]), output="icu")
    assert icu["input"][0] == "LOINC//2160-0"
    assert icu["contribution"][0] > 0


def _highest(samples) -> list[int]:
    model = known_model(samples, three_ways)
    made = model.inputs(samples)
    column = made.values[:, made.names.index("LOINC//2160-0")]
    return [int(samples.frame["sample_id"][int(np.nanargmax(column))])]
