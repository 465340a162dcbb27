"""What people said of places in notes, and who has read a note to its end.

The facts themselves stand in the record, which does not know who said them; here stands who said what of which place,
and what was there before, so that a second reader can read a note for themselves, and readers can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, insert, select

from medloom.database.engine import Database
from medloom.database.metadata import utc_now
from medloom.database.tables.noting import note_answer, note_mark, note_reading

Deed = Literal["accepted", "corrected", "rejected", "added", "looked"]
"""`looked`: at what others had said of the note, before they had read it to its end themselves."""
Place = tuple[str, str]
"""Where, `12:24`, and the code."""

_MANY: Final = 100_000  # readings at most that are compared


@dataclass(frozen=True)
class Mark:
    """What somebody said of a place.

    Attributes:
        reviewer: who.
        deed: what they did.
        code, span: what they say is there; None: nothing is.
        was_code, was_span, was_model, was_confidence: what stood there before, and who said it.
    """

    reviewer: str
    deed: Deed
    code: str | None = None
    span: str | None = None
    was_code: str | None = None
    was_span: str | None = None
    was_model: str | None = None
    was_confidence: float | None = None


@dataclass(frozen=True)
class NoteReading:
    """A note as somebody left it when they had read it to its end.

    Attributes:
        subject_id, note: of whom, and the note's source.
        reviewer: who read it.
        places: all that stands in their eyes.
        blind: whether they read it for themselves: what others had said was hidden, or nobody had said anything.
        made: when, UTC.
    """

    subject_id: int
    note: str
    reviewer: str
    places: tuple[Place, ...]
    blind: bool
    made: str


def keep_marks(database: Database, subject_id: int, note: str, marks: Sequence[Mark]) -> None:
    """Keep what somebody said of places of a note."""
    made = utc_now()
    rows = [{"subject_id": subject_id, "note": note, "made": made, **vars(one)} for one in marks]

    def work(connection: Connection) -> None:
        connection.execute(insert(note_mark), rows)

    if rows:
        database.write(work)


def marks_of(database: Database, subject_id: int, note: str) -> list[Mark]:
    """List what was said of places of a note, oldest first."""
    query = (
        select(note_mark)
        .where(note_mark.c.subject_id == subject_id, note_mark.c.note == note)
        .order_by(note_mark.c.id)
    )
    with database.reading() as connection:
        return [_mark(row) for row in connection.execute(query)]


def keep_reading(database: Database, one: NoteReading) -> None:
    """Keep that somebody has read a note to its end; the last time counts."""
    values = {
        "subject_id": one.subject_id,
        "note": one.note,
        "reviewer": one.reviewer,
        "places": json.dumps(one.places, ensure_ascii=False),
        "blind": int(one.blind),
        "made": one.made,
    }

    def work(connection: Connection) -> None:
        connection.execute(insert(note_reading), values)

    database.write(work)


def readings_of(
    database: Database, subject_id: int | None = None, note: str | None = None, *, first: bool = False
) -> list[NoteReading]:
    """List the last reading of each note by each person, or the first; of one subject or note alone."""
    query = select(note_reading).order_by(note_reading.c.id).limit(_MANY)
    if subject_id is not None:
        query = query.where(note_reading.c.subject_id == subject_id)
    if note is not None:
        query = query.where(note_reading.c.note == note)
    found: dict[tuple[int, str, str], NoteReading] = {}
    with database.reading() as connection:
        for row in connection.execute(query):
            key = row.subject_id, row.note, row.reviewer
            if first and key in found:
                continue
            found[key] = NoteReading(
                row.subject_id,
                row.note,
                row.reviewer,
                tuple((place, code) for place, code in json.loads(row.places)),
                bool(row.blind),
                row.made,
            )
    return list(found.values())


@dataclass(frozen=True)
class NoteAnswer:
    """That a model has read a note: how many places it names, and how sure it is of the least sure; None: of none."""

    subject_id: int
    note: str
    places: int
    least: float | None


def keep_answers(database: Database, model: str, answers: Sequence[NoteAnswer]) -> None:
    """Keep how sure a model was of notes; the last time counts."""
    made = utc_now()

    def work(connection: Connection) -> None:
        for one in answers:
            key = {"model": model, "subject_id": one.subject_id, "note": one.note}
            connection.execute(delete(note_answer).filter_by(**key))
            values = {**key, "places": one.places, "least": one.least, "made": made}
            connection.execute(insert(note_answer).values(values))

    if answers:
        database.write(work)


def answers_of(database: Database, model: str) -> list[NoteAnswer]:
    """List what a model has read."""
    query = select(note_answer).where(note_answer.c.model == model)
    with database.reading() as connection:
        return [
            NoteAnswer(row.subject_id, row.note, row.places, row.least) for row in connection.execute(query)
        ]


def _mark(row: Row[Any]) -> Mark:
    return Mark(**{name: getattr(row, name) for name in Mark.__dataclass_fields__})
