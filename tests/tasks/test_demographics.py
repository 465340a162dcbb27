"""Sex and age, however the source spelled them."""

from __future__ import annotations

from typing import Any

import pytest

from medloom.tasks.demographics import demographics
from medloom.tasks.labelling import apply
from tests.tasks.builders import at, record_of, stay, task_of


def of(*facts: dict[str, Any]) -> dict[str, Any]:
    rows = [*stay(1), {"subject_id": 1, "time": at(60), "code": "X//outcome"}]
    samples = apply(
        task_of(), record_of([*rows, *({"subject_id": 1, "time": None} | one for one in facts)])
    ).samples
    return demographics(samples).row(0, named=True)


@pytest.mark.parametrize(
    ("code", "sex"),
    [("F", "F"), ("Male", "M"), ("8507", "M"), ("UNKNOWN", "unknown"), ("OTHER", "other"), ("1", None)],
)
def test_a_sex_is_said_in_one_way(code: str, sex: str | None) -> None:
    assert of({"code": f"GENDER//{code}"})["sex"] == sex


@pytest.mark.parametrize("codes", [("F", "UNKNOWN"), ("UNKNOWN", "F"), ("F", "1"), ("1", "F")])
def test_what_is_known_of_a_sex_stands(codes: tuple[str, str]) -> None:
    assert of(*({"code": f"GENDER//{code}"} for code in codes))["sex"] == "F"


def test_the_birth_tells_the_age_whatever_else_does() -> None:
    birth = {"code": "MEDS_BIRTH", "time": at(48 - 50 * 24 * 365.2425)}
    for code in ("age", "LOINC//30525-0"):
        for other in ({"text_value": "fifty"}, {"numeric_value": 49.0}):
            assert of(birth, {"code": code, **other})["age"] == pytest.approx(50)
    assert (
        of({"code": "age", "numeric_value": 49.0}, {"code": "LOINC//30525-0", "text_value": "?"})["age"] == 49
    )
