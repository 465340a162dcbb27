"""The application: every interface of a site behind one gate; a route that does not say who may use it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount

from medloom.foundation.errors import MedloomError
from medloom.server import errors, web
from medloom.server.backend import Backend
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
    web.mount_static(app)
    app.add_middleware(Gate, backend=backend)
    app.add_exception_handler(MedloomError, errors.on_error)
    app.add_exception_handler(HTTPException, errors.on_http_error)
    app.add_exception_handler(RequestValidationError, errors.on_invalid)
    app.add_exception_handler(Exception, errors.on_surprise)
    for route in app.routes:
        _check_guarded(route)
    return app


def permission_of(route: APIRoute) -> str | None:
    """Tell which permission a route names; None: it is public."""
    found = [
        str(dependant.call.permission)  # type: ignore[union-attr]
        for dependant in _all(route.dependant)
        if hasattr(dependant.call, "permission")
    ]
    return found[0] if found else None


def _routers() -> list[APIRouter]:
    return [web.router]


def _check_guarded(route: BaseRoute) -> None:
    if isinstance(route, APIRoute):
        if permission_of(route) is None and route.path not in PUBLIC:
            raise RuntimeError(f"route {route.path} does not say who may use it")
    elif isinstance(route, Mount) and route.path not in PUBLIC:
        raise RuntimeError(f"mount {route.path} does not say who may use it")


def _all(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for one in dependant.dependencies for inner in _all(one))]
