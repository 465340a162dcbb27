"""Doubtful facts of notes before a person: accepted ones stand in the record without a model's name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from medloom.foundation.errors import InputError
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
        InputError: it has no code, and none was given; or it was rejected already.
    """
    with record.doubtful() as queue:
        found = next((one for one in queue.facts(None) if one.id == id), None)
        given = code or (None if found is None else found.fact.get("code"))
        if found is not None and given is None:
            raise InputError("fact {id} has no code; name the one to accept it with", id=id)
        decided = queue.decide(id, "accepted", by)
    system, patient = record.identifiers([decided.subject_id])[decided.subject_id][0]
    row: dict[str, Any] = {name: value for name, value in decided.fact.items() if name in BATCH_SCHEMA}
    row |= {"patient": patient, "code": given, "model": None, "confidence": None, "key": f"doubtful:{id}"}
    frame = pl.DataFrame([row], schema={name: BATCH_SCHEMA[name] for name in row})
    record.append(frame, system, now)
    return decided


def reject(record: Record, id: int, by: str) -> Doubtful:
    """Note that a doubtful fact is none; it is not asked about again.

    Raises:
        NotFoundError: none of this number waits.
        InputError: it was accepted already.
    """
    with record.doubtful() as queue:
        return queue.decide(id, "rejected", by)
