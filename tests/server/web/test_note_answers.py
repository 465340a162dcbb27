"""A released model is asked about a note, its answers wait for people, and what those say becomes labels."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medloom.loop.note_readings import answers_of
from medloom.server.access import ROLES, Person
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.notes import Said, notebook_of, said_of
from medloom.site import Site
from tests.server.conftest import Visitor
from tests.server.note_ward import MODEL, copied, note_site, subject

Visit = Callable[[str], Visitor]
DOCTOR = Person(1, "doctor", "Doctor", "clinician", ROLES["clinician"], "en", sees_all=True)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Path:
    return note_site(tmp_path_factory.mktemp("answered") / "site", released=True).directory.root


@pytest.fixture
def backend(answered: Path, tmp_path: Path) -> Iterator[Backend]:
    with copied(answered, tmp_path / "site") as opened:
        yield opened


@pytest.fixture
def client(backend: Backend) -> Visit:
    app = create_app(backend)
    return lambda login: Visitor(app).sign_in(login)


@pytest.fixture
def address(backend: Backend) -> str:
    return f"/patients/{subject(backend.site, 'V61')}/notes/1"


def said(backend: Backend) -> Said:
    book = notebook_of(backend, subject(backend.site, "V61"))
    return said_of(backend, DOCTOR, book, book.note(1))


def mark(page: str) -> str:
    return page.split('name="mark" value="')[1].split('"')[0]


def asked(visitor: Visitor, address: str) -> None:
    answer = visitor.submit(f"{address}/ask", model=MODEL, mark=mark(visitor.get(address).text))
    assert answer.status_code == 303


def labels(backend: Backend) -> int:
    site = Site.open(backend.site.directory.root)
    return site.task("named").samples.frame.height


def test_what_a_model_names_waits_with_its_name_and_how_sure_it_is(
    client: Visit, backend: Backend, address: str
) -> None:
    doctor = client("doctor")
    assert not said(backend).entities
    asked(doctor, address)
    found = said(backend).entities
    assert found and all(one.doubtful is not None and one.model == MODEL for one in found)
    assert {one.code for one in found} <= {"DRUG//drug", "FINDING//finding"}
    page = doctor.get(address).text
    assert MODEL in page and "a released model suggests it" in page and "% sure" in page
    asked(doctor, address)  # again: nothing comes twice
    assert len(said(backend).entities) == len(found)


def test_decisions_about_answers_become_labels(client: Visit, backend: Backend, address: str) -> None:
    doctor, before = client("doctor"), labels(backend)
    asked(doctor, address)
    first, *others = said(backend).entities
    places = {"reject": [first], "accept": others}
    for deed, some in places.items():
        for one in some:
            form = {"mark": mark(doctor.get(address).text), "deed": deed, "entity": one.id}
            assert doctor.submit(f"{address}/places", **form).status_code == 303
    doctor.submit(f"{address}/read", mark=mark(doctor.get(address).text))
    assert labels(backend) == before + 1
    frame = Site.open(backend.site.directory.root).task("named").samples.frame
    label = frame.filter(subject_id=subject(backend.site, "V61"))["label"].item()
    assert label.count('"drug"') + label.count('"finding"') == len(others)
    asked(doctor, address)  # what was decided is not asked again
    assert all(one.model is None for one in said(backend).entities)


def test_a_model_is_asked_only_about_notes_that_its_question_is_about(
    client: Visit, backend: Backend
) -> None:
    other = f"/patients/{subject(backend.site, 'P0')}/notes/1"
    doctor = client("doctor")
    page = doctor.get(other).text
    assert "Ask the model" not in page
    answer = doctor.submit(f"{other}/ask", model=MODEL, mark=mark(page))
    assert answer.status_code == 303 and "flash" in answer.headers["set-cookie"]


def test_pages_about_patients_go_on_without_models_of_notes(client: Visit, backend: Backend) -> None:
    doctor = client("doctor")
    for address in (
        "/worklist",
        f"/patients/{subject(backend.site, 'V61')}",
        "/ask",
        "/models",
        f"/models/{MODEL}",
    ):
        assert doctor.get(address).status_code == 200, address


def rows(page: str) -> list[tuple[str, str]]:
    """Give of each row of the worklist its address and why it is there."""
    found = re.findall(
        r'class="row-link" href="([^"]+)".*?data-label="Why it is here">(.*?)</td>', page, re.S
    )
    return [(address, re.sub("<[^>]+>", "", why).strip()) for address, why in found]


def test_notes_wait_with_why_each_is_picked_and_the_least_sure_come_first(
    client: Visit, backend: Backend
) -> None:
    doctor = client("doctor")
    before = doctor.get("/notes").text
    assert "not read by a model yet" in before
    assert rows(before)[0][1].startswith("doubtful facts wait for a person: 1")
    assert doctor.submit("/notes/ask").status_code == 303
    backend.jobs.start()
    while backend.jobs.open("ask-notes"):
        time.sleep(0.05)
    told = answers_of(backend.database, MODEL)
    assert len(told) == 63
    page = doctor.get("/notes?which=all").text
    sure = [
        float(found) for _, why in rows(page) for found in re.findall(r"is (\d+) % sure of its least", why)
    ]
    assert len(sure) > 5 and sure == sorted(sure)
    least = min(told, key=lambda one: 2.0 if one.least is None else one.least)
    assert (
        rows(page)[0][0].startswith(f"/patients/{least.subject_id}/notes/") or "doubtful" in rows(page)[0][1]
    )
    assert "start=25" in page  # more pages


def test_a_note_that_somebody_has_read_goes_to_a_second_reader(client: Visit, backend: Backend) -> None:
    doctor, second = client("doctor"), client("second")
    address = f"/patients/{subject(backend.site, 'V60')}/notes/1"
    doctor.submit(f"{address}/read", mark=mark(doctor.get(address).text))
    assert address not in [row[0] for row in rows(doctor.get("/notes?which=second").text)]
    assert address in [row[0] for row in rows(doctor.get("/notes?which=read").text)]
    assert address in [row[0] for row in rows(second.get("/notes?which=second").text)]
    assert "No note is like this" in second.get("/notes?which=read").text


def test_who_has_no_patients_is_told_so(client: Visit) -> None:
    page = client("nurse").get("/notes").text
    assert "No patient is in your care team" in page and "/notes/1" not in page
