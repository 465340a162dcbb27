"""The audit log: who saw or changed what and why; each entry seals the one before it.

Seals are HMAC-SHA256 with a key derived from the site's, which lies outside of the site: who can write the database
cannot make a chain that verifies. What is cut off at the end shows when the last seal was noted elsewhere, which is
why `verify` tells it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, text

from medloom.database.metadata import utc_now
from medloom.database.tables.audit import audit
from medloom.foundation.errors import IntegrityError

Outcome = Literal["done", "refused", "failed"]

_SEALED: Final = tuple(column.name for column in audit.columns if column.name != "digest")
_APPEND: Final = insert(audit)
_FIRST: Final = "0" * 64
_LAST: Final = select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
_LOCK: Final = 0x6D65_646C  # of PostgreSQL: one writes at a time, also of several processes


@dataclass(frozen=True)
class Entry:
    """What is told of one act.

    Attributes:
        actor: name of the account, or of the program.
        role: its role then.
        action: a word of the code, such as `patient.seen`.
        subject_id: whose data.
        target: what else: a model, an advice, an account.
        reason: as the actor gave it.
        outcome: whether it came about.
        detail: JSON values; nothing of a patient but numbers of the system.
    """

    actor: str
    role: str
    action: str
    subject_id: int | None = None
    target: str = ""
    reason: str = ""
    outcome: Outcome = "done"
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verified:
    """What `verify` found.

    Attributes:
        entries: how many there are.
        head: the seal of the last.
        noted: the number of the entry with the seal that was noted earlier, 0 where it was of an empty log; None: no
            seal was given.
    """

    entries: int
    head: str
    noted: int | None = None


def about(subject_id: int) -> ColumnElement[bool]:
    """Choose the entries that tell of a patient: alone, in a list that was shown, or merged into another."""
    shown = audit.c.detail.like('%"patients": [%')
    places = (f"%[{subject_id}]%", f"%[{subject_id}, %", f"%, {subject_id}, %", f"%, {subject_id}]%")
    return or_(
        audit.c.subject_id == subject_id,
        and_(audit.c.subject_id.is_(None), shown, or_(*(audit.c.detail.like(place) for place in places))),
        and_(audit.c.action == "patient.merged", audit.c.detail.like(f'%"absorbed": {subject_id}}}%')),
    )


class AuditLog:
    """Appends to the log, and verifies it, with the site's key.

    Args:
        key: derived from the site's key for this use alone.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def begin(self, connection: Connection) -> None:
        """Let no other process write until this transaction ends; else two could wait for each other's rows."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})

    def append(self, connection: Connection, *entries: Entry) -> int:
        """Append inside the transaction of what is told; gives the number of the last entry."""
        last = connection.execute(_LAST).first()
        number, previous = (last.number, last.digest) if last else (0, _FIRST)
        rows = []
        for entry in entries:
            number += 1
            row: dict[str, Any] = {
                "number": number,
                "time": utc_now(),
                "actor": entry.actor[:120],
                "role": entry.role,
                "action": entry.action,
                "subject_id": entry.subject_id,
                "target": entry.target[:200],
                "reason": entry.reason,
                "outcome": entry.outcome,
                "detail": json.dumps(entry.detail, ensure_ascii=False, sort_keys=True),
                "previous": previous,
            }
            row["digest"] = previous = self._seal(row)
            rows.append(row)
        if rows:
            connection.execute(_APPEND, rows)
        return int(number)

    def verify(self, connection: Connection, head: str | None = None) -> Verified:
        """Walk the whole chain.

        Args:
            connection: reading.
            head: a seal noted earlier, which must still be there.

        Raises:
            IntegrityError: an entry was changed, removed or put in; the message names the first such number.
        """
        number, previous = 0, _FIRST
        noted = 0 if head == _FIRST else None
        rows = connection.execution_options(yield_per=1000).execute(select(audit).order_by(audit.c.number))
        for row in rows.mappings():
            number += 1
            sealed = row["number"] == number and row["previous"] == previous
            if not sealed or not hmac.compare_digest(self._seal(row), row["digest"]):
                raise IntegrityError(
                    "the audit log was altered: entry {number} is not what was written", number=number
                )
            previous = row["digest"]
            if previous == head:
                noted = number
        if head is not None and noted is None:
            raise IntegrityError(
                "the audit log was cut short: the seal you noted is not in it, its {n:,} entries are intact",
                n=number,
            )
        return Verified(number, previous, noted)

    def _seal(self, row: Any) -> str:
        content = json.dumps([row[name] for name in _SEALED], ensure_ascii=False, separators=(",", ":"))
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()
