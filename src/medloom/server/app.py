"""The application: every interface of a site behind one gate; a route that does not say who may use it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from medloom.foundation.errors import MedloomError
from medloom.server import api, errors, fhir, health, web
from medloom.server.backend import Backend, OutsideTeamError
from medloom.server.cds import routes as cds
from medloom.server.gate import Gate

# What anybody may call; everything else names a permission, or verifies its caller itself.
PUBLIC: Final = frozenset(
    {
        "/sign-in",
        "/language",
        "/health",
        "/static",
        "/api/v1/openapi.json",
        "/fhir/metadata",
        "/cds-services",
    }
)


def create_app(backend: Backend) -> FastAPI:
    """Make the application of a site.

    Raises:
        RuntimeError: a route names neither a permission nor stands among the public ones.
    """

    @asynccontextmanager
    async def living(_app: FastAPI) -> AsyncIterator[None]:
        backend.jobs.start()
        yield
        backend.close()

    app = FastAPI(
        title="Medloom",
        version=version("medloom"),
        lifespan=living,
        docs_url=None,  # they fetch scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
    )
    app.state.backend = backend
    for router in _routers():
        app.include_router(router)
    web.set_up(app)
    app.add_middleware(Gate, backend=backend)
    app.add_exception_handler(MedloomError, errors.on_error)
    app.add_exception_handler(OutsideTeamError, web.on_outside_team)
    app.add_exception_handler(HTTPException, errors.on_http_error)
    app.add_exception_handler(RequestValidationError, errors.on_invalid)
    app.add_exception_handler(Exception, errors.on_surprise)
    routes = served_routes(app)
    app.state.paths = frozenset(served.path for served in routes)
    for served in routes:
        if served.permission is None and served.path not in PUBLIC:
            raise RuntimeError(f"{served.path} does not say who may use it")
    return app


@dataclass(frozen=True)
class Served:
    """One address of the application: its path, its methods, and the permission it names (None: it is public)."""

    path: str
    methods: frozenset[str]
    permission: str | None


def served_routes(app: FastAPI) -> list[Served]:
    """List every address of an application, those of included routers too."""
    return [served for route in app.routes for served in _served(route)]


def _routers() -> list[APIRouter]:
    # what is asked most often comes first: routes are tried in this order
    return [api.router, web.router, cds.router, fhir.router, health.router]


def _served(route: BaseRoute) -> Iterator[Served]:
    included = getattr(route, "effective_route_contexts", None)  # how FastAPI holds included routers
    for one in included() if included is not None else [route]:
        dependant = getattr(one, "dependant", None)
        calls = [] if dependant is None else [inner.call for inner in _all(dependant)]
        named = [str(getattr(call, "permission")) for call in calls if hasattr(call, "permission")]  # noqa: B009
        path = str(getattr(one, "path", "") or getattr(getattr(one, "starlette_route", None), "path", ""))
        yield Served(path, frozenset(getattr(one, "methods", None) or ()), named[0] if named else None)


def _all(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for one in dependant.dependencies for inner in _all(one))]
