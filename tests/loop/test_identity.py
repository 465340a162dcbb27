"""A subject who is erased leaves no advice behind; one who is merged is found under the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Table, func, insert, select

from medloom.database.engine import Database
from medloom.database.metadata import metadata, utc_now
from medloom.database.tables.accounts import account, care_team
from medloom.database.tables.noting import note_answer, note_mark, note_reading
from medloom.database.tables.reviewing import reading, reading_item, review
from medloom.database.tables.serving import advice, advice_input
from medloom.loop import identity, note_readings
from medloom.loop.note_readings import Mark, NoteAnswer, NoteReading
from medloom.loop.releases import Actor
from tests.databases import new_database, opened, postgres_server

OPERATOR = Actor("operator", "")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as socket:
        yield socket


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    on_server = request.param == "postgresql"
    made = opened(
        new_database(request.getfixturevalue("postgres"))
        if on_server
        else f"sqlite:///{tmp_path / 'site.db'}"
    )
    for subject in (1, 2):
        _advised(made, subject)
        _read(made, subject, NOTES[subject])
    yield made
    made.close()


NOTES = {1: ("sha256:own", "sha256:same"), 2: ("sha256:same",)}
"""Which notes of each subject somebody has read, and a model: one is the same of both."""


def _read(database: Database, subject: int, notes: tuple[str, ...]) -> None:
    for note in notes:
        note_readings.keep_marks(database, subject, note, [Mark("anna", "added", "ICD10CM//I10", "3:9")])
        places = (("3:9", "ICD10CM//I10"),)
        note_readings.keep_reading(
            database, NoteReading(subject, note, "anna", places, blind=True, made=utc_now())
        )
        note_readings.keep_answers(database, "named.crf@1", [NoteAnswer(subject, note, subject, 0.5)])


def _advised(database: Database, subject: int) -> None:
    with database.writing() as connection:
        connection.execute(insert(advice_input), {"digest": f"{subject}" * 64, "content": b"x"})
        row = {
            "made": utc_now(),
            "service": "risk",
            "model": "a.b@1",
            "package": "p",
            "output": "true",
            "value": 0.5,
        }
        row |= {"prediction_time": "2020-01-01T00:00:00", "asked_by": "anna", "via": "api"}
        content = json.dumps({"subject_id": subject})
        connection.execute(
            insert(advice),
            row
            | {
                "id": f"{subject}" * 32,
                "subject_id": subject,
                "input": f"{subject}" * 64,
                "content": content,
            },
        )
        opinion = {"advice_id": f"{subject}" * 32, "reviewer": "anna", "verdict": "accept", "comment": ""}
        opinion |= {"suggestions": "[]", "via": "api", "made": utc_now(), "decided": utc_now()}
        (first,) = connection.execute(insert(review), opinion).inserted_primary_key or (0,)
        connection.execute(insert(review), opinion | {"supersedes": first})
        item = {"task": "a", "subject_id": subject, "prediction_time": "2020-01-01T00:00:00", "why": "[]"}
        item |= {"advice_id": f"{subject}" * 32, "state": "open", "added": utc_now(), "added_by": "anna"}
        (number,) = connection.execute(insert(reading_item), item).inserted_primary_key or (0,)
        connection.execute(
            insert(reading),
            {"item_id": number, "reader": "carl", "stage": "first", "comment": "", "made": utc_now()},
        )
        person = {
            "name": f"n{subject}",
            "display": "",
            "role": "clinician",
            "password": "",
            "created": utc_now(),
        }
        (who,) = connection.execute(insert(account), person).inserted_primary_key or (0,)
        connection.execute(insert(care_team), {"account_id": who, "subject_id": subject, "since": utc_now()})


def test_an_erased_subject_leaves_nothing_but_its_number_in_the_audit_log(database: Database) -> None:
    identity.erase(database, 1, OPERATOR)
    tables = [table for table in metadata.tables.values() if table.name not in ("audit", "account")]
    with database.reading() as connection:
        for table in tables:
            rows = connection.execute(select(table)).mappings().all()
            assert not any(row.get("subject_id") == 1 for row in rows), table.name
        for table in (advice, advice_input, reading, care_team, note_mark, note_reading, note_answer):
            assert _count(database, table) == 1, table.name
    assert _count(database, review) == 2


def test_a_merged_subject_is_found_under_the_other(database: Database) -> None:
    identity.merge(database, kept=2, absorbed=1, by=OPERATOR)
    with database.reading() as connection:
        rows = connection.execute(select(advice.c.subject_id, advice.c.content)).all()
        team = connection.execute(select(care_team.c.subject_id)).scalars().all()
    assert [(subject, json.loads(content)["subject_id"]) for subject, content in rows] == [(2, 2), (2, 2)]
    assert team == [2, 2]
    assert len(note_readings.marks_of(database, 2, "sha256:own")) == 1
    assert len(note_readings.marks_of(database, 2, "sha256:same")) == 2
    assert {one.note for one in note_readings.readings_of(database, 2)} == set(NOTES[1])
    assert _count(database, note_reading) == 3 and not note_readings.readings_of(database, 1)
    # both were asked about the same note by the same model: what stands of who stays, counts
    answers = {
        one.note: (one.subject_id, one.places) for one in note_readings.answers_of(database, "named.crf@1")
    }
    assert answers == {"sha256:own": (2, 1), "sha256:same": (2, 2)}


def test_who_was_merged_can_be_erased_cases_and_all(database: Database) -> None:
    identity.merge(database, kept=2, absorbed=1, by=OPERATOR)
    assert _count(database, reading_item) == 1  # both were asked about the same moment
    identity.erase(database, 2, OPERATOR)
    noted = (note_mark, note_reading, note_answer)
    for table in (advice, advice_input, review, reading_item, reading, *noted):
        assert _count(database, table) == 0, table.name


def _count(database: Database, table: Table) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar() or 0
