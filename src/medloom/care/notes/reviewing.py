"""Doubtful facts of notes before a person: accepted ones stand in the record without a model's name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from medloom.foundation.errors import InputError
from medloom.knowledge import systems
from medloom.record.doubtful import Doubtful
from medloom.record.record import Record
from medloom.record.schema import BATCH_SCHEMA


def accept(
    record: Record, id: int, by: str, code: str | None = None, now: datetime | None = None
) -> Doubtful:
    """Take a doubtful fact into the record as a person's, as it stands or with another code.

    Args:
        record: of a site.
        id: of it in the queue.
        by: who accepts it.
        code: with a prefix, where it is not true of the patient now; None: the one it has.
        now: of the append; None: the clock's.

    Raises:
        NotFoundError: none of this number waits.
        InputError: it has no code, and none was given, or what was given is none; or it was rejected already.
    """
    if code is not None:
        _check_code(code)
    with record.doubtful() as queue:
        found = next((one for one in queue.facts(None) if one.id == id), None)
        if found is None or found.state == "rejected":
            return queue.decide(id, "accepted", by)  # which says why it cannot be
    given = code or found.fact.get("code")
    if given is None:
        raise InputError("fact {id} has no code; name the one to accept it with", id=id)
    system, patient = record.identifiers([found.subject_id])[found.subject_id][0]
    row: dict[str, Any] = {name: value for name, value in found.fact.items() if name in BATCH_SCHEMA}
    row |= {"patient": patient, "code": given, "model": None, "confidence": None, "key": f"doubtful:{id}"}
    frame = pl.DataFrame([row], schema={name: BATCH_SCHEMA[name] for name in row})
    record.append(frame, system, now)  # first: it waits on where the record cannot be written
    with record.doubtful() as queue:
        return queue.decide(id, "accepted", by)


def _check_code(code: str) -> None:
    _, system, value = systems.split(code)
    if not (system.strip() and value.strip()) or system in systems.PREFIXES:
        raise InputError("{code!r} is no code; write SYSTEM//CODE, such as NOT//ICD10CM//I10", code=code)


def reject(record: Record, id: int, by: str) -> Doubtful:
    """Note that a doubtful fact is none; it is not asked about again.

    Raises:
        NotFoundError: none of this number waits.
        InputError: it was accepted already.
    """
    with record.doubtful() as queue:
        return queue.decide(id, "rejected", by)
