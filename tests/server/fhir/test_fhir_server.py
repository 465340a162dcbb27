"""`/fhir` of a served site: reading, searching, asking, taking in; who may; what is noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from medloom.database.tables.audit import audit
from medloom.server.backend import Backend
from tests.server.conftest import Visitor
from tests.server.fhir.r4 import check
from tests.server.ward import LAB, MODEL

Visit = Callable[[str], Visitor]
CREATININE = LAB.removeprefix("LOINC//")


def get(visitor: Visitor, path: str, status: int = 200, **headers: str) -> dict[str, Any]:
    answer = visitor.get(f"/fhir/{path}", headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    return check(answer.json())


def entries(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle.get("entry", ())]


def last_audited(backend: Backend) -> Any:
    with backend.database.reading() as connection:
        return connection.execute(select(audit).order_by(audit.c.number.desc()).limit(1)).one()


def send(visitor: Visitor, path: str, content: Any, status: int = 200) -> dict[str, Any]:
    answer = visitor.post(f"/fhir{path}", json=content, headers={"x-csrf-token": visitor.csrf})
    assert answer.status_code == status, answer.text
    return check(answer.json())


def test_metadata_is_public_and_names_every_type(app: Any) -> None:
    statement = get(Visitor(app), "metadata")
    assert statement["fhirVersion"] == "4.0.1"
    types = {resource["type"] for resource in statement["rest"][0]["resource"]}
    assert {"Patient", "Observation", "RiskAssessment", "AuditEvent", "Device", "Provenance"} <= types


def test_every_search_that_metadata_tells_is_taken(client: Visit) -> None:
    statement = get(client("doctor"), "metadata")
    values = {"date": "ge2000", "reference": "Patient/1", "token": "x", "string": "x"}
    for resource in statement["rest"][0]["resource"]:
        reader = client("lead") if resource["type"] == "AuditEvent" else client("doctor")
        own = ("identifier", "target", "patient", "subject")
        asked = {p["name"]: values[p["type"]] for p in resource["searchParam"] if p["name"] not in own}
        whose = {} if resource["type"] in ("Patient", "Device", "AuditEvent") else {"patient": "1"}
        get(reader, f"{resource['type']}?{urlencode(whose | asked)}", prefer="handling=strict")


def test_a_resource_that_was_found_can_be_read(client: Visit) -> None:
    doctor = client("doctor")
    for kind in ("Observation", "Encounter"):
        bundle = get(doctor, f"{kind}?patient=1")
        assert bundle["total"] == len(entries(bundle)) > 0
        for entry in bundle["entry"]:
            assert get(doctor, entry["fullUrl"].partition("/fhir/")[2]) == entry["resource"]
    get(doctor, "Observation/1-1-1", 404)
    get(doctor, "Condition/" + entries(get(doctor, "Observation?patient=1"))[0]["id"], 404)
    get(doctor, "Appointment/1", 404)


def test_a_search_by_code_date_and_category(client: Visit) -> None:
    doctor = client("doctor")
    everything = entries(get(doctor, "Observation?patient=1&_sort=date"))
    first, second = [one["effectiveDateTime"] for one in everything]
    for asked, n in (
        (f"code=http://loinc.org|{CREATININE}", 2),
        (f"code=http://snomed.info/sct|1,{CREATININE}", 2),
        ("code=http://loinc.org|", 2),
        ("code=8867-4", 0),
        ("category=laboratory", 2),
        ("category=vital-signs", 0),
        (f"date={second.replace('+', '%2B')}", 1),
        (f"date=gt{first.replace('+', '%2B')}", 1),
        (f"date=lt{first.replace('+', '%2B')}", 0),
        (f"date=ge{first[:10]}&date=le{second[:10]}", 2),
        (f"_id={everything[0]['id']}", 1),
        ("_lastUpdated=ge1900", 2),
    ):
        assert get(doctor, f"Observation?patient=1&{asked}", prefer="handling=strict")["total"] == n, asked
    for wrong in ("date=yesterday", "date=ap2020", "code:in=x", "_count=many", "_sort=value", "_cursor=Zm9v"):
        get(doctor, f"Observation?patient=1&{wrong}", 400)
    get(doctor, "Observation", 400)
    get(doctor, "Observation?patient=1,2", 400)


def test_what_is_not_known_is_refused_strictly_and_otherwise_left_out_of_the_self_link(client: Visit) -> None:
    doctor = client("doctor")
    path = "Observation?patient=1&flavour=sweet"
    (link,) = get(doctor, path)["link"]
    assert "flavour" not in link["url"] and "patient=1" in link["url"]
    refused = get(doctor, path, 400, prefer="respond-async, handling=strict")
    assert refused["resourceType"] == "OperationOutcome"


def test_pages_hold_everything_once(client: Visit) -> None:
    doctor = client("doctor")
    found: list[str] = []
    path: str | None = "Patient?_count=50"
    while path:
        bundle = get(doctor, path)
        assert bundle["total"] == 120
        found += [one["id"] for one in entries(bundle)]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        path = following[0].partition("/fhir/")[2] if following else None
    assert len(found) == len(set(found)) == 120


def test_a_patient_shows_identifiers_only_to_who_may_see_them(client: Visit) -> None:
    shown = get(client("doctor"), "Patient/32")
    assert shown["identifier"][0]["value"] == "P31"
    assert len(shown["birthDate"]) == 10
    hidden = get(client("scientist"), "Patient/32")
    assert "identifier" not in hidden
    assert hidden["birthDate"] == "1961"


def test_a_patient_is_found_by_identifier_in_a_body_and_never_in_an_address(client: Visit) -> None:
    doctor = client("doctor")
    get(doctor, "Patient?identifier=ward|P1", 400)

    def search(visitor: Visitor) -> Any:
        fields = {"identifier": "urn:x-medloom:identifiers:ward|P1", "csrf": visitor.csrf}
        return visitor.post("/fhir/Patient/_search", data=fields)

    bundle = check(search(doctor).json())
    assert [one["id"] for one in entries(bundle)] == ["2"]
    assert "P1" not in str(bundle["link"])
    assert search(client("scientist")).status_code == 403


def test_only_the_care_team_reads_and_every_reading_is_noted(client: Visit, backend: Backend) -> None:
    nurse = client("nurse")
    assert get(nurse, "Patient")["total"] == 5
    get(nurse, "Observation?patient=5")
    entry = last_audited(backend)
    assert (entry.actor, entry.action, entry.subject_id, entry.target) == (
        "nurse",
        "fhir.searched",
        5,
        "Observation",
    )
    for path in ("Patient/6", "Observation?patient=6", "Encounter/6-e1", "RiskAssessment?patient=6"):
        refused = get(nurse, path, 403)
        assert refused["issue"][0]["code"] == "forbidden"
        assert last_audited(backend).outcome == "refused"


@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("expert", "Patient"),
        ("lead", "Observation?patient=1"),
        ("doctor", "AuditEvent"),
        ("admin", "Device"),
    ],
)
def test_a_role_that_may_not_is_told_so(client: Visit, login: str, path: str) -> None:
    assert get(client(login), path, 403)["resourceType"] == "OperationOutcome"


def test_nobody_reads_without_signing_in(app: Any) -> None:
    answer = Visitor(app).get("/fhir/Patient/1")
    assert answer.status_code == 401
    assert check(answer.json())["issue"][0]["code"] == "login"


def test_xml_and_other_versions_are_not_spoken(client: Visit) -> None:
    doctor = client("doctor")
    get(doctor, "Patient/1?_format=xml", 406)
    get(doctor, "Patient/1", 406, accept="application/fhir+xml")
    get(doctor, "Patient/1", 406, accept="application/fhir+json; fhirVersion=5.0")
    get(doctor, "Patient/1?_format=application/fhir%2Bjson", accept="text/html")
    assert doctor.head("/fhir/Patient/1").status_code == 200


def test_a_model_is_asked_and_its_answer_is_kept(client: Visit, backend: Backend) -> None:
    doctor = client("doctor")
    made = send(doctor, f"/Patient/1/$evaluate-risk?model={MODEL}", None)
    assessment, provenance = [check(one["resource"]) for one in made["parameter"]]
    (prediction,) = assessment["prediction"]
    assert 0 <= prediction["probabilityDecimal"] <= 100
    assert prediction["rationale"]
    assert prediction["whenPeriod"]["start"] == assessment["occurrenceDateTime"]
    assert get(doctor, f"RiskAssessment/{assessment['id']}") == assessment
    assert get(doctor, f"Provenance?target=RiskAssessment/{assessment['id']}")["total"] == 1
    assert get(doctor, f"Provenance/{assessment['id']}") == provenance
    device = get(doctor, assessment["performer"]["reference"])
    assert device["status"] == "active"
    assert device["version"][0]["value"] == backend.serving.find(MODEL).release.package
    assert entries(get(doctor, f"RiskAssessment?patient=1&method={MODEL}&date=ge2000")) == [assessment]
    assert get(doctor, "Device?status=active")["total"] == 1


def test_parameters_name_model_and_moment(client: Visit) -> None:
    doctor = client("doctor")
    moment = get(doctor, "Encounter?patient=1")["entry"][0]["resource"]["period"]["start"]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "model", "valueString": "outcome"},
            {"name": "at", "valueDateTime": moment},
            {"name": "explain", "valueBoolean": False},
        ],
    }
    made = send(doctor, "/Patient/1/$evaluate-risk", parameters)
    assert made["parameter"][0]["resource"]["occurrenceDateTime"] == moment
    assert "rationale" not in made["parameter"][0]["resource"]["prediction"][0]
    send(doctor, "/Patient/1/$evaluate-risk?model=nothing", None, 404)
    send(doctor, "/Patient/1/$evaluate-risk", {"resourceType": "Patient"}, 400)
    later = send(doctor, "/Patient/1/$evaluate-risk?at=2099-01-01T00:00:00Z", None, 422)
    assert "to come" in later["issue"][0]["diagnostics"]


def test_the_audit_log_is_read_as_audit_events(client: Visit) -> None:
    get(client("doctor"), "Patient/3")
    lead = client("lead")
    found = entries(get(lead, "AuditEvent?patient=3&agent-name=doctor&subtype=fhir.read"))
    assert found[0]["entity"][0]["what"]["reference"] == "Patient/3"
    assert found[0]["outcome"] == "0"
    assert get(lead, f"AuditEvent/{found[0]['id']}") == found[0]
    get(lead, "AuditEvent/0", 404)


def potassium(patient: str, value: float = 5.1, **more: Any) -> dict[str, Any]:
    return {
        "resource": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
            "subject": {"reference": patient},
            "effectiveDateTime": "2020-01-02T08:00:00Z",
            "valueQuantity": {"value": value, "unit": "mmol/L"},
        },
        "request": {"method": "POST", "url": "Observation"},
    } | more


def bundle_of(*listed: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(listed)}


def test_a_transaction_is_read_back_at_once(client: Visit, backend: Backend) -> None:
    scientist = client("scientist")
    told = send(scientist, "", bundle_of(potassium("Patient/4")))
    assert told["type"] == "transaction-response"
    assert told["entry"][0]["response"]["status"] == "201"
    assert last_audited(backend).action == "events.sent"
    (found,) = entries(get(scientist, "Observation?patient=4&code=2823-3"))
    assert found["valueQuantity"]["value"] == 5.1
    send(scientist, "", bundle_of(potassium("Patient/4")))
    assert get(scientist, "Observation?patient=4&code=2823-3")["total"] == 1


def test_what_a_new_code_means_is_kept(client: Visit, backend: Backend) -> None:
    test = potassium("Patient/4")
    test["resource"]["code"] = {
        "coding": [{"system": "https://st-mary.org/tests", "code": "K7", "display": "Rapid test"}]
    }
    scientist = client("scientist")
    send(scientist, "", bundle_of(test))
    for _ in ("live", "compacted"):
        (found,) = entries(get(scientist, "Observation?patient=4&code=K7"))
        assert found["code"]["coding"][0]["display"] == "Rapid test"
        backend.site.record.compact()


def test_new_patients_come_under_the_hospitals_identifiers(client: Visit, backend: Backend) -> None:
    patient = {
        "fullUrl": "urn:uuid:new-1",
        "resource": {"resourceType": "Patient", "gender": "male"},
        "request": {"method": "POST", "url": "Patient"},
    }
    doctor = {
        "resource": {"resourceType": "Practitioner"},
        "request": {"method": "POST", "url": "Practitioner"},
    }
    bundle = bundle_of(patient, potassium("urn:uuid:new-1"), doctor)
    scientist = client("scientist")
    send(scientist, "", bundle, 422)
    told = send(scientist, "?system=ward", bundle)
    assert [one["response"]["status"] for one in told["entry"]] == ["201", "201", "200"]
    assert told["entry"][2]["response"]["outcome"]["issue"][0]["severity"] == "information"
    number = backend.site.record.find("new-1", "ward")
    assert get(scientist, f"Patient/{number}")["gender"] == "male"
    backend.site.record.erase(number)
    send(scientist, "?system=ward", bundle, 422)


def test_a_transaction_is_whole_or_nothing_and_a_batch_each_by_itself(client: Visit) -> None:
    scientist = client("scientist")
    undated = potassium("Patient/7")
    del undated["resource"]["effectiveDateTime"]
    listed = (
        potassium("Patient/7", 4.0),
        undated,
        potassium("Patient/9999"),
        potassium("Patient/7", request={"method": "DELETE", "url": "Observation/1"}),
    )
    refused = send(scientist, "", bundle_of(*listed), 422)
    assert [issue["expression"] for issue in refused["issue"]] == [[f"Bundle.entry[{n}]"] for n in (1, 2, 3)]
    assert get(scientist, "Observation?patient=7&code=2823-3")["total"] == 0
    told = send(scientist, "", bundle_of(*listed, kind="batch"))
    assert [one["response"]["status"] for one in told["entry"]] == ["201", "422", "422", "405"]
    assert get(scientist, "Observation?patient=7&code=2823-3")["total"] == 1
    send(scientist, "", {"resourceType": "Bundle", "type": "collection"}, 400)
    send(client("doctor"), "", bundle_of(potassium("Patient/4")), 403)


def test_a_row_that_is_refused_in_the_middle_leaves_nothing_of_a_transaction(
    client: Visit, backend: Backend
) -> None:
    scientist, record = client("scientist"), backend.site.record
    send(scientist, "?system=ward", bundle_of(potassium("Patient/gone")))
    record.erase(record.find("gone", "ward"))
    listed = [potassium("Patient/P7", 4.2), potassium("Patient/gone"), potassium("Patient/P8", 4.2)]
    before = last_audited(backend).number, record.waiting()
    refused = send(scientist, "?system=ward", bundle_of(*listed), 422)
    assert [issue["expression"] for issue in refused["issue"]] == [["Bundle.entry[1]"]]
    assert (last_audited(backend).number, record.waiting()) == before
    told = send(scientist, "?system=ward", bundle_of(*listed, kind="batch"))
    assert [one["response"]["status"] for one in told["entry"]] == ["201", "422", "201"]
    assert get(scientist, "Observation?patient=9&code=2823-3")["total"] == 1


def test_an_address_that_stands_for_another_patient_is_refused(client: Visit) -> None:
    stay = {
        "fullUrl": "Patient/4",
        "resource": {
            "resourceType": "Encounter",
            "id": "8",
            "status": "finished",
            "class": {"code": "IMP"},
            "subject": {"reference": "Patient/4"},
            "period": {"start": "2020-01-01T00:00:00Z"},
        },
        "request": {"method": "POST", "url": "Encounter"},
    }
    send(client("scientist"), "", bundle_of(stay, potassium("Patient/4", 6.6)), 422)
