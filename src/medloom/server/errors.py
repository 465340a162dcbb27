"""What a caller is told when something cannot be done: in the form of the interface they called."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from medloom.database.audit import Entry
from medloom.database.engine import DatabaseGoneError
from medloom.foundation.errors import (
    InputError,
    IntegrityError,
    KeyUnavailableError,
    LockedError,
    MedloomError,
    NotFoundError,
    StorageError,
)
from medloom.foundation.messages import Language, speaking, tr
from medloom.server.access import ForbiddenError, NotSignedInError, Person
from medloom.server.accounts import BusyError

_log = logging.getLogger(__name__)

_DIGITS: Final = 19  # of the largest number of a patient

Say = Callable[[int, str, Mapping[str, str], Request | None], Response]
"""Makes an answer of a status, what went wrong, headers, and the request where there is one."""


class TooLargeError(InputError):
    """A request's body is longer than what is taken."""


_STATUS: Final[tuple[tuple[type[MedloomError], int], ...]] = (
    (NotSignedInError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (LockedError, 409),
    (DatabaseGoneError, 503),
    (BusyError, 503),
    (KeyUnavailableError, 503),
    (StorageError, 507),
    (IntegrityError, 500),
    (TooLargeError, 413),
    (InputError, 422),
)
_SAYS: dict[str, Say] = {}


def speaks(prefix: str, say: Say) -> None:
    """Let one interface say errors in its own form, such as an OperationOutcome under `/fhir`."""
    _SAYS[prefix] = say


def is_page(path: str) -> bool:
    """Tell whether people see what is at `path`: it belongs to none of the interfaces for programs."""
    return not any(prefix and (path == prefix or path.startswith(prefix + "/")) for prefix in _SAYS)


def status_of(error: Exception) -> int:
    """Tell the HTTP status of an error of ours; 500: it is none."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer_to(
    error: Exception, path: str, headers: Mapping[str, str], request: Request | None = None
) -> Response:
    """Say an error in the form of the interface at `path`."""
    status = status_of(error)
    with speaking(wanted_language(headers, request)):
        return _said(status, str(error), path, request)


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an error of ours; what somebody who is signed in may not do is told to the audit log."""
    person: Person | None = request.scope.get("person")
    if person is not None and type(error) is ForbiddenError:
        await run_in_threadpool(_note, request, person)
    return answer_to(error, request.url.path, request.headers, request)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: no such page, no such method."""
    assert isinstance(error, HTTPException)
    with speaking(wanted_language(request.headers, request)):
        said = {
            404: tr("there is nothing at this address"),
            405: tr("this address does not take this method"),
            408: tr("the rest of the request did not come in time"),
            413: tr("the request is too large"),
        }.get(error.status_code, str(error.detail))
        answer = _said(error.status_code, said, request.url.path, request)
        answer.headers.update(error.headers or {})
        return answer


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer a request whose form is not what the route takes; its values are not repeated."""
    assert isinstance(error, RequestValidationError)
    with speaking(wanted_language(request.headers, request)):
        places = "; ".join(
            f"{'.'.join(map(str, one['loc'][1:])) or one['loc'][0]}: {one['msg']}" for one in error.errors()
        )
        return _said(
            422, tr("the request is not as it should be: {places}", places=places), request.url.path, request
        )


async def on_surprise(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw: a number to ask about, and nothing of what went wrong."""
    number = uuid.uuid4().hex[:12]
    # the kind and place alone: the message may quote a patient's data
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "?"
    _log.error("surprise number=%s kind=%s place=%s", number, type(error).__name__, place)
    with speaking(wanted_language(request.headers, request)):
        said = tr("something went wrong; tell your administrator this number: {number}", number=number)
        return _said(500, said, request.url.path, request)


def wanted_language(headers: Mapping[str, str], request: Request | None = None) -> Language:
    """Tell in which language to answer: the account's, else what was chosen, else what the client prefers."""
    person = request.scope.get("person") if request is not None else None
    if person is not None:
        return "zh" if person.language == "zh" else "en"
    if request is not None and (chosen := request.cookies.get("language")) in ("en", "zh"):
        return "zh" if chosen == "zh" else "en"
    for part in headers.get("accept-language", "").lower().split(","):
        if part.strip().startswith("zh"):
            return "zh"
        if part.strip().startswith("en"):
            return "en"
    return "en"


def _note(request: Request, person: Person) -> None:
    """Note that somebody tried what they may not; who cannot be noted is refused all the same."""
    named = str(request.path_params.get("subject_id", ""))
    subject = int(named) if named.isascii() and named.isdecimal() and len(named) < _DIGITS else None
    target = f"{request.method} {getattr(request.scope.get('route'), 'path', '')}"
    entry = Entry(person.login, person.role, "access.refused", subject, target, outcome="refused")
    try:
        request.app.state.backend.told(entry)
    except MedloomError as error:
        _log.error("refusal was not noted: %s", type(error).__name__)


def problem(
    status: int, said: str, headers: Mapping[str, str], request: Request | None = None, **more: Any
) -> Response:
    """Say an error as RFC 9457 has it."""
    content = {"type": "about:blank", "title": _title(status), "status": status, "detail": said, **more}
    return JSONResponse(content, status, dict(headers), media_type="application/problem+json")


def _said(status: int, said: str, path: str, request: Request | None) -> Response:
    headers = {"retry-after": "5"} if status == 503 else {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="medloom"'
    for prefix, say in _SAYS.items():
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            return say(status, said, headers, request)
    if status == 401 and request is not None and request.method == "GET":
        place = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(place, safe='')}", 303)
    if "" in _SAYS:
        return _SAYS[""](status, said, headers, request)
    return problem(status, said, headers)


def _title(status: int) -> str:
    from http import HTTPStatus

    return HTTPStatus(status).phrase


speaks("/api", problem)
