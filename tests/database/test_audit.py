"""The audit log is appended to, and shows when anything in it was changed, removed or put in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.tables.audit import audit
from medloom.foundation.errors import IntegrityError
from tests.databases import opened


def _fill(database: Database, n: int) -> None:
    for number in range(n):
        entry = Entry("anna", "clinician", "patient.seen", number, reason="Visite 查房", detail={"n": number})
        database.write(lambda connection, entry=entry: database.audit.append(connection, entry))


def _verify(database: Database, head: str | None = None) -> int:
    with database.reading() as connection:
        return database.audit.verify(connection, head).entries


def test_a_log_that_nobody_touched_verifies(database: Database) -> None:
    assert _verify(database) == 0
    _fill(database, 5)
    assert _verify(database) == 5


@pytest.mark.parametrize(
    "values",
    [{"reason": "other"}, {"subject_id": 99}, {"actor": "bob"}, {"outcome": "refused"}, {"digest": "0" * 64}],
)
def test_a_changed_entry_is_named(database: Database, values: dict[str, Any]) -> None:
    _fill(database, 4)
    with database.writing() as connection:
        connection.execute(update(audit).where(audit.c.number == 3).values(**values))
    with pytest.raises(IntegrityError, match="entry 3"):
        _verify(database)


def test_a_removed_entry_shows(database: Database) -> None:
    _fill(database, 4)
    with database.writing() as connection:
        connection.execute(delete(audit).where(audit.c.number == 2))
    with pytest.raises(IntegrityError, match="entry 2"):
        _verify(database)


def test_what_is_cut_off_at_the_end_shows_by_a_seal_noted_before(database: Database) -> None:
    _fill(database, 4)
    with database.reading() as connection:
        head = database.audit.verify(connection).head
    with database.writing() as connection:
        connection.execute(delete(audit).where(audit.c.number == 4))
    assert _verify(database) == 3
    with pytest.raises(IntegrityError, match="cut short"):
        _verify(database, head)


def test_who_has_another_key_cannot_make_entries(database: Database, url: str) -> None:
    _fill(database, 2)
    with database.reading() as connection:
        last = dict(connection.execute(select(audit).where(audit.c.number == 2)).mappings().one())
    with database.writing() as connection:
        connection.execute(insert(audit), last | {"number": 3, "previous": last["digest"]})
    with pytest.raises(IntegrityError, match="entry 3"):
        _verify(database)


def test_two_processes_that_append_at_once_keep_one_chain(database: Database, url: str) -> None:
    other = opened(url)
    try:
        for _ in range(3):
            _fill(database, 2)
            _fill(other, 2)
        assert _verify(database) == 12
    finally:
        other.close()


def test_what_fails_leaves_no_entry(database: Database) -> None:
    def work(connection: Any) -> None:
        database.audit.append(connection, Entry("anna", "clinician", "patient.seen"))
        raise ValueError("after all")

    with pytest.raises(ValueError, match="after all"):
        database.write(work)
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(audit)).scalar() == 0
