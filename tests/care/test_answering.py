"""Who asks at the same time gets the answer they would have got alone, and all of it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from medloom import api
from medloom.care import risk
from medloom.care.answering import Answering, Inquiry
from medloom.care.risk import Given
from medloom.database.engine import Database, DatabaseGoneError
from medloom.database.tables.serving import advice, advice_input
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import write_json
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.loop.serving import Serving
from medloom.site import Site
from medloom.tasks import models
from tests.databases import opened
from tests.sites import site_of
from tests.tasks.builders import at

SCIENTIST, LEAD, DOCTOR = (
    Actor("scientist", "data_scientist"),
    Actor("lead", "governance"),
    Actor("doctor", "clinician"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = site_of(tmp_path_factory.mktemp("answering") / "site", 200)
    trained = api.train(made.task("outcome"), "logistic")
    assert trained.name is not None
    evidence = models.evidence_directory(made.directory, trained.name)
    write_json(evidence / "held_out" / "evaluation.json", api.evaluate(trained).to_json())
    return made


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return opened(f"sqlite:///{tmp_path / 'site.db'}")


@pytest.fixture
def serving(site: Site, database: Database) -> Serving:
    one = releases.propose(site, database, "outcome.logistic@1", SCIENTIST, threshold=0.5)
    releases.sign(database, one.id, LEAD)
    return Serving(site, database, lambda: at(50))


@pytest.fixture
def answering(site: Site, serving: Serving, database: Database) -> Iterator[Answering]:
    made = Answering(serving, database, site.record)
    yield made
    made.close()


def _about(subject: int, model: str = "outcome") -> Inquiry:
    return Inquiry(model, subject, DOCTOR, "api")


def test_many_are_told_what_each_is_told_alone(
    site: Site, serving: Serving, answering: Answering, database: Database
) -> None:
    serving.board()
    subjects = site.record.subject_ids[[3, 7, 90, 5, 3]].tolist()  # one of them twice
    told = answering.answer([_about(subject) for subject in subjects])
    (served,) = serving.served
    for subject, given in zip(subjects, told, strict=True):
        assert isinstance(given, Given)
        alone = risk.advise(served, serving.ask(served, subject).sample, explain=False)
        ours, its = given.advice, alone.advice
        assert (ours.subject_id, ours.input_digest) == (subject, its.input_digest)
        assert (ours.answers, ours.alert, ours.cautions) == (its.answers, its.alert, its.cautions)
        assert ours.answer.low is not None
        assert given.history.to_bytes() == alone.history.to_bytes()
        assert risk.find(database, ours.id) == ours
        assert risk.reproduce(site, database, ours.id).same
    with database.reading() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(of)).scalar() for of in (advice, advice_input)
        ]
        assert counts == [5, 4]
        assert database.audit.verify(connection).entries >= 5


def test_a_patient_with_news_is_asked_beside_the_others(
    site: Site, serving: Serving, answering: Answering
) -> None:
    serving.board()
    subjects = site.record.subject_ids[:3].tolist()
    serving.changed(subjects[:1])
    told = answering.answer([_about(subject) for subject in subjects])
    assert [isinstance(one, Given) and one.advice.subject_id for one in told] == subjects


def test_what_cannot_be_answered_harms_nobody_else(
    site: Site, answering: Answering, database: Database
) -> None:
    subject = int(site.record.subject_ids[0])
    asked = [
        _about(999_999),
        _about(subject),
        _about(subject, "other"),
        Inquiry("outcome", subject, DOCTOR, "api", at(60)),
    ]
    futures = [answering.ask(one) for one in asked]
    with pytest.raises(NotFoundError, match="no subject"):
        futures[0].result(30)
    assert futures[1].result(30).advice.subject_id == subject
    with pytest.raises(NotFoundError, match="released"):
        futures[2].result(30)
    with pytest.raises(InputError, match="to come"):
        futures[3].result(30)
    database.close()
    with pytest.raises(DatabaseGoneError):
        answering.ask(_about(subject)).result(30)
