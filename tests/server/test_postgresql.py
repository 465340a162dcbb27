"""A site whose `site.db` is PostgreSQL: the whole round, as with SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medloom.care import risk
from medloom.database.engine import URL_VARIABLE, Database
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.databases import new_database
from tests.server.conftest import Visitor
from tests.server.ward import ACCOUNTS, MODEL, NOW, PASSWORD


@pytest.fixture
def backend(ward: Path, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    shutil.copytree(ward, tmp_path / "site")
    (tmp_path / "site" / "site.db").unlink()
    monkeypatch.setenv(URL_VARIABLE, new_database(postgres))
    made = Backend.of(Site.open(tmp_path / "site"), ServerSettings(as_of=NOW))
    for name, role in ACCOUNTS.items():
        accounts.create(
            made.database, Actor("operator", ""), name, role, PASSWORD, sees_all=True, must_change=False
        )
    yield made
    made.close()


def test_a_model_is_released_asked_and_its_advice_overridden_and_reproduced(backend: Backend) -> None:
    proposal = releases.propose(
        backend.site, backend.database, MODEL, Actor("scientist", "data_scientist"), threshold=0.5
    )
    releases.sign(backend.database, proposal.id, Actor("lead", "governance"))
    backend.serving.refresh()
    app = create_app(backend)
    doctor = Visitor(app).sign_in("doctor")
    assert doctor.get("/worklist").status_code == 200
    subject = int(backend.serving.board()["subject_id"][0])
    assert doctor.get(f"/patients/{subject}").status_code == 200
    given = doctor.post(
        "/api/v1/predictions",
        json={"model": MODEL, "subject_id": subject, "explain": True},
        headers={"x-csrf-token": doctor.csrf},
    )
    assert given.status_code == 201, given.text
    advice = given.json()["id"]
    answer = doctor.submit(
        f"/patients/{subject}/advice/{advice}/review",
        verdict="override",
        reason="wrong-data",
        comment="haemolysed",
    )
    assert answer.status_code in (200, 303), answer.text
    assert risk.reproduce(backend.site, backend.database, advice).same
    assert Visitor(app).sign_in("expert").get("/review").status_code == 200
    assert Visitor(app).sign_in("lead").get("/audit").status_code == 200
    with backend.database.reading() as connection:
        assert backend.database.audit.verify(connection).entries > 15


def test_two_processes_keep_the_same_input_at_once(backend: Backend) -> None:
    proposal = releases.propose(backend.site, backend.database, MODEL, Actor("scientist", "data_scientist"))
    releases.sign(backend.database, proposal.id, Actor("lead", "governance"))
    backend.serving.refresh()
    doctor, other = Actor("doctor", "clinician"), Database.of(backend.site.directory)
    served, subject = backend.serving.served[0], int(backend.site.record.subject_ids[0])
    given = [
        risk.advise(served, backend.serving.ask(served, subject).sample, explain=False) for _ in range(2)
    ]
    with ThreadPoolExecutor(1) as second:
        with backend.database.writing() as connection:
            risk.keep(backend.database, given[0], doctor, "api")(connection)
            # it finds none, and waits for the first
            waiting = second.submit(other.write, risk.keep(other, given[1], doctor, "api"))
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        waiting.result(10)
    other.close()
    assert all(risk.reproduce(backend.site, backend.database, one.advice.id).same for one in given)
