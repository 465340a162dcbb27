"""What was kept about a subject, when the subject is erased, or turns out to be another one."""

from __future__ import annotations

import json

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.tables.accounts import broken_glass, care_team
from medloom.database.tables.noting import note_answer, note_mark, note_reading
from medloom.database.tables.reviewing import reading, reading_item, reading_skip, review
from medloom.database.tables.serving import advice, advice_input
from medloom.database.tables.work import alert_read, idempotency
from medloom.loop.releases import Actor


def erase(database: Database, subject_id: int, by: Actor) -> None:
    """Erase advice about a subject with its inputs, reviews and readings, and what was said of notes; and care teams.

    The audit log stays as it is: it holds the pseudonym, and nothing else of the subject.
    """

    def work(connection: Connection) -> None:
        given = select(advice.c.id).where(advice.c.subject_id == subject_id)
        inputs = connection.execute(select(advice.c.input).where(advice.c.subject_id == subject_id))
        digests = set(inputs.scalars())
        _forget_cases(connection, reading_item.c.subject_id == subject_id)
        # a chain points backwards: the latest first
        of_theirs = select(review.c.id).where(review.c.advice_id.in_(given)).order_by(review.c.id.desc())
        for number in connection.execute(of_theirs).scalars().all():
            connection.execute(delete(review).where(review.c.id == number))
        connection.execute(delete(advice).where(advice.c.subject_id == subject_id))
        others = exists().where(advice.c.input == advice_input.c.digest)
        for digest in digests:
            connection.execute(delete(advice_input).where(advice_input.c.digest == digest, ~others))
        for table in (alert_read, care_team, broken_glass, note_mark, note_reading, note_answer):
            connection.execute(delete(table).where(table.c.subject_id == subject_id))
        connection.execute(delete(idempotency))  # answers kept for repeated requests may speak of them
        database.audit.append(connection, Entry(by.name, by.role, "patient.erased", subject_id))

    database.write(work)


def merge(database: Database, kept: int, absorbed: int, by: Actor) -> None:
    """Let what was kept about one subject be about another: advice, cases of the experts' queue, notes, care teams.

    Of two cases about the same question and moment that of the subject who stays counts, and so of a model's two
    answers about the same note.
    """

    def work(connection: Connection) -> None:
        rows = connection.execute(
            select(advice.c.id, advice.c.content).where(advice.c.subject_id == absorbed)
        ).all()
        for number, content in rows:
            renamed = json.dumps(json.loads(content) | {"subject_id": kept}, ensure_ascii=False)
            connection.execute(
                update(advice).where(advice.c.id == number).values(subject_id=kept, content=renamed)
            )
        known = connection.execute(
            select(reading_item.c.task, reading_item.c.prediction_time).where(
                reading_item.c.subject_id == kept
            )
        ).all()
        theirs = connection.execute(select(reading_item).where(reading_item.c.subject_id == absorbed)).all()
        for item in theirs:
            if (item.task, item.prediction_time) in known:
                _forget_cases(connection, reading_item.c.id == item.id)
            else:
                connection.execute(
                    update(reading_item).where(reading_item.c.id == item.id).values(subject_id=kept)
                )
        has = set(
            connection.execute(select(care_team.c.account_id).where(care_team.c.subject_id == kept)).scalars()
        )
        teams = connection.execute(select(care_team).where(care_team.c.subject_id == absorbed)).mappings()
        for row in teams.all():
            if row["account_id"] not in has:
                connection.execute(insert(care_team), {**row, "subject_id": kept})
        connection.execute(delete(care_team).where(care_team.c.subject_id == absorbed))
        connection.execute(delete(alert_read).where(alert_read.c.subject_id == absorbed))
        of_kept = note_answer.alias()
        answered = exists().where(
            of_kept.c.subject_id == kept,
            of_kept.c.model == note_answer.c.model,
            of_kept.c.note == note_answer.c.note,
        )
        connection.execute(delete(note_answer).where(note_answer.c.subject_id == absorbed, answered))
        for table in (broken_glass, note_mark, note_reading, note_answer):
            connection.execute(update(table).where(table.c.subject_id == absorbed).values(subject_id=kept))
        database.audit.append(
            connection, Entry(by.name, by.role, "patient.merged", kept, detail={"absorbed": absorbed})
        )

    database.write(work)


def _forget_cases(connection: Connection, which: ColumnElement[bool]) -> None:
    items = select(reading_item.c.id).where(which)
    connection.execute(delete(reading).where(reading.c.item_id.in_(items)))
    connection.execute(delete(reading_skip).where(reading_skip.c.item_id.in_(items)))
    connection.execute(delete(reading_item).where(which))
