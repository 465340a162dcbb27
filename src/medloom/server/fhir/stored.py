"""Searches in `site.db`: advice, with who asked for it, and the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, func, or_, select

from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text
from medloom.database.tables.audit import audit
from medloom.database.tables.serving import advice
from medloom.foundation.errors import NotFoundError
from medloom.knowledge.fhir_terms import device_id
from medloom.loop.advice import Advice
from medloom.server.fhir.assessments import Kept
from medloom.server.fhir.finding import subject_in
from medloom.server.fhir.moments import date_filter
from medloom.server.fhir.outcomes import as_refusal
from medloom.server.fhir.query import Query

ADVICE_PARAMETERS: Final = frozenset(
    {"_id", "_lastUpdated", "patient", "subject", "date", "method", "performer"}
)
PROVENANCE_PARAMETERS: Final = frozenset({"_id", "patient", "target", "recorded"})
AUDIT_PARAMETERS: Final = frozenset({"_id", "date", "patient", "subtype", "agent-name", "outcome"})

_OUTCOMES: Final = {"0": "done", "4": "refused", "8": "failed"}

Condition = ColumnElement[bool]


def kept(database: Database, advice_id: str) -> Kept:
    """Find advice by its id.

    Raises:
        NotFoundError: there is none.
    """
    with database.reading() as connection:
        row = connection.execute(select(advice).where(advice.c.id == advice_id)).first()
    if row is None:
        raise NotFoundError("there is no advice {advice!r}", advice=advice_id[:64])
    return _kept(row)


def find_advice(
    database: Database, subject_id: int, query: Query, zone: str
) -> tuple[int, Callable[[int, int], list[Kept]]]:
    """Find advice about one patient, newest first: how much, and how to get a page.

    Raises:
        RefusedError: a value cannot be read.
    """
    prediction = advice.c.prediction_time
    wanted: list[Condition] = [
        advice.c.subject_id == subject_id,
        prediction <= query.place.now.isoformat(),
        advice.c.made <= query.place.mark,
        *(advice.c.id.in_(_bare(each)) for each in query.alternatives("_id", "target")),
        *(_dates(each, zone, prediction, datetime.isoformat) for each in query.alternatives("date")),
        *(
            _dates(each, zone, advice.c.made, _utc(zone))
            for each in query.alternatives("_lastUpdated", "recorded")
        ),
    ]
    for each in query.alternatives("method", "performer"):
        named = {one.rpartition("|")[2].rpartition("/")[2] for one in each}
        with database.reading() as connection:
            models = connection.execute(select(advice.c.model).distinct()).scalars().all()
        wanted.append(advice.c.model.in_([one for one in models if named & {one, device_id(one)}]))

    def page(offset: int, count: int) -> list[Kept]:
        ordered = select(advice).where(*wanted).order_by(advice.c.made.desc(), advice.c.id)
        with database.reading() as connection:
            return [_kept(row) for row in connection.execute(ordered.offset(offset).limit(count))]

    with database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(advice).where(*wanted)).scalar_one()
    return total, page


def find_entries(
    database: Database, query: Query, zone: str
) -> tuple[int, Callable[[int, int], Sequence[Mapping[str, Any]]]]:
    """Find entries of the audit log, newest first: how many, and how to get a page.

    Raises:
        RefusedError: a value cannot be read.
    """
    wanted: list[Condition] = [
        audit.c.time <= query.place.mark,
        *(audit.c.number.in_(_numbers(each)) for each in query.alternatives("_id")),
        *(audit.c.subject_id.in_(map(subject_in, each)) for each in query.alternatives("patient")),
        *(
            audit.c.action.in_([one.rpartition("|")[2] for one in each])
            for each in query.alternatives("subtype")
        ),
        *(
            audit.c.outcome.in_([_OUTCOMES.get(one.rpartition("|")[2], "") for one in each])
            for each in query.alternatives("outcome")
        ),
        *(
            or_(*(audit.c.actor.startswith(one, autoescape=True) for one in each))
            for each in query.alternatives("agent-name")
        ),
        *(_dates(each, zone, audit.c.time, _utc(zone)) for each in query.alternatives("date")),
    ]

    def page(offset: int, count: int) -> Sequence[Mapping[str, Any]]:
        ordered = select(audit).where(*wanted).order_by(audit.c.number.desc()).offset(offset).limit(count)
        with database.reading() as connection:
            return [dict(row) for row in connection.execute(ordered).mappings()]

    with database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(audit).where(*wanted)).scalar_one()
    return total, page


def entry(database: Database, number: str) -> Mapping[str, Any]:
    """Find an entry of the audit log by its number.

    Raises:
        NotFoundError: there is none.
    """
    with database.reading() as connection:
        query = select(audit).where(audit.c.number.in_(_numbers([number])))
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError("the audit log has no entry {number!r}", number=number[:64])
    return dict(row)


def _kept(row: Row[Any]) -> Kept:
    return Kept(Advice.from_json(json.loads(row.content)), row.asked_by, row.via)


def _bare(references: list[str]) -> list[str]:
    return [one.rpartition("/")[2] for one in references]


def _numbers(texts: list[str]) -> list[int]:
    return [int(one) for one in texts if one.isascii() and one.isdecimal() and len(one) < 10]


def _dates(
    alternatives: list[str], zone: str, column: ColumnElement[Any], written: Callable[[datetime], str]
) -> Condition:
    with as_refusal():
        return or_(*(date_filter(one, zone, column, column, written) for one in alternatives))


def _utc(zone: str) -> Callable[[datetime], str]:
    return lambda moment: as_utc_text(moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))
