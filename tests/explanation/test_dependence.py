"""Dependence on one input: lines come out as lines, also where inputs go together; missing values are not values."""

import numpy as np
import polars as pl
import pytest

from medloom.explanation.dependence import (
    accumulated_effects,
    curve_of,
    dependence_drawing,
    dependence_on,
    effects_drawing,
    effects_of,
    partial_dependence,
)
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2
from tests.explanation.known_models import Floats, known_model, risk, samples_of, table, three_ways

NAME = Text2("input", "输入")


def together(n: int = 2000) -> np.ndarray:
    """Make two inputs that hardly ever differ, some of the first missing."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=n)
    x = np.column_stack([first, first + rng.normal(0, 0.1, n)]).astype(np.float32)
    x[::10, 0] = np.nan
    return x


def line(x: np.ndarray) -> Floats:
    return (3.0 * np.nan_to_num(x[:, :1], nan=5.0) - 2.0 * x[:, 1:]).astype(np.float64)


def test_ale_of_a_linear_model_is_its_line() -> None:
    found = accumulated_effects(line, together(), 0)
    assert np.diff(found.effect) / np.diff(found.edges) == pytest.approx(3, rel=1e-4)
    inside = (found.effect[1:] + found.effect[:-1]) / 2
    assert inside @ found.histogram[1] == pytest.approx(0, abs=1e-6)
    assert (found.low <= found.effect + 1e-9).all() and (found.effect <= found.high + 1e-9).all()


def test_ale_does_not_ask_where_no_patient_is() -> None:
    # beyond the narrow band in which the two inputs lie the model says something wild
    def wild(x: np.ndarray) -> Floats:
        return np.where(np.abs(x[:, :1] - x[:, 1:]) > 1.5, 1000.0, x[:, :1]).astype(np.float64)

    x = together()
    assert np.ptp(accumulated_effects(wild, x, 0).effect) < 5
    assert np.ptp(partial_dependence(wild, x, 0).mean) > 50


def test_partial_dependence_of_a_linear_model_is_its_line() -> None:
    found = partial_dependence(line, together(), 0)
    assert np.diff(found.mean) / np.diff(found.grid) == pytest.approx(3, rel=1e-4)
    assert np.diff(found.curves, axis=1) / np.diff(found.grid) == pytest.approx(3, rel=1e-3)
    # a missing value is answered as 5
    known = together()[:, 1][~np.isnan(together()[:, 0])]
    assert found.missing == pytest.approx(15 - 2 * known.mean(), rel=1e-5)
    assert (found.low < found.mean).all() and (found.mean < found.high).all()


def test_a_flag_is_asked_at_its_two_values() -> None:
    x = np.array([[0, 1], [1, 2], [1, 3], [0, 4]] * 5, np.float32)
    found = accumulated_effects(lambda x: (0.4 * x[:, :1]).astype(float), x, 0)
    assert found.edges.tolist() == [0, 1]
    assert found.effect == pytest.approx([-0.2, 0.2])
    assert partial_dependence(lambda x: (0.4 * x[:, :1]).astype(float), x, 0).mean == pytest.approx([0, 0.4])


def test_a_constant_input_has_no_effect_and_an_empty_one_is_refused() -> None:
    x = np.array([[2, np.nan]] * 3, np.float32)
    found = accumulated_effects(line, x, 0)
    assert found.effect.tolist() == [0.0] and np.isnan(found.low).all()
    assert len(partial_dependence(line, x, 0).grid) == 1
    for one in (accumulated_effects, partial_dependence):
        with pytest.raises(InputError, match="none of the 3 samples"):
            one(line, x, 1)
        with pytest.raises(InputError, match="none of the 0 samples"):
            one(line, x[:0], 0)
    assert "<svg" in effects_drawing(found, NAME, NAME)
    assert "<svg" in dependence_drawing(partial_dependence(line, x[:1], 0), NAME, NAME, format="number")


def test_no_one_patients_extreme_is_drawn() -> None:
    x = np.append(np.arange(100.0), 1e6)[:, None].astype(np.float32)
    assert accumulated_effects(lambda x: x.astype(float), x, 0).edges[-1] < 100
    assert partial_dependence(lambda x: x.astype(float), x, 0).grid[-1] < 100


def test_a_models_inputs_are_found_by_name_and_classes_by_theirs() -> None:
    samples = samples_of(table(), "where")
    model = known_model(samples, three_ways)
    with pytest.raises(InputError, match="say of which answer"):
        effects_of(model, samples, "LOINC//2160-0")
    with pytest.raises(InputError, match="there are: home, icu, ward"):
        effects_of(model, samples, "LOINC//2160-0", output="cellar")
    with pytest.raises(InputError, match="no input 'creatinine'"):
        effects_of(model, samples, "creatinine", output="icu")
    icu = effects_of(model, samples, "LOINC//2160-0", output="icu")
    assert (np.diff(icu.effect) > 0).all() and icu.output == "icu"
    assert (np.diff(effects_of(model, samples, "LOINC//2160-0", output="home").effect) < 0).all()
    assert effects_of(model, samples, "noise", output="icu").effect == pytest.approx(0)


def test_drawings_say_what_they_show_in_both_languages() -> None:
    samples = samples_of(table())
    model = known_model(samples, risk)
    found = dependence_on(model, samples, "LOINC//2160-0", most=200)
    one = model.inputs(samples.where(pl.col("sample_id") == 3)).values[0]
    column = model.features.names.index("LOINC//2160-0")
    curve = curve_of(model.answer, one, found, column)
    drawn = dependence_drawing(found, NAME, NAME, patient=(float(one[column]), curve))
    for said in ("this patient", "该患者", "if not known", "若不详", "平均"):
        assert said in drawn
    assert "95 %" in effects_drawing(effects_of(model, samples, "age"), NAME, NAME)
