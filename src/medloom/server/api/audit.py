"""The audit log: who saw or changed what, and why."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from starlette.responses import Response

from medloom.database.audit import Entry, about
from medloom.database.tables.audit import audit
from medloom.foundation.errors import IntegrityError
from medloom.foundation.messages import speaking
from medloom.server.access import Permission, Person, may
from medloom.server.api import cursors
from medloom.server.api.needs import BackendOf, CursorOf, Limit, answer
from medloom.server.errors import problem, wanted_language

router = APIRouter(tags=["audit"])

Auditor = Annotated[Person, Depends(may(Permission.READ_AUDIT))]
_ENTRY: Final[dict[str, Any]] = {
    "number": 1204,
    "time": "2026-03-01T08:15:00.000000Z",
    "actor": "dr-lin",
    "role": "clinician",
    "action": "patient.seen",
    "subject_id": 4711,
    "target": "",
    "reason": "",
    "outcome": "done",
    "detail": {},
    "previous": "9a1c…",
    "digest": "77be…",
}


class EntrySaid(BaseModel):
    """An entry; `digest` seals it and, through `previous`, all before it."""

    number: int
    time: str
    actor: str
    role: str
    action: str
    subject_id: int | None
    target: str
    reason: str
    outcome: Literal["done", "refused", "failed"]
    detail: dict[str, Any]
    previous: str
    digest: str


class EntryList(BaseModel):
    """A page of the log, the newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"entries": [_ENTRY], "next": None}})

    entries: list[EntrySaid]
    next: str | None


class VerifiedSaid(BaseModel):
    """How many entries there are, all as they were written, and the seal of the last; note it elsewhere.

    `noted` is the number of the entry that has the seal you noted earlier, if you gave one.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"entries": 1204, "head": "77be…", "noted": 1187}}
    )

    entries: int
    head: str
    noted: int | None


@router.get("/audit", response_model=EntryList)
def list_audit(
    backend: BackendOf,
    person: Auditor,
    actor: Annotated[str | None, Query(max_length=120)] = None,
    action: Annotated[str | None, Query(max_length=40)] = None,
    subject_id: Annotated[
        int | None, Query(ge=-(2**63), le=2**63 - 1, description="Lists in which the patient stood too.")
    ] = None,
    outcome: Literal["done", "refused", "failed"] | None = None,
    since: Annotated[str | None, Query(max_length=40, description="UTC, as `time` is written.")] = None,
    until: Annotated[str | None, Query(max_length=40)] = None,
    limit: Limit = 50,
    cursor: CursorOf = None,
) -> Response:
    """Read the log."""
    given = {"actor": actor, "action": action, "outcome": outcome}
    query = select(audit).order_by(audit.c.number.desc()).limit(limit + 1)
    query = query.where(*(audit.c[name] == value for name, value in given.items() if value is not None))
    if subject_id is not None:
        query = query.where(about(subject_id))
    if since is not None:
        query = query.where(audit.c.time >= since)
    if until is not None:
        query = query.where(audit.c.time < until)
    this = ["audit", *given.values(), subject_id, since, until]
    if (last := cursors.after(cursor, this, int)) is not None:
        query = query.where(audit.c.number < last[0])
    with backend.database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    entries = [{**row, "detail": json.loads(row["detail"])} for row in rows[:limit]]
    following = cursors.written(this, [entries[-1]["number"]]) if len(rows) > limit else None
    backend.saw(person, None, "audit.seen")
    return answer({"entries": entries, "next": following})


@router.get("/audit/verify", response_model=VerifiedSaid)
def verify_audit(
    request: Request,
    backend: BackendOf,
    person: Auditor,
    head: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="A seal noted earlier.")] = None,
) -> Response:
    """Walk the whole log and verify that nothing in it was changed; 409: something was, and what."""
    try:
        with backend.database.reading() as connection:
            found = backend.database.audit.verify(connection, head)
    except IntegrityError as error:
        backend.told(Entry(person.login, person.role, "audit.verified", outcome="failed"))
        with speaking(wanted_language(request.headers, request)):
            return problem(409, str(error), {})
    backend.saw(person, None, "audit.verified")
    return answer(found)
