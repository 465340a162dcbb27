"""The workbench: pages made on the server, useful without a script, in English and 简体中文."""

from __future__ import annotations

from threading import Lock

from fastapi import APIRouter, FastAPI

from medloom.server.errors import speaks
from medloom.server.image_pixels import ImageShelf
from medloom.server.web import (
    admin,
    ask,
    audit,
    break_glass,
    data,
    image_report,
    image_worklist,
    images,
    labels,
    models,
    note_worklist,
    notes,
    patient,
    review,
    sign_in,
    worklist,
)
from medloom.server.web.board import Views
from medloom.server.web.break_glass import on_outside_team
from medloom.server.web.image_worklist import ImageLists
from medloom.server.web.note_worklist import NoteLists
from medloom.server.web.rendering import error_page, static_files

__all__ = ["on_outside_team", "router", "set_up"]

router = APIRouter(include_in_schema=False)
for module in (
    sign_in,
    worklist,
    break_glass,
    patient,
    images,
    image_report,
    image_worklist,
    note_worklist,
    notes,
    review,
    labels,
    models,
    ask,
    data,
    admin,
    audit,
):
    router.include_router(module.router)

speaks("", error_page)


def set_up(app: FastAPI) -> None:
    """Serve style sheets and scripts; begin to remember what readers have in common."""
    app.mount("/static", static_files(), name="static")
    app.state.views = Views()
    app.state.images = ImageShelf()
    app.state.image_lists = ImageLists()
    app.state.note_lists = NoteLists()
    app.state.noting = Lock()
