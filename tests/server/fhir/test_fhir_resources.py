"""From rows of the record to R4 resources: what is said, what is not, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from medloom.foundation.messages import speaking
from medloom.foundation.site import SiteSettings
from medloom.record.importers.fhir import FhirImporter
from medloom.record.record import Record
from medloom.server.access import ROLES, Person
from medloom.server.fhir import kinds, patients
from medloom.server.fhir.chart import Chart
from medloom.site import Site
from tests.server.fhir.r4 import check

NOW = datetime(2020, 6, 1)
DOCTOR = Person(1, "doctor", "Doctor", "clinician", ROLES["clinician"], "en", sees_all=True)
SCIENTIST = Person(
    2, "scientist", "Scientist", "data_scientist", ROLES["data_scientist"], "en", sees_all=False
)
POTASSIUM = {
    "coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium [Moles/volume]"}]
}
DIABETES = {
    "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9", "display": "Type 2 diabetes"}]
}
ASPIRIN = {
    "coding": [
        {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1191", "display": "Aspirin"}
    ]
}
HOUSE = {"coding": [{"system": "https://st-mary.org/tests", "code": "K7", "display": "Rapid test"}]}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with speaking("en"):
        yield


def about(kind: str, name: str, subject: str = "subject", **fields: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": name, subject: {"reference": "Patient/p1"}, **fields}


SOURCE = (
    {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1950-04-02"},
    about(
        "Encounter",
        "e1",
        status="finished",
        **{"class": {"code": "IMP"}},
        period={"start": "2020-03-01T07:00:00+08:00", "end": "2020-03-05T12:00:00+08:00"},
    ),
    about(
        "Observation",
        "k1",
        status="final",
        code=POTASSIUM,
        effectiveDateTime="2020-03-01T08:00:00+08:00",
        issued="2020-03-01T09:30:00+08:00",
        valueQuantity={"value": 4.1, "code": "mmol/L"},
        encounter={"reference": "Encounter/e1"},
    ),
    about(
        "Observation",
        "k2",
        status="final",
        code=POTASSIUM,
        effectiveDateTime="2020-03-02",
        valueQuantity={"value": 7.5, "comparator": ">", "unit": "mmol/L"},
    ),
    about(
        "Observation",
        "h1",
        status="final",
        code=HOUSE,
        effectiveDateTime="2020-03-02T10:00:00.250+08:00",
        valueString="positive",
    ),
    about("Condition", "c1", code=DIABETES, onsetDateTime="2015-03", recordedDate="2020-03-01"),
    about(
        "Condition",
        "c2",
        code={"text": "Gout"},
        recordedDate="2020-03-02T10:00:00+08:00",
        verificationStatus={"coding": [{"code": "refuted"}]},
    ),
    about(
        "MedicationRequest",
        "m1",
        status="active",
        intent="order",
        medicationCodeableConcept=ASPIRIN,
        authoredOn="2020-03-01T09:00:00+08:00",
        dosageInstruction=[{"doseAndRate": [{"doseQuantity": {"value": 100, "unit": "mg"}}]}],
    ),
    about(
        "MedicationAdministration",
        "a1",
        status="not-done",
        medicationCodeableConcept=ASPIRIN,
        effectiveDateTime="2020-03-01T10:00:00+08:00",
        dosage={"dose": {"value": 100, "unit": "mg"}},
    ),
    about(
        "MedicationStatement",
        "s1",
        status="active",
        medicationCodeableConcept=ASPIRIN,
        effectiveDateTime="2019-01",
        dateAsserted="2020-03-01",
    ),
    about(
        "MedicationDispense",
        "w1",
        status="completed",
        medicationCodeableConcept=ASPIRIN,
        whenHandedOver="2020-03-05T10:00:00+08:00",
    ),
    about(
        "ServiceRequest",
        "r1",
        status="active",
        intent="plan",
        code=POTASSIUM,
        authoredOn="2020-03-01T09:00:00+08:00",
    ),
    about(
        "Procedure",
        "x1",
        status="completed",
        code={"text": "Coronary angiography"},
        performedDateTime="2020-03-03",
    ),
    about("AllergyIntolerance", "y1", "patient", code={"text": "Penicillin"}, recordedDate="2020-03-01"),
    about(
        "Immunization",
        "v1",
        "patient",
        status="completed",
        vaccineCode={"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "141"}]},
        occurrenceDateTime="2019-10-01",
    ),
    about(
        "DiagnosticReport",
        "d1",
        status="final",
        code={"text": "Chest film"},
        effectiveDateTime="2020-03-01T11:00:00+08:00",
        issued="2020-03-01T12:00:00+08:00",
        conclusion="No infiltrate. 无浸润。",
    ),
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("fhir")
    site = Site.create(folder / "st-mary", SiteSettings(name="st-mary", time_zone="Asia/Shanghai"))
    path = folder / "export.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, SOURCE)))
    assert site.record.add(FhirImporter(path)).quarantined == 0
    return site.record


@pytest.fixture(scope="module")
def chart(record: Record) -> Chart:
    return Chart.of(record, DOCTOR, 1, NOW)


def made(chart: Chart, kind: str) -> list[dict[str, Any]]:
    return [
        check(kinds.resource(fact, chart)) for fact in chart.facts(chart.rows.filter(pl.col("type") == kind))
    ]


def of_events(*rows: dict[str, Any], now: datetime = NOW, person: Person = DOCTOR) -> Chart:
    frame = pl.DataFrame([{"subject_id": 7, **row} for row in rows], infer_schema_length=None)
    return Chart.of(Record.from_events(frame), person, 7, now)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_type_is_r4(chart: Chart, kind: str) -> None:
    resources = made(chart, kind)
    assert resources
    for resource in resources:
        assert resource["resourceType"] == kind
        assert resource["id"].startswith("1-")


def test_what_came_in_as_fhir_goes_out_the_same(chart: Chart) -> None:
    first, second, house = made(chart, "Observation")
    assert first["code"]["coding"][0] == POTASSIUM["coding"][0]
    assert first["valueQuantity"]["value"] == 4.1
    assert first["valueQuantity"]["code"] == "mmol/L"
    assert first["effectiveDateTime"] == "2020-03-01T08:00:00+08:00"
    assert first["issued"] == "2020-03-01T09:30:00+08:00"
    assert second["effectiveDateTime"] == "2020-03-02"
    assert second["valueQuantity"] | {"unit": "mmol/L"} == {
        "value": 7.5, "comparator": ">", "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"
    }  # fmt: skip
    assert house["valueString"] == "positive"
    assert house["effectiveDateTime"] == "2020-03-02T10:00:00.250000+08:00"
    diabetes, gout = made(chart, "Condition")
    assert (diabetes["onsetDateTime"], diabetes["recordedDate"]) == ("2015-03-01", "2020-03-01")
    assert diabetes["code"]["coding"] == DIABETES["coding"]
    assert "onsetDateTime" not in gout
    (report,) = made(chart, "DiagnosticReport")
    assert report["issued"] == "2020-03-01T12:00:00+08:00"


def test_a_second_site_reads_the_same_facts_from_what_goes_out(
    chart: Chart, record: Record, tmp_path: Path
) -> None:
    resources = [patients.patient(Chart.of(record, DOCTOR, 1, NOW, identifiers=()))]
    resources += [patients.encounter(stay, chart) for stay in chart.stays]
    resources += [resource for kind in kinds.KINDS for resource in made(chart, kind)]
    path = tmp_path / "out.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, resources)))
    second = Site.create(tmp_path / "second", SiteSettings(name="second", time_zone="Asia/Shanghai"))
    assert second.record.add(FhirImporter(path)).quarantined == 0
    columns = ["time", "code", "numeric_value", "text_value", "role", "known_time"]

    def content(events: pl.DataFrame) -> set[Any]:
        return set(events.select(columns).rows())

    assert content(second.record.events()) == content(record.events())
    assert second.record.catalogue.units() == record.catalogue.units()


def test_what_is_not_so_or_not_done_never_stands_as_if_it_were(chart: Chart) -> None:
    _, gout = made(chart, "Condition")
    assert gout["verificationStatus"]["coding"][0]["code"] == "refuted"
    (given,) = made(chart, "MedicationAdministration")
    assert given["status"] == "not-done"
    (plan,) = made(chart, "ServiceRequest")
    assert plan["intent"] == "plan"
    day = datetime(2020, 1, 1)
    rows = [
        {"time": day, "code": f"{prefix}ICD10CM//I10", "role": "condition"}
        for prefix in ("NOT//", "FAMILY//", "POSSIBLE//", "PLANNED//", "HISTORY//")
    ]
    conditions = made(of_events(*rows), "Condition")
    said = [one["verificationStatus"]["coding"][0]["code"] for one in conditions]
    assert said == ["refuted", "unconfirmed", "confirmed"]
    assert conditions[2]["clinicalStatus"]["coding"][0]["code"] == "inactive"


def test_only_what_was_visible_then_is_shown(record: Record) -> None:
    before_issue = Chart.of(record, DOCTOR, 1, datetime(2020, 3, 1, 9))
    assert not made(before_issue, "Observation")
    assert before_issue.stays[0].status == "in-progress"
    ended = of_events(
        {
            "time": datetime(2020, 1, 1),
            "code": "LOINC//2823-3",
            "numeric_value": 4.0,
            "role": "observation",
            "known_until": datetime(2020, 2, 1),
        },
        now=datetime(2020, 2, 1),
    )
    assert ended.rows.is_empty()


def test_who_may_not_see_identifiers_sees_a_year_of_birth_and_no_more(record: Record) -> None:
    check(hidden := patients.patient(Chart.of(record, DOCTOR, 1, NOW)))
    assert (hidden["id"], hidden["gender"], hidden["birthDate"]) == ("1", "female", "1950")
    assert "identifier" not in hidden
    assert hidden["meta"]["security"][0]["code"] == "PSEUDED"
    check(shown := patients.patient(Chart.of(record, DOCTOR, 1, NOW, identifiers=(("st-mary", "p1"),))))
    assert shown["birthDate"] == "1950-04-02"
    assert shown["identifier"][0]["value"] == "p1"
    late = patients.patient(Chart.of(record, DOCTOR, 1, datetime(2041, 1, 1)))
    assert "birthDate" not in late


def test_stays_pair_by_the_encounter_they_name_or_else_by_kind() -> None:
    def bound(day: int, code: str, encounter: int | None = None) -> dict[str, Any]:
        return {"time": datetime(2020, 1, day), "code": code, "encounter": encounter, "role": "encounter"}

    chart = of_events(
        bound(1, "ENCOUNTER//inpatient//START", 5),
        bound(2, "ENCOUNTER//inpatient//START", -6),
        bound(3, "ENCOUNTER//inpatient//END", 5),
        bound(3, "DISCHARGE//home", 5),
        bound(4, "ENCOUNTER//icu//START"),
        bound(5, "ENCOUNTER//icu//END"),
        bound(6, "ENCOUNTER//outpatient//START"),
        bound(9, "PLANNED//ENCOUNTER//inpatient//START", 9),
    )
    stays = [check(patients.encounter(stay, chart)) for stay in chart.stays]
    ends = [stay["period"].get("end", "")[:10] for stay in stays]
    assert ends == ["2020-01-03", "", "2020-01-05", "", ""]
    assert [stay["status"] for stay in stays] == ["finished", "in-progress", "finished", "unknown", "planned"]
    assert [stay["class"]["code"] for stay in stays] == ["IMP", "IMP", "icu", "AMB", "IMP"]
    assert stays[0]["hospitalization"]["dischargeDisposition"]["coding"] == [{"code": "home"}]


def test_a_reference_range_of_adults_is_not_shown_for_a_child() -> None:
    born = {"time": datetime(2010, 1, 1), "code": "MEDS_BIRTH"}
    value = {
        "time": datetime(2020, 1, 1),
        "code": "LOINC//2823-3",
        "numeric_value": 4.0,
        "role": "observation",
    }
    for rows, ranges in (((born, value), 0), ((value,), 0)):  # without a unit nothing can be said either
        (one,) = made(of_events(*rows), "Observation")
        assert len(one.get("referenceRange", ())) == ranges


def test_ids_stay_while_other_facts_come(record: Record) -> None:
    early, late = Chart.of(record, DOCTOR, 1, datetime(2020, 3, 2)), Chart.of(record, DOCTOR, 1, NOW)
    assert set(early.rows["id"]) < set(late.rows["id"])
    assert late.rows["id"].is_unique().all()


def test_who_may_not_see_identifiers_is_shown_no_free_text_and_nothing_of_the_day_of_birth() -> None:
    born = datetime(2019, 6, 1)
    rows = [
        {"time": born, "code": "MEDS_BIRTH"},
        {"time": born.replace(hour=8), "code": "LOINC//29463-7", "numeric_value": 3.4, "role": "observation"},
        {"time": datetime(2020, 1, 1), "code": "LOINC//29463-7", "numeric_value": 9.0, "role": "observation"},
        {"time": datetime(2020, 1, 2), "code": "A", "text_value": "Li Lei's sister", "role": "observation"},
        {
            "time": datetime(2020, 1, 3),
            "code": "B",
            "numeric_value": 1.0,
            "text_value": "1, says Li Lei",
            "role": "observation",
        },
        {
            "time": datetime(2020, 1, 4),
            "code": "C",
            "numeric_value": 0.5,
            "text_value": "<0.5",
            "role": "observation",
        },
        {"time": datetime(2020, 1, 5), "code": "D", "text_value": "Li Lei came.", "role": "note"},
    ]
    open_chart, shown = of_events(*rows), of_events(*rows, person=SCIENTIST)
    assert [len(made(one, "Observation")) for one in (open_chart, shown)] == [5, 4]
    weight, text, both, bound = made(shown, "Observation")
    assert weight["effectiveDateTime"].startswith("2020-01-01")
    assert text["dataAbsentReason"]["coding"][0]["code"] == "masked"
    assert both["valueQuantity"]["value"] == 1.0
    assert both["note"][0]["text"] == "text is not shown to your role"
    assert bound["valueQuantity"]["comparator"] == "<"
    (report,) = made(shown, "DiagnosticReport")
    assert report["presentedForm"][0]["title"] == "text is not shown to your role"
    assert "Li Lei" not in str(made(shown, "Observation")) + str(report)
    assert "Li Lei" in str(made(open_chart, "Observation"))
    assert "lastUpdated" not in patients.patient(of_events(*rows[:1], person=SCIENTIST)).get("meta", {})
