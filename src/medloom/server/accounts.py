"""Accounts: passwords kept as argon2id, locked for a while after failures; whose patients are whose."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError as NotUniqueError

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text, utc_now
from medloom.database.tables.accounts import account, broken_glass, care_team, session, token
from medloom.foundation.errors import InputError, MedloomError, NotFoundError
from medloom.foundation.messages import LANGUAGES
from medloom.loop.releases import Actor
from medloom.server.access import Role

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,79}")
_SHORTEST: Final = 12
_LONGEST: Final = 1024  # argon2 takes time by length; nobody types more
_FAILURES: Final = 5
_LOCKED: Final = timedelta(minutes=15)
_GLASS: Final = timedelta(hours=12)
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_hasher: Final = PasswordHasher()  # RFC 9106, low-memory recommendation
# Verified where there is no account, so that an answer takes as long.
_NOBODY: Final = _hasher.hash(secrets.token_urlsafe(16))
# A hash takes 64 MiB and its time on every core: who sends many passwords must not stop everybody else.
_HASHED_AT_ONCE: Final = 2
_WAITING: Final = 8
_hashing: Final = threading.BoundedSemaphore(_HASHED_AT_ONCE)
_places: Final = threading.BoundedSemaphore(_WAITING)


class BusyError(MedloomError):
    """Too many are signing in at this moment."""


@dataclass(frozen=True)
class Account:
    """An account as administrators see it."""

    id: int
    name: str
    display: str
    role: Role
    language: str
    sees_all: bool
    must_change: bool
    disabled: bool
    locked_until: str | None
    created: str


def create(
    database: Database,
    by: Actor,
    name: str,
    role: str,
    password: str,
    *,
    display: str = "",
    language: str = "en",
    sees_all: bool = False,
    must_change: bool = True,
) -> Account:
    """Make an account.

    Raises:
        InputError: the name is taken or no name, there is no such role or language, or the password is too weak.
    """
    if not _NAME.fullmatch(name):
        raise InputError("a name to sign in with has lower-case letters, digits, dots and hyphens")
    if role not in get_args(Role):
        raise InputError("there is no role {role!r}; there are: {roles}", role=role, roles=get_args(Role))
    if language not in LANGUAGES:
        raise InputError("there is no language {language!r}", language=language)
    check_password(password, name)
    values = {
        "name": name,
        "display": display.strip() or name,
        "role": role,
        "password": _hasher.hash(password),
        "language": language,
        "sees_all": sees_all,
        "must_change": must_change,
        "created": utc_now(),
    }

    def work(connection: Connection) -> None:
        try:
            connection.execute(insert(account), values)
        except NotUniqueError:
            raise InputError("there is an account {name!r} already", name=name) from None
        database.audit.append(
            connection, Entry(by.name, by.role, "account.created", target=name, detail={"role": role})
        )

    database.write(work)
    return find(database, name)


def check_password(password: str, name: str) -> None:
    """Refuse a weak password (NIST SP 800-63B: length counts, not kinds of characters).

    Raises:
        InputError: it is too short or too long, or says the name.
    """
    if len(password) < _SHORTEST:
        raise InputError(
            "a password has at least {n} characters; a sentence is easy to remember", n=_SHORTEST
        )
    if len(password) > _LONGEST:
        raise InputError("a password has at most {n} characters", n=_LONGEST)
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise InputError("this password is too easy to guess")


def authenticate(database: Database, name: str, password: str) -> Account | None:
    """Check a password; None: wrong, locked, disabled or unknown, which are not told apart.

    Five failures lock an account for 15 minutes. Every try is in the audit log.

    Raises:
        BusyError: too many are trying at this moment.
    """
    with database.reading() as connection:
        hashed = connection.execute(select(account.c.password).where(account.c.name == name)).scalar()
    with _place():
        right = _verified(hashed or _NOBODY, password[:_LONGEST])
        renewed = _hasher.hash(password) if hashed and right and _hasher.check_needs_rehash(hashed) else None

    def work(connection: Connection) -> Account | None:
        # as it is now: others may have tried while this password was hashed
        row = connection.execute(select(account).where(account.c.name == name)).first()
        locked = row is not None and row.locked_until is not None and row.locked_until >= utc_now()
        let_in = row is not None and right and row.password == hashed and not row.disabled and not locked
        values: dict[str, Any] = {}
        if row is not None and let_in:
            values = {"failures": 0, "locked_until": None}
            if renewed is not None:
                values["password"] = renewed
        elif row is not None and not right:
            values = {"failures": (row.failures + 1) % _FAILURES}
            if row.failures + 1 >= _FAILURES:
                values["locked_until"] = as_utc_text(datetime.now(UTC) + _LOCKED)
        if row is not None and values:
            connection.execute(update(account).where(account.c.id == row.id).values(**values))
        who, role = (row.name, row.role) if row is not None else ("unknown", "")
        entry = Entry(who, role, "sign-in", outcome="done" if let_in else "refused")
        database.audit.append(connection, entry)
        return _account(row) if row is not None and let_in else None

    return database.write(work)


@contextmanager
def _place() -> Iterator[None]:
    """Wait for a place to hash a password at; so many wait and no more."""
    if not _places.acquire(blocking=False):
        raise BusyError("too many are signing in at this moment; try again in a few seconds")
    try:
        with _hashing:
            yield
    finally:
        _places.release()


def find(database: Database, name: str) -> Account:
    """Find an account.

    Raises:
        NotFoundError: there is none.
    """
    with database.reading() as connection:
        row = connection.execute(select(account).where(account.c.name == name)).first()
    if row is None:
        raise NotFoundError("there is no account {name!r}", name=name)
    return _account(row)


def every(database: Database) -> list[Account]:
    """List all accounts by name."""
    with database.reading() as connection:
        return [_account(row) for row in connection.execute(select(account).order_by(account.c.name))]


def set_password(
    database: Database, by: Actor, name: str, password: str, *, must_change: bool = False
) -> None:
    """Give an account another password; ends its sessions and, where somebody else gives it, its tokens.

    Raises:
        NotFoundError: there is no such account.
        InputError: the password is too weak.
    """
    one = find(database, name)
    check_password(password, name)
    hashed = _hasher.hash(password)

    def work(connection: Connection) -> None:
        connection.execute(
            update(account)
            .where(account.c.id == one.id)
            .values(password=hashed, must_change=must_change, failures=0, locked_until=None)
        )
        connection.execute(delete(session).where(session.c.account_id == one.id))
        if must_change:
            _revoke_tokens(connection, one.id)
        database.audit.append(connection, Entry(by.name, by.role, "account.password", target=name))

    database.write(work)


def change(
    database: Database,
    by: Actor,
    name: str,
    *,
    role: str | None = None,
    display: str | None = None,
    sees_all: bool | None = None,
    disabled: bool | None = None,
    language: str | None = None,
) -> Account:
    """Change an account; another role, or being disabled, ends its sessions and tokens at once.

    Raises:
        NotFoundError: there is no such account.
        InputError: there is no such role, or the last administrator would be gone.
    """
    one = find(database, name)
    given = {
        "role": role,
        "display": display,
        "sees_all": sees_all,
        "disabled": disabled,
        "language": language,
    }
    values = {key: value for key, value in given.items() if value is not None}
    if role is not None and role not in get_args(Role):
        raise InputError("there is no role {role!r}; there are: {roles}", role=role, roles=get_args(Role))
    ends = (role is not None and role != one.role) or disabled
    # where there is none, as on a site whose accounts a program makes, everything else may change all the same
    was_admin = one.role == "admin" and not one.disabled

    def work(connection: Connection) -> None:
        connection.execute(update(account).where(account.c.id == one.id).values(**values))
        admins = connection.execute(
            select(account.c.id).where(account.c.role == "admin", account.c.disabled.is_(False))
        ).all()
        if was_admin and not admins:
            raise InputError("this is the last administrator; let somebody else be one first")
        if ends:
            connection.execute(delete(session).where(session.c.account_id == one.id))
            _revoke_tokens(connection, one.id)
        database.audit.append(
            connection,
            Entry(by.name, by.role, "account.changed", target=name, detail=json.loads(json.dumps(values))),
        )

    if values:
        database.write(work)
    return find(database, name)


def unlock(database: Database, by: Actor, name: str) -> None:
    """Let an account try again that is locked after failures; raises NotFoundError where there is none."""
    one = find(database, name)

    def work(connection: Connection) -> None:
        connection.execute(
            update(account).where(account.c.id == one.id).values(failures=0, locked_until=None)
        )
        database.audit.append(connection, Entry(by.name, by.role, "account.unlocked", target=name))

    database.write(work)


def new_password() -> str:
    """Make a password to be typed once: 98 bits, without letters that look alike.

    >>> len(new_password())
    24
    """
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(5))
    return "-".join(groups)


def set_team(database: Database, by: Actor, name: str, subjects: list[int]) -> None:
    """Say whose patients an account sees; replaces what was said before.

    Raises:
        NotFoundError: there is no such account.
    """
    one = find(database, name)
    now = utc_now()

    def work(connection: Connection) -> None:
        connection.execute(delete(care_team).where(care_team.c.account_id == one.id))
        rows = [{"account_id": one.id, "subject_id": subject, "since": now} for subject in set(subjects)]
        if rows:
            connection.execute(insert(care_team), rows)
        database.audit.append(
            connection,
            Entry(by.name, by.role, "care-team.set", target=name, detail={"patients": len(rows)}),
        )

    database.write(work)


def team_of(database: Database, account_id: int) -> frozenset[int]:
    """List the patients of an account's care team, and those it broke glass for."""
    with database.reading() as connection:
        own = connection.execute(select(care_team.c.subject_id).where(care_team.c.account_id == account_id))
        broken = connection.execute(
            select(broken_glass.c.subject_id).where(
                broken_glass.c.account_id == account_id, broken_glass.c.until > utc_now()
            )
        )
        return frozenset([*own.scalars(), *broken.scalars()])


def care_team_of(database: Database, account_id: int) -> frozenset[int]:
    """List the patients of an account's care team alone."""
    query = select(care_team.c.subject_id).where(care_team.c.account_id == account_id)
    with database.reading() as connection:
        return frozenset(connection.execute(query).scalars())


def team_sizes(database: Database) -> dict[int, int]:
    """Count the patients of each account's care team."""
    query = select(care_team.c.account_id, func.count()).group_by(care_team.c.account_id)
    with database.reading() as connection:
        return {int(account_id): int(n) for account_id, n in connection.execute(query)}


def break_glass(database: Database, account_id: int, by: Actor, subject_id: int, reason: str) -> None:
    """Let an account see a patient of others for 12 hours; the reason is audited.

    Raises:
        InputError: no reason is given.
    """
    if len(reason.strip()) < 5:
        raise InputError("say why you need to see this patient; governance reads it")
    until = as_utc_text(datetime.now(UTC) + _GLASS)
    values = {
        "account_id": account_id,
        "subject_id": subject_id,
        "reason": reason.strip(),
        "time": utc_now(),
        "until": until,
    }

    def work(connection: Connection) -> None:
        connection.execute(insert(broken_glass), values)
        database.audit.append(
            connection, Entry(by.name, by.role, "glass.broken", subject_id, reason=reason.strip())
        )

    database.write(work)


def _revoke_tokens(connection: Connection, account_id: int) -> None:
    connection.execute(
        update(token)
        .where(token.c.account_id == account_id, token.c.revoked.is_(None))
        .values(revoked=utc_now())
    )


def _verified(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _account(row: Row[Any]) -> Account:
    return Account(
        row.id,
        row.name,
        row.display,
        row.role,
        row.language,
        row.sees_all,
        row.must_change,
        row.disabled,
        row.locked_until,
        row.created,
    )
