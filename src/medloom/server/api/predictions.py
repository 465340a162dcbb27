"""Asking released models, one patient or many; advice that was given."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medloom.care import risk
from medloom.care.answering import Inquiry
from medloom.care.risk import Given
from medloom.foundation.errors import InputError, MedloomError, NotFoundError
from medloom.server.access import Permission, Person, may
from medloom.server.api.advice import EXAMPLE, AdviceSaid, told
from medloom.server.api.needs import AdviceId, BackendOf, Sent, answer, tagged, wall
from medloom.server.api.repeats import OnceOf

router = APIRouter(tags=["advice"])

Asking = Annotated[Person, Depends(may(Permission.ASK))]
_MOST: Final = 1000
_VIA: Final = "api"


class Asked(Sent):
    """A question to a released model about one patient."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"model": "aki-48h", "subject_id": 4711, "explain": True}},
    )

    model: str = Field(max_length=160, description="A released model's name, or its task's.")
    subject_id: int = Field(ge=1, le=2**63 - 1)
    at: datetime | None = Field(
        None, description="A moment to ask as of; without one, the latest at which the task asks."
    )
    explain: bool = Field(False, description="Whether to say why, which takes longer.")


class AskedOfMany(Sent):
    """A question to a released model about up to 1,000 patients."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"model": "aki-48h", "subject_ids": [4711, 4712]}}
    )

    model: str = Field(max_length=160)
    subject_ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(min_length=1, max_length=_MOST)
    at: datetime | None = None


class NotAsked(BaseModel):
    """A patient about whom the model was not asked, and why."""

    subject_id: int
    reason: str


class AdviceOfMany(BaseModel):
    """Advice about each patient who could be asked about."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "advice": [EXAMPLE],
                "not_asked": [{"subject_id": 4712, "reason": "task 'aki-48h' does not ask this patient now"}],
            }
        }
    )

    advice: list[AdviceSaid]
    not_asked: list[NotAsked]


@router.post("/predictions", status_code=201, response_model=AdviceSaid)
async def predict(backend: BackendOf, person: Asking, asked: Asked, once: OnceOf) -> Response:
    """Ask a released model about one patient; the advice is stored and can be reproduced."""
    if not backend.knows_it_sees(person, asked.subject_id):
        await run_in_threadpool(backend.check_sees, person, asked.subject_id)
    inquiry = Inquiry(asked.model, asked.subject_id, person.actor, _VIA, wall(backend, asked.at))
    if once.key is None and not asked.explain:
        return _said(await asyncio.wrap_future(backend.asking.ask(inquiry)), person)

    def work() -> Response:
        (given,) = backend.asking.answer([inquiry], explain=asked.explain)
        if isinstance(given, MedloomError):
            raise given
        return _said(given, person)

    return await run_in_threadpool(once.first, work)


@router.post("/predictions/batch", status_code=201, response_model=AdviceOfMany)
def predict_many(backend: BackendOf, person: Asking, asked: AskedOfMany, once: OnceOf) -> Response:
    """Ask a released model about many patients; each advice is stored."""
    subjects = sorted(set(asked.subject_ids))
    for subject in subjects:
        backend.check_sees(person, subject)

    def work() -> Response:
        backend.serving.find(asked.model)
        at = wall(backend, asked.at)
        inquiries = [Inquiry(asked.model, subject, person.actor, _VIA, at) for subject in subjects]
        made: list[dict[str, Any]] = []
        left: list[dict[str, Any]] = []
        for subject, given in zip(subjects, backend.asking.answer(inquiries), strict=True):
            if isinstance(given, Given):
                made.append(given.content)
            elif isinstance(given, (InputError, NotFoundError)):
                left.append({"subject_id": subject, "reason": str(given)})
            else:
                raise given
        return answer({"advice": made, "not_asked": left}, 201)

    return once.first(work)


def _said(given: Given, person: Person) -> Response:
    return answer(
        told(given.content, given.advice, person), 201, {"location": f"/api/v1/advice/{given.advice.id}"}
    )


@router.get("/advice/{advice_id}", response_model=AdviceSaid)
def read_advice(
    request: Request,
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.READ_PATIENTS))],
    advice_id: AdviceId,
) -> Response:
    """Read advice that was given."""
    found = risk.find(backend.database, advice_id)
    backend.check_sees(person, found.subject_id)
    backend.saw(person, found.subject_id, "advice.seen", advice_id)
    return tagged(request, told(found.to_json(), found, person))
