"""Charts are well-formed, escaped, spoken in both languages, and never break on odd numbers."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.foundation.charts import (
    Axis,
    Guide,
    Interval,
    Line,
    forest_plot,
    line_chart,
    nice_high,
    nice_ticks,
)
from medloom.foundation.messages import Text2

NAME = Text2("age <80> & more", "年龄")


def charts() -> dict[str, str]:
    line = Line(NAME, [0, 0.5, None, 1], [0, 0.7, 0.8, 1], [0, 0.6, None, 1], [0, 0.8, None, 1])
    points = Line(NAME, [0.2, 0.8], [0.1, 0.9], [0.0, 0.8], [0.2, 1.0], points=True)
    axis = Axis(NAME, format="percent")
    return {
        "line": line_chart(NAME, NAME, [line], axis, axis, [Guide(NAME, 0, 0, 1, 1)]),
        "points": line_chart(NAME, NAME, [points], axis, axis, histogram=([0, 0.5, 1], [3, 9])),
        "step": line_chart(NAME, NAME, [Line(NAME, [0, 1], [1, 0.5], step=True)], axis, axis),
        "forest": forest_plot(
            NAME,
            NAME,
            [
                Interval(NAME, heading=True),
                Interval(NAME, 0.6, -0.5, 1.5, strong=True),
                Interval(NAME, note=NAME),
            ],
            axis,
            0.6,
        ),
    }


@pytest.mark.parametrize("name", list(charts()))
def test_a_chart_is_well_formed_and_described_for_those_who_do_not_see_it(name):
    root = ET.fromstring(charts()[name])
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == ("title", "desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert NAME.en in title.text
    assert NAME.zh in title.text


@pytest.mark.parametrize("name", list(charts()))
def test_every_label_stands_in_both_languages(name):
    classes = [(element.get("class") or "").split() for element in ET.fromstring(charts()[name]).iter("text")]
    english = sum("en" in one for one in classes)
    assert english == sum("zh" in one for one in classes) > 0


@pytest.mark.parametrize("name", list(charts()))
def test_a_chart_has_no_style_of_its_own_and_no_number_that_is_none(name):
    svg = charts()[name]
    assert "style=" not in svg
    assert "nan" not in svg
    assert "inf" not in svg


def test_the_same_input_gives_the_same_chart():
    assert charts() == charts()


def test_a_line_runs_from_corner_to_corner():
    axis = Axis(NAME)
    svg = line_chart(NAME, NAME, [Line(NAME, [0, 1], [0, 1])], axis, axis, width=340, height=300)
    # Left 54, right 340 - 20; top 10 + 17 for the legend, bottom 240 below it.
    assert 'd="M54.0 267.0L320.0 27.0"' in svg


def test_a_long_label_is_cut_in_the_middle():
    long = Text2("SNOMED//1234567 count in the last 365 days before prediction", "年龄" * 30)
    svg = forest_plot(NAME, NAME, [Interval(long, 0.6, 0.5, 0.7)], Axis(NAME))
    assert "SNOMED" in svg
    assert "…" in svg
    assert long.en not in svg


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
def test_ticks_are_round_ordered_few_and_inside(low, extent, most):
    # An axis a millionth of its distance from zero is beyond what four digits could label.
    extent = max(extent, abs(low) * 1e-6)
    high = low + extent
    ticks = nice_ticks(low, high, most)
    assert len(ticks) <= most
    assert ticks == sorted(ticks)
    slack = 1e-6 * extent + 1e-11
    assert all(low - slack <= tick <= high + slack for tick in ticks)


def test_odd_ranges_do_not_break():
    assert nice_ticks(1, 1) == [1]
    assert nice_ticks(math.nan, 1) == []
    assert nice_high(math.inf) == nice_high(0) == 1.0
    assert forest_plot(NAME, NAME, [], Axis(NAME, 0.5, 0.5))
    assert line_chart(NAME, NAME, [], Axis(NAME), Axis(NAME))


def test_ticks_of_ones_own_are_written_as_they_are():
    axis = Axis(NAME, 2022.2, 2025.2, ticks=[(2023.0, "2023"), (2024.0, "2024")])
    written = re.findall(
        r">(20\d\d)<", line_chart(NAME, NAME, [Line(NAME, [2023, 2024], [0, 1])], axis, Axis(NAME))
    )
    assert written == ["2023", "2024"]
