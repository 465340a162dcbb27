"""The audit log as a page and as a table."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from medloom.database.audit import Entry
from medloom.server.access import Person
from medloom.server.backend import Backend
from tests.server.conftest import Visitor

Client = Callable[[str], Visitor]


@pytest.fixture(scope="module", autouse=True)
def told(backend: Backend) -> None:
    backend.told(
        Entry("lin", "clinician", "glass.broken", 7, reason="=HYPERLINK(1)"),
        Entry("lin", "clinician", "patient.refused", 8, outcome="refused"),
        *(Entry("lin", "clinician", "patient.seen", 9) for _ in range(120)),
    )


def entries(page: str) -> list[str]:
    return page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("patient=7", 1),
        ("actor=lin&outcome=refused", 1),
        ("action=glass.broken", 1),
        ("actor=lin", 100),
        ("actor=lin&start=100", 22),
        ("actor=lin&until=2020-01-01", 0),
        ("actor=lin&until=9999-12-31&start=100", 22),
        ("actor=lin&since=2020-01-01&action=patient.refused", 1),
    ],
)
def test_the_log_is_filtered(client: Client, query: str, n: int) -> None:
    assert len(entries(client("lead").get(f"/audit?{query}").text)) == n


def test_a_patient_is_found_in_lists_and_merges(client: Client, backend: Backend) -> None:
    backend.saw_list(
        Person(1, "bo", "", "clinician", frozenset(), "en", True), "worklist.seen", [31, 1003, 3]
    )
    backend.told(
        Entry("bo", "", "care-team.set", detail={"patients": 1003}),
        Entry("bo", "", "patient.merged", 5, detail={"absorbed": 1003}),
    )
    lead = client("lead")
    assert len(entries(lead.get("/audit?actor=bo&patient=1003").text)) == 2
    assert len(entries(lead.get("/audit?actor=bo&patient=31").text)) == 1
    assert len(entries(lead.get("/audit?actor=bo&patient=100").text)) == 0
    token = lead.get("/api/v1/audit?subject_id=31&actor=bo").json()
    assert [one["action"] for one in token["entries"]] == ["worklist.seen"]


def test_what_else_is_known_is_said_in_words(client: Client, backend: Backend) -> None:
    detail = {"review": 3, "via": "workbench", "supersedes": None}
    backend.told(
        Entry("bo", "", "advice.overridden", 5, "ab", "wrong-data", detail=detail),
        Entry("bo", "", "account.created", detail={"role": "expert", "sees_all": True, "new": 1}),
        Entry("bo", "", "worklist.seen", detail={"patients": list(range(100, 150))}),
    )
    page = client("lead").get("/audit?actor=bo").text
    assert "data in the record are wrong" in page and "by way of: the workbench" in page
    assert "role: expert reviewer" in page and "sees all patients: yes" in page and "new: 1" in page
    assert "patients: 100, 101" in page and "and 40 more" in page
    assert "supersedes" not in page and "&#34;" not in page


def test_going_out_is_told(app: FastAPI, client: Client) -> None:
    Visitor(app).sign_in("nurse").submit("/sign-out")
    assert len(entries(client("lead").get("/audit?actor=nurse&action=sign-out").text)) == 1


def test_what_was_said_is_shown_as_text(client: Client, backend: Backend) -> None:
    backend.told(Entry("<b>x</b>", "", "sign-in", outcome="refused"))
    page = client("admin").get("/audit").text
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page


@pytest.mark.parametrize("query", ["since=yesterday", "patient=Smith", "outcome=odd", "start=-1"])
def test_a_filter_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert client("lead").get(f"/audit?{query}").status_code == 422
    assert client("lead").get(f"/audit.csv?{query}").status_code == 422


def test_the_table_holds_what_was_filtered_and_no_formula(client: Client) -> None:
    answer = client("lead").get("/audit.csv?actor=lin")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) == 122
    assert rows[0]["reason"] == "'=HYPERLINK(1)"
    assert [row["subject_id"] for row in rows[:2]] == ["7", "8"]
    assert "audit log exported" in client("lead").get("/audit").text


def test_the_log_is_verified_also_against_a_seal_noted_earlier(client: Client) -> None:
    lead = client("lead")
    page = lead.submit("/audit/verify").text
    assert "none was changed" in page
    seal = re.search(r'id="seal">([0-9a-f]{64})<', page)
    assert seal is not None
    again = lead.submit("/audit/verify", head=seal[1]).text
    assert "none was changed" in again and re.search("it is that of entry [0-9,]+\\.", again)
    cut = lead.submit("/audit/verify", head="f" * 64)
    assert cut.status_code == 422 and "cut short" in cut.text


def test_an_altered_entry_is_found(client: Client, backend: Backend) -> None:
    with backend.database.writing() as connection:
        connection.execute(text("UPDATE audit SET actor = 'bo' WHERE number = 3"))
    answer = client("admin").submit("/audit/verify")
    assert answer.status_code == 422 and "entry 3 is not what was written" in answer.text


def test_who_may_not_read_the_log_does_not(client: Client) -> None:
    for name in ("doctor", "expert", "scientist"):
        assert client(name).get("/audit").status_code == 403
        assert client(name).get("/audit.csv").status_code == 403
