"""The worklist, and opening a patient of others."""

import json
import re
import weakref
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from sqlalchemy import delete, insert, select

from medloom.database.metadata import utc_now
from medloom.database.tables.audit import audit
from medloom.database.tables.work import alert_read
from medloom.loop import releases, reviews
from medloom.loop.board import BOARD_SCHEMA
from medloom.loop.releases import Actor
from medloom.loop.reviews import Opinion
from medloom.server import alerts
from medloom.server.backend import Backend
from medloom.server.chores import Housekeeping
from medloom.server.web.board import Views, Wanted, chosen, compared, current
from tests.server.conftest import Visitor
from tests.server.ward import MODEL, NOW

Client = Callable[[str], Visitor]


def rows(page: str) -> list[str]:
    """Give the parts of a page that are about one patient each."""
    return page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]


def test_the_audit_log_says_which_patients_a_list_showed(backend: Backend, client: Client) -> None:
    page = client("doctor").get("/worklist?past=yes").text
    with backend.database.reading() as connection:
        detail = connection.execute(
            select(audit.c.detail)
            .where(audit.c.action == "worklist.seen", audit.c.actor == "doctor")
            .order_by(audit.c.number.desc())
        ).scalar()
    linked = {int(number) for number in re.findall(r'href="/patients/(\d+)"', page)}
    assert linked and set(json.loads(detail or "{}")["patients"]) == linked


def test_a_clinician_sees_the_care_team_alone(client: Client) -> None:
    page = client("nurse").get("/worklist").text
    assert len(rows(page)) == 5
    assert all("Kidney failure within 48 hours" in row for row in rows(page))
    assert "female, aged 90" in page
    assert len(rows(client("scientist").get("/worklist").text)) == 50


def test_what_is_over_is_shown_when_asked_for(client: Client) -> None:
    doctor = client("doctor")
    assert "1–50 of 108" in doctor.get("/worklist").text  # every tenth went home days ago
    past = doctor.get("/worklist?past=yes&sort=time&turned=yes").text
    assert "1–50 of 120" in past
    assert "over since" in rows(past)[0]


def test_pages_follow_each_other_without_overlap(client: Client) -> None:
    doctor = client("doctor")
    seen = [rows(doctor.get(f"/worklist?sort=patient&start={start}").text) for start in (0, 50, 100)]
    assert [len(some) for some in seen] == [50, 50, 8]
    assert "row-120" not in seen[2][-1]
    assert 'id="row-1-' in seen[0][0]
    # beyond the end stands the last page
    assert rows(doctor.get("/worklist?sort=patient&start=5000").text)[-1] == seen[2][-1]


def test_an_alert_is_unread_until_the_patient_is_opened(client: Client, backend: Backend) -> None:
    doctor = client("doctor")
    before = rows(doctor.get("/worklist?unread=yes").text)
    assert before and all("unread alert" in row for row in before)
    subject = int(before[0].partition("/patients/")[2].partition('"')[0])
    person = backend.sessions.of_cookie(doctor.cookies["medloom"])
    assert person is not None
    alerts.opened(backend, person, subject)
    alerts.opened(backend, person, subject)
    assert len(rows(doctor.get("/worklist?unread=yes").text)) == len(before) - 1
    assert len(rows(client("scientist").get("/worklist?unread=yes").text)) == len(before)


def test_notes_of_read_alerts_go_after_a_year_where_the_alert_stands_no_more(
    backend: Backend, client: Client
) -> None:
    person = backend.sessions.of_cookie(client("doctor").cookies["medloom"])
    (standing,) = backend.serving.board().filter(pl.col("subject_id") == 5).to_dicts()
    about = {"account_id": person.account_id if person else 0, "model": MODEL}
    moment = standing["prediction_time"].isoformat()
    notes = [(5, moment, "2020-01-01"), (6, "2019-01-01T00:00:00", "2020-01-01"), (7, moment, utc_now())]
    with backend.database.writing() as connection:
        for subject, when, read in notes:
            values = {**about, "subject_id": subject, "prediction_time": when, "time": read}
            connection.execute(insert(alert_read), values)
    housekeeping = Housekeeping(
        backend.site, backend.database, backend.serving, backend.uploads, backend.clock
    )
    housekeeping.see_to(backend.jobs)
    with backend.database.writing() as connection:
        left = connection.execute(select(alert_read.c.subject_id)).scalars().all()
        connection.execute(delete(alert_read))
    assert {5, 7} <= set(left) and 6 not in left


def test_a_row_says_what_people_said_of_the_advice(client: Client, backend: Backend) -> None:
    doctor = client("doctor")
    (row,) = backend.serving.board().filter(pl.col("subject_id") == 3).to_dicts()
    sent = {"model": "outcome", "subject_id": 3}
    headers = {"x-csrf-token": doctor.csrf}
    advice = doctor.post("/api/v1/predictions", json=sent, headers=headers).json()
    assert advice["prediction_time"] == row["prediction_time"].isoformat()

    def said() -> list[str]:
        page = rows(client("nurse").get("/worklist").text)
        (mine,) = [one for one in page if 'href="/patients/3"' in one]
        return re.findall(r'"pill[^"]*">(Overridden|Accepted)<', mine)

    assert said() == []
    reviews.add(backend.database, advice["id"], Opinion("override", "known"), Actor("doctor", "clinician"))
    assert said() == ["Overridden"]
    reviews.add(backend.database, advice["id"], Opinion("accept"), Actor("doctor", "clinician"))
    assert said() == ["Accepted"]


def test_changes_since_yesterday_are_said_in_points(client: Client) -> None:
    page = client("doctor").get("/worklist?changed=yes&sort=change").text
    assert rows(page) and all(" points " in row for row in rows(page))


def test_a_question_of_which_nothing_is_current_says_what_to_do(client: Client) -> None:
    page = client("doctor").get("/worklist?question=other").text
    assert "Nothing fits what is chosen above." in page


@pytest.mark.parametrize("query", ["start=-1", "sort=name", "unread=maybe", f"question={'x' * 81}"])
def test_an_address_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert client("doctor").get(f"/worklist?{query}").status_code == 422


def test_the_address_says_only_what_was_chosen() -> None:
    assert Wanted().address() == "/worklist"
    assert Wanted(unread=True, start=50).address(start=0) == "/worklist?unread=yes"


def test_answers_of_different_kinds_have_one_order() -> None:
    rows = [
        # who, model, value, rank, before
        (1, "risk", 0.30, 50.0, 0.20),
        (2, "risk", 0.40, 60.0, 0.39),
        (3, "days", 9.0, 90.0, 8.0),
        (4, "days", 4.0, 10.0, None),
        (5, "class", 0.90, 70.0, 0.10),
    ]
    names = ("subject_id", "model", "value", "rank", "before")
    board = pl.DataFrame(rows, schema=names, orient="row")
    board = board.with_columns(
        [pl.lit(None, kind).alias(name) for name, kind in BOARD_SCHEMA.items() if name not in names]
    ).select(BOARD_SCHEMA.names())
    told = compared(board, {"risk": "binary", "days": "regression", "class": "multiclass"})

    def order(wanted: Wanted) -> list[int]:
        return chosen(told, wanted)["subject_id"].to_list()

    assert order(Wanted()) == [5, 2, 1, 3, 4]  # probabilities by themselves, numbers by their ranks
    assert order(Wanted(sort="patient")) == [1, 2, 3, 4, 5]
    # yesterday's likeliest class may have been another one; who was not asked then is new
    assert order(Wanted(changed=True, sort="change")) == [1, 3, 4]


def test_an_answer_is_current_until_its_time_is_over() -> None:
    board = pl.DataFrame(
        {"subject_id": [1, 2, 3], "until": [None, NOW + timedelta(hours=1), NOW]},
        schema={"subject_id": pl.Int64, "until": pl.Datetime("us")},
    )
    assert current(board, NOW)["subject_id"].to_list() == [1, 2]


def test_a_patient_is_found_by_pseudonym_or_identifier(client: Client, backend: Backend) -> None:
    subject = backend.site.record.find("P7", "ward")
    doctor = client("doctor")
    found = doctor.submit("/worklist/find", by="identifier", sought=" P7 ")
    assert (found.status_code, found.headers["location"]) == (303, f"/patients/{subject}")
    assert doctor.submit("/worklist/find", by="pseudonym", sought="7").headers["location"] == "/patients/7"
    none = doctor.submit("/worklist/find", by="identifier", sought="P99999")
    assert none.status_code == 404 and "No patient has this identifier" in none.text
    # who may not see identifiers cannot find out by them
    assert client("scientist").submit("/worklist/find", by="identifier", sought="P7").status_code == 404
    with backend.database.reading() as connection:
        told = connection.execute(
            select(audit.c.actor, audit.c.subject_id, audit.c.target, audit.c.outcome).where(
                audit.c.action == "patient.sought"
            )
        ).all()
    assert [tuple(row) for row in told] == [
        ("doctor", subject, "identifier", "done"),
        ("doctor", 7, "pseudonym", "done"),
        ("doctor", None, "identifier", "failed"),
        ("scientist", None, "pseudonym", "failed"),
    ]


def test_a_patient_of_others_opens_with_a_reason_alone(client: Client, backend: Backend) -> None:
    nurse = client("nurse")
    closed = nurse.get("/patients/50")
    assert closed.status_code == 403
    assert "This patient is not of your care team" in closed.text
    assert "Why you need to see this patient" in closed.text
    refused = nurse.submit("/patients/50/break-glass", reason=" ", next="/patients/50")
    assert refused.status_code == 422 and "say why you need to see this patient" in refused.text
    let_in = nurse.submit("/patients/50/break-glass", reason="on call tonight", next="//evil.example")
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/")
    assert nurse.get("/patients/50").status_code == 200
    assert nurse.get("/patients/51").status_code == 403
    assert nurse.submit("/patients/99999/break-glass", reason="on call tonight").status_code == 404
    with backend.database.reading() as connection:
        reasons = connection.execute(
            select(audit.c.subject_id, audit.c.reason).where(audit.c.action == "glass.broken")
        ).all()
    assert [tuple(row) for row in reasons] == [(50, "on call tonight")]


def test_in_chinese_the_worklist_is_chinese(client: Client) -> None:
    doctor = client("doctor")
    doctor.submit("/language", language="zh", next="/worklist")
    page = doctor.get("/worklist").text
    doctor.submit("/language", language="en", next="/worklist")
    assert "48小时内肾衰竭" in page and "工作列表" in page


def test_where_nothing_is_released_it_says_whom_to_ask(client: Client, backend: Backend) -> None:
    releases.retire(backend.database, 1, Actor("lead", "governance"), "test")
    backend.serving.refresh()
    assert "governance has signed it. Ask them for it." in client("doctor").get("/worklist").text
    assert "Propose an evaluated model" in client("scientist").get("/worklist").text
    assert "No model answers yet" in client("doctor").get("/ask").text


def test_readers_of_one_board_share_what_is_worked_out_until_something_is_over() -> None:
    ends = [NOW + timedelta(hours=2), None, NOW + timedelta(hours=1)]
    board = pl.DataFrame(
        {"subject_id": [1, 2, 3], "model": ["risk"] * 3, "value": [0.3, 0.2, 0.1], "until": ends},
        schema_overrides={"until": pl.Datetime("us")},
    )
    board = board.with_columns(
        [pl.lit(None, kind).alias(name) for name, kind in BOARD_SCHEMA.items() if name not in board.columns]
    )
    views, kinds = Views(), {"risk": "binary"}
    first = views.of(board, None, kinds, NOW)
    assert views.of(board, None, kinds, NOW + timedelta(minutes=59)) is first
    assert first.order(Wanted()) is first.order(Wanted(start=50))
    later = views.of(board, None, kinds, NOW + timedelta(hours=1))
    assert [len(view.order(Wanted())) for view in (first, later)] == [3, 2]
    assert len(later.order(Wanted(past=True))) == 3
    nurse = views.of(board, frozenset({2}), kinds, NOW)
    assert nurse.everything["subject_id"].to_list() == [2]
    another, gone = board.clone(), weakref.ref(later)
    assert views.of(another, frozenset({2}), kinds, NOW) is not nurse
    del later
    assert gone() is None  # nobody keeps an old board in memory
