"""Cells become numbers only if they are numbers; what is not stays as text."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.record.importers.table.numbers import read_numbers


def one(cell: str, decimal: str = ".", thousands: str = "") -> tuple[float | None, str | None, bool]:
    return read_numbers(pl.Series([cell]), decimal, thousands).row(0)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("cell", "number", "text"),
    [
        ("7.4", 7.4, None),
        ("-3", -3.0, None),
        ("+2.50", 2.5, None),
        (".5", 0.5, None),
        ("1e3", 1000.0, None),
        ("1.213e+04", 12130.0, None),
        ("５００", 500.0, None),
        ("－１．５", -1.5, None),
        (">500", 500.0, ">500"),
        ("<= 0.1", 0.1, "<= 0.1"),
        ("≥５", 5.0, "≥５"),
        ("＞500", 500.0, "＞500"),
        ("阳性", None, "阳性"),
        ("1,5", None, "1,5"),
        ("1,234", None, "1,234"),
        ("5 mg", None, "5 mg"),
        ("5%", None, "5%"),
        ("120/80", None, "120/80"),
        ("2020-01-01", None, "2020-01-01"),
        ("0x1F", None, "0x1F"),
        ("1_000", None, "1_000"),
        ("1e999", None, "1e999"),
        ("-", None, "-"),
        (">", None, ">"),
        ("NaN", None, None),
        ("-inf", None, None),
        ("Infinity", None, None),
    ],
)
def test_a_cell_is_a_number_or_stays_text(cell: str, number: float | None, text: str | None) -> None:
    assert one(cell)[:2] == (number, text)


@pytest.mark.parametrize(
    ("cell", "decimal", "thousands", "number"),
    [
        ("1,5", ",", "", 1.5),
        ("-0,25", ",", "", -0.25),
        ("<1,5", ",", "", 1.5),
        ("1.5", ",", "", None),
        ("1.234,5", ",", ".", 1234.5),
        ("1.234", ",", ".", 1234.0),
        ("1.23", ",", ".", None),
        ("1,234.5", ".", ",", 1234.5),
        ("12,34", ".", ",", None),
        ("1 234 567", ".", " ", 1234567.0),
        ("1'234.5", ".", "'", 1234.5),
        ("1234.5", ".", ",", 1234.5),
    ],
)
def test_decimal_and_thousands_marks_are_the_mapping_s(
    cell: str, decimal: str, thousands: str, number: float | None
) -> None:
    assert one(cell, decimal, thousands)[0] == number


def test_what_is_made_of_digits_and_foreign_marks_is_doubtful() -> None:
    cells = pl.Series(["1,5", "1.5", "1.2.3", "阳性", None, "1,234.5"])
    assert read_numbers(cells)["doubtful"].to_list() == [True, False, True, False, False, True]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_as_written(value: float) -> None:
    assert one(repr(value))[0] == value


@given(st.integers(-(10**15), 10**15), st.integers(0, 999))
def test_grouped_numbers_equal_plain_ones(whole: int, thousandths: int) -> None:
    plain = f"{whole}.{thousandths:03d}"
    grouped = f"{whole:,}.{thousandths:03d}"
    european = grouped.translate(str.maketrans(",.", ".,"))
    expected = float(plain)
    assert one(plain)[0] == expected
    assert one(grouped, ".", ",")[0] == expected
    assert one(european, ",", ".")[0] == expected


@given(st.lists(st.none() | st.text(max_size=12), max_size=30))
def test_nothing_is_lost(cells: list[str | None]) -> None:
    read = read_numbers(pl.Series(cells, dtype=pl.String))
    assert read.height == len(cells)
    for cell, (number, text, _) in zip(cells, read.iter_rows(), strict=True):
        if cell is None:
            assert number is None
            assert text is None
        elif number is None and text is None:
            assert not math.isfinite(float(cell.strip().translate({0x3000: " ", 0xFF0D: "-", 0xFF0B: "+"})))
        else:
            assert text in (None, cell)
