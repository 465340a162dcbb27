"""The SQLite files of a site: opened in one way, their refusals said in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medloom.foundation.errors import IntegrityError, LockedError, MedloomError, StorageError

_PATIENCE = 30  # seconds to wait for another writer


def connect(path: Path, shared: bool = False) -> sqlite3.Connection:
    """Open a database that only its owner may read, in which what is deleted is overwritten.

    One file, no write-ahead log beside it: what is erased is nowhere else, and a copy of the folder is complete.

    Args:
        path: of the file.
        shared: whether several threads use the connection; they take turns by a lock of their own.
    """
    with database_errors(path):
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=_PATIENCE, check_same_thread=not shared
        )
        connection.execute("PRAGMA secure_delete = ON")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep all that is done in the block, or, when it fails, none of it; one writer at a time."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's refusals inside the block into errors that say what mends them.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
        LockedError: another process has been writing for too long.
        IntegrityError: the file is damaged or is no database.
    """
    try:
        yield
    except MedloomError:
        raise
    except PermissionError as error:
        raise StorageError(
            "no permission to read or write in {name!r}; check its owner and mode", name=path.parent.name
        ) from error
    except sqlite3.DatabaseError as error:
        kind = getattr(error, "sqlite_errorname", "")
        if kind == "SQLITE_FULL":
            raise StorageError(
                "the disk that holds {name!r} is full; free some space and repeat: nothing was changed",
                name=path.name,
            ) from error
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise LockedError(
                "{name} is being written by another process; repeat when it has finished", name=path.name
            ) from error
        if kind.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
            raise StorageError(
                "{name} cannot be written ({reason}); check the disk, its owner and mode",
                name=path.name,
                reason=kind,
            ) from error
        if kind.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise IntegrityError("{name} is damaged; restore the site from a copy", name=path.name) from error
        raise
