"""The table of common measurements holds together."""

from __future__ import annotations

import numpy as np
import pytest

from medloom.knowledge import loinc
from medloom.knowledge.limits import limits
from medloom.knowledge.loinc import Observable, observables
from medloom.knowledge.names import name
from medloom.knowledge.systems import ASSERTION_PREFIXES
from medloom.knowledge.units import convert

ROWS = list(observables().values())


def check_digit(number: str) -> str:
    """Compute LOINC's check digit (mod 10, Luhn; LOINC Users' Guide, appendix C)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return str(-total % 10)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_a_code_has_a_true_check_digit(row: Observable) -> None:
    number, _, digit = row.code.partition("-")
    assert check_digit(number) == digit


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_what_is_usual_lies_within_what_is_possible(row: Observable) -> None:
    found = limits(f"LOINC//{row.code}")
    assert found is not None
    bounds = [found.low, found.reference_low, found.reference_high, found.high]
    known = [bound for bound in bounds if bound is not None]
    assert known == sorted(known)
    assert found.low < found.high


def test_no_code_stands_twice() -> None:
    rows = [*loinc._vitals(), *loinc._chemistry(), *loinc._blood(), *loinc._others()]
    assert len(rows) == len(ROWS)


@pytest.mark.parametrize(
    ("mass", "moles", "unit"),
    [
        ("2345-7", "14749-6", "mmol/L"),
        ("2160-0", "14682-9", "umol/L"),
        ("3094-0", "14937-7", "mmol/L"),
        ("17861-6", "2000-8", "mmol/L"),
        ("19123-9", "2601-3", "mmol/L"),
        ("2777-1", "14879-1", "mmol/L"),
        ("3084-1", "14933-6", "umol/L"),
        ("1975-2", "14631-6", "umol/L"),
        ("2093-3", "14647-2", "mmol/L"),
        ("2571-8", "14927-8", "mmol/L"),
    ],
)
def test_the_same_analyte_by_mass_and_by_moles_has_the_same_ranges(mass: str, moles: str, unit: str) -> None:
    by_mass, by_moles = limits(f"LOINC//{mass}"), limits(f"LOINC//{moles}")
    assert by_mass is not None
    assert by_moles is not None
    for left, right in (
        (by_mass.high, by_moles.high),
        (by_mass.reference_low, by_moles.reference_low),
        (by_mass.reference_high, by_moles.reference_high),
    ):
        if left is not None and right is not None:
            converted = convert(np.array([left]), by_mass.unit, unit, f"LOINC//{mass}")
            assert converted is not None
            assert converted[0] == pytest.approx(right, rel=0.04)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_a_code_has_a_short_name_in_both_languages(row: Observable) -> None:
    english, chinese = name(f"LOINC//{row.code}"), name(f"LOINC//{row.code}", "zh-CN")
    assert english is not None
    assert english.isascii()
    assert len(english) <= 36
    assert chinese is not None
    assert len(chinese) <= 24


def test_the_records_own_codes_have_names() -> None:
    assert name("MEDS_BIRTH") == "Birth"
    assert name("MEDS_DEATH", "zh") == "死亡"
    assert name("GENDER//F", "zh") == "女"
    assert name("ENCOUNTER//inpatient//END") == "Hospital stay: end"
    assert name("ENCOUNTER//icu") == "Intensive care"


@pytest.mark.parametrize("code", ["", "LOINC//0000-0", "2345-7", "ENCOUNTER//moon", "ENCOUNTER//icu//MIDDLE"])
def test_an_unknown_code_has_no_name(code: str) -> None:
    assert name(code) is None


def test_a_denied_finding_is_not_named_like_the_finding() -> None:
    assert all(name(f"{prefix}//LOINC//2345-7") is None for prefix in ASSERTION_PREFIXES)
