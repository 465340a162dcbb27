"""The audit log: who saw or changed what and why; filtered, verified, handed out as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy import ColumnElement, func, select
from starlette.responses import Response, StreamingResponse

from medloom.database.audit import Entry, Verified, about
from medloom.database.tables.audit import audit
from medloom.foundation.errors import InputError, IntegrityError
from medloom.foundation.messages import speaking, tr
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.spreadsheet import MARK, line
from medloom.server.web.audit_words import action_name, detail_in_words, reason_in_words
from medloom.server.web.rendering import page

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Auditor = Annotated[Person, Depends(may(Permission.READ_AUDIT))]
_ROWS: Final = 100
_COLUMNS: Final = (
    "number", "time", "actor", "role", "action", "subject_id", "target", "reason", "outcome", "detail", "digest",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Which entries are asked for; all of it stands in the address. Days are of UTC."""

    actor: str = ""
    action: str = ""
    patient: str = ""
    since: str = ""
    until: str = ""
    outcome: str = ""
    start: int = 0

    def address(self, path: str = "/audit", **changes: Any) -> str:
        """Write the address with changes.

        >>> Wanted(actor="lin").address(start=100)
        '/audit?actor=lin&start=100'
        """
        pairs = {name: value for name, value in vars(replace(self, **changes)).items() if value}
        return path + (f"?{urlencode(pairs)}" if pairs else "")

    def conditions(self) -> list[ColumnElement[bool]]:
        """Give what entries have to fulfil.

        Raises:
            InputError: a day is no day, or a patient no number.
        """
        found: list[ColumnElement[bool]] = []
        if self.actor:
            found.append(audit.c.actor == self.actor)
        if self.action:
            found.append(audit.c.action == self.action)
        if self.outcome:
            found.append(audit.c.outcome == self.outcome)
        if self.patient:
            if not (self.patient.isascii() and self.patient.isdecimal()):
                raise InputError("a pseudonym is a number")
            found.append(about(int(self.patient)))
        if self.since:
            found.append(audit.c.time >= f"{_day(self.since).isoformat()}T")
        if self.until:
            found.append(audit.c.time < f"{_day(self.until).isoformat()}U")  # comes after every T
        return found


def wanted(
    actor: Annotated[str, Query(max_length=120)] = "",
    action: Annotated[str, Query(max_length=40)] = "",
    patient: Annotated[str, Query(max_length=18)] = "",
    since: Annotated[str, Query(max_length=10)] = "",
    until: Annotated[str, Query(max_length=10)] = "",
    outcome: Literal["", "done", "refused", "failed"] = "",
    start: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> Wanted:
    """Read the filters from an address."""
    return Wanted(actor.strip(), action, patient.strip(), since, until, outcome, start)


WantedOf = Annotated[Wanted, Depends(wanted)]


@router.get("/audit")
def log(request: Request, backend: BackendOf, person: Auditor, asked: WantedOf) -> Response:
    """Show the log, the newest first."""
    shown = _page(request, backend, person, asked)
    backend.saw(person, None, "audit.seen")
    return shown


@router.post("/audit/verify")
def verify(
    request: Request, backend: BackendOf, person: Auditor, head: Annotated[str, Form(max_length=80)] = ""
) -> Response:
    """Walk the whole chain, and say its last seal."""
    error, found = None, None
    with speaking(wanted_language(request.headers, request)):
        try:
            with backend.database.reading() as connection:
                found = backend.database.audit.verify(connection, head.strip() or None)
        except IntegrityError as problem:
            error = str(problem)
    outcome: Literal["done", "failed"] = "done" if found is not None else "failed"
    backend.told(Entry(person.login, person.role, "audit.verified", outcome=outcome))
    return _page(request, backend, person, Wanted(), verified=found, error=error)


@router.get("/audit.csv")
def table(backend: BackendOf, person: Auditor, asked: WantedOf) -> Response:
    """Hand out what the filters choose, the oldest first."""
    conditions = asked.conditions()
    backend.saw(person, None, "audit.exported")
    return StreamingResponse(
        _lines(backend, conditions),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="audit.csv"'},
    )


def _lines(backend: Backend, conditions: list[ColumnElement[bool]]) -> Iterator[str]:
    columns = [audit.c[name] for name in _COLUMNS]
    yield MARK + line(_COLUMNS)
    with backend.database.reading() as connection:
        rows = connection.execution_options(yield_per=1000).execute(
            select(*columns).where(*conditions).order_by(audit.c.number)
        )
        for row in rows:
            yield line(row)


def _page(
    request: Request,
    backend: Backend,
    person: Person,
    asked: Wanted,
    *,
    verified: Verified | None = None,
    error: str | None = None,
) -> Response:
    status = 200 if error is None else 422
    conditions: list[ColumnElement[bool]] = []
    with speaking(wanted_language(request.headers, request)):
        try:
            conditions = asked.conditions()
        except InputError as problem:
            error, status = str(problem), 422
        with backend.database.reading() as connection:
            total = connection.execute(
                select(func.count()).select_from(audit).where(*conditions)
            ).scalar_one()
            start = min(asked.start, max(total - 1, 0) // _ROWS * _ROWS)
            rows = connection.execute(
                select(audit).where(*conditions).order_by(audit.c.number.desc()).limit(_ROWS).offset(start)
            ).all()
            actors = (
                connection.execute(select(audit.c.actor).distinct().order_by(audit.c.actor)).scalars().all()
            )
            actions = (
                connection.execute(select(audit.c.action).distinct().order_by(audit.c.action)).scalars().all()
            )
        numbers = tr(
            "{first:,}–{last:,} of {n:,}", first=start + 1 if rows else 0, last=start + len(rows), n=total
        )
        return page(
            request,
            person,
            "audit.html.j2",
            status=status,
            wanted=asked,
            rows=rows,
            actors=actors,
            actions=[(action, action_name(action)) for action in actions],
            name_of=action_name,
            detail_of=detail_in_words,
            reason_of=reason_in_words,
            verified=verified,
            error=error,
            numbers=numbers,
            previous=asked.address(start=max(start - _ROWS, 0)) if start else None,
            following=asked.address(start=start + _ROWS) if start + _ROWS < total else None,
            table=asked.address("/audit.csv", start=0),
        )


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise InputError("a day looks like 2026-01-31") from None
