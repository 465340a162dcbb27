"""Facts, live: appended at once, each kept once however often it is sent."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import Text2
from medloom.record.quarantine import in_words
from medloom.record.schema import ROLES
from medloom.server import arrivals
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import BackendOf, Said, Sent, answer, wall
from medloom.server.api.repeats import OnceOf
from medloom.server.backend import Backend

router = APIRouter(tags=["record"])

_MOST: Final = 5000
_EXAMPLE: Final[dict[str, Any]] = {
    "facts": [
        {
            "patient": "MRN-0042",
            "code": "LOINC//2160-0",
            "time": "2026-03-01T07:40:00+01:00",
            "value": 1.9,
            "unit": "mg/dL",
            "role": "observation",
            "known_time": "2026-03-01T08:05:00+01:00",
            "key": "lab/778201",
        }
    ],
    "system": "",
}


class FactSent(Sent):
    """One fact about a patient, who is named by the hospital's identifier or by pseudonym."""

    patient: str | None = Field(None, min_length=1, max_length=200, description="The hospital's identifier.")
    subject_id: int | None = Field(None, ge=1, le=2**63 - 1, description="Or the pseudonym.")
    code: str = Field(min_length=1, max_length=300, description="SYSTEM//code")
    time: datetime = Field(description="When it happened; without a time zone, on the site's wall clock.")
    value: float | None = Field(None, allow_inf_nan=False)
    unit: str | None = Field(None, max_length=80, description="UCUM, or as the source spells it.")
    text: str | None = Field(None, max_length=1_000_000)
    role: str | None = Field(None, description=", ".join(sorted(ROLES)))
    encounter: str | None = Field(None, max_length=200, description="The source's identifier of the stay.")
    known_time: datetime | None = Field(
        None, description="When it entered the record; else it counts as known when it happened."
    )
    key: str | None = Field(
        None, max_length=300, description="The source's own id: sent again with other values, it replaces."
    )
    retracted: bool = Field(False, description="Entered in error: ends what was sent with this key before.")

    @model_validator(mode="after")
    def _check(self) -> FactSent:
        if (self.patient is None) == (self.subject_id is None):
            raise ValueError("name the patient by one of patient, subject_id")
        if self.role is not None and self.role not in ROLES:
            raise ValueError("there is no such role")
        if self.retracted and self.key is None:
            raise ValueError("what is retracted is named by its key")
        return self


class FactsSent(Sent):
    """Up to 5,000 facts; `system` is the namespace of the identifiers, as given at import."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    facts: list[FactSent] = Field(min_length=1, max_length=_MOST)
    system: str = Field("", max_length=200)


class Refused(BaseModel):
    """A fact that could not be used; it is kept in quarantine."""

    row: int = Field(description="Place in `facts`, from 0.")
    reason: Said


class FactsKept(BaseModel):
    """What became of the facts: `written + duplicates + rejected` are as many as were sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"written": 1, "duplicates": 0, "rejected": 0, "later": 0, "reasons": []}
        }
    )

    written: int
    duplicates: int = Field(description="What the record had already.")
    rejected: int
    later: int = Field(
        description="Of those written or had already: how many lie after the site's present moment; pages and"
        " models see them when it is reached."
    )
    reasons: list[Refused]


@router.post("/events", status_code=201, response_model=FactsKept)
def write_events(
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.WRITE_EVENTS))],
    sent: FactsSent,
    once: OnceOf,
) -> Response:
    """Append facts to the record: on the disk when this answers, and seen by pages and models from then on.

    What lies after the site's present moment (`later`) is seen when that is reached.
    """
    for subject in {fact.subject_id for fact in sent.facts} - {None}:
        assert subject is not None
        backend.check_sees(person, subject)
    return once.first(lambda: answer(_appended(backend, person, sent), 201), harmless=True)


def _appended(backend: Backend, person: Person, sent: FactsSent) -> dict[str, Any]:
    named = _named(backend, sent)
    rows = [_row(backend, fact, *who) for fact, who in zip(sent.facts, named, strict=True)]
    arrived = arrivals.keep(backend, person, pl.DataFrame(rows, schema=_SCHEMA, orient="row"), "api")
    return {
        "written": arrived.written,
        "duplicates": arrived.duplicates,
        "rejected": len(arrived.refused),
        "later": _later(backend, sent, {row - 1 for row in arrived.refused}),
        "reasons": [{"row": row - 1, "reason": _said(in_words(why))} for row, why in arrived.refused.items()],
    }


def _named(backend: Backend, sent: FactsSent) -> list[tuple[str, str]]:
    """Give the system and identifier of the patient of each fact."""
    known: dict[int, tuple[str, str]] = {}
    named = []
    for fact in sent.facts:
        if fact.patient is not None:
            named.append((sent.system, fact.patient))
            continue
        assert fact.subject_id is not None
        if fact.subject_id not in known:
            known[fact.subject_id] = _identifier(backend, fact.subject_id)
        named.append(known[fact.subject_id])
    return named


def _later(backend: Backend, sent: FactsSent, refused: Set[int]) -> int:
    """Count the facts, but those refused, that are not known yet at the site's present moment."""
    now = backend.now()
    known = ((wall(backend, fact.time), wall(backend, fact.known_time)) for fact in sent.facts)
    return sum(
        any(moment is not None and moment > now for moment in moments)
        for place, moments in enumerate(known)
        if place not in refused
    )


def _identifier(backend: Backend, subject_id: int) -> tuple[str, str]:
    found = backend.site.record.identifiers([subject_id])[subject_id]
    if not found:
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    return found[0]


_SCHEMA: Final[dict[str, type[pl.DataType] | pl.DataType]] = {
    "system": pl.String,
    "patient": pl.String,
    "code": pl.String,
    "time": pl.Datetime("us"),
    "numeric_value": pl.Float64,
    "unit": pl.String,
    "text_value": pl.String,
    "role": pl.String,
    "encounter": pl.String,
    "known_time": pl.Datetime("us"),
    "key": pl.String,
    "retracted": pl.Boolean,
}


def _row(backend: Backend, fact: FactSent, system: str, patient: str) -> tuple[Any, ...]:
    """Give a fact in the order of `_SCHEMA`."""
    return (
        system,
        patient,
        fact.code,
        wall(backend, fact.time),
        fact.value,
        fact.unit,
        fact.text,
        fact.role,
        fact.encounter,
        wall(backend, fact.known_time),
        fact.key,
        fact.retracted,
    )


def _said(text: Text2) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}
