"""The API where patients are asked about: predictions, the worklist, what is known of somebody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from medloom.care import risk
from medloom.cli.app import app
from medloom.database.tables.audit import audit
from medloom.database.tables.serving import advice
from medloom.database.tables.work import idempotency
from medloom.server.backend import Backend
from tests.server.api.conftest import Program
from tests.server.conftest import Visitor
from tests.server.ward import LAB, MODEL

Programs = Callable[[str], Program]


def asked(program: Program, subject: int, **more: Any) -> httpx.Response:
    return program.post("predictions", json={"model": "outcome", "subject_id": subject, **more})


def entries(backend: Backend, action: str) -> list[Any]:
    with backend.database.reading() as connection:
        return list(connection.execute(select(audit).where(audit.c.action == action)))


def test_advice_is_stored_audited_found_again_and_reproduced(program: Programs, backend: Backend) -> None:
    doctor = program("doctor")
    before = len(entries(backend, "advice.given"))
    answer = asked(doctor, 1, explain=True)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["model"] == MODEL and told["reasons"] and 0 <= told["answers"][0]["value"] <= 1
    found = doctor.get(f"http://testserver{answer.headers['location']}")
    assert found.json() == told
    same = doctor.get(f"advice/{told['id']}", headers={"if-none-match": found.headers["etag"]})
    assert same.status_code == 304
    assert risk.reproduce(backend.site, backend.database, told["id"]).same
    given = entries(backend, "advice.given")
    assert len(given) == before + 1
    assert (given[-1].actor, given[-1].subject_id, given[-1].target) == ("doctor", 1, told["id"])


def test_the_command_line_tells_the_log_of_what_it_made_again(program: Programs, backend: Backend) -> None:
    told = asked(program("doctor"), 1).json()
    root = str(backend.site.directory.root)
    again = CliRunner().invoke(app, ["reproduce", told["id"], "--site", root])
    assert again.exit_code == 0, again.output
    (entry,) = [one for one in entries(backend, "advice.reproduced") if one.target == told["id"]]
    assert (entry.actor, entry.subject_id, json.loads(entry.detail)) == ("operator", 1, {"same": True})
    verified = CliRunner().invoke(app, ["audit", "verify", "--head", entry.digest, "--site", root])
    assert f"it is that of entry {entry.number:,}." in verified.output


def test_many_are_asked_at_once_and_those_who_cannot_be_are_named(
    program: Programs, backend: Backend
) -> None:
    answer = program("doctor").post(
        "predictions/batch", json={"model": "outcome", "subject_ids": [3, 1, 987654, 2, 1]}
    )
    assert answer.status_code == 201, answer.text
    assert [one["subject_id"] for one in answer.json()["advice"]] == [1, 2, 3]
    assert [one["subject_id"] for one in answer.json()["not_asked"]] == [987654]
    one = asked(program("doctor"), 1).json()
    assert one["answers"] == answer.json()["advice"][0]["answers"]
    assert one["input_digest"] == answer.json()["advice"][0]["input_digest"]


def test_a_moment_may_be_named_but_not_one_to_come(program: Programs) -> None:
    past = asked(program("doctor"), 1, at="2020-06-02T12:00:00")
    assert past.status_code == 201 and past.json()["prediction_time"] == "2020-06-02T12:00:00"
    assert past.json()["cautions"]  # the task itself asks at other moments
    assert asked(program("doctor"), 1, at="2999-01-01T00:00:00Z").status_code == 422


def test_patients_of_others_are_refused_everywhere(program: Programs, backend: Backend) -> None:
    nurse = program("nurse")
    assert asked(nurse, 5).status_code == 201
    hers = asked(program("doctor"), 50).json()["id"]
    for answer in (
        asked(nurse, 50),
        nurse.post("predictions/batch", json={"model": "outcome", "subject_ids": [1, 50]}),
        nurse.get("patients/50"),
        nurse.get("patients/50/events"),
        nurse.get(f"advice/{hers}"),
    ):
        assert answer.status_code == 403, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert {one.subject_id for one in entries(backend, "patient.refused")} == {50}
    assert [one["subject_id"] for one in nurse.get("patients").json()["patients"]] == [1, 2, 3, 4, 5]
    rows = nurse.get("worklist").json()["rows"]
    assert rows and {one["subject_id"] for one in rows} <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize("sort", ["risk", "change", "time", "patient"])
def test_pages_of_the_worklist_hold_every_row_once(program: Programs, sort: str) -> None:
    doctor = program("doctor")
    whole = doctor.get("worklist", params={"sort": sort, "limit": 1000}).json()
    rows: list[Any] = []
    cursor = None
    while True:
        params = {"sort": sort, "limit": 37} | ({"cursor": cursor} if cursor else {})
        page = doctor.get("worklist", params=params).json()
        rows += page["rows"]
        if (cursor := page["next"]) is None:
            break
    assert rows == whole["rows"] and len(rows) == whole["total"]
    if sort == "risk":
        assert [one["value"] for one in rows] == sorted((one["value"] for one in rows), reverse=True)


def test_the_worklist_is_filtered(program: Programs) -> None:
    alerts = program("doctor").get("worklist", params={"alert": True, "task": "outcome"}).json()["rows"]
    assert alerts and all(one["value"] >= 0.5 for one in alerts)
    likely = program("doctor").get("worklist", params={"least": 0.5}).json()["rows"]
    assert likely == alerts


def test_an_alert_is_unread_until_this_account_has_opened_the_patient(
    program: Programs, client: Callable[[str], Visitor]
) -> None:
    doctor = program("doctor")
    waiting = doctor.get("worklist", params={"unread": True}).json()["rows"]
    assert waiting and all(one["alert"] and one["unread"] for one in waiting)
    opened = waiting[0]["subject_id"]
    client("doctor").get(f"/patients/{opened}")
    left = doctor.get("worklist", params={"unread": True}).json()["rows"]
    assert [one["subject_id"] for one in left] == [one["subject_id"] for one in waiting[1:]]
    others = program("scientist").get("worklist", params={"unread": True}).json()["rows"]
    assert opened in [one["subject_id"] for one in others]


def test_a_cursor_belongs_to_its_list(program: Programs) -> None:
    doctor = program("doctor")
    cursor = doctor.get("worklist", params={"limit": 1}).json()["next"]
    for address, params in (
        ("patients", {"cursor": cursor}),
        ("worklist", {"cursor": cursor, "sort": "time"}),
        ("worklist", {"cursor": "!"}),
        ("worklist", {"cursor": "W10"}),
    ):
        assert doctor.get(address, params=params).status_code == 422


def test_identifiers_are_shown_to_clinicians_alone(program: Programs) -> None:
    seen = program("doctor").get("patients/1").json()
    named = program("doctor").get("patients/1/identifiers").json()
    assert named == {"identifiers": [{"system": "ward", "value": "P0"}]}
    assert seen["birth"].startswith("1930")
    assert program("scientist").get("patients/1/identifiers").status_code == 403
    hidden = program("scientist").get("patients/1")
    assert hidden.json()["birth"] is None
    assert (seen["age"], hidden.json()["age"]) == (90, 90)
    codes = [one["code"] for one in program("scientist").get("patients/1/events").json()["events"]]
    assert LAB in codes and "MEDS_BIRTH" not in codes


def test_events_are_paged_and_show_what_is_known_now(program: Programs) -> None:
    doctor = program("doctor")
    whole = doctor.get("patients/1/events").json()
    assert "ENCOUNTER//inpatient//END" not in [one["code"] for one in whole["events"]]  # is yet to come
    first = doctor.get("patients/1/events", params={"limit": 2}).json()
    rest = doctor.get("patients/1/events", params={"limit": 1000, "cursor": first["next"]}).json()
    assert first["events"] + rest["events"] == whole["events"] and rest["next"] is None
    labs = doctor.get("patients/1/events", params={"code": LAB, "since": "2020-06-02T00:00:00"}).json()
    assert {one["code"] for one in labs["events"]} == {LAB} and labs["total"] == 1


def test_a_request_with_a_key_is_done_once(program: Programs, backend: Backend) -> None:
    doctor, headers = program("doctor"), {"idempotency-key": "k1"}
    body = {"model": "outcome", "subject_id": 2}
    first = doctor.post("predictions", json=body, headers=headers)
    again = doctor.post("predictions", json=body, headers=headers)
    assert again.status_code == 201 and again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    with backend.database.reading() as connection:
        query = select(func.count()).where(advice.c.id == first.json()["id"])
        assert connection.execute(query).scalar_one() == 1
    other = doctor.post("predictions", json=body | {"subject_id": 3}, headers=headers)
    assert other.status_code == 422
    # as after a crash between the work and the note of its answer
    backend.database.write(lambda known: known.execute(update(idempotency).values(status=0, body="")))
    cut_off = doctor.post("predictions", json=body, headers=headers)
    assert cut_off.status_code == 409 and "cut off" in cut_off.json()["detail"]
    elsewhere = program("scientist").post(
        "predictions", json=body, headers=headers
    )  # keys are each one's own
    assert elsewhere.json()["id"] != first.json()["id"]


def test_problems_say_what_is_wrong_and_repeat_no_values(program: Programs, app: Any) -> None:
    answer = program("doctor").post("predictions", json={"model": 7, "subject_id": "Jane Roe"})
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert "subject_id" in answer.json()["detail"] and "Jane Roe" not in answer.text
    assert asked(program("doctor"), 987654).json()["status"] == 404
    assert program("doctor").get("nothing").headers["content-type"] == "application/problem+json"
    nobody = Program(app, "mlm_x").get("patients")
    assert nobody.status_code == 401 and nobody.headers["www-authenticate"].startswith("Bearer")


def test_the_document_tells_every_route_with_examples(program: Programs, app: Any) -> None:
    from medloom.server.app import served_routes

    told = Program(app, "").get("openapi.json").json()
    served = {route.path for route in served_routes(app) if route.path.startswith("/api/v1/")}
    assert set(told["paths"]) == served - {"/api/v1/openapi.json"}
    for path, operations in told["paths"].items():
        for operation in operations.values():
            ok = operation["responses"][min(operation["responses"])]
            schema = json.dumps(ok.get("content", {}))
            name = schema.partition("#/components/schemas/")[2].partition('"')[0]
            assert not name or "example" in told["components"]["schemas"][name], path
