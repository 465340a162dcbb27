"""Survival tasks: when the first event comes, how long others were followed, and what a file may say."""

from typing import Any

import pytest
from pydantic import ValidationError

from medloom.tasks.labelling import apply
from tests.tasks.builders import at, record_of, stay, task_of

PREDICT = {"event": ["X//outcome"], "unit": "d", "horizons": ["30d", "1w"]}


def label(rows: list[dict[str, Any]], **parts: Any) -> list[Any]:
    """Answer for one patient admitted for 96 hours, asked after 48; rows are further facts."""
    record = record_of([*stay(1, 96), *({"subject_id": 1, **row} for row in rows)])
    content = {"kind": "survival", "predict": PREDICT} | parts
    return apply(task_of(**content), record).samples.frame["label"].to_list()


def test_the_time_of_the_first_event_counts_from_the_prediction() -> None:
    rows = [{"time": at(96), "code": "X//outcome"}, {"time": at(144), "code": "X//outcome"}]
    assert label(rows) == [{"time": 2.0, "event": "event"}]


def test_without_the_event_the_last_fact_of_any_kind_ends_follow_up() -> None:
    assert label([{"time": at(168), "code": "X//visit"}, {"time": None, "code": "X//outcome"}]) == [
        {"time": 5.0, "event": None}
    ]


def test_follow_up_ends_with_the_events_that_say_so() -> None:
    rows = [
        {"time": at(24), "code": "X//outcome"},
        {"time": at(72), "code": "X//visit"},
        {"time": at(500), "code": "X//bill"},
    ]
    assert label(rows, censor={"follow_up": ["X//visit"]}) == [{"time": 1.0, "event": None}]


def test_death_ends_follow_up_or_is_an_event_itself() -> None:
    rows = [
        {"time": at(120), "code": "MEDS_DEATH"},
        {"time": at(24), "code": "X//outcome"},
        {"time": at(200), "code": "X//bill"},
    ]
    assert label(rows) == [{"time": 3.0, "event": None}]
    competing = {
        "classes": {"death": ["MEDS_DEATH"], "outcome": ["X//outcome"]},
        "unit": "h",
        "horizons": ["30d"],
    }
    assert label(rows, predict=competing) == [{"time": 72.0, "event": "death"}]


def test_nothing_counts_after_the_horizon_where_there_is_one() -> None:
    rows = [{"time": at(240), "code": "X//outcome"}]
    assert label(rows, predict=PREDICT | {"within": "7d"}) == [{"time": 7.0, "event": None}]


def test_who_is_not_followed_after_the_prediction_has_no_answer() -> None:
    record = record_of([*stay(1, 48), *stay(2, 96), {"subject_id": 2, "time": at(70), "code": "X//outcome"}])
    cohort = apply(task_of(kind="survival", predict=PREDICT), record)
    assert cohort.samples.frame["subject_id"].to_list() == [2]


def test_asked_at_every_visit_each_answer_is_the_time_that_is_left() -> None:
    visits = [{"subject_id": 1, "time": at(24 * day), "code": "X//visit"} for day in (0, 30, 60, 90)]
    record = record_of(
        [*visits, {"subject_id": 1, "time": at(24 * 75), "code": "X//outcome"}, *stay(2, 24 * 40)]
    )
    asked = {"event": ["X//visit", "ENCOUNTER//inpatient//START"], "which": "every"}
    landmarks = task_of(
        kind="survival", prediction_time=asked, predict=PREDICT, exclude=[{"event": ["X//outcome"]}]
    )
    frame = apply(landmarks, record).samples.frame
    assert frame["group"].to_list() == [1, 1, 1, 2]  # day 90 comes after the event, and is not asked
    assert frame["label"].to_list() == [
        {"time": 75.0, "event": "event"},
        {"time": 45.0, "event": "event"},
        {"time": 15.0, "event": "event"},
        {"time": 40.0, "event": None},
    ]


def test_the_question_names_events_and_horizons_in_its_unit() -> None:
    question = task_of(kind="survival", predict=PREDICT).question
    assert (question.outputs, question.horizons, question.unit) == (("event",), (7.0, 30.0), "d")


@pytest.mark.parametrize(
    ("kind", "predict", "said"),
    [
        ("survival", {"event": ["X//outcome"], "within": "30d", "unit": "d"}, "needs horizons"),
        ("survival", {"event": ["X//outcome"], "horizons": ["30d"]}, "a unit"),
        ("survival", {"event": ["X//outcome"], "horizons": ["30d"], "unit": "mg/dL"}, "a unit"),
        (
            "survival",
            {"value": ["X//outcome"], "horizons": ["30d"], "unit": "d"},
            "exactly one of: event, classes",
        ),
        ("binary", {"event": ["X//outcome"], "horizons": ["30d"]}, "horizons are of survival"),
    ],
)
def test_half_a_question_is_refused(kind: str, predict: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        task_of(kind=kind, predict=predict)
