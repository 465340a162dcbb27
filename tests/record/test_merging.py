"""Versions of a resource: the old ends when the new is seen, a retraction ends, and nothing is forgotten."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from medloom.record.record import Record
from tests.record.sources import Listed, facts, glucose, new_site


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record.open(new_site(tmp_path))


def day(number: int) -> datetime:
    return datetime(2020, 1, number)


def result(value: float, known: int, **more: Any) -> dict[str, Any]:
    """Make a version of one resource, as known on a day."""
    return glucose("a", 1, value, key="Observation/1", known_time=day(known)) | more


def values(record: Record) -> list[tuple[float, datetime | None]]:
    return list(record.events().sort("known_time", "part").select("numeric_value", "known_until").iter_rows())


def test_a_changed_resource_ends_the_old_row_when_the_new_is_seen(record: Record) -> None:
    record.add(Listed(facts(result(1, 2))))
    report = record.add(Listed(facts(result(2, 5))))
    assert (report.written, report.superseded) == (1, 1)
    assert values(record) == [(1.0, day(5)), (2.0, None)]


def test_versions_in_one_file_end_each_other_in_order(record: Record) -> None:
    record.add(Listed(facts(result(1, 2), result(2, 5), result(3, 7))))
    assert values(record) == [(1.0, day(5)), (2.0, day(7)), (3.0, None)]


def test_an_older_export_read_once_more_is_no_news(record: Record) -> None:
    record.add(Listed(facts(result(1, 2))))
    record.add(Listed(facts(result(2, 5))))
    before = values(record)
    report = record.add(Listed(facts(result(1, 2))))
    assert (report.written, report.duplicates, report.superseded) == (0, 1, 0)
    assert values(record) == before


def test_a_part_that_the_new_version_lacks_ends(record: Record) -> None:
    record.add(Listed(facts(result(120, 2, part=0, row=1), result(80, 2, part=1, row=1))))
    record.add(Listed(facts(result(130, 5, part=0, row=1))))
    assert values(record) == [(120.0, day(5)), (80.0, day(5)), (130.0, None)]


def test_an_unchanged_part_of_a_changed_resource_stays(record: Record) -> None:
    record.add(Listed(facts(result(120, 2, part=0, row=1), result(80, 2, part=1, row=1))))
    report = record.add(Listed(facts(result(130, 2, part=0, row=1), result(80, 2, part=1, row=1))))
    assert (report.written, report.duplicates, report.superseded) == (1, 1, 1)
    current = record.events().filter(pl.col("known_until").is_null())
    assert sorted(current["numeric_value"]) == [80.0, 130.0]


def test_a_retraction_ends_the_row_and_is_kept_as_ended(record: Record) -> None:
    record.add(Listed(facts(result(1, 2))))
    report = record.add(Listed(facts(result(1, 6, retracted=True))))
    assert (report.written, report.retracted, report.superseded) == (1, 1, 1)
    assert values(record) == [(1.0, day(6)), (1.0, day(6))]
    again = record.add(Listed(facts(result(1, 6, retracted=True))))
    assert (again.written, again.duplicates) == (0, 1)


def test_a_statement_and_its_retraction_in_one_file(record: Record) -> None:
    record.add(Listed(facts(result(1, 2), result(1, 6, retracted=True))))
    assert record.events()["known_until"].to_list() == [day(6), day(6)]


def test_resources_of_other_subjects_and_names_are_left_alone(record: Record) -> None:
    other = glucose("b", 1, 1.0, key="Observation/1", known_time=day(2))
    record.add(Listed(facts(result(1, 2), other, result(1, 2, key="Observation/2"))))
    report = record.add(Listed(facts(result(2, 5))))
    assert report.superseded == 1
    assert record.events()["known_until"].null_count() == 3


def test_many_changed_resources_are_ended_at_once(record: Record) -> None:
    def export(value: float, known: int) -> Listed:
        rows = [
            glucose("a", 1 + n % 9, value, key=f"Observation/{n}", known_time=day(known)) for n in range(500)
        ]
        return Listed(facts(*rows))

    record.add(export(1.0, 10))
    report = record.add(export(2.0, 12))
    assert (report.written, report.superseded) == (500, 500)
    ended = record.events().filter(pl.col("known_until").is_not_null())
    assert ended["numeric_value"].unique().to_list() == [1.0]
    assert ended["known_until"].unique().to_list() == [day(12)]


def test_equal_facts_without_a_name_are_told_apart_by_their_number(record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1), glucose("a", 1))))
    assert record.events()["part"].to_list() == [0, 1]
    report = record.add(Listed(facts(glucose("a", 1), glucose("a", 1), glucose("a", 1))))
    assert (report.written, report.duplicates) == (1, 2)


def test_a_part_without_a_name_does_not_count(record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1, part=3))))
    report = record.add(Listed(facts(glucose("a", 1, part=3), glucose("a", 1, part=3))))
    assert (report.written, report.duplicates) == (1, 1)


def test_an_undated_fact_is_known_when_the_end_of_its_encounter_is(record: Record) -> None:
    evening = datetime(2020, 1, 5, 23, 59, 59, 999999)
    end = {"patient": "a", "time": day(5), "code": "ENCOUNTER//inpatient//END", "encounter": "e"}
    diagnosis = {"patient": "a", "code": "ICD10CM//I10", "encounter": "e"}
    late = diagnosis | {"code": "ICD10CM//E11", "known_time": day(9)}
    record.add(Listed(facts(end | {"known_time": evening}, diagnosis, late)))
    known = record.events().sort("code").select("code", "time", "known_time").rows()
    assert known == [
        ("ENCOUNTER//inpatient//END", day(5), evening),
        ("ICD10CM//E11", day(5), day(9)),
        ("ICD10CM//I10", day(5), evening),
    ]


def sex(code: str, **more: Any) -> dict[str, Any]:
    return {"patient": "a", "code": f"GENDER//{code}", "static": True, "key": "Patient/a"} | more


def test_a_changed_static_fact_ends_the_old_one(record: Record) -> None:
    record.add(Listed(facts(sex("M"))))
    assert record.add(Listed(facts(sex("F")))).superseded == 1
    current = record.events().filter(pl.col("known_until").is_null())
    assert current["code"].to_list() == ["GENDER//F"]


def test_a_retracted_static_fact_is_ended(record: Record) -> None:
    record.add(Listed(facts(sex("M"))))
    assert record.add(Listed(facts(sex("M", retracted=True)))).superseded == 1
    assert record.events()["known_until"].null_count() == 0
    assert record.add(Listed(facts(sex("M", retracted=True)))).duplicates == 1


def updated(value: float, changed: int, **more: Any) -> dict[str, Any]:
    """Make a version whose own dates never change, and which its source changed on a day."""
    return glucose("a", 1, value, key="Condition/1", known_time=day(2), updated=day(changed)) | more


def test_a_version_that_replaces_another_is_known_when_its_source_changed_it(record: Record) -> None:
    record.add(Listed(facts(updated(1, 4))))
    record.add(Listed(facts(updated(2, 9))))
    rows = record.events().sort("numeric_value").select("known_time", "known_until").rows()
    assert rows == [(day(2), day(9)), (day(9), None)]  # what came first may have been moved since


def test_an_export_read_again_whose_resources_were_only_touched_is_no_news(record: Record) -> None:
    record.add(Listed(facts(updated(1, 4))))
    record.add(Listed(facts(updated(2, 9))))
    for again in (updated(1, 4), updated(2, 9), updated(2, 20)):
        report = record.add(Listed(facts(again)))
        assert (report.written, report.duplicates) == (0, 1)


def test_what_was_said_first_may_be_said_again_later(record: Record) -> None:
    for value, changed in ((1, 4), (2, 9), (1, 12)):
        record.add(Listed(facts(updated(value, changed))))
    rows = record.events().sort("known_time").select("numeric_value", "known_time", "known_until").rows()
    assert rows == [(1, day(2), day(9)), (2, day(9), day(12)), (1, day(12), None)]


def test_versions_of_one_file_come_back_too(record: Record) -> None:
    record.add(Listed(facts(updated(1, 4), updated(1, 5), updated(2, 9), updated(1, 12))))
    rows = record.events().sort("known_time").select("numeric_value", "known_time", "known_until").rows()
    assert rows == [(1, day(2), day(9)), (2, day(9), day(12)), (1, day(12), None)]


def test_a_retraction_without_any_date_holds_from_its_import(record: Record) -> None:
    record.add(Listed(facts(updated(1, 4))))
    gone = {"patient": "a", "code": "RETRACTED", "key": "Condition/1", "retracted": True}
    for stay in ({}, {"encounter": "without an end"}):
        report = record.add(Listed(facts(gone | stay)), now=day(20))
        assert report.quarantined == 0
        assert report.balanced
        stood = record.events().filter(pl.col("code") != "RETRACTED")
        assert stood["known_until"].to_list() == [day(20)]
    later = record.add(Listed(facts(gone)), now=day(25))
    assert (later.written, later.duplicates) == (0, 1)
