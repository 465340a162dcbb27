"""The FHIR importer on real data: the MIMIC-IV demo on FHIR (doi 10.13026/c2f9-3y63)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from medloom.record.importers.fhir import FhirImporter
from medloom.record.importing import Batch, ImportContext


@pytest.fixture(scope="module")
def batches(mirror: Callable[[str], Path]) -> list[Batch]:
    importer = FhirImporter(mirror("ehr/mimic_iv_demo_fhir"))
    return list(importer.batches(ImportContext("America/New_York")))


@pytest.fixture(scope="module")
def facts(batches: list[Batch]) -> pl.DataFrame:
    return pl.concat(batch.facts for batch in batches)


def test_every_resource_is_read_and_none_is_a_problem(batches: list[Batch], facts: pl.DataFrame) -> None:
    passed_over: Counter[str] = Counter()
    for batch in batches:
        passed_over.update(batch.passed_over)
    assert sum(batch.records for batch in batches) == 152_346
    assert passed_over == {"Specimen": 12_458, "Medication": 1_794, "Location": 31, "Organization": 1}
    assert facts["problem"].null_count() == facts.height
    assert max(batch.facts.height for batch in batches) <= 50_000


def test_observations_issued_before_they_were_made_keep_both_times(facts: pl.DataFrame) -> None:
    issued = facts.filter((pl.col("role") == "observation") & pl.col("known_time").is_not_null())
    assert issued.height == 24_642
    assert issued.filter(pl.col("known_time") < pl.col("time")).height == 2_048


def test_conditions_have_no_date_and_wait_for_the_end_of_their_encounter(facts: pl.DataFrame) -> None:
    conditions = facts.filter(pl.col("role") == "condition")
    assert conditions.height == 4_506 + 545
    assert conditions["time"].null_count() == conditions.height
    assert not conditions["static"].any()
    ends = facts.filter(pl.col("code").str.ends_with("//END"))["encounter"]
    assert conditions["encounter"].is_in(ends.implode()).all()


def test_the_three_tables_of_encounters_are_three_kinds(facts: pl.DataFrame) -> None:
    starts = facts.filter(pl.col("code").str.ends_with("//START"))
    assert dict(starts.group_by("code").len().iter_rows()) == {
        "ENCOUNTER//inpatient//START": 275,
        "ENCOUNTER//emergency//START": 222,
        "ENCOUNTER//icu//START": 140,
    }


def test_medications_referred_to_are_named_by_code(batches: list[Batch], facts: pl.DataFrame) -> None:
    ordered = facts.filter(pl.col("role") == "order")
    assert ordered["key"].n_unique() == 17_552
    assert ordered.height > 17_552  # mixes are their ingredients
    assert ordered["code"].str.starts_with("NDC//").sum() > 15_000
    described = {code: info for batch in batches for code, info in batch.codes.items()}
    assert described["NDC//23155029442"].description == "Prochlorperazine"


def test_midnights_of_summer_stay_midnights(facts: pl.DataFrame) -> None:
    dated = facts.filter((pl.col("role") == "procedure") & pl.col("code").str.starts_with("ICD"))
    assert dated.height == 722
    assert (dated["time"].dt.hour() == 0).mean() > 0.9
