"""The identity vault: hospital identifiers ↔ `subject_id`, sealed with AES-256-GCM.

Outside the vault only pseudonyms exist. An identifier is found by a keyed hash
(HMAC-SHA-256) and stored sealed (NIST SP 800-38D, random 96-bit nonces, the
purpose bound as associated data); an erased one leaves only its keyed hash, so
that a later import cannot bring the person back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from medloom.foundation.errors import KeyUnavailableError, NotFoundError
from medloom.record.database import connect, database_errors, transaction
from medloom.record.keys import derived

ERASED = -1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identifier (token BLOB PRIMARY KEY, sealed BLOB NOT NULL,
  subject_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identifier_subject ON identifier (subject_id);
CREATE TABLE IF NOT EXISTS erased (token BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class Vault:
    """Keeps who is who. Open it, use it, close it; nothing is cached beyond the connection."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(self.derived("seal"))
        self._token_key = self.derived("token")
        self._connection = connect(path)
        try:
            with database_errors(path):
                self._connection.executescript(_SCHEMA)
                self._check_key()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def derived(self, purpose: str) -> bytes:
        """Derive a 256-bit key for one purpose, so that no key serves two."""
        return derived(self._key, purpose)

    def seal(self, data: bytes, purpose: str) -> bytes:
        """Encrypt `data`; `open` gives it back only for the same purpose."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, data, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            KeyUnavailableError: sealed with another key, or altered.
        """
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], purpose.encode())
        except InvalidTag:
            raise KeyUnavailableError(
                "the site's key does not open {purpose}; use the key this site was created with",
                purpose=purpose,
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is done in the block, or, when it fails, none of it."""
        with transaction(self._connection):
            yield

    def assign(self, system: str, identifiers: Sequence[str]) -> NDArray[np.int64]:
        """Give each identifier its `subject_id`, a new one to the unknown: (n,) int64, `ERASED` for the erased.

        Pseudonyms are consecutive in order of first appearance. Outside a transaction, one is
        opened when there are new identifiers; for known ones none is needed, so that they are
        found while another process imports.
        """
        if not self._connection.in_transaction:
            known = [self._known(self._token(system, identifier)) for identifier in identifiers]
            if None not in known:
                return np.array(known, dtype=np.int64)
            with self.transaction():
                return self.assign(system, identifiers)
        result = np.empty(len(identifiers), dtype=np.int64)
        execute = self._connection.execute
        following = self._next_subject()
        first_new = following
        for position, identifier in enumerate(identifiers):
            token = self._token(system, identifier)
            subject = self._known(token)
            if subject is None:
                subject = following
                sealed = self.seal(f"{system}\x1f{identifier}".encode(), "identifier")
                execute("INSERT INTO identifier VALUES (?, ?, ?)", (token, sealed, subject))
                following += 1
            result[position] = subject
        if following != first_new:
            execute("INSERT OR REPLACE INTO state VALUES ('next_subject', ?)", (following,))
        return result

    def subjects(self) -> int:
        """Count the pseudonyms ever given."""
        return self._next_subject() - 1

    def find(self, system: str, identifier: str) -> int | None:
        """Look an identifier up; None where it is unknown or erased."""
        query = "SELECT subject_id FROM identifier WHERE token = ?"
        row = self._connection.execute(query, (self._token(system, identifier),)).fetchone()
        return None if row is None else int(row[0])

    def known(self, system: str, identifier: str) -> int | None:
        """Look an identifier up: `ERASED` for an erased one, None where it is unknown."""
        return self._known(self._token(system, identifier))

    def identifiers(self, subject_id: int) -> list[tuple[str, str]]:
        """List the (system, identifier) pairs of a subject."""
        query = "SELECT sealed FROM identifier WHERE subject_id = ? ORDER BY token"
        rows = self._connection.execute(query, (subject_id,)).fetchall()
        opened = (self.open(row[0], "identifier").decode() for row in rows)
        return [(system, identifier) for system, _, identifier in (text.partition("\x1f") for text in opened)]

    def systems(self) -> list[str]:
        """List the systems of all identifiers; each is opened for it, some seconds for a million."""
        rows = self._connection.execute("SELECT sealed FROM identifier")
        return sorted({self.open(row[0], "identifier").decode().partition("\x1f")[0] for row in rows})

    def erase(self, subject_id: int) -> None:
        """Forget a subject's identifiers; their keyed hashes stay, as tombstones.

        Raises:
            NotFoundError: there is no such subject.
        """
        query = "SELECT token FROM identifier WHERE subject_id = ?"
        tokens = self._connection.execute(query, (subject_id,)).fetchall()
        if not tokens:
            raise NotFoundError("there is no subject {subject}", subject=subject_id)
        self._connection.executemany("INSERT OR IGNORE INTO erased VALUES (?)", tokens)
        self._connection.execute("DELETE FROM identifier WHERE subject_id = ?", (subject_id,))

    def merge(self, kept: int, absorbed: int) -> None:
        """Let all identifiers of `absorbed` mean `kept` from now on.

        Raises:
            NotFoundError: one of them does not exist.
        """
        for subject in (kept, absorbed):
            if not self.identifiers(subject):
                raise NotFoundError("there is no subject {subject}", subject=subject)
        self._connection.execute(
            "UPDATE identifier SET subject_id = ? WHERE subject_id = ?", (kept, absorbed)
        )

    def vacuum(self) -> None:
        """Rewrite the file, so that nothing erased is left in free pages."""
        self._connection.execute("VACUUM")

    def _known(self, token: bytes) -> int | None:
        execute = self._connection.execute
        row = execute("SELECT subject_id FROM identifier WHERE token = ?", (token,)).fetchone()
        if row is not None:
            return int(row[0])
        erased = execute("SELECT 1 FROM erased WHERE token = ?", (token,)).fetchone()
        return None if erased is None else ERASED

    def _token(self, system: str, identifier: str) -> bytes:
        return hmac.digest(self._token_key, f"{system}\x1f{identifier}".encode(), hashlib.sha256)

    def _next_subject(self) -> int:
        row = self._connection.execute("SELECT value FROM state WHERE name = 'next_subject'").fetchone()
        return 1 if row is None else int(row[0])

    def _check_key(self) -> None:
        row = self._connection.execute("SELECT value FROM state WHERE name = 'key_check'").fetchone()
        if row is None:
            sealed = self.seal(b"medloom", "the vault")
            self._connection.execute("INSERT OR IGNORE INTO state VALUES ('key_check', ?)", (sealed,))
        else:
            self.open(row[0], "the vault")
