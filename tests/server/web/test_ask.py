"""Asking a released model, and what it would answer if things were others."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from medloom.database.tables.audit import audit
from medloom.database.tables.serving import advice
from medloom.server.backend import Backend
from tests.server.conftest import Visitor
from tests.server.ward import LAB, MODEL

Client = Callable[[str], Visitor]

ASKED = {"model": MODEL, "patient": "1", "at": ""}


def risks(page: str) -> list[str]:
    return re.findall(r'<p class="big">(.*?)</p>', page)


def test_a_model_is_asked_at_the_task_s_own_moment_with_its_reasons(client: Client) -> None:
    page = client("doctor").get("/ask", params=ASKED).text
    assert len(risks(page)) == 1
    assert "as of 2020-06-03" in page
    assert "Creatinine" in page
    assert "What if" in page


def test_what_is_supposed_stands_beside_what_is_recorded(client: Client, backend: Backend) -> None:
    doctor = client("doctor")
    page = doctor.submit("/ask", **ASKED, code=LAB, value="9").text
    actual, supposed = risks(page)
    assert actual != supposed
    assert "points higher" in page
    assert "It does not tell what a treatment would do." in page
    left_out = doctor.submit("/ask", **ASKED, code=LAB, value="", without=LAB).text
    assert "left out" in left_out and len(risks(left_out)) == 2
    with backend.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(advice)).scalar() == 0
        told = connection.execute(
            select(audit.c.subject_id, audit.c.target, audit.c.detail)
            .where(audit.c.action == "model.asked")
            .order_by(audit.c.number.desc())
        ).first()
    assert told is not None and tuple(told) == (1, MODEL, '{"supposed": 1}')


def test_a_code_without_value_is_found_and_supposed_to_be_recorded(
    client: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served,) = backend.serving.served
    monkeypatch.setattr(type(served.model), "codes", frozenset())  # as of a model that cannot tell
    doctor = client("doctor")
    found = doctor.submit("/ask", **ASKED, sought="hospital end").text
    assert 'name="added" value="ENCOUNTER//inpatient//END">' in found and len(risks(found)) == 1
    page = doctor.submit("/ask", **ASKED, added="ENCOUNTER//inpatient//END").text
    assert len(risks(page)) == 2 and "not recorded → <b>recorded</b>" in page
    assert 'value="ENCOUNTER//inpatient//END" checked>' in page
    assert "The model knows no such code" in doctor.submit("/ask", **ASKED, sought="nothing like it").text
    hidden = doctor.submit("/ask", **ASKED, added="X//outcome")  # what is to be predicted
    assert hidden.status_code == 422 and "do not see" in hidden.text


def test_an_impossible_value_is_asked_for_again(client: Client) -> None:
    doctor = client("doctor")
    for code, value, message in (
        (LAB, "high", "this is no number"),
        (LAB, "1e9", "possible is what lies between"),
        ("GENDER//F", "1", "cannot be supposed"),
    ):
        answer = doctor.submit("/ask", **ASKED, code=code, value=value)
        assert answer.status_code == 422 and message in answer.text


def test_another_moment_says_what_stands_against_it(client: Client) -> None:
    page = client("doctor").get("/ask", params={**ASKED, "at": "2020-06-03T11:00"}).text
    assert "the task asks at other moments" in page
    assert "as of 2020-06-03 11:00" in page
    to_come = client("doctor").get("/ask", params={**ASKED, "at": "2031-01-01T00:00"})
    assert to_come.status_code == 422 and "to come" in to_come.text


def test_a_patient_of_others_is_asked_about_with_a_reason_alone(client: Client) -> None:
    closed = client("nurse").get("/ask", params={**ASKED, "patient": "60"})
    assert closed.status_code == 403
    assert "/ask?model=" in closed.text  # where the way leads back to
    assert client("expert").get("/ask").status_code == 403


def test_what_cannot_be_asked_is_said_in_the_form(client: Client) -> None:
    doctor = client("doctor")
    for asked, message in (
        ({**ASKED, "patient": "99999999"}, "there is no subject"),
        ({**ASKED, "patient": "Smith"}, "a pseudonym is a number"),
        ({**ASKED, "model": "other"}, "is released"),
        ({**ASKED, "at": "yesterday"}, "the moment looks like"),
    ):
        answer = doctor.get("/ask", params=asked)
        assert answer.status_code == 422 and message in answer.text
