"""A patient's page: advice once, the clinician's answer to it, the record beneath; and what each role sees of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import func, select

from medloom.database.tables.audit import audit
from medloom.database.tables.serving import advice
from medloom.loop import reviews
from medloom.server.backend import Backend
from tests.server.conftest import Visitor

Client = Callable[[str], Visitor]


def advice_of(page: str) -> str:
    found = re.search(r"/advice/([0-9a-f]{32})/review", page)
    assert found is not None
    return found[1]


def n_advice(backend: Backend, subject_id: int) -> int:
    with backend.database.reading() as connection:
        query = select(func.count()).select_from(advice).where(advice.c.subject_id == subject_id)
        return int(connection.execute(query).scalar_one())


def audited(backend: Backend, action: str) -> int:
    with backend.database.reading() as connection:
        query = select(func.count()).select_from(audit).where(audit.c.action == action)
        return int(connection.execute(query).scalar_one())


def test_a_page_says_how_likely_why_and_what_the_record_holds(client: Client, backend: Backend) -> None:
    before = audited(backend, "patient.seen")
    page = client("doctor").get("/patients/1").text
    assert "Kidney failure within 48 hours" in page
    assert "Creatinine" in page
    assert 'id="timeline"' in page
    assert "2020-06-06" not in page, "what happens after now is not shown"
    assert audited(backend, "patient.seen") == before + 1


def test_advice_about_an_unchanged_record_is_given_once(client: Client, backend: Backend) -> None:
    first = advice_of(client("doctor").get("/patients/2").text)
    assert advice_of(client("doctor").get("/patients/2?period=24h").text) == first
    assert n_advice(backend, 2) == 1


def test_a_page_is_free_of_what_its_security_policy_forbids(client: Client) -> None:
    page = client("doctor").get("/patients/1").text
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]+src=\"/static/)", page)


def test_an_override_needs_a_reason_and_keeps_what_was_typed(client: Client, backend: Backend) -> None:
    doctor = client("doctor")
    about = advice_of(doctor.get("/patients/3").text)
    sent = {"verdict": "override", "reason": "", "comment": "already on dialysis"}
    refused = doctor.submit(f"/patients/3/advice/{about}/review", **sent)
    assert refused.status_code == 422
    assert "already on dialysis" in refused.text
    assert 'role="alert"' in refused.text
    assert not reviews.current(backend.database, about)


def test_an_override_is_kept_shown_and_can_be_changed(client: Client, backend: Backend) -> None:
    doctor = client("doctor")
    about = advice_of(doctor.get("/patients/4").text)
    address = f"/patients/4/advice/{about}/review"
    kept = doctor.submit(address, verdict="override", reason="known", comment="<b>dialysis</b>")
    assert (kept.status_code, kept.headers["location"]) == (303, "/patients/4")
    page = doctor.get("/patients/4").text
    assert "&lt;b&gt;dialysis&lt;/b&gt;" in page
    assert "Overridden" in page
    doctor.submit(address, verdict="accept", reason="known")
    (standing,) = reviews.current(backend.database, about)
    assert (standing.opinion.verdict, standing.opinion.reason) == ("accept", None)


def test_advice_is_reviewed_at_its_own_patient_alone(client: Client) -> None:
    doctor = client("doctor")
    about = advice_of(doctor.get("/patients/1").text)
    assert doctor.submit(f"/patients/2/advice/{about}/review", verdict="accept").status_code == 404
    assert doctor.get(f"/patients/2/advice/{about}/similar").status_code == 404


def test_patients_whom_the_model_sees_alike_are_counted_on_request(client: Client) -> None:
    doctor = client("doctor")
    about = advice_of(doctor.get("/patients/1").text)
    assert f'id="similar-{about}"' in doctor.get(f"/patients/1/advice/{about}/similar").text


def test_who_may_not_answer_sees_no_form(client: Client) -> None:
    scientist = client("scientist")
    page = scientist.get("/patients/1").text
    assert "Kidney failure" in page
    assert "/review" not in page
    assert "identifiers" not in page
    about = advice_of(client("doctor").get("/patients/1").text)
    assert scientist.submit(f"/patients/1/advice/{about}/review", verdict="accept").status_code == 403


def test_identifiers_are_shown_on_request_and_audited(client: Client, backend: Backend) -> None:
    assert "P0" not in client("doctor").get("/patients/1").text
    shown = client("doctor").submit("/patients/1/identifiers")
    assert "P0" in shown.text
    assert audited(backend, "identifiers.seen") == 1
    assert client("scientist").submit("/patients/1/identifiers").status_code == 403


def test_the_timeline_answers_alone_and_only_to_the_team(client: Client) -> None:
    part = client("doctor").get("/patients/6/timeline?period=24h&systems=labs")
    assert 'id="timeline"' in part.text
    assert "Hospital stay" not in part.text
    assert client("nurse").get("/patients/6/timeline").status_code == 403
    assert client("doctor").get("/patients/6/timeline?period=2y").status_code == 422
    assert client("doctor").get("/patients/99999/timeline").status_code == 404


def test_a_page_speaks_chinese(client: Client) -> None:
    nurse = client("nurse")
    nurse.submit("/language", language="zh", next="/patients/1")
    page = nurse.get("/patients/1").text
    assert 'lang="zh-CN"' in page
    assert "您是否采纳该建议？" in page
    assert "时间轴" in page
    assert "Timeline" not in page
