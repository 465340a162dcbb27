"""Opening `site.db`, SQLite by default or PostgreSQL by URL; one transaction is whole or nothing."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from medloom.database import migrations
from medloom.database.audit import AuditLog
from medloom.foundation.errors import InputError, MedloomError, StorageError
from medloom.foundation.site import SiteDirectory
from medloom.foundation.together import ClosedError, Together
from medloom.record.keys import derived, site_key

T = TypeVar("T")

URL_VARIABLE: Final = "MEDLOOM_DATABASE"
_FILE: Final = "site.db"
_PATIENCE: Final = 10  # seconds to wait for another writer, or for a server
_AT_ONCE: Final = 64  # writers whose work is kept in one transaction
_CONNECTIONS: Final = 20


class DatabaseGoneError(StorageError):
    """`site.db` cannot be reached now; it may be again."""


class Database:
    """The database of a site, with its audit log.

    Writers of one process queue up, and those who wait are kept together in one transaction: a commit costs a write
    to the disk, whether of one or of many.

    Args:
        url: of SQLAlchemy: `sqlite:////path/site.db`, `postgresql+psycopg://…`.
        audit: the log.

    Raises:
        InputError: this is no URL of a database that is known here.
        DatabaseGoneError: it cannot be reached.
    """

    def __init__(self, url: str | URL, audit: AuditLog) -> None:
        self.audit = audit
        self._engine = _engine(url)
        self._lock = threading.Lock()
        with self.writing() as connection:
            migrations.upgrade(connection)
        self._writers = Together(self._write_together, _AT_ONCE, "medloom-database")

    @classmethod
    def of(cls, site: SiteDirectory) -> Database:
        """Open a site's: as MEDLOOM_DATABASE says, else `site.db` in its directory."""
        url = os.environ.get(URL_VARIABLE) or URL.create("sqlite", database=str(site.root / _FILE))
        return cls(url, AuditLog(derived(site_key(site), "audit")))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one moment.

        Raises:
            DatabaseGoneError: it cannot be reached.
        """
        with _refusals(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Keep all that is done in the block, or, when it fails, none of it.

        Raises:
            DatabaseGoneError: it cannot be reached; nothing was kept.
            StorageError: the disk is full or read-only; nothing was kept.
        """
        with _refusals(), self._lock, self._engine.connect() as plain:
            connection = plain.execution_options(medloom_writes=True)
            with connection.begin():
                self.audit.begin(connection)
                yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction shared with whoever writes at the same time; back when it is on the disk.

        What fails undoes its own work alone. `work` changes nothing but the database: it is done again where somebody
        else's in the same transaction failed. Raises as `writing`, and whatever `work` raises.
        """
        try:
            result: T = self._writers.ask(work).result()
        except ClosedError:
            raise _gone() from None
        return result

    def close(self) -> None:
        """Finish what was begun and let go."""
        self._writers.close()
        self._engine.dispose()

    def _write_together(self, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
        try:
            with self.writing() as connection:
                results = [work(connection) for work in works]
        except StorageError as error:  # nobody's own
            return [error] * len(works)
        return results


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise InputError(
                "{backend!r} is no database that Medloom can use; there are sqlite and postgresql",
                backend=parsed.get_backend_name(),
            )
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(Path(parsed.database or ""))
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(
            parsed,
            pool_size=_CONNECTIONS,
            max_overflow=_CONNECTIONS,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _PATIENCE},
        )
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(
            "{variable} is no URL of a database; it looks like postgresql://user:password@host/name",
            variable=URL_VARIABLE,
        ) from error
    except ModuleNotFoundError as error:
        raise InputError(
            "the driver of PostgreSQL is not installed; install it with: pip install 'medloom[postgres]'"
        ) from error


def _sqlite(path: Path) -> Engine:
    """Open a file; one that was moved away, or replaced from a copy, is noticed at the next use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    address = f"file:{quote(str(path.resolve()))}?mode=rw"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            address, uri=True, timeout=_PATIENCE, check_same_thread=False, isolation_level=None
        )

    def check(_connection: Any, record: Any, _proxy: Any) -> None:
        try:
            now = path.stat().st_ino
        except OSError:
            now = -1
        if record.info.setdefault("inode", now) != now:
            raise DisconnectionError

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=_CONNECTIONS,
        max_overflow=_CONNECTIONS,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "checkout", check)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    for pragma in (
        "journal_mode = WAL",  # readers do not wait for the writer
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("medloom_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what a database refuses inside the block into errors that say what mends them."""
    try:
        yield
    except MedloomError:
        raise
    except (DataError, OverflowError, UnicodeEncodeError):
        raise InputError("a number is too large, or a text holds what is no character") from None
    except DBAPIError as error:
        if _is_full(error):
            raise StorageError(
                "the disk that holds {name!r} is full; free some space and repeat: nothing was changed",
                name=_FILE,
            ) from None  # the statement's values may be of a patient
        if error.connection_invalidated or _is_gone(error):
            raise _gone() from None
        raise
    except (DisconnectionError, PoolTimeoutError):
        raise _gone() from None


def _gone() -> DatabaseGoneError:
    return DatabaseGoneError("the database of the site cannot be reached now; repeat in a moment")


def _is_full(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL" or (
        getattr(error.orig, "sqlstate", None) == "53100"
    )


def _is_gone(error: DBAPIError) -> bool:
    name = getattr(error.orig, "sqlite_errorname", "")
    gone = (
        "SQLITE_CANTOPEN",
        "SQLITE_IOERR",
        "SQLITE_READONLY",
        "SQLITE_BUSY",
        "SQLITE_NOTADB",
        "SQLITE_CORRUPT",
    )
    if name:
        return name.startswith(gone) or (name == "SQLITE_ERROR" and "no such table" in str(error.orig))
    state = getattr(error.orig, "sqlstate", None)
    # PostgreSQL: 08 connection, 57P shut down; psycopg gives none where no server answered
    return type(error.orig).__name__ == "OperationalError" and (state is None or state[:2] in ("08", "57"))
