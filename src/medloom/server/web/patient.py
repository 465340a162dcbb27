"""One patient: the record as a picture, current advice, and the clinician's answer to it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from medloom.care import risk
from medloom.foundation.errors import InputError
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.web.rendering import page

router = APIRouter()


@router.get("/patients/{subject_id}")
def patient(
    request: Request,
    backend: Annotated[Backend, Depends(the_backend)],
    person: Annotated[Person, Depends(may(Permission.READ_PATIENTS))],
    subject_id: int,
) -> Response:
    """Show a patient with current advice."""
    backend.check_sees(person, subject_id)
    given = []
    for served in backend.serving.served:
        try:
            asked = backend.serving.ask(served, subject_id)
        except InputError:
            continue
        one = risk.advise(served, asked.sample, asked.against)
        backend.database.write(risk.keep(backend.database, one, person.actor, "workbench"))
        given.append(one.advice)
    backend.saw(person, subject_id, "patient.seen")
    return page(request, person, "patient.html.j2", subject_id=subject_id, advice=given)
