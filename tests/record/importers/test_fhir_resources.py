"""What each FHIR resource becomes: one test a rule, on resources as hospitals write them."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.record.importers.fhir import FhirImporter, problems
from medloom.record.importers.fhir.documents import plain_text
from medloom.record.importing import Batch, ImportContext, as_batch_frame

Resource = dict[str, Any]
Read = Callable[..., list[dict[str, Any]]]

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ICD10, RXNORM = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.nlm.nih.gov/research/umls/rxnorm"
DAY_END = {"hour": 23, "minute": 59, "second": 59, "microsecond": 999999}


def coded(code: str, system: str = LOINC, display: str | None = None) -> Resource:
    return {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]}


def resource(kind: str, **fields: Any) -> Resource:
    about = {} if kind == "Patient" else {"subject": {"reference": "Patient/p1"}}
    return {"resourceType": kind, "id": "r1", **about, **fields}


def observation(**fields: Any) -> Resource:
    return resource(
        "Observation",
        **{"status": "final", "code": coded("2160-0"), "effectiveDateTime": "2020-03-01T08:00:00Z", **fields},
    )


def imported(folder: Path, *resources: Resource, zone: str = "UTC") -> list[Batch]:
    path = folder / "export.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, resources)))
    return list(FhirImporter(path).batches(ImportContext(zone)))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def facts(*resources: Resource, zone: str = "UTC") -> list[dict[str, Any]]:
        batches = imported(tmp_path, *resources, zone=zone)
        return pl.concat(as_batch_frame(batch.facts) for batch in batches).to_dicts()

    return facts


# ---- Patient


def test_a_patient_becomes_birth_death_and_static_facts(read: Read) -> None:
    race = {
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "extension": [
            {"url": "ombCategory", "valueCoding": {"code": "2106-3", "display": "White"}},
            {"url": "text", "valueString": "White"},
        ],
    }
    ethnicity = {
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity",
        "extension": [{"url": "text", "valueString": "Not  said"}],
    }
    facts = read(
        resource(
            "Patient",
            gender="female",
            birthDate="1950-07-04",
            deceasedDateTime="2020-03-01T10:00:00Z",
            extension=[race, ethnicity],
            communication=[
                {"language": {"coding": [{"code": "fr"}]}},
                {"language": {"coding": [{"code": "en"}]}, "preferred": True},
            ],
            maritalStatus={"coding": [{"code": "M"}]},
        )
    )
    assert {fact["code"]: (fact["time"], fact["static"]) for fact in facts} == {
        "GENDER//F": (None, True),
        "MEDS_BIRTH": (datetime(1950, 7, 4), False),
        "MEDS_DEATH": (datetime(2020, 3, 1, 10), False),
        "RACE//2106-3": (None, True),
        "ETHNICITY//Not said": (None, True),
        "LANGUAGE//en": (None, True),
        "MARITAL//M": (None, True),
    }
    assert {(f["patient"], f["role"], f["key"], f["problem"]) for f in facts} == {
        ("r1", "demographic", "Patient/r1", None)
    }
    assert [fact["part"] for fact in facts] == list(range(7))


@pytest.mark.parametrize(
    ("written", "code"),
    [("male", "M"), ("female", "F"), ("other", "other"), ("unknown", "unknown"), ("?", "unknown")],
)
def test_gender(read: Read, written: str, code: str) -> None:
    assert [fact["code"] for fact in read(resource("Patient", gender=written))] == [f"GENDER//{code}"]


@pytest.mark.parametrize(
    ("written", "day"), [("1950", (1950, 1, 1)), ("1950-07", (1950, 7, 1)), ("1950-07-04", (1950, 7, 4))]
)
def test_a_birth_date_is_its_first_day_and_needs_no_waiting(
    read: Read, written: str, day: tuple[int, int, int]
) -> None:
    (fact,) = read(resource("Patient", birthDate=written))
    assert (fact["time"], fact["known_time"]) == (datetime(*day), None)


def test_a_death_on_a_day_is_known_when_the_day_is_over(read: Read) -> None:
    (fact,) = read(resource("Patient", deceasedDateTime="2020-03-01"))
    assert fact["time"] == datetime(2020, 3, 1)
    assert fact["known_time"] == datetime(2020, 3, 1, **DAY_END)


def test_a_death_without_a_date_goes_to_quarantine(read: Read) -> None:
    (fact,) = read(resource("Patient", deceasedBoolean=True))
    assert (fact["code"], fact["problem"]) == ("MEDS_DEATH", problems.DEATH_WITHOUT_DATE)


def test_who_is_alive_has_no_death(read: Read) -> None:
    facts = read(resource("Patient", gender="male", deceasedBoolean=False))
    assert [fact["code"] for fact in facts] == ["GENDER//M"]


# ---- Encounter


def encounter(**fields: Any) -> Resource:
    period = {"start": "2020-03-01T08:00:00Z", "end": "2020-03-04T12:00:00Z"}
    return resource(
        "Encounter", **{"status": "finished", "class": {"code": "IMP"}, "period": period, **fields}
    )


def test_an_encounter_is_a_start_and_an_end_and_how_it_ended(read: Read) -> None:
    ended = {"dischargeDisposition": {"coding": [{"code": "home", "display": "Home"}]}}
    facts = read(encounter(hospitalization=ended))
    assert [(f["code"], f["time"], f["encounter"], f["role"], f["part"]) for f in facts] == [
        ("ENCOUNTER//inpatient//START", datetime(2020, 3, 1, 8), "r1", "encounter", 0),
        ("ENCOUNTER//inpatient//END", datetime(2020, 3, 4, 12), "r1", "encounter", 1),
        ("DISCHARGE//home", datetime(2020, 3, 4, 12), "r1", "encounter", 2),
    ]


def test_an_encounter_that_goes_on_has_no_end_and_no_discharge(read: Read) -> None:
    ended = {"dischargeDisposition": {"coding": [{"code": "home"}]}}
    facts = read(encounter(period={"start": "2020-03-01T08:00:00Z"}, hospitalization=ended))
    assert [fact["code"] for fact in facts] == ["ENCOUNTER//inpatient//START"]


def test_an_encounter_without_a_start_keeps_its_end(read: Read) -> None:
    facts = read(encounter(period={"end": "2020-03-04T12:00:00Z"}))
    assert [(f["code"], f["problem"]) for f in facts] == [
        ("ENCOUNTER//inpatient//START", problems.NO_PERIOD_START),
        ("ENCOUNTER//inpatient//END", None),
    ]


@pytest.mark.parametrize(
    ("table", "kind"),
    [("encounter-hosp", "inpatient"), ("encounter-ed", "emergency"), ("encounter-icu", "icu")],
)
def test_mimic_says_in_the_identifier_what_kind_of_stay_it_is(read: Read, table: str, kind: str) -> None:
    identifier = {"system": f"http://mimic.mit.edu/fhir/mimic/identifier/{table}", "value": "1"}
    facts = read(encounter(**{"class": {"code": "EMER"}}, identifier=[identifier]))
    assert facts[0]["code"] == f"ENCOUNTER//{kind}//START"


def test_a_planned_encounter_has_not_taken_place(read: Read) -> None:
    facts = read(encounter(status="planned"))
    assert [fact["code"] for fact in facts] == ["PLANNED//ENCOUNTER//inpatient//START"]


def test_a_cancelled_encounter_is_passed_over_with_a_note(tmp_path: Path) -> None:
    (batch,) = imported(tmp_path, encounter(status="cancelled"))
    assert batch.facts.height == 0
    assert (batch.records, batch.passed_over, batch.notes) == (1, {"Encounter": 1}, {problems.CANCELLED: 1})


# ---- Condition and AllergyIntolerance


def condition(status: str | None = None, **fields: Any) -> Resource:
    verified = {"verificationStatus": {"coding": [{"code": status}]}} if status else {}
    return resource("Condition", **{"code": coded("e119", ICD10), **verified, **fields})


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, "ICD10CM//E11.9"),
        ("confirmed", "ICD10CM//E11.9"),
        ("refuted", "NOT//ICD10CM//E11.9"),
        ("provisional", "POSSIBLE//ICD10CM//E11.9"),
        ("differential", "POSSIBLE//ICD10CM//E11.9"),
        ("unconfirmed", "POSSIBLE//ICD10CM//E11.9"),
    ],
)
def test_the_verification_status_of_a_condition_is_in_its_code(
    read: Read, status: str | None, code: str
) -> None:
    (fact,) = read(condition(status, recordedDate="2020-03-01T08:00:00Z"))
    assert (fact["code"], fact["role"], fact["retracted"]) == (code, "condition", False)


def test_a_condition_entered_in_error_is_retracted_when_that_was_recorded(read: Read) -> None:
    (fact,) = read(
        condition(
            "entered-in-error",
            onsetDateTime="2019-01-01T00:00:00Z",
            recordedDate="2020-03-01T08:00:00Z",
            meta={"lastUpdated": "2020-05-01T00:00:00Z"},
        )
    )
    assert fact["retracted"]
    assert (fact["time"], fact["known_time"]) == (datetime(2019, 1, 1), datetime(2020, 5, 1))


def test_a_condition_since_long_ago_is_known_from_when_it_was_recorded(read: Read) -> None:
    (fact,) = read(condition(onsetPeriod={"start": "2001"}, recordedDate="2020-03-01T08:00:00Z"))
    assert (fact["time"], fact["known_time"]) == (datetime(2001, 1, 1), datetime(2020, 3, 1, 8))


def test_a_condition_without_onset_is_dated_by_its_record(read: Read) -> None:
    (fact,) = read(condition(onsetAge={"value": 40}, recordedDate="2020-03-01"))
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 3, 1), datetime(2020, 3, 1, **DAY_END))


def test_an_undated_condition_is_left_to_the_end_of_its_encounter(read: Read) -> None:
    (fact,) = read(
        condition(encounter={"reference": "Encounter/e1"}, meta={"lastUpdated": "2024-01-01T00:00:00Z"})
    )
    assert (fact["time"], fact["known_time"], fact["static"]) == (None, None, False)
    assert (fact["encounter"], fact["problem"]) == ("e1", None)


def test_an_allergy_without_a_code_is_named_by_its_substances(read: Read) -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "patient": {"reference": "Patient/p1"},
        "recordedDate": "2020-03-01T08:00:00Z",
        "verificationStatus": {"coding": [{"code": "unconfirmed"}]},
        "reaction": [{"substance": coded("1191", RXNORM)}, {"substance": coded("723", RXNORM)}],
    }
    facts = read(allergy)
    assert [f["code"] for f in facts] == ["POSSIBLE//RxNorm//1191", "POSSIBLE//RxNorm//723"]
    assert {(f["patient"], f["role"], f["key"]) for f in facts} == {("p1", "allergy", None)}


# ---- Observation


def test_a_quantity_keeps_its_value_its_unit_and_when_it_was_issued(read: Read) -> None:
    (fact,) = read(
        observation(
            valueQuantity={"value": 1.2, "unit": "milligram per decilitre", "code": "mg/dL"},
            issued="2020-03-01T09:30:00.250Z",
            encounter={"reference": "Encounter/e1"},
        )
    )
    assert (fact["code"], fact["numeric_value"], fact["unit"]) == ("LOINC//2160-0", 1.2, "mg/dL")
    assert (fact["time"], fact["known_time"]) == (
        datetime(2020, 3, 1, 8),
        datetime(2020, 3, 1, 9, 30, 0, 250000),
    )
    assert (fact["encounter"], fact["key"], fact["text_value"]) == ("e1", "Observation/r1", None)


@pytest.mark.parametrize(
    ("value", "number", "text", "unit"),
    [
        ({"valueQuantity": {"value": 500, "comparator": ">", "unit": "U/L"}}, 500.0, ">500", "U/L"),
        ({"valueQuantity": {"value": "7.5", "unit": "g"}}, 7.5, "7.5", "g"),
        ({"valueCodeableConcept": coded("S", "urn:x:s", "Susceptible")}, None, "Susceptible", None),
        ({"valueCodeableConcept": coded("LA6576-8")}, None, "LA6576-8", None),
        ({"valueString": "12.5"}, 12.5, "12.5", None),
        ({"valueString": ">500"}, 500.0, ">500", None),
        ({"valueString": "阳性"}, None, "阳性", None),
        ({"valueString": "1,5"}, None, "1,5", None),
        ({"valueString": "infinity"}, None, "infinity", None),
        ({"valueInteger": 3}, 3.0, None, None),
        ({"valueBoolean": True}, 1.0, "true", None),
        ({"valueBoolean": False}, 0.0, "false", None),
        ({"valueDateTime": "2020-02-29"}, None, "2020-02-29", None),
        (
            {"valueRange": {"low": {"value": 1, "unit": "mg"}, "high": {"value": 2, "unit": "mg"}}},
            None,
            "1-2",
            "mg",
        ),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, None, "1:128", None),
        ({"dataAbsentReason": coded("unknown", "urn:x")}, None, None, None),
    ],
)
def test_values(
    read: Read, value: Resource, number: float | None, text: str | None, unit: str | None
) -> None:
    (fact,) = read(observation(**value))
    assert (fact["numeric_value"], fact["text_value"], fact["unit"], fact["problem"]) == (
        number,
        text,
        unit,
        None,
    )


def component(code: str, value: float) -> Resource:
    return {"code": coded(code), "valueQuantity": {"value": value, "unit": "mm[Hg]"}}


def test_components_are_facts_of_their_own_and_the_panel_is_none(read: Read) -> None:
    facts = read(
        observation(code=coded("85354-9"), component=[component("8480-6", 120), component("8462-4", 80)])
    )
    assert [(f["code"], f["numeric_value"], f["part"], f["key"]) for f in facts] == [
        ("LOINC//8480-6", 120.0, 0, "Observation/r1"),
        ("LOINC//8462-4", 80.0, 1, "Observation/r1"),
    ]


def test_a_panel_with_a_value_of_its_own_comes_before_its_components(read: Read) -> None:
    facts = read(observation(code=coded("9269-2"), valueInteger=14, component=[component("9267-6", 4)]))
    assert [(f["code"], f["numeric_value"], f["part"]) for f in facts] == [
        ("LOINC//9269-2", 14.0, 0),
        ("LOINC//9267-6", 4.0, 1),
    ]


def test_a_component_without_a_code_is_the_only_one_lost(read: Read) -> None:
    facts = read(observation(component=[{"valueInteger": 1}, component("8480-6", 120)]))
    assert [f["problem"] for f in facts] == [problems.NO_CODE, None]


def test_what_covers_a_period_is_known_when_the_period_is_over(read: Read) -> None:
    period = {"start": "2020-03-01T08:00:00Z", "end": "2020-03-02T08:00:00Z"}
    (fact,) = read(observation(effectiveDateTime=None, effectivePeriod=period, valueInteger=900))
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 3, 1, 8), datetime(2020, 3, 2, 8))


def test_a_cancelled_observation_is_passed_over_with_a_note(tmp_path: Path) -> None:
    (batch,) = imported(tmp_path, observation(status="cancelled"), observation(id="r2", valueInteger=1))
    assert batch.facts["key"].to_list() == ["Observation/r2"]
    assert (batch.records, batch.passed_over, batch.notes) == (2, {"Observation": 1}, {problems.CANCELLED: 1})


def test_a_retraction_needs_no_more_than_the_id(read: Read) -> None:
    emptied = {
        "resourceType": "Observation",
        "id": "r1",
        "status": "entered-in-error",
        "subject": {"reference": "Patient/p1"},
        "meta": {"lastUpdated": "2020-05-01T00:00:00Z"},
    }
    (fact,) = read(emptied)
    assert (fact["retracted"], fact["key"], fact["problem"]) == (True, "Observation/r1", None)
    assert fact["code"] is not None
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 5, 1), datetime(2020, 5, 1))


# ---- Medications

DOSE = {"doseAndRate": [{"doseQuantity": {"value": 25, "unit": "milligram", "code": "mg"}}]}
DRUG = {"medicationCodeableConcept": coded("6809", RXNORM, "metformin")}


@pytest.mark.parametrize(
    ("kind", "role", "fields"),
    [
        ("MedicationRequest", "order", {"authoredOn": "2020-03-01T08:00:00Z", "dosageInstruction": [DOSE]}),
        (
            "MedicationDispense",
            "dispense",
            {"whenHandedOver": "2020-03-01T08:00:00Z", "dosageInstruction": [DOSE]},
        ),
        (
            "MedicationAdministration",
            "administration",
            {"effectiveDateTime": "2020-03-01T08:00:00Z", "dosage": {"dose": {"value": 25, "unit": "mg"}}},
        ),
        ("MedicationStatement", "statement", {"effectiveDateTime": "2020-03-01T08:00:00Z", "dosage": [DOSE]}),
    ],
)
def test_ordered_handed_out_given_and_said_are_four_things(
    read: Read, kind: str, role: str, fields: Resource
) -> None:
    (fact,) = read(resource(kind, status="completed", intent="order", **DRUG, **fields))
    assert (fact["role"], fact["code"], fact["time"]) == (role, "RxNorm//6809", datetime(2020, 3, 1, 8))
    assert (fact["numeric_value"], fact["unit"], fact["known_time"]) == (25.0, "mg", None)


@pytest.mark.parametrize(
    ("kind", "fields", "prefix"),
    [
        ("MedicationRequest", {"intent": "plan"}, "PLANNED//"),
        ("MedicationRequest", {"intent": "order", "status": "draft"}, "PLANNED//"),
        ("MedicationRequest", {"intent": "order", "status": "stopped"}, ""),
        ("MedicationRequest", {"intent": "order", "doNotPerform": True}, "NOT//"),
        ("MedicationAdministration", {"status": "not-done"}, "NOT//"),
        ("MedicationAdministration", {"status": "stopped"}, ""),
        ("MedicationDispense", {"status": "declined"}, "NOT//"),
        ("MedicationDispense", {"status": "preparation"}, "PLANNED//"),
        ("MedicationStatement", {"status": "not-taken"}, "NOT//"),
        ("MedicationStatement", {"status": "intended"}, "PLANNED//"),
    ],
)
def test_what_was_not_given_is_not_a_medication(read: Read, kind: str, fields: Resource, prefix: str) -> None:
    (fact,) = read(resource(kind, **DRUG, **fields))
    assert fact["code"] == f"{prefix}RxNorm//6809"


def test_a_dose_over_a_period_is_known_when_it_has_run_in(read: Read) -> None:
    period = {"start": "2020-03-01T08:00:00Z", "end": "2020-03-01T20:00:00Z"}
    given = resource("MedicationAdministration", effectivePeriod=period, **DRUG)
    plain, dosed = read(given, given | {"id": "r2", "dosage": {"dose": {"value": 500, "unit": "mL"}}})
    assert (plain["time"], plain["known_time"]) == (datetime(2020, 3, 1, 8), None)
    assert (dosed["time"], dosed["known_time"]) == (datetime(2020, 3, 1, 8), datetime(2020, 3, 1, 20))


def test_a_statement_is_known_when_it_was_made(read: Read) -> None:
    (fact,) = read(
        resource(
            "MedicationStatement",
            effectivePeriod={"start": "2010"},
            dateAsserted="2020-03-01T08:00:00Z",
            context={"reference": "Encounter/e1"},
            **DRUG,
        )
    )
    assert (fact["time"], fact["known_time"]) == (datetime(2010, 1, 1), datetime(2020, 3, 1, 8))
    assert fact["encounter"] == "e1"


def request(reference: str, **fields: Any) -> Resource:
    return resource(
        "MedicationRequest", medicationReference={"reference": reference}, dosageInstruction=[DOSE], **fields
    )


def test_a_medication_is_found_though_it_comes_later_and_is_no_fact(tmp_path: Path) -> None:
    medication = {"resourceType": "Medication", "id": "m1", "code": coded("6809", RXNORM, "metformin")}
    (batch,) = imported(tmp_path, request("Medication/m1"), medication)
    assert batch.facts["code"].to_list() == ["RxNorm//6809"]
    assert batch.passed_over == {"Medication": 1}
    assert batch.codes["RxNorm//6809"].description == "metformin"


def test_a_mix_is_its_ingredients_and_the_dose_is_nobodys(read: Read) -> None:
    def medication(name: str, **fields: Any) -> Resource:
        return {"resourceType": "Medication", "id": name, **fields}

    mix = medication(
        "mix",
        ingredient=[
            {"itemReference": {"reference": "Medication/a"}},
            {"itemCodeableConcept": coded("4850", RXNORM)},
            {"itemReference": {"reference": "Medication/mix"}},  # a circle
        ],
    )
    facts = read(mix, medication("a", code=coded("7512", RXNORM)), request("Medication/mix"))
    assert [(f["code"], f["numeric_value"], f["part"]) for f in facts] == [
        ("RxNorm//7512", None, 0),
        ("RxNorm//4850", None, 1),
    ]


def test_a_contained_medication_is_found(read: Read) -> None:
    contained = {"resourceType": "Medication", "id": "m", "code": coded("6809", RXNORM)}
    (fact,) = read(request("#m", contained=[contained]))
    assert (fact["code"], fact["numeric_value"]) == ("RxNorm//6809", 25.0)


def test_a_medication_that_is_nowhere_is_a_problem(read: Read) -> None:
    (fact,) = read(request("Medication/lost"))
    assert fact["problem"] == problems.MEDICATION_NOT_FOUND


# ---- Procedure, Immunization, ServiceRequest


@pytest.mark.parametrize(
    ("status", "prefix"), [("completed", ""), ("not-done", "NOT//"), ("preparation", "PLANNED//")]
)
def test_a_procedure_that_did_not_take_place_says_so(read: Read, status: str, prefix: str) -> None:
    period = {"start": "2020-03-01T08:00:00Z", "end": "2020-03-01T09:00:00Z"}
    (fact,) = read(
        resource("Procedure", status=status, code=coded("80146002", SNOMED), performedPeriod=period)
    )
    assert (fact["code"], fact["role"]) == (f"{prefix}SNOMED//80146002", "procedure")
    assert fact["time"] == datetime(2020, 3, 1, 8)


def test_a_vaccination_reported_later_is_known_later(read: Read) -> None:
    vaccination = {
        "resourceType": "Immunization",
        "id": "i",
        "status": "completed",
        "patient": {"reference": "Patient/p1"},
        "vaccineCode": coded("140", "http://hl7.org/fhir/sid/cvx"),
        "occurrenceDateTime": "2019-10",
        "recorded": "2020-03-01T08:00:00Z",
    }
    done, refused = read(vaccination, vaccination | {"id": "j", "status": "not-done"})
    assert (done["code"], done["role"], done["patient"]) == ("CVX//140", "immunization", "p1")
    assert (done["time"], done["known_time"]) == (datetime(2019, 10, 1), datetime(2020, 3, 1, 8))
    assert refused["code"] == "NOT//CVX//140"


@pytest.mark.parametrize(
    ("intent", "status", "prefix"),
    [
        ("order", "active", ""),
        ("order", "revoked", ""),
        ("plan", "active", "PLANNED//"),
        ("proposal", "active", "PLANNED//"),
        ("order", "draft", "PLANNED//"),
        ("order", "on-hold", "PLANNED//"),
    ],
)
def test_a_service_request_is_an_order_or_a_plan(read: Read, intent: str, status: str, prefix: str) -> None:
    (fact,) = read(
        resource(
            "ServiceRequest", intent=intent, status=status, code=coded("24323-8"), authoredOn="2020-03-01"
        )
    )
    assert (fact["code"], fact["role"]) == (f"{prefix}LOINC//24323-8", "order")
    assert fact["known_time"] == datetime(2020, 3, 1, **DAY_END)


# ---- Texts


def attachment(text: bytes, kind: str = "text/plain") -> Resource:
    return {"contentType": kind, "data": base64.b64encode(text).decode()}


def report(**fields: Any) -> Resource:
    times = {"effectiveDateTime": "2020-03-01T08:00:00Z", "issued": "2020-03-01T12:00:00Z"}
    return resource("DiagnosticReport", status="final", code=coded("24627-2"), **times, **fields)


def test_a_reports_words_are_a_note_known_when_it_was_issued(read: Read) -> None:
    form = attachment(b"<p>No <b>embolism</b>.</p><script>x</script>", "text/html; charset=utf-8")
    (fact,) = read(report(presentedForm=[form], conclusion="Normal"))
    assert (fact["text_value"], fact["role"]) == ("No embolism.\n\nNormal", "note")
    assert fact["code"] == "LOINC//24627-2"
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 3, 1, 8), datetime(2020, 3, 1, 12))


def test_a_report_that_only_lists_results_is_passed_over(tmp_path: Path) -> None:
    listed = report(result=[{"reference": "Observation/1"}], text={"div": "<div>generated</div>"})
    (batch,) = imported(tmp_path, listed)
    assert (batch.facts.height, batch.passed_over) == (0, {"DiagnosticReport": 1})


@given(st.text(alphabet="<>![]?/-&;#ab \n", max_size=40) | st.text(max_size=20))
def test_no_html_stops_the_reading_of_its_text(html: str) -> None:
    assert "<b>" not in plain_text(html + "<b>end</b>")


def test_what_word_processors_write_is_no_text() -> None:
    assert plain_text("<p>a<![foo[x]]>b</p><![if !IE]>c<![endif]><!-- d -->") == "ab\nc"


def document(*attachments: Resource, **fields: Any) -> Resource:
    content = [{"attachment": each} for each in attachments]
    return resource(
        "DocumentReference",
        type=coded("18842-5"),
        date="2020-03-04T12:00:00Z",
        context={"encounter": [{"reference": "Encounter/e1"}], "period": {"start": "2020-03-01"}},
        content=content,
        **fields,
    )


def test_a_document_in_two_formats_is_one_note_when_it_was_written(read: Read) -> None:
    (fact,) = read(document(attachment("<p>住院</p>".encode(), "text/html"), attachment("住院".encode())))
    assert (fact["text_value"], fact["role"], fact["encounter"]) == ("住院", "note", "e1")
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 3, 4, 12), datetime(2020, 3, 4, 12))


def test_a_document_in_another_charset_is_read_as_it_says(read: Read) -> None:
    (fact,) = read(document(attachment("住院".encode("gb18030"), "text/plain; charset=GB18030")))
    assert fact["text_value"] == "住院"


def test_a_text_that_is_not_in_its_charset_is_a_problem(read: Read) -> None:
    (fact,) = read(document(attachment("入院记录".encode("gb18030"))))
    assert fact["problem"] == problems.UNREADABLE_TEXT


def test_a_document_without_a_text_is_passed_over_with_a_note(tmp_path: Path) -> None:
    (batch,) = imported(tmp_path, document(attachment(b"%PDF", "application/pdf")))
    assert (batch.passed_over, batch.notes) == ({"DocumentReference": 1}, {problems.NO_TEXT: 1})


# ---- Codes, patients, times


def test_of_several_codings_the_preferred_system_counts(read: Read) -> None:
    codings = [
        coded("X1", "urn:oid:1.2.3"),
        coded("E11.9", ICD10),
        coded("44054006", SNOMED, "Type 2 diabetes"),
    ]
    (fact,) = read(condition(code={"coding": [c["coding"][0] for c in codings]}))
    assert fact["code"] == "SNOMED//44054006"


def test_a_text_without_a_code_stays_a_text(read: Read) -> None:
    (fact,) = read(
        condition(code={"coding": [{"system": SNOMED, "code": " "}], "text": "  Zucker-\n krankheit "})
    )
    assert fact["code"] == "TEXT//Zucker- krankheit"


def test_a_code_without_a_system_is_local(read: Read) -> None:
    assert [f["code"] for f in read(condition(code={"coding": [{"code": "K7"}]}))] == ["LOCAL//K7"]


@pytest.mark.parametrize("code", [None, {}, {"coding": []}, {"coding": [{"system": LOINC, "code": ""}]}])
def test_nothing_to_call_it_is_a_problem(read: Read, code: Resource | None) -> None:
    (fact,) = read(observation(code=code))
    assert (fact["problem"], fact["key"]) == (problems.NO_CODE, "Observation/r1")


def test_a_description_is_given_once_and_a_late_one_is_not_missed(tmp_path: Path) -> None:
    (batch,) = imported(
        tmp_path,
        observation(),
        observation(id="2", code=coded("2160-0", display="Creatinine")),
        observation(id="3"),
    )
    assert batch.codes["LOINC//2160-0"].description == "Creatinine"


@pytest.mark.parametrize(
    "reference",
    ["Patient/p1", "https://h.org/fhir/Patient/p1", "Patient/p1/_history/3", "urn:uuid:p1", "p1"],
)
def test_a_reference_is_the_bare_identifier_however_it_is_written(read: Read, reference: str) -> None:
    (fact,) = read(observation(subject={"reference": reference}))
    assert (fact["patient"], fact["problem"]) == ("p1", None)


@pytest.mark.parametrize(
    "subject", [None, {}, {"display": "somebody"}, {"reference": "Patient?identifier=1"}]
)
def test_a_resource_without_a_patient_is_a_problem(read: Read, subject: Resource | None) -> None:
    (fact,) = read(observation(subject=subject))
    assert (fact["patient"], fact["problem"], fact["code"]) == (None, problems.NO_PATIENT, "LOINC//2160-0")


def test_what_is_about_a_group_is_passed_over(tmp_path: Path) -> None:
    (batch,) = imported(tmp_path, observation(subject={"reference": "Group/g"}))
    assert (batch.passed_over, batch.notes) == ({"Observation": 1}, {problems.OTHER_SUBJECT: 1})


def test_times_are_wall_clock_in_the_sites_zone(read: Read) -> None:
    (fact,) = read(
        observation(effectiveDateTime="2020-03-01T23:30:00Z", issued="2020-03-02T09:00:00+09:00"),
        zone="Asia/Shanghai",
    )
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 3, 2, 7, 30), datetime(2020, 3, 2, 8))


@pytest.mark.parametrize("field", ["effectiveDateTime", "issued"])
@pytest.mark.parametrize("written", ["0000-00-00", "2019-13-45", "yesterday", "", "2020-03-01T25:00:00Z"])
def test_a_date_that_is_none_is_a_problem(read: Read, field: str, written: str) -> None:
    (fact,) = read(observation(**{field: written, "valueInteger": 1}))
    assert (fact["problem"], fact["numeric_value"]) == (problems.UNREADABLE_DATE, 1.0)


def test_a_month_is_known_when_it_is_over(read: Read) -> None:
    (fact,) = read(observation(effectiveDateTime="2020-02"))
    assert (fact["time"], fact["known_time"]) == (datetime(2020, 2, 1), datetime(2020, 2, 29, **DAY_END))


@pytest.mark.parametrize(
    "broken",
    [
        {"code": "2160-0"},
        {"code": {"coding": [{"system": 7, "code": "x"}]}},
        {"code": {"coding": [{"system": LOINC, "code": 7}]}},
        {"subject": "p1"},
        {"subject": {"reference": 1}},
        {"subject": {"reference": ["Patient/p1"]}},
        {"effectiveDateTime": 20200301},
        {"issued": ["2020"]},
        {"valueQuantity": {"value": 1, "unit": 3}},
        {"valueQuantity": {"value": {"x": 1}}},
        {"valueString": 12},
        {"component": [3]},
        {"component": {"code": 1}},
        {"id": {"a": 1}},
        {"meta": 3, "status": "entered-in-error"},
    ],
)
def test_a_resource_of_another_build_is_one_problem_and_its_neighbours_are_well(
    read: Read, broken: Resource
) -> None:
    before, *middle, after = read(observation(id="a"), observation() | broken, observation(id="z"))
    assert (before["problem"], after["problem"]) == (None, None)
    assert (before["patient"], after["key"], after["row"]) == ("p1", "Observation/z", 3)
    assert len(middle) == 1
    if "id" not in broken:
        assert middle[0]["problem"] == problems.MALFORMED


def test_every_other_resource_is_counted_by_type(tmp_path: Path) -> None:
    others = [{"resourceType": kind, "id": str(n)} for n, kind in enumerate(["Claim", "Claim", "CarePlan"])]
    (batch,) = imported(tmp_path, *others, observation())
    assert Counter(batch.passed_over) == Counter(Claim=2, CarePlan=1)
    assert (batch.records, batch.facts.height) == (4, 1)
