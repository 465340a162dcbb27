"""Real small files of every kind, imported through mappings."""

import gzip
import io
import os
import tarfile
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from medloom.foundation.errors import InputError, MedloomError, NotFoundError, StorageError
from medloom.record.importers.table import TableImporter, problems
from medloom.record.importers.table.mapping import parse_mapping
from medloom.record.importing import Batch, ImportContext, as_batch_frame
from medloom.record.record import Record
from tests.record.sources import KEY, new_site

WIDE = """\
tables:
  - files: [{{glob: "**/*"}}]
    subject: {{column: id}}
    time: {{column: time}}
    {more}
    columns:
      hr: {{code: LOINC//8867-4, unit: /min}}
      note: {{text: true}}
"""
LONG = """\
code_system: LAB
tables:
  - files: [{{glob: "**/*"}}]
    subject: {{column: id}}
    time: {{column: time}}
    long: {{code: test, value: result, unit: unit{more}}}
"""


class Imported:
    """What an import gave, in one frame."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.facts = pl.concat([as_batch_frame(batch.facts) for batch in batches])
        self.records = sum(batch.records for batch in batches)
        self.notes: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        for batch in batches:
            self.notes.update(batch.notes)
            self.passed_over.update(batch.passed_over)

    def rows(self, *columns: str) -> list[tuple[object, ...]]:
        return self.facts.sort("file", "row", maintain_order=True).select(columns).rows()


def read(path: Path, mapping: str, zone: str = "UTC") -> Imported:
    file = path.parent / ".mapping.yaml"
    file.write_text(mapping, encoding="utf-8")
    return Imported(list(TableImporter(path, file).batches(ImportContext(zone))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


def wide(more: str = "") -> str:
    return WIDE.format(more=more or "role: observation")


def long(more: str = "") -> str:
    return LONG.format(more=more)


def looks_like(shape: str) -> str:
    return f"{problems.UNREADABLE} (it looks like {shape})"


# what a cell becomes


def test_a_wide_row_gives_a_fact_a_filled_column(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,note\n1,2020-01-01 08:00,72,calm\n1,2020-01-01 09:00,,\n2,2020-01-02 08:00, 80 ,NA\n"
    )
    found = read(folder / "a.csv", wide())
    assert found.rows("patient", "time", "code", "numeric_value", "text_value", "unit", "row") == [
        ("1", datetime(2020, 1, 1, 8), "LOINC//8867-4", 72.0, None, "/min", 1),
        ("1", datetime(2020, 1, 1, 8), "LOCAL//note", None, "calm", None, 1),
        ("2", datetime(2020, 1, 2, 8), "LOINC//8867-4", 80.0, None, "/min", 3),
    ]
    assert found.records == 3
    assert found.passed_over == {problems.NO_VALUE: 1}


def test_a_long_row_gives_its_code_value_and_unit(folder: Path) -> None:
    (folder / "a.tsv").write_text(
        "id\ttime\ttest\tresult\tunit\n1\t2020-01-01 08:00\tNA\t>500\tmmol/L\n1\t2020-01-01 08:00\tHBsAg\t阳性\t\n"
        "1\t2020-01-01 08:00\tLOINC//2160-0\t1,5\tmg/dL\n1\t2020-01-01 08:00\tK\t未查\t\n1\t2020-01-01 08:00\t\t5\t\n",
        encoding="utf-8",
    )
    found = read(folder / "a.tsv", long())
    assert found.rows("code", "numeric_value", "text_value", "unit", "problem") == [
        ("LAB//NA", 500.0, ">500", "mmol/L", None),  # NA is a test here, and missing only as a value
        ("LAB//HBsAg", None, "阳性", None, None),
        ("LOINC//2160-0", None, "1,5", "mg/dL", None),
        (None, 5.0, None, None, problems.NO_CODE),
    ]
    assert found.notes == {problems.DOUBTFUL: 1}
    assert found.passed_over == {problems.NO_VALUE: 1}


def test_a_row_without_a_value_can_be_a_fact(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,test,result,unit\n1,2020-01-01,surgery,,\n")
    assert read(folder / "a.csv", long()).facts.is_empty()
    assert read(folder / "a.csv", long(", keep_empty: true")).rows("code") == [("LAB//surgery",)]


def test_listed_codes_change_single_codes_and_others_can_be_passed_over(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,test,result,unit\n1,2020-01-01,Na,140,\n1,2020-01-01,ID,9,\n1,2020-01-01,K,-1,\n"
        "1,2020-01-01,Cl,100,\n1,2020-01-01,K,4,\n"
    )
    sodium = "Na: {code: LOINC//2951-2, unit: mmol/L}"
    codes = f"codes: {{{sodium}, ID: {{ignore: true}}, K: {{missing: [-1.0], when: result < 4}}}}"
    found = read(folder / "a.csv", long(f", {codes}"))
    assert found.rows("code", "unit") == [("LOINC//2951-2", "mmol/L"), ("LAB//Cl", None)]
    assert found.passed_over == {problems.IGNORED: 1, problems.NO_VALUE: 1, problems.UNMET: 1}
    assert read(folder / "a.csv", long(f", others: ignore, {codes}")).rows("code") == [("LOINC//2951-2",)]


def test_static_facts_have_no_time_and_stand_once(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,sex,group\n1,x,72,0.0,b\n1,x,73,0,b\n2,x,74,1,\n3,x,75,9,c\n")
    mapping = wide().replace("      note: {text: true}\n", "") + (
        "      sex: {static: true, code: SEX, values: {0: GENDER//F, 1: GENDER//M}}\n"
        "      group: {static: true, code: 'GROUP//{value}'}\n"
    )
    found = read(folder / "a.csv", mapping)
    static = found.facts.filter("static").sort("patient", "code")
    assert static.select(
        "patient", "time", "code", "numeric_value", "text_value", "role", "problem"
    ).rows() == [
        ("1", None, "GENDER//F", None, None, "demographic", None),
        ("1", None, "GROUP//b", None, None, "demographic", None),
        ("2", None, "GENDER//M", None, None, "demographic", None),
        ("3", None, "GROUP//c", None, None, "demographic", None),
        ("3", None, "LOCAL//SEX", 9.0, None, "demographic", None),
    ]
    assert found.notes == {problems.REPEATED: 2, problems.UNMAPPED: 1}
    assert found.facts.filter(~pl.col("static"))["problem"].to_list() == [looks_like("a")] * 4


def test_decimal_commas_and_groups_are_numbers_where_the_mapping_says_so(folder: Path) -> None:
    (folder / "a.csv").write_text("id;time;hr;note\n1;05.03.2021 08:00;1.234,5;1,5\n")
    found = read(folder / "a.csv", wide('decimal: ","\n    thousands: "."'))
    assert found.rows("time", "numeric_value", "text_value") == [
        (datetime(2021, 3, 5, 8), 1234.5, None),
        (datetime(2021, 3, 5, 8), None, "1,5"),  # a text column stays text
    ]


# when


def test_a_date_without_a_time_is_known_at_the_end_of_its_day(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,note\n1,2021年3月5日,72,\n1,2021-03-05 08:00,73,\n", encoding="utf-8"
    )
    assert read(folder / "a.csv", wide()).rows("time", "known_time") == [
        (datetime(2021, 3, 5), datetime(2021, 3, 5, 23, 59, 59, 999999)),
        (datetime(2021, 3, 5, 8), None),
    ]


def test_the_known_time_comes_from_its_column_and_an_unreadable_one_is_a_problem(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,note,stored\n1,2021-03-05 08:00,72,,2021-03-05 11:00\n1,2021-03-05 08:00,73,,2021-03-06\n"
        "1,2021-03-05 08:00,74,,later\n1,2021-03-05,75,,\n"
    )
    assert read(folder / "a.csv", wide("known: {column: stored}")).rows("known_time", "problem") == [
        (datetime(2021, 3, 5, 11), None),
        (datetime(2021, 3, 6, 23, 59, 59, 999999), None),
        (None, f"{problems.KNOWN_UNREADABLE} (it looks like aaaaa)"),
        (datetime(2021, 3, 5, 23, 59, 59, 999999), None),  # only the day is known, so at its end
    ]


def test_times_that_cannot_be_used_are_problems_that_keep_the_fact(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,note\n1,2020-02-30,72,\n1,2999-01-01,73,\n1,,74,\n,2020-01-01,75,\n1,03/04/2020,76,\n"
    )
    assert read(folder / "a.csv", wide()).rows("numeric_value", "problem", "row") == [
        (72.0, looks_like("9999-99-99"), 1),
        (73.0, problems.OUTSIDE, 2),
        (74.0, problems.NO_TIME, 3),
        (75.0, problems.NO_SUBJECT, 4),
        (76.0, problems.AMBIGUOUS, 5),
    ]


def test_an_unreadable_time_shows_its_shape_never_itself_and_few_shapes_are_told(folder: Path) -> None:
    spellings = ["Smith, 5th", "2021年13月", *("x" * n for n in range(1, 9))]
    (folder / "a.csv").write_text(
        "id;time;hr;note\n" + "".join(f"1;{spelling};72;\n" for spelling in spellings), encoding="utf-8"
    )
    told = [str(problem) for (problem,) in read(folder / "a.csv", wide()).rows("problem")]
    assert told[:3] == [looks_like("aaaaa, 9aa"), looks_like("9999a99a"), looks_like("a")]
    assert told[5:] == [problems.UNREADABLE] * 5


def test_a_zero_date_is_no_date_and_marks_of_a_table_are_added_to_the_known_ones(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,note\n1,0000-00-00,72,\n1,0000-00-00 00:00:00,73,NA\n1,2020-01-01,,-\n1,2020-01-01,NA,calm\n"
    )
    for more in ("", 'missing: ["-"]', 'missing: ["-", "0000-00-00"]'):
        found = read(folder / "a.csv", wide(more))
        assert found.rows("numeric_value", "text_value", "problem")[:2] == [
            (72.0, None, problems.NO_TIME),
            (73.0, None, problems.NO_TIME),
        ]
        assert found.rows("text_value")[2:] == ([("calm",)] if more else [("-",), ("calm",)])
    whole = (
        'missing: ["-"]\n' + wide()
    )  # of the whole mapping: instead of the known ones, but a blank is a blank
    assert read(folder / "a.csv", whole).rows("text_value") == [(None,), (None,), ("NA",), ("NA",), ("calm",)]


def test_a_fact_without_a_time_takes_the_end_of_its_encounter(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,note,stay\n1,,72,,77\n")
    assert read(folder / "a.csv", wide("encounter: stay")).rows("time", "static", "encounter", "problem") == [
        (None, False, "77", None)
    ]


def test_moments_with_a_zone_become_the_site_s_wall_clock(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,note\n1,2021-03-05T00:30:00Z,72,\n")
    assert read(folder / "a.csv", wide(), "Asia/Shanghai").rows("time") == [(datetime(2021, 3, 5, 8, 30),)]


def test_offsets_count_from_a_joined_moment(folder: Path) -> None:
    (folder / "labs.csv").write_text("id,stay,hours,hr\n1,10,-1.5,72\n1,11,2,73\n2,99,2,74\n")
    (folder / "stays.csv").write_text("stay,admitted\n10,2020-01-01 12:00\n11,2021-01-01\n")
    mapping = """\
tables:
  - files: [{glob: labs.csv}]
    join: [{glob: stays.csv, on: stay, columns: admitted}]
    subject: {column: id}
    base: {column: admitted}
    time: {column: hours, offset: hours}
    encounter: stay
    columns: {hr: {}}
"""
    found = read(folder, mapping)
    assert found.rows("time", "encounter", "problem") == [
        (datetime(2020, 1, 1, 10, 30), "10", None),
        (datetime(2021, 1, 1, 2), "11", None),
        (None, "99", problems.NO_BASE),
    ]
    assert found.notes == {problems.UNJOINED: 1}


def test_a_join_to_several_rows_is_refused(folder: Path) -> None:
    (folder / "labs.csv").write_text("id,stay,hr\n1,10,72\n")
    (folder / "stays.csv").write_text("stay,admitted\n10,2020-01-01\n10,2021-01-01\n")
    mapping = """\
tables:
  - files: [{glob: labs.csv}]
    join: [{glob: stays.csv, on: stay, columns: admitted}]
    subject: {column: id}
    time: {column: admitted}
    columns: {hr: {}}
"""
    with pytest.raises(InputError, match="several rows with the same stay"):
        read(folder, mapping)
    (folder / "stays.csv").unlink()
    with pytest.raises(InputError, match=r"joins 'stays\.csv'"):
        read(folder, mapping)


def test_events_happen_once_a_row_or_once_a_subject_and_only_on_condition(folder: Path) -> None:
    (folder / "stays.csv").write_text(
        "id,stay,born,admitted,left,died,days\n"
        "1,10,1950-01-02,2020-01-01 10:00,2020-01-05 11:00,0,4\n"
        "1,11,1950-01-02,2021-01-01 10:00,,0,\n"
        "2,12,1960-01-02,2021-01-01 10:00,2021-01-03,1,2\n"
    )
    mapping = """\
tables:
  - files: [{glob: "*.csv"}]
    subject: {column: id}
    encounter: stay
    key: stay
    base: {column: admitted}
    time: {column: admitted}
    events:
      - {code: MEDS_BIRTH, at: {column: born}, each: subject, role: demographic}
      - {code: ENCOUNTER//inpatient//START}
      - {code: ENCOUNTER//inpatient//END, at: {column: left}, value: days, unit: d}
      - {code: MEDS_DEATH, at: {column: days, offset: days, end_of_day: true}, when: died == 1}
"""
    found = read(folder, mapping)
    rows = (
        found.facts.sort("row", "part")
        .select("patient", "code", "time", "role", "key", "part", "numeric_value")
        .rows()
    )
    assert rows == [
        ("1", "MEDS_BIRTH", datetime(1950, 1, 2), "demographic", "*.csv/10", 1, None),
        ("1", "ENCOUNTER//inpatient//START", datetime(2020, 1, 1, 10), "encounter", "*.csv/10", 2, None),
        ("1", "ENCOUNTER//inpatient//END", datetime(2020, 1, 5, 11), "encounter", "*.csv/10", 3, 4.0),
        ("1", "ENCOUNTER//inpatient//START", datetime(2021, 1, 1, 10), "encounter", "*.csv/11", 2, None),
        ("2", "MEDS_BIRTH", datetime(1960, 1, 2), "demographic", "*.csv/12", 1, None),
        ("2", "ENCOUNTER//inpatient//START", datetime(2021, 1, 1, 10), "encounter", "*.csv/12", 2, None),
        ("2", "ENCOUNTER//inpatient//END", datetime(2021, 1, 3), "encounter", "*.csv/12", 3, 2.0),
        ("2", "MEDS_DEATH", datetime(2021, 1, 3, 23, 59, 59, 999999), "observation", "*.csv/12", 4, None),
    ]


LABS_WITH_STAYS = """\
tables:
  - files: [{glob: "*.csv"}]
    subject: {column: id}
    encounter: stay
    time: {column: taken}
    MORE
    long: {code: test, value: result}
    events:
      - {code: ENCOUNTER//inpatient//START, at: {column: admitted}, each: encounter}
      - {code: ENCOUNTER//inpatient//END, at: {column: left}, each: encounter}
      - {code: MEDS_DEATH, at: {column: died}, each: subject, role: demographic}
"""
LABS = (
    "id,stay,admitted,left,died,taken,test,result\n"
    "1,10,2020-01-01 10:00,,,2020-01-01 11:00,K,4\n"
    "1,10,2020-01-01 10:00,2020-01-05 11:00,,2020-01-01 11:00,K,4\n"
    "1,11,2020-02-01 10:00,2020-02-05 11:00,2020-02-05 11:00,2020-02-01 11:00,K,4\n"
    "1,11,2020-02-01 10:00,2020-02-05 11:00,2020-02-06 11:00,2020-02-01 11:00,Na,140\n"
    "2,12,2020-01-01 10:00,2020-01-05 11:00,0000-00-00,2020-01-01 11:00,K,4\n"
)


@pytest.mark.parametrize("more", ["", "key: $row"])
@pytest.mark.parametrize("piece", [150_000, 4])
def test_a_death_and_a_stay_are_told_once_by_the_first_row_that_has_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, piece: int, more: str
) -> None:
    monkeypatch.setattr("medloom.record.importers.table.importer.FACTS_A_BATCH", piece)
    (folder / "a.csv").write_text(LABS)
    found = read(folder, LABS_WITH_STAYS.replace("MORE", more.replace("$row", "result")))
    events = found.facts.filter(pl.col("code").str.contains("ENCOUNTER|DEATH")).sort("time", "patient")
    assert events.select("patient", "encounter", "code", "time").rows() == [
        ("1", "10", "ENCOUNTER//inpatient//START", datetime(2020, 1, 1, 10)),
        ("2", "12", "ENCOUNTER//inpatient//START", datetime(2020, 1, 1, 10)),
        ("1", "10", "ENCOUNTER//inpatient//END", datetime(2020, 1, 5, 11)),
        ("2", "12", "ENCOUNTER//inpatient//END", datetime(2020, 1, 5, 11)),
        ("1", "11", "ENCOUNTER//inpatient//START", datetime(2020, 2, 1, 10)),
        ("1", "11", "ENCOUNTER//inpatient//END", datetime(2020, 2, 5, 11)),
        ("1", "11", "MEDS_DEATH", datetime(2020, 2, 5, 11)),
    ]
    assert found.notes[problems.TOLD_OTHERWISE] == 1  # the second day of death
    if more:
        keys = events.filter(pl.col("code").str.starts_with("ENCOUNTER"))["key"]
        assert keys.sort()[0] == "*.csv/1/10/once0"
        assert keys.n_unique() == 6


def test_once_a_stay_needs_a_stay(folder: Path) -> None:
    (folder / "a.csv").write_text(LABS)
    with pytest.raises(InputError, match="each: encounter needs"):
        read(folder, LABS_WITH_STAYS.replace("MORE", "").replace("    encounter: stay\n", ""))


@pytest.mark.parametrize(("more", "kept"), [("", 1), ("repeats: keep", 2)])
def test_rows_that_say_the_same_are_one_fact_and_its_duplicates(
    folder: Path, more: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)
    (folder / "a.csv").write_text(LABS)
    mapping = folder.parent / "mapping.yaml"
    mapping.write_text(LABS_WITH_STAYS.replace("MORE", more))
    record = Record.open(new_site(folder.parent))
    report = record.add(TableImporter(folder, mapping))
    assert report.balanced
    assert (report.read, report.duplicates) == (12, 2 - kept)
    potassium = record.events().filter((pl.col("code") == "LOCAL//K") & (pl.col("subject_id") == 1))
    assert potassium.height == 1 + kept
    again = record.add(TableImporter(folder, mapping))
    assert (again.written, again.duplicates) == (0, 12)


KEYED = """\
tables:
  - files: [{glob: labs.csv}]
    subject: {column: id}
    time: {column: time}
    key: number
    long: {code: test, value: result}
  - files: [{glob: vitals.csv}]
    subject: {column: id}
    time: {column: time}
    key: number
    columns: {hr: {}}
"""


def test_rows_of_two_tables_with_one_number_and_tests_of_one_order_stand_side_by_side(folder: Path) -> None:
    (folder / "labs.csv").write_text(
        "id,time,number,test,result\n" + "".join(f"1,2020-01-01 08:00,7,{t},4\n" for t in ("NA", "K", "CL"))
    )
    (folder / "vitals.csv").write_text("id,time,number,hr\n1,2020-01-01 08:00,7,72\n")
    found = read(folder, KEYED)
    assert found.facts["key"].n_unique() == 4
    assert found.notes == {}
    assert read(folder, KEYED).facts["key"].equals(found.facts["key"])


def test_a_row_that_replaces_another_of_the_same_import_is_noted(folder: Path) -> None:
    (folder / "labs.csv").write_text("id,time,number,test,result\n1,2020-01-01 08:00,7,NA,4\n")
    (folder / "vitals.csv").write_text(
        "id,time,number,hr\n1,2020-01-01 08:00,7,72\n1,2020-01-01 09:00,7,73\n2,2020-01-01 08:00,7,74\n"
    )
    assert read(folder, KEYED).notes == {problems.KEY_REPEATED: 1}


def test_rows_without_a_value_are_counted_beside_static_facts(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,sex\n1,2020-01-01 08:00,72,f\n1,2020-01-01 09:00,,f\n1,2020-01-01 10:00,,\n"
    )
    mapping = wide().replace("note: {text: true}", "sex: {static: true}")
    found = read(folder / "a.csv", mapping)
    assert found.notes == {problems.REPEATED: 1}
    assert found.passed_over == {problems.NO_VALUE: 1}


# files


def test_quotes_newlines_delimiters_and_crlf_in_cells_are_kept(folder: Path) -> None:
    (folder / "a.csv").write_bytes(
        b'\xef\xbb\xbfid,time,hr,note\r\n1,2020-01-01 08:00,72,"a ""b"", c\r\nd"\r\n"2",2020-01-01 09:00,73,e\r\n'
    )
    assert read(folder / "a.csv", wide()).rows("patient", "numeric_value", "text_value", "row") == [
        ("1", 72.0, None, 1),
        ("1", None, 'a "b", c\r\nd', 1),
        ("2", 73.0, None, 2),
        ("2", None, "e", 2),
    ]


def test_ragged_rows_are_problems_with_their_row_and_not_their_text(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "id,time,hr,note\n1,2020-01-01,72,x\n1,2020-01-01\n1,2020-01-01,73,y,z\n\n1,2020-01-01,74,\n"
    )
    found = read(folder / "a.csv", wide())
    assert found.facts.filter(pl.col("problem").is_not_null()).select(
        "row", "text_value", "problem"
    ).rows() == [
        (2, "2 cells, 4 expected", problems.WRONG_LENGTH),
        (3, "5 cells, 4 expected", problems.WRONG_LENGTH),
    ]
    assert found.facts.filter(pl.col("numeric_value").is_not_null())["row"].to_list() == [1, 4]
    assert found.records == 4


def test_ragged_rows_among_small_files_keep_their_file_and_row(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,note\n1,2020-01-01,71,\n1\n1,2020-01-01,72,\n")
    (folder / "b.csv").write_text("id,time,hr,note\n2\n2,2020-01-01,73,")
    (folder / "c.csv").write_text("id,time,hr,note\n3,2020-01-01,74,\n")
    found = read(folder, wide())
    assert found.rows("file", "row", "numeric_value", "text_value") == [
        (0, 1, 71.0, None),
        (0, 2, None, "1 cells, 4 expected"),
        (0, 3, 72.0, None),
        (1, 1, None, "1 cells, 4 expected"),
        (1, 2, 73.0, None),
        (2, 1, 74.0, None),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_chinese_encodings_are_told_apart(folder: Path, encoding: str) -> None:
    text = "id,time,hr,note\n张三01,2020-01-01 08:00,72,患者病情平稳，无发热\n"
    (folder / "a.csv").write_bytes(text.encode(encoding))
    assert read(folder / "a.csv", wide()).rows("patient", "text_value") == [
        ("张三01", None),
        ("张三01", "患者病情平稳，无发热"),
    ]


def test_western_text_is_refused_until_its_encoding_is_named(folder: Path) -> None:
    (folder / "a.csv").write_bytes(
        "id,time,hr,note\n1,2020-01-01,72,Müller überfällig, fébrile\n".replace(", f", " f").encode("latin-1")
    )
    with pytest.raises(InputError, match="encoding: latin-1"):
        read(folder / "a.csv", wide())
    assert read(folder / "a.csv", wide("encoding: latin-1")).rows("text_value")[1] == (
        "Müller überfällig fébrile",
    )
    with pytest.raises(InputError, match="no encoding 'latin-99'"):
        read(folder / "a.csv", wide("encoding: latin-99"))


def test_utf_16_without_a_mark_is_refused_by_name(folder: Path) -> None:
    (folder / "a.csv").write_bytes("id,time,hr,note\n1,2020-01-01,72,\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="utf-16-le"):
        read(folder / "a.csv", wide())
    assert read(folder / "a.csv", wide("encoding: utf-16-le")).rows("numeric_value") == [(72.0,)]


def test_a_file_that_leaves_its_encoding_later_on_is_refused(folder: Path) -> None:
    body = b"1,2020-01-01 08:00,72,\n" * 800_000  # beyond what is looked at for the encoding
    (folder / "a.csv").write_bytes(b"id,time,hr,note\n" + body + "1,2020-01-01,72,病\n".encode("gbk"))
    with pytest.raises(InputError, match="encoding: gb18030"):
        read(folder / "a.csv", wide())


def test_an_empty_file_is_refused_alone_and_noted_among_others(folder: Path) -> None:
    (folder / "a.csv").write_text("")
    with pytest.raises(InputError, match="not one row"):
        read(folder / "a.csv", wide())
    (folder / "b.csv").write_text("id,time,hr,note\n1,2020-01-01,72,\n")
    found = read(folder, wide())
    assert found.notes == {problems.EMPTY_FILE: 1}
    assert found.rows("file", "row") == [(1, 1)]


def test_a_header_without_rows_is_refused(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,note\n")
    with pytest.raises(InputError, match="not one row"):
        read(folder / "a.csv", wide())


def test_columns_of_the_same_name_are_refused(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,hr,note\n1,2020-01-01,72,73,\n")
    with pytest.raises(InputError, match="more than one column called 'hr'"):
        read(folder / "a.csv", wide())


def test_a_missing_column_is_named_beside_those_that_are_there(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,pulse,note\n1,2020-01-01,72,\n")
    with pytest.raises(InputError, match=r"'hr'.*id, time, pulse, note"):
        read(folder / "a.csv", wide())


@pytest.mark.parametrize("row", ["Smith,2020-01-01,72,calm", "4711,Smith,72,72", "Smith,Smith,2020-01-01,x"])
def test_a_row_in_the_place_of_the_header_is_not_quoted(folder: Path, row: str) -> None:
    (folder / "a.csv").write_text(f"{row}\n1,2020-01-01,73,calm\n")
    with pytest.raises(InputError, match="does not look like a header") as caught:
        read(folder / "a.csv", wide())
    assert not {"Smith", "4711", "2020"} & set(str(caught.value).replace(",", " ").replace("'", " ").split())


def test_the_mapping_may_say_that_files_are_parquet(folder: Path) -> None:
    frame = pl.DataFrame({"id": [1], "time": ["2020-01-01 08:00"], "hr": [72], "note": ["x"]})
    frame.write_parquet(folder / "export.dat")
    assert read(folder / "export.dat", wide("format: parquet")).rows("patient", "numeric_value")[0] == (
        "1",
        72,
    )


def test_a_quotation_mark_that_is_never_closed_is_named(folder: Path) -> None:
    rows = "".join(f"1,2020-01-01,{n % 100},x\n" for n in range(600_000))
    (folder / "a.csv").write_text(
        "id,time,hr,note\n" + rows[:5000].rsplit("\n", 1)[0] + '\n1,2020-01-01,72,"open\n' + rows
    )
    with pytest.raises(InputError, match="quote"):
        read(folder / "a.csv", wide())
    assert read(folder / "a.csv", wide('quote: ""')).facts["problem"].null_count() > 1_000_000


def test_gzip_and_parquet_hold_the_same_facts_as_csv(folder: Path) -> None:
    text = "id,time,hr,note\n1,2020-01-01 08:00,72.5,calm\n2,2020-01-02 08:00,80,\n"
    (folder / "a.csv").write_text(text)
    (folder / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    frame = pl.read_csv(io.StringIO(text), try_parse_dates=True)
    assert frame.schema["time"] == pl.Datetime
    frame.write_parquet(folder / "c.parquet")
    columns = ("patient", "time", "code", "numeric_value", "text_value", "row")
    expected = read(folder / "a.csv", wide()).rows(*columns)
    assert read(folder / "b.csv.gz", wide()).rows(*columns) == expected
    assert read(folder / "c.parquet", wide()).rows(*columns) == expected


def test_parquet_keeps_days_days_and_turns_zones_to_the_wall_clock(folder: Path) -> None:
    frame = pl.DataFrame({"id": [1], "time": [datetime(2020, 1, 1)], "hr": [float("nan")], "note": ["x"]})
    frame.with_columns(pl.col("time").cast(pl.Date)).write_parquet(folder / "day.parquet")
    assert read(folder / "day.parquet", wide()).rows("time", "known_time", "code") == [
        (datetime(2020, 1, 1), datetime(2020, 1, 1, 23, 59, 59, 999999), "LOCAL//note")
    ]
    frame.with_columns(pl.col("time").dt.replace_time_zone("UTC")).write_parquet(folder / "zone.parquet")
    assert read(folder / "zone.parquet", wide(), "Asia/Shanghai").rows("time") == [(datetime(2020, 1, 1, 8),)]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.tar.xz"])
def test_a_truncated_file_is_refused(folder: Path, name: str) -> None:
    text = "id,time,hr,note\n" + "".join(f"1,2020-01-01,{n},x{n * n}\n" for n in range(3000))
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode())[:-900])
    elif name.endswith(".parquet"):
        pl.read_csv(io.StringIO(text)).write_parquet(path)
        path.write_bytes(path.read_bytes()[:-100])
    else:
        with tarfile.open(path, "w:xz") as archive:
            info = tarfile.TarInfo("a.csv")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError, match="complete"):
        read(path, wide())


def test_an_archive_holds_the_same_facts_as_its_folder(folder: Path) -> None:
    inside = folder / "set"
    inside.mkdir()
    for n in range(5):
        (inside / f"{n}.csv").write_text(f"id,time,hr,note\n{n},2020-01-01 08:00,{70 + n},\n")
    with tarfile.open(folder / "set.tar.gz", "w:gz") as archive:
        archive.add(inside, "set")
    mapping = wide().replace("**/*", "set/*.csv")
    columns = ("patient", "time", "code", "numeric_value")
    assert read(folder / "set.tar.gz", mapping).rows(*columns) == read(folder, mapping).rows(*columns)
    assert read(inside, mapping).rows(*columns) == read(folder, mapping).rows(*columns)


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
def test_a_damaged_archive_is_refused(folder: Path, kind: str) -> None:
    path = folder / f"a.tar.{kind}"
    text = "id,time,hr,note\n" + "".join(f"1,2020-01-01,{n},x{n * n}\n" for n in range(30000))
    with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("a.csv")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(InputError, match="complete"):
        read(path, wide())


def test_rows_of_an_archive_are_counted_through_its_members(folder: Path) -> None:
    inside = folder / "set"
    inside.mkdir()
    body = "1,2020-01-01,70,\n1,2020-01-01\n1,2020-01-01,71,\n"
    for n in range(3):
        (inside / f"{n}.csv").write_text("id,time,hr,note\n" + body)
    (inside / "9.csv").write_text("id,time,hr,note\n" + body.replace("70,", '70,"a\nb"'))
    with tarfile.open(folder / "set.tar", "w") as archive:
        for path in sorted(inside.iterdir()):
            archive.add(path, f"set/{path.name}")
    found = read(folder / "set.tar", wide())
    assert sorted(set(found.facts["row"])) == list(range(1, 13))
    broken = found.facts.filter(pl.col("problem").is_not_null())["row"].to_list()
    assert broken == [2, 5, 8, 11]


def test_subjects_come_from_file_names_and_sets_of_files_give_facts(folder: Path) -> None:
    for name in ("train/p1.csv", "train/p2.csv", "test/p3.csv", "test/other.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("time,hr\n2020-01-01 08:00,70\n2020-01-01 09:00,71\n")
    mapping = r"""
tables:
  - files: [{glob: "train/*.csv", facts: [SET//train]}, {glob: "test/*.csv", facts: [SET//test]}]
    subject: {file: '(p\d+)\.csv'}
    time: {column: time}
    encounter: $subject
    columns: {hr: {}}
"""
    found = read(folder, mapping)
    static = found.facts.filter("static").sort("patient")
    assert static.select("patient", "code").rows() == [
        ("p1", "SET//train"),
        ("p2", "SET//train"),
        ("p3", "SET//test"),
    ]
    assert found.facts.filter(pl.col("problem") == problems.NO_SUBJECT).height == 2
    assert found.facts.filter(~pl.col("static"))["encounter"].to_list().count("p1") == 2


def test_files_without_a_header_get_one_from_the_mapping(folder: Path) -> None:
    (folder / "a.csv").write_text("1,2020-01-01 08:00,72,x\n2,2020-01-01 08:00,73,\n")
    assert read(folder / "a.csv", wide("header: [id, time, hr, note]")).rows(
        "patient", "row", "numeric_value"
    ) == [
        ("1", 1, 72.0),
        ("1", 1, None),
        ("2", 2, 73.0),
    ]


def test_large_files_come_in_bounded_batches_with_true_row_numbers(folder: Path) -> None:
    n = 400_000
    with (folder / "a.csv").open("w") as file:
        file.write("id,time,hr,note\n")
        file.writelines(f"{i % 1000},2020-01-01 08:00,{i},\n" for i in range(n // 2))
        file.write("broken\n")
        file.writelines(f"{i % 1000},2020-01-01 08:00,{i},\n" for i in range(n // 2, n))
    found = read(folder / "a.csv", wide())
    assert max(batch.facts.height for batch in found.batches) <= 150_000
    assert len(found.batches) > 2
    kept = found.facts.filter(pl.col("problem").is_null())
    assert kept["numeric_value"].equals(pl.int_range(n, eager=True).cast(pl.Float64))
    rows = [*range(1, n // 2 + 1), *range(n // 2 + 2, n + 2)]
    assert kept["row"].to_list() == rows
    assert found.facts.filter(pl.col("problem").is_not_null())["row"].to_list() == [n // 2 + 1]
    assert found.records == n + 1


def test_subjects_named_by_a_row_hold_across_blocks_of_a_large_file(folder: Path) -> None:
    with (folder / "a.csv").open("w") as file:
        file.write("time,name,value\n")
        for patient in ("7", "8"):
            file.write(f"00:00,ID,{patient}\n")
            file.writelines(f"{i // 3600:02d}:{i // 60 % 60:02d},hr,{i % 200}\n" for i in range(150_000))
    mapping = """\
tables:
  - files: [{glob: "*.csv"}]
    subject: {row: ID}
    base: {at: 2000-01-01T00:00}
    time: {column: time, offset: "HH:MM"}
    long: {code: name, value: value}
"""
    found = read(folder / "a.csv", mapping)
    assert len(found.batches) > 1
    assert found.facts.group_by("patient").len().sort("patient").rows() == [("7", 150_000), ("8", 150_000)]


def test_the_import_says_where_it_found_nothing(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="no file or folder"):
        read(folder / "b.csv", wide())
    with pytest.raises(InputError, match=r"no file.*\*\.tsv"):
        read(folder, wide().replace("**/*", "*.tsv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,note\n1,2020-01-01,72,\n")
    (folder / "a.csv").chmod(0)
    with pytest.raises(StorageError, match="permission"):
        read(folder / "a.csv", wide())


def test_messages_hold_no_name_of_one_file_among_many(folder: Path) -> None:
    (folder / "patient-4711.csv").write_text("id,time,puls,note\n1,2020-01-01,72,\n")
    (folder / "patient-4712.csv").write_text("id,time,puls,note\n1,2020-01-01,72,\n")
    with pytest.raises(MedloomError) as caught:
        read(folder, wide())
    assert "471" not in str(caught.value)


def test_sources_are_listed_once_in_order(folder: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv"):
        (folder / name).write_text("id,time,hr,note\n1,2020-01-01,72,\n")
    file = folder.parent / "m.yaml"
    file.write_text(wide())
    assert [path.name for path in TableImporter(folder, file).sources()] == ["a.csv", "b.csv"]


def test_descriptions_reach_the_first_batch(folder: Path) -> None:
    (folder / "a.csv").write_text("id,time,hr,note\n1,2020-01-01,72,x\n")
    mapping = wide().replace("unit: /min", "unit: /min, description: Heart rate")
    parse_mapping(mapping)
    codes = read(folder / "a.csv", mapping).batches[0].codes
    assert {code: info.description for code, info in codes.items()} == {"LOINC//8867-4": "Heart rate"}
