"""FHIR read for a single request: the same facts as an import of the same resources, and nothing kept."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from medloom.record.importers.fhir import FhirImporter
from medloom.record.importers.fhir.in_memory import Visit, read_in_memory
from medloom.record.schema import RECORD_SCHEMA
from medloom.record.vault import ERASED
from medloom.site import Site

NOW = datetime(2020, 3, 10, 9)
Resource = dict[str, Any]


def of(kind: str, name: str | None, patient: str = "p1", **fields: Any) -> Resource:
    named = {} if name is None else {"id": name}
    return {"resourceType": kind, "subject": {"reference": f"Patient/{patient}"}, **named, **fields}


def creatinine(name: str | None, value: float, unit: str, **fields: Any) -> Resource:
    return of(
        "Observation",
        name,
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "Creatinine"}]},
        effectiveDateTime="2020-03-02T08:00:00Z",
        valueQuantity={"value": value, "code": unit},
        **fields,
    )


DIABETES = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}
PATIENT: Resource = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1950-05-05"}
STAY = of(
    "Encounter",
    "e1",
    status="finished",
    **{"class": {"code": "IMP"}},
    period={"start": "2020-03-01T07:00:00Z", "end": "2020-03-05T12:00:00Z"},
)
RESOURCES = [
    PATIENT,
    STAY,
    creatinine("o1", 88.4, "umol/L"),
    creatinine("o2", 1.5, "mg/dL", issued="2020-03-02T10:00:00Z"),
    of("Condition", "c1", code=DIABETES, encounter={"reference": "Encounter/e1"}),
    of("Condition", "c2", code=DIABETES, onsetDateTime="2019", verificationStatus={"coding": [{"code": "refuted"}]}),
    of("MedicationRequest", "m1", status="active", intent="order", authoredOn="2020-03-03T08:00:00+01:00",
       medicationReference={"reference": "Medication/ibu"}),
    {"resourceType": "Medication", "id": "ibu", "code": {"coding": [
        {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "5640", "display": "ibuprofen"}]}},
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.create(tmp_path / "st-mary")


def visit(site: Site, *documents: Any) -> Visit:
    with site.record.guests() as guests:
        return read_in_memory(documents, guests, "", site.record, NOW)


def bundle(*resources: Resource) -> Resource:
    entries = [
        {"fullUrl": f"https://ehr/{r['resourceType']}/{r.get('id')}", "resource": r} for r in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def said(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    names = [n for n in RECORD_SCHEMA if n not in ("subject_id", "source", "key", "encounter", "confidence")]
    rows = frame.with_columns(pl.col("code", "role").cast(pl.String)).select(names).rows()
    return sorted(rows, key=repr)


def test_a_request_gives_the_facts_that_an_import_gives(site: Site, tmp_path: Path) -> None:
    found = visit(site, PATIENT, bundle(*RESOURCES[1:5]), bundle(*RESOURCES[5:]))
    (tmp_path / "export.ndjson").write_bytes(b"\n".join(map(orjson.dumps, RESOURCES)))
    site.record.add(FhirImporter(tmp_path / "export.ndjson"), NOW)
    imported = site.record.refreshed()
    assert said(found.record.events()) == said(imported.events())
    assert found.record.catalogue.frame.equals(imported.catalogue.frame)
    assert not found.problems


def test_what_stands_under_two_keys_counts_once(site: Site) -> None:
    named, unnamed = creatinine("o1", 1.1, "mg/dL"), creatinine(None, 1.2, "mg/dL")
    found = visit(site, bundle(named, unnamed), bundle(named, unnamed), named)
    assert found.record.n_events == 2


def test_values_come_in_the_units_that_the_record_has(site: Site, tmp_path: Path) -> None:
    (tmp_path / "export.ndjson").write_bytes(orjson.dumps(creatinine("o1", 1.0, "mg/dL")))
    site.record.add(FhirImporter(tmp_path / "export.ndjson"), NOW)
    found = visit(site, creatinine("o9", 88.42, "umol/L"))
    assert found.record.events()["numeric_value"].to_list() == [pytest.approx(1.0, rel=1e-3)]


def test_nobody_is_entered_in_the_vault_and_everybody_keeps_a_number(site: Site, tmp_path: Path) -> None:
    (tmp_path / "export.ndjson").write_bytes(orjson.dumps(PATIENT))
    site.record.add(FhirImporter(tmp_path / "export.ndjson"), NOW)
    stranger = PATIENT | {"id": "p2"}
    first, second = visit(site, PATIENT, stranger), visit(site, stranger)
    assert first.subjects["p1"] == site.record.find("p1")
    assert first.subjects["p2"] == second.subjects["p2"] < ERASED
    assert site.record.refreshed().n_subjects == 1


def test_an_erased_person_is_not_read(site: Site, tmp_path: Path) -> None:
    (tmp_path / "export.ndjson").write_bytes(orjson.dumps(PATIENT))
    site.record.add(FhirImporter(tmp_path / "export.ndjson"), NOW)
    site.record.erase(site.record.find("p1"))
    found = visit(site, PATIENT, creatinine("o1", 1.0, "mg/dL"))
    assert found.record.n_events == 0
    assert found.subjects["p1"] == ERASED


@pytest.mark.parametrize(
    "document",
    [None, 7, "x", [], {}, {"resourceType": "Bundle", "entry": 3}, {"resourceType": "Bundle", "entry": [None, 1, {}]},
     {"resourceType": "Observation", "subject": 4},
     creatinine("o1", True, "mg/dL") | {"code": {"coding": [{"code": "7", "display": 7}]}, "subject": None},
     {"resourceType": "Patient", "id": {"a": 1}, "gender": "male"}],
)  # fmt: skip
def test_what_is_not_fhir_is_counted_and_does_not_raise(site: Site, document: Any) -> None:
    found = visit(site, document, PATIENT)
    assert found.record.n_events == 2
