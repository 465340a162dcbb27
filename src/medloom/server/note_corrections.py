"""What people say of places in notes: kept as facts of the record, from which tasks take their labels, and by whom.

A person's fact has no `model`; `REJECTED//` before the code says that no fact is there, `NOT//` that the note denies
it. What a finder had said of the place ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from medloom.care.notes.facts import SaidOfNotes
from medloom.database.audit import Entry
from medloom.database.metadata import utc_now
from medloom.foundation.errors import InputError, NotFoundError
from medloom.learners.text.facts.dictionary import name_of
from medloom.learners.text.facts.mentions import parts_of
from medloom.loop import note_readings
from medloom.loop.note_readings import Mark, NoteReading
from medloom.record.importing import CodeInfo
from medloom.record.quarantine import in_words
from medloom.record.schema import BATCH_SCHEMA
from medloom.server import arrivals
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.note_kinds import kind_of, role_of
from medloom.server.notes import READ, Entity, Notebook, PatientNote, Said, bare, is_place, judged, taken_back

LONGEST: Final = 1000
"""Characters of a place that a person names, at most."""


def accept(backend: Backend, person: Person, book: Notebook, note: PatientNote, entity: Entity) -> None:
    """Keep that something is as a model says, or put back what was taken back.

    Raises:
        InputError: it has no code; correct it instead.
    """
    if entity.code is None:
        raise InputError("no code is known for it: say what it is, with “Correct”")
    marks = [_mark(person, "accepted", entity, entity.code, entity.span)]
    _keep(backend, person, book, note, [_fact(entity, entity.code, entity.span)], [entity], marks)


def reject(backend: Backend, person: Person, book: Notebook, note: PatientNote, entity: Entity) -> None:
    """Keep that a place is not what somebody says; a doubtful one is not asked about again."""
    waits = entity.doubtful is not None  # it never stood in the record, so that there is nothing to take back
    rows = [] if waits or entity.code is None else [_taken_back(entity, entity.code)]
    _keep(backend, person, book, note, rows, [entity], [_mark(person, "rejected", entity, None, None)])


def correct(
    backend: Backend, person: Person, book: Notebook, note: PatientNote, entity: Entity, code: str, span: str
) -> None:
    """Keep another code or another place of something.

    Raises:
        InputError: the place is not in the note, or nothing is changed.
    """
    check_place(note, span)
    if (code, span) == (entity.code, entity.span):
        accept(backend, person, book, note, entity)
        return
    same_kind = bare(code) == entity.bare
    rows = []
    # of one code at one place the last word counts: taking it back first says nothing more
    was = entity.code if entity.doubtful is None else None
    if was is not None and (judged(was), entity.span) != (judged(code), span):
        rows.append(_taken_back(entity, was))
    rows.append(_fact(entity, code, span) if same_kind else _plain(code, span))
    _keep(backend, person, book, note, rows, [entity], [_mark(person, "corrected", entity, code, span)])


def add(backend: Backend, person: Person, book: Notebook, note: PatientNote, code: str, span: str) -> None:
    """Keep what nobody had named.

    Raises:
        InputError: the place is not in the note.
    """
    check_place(note, span)
    _keep(backend, person, book, note, [_plain(code, span)], [], [Mark(person.login, "added", code, span)])


def finish(backend: Backend, person: Person, book: Notebook, note: PatientNote, said: Said) -> int:
    """Keep that a person has read a note to its end: what stands is so, and nothing else is; gives how many places.

    Raises:
        InputError: something still waits to be decided.
    """
    waiting = [one for one in said.entities if one.doubtful is not None or one.code is None]
    if waiting:
        raise InputError(
            "places still wait, {n} of them: accept, correct or reject each first", n=len(waiting)
        )
    by_models = [one for one in said.entities if one.model is not None]
    rows = [_fact(one, one.code or "", one.span) for one in by_models]
    rows.append({"code": READ, "role": "observation", "span": None})
    marks = [_mark(person, "accepted", one, one.code, one.span) for one in by_models]
    _keep(backend, person, book, note, rows, by_models, marks, "note.read_through")
    with backend.site.record.doubtful() as queue:
        for number in said.unread:  # what is in it, people have said now
            queue.decide(number, "rejected", person.login)
    places = tuple((one.span, one.code or "") for one in said.entities)
    note_readings.keep_reading(
        backend.database,
        NoteReading(note.subject_id, note.source, person.login, places, said.alone, utc_now()),
    )
    return len(places)


def look(backend: Backend, person: Person, note: PatientNote) -> None:
    """Note that a person wants to see what others said of a note, whose reading no longer counts as their own."""
    backend.saw(person, note.subject_id, "note.unblinded", f"note {note.number}")
    note_readings.keep_marks(backend.database, note.subject_id, note.source, [Mark(person.login, "looked")])


def check_place(note: PatientNote, span: str) -> None:
    """Refuse a place that is not in a note.

    Raises:
        InputError: it is not.
    """
    try:
        parts = parts_of(span)
    except ValueError:
        parts = ()
    if not is_place(parts, len(note.text)):
        raise InputError("this place is not in the note; select the words again")
    if sum(end - start for start, end in parts) > LONGEST:
        raise InputError("a place has at most {most:,} characters", most=LONGEST)
    if not any(note.text[start:end].strip() for start, end in parts):
        raise InputError("there are no words in this place; select some")


def trimmed(note: PatientNote, span: str) -> str:
    """Leave out the blanks around a place that was selected by hand."""
    found = []
    for start, end in parts_of(span):
        words = note.text[start:end]
        begin = start + len(words) - len(words.lstrip())
        found.append(f"{begin}:{max(begin, start + len(words.rstrip()))}")
    return ";".join(found)


def _mark(person: Person, deed: Any, entity: Entity, code: str | None, span: str | None) -> Mark:
    was = entity.code, entity.span, entity.model, entity.confidence
    return Mark(person.login, deed, code, span, *was)


def _fact(entity: Entity, code: str, span: str) -> dict[str, Any]:
    role = entity.role or role_of(entity.kind)
    told = {"numeric_value": entity.value, "unit": entity.unit, "text_value": entity.details}
    return {"code": code, "span": span, "role": role, **told}


def _plain(code: str, span: str) -> dict[str, Any]:
    return {"code": code, "span": span, "role": role_of(kind_of(code, None, has_value=False))}


def _taken_back(entity: Entity, code: str) -> dict[str, Any]:
    return {"code": taken_back(code), "span": entity.span, "role": entity.role or role_of(entity.kind)}


def _keep(
    backend: Backend,
    person: Person,
    book: Notebook,
    note: PatientNote,
    rows: Sequence[Mapping[str, Any]],
    decided: Sequence[Entity],
    marks: Sequence[Mark],
    action: str = "",
) -> None:
    """Keep facts and who said them; what a finder had said of the places ends, and what waited waits no more."""
    known = backend.site.record.identifiers([note.subject_id]).get(note.subject_id)
    if not known:
        raise NotFoundError("there is no subject {subject}", subject=note.subject_id)
    system, patient = known[0]
    learned = max(backend.now(), note.visible)
    told = {"system": system, "patient": patient, "known_time": learned}
    facts = [
        # each is a word of its own, also where it says what was said before
        {**told, "time": note.time, "derived_from": note.source, "key": f"note:{uuid.uuid4().hex}", **row}
        for row in rows
    ]
    if any(one.model is not None and one.doubtful is None for one in decided):
        before = SaidOfNotes(book.events)
        for one in decided:
            if one.model is None or one.doubtful is not None:
                continue
            fact = {"model": one.model, "time": one.time, "code": one.code, "span": one.span}
            facts += [{**row, **told} for row in before.taken_back(note.subject_id, note.source, fact)]
    counts = {"places": [one.span or one.was_span for one in marks]}
    entry = Entry(
        person.login,
        person.role,
        action or f"note.{marks[0].deed}",
        note.subject_id,
        f"note {note.number}",
        detail=counts if len(marks) <= _LISTED else {"places": len(marks)},
    )
    backend.told(entry)
    if facts:
        frame = pl.DataFrame(facts, schema=_SCHEMA)
        named = {code: name for code in frame["code"].unique() if (name := name_of(code)) is not None}
        infos = {code: CodeInfo(name) for code, name in named.items()}
        arrived = arrivals.keep(backend, person, frame, "note", codes=infos, whole=True)
        for why in arrived.refused.values():
            raise InputError("the record refused it: {why}", why=in_words(why).en)
    note_readings.keep_marks(backend.database, note.subject_id, note.source, marks)
    _settle(backend, person, note, marks)


def _settle(backend: Backend, person: Person, note: PatientNote, marks: Sequence[Mark]) -> None:
    """Let what waits of places that somebody has decided about wait no more."""
    said = {(one.code, one.span) for one in marks}
    places = {span for one in marks for span in (one.span, one.was_span)}
    with backend.site.record.doubtful() as queue:
        for one in queue.facts("open", note.subject_id):
            fact = one.fact
            if (
                one.derived_from == note.source
                and fact.get("span") in places
                and "language" not in one.reasons
            ):
                right = (fact.get("code"), fact.get("span")) in said
                queue.decide(one.id, "accepted" if right else "rejected", person.login)


_LISTED: Final = 20
_SCHEMA: Final[dict[str, Any]] = {
    "system": pl.String,
    **{
        name: BATCH_SCHEMA[name]
        for name in (
            "patient",
            "code",
            "time",
            "known_time",
            "role",
            "derived_from",
            "span",
            "numeric_value",
            "unit",
            "text_value",
            "model",
            "retracted",
            "key",
        )
    },
}
