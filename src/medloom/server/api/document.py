"""The OpenAPI document of the API, made from its routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from medloom.server.api.repeats import LONGEST

TITLE: Final = "Medloom"
_DESCRIPTION: Final = (
    "Everything the workbench does. Callers present a token (`Authorization: Bearer mlm_…`) that its owner made on"
    " the page *My account*; it permits at most what they may do themselves. Lists are paged by opaque cursors; a"
    " POST that carries an `Idempotency-Key` is done once. Errors are problem details (RFC 9457). Moments of the"
    " record are on the site's wall clock; moments of the server are UTC and end in Z."
)
_PROBLEMS: Final = {
    "401": "Nobody is signed in.",
    "403": "The role, or the care team, does not permit it.",
    "404": "There is no such thing.",
    "409": "Somebody else is changing this now.",
    "413": "The request is too large.",
    "422": "The request is not as it should be.",
    "503": "The database cannot be reached now; try again.",
}


def document(routes: Sequence[BaseRoute], keyed: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of some routes; each answers problems in the same form.

    Args:
        routes: of the API.
        keyed: paths and methods (in lower case) that take an `Idempotency-Key`.
    """
    made = get_openapi(title=TITLE, version=version("medloom"), description=_DESCRIPTION, routes=list(routes))
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    made["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of an account."},
    }
    made["security"] = [{"token": []}]
    for path, method in keyed:
        made["paths"][path][method].setdefault("parameters", []).append(_KEY)
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"] = {
                status: said for status, said in operation["responses"].items() if status < "400"
            } | {status: _problem(said) for status, said in _PROBLEMS.items()}
    return made


_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key, the request is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"},
}


def _problem(said: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": said, "content": {"application/problem+json": {"schema": schema}}}


_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do about it, in the caller's language."},
    },
    "example": {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no subject 7",
    },
}
