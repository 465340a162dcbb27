"""Who may come in: passwords, lockout, roles, care teams; sessions and tokens with an end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text
from medloom.database.tables.accounts import account, session, token
from medloom.database.tables.audit import audit
from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.access import Permission
from medloom.server.sessions import Sessions
from tests.databases import opened

ADMIN = Actor("root", "admin")
PASSWORD = "drei kleine Pferde am Bach"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = opened(f"sqlite:///{tmp_path / 'site.db'}")
    accounts.create(made, ADMIN, "admin", "admin", PASSWORD)
    accounts.create(made, ADMIN, "anna", "clinician", PASSWORD, must_change=False)
    yield made
    made.close()


def test_a_password_lets_in_and_is_kept_as_argon2id(database: Database) -> None:
    found = accounts.authenticate(database, "anna", PASSWORD)
    assert found is not None and found.role == "clinician"
    with database.reading() as connection:
        kept = connection.execute(select(account.c.password).where(account.c.name == "anna")).scalar()
    assert kept is not None and kept.startswith("$argon2id$") and PASSWORD not in kept


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("anna", "")])
def test_what_is_wrong_is_not_told_apart(database: Database, name: str, password: str) -> None:
    assert accounts.authenticate(database, name, password) is None


def test_five_failures_lock_for_a_quarter_of_an_hour(database: Database) -> None:
    for _ in range(5):
        accounts.authenticate(database, "anna", "wrong")
    assert accounts.authenticate(database, "anna", PASSWORD) is None
    with database.writing() as connection:
        past = as_utc_text(datetime.now(UTC) - timedelta(seconds=1))
        connection.execute(update(account).where(account.c.name == "anna").values(locked_until=past))
    assert accounts.authenticate(database, "anna", PASSWORD) is not None


def test_every_try_is_in_the_audit_log_without_the_password(database: Database) -> None:
    accounts.authenticate(database, "anna", "a guess that is wrong")
    accounts.authenticate(database, "a guess that is a name", "x")
    with database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "sign-in")).mappings().all()
    assert [(row["actor"], row["outcome"]) for row in rows] == [("anna", "refused"), ("unknown", "refused")]
    assert "guess" not in str(rows)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaa", "berta berta berta"])
def test_a_weak_password_is_refused(database: Database, password: str) -> None:
    with pytest.raises(InputError):
        accounts.create(database, ADMIN, "berta", "expert", password)


@pytest.mark.parametrize(("name", "role"), [("anna", "expert"), ("Not A Name", "expert"), ("carl", "owner")])
def test_a_name_taken_or_an_unknown_role_is_refused(database: Database, name: str, role: str) -> None:
    with pytest.raises(InputError):
        accounts.create(database, ADMIN, name, role, PASSWORD)


def test_the_last_administrator_stays(database: Database) -> None:
    with pytest.raises(InputError, match="last administrator"):
        accounts.change(database, ADMIN, "admin", disabled=True)
    assert not accounts.find(database, "admin").disabled


def test_a_session_says_who_and_ends_with_the_account(database: Database) -> None:
    sessions = Sessions(database)
    secret = sessions.start(accounts.find(database, "anna").id)
    person = sessions.of_cookie(secret)
    assert person is not None and person.login == "anna" and Permission.ANSWER in person.permissions
    assert sessions.of_cookie(secret + "x") is None
    accounts.change(database, ADMIN, "anna", disabled=True)
    sessions.forget()
    assert sessions.of_cookie(secret) is None


@pytest.mark.parametrize("column", ["seen", "expires"])
def test_a_session_ends_when_idle_and_in_any_case(database: Database, column: str) -> None:
    sessions = Sessions(database)
    secret = sessions.start(accounts.find(database, "anna").id)
    with database.writing() as connection:
        past = as_utc_text(datetime.now(UTC) - timedelta(hours=1))
        connection.execute(update(session).values(**{column: past}))
    assert sessions.of_cookie(secret) is None


def test_a_token_has_its_scopes_alone_and_is_kept_as_a_digest(database: Database) -> None:
    sessions = Sessions(database)
    anna = sessions.of_cookie(sessions.start(accounts.find(database, "anna").id))
    assert anna is not None
    secret = sessions.new_token(anna, "dashboard", [Permission.READ_PATIENTS], 30)
    person = sessions.of_token(secret)
    assert (
        person is not None
        and person.permissions == {Permission.READ_PATIENTS, Permission.KNOW_ONESELF}
        and person.csrf is None
    )
    with database.reading() as connection:
        assert secret not in str(connection.execute(select(token)).all())
    sessions.revoke_token(anna, 1)
    assert sessions.of_token(secret) is None


@pytest.mark.parametrize("scopes", [[], ["manage-accounts"], ["own-account"], ["nonsense"]])
def test_a_token_cannot_do_more_than_its_owner(database: Database, scopes: list[str]) -> None:
    sessions = Sessions(database)
    anna = sessions.of_cookie(sessions.start(accounts.find(database, "anna").id))
    assert anna is not None
    with pytest.raises(InputError, match="scopes"):
        sessions.new_token(anna, "x", scopes, 30)
    with pytest.raises(NotFoundError):
        sessions.revoke_token(anna, 7)


def test_a_broken_glass_lets_in_for_hours_and_its_reason_is_kept(database: Database) -> None:
    anna = accounts.find(database, "anna")
    accounts.set_team(database, ADMIN, "anna", [3, 4, 3])
    assert accounts.team_of(database, anna.id) == {3, 4}
    with pytest.raises(InputError, match="why"):
        accounts.break_glass(database, anna.id, Actor("anna", "clinician"), 7, " ")
    accounts.break_glass(database, anna.id, Actor("anna", "clinician"), 7, "emergency call")
    assert accounts.team_of(database, anna.id) == {3, 4, 7}
    with database.reading() as connection:
        (row,) = connection.execute(select(audit).where(audit.c.action == "glass.broken")).mappings().all()
        assert connection.execute(select(func.count()).select_from(audit)).scalar() == 4
    assert (row["subject_id"], row["reason"]) == (7, "emergency call")


def test_a_password_that_somebody_else_gives_ends_sessions_and_tokens(database: Database) -> None:
    sessions = Sessions(database)
    cookie = sessions.start(accounts.find(database, "anna").id)
    anna = sessions.of_cookie(cookie)
    assert anna is not None
    secret = sessions.new_token(anna, "dashboard", [Permission.READ_PATIENTS], 30)
    accounts.set_password(database, ADMIN, "anna", "noch ein Satz, lang genug", must_change=True)
    sessions.forget()
    assert sessions.of_cookie(cookie) is None and sessions.of_token(secret) is None
