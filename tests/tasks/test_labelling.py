"""Putting tasks to records: who is asked, when, and what the answer is, each computed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.site import Site
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from tests.tasks.builders import at, record_of, stay, task_of


def labels(rows: list[dict[str, Any]], **parts: Any) -> list[Any]:
    return apply(task_of(**parts), record_of(rows)).samples.frame["label"].to_list()


def times(rows: list[dict[str, Any]], **parts: Any) -> list[datetime]:
    return apply(task_of(**parts), record_of(rows)).samples.frame["prediction_time"].to_list()


def event(code: str, hours: float, subject: int = 1, **more: Any) -> dict[str, Any]:
    return {"subject_id": subject, "time": at(hours), "code": code, **more}


OUTCOME = event("X//outcome", 60)


def test_an_outcome_counts_after_the_moment_up_to_the_horizon_inclusive() -> None:
    rows = [row for subject in (1, 2, 3, 4) for row in stay(subject)]
    outcomes = [
        event("X//outcome", hours, subject) for subject, hours in ((1, 48), (2, 48.01), (3, 96), (4, 96.01))
    ]
    assert labels([*rows, *outcomes]) == [False, True, True, False]


def test_a_retracted_outcome_is_no_outcome() -> None:
    retracted = event("X//outcome", 60, known_until=at(200))
    assert labels([*stay(1), *stay(2), retracted, event("X//outcome", 60, 2)]) == [False, True]


def test_the_dead_are_not_asked() -> None:
    rows = [*stay(1), *stay(2), event("MEDS_DEATH", 40), OUTCOME | {"subject_id": 2}]
    cohort = apply(task_of(), record_of(rows))
    assert cohort.samples.frame["subject_id"].to_list() == [2]
    assert [(step.step.en, step.samples) for step in cohort.flow[:3]] == [
        ("subjects in the record", 2),
        ("moments of prediction", 2),
        ("alive at the moment", 1),
    ]


def test_first_last_and_every_event() -> None:
    rows = [event("X//visit", hours) for hours in (0, 100, 200)] + [event("X//outcome", 210)]
    for which, expected in (("first", [0]), ("last", [200]), ("every", [0, 100, 200])):
        found = times(rows, prediction_time={"event": ["X//visit"], "which": which})
        assert found == [at(hours) for hours in expected]


def test_a_question_every_day_until_the_stay_ends() -> None:
    rows = [*stay(1, hours=73), OUTCOME]
    when = {
        "event": ["ENCOUNTER//inpatient//START"],
        "offset": "24h",
        "every": "24h",
        "until": ["ENCOUNTER//inpatient//END"],
    }
    assert times(rows, prediction_time=when) == [at(24), at(48), at(72)]
    assert times(rows, prediction_time=when | {"at_most": 2}) == [at(24), at(48)]


def test_the_end_of_the_same_encounter_counts_not_of_another() -> None:
    rows = [
        *stay(1, hours=100, encounter=1),
        {"subject_id": 1, "time": at(50), "code": "ENCOUNTER//inpatient//END", "encounter": 2},
        event("X//outcome", 80),
    ]
    until = {"event": ["X//outcome"], "until": ["ENCOUNTER//inpatient//END"]}
    assert labels(rows, predict=until) == [True]


def test_a_stay_that_is_over_or_has_no_known_end_is_not_asked() -> None:
    over = stay(1, hours=40)
    endless = stay(2)[:1]
    rows = [*over, *endless, *stay(3), event("X//outcome", 80, 3)]
    until = {"event": ["X//outcome"], "until": ["ENCOUNTER//inpatient//END"]}
    frame = apply(task_of(predict=until), record_of(rows)).samples.frame
    assert frame["subject_id"].to_list() == [3]


@pytest.mark.parametrize(
    ("take", "expected"), [("first", 2.0), ("last", 4.0), ("max", 9.0), ("min", 2.0), ("mean", 5.0)]
)
def test_the_value_of_a_regression(take: str, expected: float) -> None:
    rows = [*stay(1)] + [
        event("X//lab", 49 + n, numeric_value=value) for n, value in enumerate((2.0, 9.0, 4.0))
    ]
    rows += [event("X//lab", 10, numeric_value=100.0), event("X//lab", 97, numeric_value=100.0)]
    predict = {"value": ["X//lab"], "take": take, "within": "48h"}
    assert labels(rows, kind="regression", predict=predict) == [expected]


def test_who_has_no_value_has_no_answer() -> None:
    rows = [*stay(1), *stay(2), event("X//lab", 49, numeric_value=1.0)]
    predict = {"value": ["X//lab"], "within": "48h"}
    assert labels(rows, kind="regression", predict=predict) == [1.0]


def test_the_time_to_an_event() -> None:
    predict = {"time_to": ["ENCOUNTER//inpatient//END"], "unit": "d"}
    assert labels(stay(1, hours=120), kind="regression", predict=predict) == [3.0]


def test_the_class_that_comes_first() -> None:
    rows = [*stay(1), *stay(2), *stay(3), event("X//a", 60), event("X//b", 55), event("X//b", 70, 2)]
    predict = {"classes": {"a": ["X//a"], "b": ["X//b"]}, "within": "48h"}
    assert labels(rows, kind="multiclass", predict=predict) == ["b", "b"]


def test_all_labels_that_happen() -> None:
    rows = [*stay(1), *stay(2), *stay(3), event("X//a", 60), event("X//b", 55), event("X//b", 70, 2)]
    predict = {"classes": {"a": ["X//a"], "b": ["X//b"]}, "within": "48h"}
    assert labels(rows, kind="multilabel", predict=predict) == [["a", "b"], ["b"], []]


def test_who_was_not_followed_long_enough_has_no_answer() -> None:
    rows = [row for subject in (1, 2, 3, 4) for row in stay(subject, hours=50)]
    rows += [event("X//outcome", 60, 1), event("X//anything", 97, 2), event("MEDS_DEATH", 60, 4)]
    frame = apply(task_of(censor={}), record_of(rows)).samples.frame
    # 1 had the outcome, 2 was seen after the horizon, 4 died; nothing is known of 3
    assert frame["subject_id"].to_list() == [1, 2, 4]
    assert frame["label"].to_list() == [True, False, False]


CENSORED = [
    ({"time_to": ["X//outcome"], "within": "48h", "unit": "h"}, {"kind": "regression"}, [12.0]),
    ({"value": ["X//lab"], "within": "48h"}, {"kind": "regression"}, [7.0]),
    ({"value": ["X//lab"], "within": "48h", "take": "max"}, {"kind": "regression"}, []),
    (
        {"classes": {"a": ["X//outcome"], "b": ["X//b"]}, "within": "48h"},
        {"kind": "multiclass"},
        ["a"],
    ),
    (
        {"classes": {"a": ["X//outcome"], "b": ["X//b"]}, "within": "48h"},
        {"kind": "multilabel"},
        [],
    ),
]


@pytest.mark.parametrize(("predict", "parts", "expected"), CENSORED)
def test_an_answer_that_was_settled_before_follow_up_ended_stands(
    predict: dict[str, Any], parts: dict[str, Any], expected: list[Any]
) -> None:
    # 1 was answered and then lost sight of; the others were followed to the end
    rows = [*stay(1, hours=50), event("X//outcome", 60), event("X//lab", 60, numeric_value=7)]
    rows += [*stay(2, hours=50), event("X//b", 20, 2), event("X//b", 97, 2)]
    rows += [*stay(3), event("X//outcome", 60, 3), event("X//lab", 60, 3, numeric_value=8)]
    frame = apply(task_of(predict=predict, censor={}, **parts), record_of(rows)).samples.frame
    assert frame.filter(subject_id=1)["label"].to_list() == expected


def test_two_exclusions_of_one_code_are_two_steps() -> None:
    rows = [row for subject in (1, 2, 3) for row in stay(subject)]
    rows += [event("X//old", 1, 1), event("X//old", 47, 2), event("X//outcome", 60, 3)]
    exclude = [{"event": ["X//old"], "within": "12h"}, {"event": ["X//old"]}]
    flow = apply(task_of(exclude=exclude), record_of(rows)).flow
    assert [(step.step.en, step.samples) for step in flow][3:5] == [
        ("without X//old in 12h before", 2),
        ("without X//old before", 1),
    ]
    reason = {"en": "new", "zh": "新"}
    flow = apply(task_of(exclude=[one | {"reason": reason} for one in exclude]), record_of(rows)).flow
    assert [(step.step, step.samples) for step in flow][3:5] == [
        (("new", "新"), 2),
        (("new (2)", "新（2）"), 1),
    ]


class WithUnits(Importer):
    """Hands over two stays and a laboratory value of the second day in each of two codes."""

    name = "units"

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        rows = [
            (patient, at(hours), code, value, unit)
            for patient in ("a", "b")
            for hours, code, value, unit in (
                (0, "ENCOUNTER//inpatient//START", None, None),
                (60, "LOINC//2160-0", 1.0, "mg/dL"),
                (70, "X//weight", 2.0, "kg"),
            )
        ]
        names = ["patient", "time", "code", "numeric_value", "unit"]
        yield Batch(pl.DataFrame(rows, schema=names, orient="row"), 1)


def test_a_value_is_given_in_the_unit_the_task_asks_for(tmp_path: Path) -> None:
    record = Site.create(tmp_path / "site").record
    record.add(WithUnits())

    def asked(codes: list[str], unit: str | None) -> Samples:
        predict = {"value": codes, "within": "48h", "unit": unit}
        return apply(task_of(kind="regression", predict=predict), record).samples

    samples = asked(["LOINC//2160-0"], "umol/L")
    assert samples.frame["label"].to_list() == pytest.approx([88.4, 88.4], rel=1e-3)
    assert samples.question.unit == "umol/L"
    assert asked(["X//weight"], None).question.unit == "kg"
    assert asked(["X//weight"], "g").frame["label"].to_list() == [2000, 2000]
    with pytest.raises(InputError, match="cannot be converted"):
        asked(["X//weight"], "mg/dL")
    with pytest.raises(InputError, match=r"different units \(kg, mg/dL\)"):
        asked(["X//weight", "LOINC//2160-0"], None)


@pytest.mark.parametrize(
    ("hours", "expected"), [(72 - 1e-6 / 3600, True), (71, False), (96 - 1e-6 / 3600, False)]
)
def test_a_death_dated_by_the_day_counts_on_the_day_the_stay_ended(hours: float, expected: bool) -> None:
    # the stay ends at 62 h, on the third day; by the hour, 71 h is after it
    rows = [*stay(1, hours=62), *stay(2, hours=62), event("MEDS_DEATH", hours), event("MEDS_DEATH", 61, 2)]
    predict = {"event": ["MEDS_DEATH"], "until": ["ENCOUNTER//inpatient//END"]}
    assert labels(rows, predict=predict) == [expected, True]


def test_exclusion_looks_at_what_was_visible() -> None:
    rows = [row for subject in (1, 2, 3) for row in stay(subject)]
    rows += [event("X//prior", 10, 1), event("X//prior", 10, 2, known_time=at(60)), OUTCOME]
    frame = apply(task_of(exclude=[{"event": ["X//prior"]}]), record_of(rows)).samples.frame
    assert frame["subject_id"].to_list() == [2, 3]


def test_population_by_age_sex_history_and_facts() -> None:
    rows = [row for subject in (1, 2, 3) for row in stay(subject)]
    for subject, years, sex in ((1, 70, "F"), (2, 17, "F"), (3, 40, "M")):
        born = at(0) - timedelta(days=365.2425 * years)
        rows += [
            {"subject_id": subject, "time": born, "code": "MEDS_BIRTH"},
            {"subject_id": subject, "time": None, "code": f"GENDER//{sex}"},
        ]
    rows += [event("X//old", -24 * 400, 3), OUTCOME]

    def asked(**population: Any) -> list[int]:
        frame = apply(task_of(population=population), record_of(rows)).samples.frame
        return frame["subject_id"].to_list()

    assert asked(min_age=18) == [1, 3]
    assert asked(max_age=18) == [2]
    assert asked(sex="F") == [1, 2]
    assert asked(history="1y") == [3]
    assert asked(has=["X//old"]) == [3]


def test_a_star_matches_any_ending() -> None:
    rows = [*stay(1), event("ICD10CM//I21.4", 60)]
    assert labels(rows, predict={"event": ["ICD10CM//I21*"], "within": "48h"}) == [True]


def test_split_by_a_fact() -> None:
    rows = [row for subject in range(1, 101) for row in stay(subject)]
    rows += [event("X//outcome", 60, subject) for subject in range(1, 101, 4)]
    sites = {subject: "a" if subject <= 60 else "b" if subject <= 90 else "c" for subject in range(1, 101)}
    rows += [
        {"subject_id": subject, "time": None, "code": f"SITE//{site}"} for subject, site in sites.items()
    ]
    split = {"by": "fact", "train": ["SITE//a"], "held_out": ["SITE//b"]}
    frame = apply(task_of(split=split), record_of(rows)).samples.frame
    assert set(frame.filter(pl.col("split") == "held_out")["subject_id"]) == set(range(61, 91))
    assert set(frame.filter(pl.col("split") != "held_out")["subject_id"]) == set(range(1, 61))
    assert 0 < frame.filter(pl.col("split") == "tuning").height < 30


def test_split_by_time_trains_on_nothing_from_the_test_period() -> None:
    rows = [row for subject in range(1, 41) for row in stay(subject)]
    late = [
        row | {"time": row["time"] + timedelta(days=100)}
        for subject in (1, 41)
        for row in stay(subject, encounter=2)
    ]
    rows += [*late, OUTCOME]
    split = {"by": "time", "held_out_from": date(2020, 8, 1)}
    frame = apply(task_of(split=split), record_of(rows)).samples.frame
    assert frame.filter(pl.col("split") == "held_out")["subject_id"].to_list() == [41]
    assert (
        frame.filter(pl.col("subject_id") == 1).height == 1
    )  # what was asked of a training patient later is dropped


def test_the_hash_split_stands_when_patients_are_added() -> None:
    def split(n: int) -> dict[int, str]:
        rows = [row for subject in range(1, n) for row in stay(subject)] + [OUTCOME]
        frame = apply(task_of(), record_of(rows)).samples.frame
        return dict(frame.select("subject_id", "split").iter_rows())

    few, many = split(50), split(300)
    assert all(many[subject] == name for subject, name in few.items())


def test_nobody_to_ask_is_an_error_that_shows_the_flow() -> None:
    with pytest.raises(InputError, match="alive at the moment: 0"):
        apply(task_of(), record_of([*stay(1), event("MEDS_DEATH", 1), OUTCOME]))
