"""A note with what was taken from it, and what people say of that: accept, correct, reject, add."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import Response

from medloom.care.notes.quoting import located
from medloom.explanation.numbers import moment, percent
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import Text2, here, speaking, tr
from medloom.learners.text.facts.rules import RULES
from medloom.loop.serving import Served
from medloom.server import note_answers, note_corrections
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import SubjectId
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.note_codes import code_meant, name_shown, offered, tagging_tasks
from medloom.server.note_corrections import trimmed
from medloom.server.note_kinds import ASSERTIONS, KINDS, assertion_name, kind_name, reason_name
from medloom.server.note_relations import NoteRelation, relations_of
from medloom.server.notes import (
    Entity,
    Notebook,
    PatientNote,
    Said,
    check_mark,
    notebook_of,
    said_of,
)
from medloom.server.web.note_drawing import part_of, part_with
from medloom.server.web.rendering import go_to, page

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.SEE_NOTES))]
Reviewer = Annotated[Person, Depends(may(Permission.REVIEW_NOTES))]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Id = Annotated[str, Form(max_length=20)]

HERE: Final = "/patients/{subject_id}/notes/{number}"
"""Where the page of a note is."""


@dataclass(frozen=True)
class Shown:
    """Something that a note names, as its page says it."""

    entity: Entity
    name: str
    kind: Text2
    assertion: str | None
    said: str
    sure: str | None
    who: str
    reasons: tuple[str, ...]


@router.get(HERE)
def note_page(
    request: Request,
    backend: BackendOf,
    person: Reader,
    subject_id: SubjectId,
    number: Number,
    part: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    at: Annotated[str, Query(max_length=20)] = "",
    adds: Annotated[bool, Query()] = False,
) -> Response:
    """Show a note with what was taken from it; `at` names what is to be corrected, `adds` asks for the form to add."""
    backend.check_sees(person, subject_id)
    book = notebook_of(backend, subject_id)
    note = book.note(number)
    said = said_of(backend, person, book, note)
    with speaking(wanted_language(request.headers, request)):
        chosen = next((one for one in said.entities if one.id == at), None)
        if chosen is not None and not part:
            part = part_with(note.text, chosen.start)
        shown = part_of(note.text, part, said.entities)
        reviews = Permission.REVIEW_NOTES in person.permissions
        entities = [_shown(backend, person, one) for one in shown.entities]
        backend.saw(person, subject_id, "note.seen", f"note {number}")
        return page(
            request,
            person,
            "note.html.j2",
            note=note,
            notes=book.notes,
            said=said,
            part=shown,
            entities={one.entity.id: one for one in entities},
            relations=_relations(backend, relations_of(book, note), said) if not said.blind else [],
            rejected=[_shown(backend, person, one) for one in said.rejected],
            legend=[(kind, kind_name(kind), n) for kind in KINDS if (n := _count(said, kind))],
            waiting=sum(one.doubtful is not None or one.code is None for one in said.entities),
            by_models=sum(one.model is not None for one in said.entities),
            reviews=reviews,
            asked=[
                (str(one.name), Text2(*_titles(one)))
                for one in (note_answers.asked_about(backend, note) if reviews else ())
            ],
            chosen=None if chosen is None else _shown(backend, person, chosen),
            adds=adds,
            codes=_offered(backend, said) if reviews else [],
            assertions=[(one, assertion_name(one)) for one in ASSERTIONS],
            time=moment(note.time),
            previous=_part_address(note, shown.number - 1) if shown.number > 1 else None,
            following=_part_address(note, shown.number + 1) if shown.number < shown.of else None,
        )


@router.get("/patients/{subject_id}/notes")
def note_of(
    backend: BackendOf, person: Reader, subject_id: SubjectId, time: datetime | None = None
) -> Response:
    """Go to the note that was written at a moment, or to the latest one."""
    backend.check_sees(person, subject_id)
    notes = notebook_of(backend, subject_id).notes
    found = next((one for one in notes if one.time == time), notes[-1] if notes else None)
    if found is None:
        raise NotFoundError("the record has no note of this patient")
    return go_to(found.address)


@router.post(HERE + "/places")
def decide(
    request: Request,
    backend: BackendOf,
    person: Reviewer,
    subject_id: SubjectId,
    number: Number,
    deed: Annotated[str, Form(max_length=10)],
    mark: Annotated[str, Form(max_length=40)] = "",
    entity: Id = "",
    part: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
    code: Annotated[str, Form(max_length=300)] = "",
    assertion: Annotated[str, Form(max_length=10)] = "",
    words: Annotated[str, Form(max_length=2_000)] = "",
    span: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Keep what a person says of a place: `accept`, `reject`, `correct` or `add`."""
    sent = _Sent(deed, entity, code, assertion, words, span)
    # one decision after the other: who is second sees what the first has decided
    with speaking(wanted_language(request.headers, request)), request.app.state.noting:
        book, note = _opened(backend, person, subject_id, number)
        try:
            check_mark(note, mark)
            said = said_of(backend, person, book, note)
            at = _kept(backend, person, book, note, said, sent)
        except (InputError, NotFoundError) as error:
            back = _part_address(note, part, entity if deed == "correct" else "")
            return go_to(back, str(error), "bad", request=request)
        return go_to(_part_address(note, part) + f"#{at}", request=request)


@router.post(HERE + "/read")
def read(
    request: Request,
    backend: BackendOf,
    person: Reviewer,
    subject_id: SubjectId,
    number: Number,
    mark: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Keep that a person has read the note to its end: what stands is so, and nothing else is."""
    with speaking(wanted_language(request.headers, request)), request.app.state.noting:
        book, note = _opened(backend, person, subject_id, number)
        try:
            check_mark(note, mark)
            said = said_of(backend, person, book, note)
            n = note_corrections.finish(backend, person, book, note, said)
        except (InputError, NotFoundError) as error:
            return go_to(note.address, str(error), "bad", request=request)
        told = tr("Kept: you have read this note, with {n} places. Models will learn from it.", n=n)
        return go_to(note.address, told, request=request)


@router.post(HERE + "/others")
def others(
    request: Request, backend: BackendOf, person: Reviewer, subject_id: SubjectId, number: Number
) -> Response:
    """Show what others said of the note to who has not read it to its end."""
    _, note = _opened(backend, person, subject_id, number)
    note_corrections.look(backend, person, note)
    return go_to(note.address)


@router.post(HERE + "/ask")
def ask(
    request: Request,
    backend: BackendOf,
    person: Reviewer,
    subject_id: SubjectId,
    number: Number,
    model: Annotated[str, Form(max_length=200)],
    mark: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Let a released model name places in the note; they wait for a person."""
    with speaking(wanted_language(request.headers, request)):
        book, note = _opened(backend, person, subject_id, number)
        try:
            check_mark(note, mark)
            n = note_answers.ask(backend, book, note, model)
        except (InputError, NotFoundError) as error:
            return go_to(note.address, str(error), "bad", request=request)
        backend.saw(person, subject_id, "note.asked", f"note {number}: {model}")
        if not n:
            return go_to(
                note.address, tr("{model} names nothing that is not decided.", model=model), request=request
            )
        return go_to(
            note.address, tr("{model} names {n} places that wait for you.", model=model, n=n), request=request
        )


@dataclass(frozen=True)
class _Sent:
    """A decision as its form was sent."""

    deed: str
    entity: str
    code: str
    assertion: str
    words: str
    span: str


def _opened(backend: Backend, person: Person, subject_id: int, number: int) -> tuple[Notebook, PatientNote]:
    backend.check_sees(person, subject_id)
    book = notebook_of(backend, subject_id)
    return book, book.note(number)


def _kept(
    backend: Backend, person: Person, book: Notebook, note: PatientNote, said: Said, sent: _Sent
) -> str:
    """Keep a decision; gives what of the page to come back to."""
    catalogue = backend.site.record.catalogue
    if sent.deed == "add":
        span = _place(note, sent)
        note_corrections.add(
            backend, person, book, note, code_meant(catalogue, sent.code, sent.assertion), span
        )
        return "note-text"
    entity = said.entity(sent.entity)
    if sent.deed == "accept":
        note_corrections.accept(backend, person, book, note, entity)
    elif sent.deed == "reject":
        note_corrections.reject(backend, person, book, note, entity)
    elif sent.deed == "correct":
        code = code_meant(catalogue, sent.code, sent.assertion)
        span = _place(note, sent) if sent.span or sent.words.strip() else entity.span
        note_corrections.correct(backend, person, book, note, entity, code, span)
    else:
        raise InputError("choose whether to accept, reject, correct or add")
    return _next(said, entity)


def _place(note: PatientNote, sent: _Sent) -> str:
    """Give the place that was selected, or where the words that were typed stand first."""
    if sent.span:
        note_corrections.check_place(note, sent.span)
        return trimmed(note, sent.span)
    found = located(sent.words, note.text)
    if found is None:
        raise InputError("the note does not have these words; write them as they stand there")
    return f"{found[0]}:{found[1]}"


def _next(said: Said, entity: Entity) -> str:
    """Name what stands behind something and no person has decided about yet, else the text."""
    behind = [one for one in said.entities if (one.start, one.end) > (entity.start, entity.end)]
    return next((one.id for one in behind if one.model is not None), "note-text")


def _part_address(note: PatientNote, part: int, at: str = "") -> str:
    asked = {**({"part": part} if part > 1 else {}), **({"at": at} if at else {})}
    return note.address + (f"?{urlencode(asked)}" if asked else "")


def _count(said: Said, kind: str) -> int:
    return sum(one.kind == kind for one in said.entities)


def _offered(backend: Backend, said: Said) -> list[tuple[str, str]]:
    codes = dict.fromkeys(one.bare for one in said.entities if one.bare is not None)
    return offered(backend.site.record.catalogue, tagging_tasks(backend.site), codes)


def _shown(backend: Backend, person: Person, one: Entity) -> Shown:
    catalogue = backend.site.record.catalogue
    name = one.label or "" if one.bare is None else name_shown(catalogue, one.bare)
    if one.model is None:
        by = [tr("you") if name_ == person.login else name_ for name_ in one.by]
        who = ", ".join(by) or tr("a person")
    else:
        who = tr("rules") if one.model == RULES else one.model
    value = "" if one.value is None else f"{one.value:g}" + (f" {one.unit}" if one.unit else "")
    told = "; ".join(part for part in (value, one.details or "") if part)
    return Shown(
        one,
        name,
        kind_name(one.kind),
        None if one.assertion is None else here(assertion_name(one.assertion)),
        told,
        None if one.confidence is None or one.model is None else percent(one.confidence),
        who,
        tuple(here(reason_name(reason)) for reason in one.reasons),
    )


def _relations(
    backend: Backend, relations: list[NoteRelation], said: Said
) -> list[tuple[NoteRelation, str, str, list[str | None]]]:
    """Give each relation with its name, who says it, and what its ends are called on the page."""
    places = {one.span: one.id for one in said.entities}
    return [
        (
            one,
            name_shown(backend.site.record.catalogue, one.code),
            tr("a person") if one.model is None else one.model,
            [places.get(one.head), places.get(one.tail)],
        )
        for one in relations
    ]


def _titles(served: Served) -> tuple[str, str]:
    title = served.model.origin.question.title
    return title.en, title.zh
