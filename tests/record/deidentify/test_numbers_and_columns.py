"""Surrogates have a right check where the words had one; a column tells its cells; a report says where to look."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from medloom.record.deidentify.checking import is_card, is_citizen_number, is_vehicle, luhn_check
from medloom.record.deidentify.dates import shifted, year_of
from medloom.record.deidentify.folders import Settings, deidentify_folder
from medloom.record.deidentify.replacing import replaced
from medloom.record.deidentify.surrogates import Surrogates

KEY = bytes(range(32))


@pytest.mark.parametrize("patient", ["P1", "P2", "P3"])
def test_checks_stay_right(patient: str) -> None:
    drawn = Surrogates(KEY, patient)
    assert is_citizen_number(drawn.of("citizen_number", "11010519491231002X"))
    assert is_card(drawn.of("account", "4111-1111-1111-1111"))
    assert is_vehicle(drawn.of("vehicle", "1M8GDM9AXKP042788"))
    prescriber = drawn.of("licence", "1234567893")
    assert luhn_check("80840" + prescriber[:-1]) == prescriber[-1]


def test_numbers_that_somebody_may_have_are_not_made() -> None:
    for patient in map(str, range(20)):
        drawn = Surrogates(KEY, patient)
        assert drawn.of("social_security", "123-45-6789").startswith("9")
        assert "555-01" in drawn.of("phone", "(412) 555-7788")
        assert drawn.of("phone", "138 1234 5678")[:2] in {f"1{one}" for one in "3456789"}


def test_a_person_is_one_by_surname_and_by_whole_name() -> None:
    drawn = Surrogates(KEY, "P1")
    first, last = drawn.of("name", "Ann Lee").split()
    assert drawn.of("name", "Lee") == last
    assert drawn.of("name", "Lee, Ann") == f"{last}, {first}"
    assert drawn.of("name", "李建国")[0] == drawn.of("name", "李")


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("5th of March, 2024", "15th of March, 2024"),
        ("05-MAR-24", "15-MAR-24"),
        ("25.12.2023", "4.1.2024"),
        ("20231225", "20240104"),
        ("03-05-2024", "03-15-2024"),
        ("二〇二三年十二月二十五日", "二〇二四年一月四日"),
        ("三月五日", "三月十五日"),
        ("May of 2024", "May of 2024"),
        ("05/2024", "05/2024"),
    ],
)
def test_every_form_of_a_date_moves(written: str, moved: str) -> None:
    assert shifted(written, 10) == moved


def test_the_year_is_read_of_every_form() -> None:
    assert [year_of(one) for one in ("20231225", "二〇二三年十二月", "5 May")] == ["2023", "2023", None]


def test_intervals_stay_where_dates_move() -> None:
    drawn = Surrogates(KEY, "P1")
    made = replaced("Seen 2024-03-05, again 2024年3月15日.", drawn, "date-shifted").text
    first, second = shifted("2024-03-05", drawn.days), shifted("2024年3月15日", drawn.days)
    assert first is not None and first in made and second is not None and second in made
    assert shifted(first, 10) == shifted("2024-03-15", drawn.days)


def test_a_column_says_what_its_cells_are(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    frame = pl.DataFrame(
        {
            "patient_name": ["Chidi Okoro", "张伟"],
            "mrn": [12345678, 87654321],
            "age": [95, 40],
            "sodium": [138, 140],
            "phone": ["87654321", None],
            "zip": ["82001", "83101"],
        }
    )
    frame.write_parquet(source / "t.parquet")
    done = deidentify_folder(source, tmp_path / "out", Settings(), KEY)
    made = pl.read_parquet(tmp_path / "out" / "000001.parquet")
    assert made["patient_name"].to_list() == ["[NAME]", "[NAME]"]
    assert made["mrn"].to_list() == ["[RECORD_NUMBER]", "[RECORD_NUMBER]"]
    assert made["age"].to_list() == ["90+", "40"]
    assert made["sodium"].to_list() == [138, 140]
    assert made["phone"].to_list() == ["[PHONE]", None]
    assert made["zip"].to_list() == ["820", "000"]
    assert done.counts["record_number"] == 2


def test_the_report_says_where_to_look_and_not_what_stands_there(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Dr. Ann Lee came. He met old Giles Winterbourne there, file 889123.", encoding="utf-8")
    deidentify_folder(note, tmp_path / "out", Settings(), KEY)
    written = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    assert not any(words in written for words in ("Giles", "Winterbourne", "889123", "Ann"))
    report, text = json.loads(written), (tmp_path / "out" / "000001.txt").read_text(encoding="utf-8")
    look = {(text[start:end], why) for start, end, why in report["look_at"]["000001.txt"]}
    assert ("Giles Winterbourne", "capitals") in look
    assert report["doubts"]["capitals"] == 1
