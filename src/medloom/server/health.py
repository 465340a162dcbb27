"""Whether the server can work: for what watches over it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import select

from medloom.server.backend import Backend, the_backend

router = APIRouter(include_in_schema=False)


@router.get("/health")
def health(backend: Annotated[Backend, Depends(the_backend)]) -> dict[str, str]:
    """Say that the database answers; else the error says that it does not (503)."""
    with backend.database.reading() as connection:
        connection.execute(select(1))
    return {"status": "ok"}
