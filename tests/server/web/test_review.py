"""Experts read cases in the workbench."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from medloom.care import risk
from medloom.database.tables.audit import audit
from medloom.loop import readings, reviews
from medloom.loop.releases import Actor
from medloom.server.backend import Backend
from tests.server.conftest import Visitor

EXPERT, DOCTOR = Actor("expert", "expert"), Actor("doctor", "clinician")
Client = Callable[[str], Visitor]


@pytest.fixture(scope="module", autouse=True)
def drawn(client: Client) -> None:
    """Fourteen patients of the ward are in the queue."""
    expert = client("expert")
    empty = expert.get("/review").text
    assert "No case is in the queue yet" in empty
    answer = expert.submit("/review/draw", task="outcome", audit=10, uncertain=6, seed=3)
    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    assert re.search(r"\d+ cases were added", expert.get("/review").text)


def next_case(visitor: Visitor) -> tuple[str, str]:
    """Take the next case; gives its address and page."""
    address = visitor.submit("/review/next").headers["location"]
    return address, visitor.get(address).text


def test_a_reader_sees_the_patient_as_known_then_and_nothing_that_leads(
    backend: Backend, client: Client
) -> None:
    address, page = next_case(client("expert"))
    case = readings.held(backend.database, int(address.rsplit("/", 1)[1]), EXPERT)
    assert case is not None
    assert "Kidney failure within 48 hours" in page
    assert "Creatinine" in page
    assert str(case.subject_id) in page
    with backend.database.reading() as connection:
        seen = connection.execute(
            select(audit.c.action, audit.c.subject_id).where(audit.c.actor == "expert")
        ).all()
    assert ("case.seen", case.subject_id) in [tuple(row) for row in seen]
    assert "%" not in re.sub(r"viewBox[^>]*|<svg.*?</svg>|\d+%", "", page.split("<main")[1]), (
        "no risk is shown"
    )
    for lead in ("random sample", "undecided", "overrode", "outcome.logistic"):
        assert lead not in page
    assert client("second").get(address).text.count("This case was not handed to you") == 1
    assert client("second").get(f"{address}/timeline").status_code == 422
    assert client("expert").get(f"{address}/timeline?period=7d").text.lstrip().startswith("<section")


def test_two_readers_differ_and_a_third_decides(backend: Backend, client: Client) -> None:
    expert, second, third = (client(name) for name in ("expert", "second", "third"))
    address, _ = next_case(expert)
    said = expert.submit(f"{address}/answer", answer="0", comment="<b>rising</b> creatinine")
    assert said.headers["location"] == "/review"
    assert "Another reader sees the case next" in expert.get("/review").text
    assert "not handed to you" in expert.get(address).text, "nothing is told before it is decided"
    assert second.submit(f"{address}/take").headers["location"] == address
    assert "rising" not in second.get(address).text
    second.submit(f"{address}/answer", answer="1")
    assert third.submit(f"{address}/take").headers["location"] == address
    page = third.get(address).text
    assert "Two readers differ" in page and "&lt;b&gt;rising&lt;/b&gt; creatinine" in page
    assert not re.search(r"\b(Expert|Second|second@)\b", page.split("<main")[1])
    assert third.submit(f"{address}/answer", answer="0").headers["location"] == address
    result = expert.get(address).text
    assert "What was decided" in result and "outcome.logistic@1" in result
    told = readings.outcome(backend.database, int(address.rsplit("/", 1)[1]))
    assert told.label is True
    assert risk.find(backend.database, told.advice.id) == told.advice


def test_an_answer_must_be_chosen_and_be_one_of_the_page(client: Client) -> None:
    expert = client("expert")
    address, _ = next_case(expert)
    assert expert.submit(f"{address}/answer").headers["location"] == address
    assert "Choose an answer first" in expert.get(address).text
    expert.submit(f"{address}/answer", answer="9")
    assert "choose one of the answers" in expert.get("/review").text
    expert.submit(f"{address}/skip")
    assert "was given back" in expert.get("/review").text
    expert.submit(f"{address}/answer", answer="0")
    assert "not yours to answer" in expert.get("/review").text


def test_an_override_is_found_in_the_queue(backend: Backend, client: Client) -> None:
    board = backend.serving.board()
    entered = {one.subject_id for one in readings.listed(backend.database, EXPERT, limit=500)}
    subject = next(one for one in board["subject_id"].to_list() if one not in entered)
    served = backend.serving.find("outcome")
    given = risk.advise(served, backend.serving.ask(served, subject).sample)
    backend.database.write(risk.keep(backend.database, given, DOCTOR, "workbench"))
    before = readings.counts(backend.database)["outcome"]["open"]
    reviews.add(backend.database, given.advice.id, reviews.Opinion("override", "judgement"), DOCTOR)
    assert readings.counts(backend.database)["outcome"]["open"] == before + 1
    listed = client("expert").get("/review?state=open").text
    assert f">{subject}<" in listed


def test_the_queue_is_filtered_and_speaks_chinese(client: Client) -> None:
    second = client("second")
    assert "No case is like this" in second.get("/review?task=other").text
    assert second.get("/review?state=whatever").status_code == 422
    second.submit("/language", language="zh", next="/review")
    page = second.get("/review").text
    assert 'lang="zh-CN"' in page and "待第一位阅读者" in page
    assert not re.search(
        r">[A-Z][a-z]+ [a-z]+ ", re.sub(r"<(svg|footer).*?</\1>", "", page.split("<main")[1])
    )
    second.submit("/language", language="en", next="/review")


def test_labels_show_agreement_and_are_kept_by_who_may(backend: Backend, client: Client) -> None:
    pairs = [client(name) for name in ("expert", "second")]
    while (address := pairs[0].submit("/review/next").headers["location"]) != "/review":
        for visitor in pairs:
            visitor.submit(f"{address}/take")
            visitor.submit(f"{address}/answer", answer=str(int(address.rsplit("/", 1)[1]) % 2))
    page = client("lead").get("/labels").text
    assert "Cohen&#39;s kappa" in page and "Of the agreement that chance alone would not give" in page
    assert client("expert").submit("/labels/export", task="outcome").status_code == 403
    scientist = client("scientist")
    assert 'href="/labels"' in scientist.get("/labels").text
    scientist.submit("/labels/export", task="outcome")
    assert "kept as outcome-reviewed" in scientist.get("/labels").text
    assert len(backend.site.task("outcome-reviewed").samples) > 8
    scientist.submit("/labels/export", task="nothing")
    assert "nothing is decided" in scientist.get("/labels").text


def test_who_may_not_read_cases_is_refused(client: Client) -> None:
    for name in ("doctor", "scientist", "lead", "admin"):
        assert client(name).get("/review").status_code == 403
        assert client(name).submit("/review/next").status_code == 403
    assert client("expert").post("/review/next").status_code == 403, "a form of another page"
    assert client("admin").get("/labels").status_code == 403


def test_drawing_again_adds_nobody_twice(backend: Backend, client: Client) -> None:
    before = {
        (one.subject_id, one.prediction_time) for one in readings.listed(backend.database, EXPERT, limit=500)
    }
    client("expert").submit("/review/draw", task="outcome", audit=200)
    after = [
        (one.subject_id, one.prediction_time) for one in readings.listed(backend.database, EXPERT, limit=500)
    ]
    assert len(after) == len(set(after)) > len(before)
    client("expert").submit("/review/draw", task="outcome", audit=200, source="given")
    assert "all are in the queue" in client("expert").get("/review").text
    client("expert").submit("/review/draw", task="nothing", audit=2)
    assert "is released" in client("expert").get("/review").text
