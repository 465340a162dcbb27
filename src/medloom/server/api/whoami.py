"""Who one is to the server, and where it stands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import BackendOf, Wall, answer

router = APIRouter(tags=["accounts"])


class Oneself(BaseModel):
    """An account as its owner sees it; `now`: the site's wall clock."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "dr-lin",
                "display": "Dr. Lin",
                "role": "clinician",
                "permissions": ["answer", "ask", "read-patients"],
                "language": "zh",
                "sees_all": False,
                "site": "St Mary",
                "now": "2026-03-01T08:15:00",
                "version": "1.0.0",
            }
        }
    )

    name: str
    display: str
    role: str
    permissions: list[str]
    language: str
    sees_all: bool
    site: str
    now: Wall
    version: str


@router.get("/whoami", response_model=Oneself)
def whoami(backend: BackendOf, person: Annotated[Person, Depends(may(Permission.KNOW_ONESELF))]) -> Response:
    """Tell who is asking."""
    return answer(
        {
            "name": person.login,
            "display": person.name,
            "role": person.role,
            "permissions": sorted(one.value for one in person.permissions),
            "language": person.language,
            "sees_all": person.sees_all,
            "site": backend.site.settings.name,
            "now": backend.now().replace(microsecond=0),
            "version": version("medloom"),
        }
    )
