"""MEDS: other people's datasets in their dialects, and our own record back again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import meds
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloom.foundation.errors import InputError
from medloom.record.importers import meds as importing_meds
from medloom.record.importers.meds import MedsImporter
from medloom.record.importing import Batch, CodeInfo, ImportContext, as_batch_frame
from medloom.record.schema import BATCH_SCHEMA

ROWS = [
    dict(zip(("subject_id", "time", "code", "numeric_value", "text_value"), row, strict=True))
    for row in [
        (1, None, "GENDER//F", None, None),
        (1, datetime(1950, 3, 9), "MEDS_BIRTH", None, None),
        (1, datetime(2020, 5, 2, 6, 10), "LOINC//2160-0", 1.5, None),
        (2, datetime(2020, 5, 3), "NOTE", None, "Went home."),
    ]
]
SCHEMA = {
    "subject_id": pl.Int64,
    "time": pl.Datetime("us"),
    "code": pl.String,
    "numeric_value": pl.Float32,
    "text_value": pl.String,
}


def write_meds(
    folder: Path, *, codes: pl.DataFrame | None = None, splits: pl.DataFrame | None = None
) -> Path:
    """Write a valid MEDS 0.4 dataset of one shard a subject."""
    frame = pl.DataFrame(ROWS, schema=SCHEMA)
    for subject in (1, 2):
        path = folder / meds.data_subdirectory / "train" / f"{subject}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(meds.DataSchema.align(frame.filter(pl.col("subject_id") == subject).to_arrow()), path)
    (folder / "metadata").mkdir(exist_ok=True)
    if codes is not None:
        codes.write_parquet(folder / meds.code_metadata_filepath)
    if splits is not None:
        splits.write_parquet(folder / meds.subject_splits_filepath)
    return folder


def write_shard(folder: Path, table: pa.Table | pl.DataFrame) -> Path:
    path = folder / "data" / "0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else table.to_arrow(), path)
    return folder


def read(folder: Path, zone: str = "UTC") -> tuple[pl.DataFrame, list[Batch]]:
    batches = list(MedsImporter(folder).batches(ImportContext(zone)))
    return pl.concat([as_batch_frame(batch.facts) for batch in batches]), batches


def test_a_dataset_is_read_row_by_row(tmp_path: Path) -> None:
    facts, batches = read(write_meds(tmp_path / "set"))
    assert facts.schema == BATCH_SCHEMA
    assert facts.select("patient", "time", "code", "numeric_value", "text_value").rows() == [
        (str(row["subject_id"]), row["time"], row["code"], row["numeric_value"], row["text_value"])
        for row in ROWS
    ]
    assert facts.select("file", "row").rows() == [(0, 1), (0, 2), (0, 3), (1, 1)]
    assert facts["static"].to_list() == [True, False, False, False]
    assert facts["role"].to_list() == ["demographic", "demographic", None, None]
    assert facts["key"].null_count() == facts["problem"].null_count() == 4
    assert sum(batch.records for batch in batches) == 4


def test_codes_bring_description_unit_and_all_ancestors(tmp_path: Path) -> None:
    codes = pl.DataFrame(
        {
            "code": ["LOINC//2160-0", "LOINC//LP1", "GENDER//F", "NEVER_USED"],
            "description": ["Creatinine", "Chemistry", None, "x"],
            "parent_codes": [["LOINC/LP1"], ["LOINC//LP0", "LOINC//2160-0"], None, None],
            "unit": ["mg/dL", None, None, None],
            "static": [False, False, True, False],
        }
    )
    facts, batches = read(write_meds(tmp_path / "set", codes=codes))
    told = {code: info for batch in batches for code, info in batch.codes.items()}
    assert told == {
        "LOINC//2160-0": CodeInfo("Creatinine", ("LOINC//LP0", "LOINC//LP1")),
        "GENDER//F": CodeInfo(None, ()),
    }
    assert facts.filter(pl.col("code") == "LOINC//2160-0")["unit"].item() == "mg/dL"


def test_a_code_that_the_dataset_calls_dated_is_not_static_without_a_time(tmp_path: Path) -> None:
    codes = pl.DataFrame({"code": ["GENDER//F"], "static": [False]})
    facts, _ = read(write_meds(tmp_path / "set", codes=codes))
    assert not facts["static"].any()


def test_splits_come_with_the_first_facts_of_their_patients(tmp_path: Path) -> None:
    splits = pl.DataFrame({"subject_id": [1, 2, 3], "split": ["train", "held_out", "train"]})
    _, batches = read(write_meds(tmp_path / "set", splits=splits))
    assert {patient: split for batch in batches for patient, split in batch.splits.items()} == {
        "1": "train",
        "2": "held_out",
    }


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_types_of_other_writers_are_normalised(unit: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA)
    table = frame.to_arrow()
    expected = as_batch_frame(read(write_shard(tmp_path / "plain", table))[0])
    whole = table.set_column(1, "time", table["time"].cast(pa.timestamp(unit)))
    dialect = pa.table(
        {
            "patient_id": whole["subject_id"].cast(pa.int32()),
            "time": whole["time"],
            "code": whole["code"].cast(pa.string()).dictionary_encode(),
            "numeric_value": whole["numeric_value"].cast(pa.float64()),
            "text_value": whole["text_value"].cast(pa.string()),
        }
    )
    assert read(write_shard(tmp_path / "dialect", dialect))[0].equals(expected)


def test_a_zone_is_turned_into_the_clock_of_the_site(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA).with_columns(pl.col("time").dt.replace_time_zone("UTC"))
    facts, _ = read(write_shard(tmp_path / "set", frame), zone="Asia/Shanghai")
    assert facts["time"][2] == datetime(2020, 5, 2, 14, 10)


def test_columns_that_nobody_knows_are_dropped_with_a_note(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA).with_columns(hadm_id=pl.lit(7), unit=pl.lit("mmol/L"))
    facts, batches = read(write_shard(tmp_path / "set", frame))
    assert [batch.notes for batch in batches] == [
        {"column not kept: hadm_id": 3},
        {"column not kept: hadm_id": 1},
    ]
    assert facts["unit"].to_list() == ["mmol/L"] * 4


def test_the_columns_of_our_own_record_come_back_and_superseded_rows_do_not(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA).with_columns(
        known_time=pl.lit(datetime(2020, 5, 4)),
        known_until=pl.Series([None, None, datetime(2020, 6, 1), None], dtype=pl.Datetime("us")),
        role=pl.lit("observation"),
        encounter=pl.lit(42, pl.Int64),
        asset=pl.lit("sha256:aa"),
        derived_from=pl.lit("x"),
        span=pl.lit("0-4"),
        confidence=pl.lit(0.5, pl.Float32),
        model=pl.lit("m"),
        source=pl.lit("import 1"),
        key=pl.Series([-5, 6, 7, 8], dtype=pl.Int64),
        part=pl.Series([0, 0, 0, 3], dtype=pl.Int32),
    )
    facts, batches = read(write_shard(tmp_path / "set", frame))
    assert batches[0].passed_over == {"superseded by a newer version in the dataset": 1}
    assert batches[0].notes == {}
    assert facts.select(
        "known_time", "role", "encounter", "asset", "derived_from", "span"
    ).unique().rows() == [(datetime(2020, 5, 4), "observation", "42", "sha256:aa", "x", "0-4")]
    assert facts.select("key", "part", "confidence", "model").rows() == [
        ("-5", 0, 0.5, "m"),
        ("6", 0, 0.5, "m"),
        ("8", 3, 0.5, "m"),
    ]


def test_parts_of_one_resource_have_one_place_in_the_source(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA).with_columns(
        key=pl.Series([None, 6, 6, 6], dtype=pl.Int64), part=pl.Series([None, 0, 1, 0], dtype=pl.Int32)
    )
    facts, _ = read(write_shard(tmp_path / "set", frame))
    assert facts["row"].to_list() == [1, 2, 2, 4]  # the last one is of another subject


def test_rows_without_subject_or_code_are_handed_on_for_quarantine(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA).with_columns(
        subject_id=pl.Series([None, 1, 1, 2]), code=pl.Series(["a", None, "", "b"])
    )
    facts, _ = read(write_shard(tmp_path / "set", frame))
    assert facts["problem"].to_list() == ["no patient", "no code", "no code", None]


def test_values_that_are_no_number_are_none(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=SCHEMA).with_columns(
        numeric_value=pl.Series([float("nan"), float("inf"), 2.0, None])
    )
    assert read(write_shard(tmp_path / "set", frame))[0]["numeric_value"].to_list() == [None, None, 2.0, None]


@pytest.mark.parametrize("column", ["subject_id", "time", "code"])
def test_a_missing_column_is_named_with_its_file(column: str, tmp_path: Path) -> None:
    folder = write_shard(tmp_path / "set", pl.DataFrame(ROWS, schema=SCHEMA).drop(column))
    with pytest.raises(InputError, match=rf"'data/0.parquet' has no column {column}"):
        read(folder)


def test_a_column_of_the_wrong_type_is_named_with_what_is_wanted(tmp_path: Path) -> None:
    folder = write_shard(tmp_path / "set", pl.DataFrame(ROWS, schema=SCHEMA).cast({"time": pl.String}))
    with pytest.raises(
        InputError, match=r"'data/0.parquet': column 'time' is of type .*; MEDS wants timestamp\[us\]"
    ):
        read(folder)


def test_a_folder_that_is_no_dataset_says_what_was_looked_for(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"looked for data/\*\*/\*.parquet"):
            MedsImporter(folder).sources()


@pytest.mark.parametrize("name", ["data/train/2.parquet", "metadata/codes.parquet"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    folder = write_meds(tmp_path / "set", codes=pl.DataFrame({"code": ["NOTE"]}))
    (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    with pytest.raises(InputError, match=f"'{name}' cannot be read"):
        read(folder)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=8), size=st.integers(1, 7))
def test_no_subject_is_divided_between_batches_and_no_row_is_lost(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], size: int
) -> None:
    subjects = [subject for subject, count in enumerate(counts) for _ in range(count)]
    frame = pl.DataFrame({"subject_id": subjects}, schema={"subject_id": pl.Int64})
    frame = frame.with_columns(time=pl.lit(datetime(2020, 1, 1)), code=pl.lit("X"))
    folder = write_shard(tmp_path_factory.mktemp("set"), frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing_meds, "BATCH_ROWS", size)
        facts, batches = read(folder)
    assert facts["row"].to_list() == list(range(1, len(subjects) + 1))
    seen = [set(batch.facts["patient"]) for batch in batches]
    assert sum(map(len, seen)) == len(set().union(*seen)) == len(counts)
