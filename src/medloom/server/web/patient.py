"""One patient: current advice with its reasons, the clinician's answer to it, and the record as a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from medloom import dossier
from medloom.care import risk
from medloom.explanation.pushes import Push, pushes_of
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import Text2, speaking, tr
from medloom.knowledge import systems
from medloom.loop import reviews
from medloom.loop.advice import Advice
from medloom.loop.reviews import REASONS, Opinion, reason_name
from medloom.loop.serving import Served
from medloom.record.schema import visible_time
from medloom.server import alerts
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import SubjectId
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.images import PatientImage, gallery_of, has_images
from medloom.server.notes import PatientNote, notebook_of
from medloom.server.showing import advice_shown, facts_shown
from medloom.server.web.advice_card import Card, card_of
from medloom.server.web.identity import Identity, identity_of
from medloom.server.web.rendering import go_to, page
from medloom.server.web.timeline import Timeline, timeline_of
from medloom.server.web.timeline_view import asked

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.READ_PATIENTS))]
Answerer = Annotated[Person, Depends(may(Permission.ANSWER))]
Clinician = Annotated[Person, Depends(may(Permission.SEE_IDENTIFIERS))]


@router.get("/patients/{subject_id}")
def patient(request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId) -> Response:
    """Show a patient with current advice and the record."""
    backend.check_sees(person, subject_id)
    shown = _page(request, backend, person, subject_id)
    backend.saw(person, subject_id, "patient.seen")
    alerts.opened(backend, person, subject_id)
    return shown


@router.get("/patients/{subject_id}/timeline")
def timeline(request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId) -> Response:
    """Show the timeline alone, for what zooms in place."""
    backend.check_sees(person, subject_id)
    seen = _seen(backend, person, subject_id)
    told = [advice_shown(person, one) for one, _ in _told(backend, person, subject_id)[0]]
    drawn = _timeline(request, backend, seen, told)
    backend.saw(person, subject_id, "timeline.seen")
    return page(
        request, person, "timeline.html.j2", timeline=drawn, fragment=request.url.path, subject_id=subject_id
    )


@router.get("/patients/{subject_id}/advice/{advice_id}/similar")
def similar(
    request: Request, backend: BackendOf, person: Reader, subject_id: SubjectId, advice_id: str
) -> Response:
    """Say what became of patients whom the model sees alike."""
    backend.check_sees(person, subject_id)
    told = _advice(backend, subject_id, advice_id)
    served = backend.serving.find(told.model)
    sample, _ = served.asker.at(told.prediction_time, subject_id)
    said = dossier.similar_patients(served.trained, sample, told.output)
    backend.saw(person, subject_id, "similar.seen", advice_id)
    return page(request, person, "similar.html.j2", advice=told, said=said)


@router.post("/patients/{subject_id}/advice/{advice_id}/review")
def review(
    request: Request,
    backend: BackendOf,
    person: Answerer,
    subject_id: SubjectId,
    advice_id: str,
    verdict: Annotated[str, Form(max_length=20)] = "",
    reason: Annotated[str, Form(max_length=40)] = "",
    comment: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Accept advice, or override it and say why."""
    backend.check_sees(person, subject_id)
    _advice(backend, subject_id, advice_id)
    with speaking(wanted_language(request.headers, request)):
        if verdict not in ("accept", "override"):
            return _refused(request, backend, person, subject_id, Filled(advice_id, "", reason, comment))
        if verdict == "override" and not reason:
            filled = Filled(advice_id, verdict, "", comment, tr("Choose why you override the advice."))
            return _refused(request, backend, person, subject_id, filled)
        given = reason if verdict == "override" else None
        opinion = Opinion("accept" if verdict == "accept" else "override", given, comment)  # type: ignore[arg-type]
        try:
            reviews.add(backend.database, advice_id, opinion, person.actor)
        except InputError as error:
            filled = Filled(advice_id, verdict, reason, comment, str(error))
            return _refused(request, backend, person, subject_id, filled)
        said = (
            tr("Kept: you accept this advice.")
            if verdict == "accept"
            else tr("Kept: you override this advice. Experts will see the case.")
        )
        return go_to(f"/patients/{subject_id}", said, request=request)


@router.post("/patients/{subject_id}/identifiers")
def identifiers(request: Request, backend: BackendOf, person: Clinician, subject_id: SubjectId) -> Response:
    """Show who the patient is in the hospital's own systems."""
    backend.check_sees(person, subject_id)
    known = backend.site.record.identifiers([subject_id]).get(subject_id, [])
    backend.saw(person, subject_id, "identifiers.seen")
    return _page(request, backend, person, subject_id, known=known)


@dataclass(frozen=True)
class Filled:
    """A review as it was sent, when it cannot be kept."""

    advice_id: str
    verdict: str
    reason: str
    comment: str
    error: str = ""


def _refused(request: Request, backend: Backend, person: Person, subject_id: int, filled: Filled) -> Response:
    error = filled.error or tr("Choose whether you accept this advice.")
    filled = Filled(filled.advice_id, filled.verdict, filled.reason, filled.comment, error)
    backend.saw(person, subject_id, "patient.seen")
    return _page(request, backend, person, subject_id, status=422, filled=filled)


def _page(
    request: Request,
    backend: Backend,
    person: Person,
    subject_id: int,
    *,
    status: int = 200,
    filled: Filled | None = None,
    known: list[tuple[str, str]] | None = None,
) -> Response:
    seen = _seen(backend, person, subject_id)
    who = identity_of(subject_id, seen, backend.now())
    who = replace(who, age=person.age_shown(who.age))
    told, silent = _told(backend, person, subject_id)
    cards = _cards(backend, person, who, told)
    return page(
        request,
        person,
        "patient.html.j2",
        status=status,
        who=who,
        cards=cards,
        silent=silent,
        served=bool(backend.serving.served),
        reasons=[(reason, reason_name(reason)) for reason in REASONS],
        filled=filled,
        known=known,
        images=_images(backend, person, subject_id),
        notes=_notes(backend, person, subject_id),
        any_images=has_images(backend.site.record.catalogue),
        timeline=_timeline(request, backend, seen, [card.advice for card in cards]),
        fragment=f"/patients/{subject_id}/timeline",
    )


def _images(backend: Backend, person: Person, subject_id: int) -> tuple[PatientImage, ...] | None:
    """List a patient's images, the latest first; None: they are not for this person."""
    if Permission.SEE_IMAGES not in person.permissions:
        return None
    return gallery_of(backend, person, subject_id).images[::-1]


def _notes(backend: Backend, person: Person, subject_id: int) -> tuple[PatientNote, ...]:
    """List a patient's notes, the latest first; none where they are not for this person."""
    if Permission.SEE_NOTES not in person.permissions:
        return ()
    return notebook_of(backend, subject_id).notes[::-1]


def _seen(backend: Backend, person: Person, subject_id: int) -> pl.DataFrame:
    """Give a patient's events that are visible now, as far as a person may see them.

    Raises:
        NotFoundError: there is no such patient.
    """
    events = backend.site.record.events([subject_id])
    if not events.height:
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    now = backend.now()
    seen = events.filter(
        pl.col("time").is_null() | (visible_time() <= now),
        (pl.col("known_until") > now).fill_null(value=True),
        ~pl.col("code").cast(pl.String).str.starts_with(f"{systems.REJECTED}//"),
    )
    return facts_shown(person, seen)


def _told(
    backend: Backend, person: Person, subject_id: int
) -> tuple[list[tuple[Advice, Served]], list[Text2]]:
    """Give the current advice of all released models, and the titles of those that do not ask this patient now."""
    told, silent = [], []
    for served in backend.serving.served:
        try:
            question = backend.serving.ask(served, subject_id)
        except InputError:
            title = served.asker.task.question.title
            silent.append(Text2(title.en, title.zh))
            continue
        advice = risk.standing(backend.database, served, question.sample)
        if advice is None:
            given = risk.advise(served, question.sample, question.against)
            backend.database.write(risk.keep(backend.database, given, person.actor, "workbench"))
            advice = given.advice
        told.append((advice, served))
    return told, silent


def _cards(backend: Backend, person: Person, who: Identity, told: list[tuple[Advice, Served]]) -> list[Card]:
    """Put advice into cards: alerts first, then by how high it is among all patients."""
    if not told:
        return []
    board = backend.serving.board().filter(pl.col("subject_id") == who.subject_id)
    rows: dict[str, dict[str, Any]] = {row["model"]: row for row in board.iter_rows(named=True)}
    cards = []
    for advice, served in told:
        row = rows.get(advice.model, {})
        cards.append(
            card_of(
                advice_shown(person, advice),
                served,
                who,
                reviews.current(backend.database, advice.id),
                person.login,
                rank=row.get("rank"),
                before=row.get("before"),
            )
        )
    return sorted(cards, key=lambda card: (not card.advice.alert, -(card.rank or 0.0)))


def _timeline(request: Request, backend: Backend, seen: pl.DataFrame, told: list[Advice]) -> Timeline:
    now = backend.now()
    subject_id = int(seen["subject_id"][0]) if seen.height else 0
    catalogue = backend.site.record.catalogue
    effects: dict[str, float] = {}
    pushes: list[Push] = []
    for advice in told[:1]:
        for one in advice.reasons:
            if one.code is not None:
                effects[one.code] = effects.get(one.code, 0.0) + one.contribution
        rows = ((one.input, one.contribution, one.said) for one in advice.reasons)
        pushes = pushes_of(rows, advice.prediction_time)
    with speaking(wanted_language(request.headers, request)):
        return timeline_of(
            seen,
            now,
            asked(request.query_params),
            descriptions=catalogue.descriptions(),
            units=catalogue.units(),
            adult=identity_of(subject_id, seen, now).is_adult,
            effects=effects,
            pushes=pushes,
            address=f"/patients/{subject_id}",
        )


def _advice(backend: Backend, subject_id: int, advice_id: str) -> Advice:
    """Find advice about this patient; raises NotFoundError, of another patient's too."""
    told = risk.find(backend.database, advice_id)
    if told.subject_id != subject_id:
        raise NotFoundError("there is no advice {advice!r}", advice=advice_id)
    return told
