"""`doubtful.db`: facts that nobody is sure of yet, beside the record, until a person accepts or rejects them.

No words of a note are kept here, only where in it they stand. Who erases or merges subjects does so here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final, Literal

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medloom.foundation.errors import InputError, IntegrityError, NotFoundError
from medloom.foundation.hashing import digest
from medloom.foundation.site import SiteDirectory
from medloom.record.database import connect, database_errors, transaction
from medloom.record.vault import Vault

State = Literal["open", "accepted", "rejected"]


@dataclass(frozen=True)
class Doubtful:
    """A fact that waits, or has waited, for a person.

    Attributes:
        id: of it in the queue.
        subject_id: of whom it is.
        derived_from: the note, `sha256:…`.
        model: who says it.
        reasons: why it is doubtful.
        fact: columns of a batch (`code`, `span`, `time`, …); without a code where none is known.
        state: of it.
        decided_by: who accepted or rejected it.
    """

    id: int
    subject_id: int
    derived_from: str
    model: str
    reasons: tuple[str, ...]
    fact: Mapping[str, Any]
    state: State = "open"
    decided_by: str | None = None


class DoubtfulFacts:
    """The queue of a site: what is put twice stands once, and what was decided is not asked again."""

    def __init__(self, path: Path, key: bytes, seal: bool) -> None:
        self.path = path
        self._cipher = AESGCM(key)
        self._seal = seal

    @classmethod
    def of(cls, site: SiteDirectory, vault: Vault) -> DoubtfulFacts:
        """Take the queue of a site whose vault is open; sealed where the site encrypts at rest."""
        return cls(site.doubtful, vault.derived(_PURPOSE), site.settings().encrypt_at_rest)

    def put(
        self, subject_id: int, derived_from: str, model: str, facts: Iterable[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]]:
        """Put what a model doubts of a note into the queue, in place of what it doubted before; give what is new.

        Args:
            subject_id: of whom the note is.
            derived_from: the note.
            model: who says it.
            facts: columns of a batch, and `reasons`, a list of them.
        """
        doubted = list(facts)
        rows = [self._row(subject_id, derived_from, model, one) for one in doubted]
        if not rows and not self.path.exists():
            return []
        with self._writing() as connection:
            known = {
                name
                for (name,) in connection.execute(
                    "SELECT identity FROM doubtful WHERE subject_id = ? AND derived_from = ? AND model = ?",
                    (subject_id, derived_from, model),
                )
            }
            told = {row[0] for row in rows}
            connection.executemany(
                "DELETE FROM doubtful WHERE identity = ? AND state = 'open'",
                [(name,) for name in known - told],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO doubtful (identity, subject_id, derived_from, model, sealed, payload)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
        return [one for one, row in zip(doubted, rows, strict=True) if row[0] not in known]

    def facts(self, state: State | None = "open", subject_id: int | None = None) -> list[Doubtful]:
        """List what is in one state, or all of it, in the order in which it came; of one subject alone."""
        if not self.path.exists():
            return []
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM doubtful WHERE (? IS NULL OR state = ?)"
                " AND (? IS NULL OR subject_id = ?) ORDER BY id",
                (state, state, subject_id, subject_id),
            ).fetchall()
        return [self._doubtful(row) for row in rows]

    def decide(self, id: int, state: Literal["accepted", "rejected"], by: str) -> Doubtful:
        """Note what a person decided.

        Raises:
            NotFoundError: there is none of this number.
            InputError: it was decided already, the other way.
        """
        missing = NotFoundError("no fact {id} waits for a review", id=id)
        if not self.path.exists():
            raise missing
        with self._writing() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM doubtful WHERE id = ?", (id,)).fetchone()
            if row is None:
                raise missing
            found = self._doubtful(row)
            if found.state not in ("open", state):
                raise InputError(
                    "fact {id} was {state} by {who} already", id=id, state=found.state, who=found.decided_by
                )
            connection.execute(
                "UPDATE doubtful SET state = ?, decided_by = ?, decided = ? WHERE id = ? AND state = 'open'",
                (state, by, datetime.now(UTC).isoformat(timespec="seconds"), id),
            )
        return replace(found, state=state, decided_by=found.decided_by or by)

    def _row(self, subject: int, note: str, model: str, fact: Mapping[str, Any]) -> tuple[Any, ...]:
        identity = digest([subject, note, model, fact.get("code"), fact.get("span")])
        payload = orjson.dumps(dict(fact))
        if self._seal:
            nonce = os.urandom(_NONCE)
            payload = nonce + self._cipher.encrypt(nonce, payload, identity.encode())
        return identity, subject, note, model, self._seal, payload

    def _doubtful(self, row: tuple[Any, ...]) -> Doubtful:
        number, identity, subject, note, model, sealed, payload, state, by = row
        if sealed:
            try:
                payload = self._cipher.decrypt(payload[:_NONCE], payload[_NONCE:], identity.encode())
            except InvalidTag:
                raise IntegrityError(
                    "{file} was altered, or sealed with another key; restore it from a copy",
                    file=self.path.name,
                ) from None
        fact = orjson.loads(payload)
        reasons = tuple(fact.pop("reasons", ()))
        for name in ("time", "known_time"):
            if fact.get(name) is not None:
                fact[name] = datetime.fromisoformat(fact[name])
        return Doubtful(number, subject, note, model, reasons, fact, state, by)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with database_errors(self.path), closing(connect(self.path)) as connection:
            connection.executescript(_SCHEMA)
            with transaction(connection):
                yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with database_errors(self.path), closing(connect(self.path)) as connection:
            yield connection


def forget(site: SiteDirectory, subject_id: int) -> None:
    """Erase what is doubtful of a subject."""
    _change(site, "DELETE FROM doubtful WHERE subject_id = ?", (subject_id,))


def rename(site: SiteDirectory, absorbed: int, kept: int) -> None:
    """Let what is doubtful of one subject be doubtful of another one."""
    _change(site, "UPDATE doubtful SET subject_id = ? WHERE subject_id = ?", (kept, absorbed))


def _change(site: SiteDirectory, statement: str, values: tuple[int, ...]) -> None:
    if not site.doubtful.exists():
        return
    with database_errors(site.doubtful), closing(connect(site.doubtful)) as connection:
        connection.executescript(_SCHEMA)
        with transaction(connection):
            connection.execute(statement, values)


_PURPOSE: Final = "doubtful"
_NONCE: Final = 12
_COLUMNS: Final = "id, identity, subject_id, derived_from, model, sealed, payload, state, decided_by"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS doubtful (id INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL UNIQUE,
  subject_id INTEGER NOT NULL, derived_from TEXT NOT NULL, model TEXT NOT NULL, sealed INTEGER NOT NULL,
  payload BLOB NOT NULL, state TEXT NOT NULL DEFAULT 'open', decided_by TEXT, decided TEXT);
CREATE INDEX IF NOT EXISTS doubtful_subject ON doubtful (subject_id);
"""
