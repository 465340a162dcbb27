"""FHIR all the way into a site's record: dates, versions, retractions, what was known when."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from medloom.record.importers.fhir import FhirImporter, problems
from medloom.record.ingest import ImportReport
from medloom.site import Site

Resource = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.create(tmp_path / "st-mary")


def about(kind: str, name: str, **fields: Any) -> Resource:
    return {"resourceType": kind, "id": name, "subject": {"reference": "Patient/p1"}, **fields}


def potassium(name: str, value: float, **fields: Any) -> Resource:
    return about(
        "Observation",
        name,
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        effectiveDateTime="2020-03-01T08:00:00Z",
        valueQuantity={"value": value, "code": "mmol/L"},
        **fields,
    )


STAY = about(
    "Encounter",
    "e1",
    status="finished",
    **{"class": {"code": "IMP"}},
    period={"start": "2020-03-01T07:00:00Z", "end": "2020-03-05T12:00:00Z"},
)
DIABETES = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}


def add(site: Site, folder: Path, *resources: Resource) -> ImportReport:
    path = folder / "export.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, resources)))
    report = site.record.add(FhirImporter(path))
    assert report.balanced
    return report


def events(site: Site) -> pl.DataFrame:
    return site.record.refreshed().events().with_columns(pl.col("code", "role").cast(pl.String))


def test_an_undated_diagnosis_of_a_stay_is_known_at_its_end(site: Site, tmp_path: Path) -> None:
    diagnosis = about("Condition", "c1", code=DIABETES, encounter={"reference": "Encounter/e1"})
    report = add(site, tmp_path, diagnosis, STAY)
    assert (report.written, report.quarantined) == (3, 0)
    (row,) = events(site).filter(pl.col("role") == "condition").to_dicts()
    assert row["time"] == datetime(2020, 3, 5, 12)


def test_an_undated_diagnosis_without_a_stay_is_quarantined(site: Site, tmp_path: Path) -> None:
    report = add(site, tmp_path, about("Condition", "c1", code=DIABETES), STAY)
    assert (report.written, report.quarantined) == (2, 1)


def test_the_same_export_again_changes_nothing(site: Site, tmp_path: Path) -> None:
    resources = (STAY, potassium("o1", 4.1), potassium("o2", 4.2))
    assert add(site, tmp_path, *resources).written == 4
    again = add(site, tmp_path, *resources)
    assert (again.written, again.duplicates) == (0, 4)


def test_a_corrected_value_ends_the_old_one_when_it_is_issued(site: Site, tmp_path: Path) -> None:
    add(site, tmp_path, potassium("o1", 4.1, issued="2020-03-01T09:00:00Z"))
    report = add(site, tmp_path, potassium("o1", 5.1, issued="2020-03-02T09:00:00Z"))
    assert (report.written, report.superseded) == (1, 1)
    rows = events(site).sort("known_time").select("numeric_value", "known_until").rows()
    assert [value for value, _ in rows] == pytest.approx([4.1, 5.1])
    assert [until for _, until in rows] == [datetime(2020, 3, 2, 9), None]


def test_a_retraction_ends_the_fact_when_it_was_made(site: Site, tmp_path: Path) -> None:
    add(site, tmp_path, potassium("o1", 4.1))
    emptied = about(
        "Observation", "o1", status="entered-in-error", meta={"lastUpdated": "2020-03-03T00:00:00Z"}
    )
    report = add(site, tmp_path, emptied)
    assert report.retracted == 1
    (row,) = events(site).filter(pl.col("code") == "LOINC//2823-3").to_dicts()
    assert row["known_until"] == datetime(2020, 3, 3)


def test_what_cannot_be_used_is_counted_by_reason(site: Site, tmp_path: Path) -> None:
    nobody = potassium("o2", 4.0) | {"subject": None}
    undated = potassium("o3", 4.0) | {"effectiveDateTime": "0000-00-00"}
    far = potassium("o4", 4.0) | {"effectiveDateTime": "2999-01-01"}
    report = add(site, tmp_path, potassium("o1", 4.1), nobody, undated, far)
    assert (report.written, report.quarantined) == (1, 3)
    assert report.reasons[problems.NO_PATIENT] == 1
    assert report.reasons[problems.UNREADABLE_DATE] == 1


def test_a_changed_diagnosis_is_not_known_before_it_was_changed(site: Site, tmp_path: Path) -> None:
    def diagnosis(code: str, changed: str) -> Resource:
        coding = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}
        return about("Condition", "c1", code=coding, recordedDate="2020-01-01", meta={"lastUpdated": changed})

    add(site, tmp_path, diagnosis("E11.9", "2022-01-01T00:00:00Z"))  # loaded long after it was recorded
    add(site, tmp_path, diagnosis("E10.9", "2022-06-01T00:00:00Z"))
    rows = events(site).sort("known_time").select("code", "known_time", "known_until").rows()
    first = datetime(2020, 1, 1, 23, 59, 59, 999999)
    changed = datetime(2022, 6, 1)
    assert rows == [("ICD10CM//E11.9", first, changed), ("ICD10CM//E10.9", changed, None)]


def test_a_retraction_that_says_nothing_but_its_name_retracts(site: Site, tmp_path: Path) -> None:
    add(site, tmp_path, potassium("o1", 4.1))
    report = add(site, tmp_path, about("Observation", "o1", status="entered-in-error"))
    assert (report.retracted, report.quarantined) == (1, 0)
    assert events(site)["known_until"].null_count() == 0


def test_a_report_over_a_period_is_known_when_that_is_over(site: Site, tmp_path: Path) -> None:
    period = {"start": "2020-03-01T08:00:00Z", "end": "2020-03-04T09:00:00Z"}
    report = about("DiagnosticReport", "d1", code=DIABETES, conclusion="long text", effectivePeriod=period)
    add(site, tmp_path, report)
    (row,) = events(site).select("time", "known_time").rows()
    assert row == (datetime(2020, 3, 1, 8), datetime(2020, 3, 4, 9))
