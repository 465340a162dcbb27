"""Files and folders that are replaced whole or not at all, and one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medloom.foundation.errors import IntegrityError, LockedError, MedloomError, StorageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends well.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".incoming-", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically, in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a small file atomically, with permission bits `mode` when given."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        if mode is not None:
            temporary.chmod(mode)


def replace_symlink(link: Path, target: str) -> None:
    """Point `link` at `target` in one atomic step."""
    temporary = link.with_name(f".{link.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    sync(link.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; nothing there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block; the lock dies with its process.

    Raises:
        LockedError: another process holds it.
    """
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            raise LockedError(
                "{what} is being written by process {pid}; wait until it has finished",
                what=what,
                pid=holder or "?",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn the system's refusals inside the block into a `StorageError` that says what mends it."""
    try:
        yield
    except MedloomError:
        raise
    except OSError as error:
        name = folder.name or str(folder)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                "the disk that holds {name!r} is full; free some space and repeat: nothing was changed",
                name=name,
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                "no permission to read or write in {name!r}; check its owner and mode", name=name
            ) from error
        raise


def write_json(path: Path, content: object) -> None:
    """Write plain JSON values atomically, for people to read too."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False))


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote.

    Raises:
        IntegrityError: it is none any more.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(
            "{file} was altered and cannot be read; make it again with: medloom evaluate", file=path.name
        ) from error
