"""Bars of reasons: signed, named in both languages, whatever the method."""

import re

import polars as pl
import pytest

from medloom.explanation.bars import Bar, bars_drawing, importance_drawing, reasons_drawing
from medloom.explanation.kernel import explain_by_shapley
from medloom.explanation.wording import input_name, number, readable
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2
from tests.explanation.known_models import known_model, risk, samples_of, table, three_ways

NAME = Text2("a thing", "一物")
UNITS = {"LOINC//2160-0": "mg/dL"}


def said(input: str, value: float | None) -> Text2:
    return readable(input, value, {}, UNITS)


def test_reasons_of_one_answer_are_drawn_to_either_side() -> None:
    samples = samples_of(table())
    model = known_model(samples, risk)
    few = samples.where(pl.col("sample_id") < 30)
    explained = explain_by_shapley(model, few, samples.in_split("train"), most=5)
    sides = set()
    for sample in few.frame["sample_id"]:
        drawn = reasons_drawing(explained, sample, said)
        assert "points of probability" in drawn and "概率百分点" in drawn
        sides |= set(re.findall(r'<rect class="(f\d)"', drawn))
    assert sides == {"f1", "f2"}
    one = reasons_drawing(explained, 0, said, n=1)
    assert "All other inputs together" in one


def test_a_class_is_named_before_its_reasons_are_drawn() -> None:
    samples = samples_of(table(), "where")
    model = known_model(samples, three_ways)
    one = samples.where(pl.col("sample_id") == 0)
    explained = explain_by_shapley(model, one, samples.in_split("train"), most=5)
    with pytest.raises(InputError, match="say of which answer"):
        reasons_drawing(explained, 0, said)
    assert "<svg" in reasons_drawing(explained, 0, said, output="ward")


def test_importance_is_drawn_with_what_is_not_known() -> None:
    ranked = pl.DataFrame(
        {
            "input": ["age", "LOINC//2160-0", "sex"],
            "importance": [0.1, -0.01, None],
            "low": [0.05, None, None],
            "high": [0.2, None, None],
        }
    )
    drawn = importance_drawing(ranked, lambda input: input_name(input, {}, UNITS), Text2("lost", "损失"))
    assert drawn.count("whisker") == 1 and "−0.01" in drawn
    assert "cannot be said" in drawn and "无法得出" in drawn
    assert "<svg" in importance_drawing(ranked.head(0), lambda input: NAME, NAME)


def test_names_are_escaped_and_cut_amid() -> None:
    long = "<b>" + "x" * 90 + " the last 24 hours"
    drawn = bars_drawing(NAME, NAME, [Bar(Text2(long, long), 0.0)], NAME, number)
    assert "<b>" not in drawn and "…" in drawn and "24 hours" in drawn
