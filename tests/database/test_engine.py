"""One transaction is whole or nothing; a database that is gone is said to be, and found again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select

from medloom.database.engine import Database, DatabaseGoneError
from medloom.database.metadata import metadata, utc_now
from medloom.database.tables.work import job
from medloom.foundation.errors import InputError, IntegrityError
from tests.databases import new_database, opened, postgres_server


def _insert(connection: Connection, name: str) -> None:
    row = {"kind": "import", "state": "done", "asked_by": "anna", "arguments": "{}", "step": "", "done": 1.0}
    connection.execute(insert(job), row | {"id": name, "result": "{}", "error": "", "created": utc_now()})


def _names(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(connection.execute(select(job.c.id)).scalars())


def test_the_steps_lead_to_the_tables_as_the_code_knows_them(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_a_newer_medloom_is_refused(database: Database, url: str) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(IntegrityError, match="newer Medloom"):
        opened(url)


def test_who_writes_at_once_is_kept_together_and_fails_alone(database: Database) -> None:
    failed: list[str] = []

    def one(number: int) -> None:
        def work(connection: Connection) -> None:
            _insert(connection, f"job-{number}")
            if number % 3 == 0:
                raise ValueError(number)

        try:
            database.write(work)
        except ValueError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _names(database) == {f"job-{number}" for number in range(24) if number % 3}
    assert len(failed) == 8


def test_who_comes_when_it_is_closed_does_not_wait_for_ever(tmp_path: Path) -> None:
    made = opened(f"sqlite:///{tmp_path / 'site.db'}")
    made.close()
    with pytest.raises(DatabaseGoneError):
        made.write(lambda connection: None)


def test_a_block_that_fails_keeps_nothing(database: Database) -> None:
    def fail() -> None:
        with database.writing() as connection:
            _insert(connection, "a")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert _names(database) == set()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        opened(url)


def test_a_sqlite_file_that_cannot_be_reached_is_said_to_be_gone_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    database = opened(f"sqlite:///{folder / 'site.db'}")
    database.write(lambda connection: _insert(connection, "before"))
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(DatabaseGoneError):
        database.write(lambda connection: _insert(connection, "while"))
    (tmp_path / "elsewhere").rename(folder)
    database.write(lambda connection: _insert(connection, "after"))
    assert _names(database) == {"before", "after"}
    database.close()


def test_a_postgresql_server_that_stops_is_said_to_be_gone() -> None:
    with postgres_server() as socket:
        database = opened(new_database(socket))
        database.write(lambda connection: _insert(connection, "before"))
    started = time.monotonic()
    with pytest.raises(DatabaseGoneError):
        database.write(lambda connection: _insert(connection, "while"))
    assert time.monotonic() - started < 15
    database.close()
