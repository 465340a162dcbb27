"""The API, `/api/v1`: everything the workbench does, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from medloom.server.api import (
    accounts,
    audit,
    events,
    jobs,
    patients,
    predictions,
    releases,
    reviews,
    whoami,
    worklist,
)
from medloom.server.api.document import document
from medloom.server.api.needs import json_of
from medloom.server.api.repeats import once

PREFIX: Final = "/api/v1"


def _name(route: APIRoute) -> str:
    return route.name


router = APIRouter(prefix=PREFIX, generate_unique_id_function=_name)
# what is asked most often comes first
_PARTS: Final = (
    predictions,
    worklist,
    events,
    patients,
    reviews,
    releases,
    jobs,
    accounts,
    audit,
    whoami,
)
for module in _PARTS:
    router.include_router(module.router)


@router.get("/openapi.json", include_in_schema=False)
def openapi() -> Response:
    """Give the OpenAPI document."""
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    return json_of(document(router.routes, _keyed()))


def _keyed() -> Iterator[tuple[str, str]]:
    """List the paths and methods of routes that take an `Idempotency-Key`."""
    for route in (route for part in _PARTS for route in part.router.routes):
        if isinstance(route, APIRoute) and any(one.call is once for one in route.dependant.dependencies):
            yield from ((PREFIX + route.path, method.lower()) for method in route.methods or ())
