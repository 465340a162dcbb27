"""What is probably not meant by a task is said: codes that never occur, answers that nobody has."""

from __future__ import annotations

from typing import Any

import pytest

from medloom.foundation.errors import InputError
from medloom.tasks.labelling import apply
from tests.tasks.builders import at, record_of, stay, task_of


def outcome(hours: float, subject: int = 1, code: str = "X//outcome") -> dict[str, Any]:
    return {"subject_id": subject, "time": at(hours), "code": code}


def doubts(*rows: dict[str, Any], **parts: Any) -> list[str]:
    return [doubt.en for doubt in apply(task_of(**parts), record_of([*stay(1), *stay(2), *rows])).doubts]


def test_a_task_with_both_answers_and_known_codes_is_not_doubted() -> None:
    assert doubts(outcome(60)) == []


def test_an_outcome_that_nobody_has_within_the_horizon_is_told() -> None:
    assert doubts(outcome(120)) == ["no sample has the outcome: nothing can be learned from these answers"]


def test_an_outcome_that_everybody_has_is_told() -> None:
    assert doubts(outcome(60), outcome(60, 2))[0].startswith("every sample has the outcome")


def test_a_class_that_nobody_has_is_told() -> None:
    classes = {"a": ["X//outcome"], "b": ["X//other"]}
    found = doubts(
        outcome(60),
        outcome(200, 2, "X//other"),
        kind="multiclass",
        predict={"classes": classes, "within": "48h"},
    )
    assert found == ["no sample has the answer b"]


@pytest.mark.parametrize("code", ["LAB//crp", "LAB/Potasium", "X//potassium", "LAB//POTASSIUM"])
def test_a_code_that_never_occurs_is_told_with_what_was_probably_meant(code: str) -> None:
    found = doubts(outcome(60), outcome(1, code="LAB//potassium"), exclude=[{"event": [code]}])
    if code == "LAB//crp":
        assert found == ["exclude.0.event: no code (LAB//crp) occurs in the record"]
    else:
        assert found == [f"exclude.0.event: {code} does not occur in the record; nearest: LAB//potassium"]


def test_of_several_spellings_those_without_facts_are_told_in_one_line() -> None:
    events = ["X//outcome", "Y//a", "Y//b*", "Y//c", "Y//d", "Y//e", "Y//f"]
    found = doubts(outcome(60), predict={"event": events, "within": "48h"})
    assert found == [
        "predict.event: 6 of 7 codes do not occur in the record: Y//a, Y//b*, Y//c, Y//d, Y//e …"
    ]


def test_a_code_that_other_spellings_stand_beside_is_not_their_misspelling() -> None:
    events = ["ENCOUNTER//inpatient//START", "ENCOUNTER//outpatient//START"]
    when = {"event": events, "which": "every", "offset": "48h"}
    assert doubts(outcome(60), prediction_time=when) == [
        "prediction_time.event: 1 of 2 codes do not occur in the record: ENCOUNTER//outpatient//START"
    ]


def test_an_outcome_that_never_occurs_is_refused_with_the_nearest_code() -> None:
    with pytest.raises(InputError, match="nearest: X//outcome"):
        doubts(outcome(60), predict={"event": ["X//outcom"], "within": "48h"})
