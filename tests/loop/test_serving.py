"""Released models answer as of now; one that is not what was signed does not, and the others go on."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import update

from medloom import api, dossier
from medloom.care import risk
from medloom.database.engine import Database
from medloom.database.tables.serving import advice_input, release
from medloom.foundation.errors import InputError, IntegrityError, NotFoundError
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.loop.serving import Serving
from medloom.site import Site
from medloom.tasks.asking import Current
from medloom.tasks.model import Model
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from tests.databases import opened
from tests.sites import LAB, site_of
from tests.tasks.builders import at

SCIENTIST, LEAD = Actor("scientist", "data_scientist"), Actor("lead", "governance")
MODEL = "outcome.logistic@1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = site_of(tmp_path_factory.mktemp("serving") / "site", 120)
    api.train(made.task("outcome"), "logistic", ranges=False)
    return made


@pytest.fixture
def database(tmp_path: Path, site: Site) -> Database:
    return opened(f"sqlite:///{tmp_path / 'site.db'}")


@pytest.fixture
def serving(site: Site, database: Database) -> Serving:
    _evaluated(site)
    one = releases.propose(site, database, MODEL, SCIENTIST, threshold=0.5)
    releases.sign(database, one.id, LEAD)
    return Serving(site, database, lambda: at(50))


def _evaluated(site: Site) -> None:
    folder = site.directory.models / "outcome.logistic" / "1" / "evidence" / "held_out"
    if not folder.is_dir():
        dossier.evaluate(site, MODEL)


def test_a_model_nobody_evaluated_is_not_proposed(site: Site, database: Database) -> None:
    folder = site.directory.models / "outcome.logistic" / "1" / "evidence"
    if not folder.exists():
        with pytest.raises(InputError, match="not evaluated"):
            releases.propose(site, database, MODEL, SCIENTIST)


def test_two_persons_release_and_one_takes_back(site: Site, database: Database) -> None:
    _evaluated(site)
    one = releases.propose(site, database, MODEL, SCIENTIST)
    with pytest.raises(InputError, match="two persons"):
        releases.sign(database, one.id, SCIENTIST)
    with pytest.raises(InputError, match="proposed already"):
        releases.propose(site, database, MODEL, SCIENTIST)
    assert releases.sign(database, one.id, LEAD).state == "active"
    with pytest.raises(NotFoundError, match="before"):
        releases.roll_back(database, one.id, LEAD, "worse than before")
    with pytest.raises(InputError, match="why"):
        releases.retire(database, one.id, LEAD, " ")
    assert releases.retire(database, one.id, LEAD, "drifted").state == "retired"
    assert releases.active(database) == []


def test_the_board_has_everybody_once_and_is_what_the_model_says(serving: Serving, site: Site) -> None:
    board = serving.board()
    assert board["subject_id"].is_unique().all() and board.height == 120
    (served,) = serving.served
    subject = int(board["subject_id"][7])
    asked = serving.ask(served, subject)
    said = served.model.predict(asked.sample).frame["value"][0]
    assert said == pytest.approx(board.filter(pl.col("subject_id") == subject)["value"][0], abs=1e-12)
    assert (board["alert"] == (board["value"] >= 0.5)).all()


def test_a_moment_to_come_is_not_asked_about(serving: Serving) -> None:
    (served,) = serving.served
    with pytest.raises(InputError, match="to come"):
        serving.ask(served, 1, at(60))
    with pytest.raises(NotFoundError):
        serving.ask(served, 999_999)


def test_a_new_fact_counts_at_once_for_its_patient(site: Site, database: Database, serving: Serving) -> None:
    (served,) = serving.served
    subject = int(serving.board()["subject_id"][3])
    before = risk.advise(served, serving.ask(served, subject).sample).advice
    identifier = site.record.identifiers([subject])[subject][0]
    fact = pl.DataFrame(
        {"patient": [identifier[1]], "time": [at(47)], "code": [LAB], "numeric_value": [99.0]}
    )
    site.record.append(fact)
    serving.changed([subject])
    after = risk.advise(served, serving.ask(served, subject).sample).advice
    assert after.input_digest != before.input_digest
    assert after.answer.value != before.answer.value


def test_a_package_that_was_altered_does_not_answer_and_the_server_goes_on(
    site: Site, database: Database, serving: Serving
) -> None:
    with database.writing() as connection:
        connection.execute(update(release).values(package="0" * 64))
    again = Serving(site, database, lambda: at(50))
    assert again.served == [] and isinstance(again.refused[MODEL], IntegrityError)
    with pytest.raises(IntegrityError, match="not the one that was signed"):
        again.find(MODEL)


def test_advice_is_made_again_from_what_was_stored(site: Site, database: Database, serving: Serving) -> None:
    (served,) = serving.served
    given = risk.advise(served, serving.ask(served, int(serving.board()["subject_id"][0])).sample)
    database.write(risk.keep(database, given, SCIENTIST, "api"))
    found = risk.reproduce(site, database, given.advice.id)
    assert found.same and found.record_says_the_same
    assert found.advice == risk.find(database, given.advice.id) == given.advice
    with database.writing() as connection:
        connection.execute(update(advice_input).values(content=given.history.to_bytes()[:-3]))
    with pytest.raises(IntegrityError):
        risk.reproduce(site, database, given.advice.id)


def test_the_clock_decides_who_is_asked(site: Site, database: Database, serving: Serving) -> None:
    early: datetime = at(47)
    assert Serving(site, database, lambda: early).board().is_empty()
    assert Serving(site, database, lambda: early + timedelta(hours=2)).board().height == 120


def test_facts_that_come_while_a_board_is_made_are_asked_about_again(
    site: Site, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served,) = serving.served
    current, told = served.asker.current, [5]

    def meanwhile(*given: Any) -> Current:
        found = current(*given)
        if told:
            serving.changed([told.pop()])
        return found

    monkeypatch.setattr(served.asker, "current", meanwhile)
    serving.board()
    asked: list[object] = []
    monkeypatch.setattr(served.asker, "current", lambda *given: asked.append(given[1]) or current(*given))
    serving.board()
    assert [list(some) for some in asked] == [[5], [5]]  # as of now and a day earlier
    serving.board()
    assert len(asked) == 2


def test_a_clock_that_is_set_back_shows_nothing_of_later(
    site: Site, database: Database, serving: Serving
) -> None:
    now = at(50)
    again = Serving(site, database, lambda: now)
    assert again.board().height == 120
    again.changed([5])
    now = at(47)
    assert again.board().is_empty()


def test_another_release_of_a_model_alerts_by_its_own_threshold(
    site: Site, database: Database, serving: Serving
) -> None:
    assert not serving.board()["alert"].all()
    releases.retire(database, releases.active(database)[0].id, LEAD, "too quiet")
    with pytest.raises(InputError, match="between 0 and 1"):
        releases.propose(site, database, MODEL, SCIENTIST, threshold=20)
    one = releases.propose(site, database, MODEL, SCIENTIST, threshold=1e-6)
    releases.sign(database, one.id, LEAD)
    serving.refresh()
    assert serving.board()["alert"].all()


def test_a_later_board_asks_again_only_about_those_whose_answer_may_have_changed(
    site: Site, database: Database, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = at(50)
    again = Serving(site, database, lambda: now)
    first = again.board()
    assert first.filter(pl.col("sex").is_not_null() | pl.col("age").is_not_null()).is_empty()
    (served,) = again.served
    answered: list[int] = []
    predict = type(served.model).predict

    def counted(model: Model, samples: Samples) -> Predictions:
        answered.append(len(samples))
        return predict(model, samples)

    monkeypatch.setattr(type(served.model), "predict", counted)
    now += timedelta(minutes=6)
    assert again.board().equals(first) and sum(answered) == 0
    again.changed([5])
    assert again.board().equals(first) and sum(answered) == 1
    now += timedelta(minutes=6)
    assert again.board().equals(first) and sum(answered) == 121
