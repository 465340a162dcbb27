"""What went wrong, as an OperationOutcome (R4 § 2.30)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import orjson
from fastapi import Request
from starlette.responses import Response

from medloom.foundation.errors import InputError, MedloomError
from medloom.knowledge.fhir_terms import Json

MEDIA_TYPE: Final = "application/fhir+json"
# HTTP status to IssueType
_ISSUES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "lock-error",
    412: "not-supported",
    413: "too-long",
    415: "not-supported",
    422: "business-rule",
    503: "transient",
    507: "no-store",
}


class RefusedError(MedloomError):
    """A request that FHIR has another answer to than the rest of the server.

    Args:
        template, values: as of every error.
        status: of HTTP.
    """

    def __init__(self, template: str, /, status: int = 400, **values: object) -> None:
        super().__init__(template, **values)
        self.status = status


@contextmanager
def as_refusal() -> Iterator[None]:
    """Turn what cannot be used of a search into the status R4 has for it (§ 3.1.1.4.2)."""
    try:
        yield
    except InputError as error:
        raise RefusedError(error.template, 400, **error.values) from None


def outcome(said: str, status: int) -> Json:
    """Say one thing that went wrong.

    >>> outcome("no such resource", 404)["issue"]
    [{'severity': 'error', 'code': 'not-found', 'diagnostics': 'no such resource'}]
    """
    issue = {"severity": "error", "code": _ISSUES.get(status, "exception"), "diagnostics": said}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def answer(resource: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a resource."""
    return Response(orjson.dumps(resource), status, dict(headers or {}), MEDIA_TYPE)


def say(
    status: int, said: str, headers: Mapping[str, str], request: Request | None = None, **_: Any
) -> Response:
    """Answer with what went wrong."""
    return answer(outcome(said, status), status, headers)
