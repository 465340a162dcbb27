"""The worklist: patients with their current risks, what changed since yesterday, unread alerts."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import polars as pl
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.web.rendering import page

router = APIRouter()

_ROWS: Final = 50


@router.get("/worklist")
def worklist(
    request: Request,
    backend: Annotated[Backend, Depends(the_backend)],
    person: Annotated[Person, Depends(may(Permission.READ_PATIENTS))],
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    sort: Literal["risk", "change", "patient", "time"] = "risk",
) -> Response:
    """Show the worklist."""
    board = backend.serving.board()
    if not (person.sees_all or person.role == "data_scientist"):
        board = board.filter(pl.col("subject_id").is_in(sorted(backend.team(person))))
    rows = board.sort("value", descending=True).slice(start, _ROWS)
    backend.saw(person, None, "worklist.seen")
    return page(request, person, "worklist.html.j2", rows=rows.to_dicts(), total=board.height, start=start)
