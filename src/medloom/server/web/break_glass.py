"""Opening a patient of others: the page says what it means and asks for a reason."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import speaking, tr
from medloom.server import errors
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import SubjectId
from medloom.server.backend import Backend, OutsideTeamError, the_backend
from medloom.server.errors import wanted_language
from medloom.server.web.rendering import go_to, own_page, page

router = APIRouter()


@router.post("/patients/{subject_id}/break-glass")
def break_glass(
    request: Request,
    backend: Annotated[Backend, Depends(the_backend)],
    person: Annotated[Person, Depends(may(Permission.READ_PATIENTS))],
    subject_id: SubjectId,
    reason: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Let the person see the patient for some hours."""
    if not np.isin(subject_id, backend.site.record.subject_ids).item():
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    try:
        backend.break_glass(person, subject_id, reason)
    except InputError as error:
        with speaking(wanted_language(request.headers, request)):
            return _page(request, person, subject_id, 422, str(error), own_page(next))
    address = own_page(next) if next else f"/patients/{subject_id}"
    with speaking(wanted_language(request.headers, request)):
        return go_to(address, tr("You may see this patient for 12 hours."), "warn", request=request)


async def on_outside_team(request: Request, error: Exception) -> Response:
    """Answer a page about a patient of others with the form; other interfaces in their own form."""
    assert isinstance(error, OutsideTeamError)
    if errors.is_page(request.url.path) and request.scope.get("person") is not None:
        query = f"?{request.url.query}" if request.url.query else ""
        back = request.url.path + query if request.method == "GET" else f"/patients/{error.subject_id}"
        return _page(request, request.scope["person"], error.subject_id, 403, None, back)
    return await errors.on_error(request, error)


def _page(
    request: Request, person: Person, subject_id: int, status: int, error: str | None, back: str
) -> Response:
    return page(
        request, person, "break_glass.html.j2", status=status, subject_id=subject_id, error=error, next=back
    )
