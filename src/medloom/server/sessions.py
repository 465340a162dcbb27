"""Sessions of browsers and tokens of programs: random, kept as digests, with an end."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text, utc_now
from medloom.database.tables.accounts import account, session, token
from medloom.foundation.errors import InputError, NotFoundError
from medloom.server.access import OWN, ROLES, Permission, Person

PREFIX: Final = "mlm_"  # of tokens, so that scanners for leaked secrets know them
_IDLE: Final = timedelta(minutes=30)
_LONGEST: Final = timedelta(hours=12)
_NOTED: Final = timedelta(minutes=1)  # how exactly it is noted when a session was last seen
_REMEMBERED: Final = 2.0  # seconds
_MOST_REMEMBERED: Final = 1000
_MOST_DAYS: Final = 365


class Sessions:
    """Who is behind a cookie or a token; what was found is remembered for two seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Person | None]] = {}
        self._lock = threading.Lock()

    def start(self, account_id: int) -> str:
        """Begin a session; gives what the cookie says."""
        secret = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        values = {
            "digest": _digest(secret),
            "account_id": account_id,
            "csrf": secrets.token_urlsafe(32),
            "created": as_utc_text(now),
            "seen": as_utc_text(now),
            "expires": as_utc_text(now + _LONGEST),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(session).where(session.c.expires < as_utc_text(now)))
            connection.execute(insert(session), values)

        self._database.write(work)
        return secret

    def end(self, person: Person) -> None:
        """End the session a person came with."""

        def work(connection: Connection) -> None:
            connection.execute(delete(session).where(session.c.digest == person.session))
            self._database.audit.append(connection, Entry(person.login, person.role, "sign-out"))

        self._database.write(work)
        self.forget()

    def of_cookie(self, secret: str) -> Person | None:
        """Find who holds a cookie; None: nobody, or no longer."""
        return self._remembered(_digest(secret), self._by_session)

    def of_token(self, secret: str) -> Person | None:
        """Find whose token this is; None: nobody's, or no longer."""
        return self._remembered(_digest(secret), self._by_token)

    def remembered(self, secret: str) -> tuple[bool, Person | None]:
        """Tell whether, and who, is known without asking the database."""
        found = self._known.get(_digest(secret))
        return (True, found[1]) if found and found[0] > time.monotonic() else (False, None)

    def forget(self) -> None:
        """Ask the database again for everybody: an account, session or token was changed."""
        with self._lock:
            self._known.clear()

    def new_token(self, person: Person, name: str, scopes: list[str], days: int) -> str:
        """Make a token for a program, with at most its owner's permissions; its secret is told once, here.

        Raises:
            InputError: it has no name, no scope or one the owner does not have, or lives for too long.
        """
        allowed = {one.value for one in person.permissions - OWN}
        if not name.strip():
            raise InputError("give the token a name that says which program has it")
        if not scopes or not set(scopes) <= allowed:
            raise InputError("a token's scopes are some of: {scopes}", scopes=sorted(allowed))
        if not 1 <= days <= _MOST_DAYS:
            raise InputError("a token lives for 1 to {n} days", n=_MOST_DAYS)
        secret = PREFIX + secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        values = {
            "account_id": person.account_id,
            "name": name.strip()[:80],
            "digest": _digest(secret),
            "scopes": " ".join(sorted(set(scopes))),
            "created": as_utc_text(now),
            "expires": as_utc_text(now + timedelta(days=days)),
        }

        def work(connection: Connection) -> None:
            connection.execute(insert(token), values)
            self._database.audit.append(
                connection,
                Entry(
                    person.login,
                    person.role,
                    "token.created",
                    target=name.strip(),
                    detail={"scopes": values["scopes"]},
                ),
            )

        self._database.write(work)
        return secret

    def revoke_token(self, person: Person, number: int) -> None:
        """Let a token of one's own open nothing any more.

        Raises:
            NotFoundError: there is none.
        """

        def work(connection: Connection) -> None:
            changed = connection.execute(
                update(token)
                .where(token.c.id == number, token.c.account_id == person.account_id)
                .values(revoked=utc_now())
            )
            if not changed.rowcount:
                raise NotFoundError("there is no token {number}", number=number)
            self._database.audit.append(
                connection, Entry(person.login, person.role, "token.revoked", target=str(number))
            )

        self._database.write(work)
        self.forget()

    def tokens(self, person: Person) -> list[dict[str, Any]]:
        """List a person's tokens, without their secrets: `id name scopes created expires used revoked`."""
        shown = [column for column in token.columns if column.name not in ("digest", "account_id")]
        with self._database.reading() as connection:
            query = select(*shown).where(token.c.account_id == person.account_id).order_by(token.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def _remembered(self, digest: str, find: Any) -> Person | None:
        found = self._known.get(digest)
        now = time.monotonic()
        if found and found[0] > now:
            return found[1]
        person: Person | None = find(digest)
        with self._lock:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = (now + _REMEMBERED, person)
        return person

    def _by_session(self, digest: str) -> Person | None:
        now = datetime.now(UTC)
        with self._database.reading() as connection:
            row = connection.execute(
                select(session.c.csrf, session.c.seen, session.c.expires, account)
                .join(account, account.c.id == session.c.account_id)
                .where(session.c.digest == digest)
            ).first()
        if (
            row is None
            or row.disabled
            or row.expires < as_utc_text(now)
            or row.seen < as_utc_text(now - _IDLE)
        ):
            return None
        if row.seen < as_utc_text(now - _NOTED):
            self._database.write(
                lambda connection: connection.execute(
                    update(session).where(session.c.digest == digest).values(seen=as_utc_text(now))
                )
            )
        return _person(row, ROLES[row.role], csrf=row.csrf, session=digest)

    def _by_token(self, digest: str) -> Person | None:
        now = datetime.now(UTC)
        with self._database.reading() as connection:
            row = connection.execute(
                select(token.c.scopes, token.c.expires, token.c.revoked, token.c.used, account)
                .join(account, account.c.id == token.c.account_id)
                .where(token.c.digest == digest)
            ).first()
        if row is None or row.disabled or row.revoked is not None or row.expires < as_utc_text(now):
            return None
        if row.used is None or row.used < as_utc_text(now - _NOTED):
            self._database.write(
                lambda connection: connection.execute(
                    update(token).where(token.c.digest == digest).values(used=as_utc_text(now))
                )
            )
        scopes = frozenset(Permission(scope) for scope in row.scopes.split())
        return _person(row, ROLES[row.role] & scopes | {Permission.KNOW_ONESELF})


def _person(
    row: Row[Any], permissions: frozenset[Permission], csrf: str | None = None, session: str | None = None
) -> Person:
    return Person(
        row.id,
        row.name,
        row.display,
        row.role,
        permissions,
        row.language,
        row.sees_all,
        csrf,
        session,
        row.must_change,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
