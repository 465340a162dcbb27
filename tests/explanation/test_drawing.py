"""The drawings of a patient's page."""

import re
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medloom.explanation.drawing import in_lines, width_of
from medloom.explanation.lanes import arrange
from medloom.explanation.lanes_drawing import lanes_drawing
from medloom.foundation.messages import Text2

NOW = datetime(2020, 5, 1, 12)
LONG = "Penicillin V Potassium 500 MG Oral Tablet [Veetids], thirty tablets in a bottle, one daily"


@pytest.mark.parametrize("narrow", [False, True])
def test_a_long_name_stands_whole_in_several_lines(narrow: bool) -> None:
    events = pl.DataFrame(
        [(NOW - timedelta(days=day), "RxNorm//1", None, None, "order") for day in (1, 9)],
        schema={
            "time": pl.Datetime("us"),
            "code": pl.String,
            "numeric_value": pl.Float32,
            "text_value": pl.String,
            "role": pl.String,
        },
        orient="row",
    )
    lanes = arrange(events, NOW, {"RxNorm//1": LONG}, {}, {}, True)
    assert lanes is not None
    written = re.findall(r"<text[^>]*>([^<]*)</text>", lanes_drawing(lanes, Text2("x", "x"), narrow))
    assert LONG in " ".join(written)


@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=90), st.floats(60, 300))
@example("000000\u3000\u3000", 60.0)
@example("0 0000000\xa0000 00000000", 60.0)
def test_no_line_of_a_name_is_wider_than_its_room(text: str, room: float) -> None:
    lines = [line.en for line in in_lines(Text2(text, text), room)]
    assert 1 <= len(lines) <= 3
    assert all(width_of(line) <= room + 8 for line in lines)
    if not lines[-1].endswith("…"):  # nothing but white space is lost
        assert "".join("".join(lines).split()) == "".join(text.split())
