"""What a note's page shows and to whom, and what is kept of what people say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from medloom.care.notes.agreeing import reader_agreement
from medloom.care.notes.asking import facts_where
from medloom.care.notes.facts import keep_facts
from medloom.learners.text.facts.rules import RuleFinder
from medloom.loop.note_readings import readings_of
from medloom.server.access import ROLES, Person
from medloom.server.backend import Backend
from medloom.server.notes import Entity, Said, notebook_of, said_of
from tests.server.conftest import Visitor
from tests.server.note_ward import ENGLISH, copied, note_site, subject

Visit = Callable[[str], Visitor]
DOCTOR = Person(1, "doctor", "Doctor", "clinician", ROLES["clinician"], "en", sees_all=True)
HYPERTENSION = "ICD10CM//I10"


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Path:
    return note_site(tmp_path_factory.mktemp("noted") / "site").directory.root


@pytest.fixture
def backend(noted: Path, tmp_path: Path) -> Iterator[Backend]:
    with copied(noted, tmp_path / "site") as opened:
        yield opened


@pytest.fixture
def client(backend: Backend) -> Visit:
    from medloom.server.app import create_app

    app = create_app(backend)
    return lambda login: Visitor(app).sign_in(login)


@pytest.fixture
def address(backend: Backend) -> str:
    return f"/patients/{subject(backend.site, 'P0')}/notes/1"


def said(backend: Backend, patient: str = "P0", number: int = 1, person: Person = DOCTOR) -> Said:
    book = notebook_of(backend, subject(backend.site, patient))
    return said_of(backend, person, book, book.note(number))


def named(words: str, of: Said) -> Entity:
    (found,) = [one for one in of.entities if one.words == words]
    return found


def mark(page: str) -> str:
    return page.split('name="mark" value="')[1].split('"')[0]


def decide(visitor: Visitor, address: str, deed: str, **fields: object) -> None:
    form = {"mark": mark(visitor.get(address).text), "deed": deed, **fields}
    answer = visitor.submit(f"{address}/places", **form)
    assert answer.status_code == 303, answer.text
    assert "flash" not in answer.headers.get("set-cookie", ""), answer.headers["set-cookie"]


def codes(backend: Backend, words: str) -> list[tuple[str, bool]]:
    """Give the codes in the record of some words, and whether a person says so."""
    found = facts_where(backend.site.record).filter(pl.col("words") == words)
    return sorted((code, model is None) for code, model in found.select("code", "model").iter_rows())


def words_of(backend: Backend, words: str) -> list[str]:
    """Give the codes by which people judged the first place of some words, in order."""
    start = ENGLISH.index(words)
    events = backend.site.record.events([subject(backend.site, "P0")])
    there = events.filter(pl.col("model").is_null(), pl.col("span") == f"{start}:{start + len(words)}")
    return [str(code) for code in there.sort("known_time", maintain_order=True)["code"]]


def test_a_note_is_shown_with_all_that_was_taken_from_it(client: Visit, address: str) -> None:
    page = client("doctor").get(address).text
    text = page.split('id="note-text"')[1].split("</div>")[0].split(">", 1)[1]
    plain = re.sub(r"<small.*?</small>|<[^>]+>", "", text)
    assert plain == ENGLISH
    assert 'class="note-heading" role="heading"' in text
    for label in ("problem · denied", "problem · possible", "problem · family", "drug", "? measured"):
        assert f">{label}</small>" in text
    assert (
        "hypertension" in page
        and "ICD10CM I10" in page
        and "90 % sure" in page
        and "rules · 90 % sure" in page
    )


def test_reading_a_note_stands_in_the_audit_log(client: Visit, backend: Backend, address: str) -> None:
    client("doctor").get(address)
    with backend.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT actor, action, target FROM audit").all()
    assert ("doctor", "note.seen", "note 1") in [tuple(row) for row in rows]


def test_a_patient_of_others_and_other_roles_see_no_note(client: Visit, address: str) -> None:
    assert client("nurse").get(address).status_code == 403  # not of the care team; glass may be broken
    for login in ("scientist", "lead", "admin"):
        assert client(login).get(address).status_code == 403
    assert "chest pain" not in client("nurse").get(address).text


def test_an_accepted_fact_is_a_persons_and_the_models_ends(
    client: Visit, backend: Backend, address: str
) -> None:
    assert codes(backend, "hypertension") == [(HYPERTENSION, False)]
    decide(client("doctor"), address, "accept", entity=named("hypertension", said(backend)).id)
    assert codes(backend, "hypertension") == [(HYPERTENSION, True)]
    one = named("hypertension", said(backend))
    assert one.model is None and one.by == ("doctor",)
    keep_facts(backend.site.record, [RuleFinder()])  # what a person said stays as it is
    assert codes(backend, "hypertension") == [(HYPERTENSION, True)]


def test_a_rejected_fact_is_gone_and_can_be_put_back(client: Visit, backend: Backend, address: str) -> None:
    doctor = client("doctor")
    decide(doctor, address, "reject", entity=named("Pain", said(backend)).id)
    assert codes(backend, "Pain") == [] and words_of(backend, "Pain") == ["REJECTED//ICD10CM//R52"]
    assert "Pain" not in [one.words for one in said(backend).entities]
    (back,) = said(backend).rejected
    decide(doctor, address, "accept", entity=back.id)
    assert said(backend).rejected == () and named("Pain", said(backend)).code == "ICD10CM//R52"


def test_a_rejected_place_is_told_from_a_denied_one(client: Visit, backend: Backend, address: str) -> None:
    doctor = client("doctor")
    pain = named("Pain", said(backend))
    decide(doctor, address, "correct", entity=pain.id, code="ICD10CM//R52", assertion="NOT", span=pain.span)
    denied = named("Pain", said(backend))
    assert denied.assertion == "NOT" and not said(backend).rejected
    assert codes(backend, "Pain") == [("NOT//ICD10CM//R52", True)]
    decide(doctor, address, "reject", entity=denied.id)  # the note does not even deny it
    assert "Pain" not in [one.words for one in said(backend).entities] and codes(backend, "Pain") == []
    (back,) = said(backend).rejected
    assert back.code == "NOT//ICD10CM//R52"
    decide(doctor, address, "accept", entity=back.id)
    assert named("Pain", said(backend)).assertion == "NOT" and said(backend).rejected == ()
    assert codes(backend, "Pain") == [("NOT//ICD10CM//R52", True)]


def test_a_place_is_corrected_to_another_code_and_assertion(
    client: Visit, backend: Backend, address: str
) -> None:
    doctor = client("doctor")
    wrong = named("hypertension", said(backend))
    decide(
        doctor, address, "correct", entity=wrong.id, code=HYPERTENSION, assertion="HISTORY", span=wrong.span
    )
    assert named("hypertension", said(backend)).code == f"HISTORY//{HYPERTENSION}"
    diabetes = named("type 2 diabetes", said(backend))
    start = ENGLISH.index("diabetes")
    decide(doctor, address, "correct", entity=diabetes.id, code="2型糖尿病", span=f"{start}:{start + 8}")
    moved = named("diabetes", said(backend))
    assert moved.code == diabetes.code and moved.model is None
    assert "type 2 diabetes" not in [one.words for one in said(backend).entities]


def test_a_denied_fact_can_be_accepted_as_denied(client: Visit, backend: Backend, address: str) -> None:
    decide(client("doctor"), address, "accept", entity=named("fever", said(backend)).id)
    fever = named("fever", said(backend))
    assert fever.assertion == "NOT" and fever.model is None and said(backend).rejected == ()


def test_words_that_nobody_named_are_added(client: Visit, backend: Backend, address: str) -> None:
    doctor, start = client("doctor"), ENGLISH.index("Pain on exertion")
    decide(doctor, address, "add", code="angina", span=f"{start - 1}:{start + 16}")  # with a blank before
    assert named("Pain on exertion", said(backend)).code == "ICD10CM//I20.9"
    decide(doctor, address, "add", code="LOCAL//man", words="64-year-old man")
    assert named("64-year-old man", said(backend)).code == "LOCAL//man"


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "no such thing at all", "words": "for two days"},
        {"code": "NOT//ICD10CM//I10", "words": "for two days"},
        {"code": "REJECTED//ICD10CM//I10", "words": "for two days"},
        {"code": HYPERTENSION, "words": "not in the note"},
        {"code": HYPERTENSION, "span": "5:99999"},
        {"code": HYPERTENSION, "span": "9:5"},
        {"code": HYPERTENSION, "span": "x"},
        {"code": HYPERTENSION, "span": "42:43"},
        {"code": HYPERTENSION, "words": "for two days", "assertion": "MAYBE"},
        {"code": HYPERTENSION, "words": "for two days", "mark": "another"},
    ],
)
def test_what_makes_no_sense_is_refused_with_a_word(
    client: Visit, backend: Backend, address: str, fields: dict[str, str]
) -> None:
    doctor, before = client("doctor"), said(backend)
    form = {"mark": mark(doctor.get(address).text), "deed": "add", **fields}
    answer = doctor.submit(f"{address}/places", **form)
    assert answer.status_code == 303 and "flash=" in answer.headers["set-cookie"]
    assert said(backend) == before


def test_without_a_form_of_the_session_nothing_is_kept(client: Visit, backend: Backend, address: str) -> None:
    one = named("hypertension", said(backend))
    answer = client("doctor").post(f"{address}/places", data={"deed": "accept", "entity": one.id})
    assert answer.status_code == 403
    assert codes(backend, "hypertension") == [(HYPERTENSION, False)]


def test_a_decision_that_is_sent_twice_is_kept_once(client: Visit, backend: Backend, address: str) -> None:
    doctor = client("doctor")
    one = named("Pain", said(backend))
    form = {"csrf": doctor.csrf, "mark": mark(doctor.get(address).text), "deed": "reject", "entity": one.id}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: doctor.post(f"{address}/places", data=form), range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert words_of(backend, "Pain") == ["REJECTED//ICD10CM//R52"]


def test_a_doubtful_fact_waits_in_the_note_until_a_person_decides(
    client: Visit, backend: Backend, address: str
) -> None:
    doctor = client("doctor")
    glucose = named("Glucose 11", said(backend))
    assert glucose.doubtful is not None
    page = doctor.get(address).text
    assert "Waits for a person: the finder is not sure" in page
    refused = doctor.submit(f"{address}/read", mark=mark(page))
    assert refused.status_code == 303 and readings_of(backend.database) == []
    decide(doctor, address, "accept", entity=glucose.id)
    assert codes(backend, "Glucose 11") == [(glucose.code, True)]
    with backend.site.record.doubtful() as queue:
        assert queue.facts() == [one for one in queue.facts() if one.derived_from != glucose.span]
        assert [one.decided_by for one in queue.facts("accepted")] == ["doctor"]


def test_a_note_read_to_its_end_is_all_of_persons(client: Visit, backend: Backend, address: str) -> None:
    doctor = client("doctor")
    decide(doctor, address, "reject", entity=named("Glucose 11", said(backend)).id)
    answer = doctor.submit(f"{address}/read", mark=mark(doctor.get(address).text))
    assert answer.status_code == 303
    (reading,) = readings_of(backend.database)
    standing = said(backend).entities
    assert all(one.model is None for one in standing)
    assert sorted(reading.places) == sorted((one.span, one.code) for one in standing)


def test_a_second_reader_reads_for_themselves(client: Visit, backend: Backend, address: str) -> None:
    doctor = client("doctor")
    before = said(backend)
    decide(doctor, address, "reject", entity=named("Pain", before).id)
    decide(doctor, address, "reject", entity=named("Glucose 11", before).id)
    decide(doctor, address, "add", code="LOCAL//man", words="64-year-old man")
    doctor.submit(f"{address}/read", mark=mark(doctor.get(address).text))
    second = Person(2, "second", "Second", "expert", ROLES["expert"], "en", sees_all=True)
    seen = said(backend, person=second)
    assert seen.blind
    as_at_first = {(one.code, one.span) for one in before.entities if one.doubtful is None}
    assert {(one.code, one.span) for one in seen.entities} >= as_at_first
    assert "64-year-old man" not in [one.words for one in seen.entities]
    assert "read it for yourself" in client("second").get(address).text
    assert not said(backend).blind


def test_a_note_in_a_third_language_says_so_and_can_be_named(client: Visit, backend: Backend) -> None:
    address = f"/patients/{subject(backend.site, 'P2')}/notes/1"
    doctor = client("doctor")
    page = doctor.get(address).text
    assert "neither in English nor in Chinese" in page and 'dir="auto"' in page
    decide(doctor, address, "add", code=HYPERTENSION, words="ارتفاع ضغط الدم")
    assert [one.words for one in said(backend, "P2").entities] == ["ارتفاع ضغط الدم"]


def test_a_note_of_10_mb_is_shown_in_parts(client: Visit, backend: Backend) -> None:
    lines = [f"Line {number}: chest pain & <b>no</b> fever." for number in range(250_000)]
    text = "\n".join(lines)
    assert len(text) > 9_000_000
    row = {
        "patient": ["P1"],
        "time": [datetime(2026, 3, 10)],
        "code": ["NOTE//Long"],
        "role": ["note"],
        "text_value": [text],
    }
    backend.site.record.append(pl.DataFrame(row), "note-ward")
    address = f"/patients/{subject(backend.site, 'P1')}/notes/2"
    first, last = client("doctor").get(address), client("doctor").get(f"{address}?part=9999")
    assert first.status_code == last.status_code == 200
    assert len(first.content) < 200_000 and "This note is long" in first.text
    assert "Line 249999" in last.text and "<b>no</b>" not in last.text


def test_how_far_two_readers_agree_is_told_to_governance(
    client: Visit, backend: Backend, address: str
) -> None:
    doctor, second = client("doctor"), client("second")
    assert "read to its end by two people yet" in client("lead").get("/labels").text
    decide(doctor, address, "reject", entity=named("Glucose 11", said(backend)).id)
    decide(doctor, address, "reject", entity=named("Pain", said(backend)).id)
    for visitor in (doctor, second):
        visitor.submit(f"{address}/read", mark=mark(visitor.get(address).text))
    (pair,) = reader_agreement(backend.site.record, backend.database)
    assert (pair.first, pair.second, pair.places) == (
        "doctor",
        "second",
        (12, 14),
    )  # of the second: what was rejected
    assert pair.strict.value == pytest.approx(24 / 26)
    page = client("lead").get("/labels").text
    assert "12 places by doctor, 14 by second" in page and "0.92" in page


def test_who_looks_at_what_others_said_does_not_count_as_a_reader_of_their_own(
    client: Visit, backend: Backend, address: str
) -> None:
    doctor, second = client("doctor"), client("second")
    decide(doctor, address, "reject", entity=named("Glucose 11", said(backend)).id)
    doctor.submit(f"{address}/read", mark=mark(doctor.get(address).text))
    second.submit(f"{address}/others")
    assert "You read it for yourself" not in second.get(address).text
    second.submit(f"{address}/read", mark=mark(second.get(address).text))
    assert len(readings_of(backend.database)) == 2
    assert reader_agreement(backend.site.record, backend.database) == []


def test_a_note_is_reached_from_the_patient_and_the_timeline(
    client: Visit, backend: Backend, address: str
) -> None:
    doctor, patient = client("doctor"), f"/patients/{subject(backend.site, 'P0')}"
    page = doctor.get(patient).text
    assert f'href="{address}"' in page
    link = f"{patient}/notes?time=2026-03-02T10:00:00"
    assert f'href="{link}"' in page
    assert doctor.get(link).headers["location"] == address
    assert 'aria-current="page">Notes' not in page and 'href="/notes"' in page
    scientist = client("scientist").get(patient).text
    assert "/notes" not in scientist and "chest pain" not in scientist


def test_relations_are_listed_with_their_words_and_who_says_so(
    client: Visit, backend: Backend, address: str
) -> None:
    book = notebook_of(backend, subject(backend.site, "P0"))
    note = book.note(1)
    places = {one.words: one.span for one in said(backend).entities}
    span = f"{places['metformin 500 mg p.o. b.i.d.']}>{places['type 2 diabetes']}"
    row = {
        "patient": "P0",
        "time": note.time,
        "code": "RELATION//treats",
        "role": "observation",
        "derived_from": note.source,
        "span": span,
        "confidence": 0.75,
        "model": "related.linear",
    }
    backend.site.record.append(pl.DataFrame([row]), "note-ward")
    page = client("doctor").get(address).text
    listed = re.sub(r"<[^>]+>|\s+", " ", page.split('class="relations"')[1].split("</ul>")[0])
    assert re.search(r"metformin 500 mg p\.o\. b\.i\.d\. +→ +RELATION treats +→ +type 2 diabetes", listed)
    assert "related.linear · 75 % sure" in listed
