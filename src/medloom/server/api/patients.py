"""Patients, by pseudonym, and what is known of them now."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Final

import numpy as np
import polars as pl
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from medloom.foundation.errors import NotFoundError
from medloom.record.schema import BIRTH, visible_time
from medloom.server.access import Permission, Person, may
from medloom.server.api import cursors
from medloom.server.api.needs import BackendOf, CursorOf, Limit, SubjectId, Wall, answer, wall
from medloom.server.backend import Backend
from medloom.server.showing import facts_shown

router = APIRouter(tags=["patients"])

Reading = Annotated[Person, Depends(may(Permission.READ_PATIENTS))]
_COLUMNS: Final = ("time", "code", "numeric_value", "text_value", "role", "known_time", "known_until")
_SEXES: Final = "GENDER//"


class PatientListed(BaseModel):
    """A patient of one's own."""

    subject_id: int


class PatientList(BaseModel):
    """A page of patients."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"patients": [{"subject_id": 4711}], "total": 1, "next": None}}
    )

    patients: list[PatientListed]
    total: int
    next: str | None


class Identifier(BaseModel):
    """An identifier of the hospital's."""

    system: str
    value: str


class Identifiers(BaseModel):
    """All identifiers of a patient."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"identifiers": [{"system": "", "value": "MRN-0042"}]}}
    )

    identifiers: list[Identifier]


class PatientSaid(BaseModel):
    """Who a patient is; the birth date only for who may see it, to others an `age` of 90 says 90 or older."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "subject_id": 4711,
                "sex": "F",
                "age": 63,
                "birth": None,
                "facts": 812,
                "first": "2019-02-11T09:30:00",
                "last": "2026-03-01T07:40:00",
            }
        }
    )

    subject_id: int
    sex: str | None
    age: int | None
    birth: Wall | None
    facts: int
    first: Wall | None
    last: Wall | None


class EventSaid(BaseModel):
    """A fact of the record, as it stands now."""

    time: Wall | None = Field(description="Null: it holds always.")
    code: str
    description: str | None
    value: float | None
    unit: str | None
    text: str | None
    text_hidden: bool = Field(description="There is a text that is not shown to your role.")
    role: str | None
    known_time: Wall | None


class EventList(BaseModel):
    """A page of facts, in order of time."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "events": [
                    {
                        "time": "2026-03-01T07:40:00",
                        "code": "LOINC//2160-0",
                        "description": "Creatinine [Mass/volume] in Serum or Plasma",
                        "value": 1.9,
                        "unit": "mg/dL",
                        "text": None,
                        "text_hidden": False,
                        "role": "observation",
                        "known_time": "2026-03-01T08:05:00",
                    }
                ],
                "total": 1,
                "next": None,
            }
        }
    )

    events: list[EventSaid]
    total: int
    next: str | None


@router.get("/patients", response_model=PatientList)
def list_patients(
    backend: BackendOf, person: Reading, limit: Limit = 50, cursor: CursorOf = None
) -> Response:
    """List the patients one may see, by pseudonym."""
    ids = backend.site.record.subject_ids
    if not backend.sees_everybody(person):
        ids = np.intersect1d(ids, np.array(sorted(backend.team(person)), dtype=np.int64))
    last = cursors.after(cursor, ["patients"], int)
    rest = ids if last is None else ids[np.searchsorted(ids, last[0], "right") :]
    shown = rest[:limit].tolist()
    following = cursors.written(["patients"], shown[-1:]) if len(rest) > limit else None
    backend.saw_list(person, "patients.listed", shown)
    listed = [{"subject_id": one} for one in shown]
    return answer({"patients": listed, "total": len(ids), "next": following})


@router.get("/patients/{subject_id}", response_model=PatientSaid)
def read_patient(backend: BackendOf, person: Reading, subject_id: SubjectId) -> Response:
    """Tell who a patient is and how much is known of them."""
    backend.check_sees(person, subject_id)
    named = Permission.SEE_IDENTIFIERS in person.permissions
    facts = known_of(backend, person, subject_id, backend.now())
    births = facts.filter(pl.col("code") == BIRTH)["time"].drop_nulls()
    birth: datetime | None = births[0] if len(births) else None
    age = person.age_shown(None if birth is None else _years(birth, backend.now()))
    sexes = facts.filter(pl.col("code").str.starts_with(_SEXES))["code"]
    dated = facts.filter(pl.col("code") != BIRTH)["time"].drop_nulls()
    backend.saw(person, subject_id, "patient.seen")
    content: dict[str, Any] = {
        "subject_id": subject_id,
        "sex": sexes[0].removeprefix(_SEXES) if len(sexes) else None,
        "age": None if age is None else math.floor(age),
        "birth": birth if named else None,
        "facts": facts.height,
        "first": dated.min(),
        "last": dated.max(),
    }
    return answer(content)


@router.get("/patients/{subject_id}/identifiers", response_model=Identifiers)
def read_identifiers(
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.SEE_IDENTIFIERS))],
    subject_id: SubjectId,
) -> Response:
    """Tell under which identifiers the hospital knows a patient."""
    backend.check_sees(person, subject_id)
    known = backend.site.record.identifiers([subject_id])[subject_id]
    if not known:
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    backend.saw(person, subject_id, "identifiers.seen")
    named = [{"system": system, "value": value} for system, value in known]
    return answer({"identifiers": named})


@router.get("/patients/{subject_id}/events", response_model=EventList)
def list_events(
    backend: BackendOf,
    person: Reading,
    subject_id: SubjectId,
    since: Annotated[datetime | None, Query(description="Not before this moment.")] = None,
    until: Annotated[datetime | None, Query(description="Before this moment.")] = None,
    code: Annotated[str | None, Query(max_length=300, description="How the code begins.")] = None,
    role: Annotated[str | None, Query(max_length=40)] = None,
    limit: Limit = 200,
    cursor: CursorOf = None,
) -> Response:
    """List what is known of a patient now; birth dates and free text only for those who may see them."""
    backend.check_sees(person, subject_id)
    facts = known_of(backend, person, subject_id, backend.now())
    wanted: list[pl.Expr] = []
    if since is not None:
        wanted.append(pl.col("time") >= wall(backend, since))
    if until is not None:
        wanted.append(pl.col("time") < wall(backend, until))
    if code is not None:
        wanted.append(pl.col("code").str.starts_with(code))
    if role is not None:
        wanted.append(pl.col("role") == role)
    facts = facts.filter(*wanted) if wanted else facts
    backend.saw(person, subject_id, "timeline.seen")
    this = ["events", subject_id, since, until, code, role]
    return answer(told_events(backend, person, facts, this, limit, cursor))


def told_events(
    backend: Backend, person: Person, facts: pl.DataFrame, this: list[Any], limit: int, cursor: str | None
) -> dict[str, Any]:
    """Give a page of facts as `EventList` says; a birth date only to those who may see it.

    Args:
        backend: of the site.
        person: who reads.
        facts: as `known_of` gives them.
        this: which list it is, for its cursors.
        limit: rows of the page.
        cursor: where it begins.
    """
    if Permission.SEE_IDENTIFIERS not in person.permissions:
        facts = facts.filter(pl.col("code") != BIRTH)
    last = cursors.after(cursor, this, int)
    start = 0 if last is None else max(last[0], 0)
    shown = facts.slice(start, limit)
    following = cursors.written(this, [start + limit]) if start + limit < facts.height else None
    catalogue = backend.site.record.catalogue
    descriptions, units = catalogue.descriptions(), catalogue.units()
    events = [
        {
            "time": row["time"],
            "code": row["code"],
            "description": descriptions.get(row["code"]),
            "value": row["numeric_value"],
            "unit": None if row["numeric_value"] is None else units.get(row["code"]),
            "text": row["text_value"],
            "text_hidden": row["text_hidden"],
            "role": row["role"],
            "known_time": row["known_time"],
        }
        for row in shown.iter_rows(named=True)
    ]
    return {"events": events, "total": facts.height, "next": following}


def known_of(backend: Backend, person: Person, subject_id: int, moment: datetime) -> pl.DataFrame:
    """Read what was known of a patient at a moment, in order of time, as far as a person may see it.

    Raises:
        NotFoundError: there is no such patient.
    """
    record = backend.site.record
    ids = record.subject_ids
    place = int(np.searchsorted(ids, subject_id))
    if place >= len(ids) or ids[place] != subject_id:
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    frame = pl.DataFrame(record.read(_COLUMNS, [subject_id]))
    frame = frame.with_columns(pl.col("code", "role").cast(pl.String))
    known = visible_time().is_null() | (visible_time() <= moment)
    found = frame.filter(known, pl.col("known_until").is_null() | (pl.col("known_until") > moment))
    return facts_shown(person, found)


def _years(since: datetime, now: datetime) -> int:
    return now.year - since.year - ((now.month, now.day) < (since.month, since.day))
