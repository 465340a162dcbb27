"""The workbench: pages made on the server, useful without a script, in English and 简体中文."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from medloom.server.errors import speaks
from medloom.server.web import patient, sign_in, worklist
from medloom.server.web.rendering import error_page, static_files

router = APIRouter(include_in_schema=False)
for module in (sign_in, worklist, patient):
    router.include_router(module.router)

speaks("", error_page)


def mount_static(app: FastAPI) -> None:
    """Serve style sheets and scripts."""
    app.mount("/static", static_files(), name="static")
