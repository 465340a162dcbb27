"""Asking a released model about a patient, as of now or another moment, and what it would answer were things others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from medloom.care import risk
from medloom.database.audit import Entry
from medloom.explanation.wording import amount
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import Text2, speaking, text2, tr
from medloom.loop.advice import Advice
from medloom.loop.serving import Asked, Served
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.showing import advice_shown
from medloom.server.web.advice_card import Card, card_of
from medloom.server.web.identity import Identity
from medloom.server.web.rendering import page
from medloom.server.web.what_if import Addable, Changeable, addable, changeable, changes_of, found_among
from medloom.tasks.demographics import demographics
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.samples import Samples

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Asking = Annotated[Person, Depends(may(Permission.ASK))]
_SHOWN: Final = 12  # of what may be supposed; the others fold


@dataclass(frozen=True)
class Typed:
    """What stands in the form."""

    model: str = ""
    patient: str = ""
    at: str = ""
    supposed: dict[str, str] | None = None
    without: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()
    sought: str = ""


@dataclass(frozen=True)
class Answered:
    """What came of asking.

    Attributes:
        actual: the answer from the record as it is.
        supposed: with what was supposed; None: nothing was.
        changes: in words: what, how it is, how it was supposed.
        difference: between the two, in words; None: nothing was supposed, or they are not compared.
        rises: whether the supposed answer is higher.
        offered: what may be supposed to be different.
        added: codes that were supposed to be recorded.
        found: codes that were searched for and may be added, the first of them.
        n_found: how many there are; None: nothing was searched for.
        error: why what was supposed cannot be.
    """

    actual: Card
    supposed: Card | None
    changes: list[tuple[Text2, Text2 | None, Text2 | None]]
    difference: str | None
    rises: bool
    offered: list[Changeable]
    added: list[Addable]
    found: list[Addable]
    n_found: int | None
    error: str | None = None


@router.get("/ask")
def form(
    request: Request,
    backend: BackendOf,
    person: Asking,
    model: Annotated[str, Query(max_length=160)] = "",
    patient: Annotated[str, Query(max_length=18)] = "",
    at: Annotated[str, Query(max_length=32)] = "",
) -> Response:
    """Show the form, and the answer where model and patient are named."""
    return _page(request, backend, person, Typed(model, patient.strip(), at))


@router.post("/ask")
def suppose(
    request: Request,
    backend: BackendOf,
    person: Asking,
    model: Annotated[str, Form(max_length=160)] = "",
    patient: Annotated[str, Form(max_length=18)] = "",
    at: Annotated[str, Form(max_length=32)] = "",
    code: Annotated[list[str], Form(max_length=400)] = [],  # noqa: B006 - FastAPI copies it
    value: Annotated[list[str], Form(max_length=400)] = [],  # noqa: B006
    without: Annotated[list[str], Form(max_length=400)] = [],  # noqa: B006
    added: Annotated[list[str], Form(max_length=400)] = [],  # noqa: B006
    sought: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Show the answer beside that to what is supposed; what is supposed stands in no address and is not stored."""
    supposed = dict(zip(code, value, strict=False))
    asked = Typed(
        model, patient.strip(), at, supposed, frozenset(without), tuple(dict.fromkeys(added)), sought.strip()
    )
    return _page(request, backend, person, asked)


def _page(request: Request, backend: Backend, person: Person, typed: Typed) -> Response:
    answered, error, elsewhen, status = None, None, False, 200
    with speaking(wanted_language(request.headers, request)):
        if typed.patient:
            try:
                subject = _subject(backend, person, typed.patient)
                served = _served(backend, typed.model)
                moment = _moment(typed.at)
                asked = _ask(backend, served, subject, moment)
                if asked is None:
                    elsewhen = True
                else:
                    answered = _answered(backend, person, served, subject, asked, typed)
                    status = 200 if answered.error is None else 422
            except (InputError, NotFoundError) as problem:
                error, status = str(problem), 422
        return page(
            request,
            person,
            "ask.html.j2",
            status=status,
            typed=typed,
            models=[
                (str(one.name), one.asker.task.question.title, one.name.learner)
                for one in backend.serving.served
            ],
            answered=answered,
            error=error,
            elsewhen=elsewhen,
            shown=_SHOWN,
        )


def _subject(backend: Backend, person: Person, typed: str) -> int:
    if not (typed.isascii() and typed.isdecimal()):
        raise InputError("a pseudonym is a number")
    backend.check_sees(person, int(typed))
    return int(typed)


def _served(backend: Backend, model: str) -> Served:
    if not model:
        raise InputError("choose a question")
    return backend.serving.find(model)


def _moment(typed: str) -> datetime | None:
    if not typed:
        return None
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        raise InputError("the moment looks like 2020-06-03T12:00") from None
    if found.tzinfo is not None:
        raise InputError("the moment looks like 2020-06-03T12:00")
    return found


def _ask(backend: Backend, served: Served, subject: int, moment: datetime | None) -> Asked | None:
    """Ask at the task's own moment or a named one; None: it has no moment of its own for this patient."""
    if moment is not None:
        return backend.serving.ask(served, subject, moment)
    try:
        return backend.serving.ask(served, subject)
    except InputError:
        return None


def _answered(
    backend: Backend, person: Person, served: Served, subject: int, asked: Asked, typed: Typed
) -> Answered:
    sample = asked.sample.held()
    actual = risk.advise(served, sample, asked.against).advice
    offered = changeable(served, sample, [reason.code for reason in actual.reasons])
    more = addable(served, sample)
    fields = typed.supposed or {}
    added = [more[code] for code in typed.added if code in more]
    supposed, error, changes = None, None, {}
    try:
        if len(added) < len(typed.added):
            raise InputError("this cannot be supposed of this patient")
        changes = changes_of(offered, list(fields), list(fields.values()), typed.without, added)
        if changes:
            supposed = risk.advise(served, sample.supposing(changes), asked.against).advice
    except InputError as problem:
        error = str(problem)
    backend.told(
        Entry(
            person.login,
            person.role,
            "model.asked",
            subject,
            str(served.name),
            detail={"supposed": len(changes)},
        )
    )
    said = {
        **{one.code: (one.name, None, None) for one in added},
        **{one.code: (one.name, one.said, one.unit) for one in offered},
    }
    others = (one for one in more.values() if one not in added)
    found, n_found = found_among(others, typed.sought) if typed.sought else ([], None)
    who = _who(sample, person, subject)
    difference = None if supposed is None else _difference(actual, supposed)
    return Answered(
        card_of(advice_shown(person, actual), served, who, (), person.login),
        None if supposed is None else card_of(advice_shown(person, supposed), served, who, (), person.login),
        [(*said[code][:2], _said(new, said[code][2])) for code, new in changes.items()],
        difference,
        supposed is not None and supposed.answer.value > actual.answer.value,
        offered,
        added,
        found,
        n_found,
        error,
    )


def _said(supposed: float | None, unit: str | None) -> Text2 | None:
    if supposed is None:
        return None
    return text2("recorded") if math.isnan(supposed) else amount(supposed, unit)


def _difference(actual: Advice, supposed: Advice) -> str | None:
    """Say how much the answers differ; of several classes only where the same one is the likeliest."""
    if actual.output != supposed.output:
        return None
    moved = supposed.answer.value - actual.answer.value
    if actual.question.kind not in PROBABLE:
        return f"{moved:+.2g} {actual.question.unit or ''}".replace("-", "−").strip()
    points = f"{100 * abs(moved):.1f}"
    if points == "0.0":
        return tr("the same answer")
    return tr("{n} points higher", n=points) if moved > 0 else tr("{n} points lower", n=points)


def _who(sample: Samples, person: Person, subject: int) -> Identity:
    told: dict[str, Any] = demographics(sample).row(0, named=True)
    return Identity(subject, None, person.age_shown(told["age"]), None, None, None)
