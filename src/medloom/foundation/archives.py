"""Archives of many files: .tar, plain or compressed, read once from front to back; .zip, unpacked with care."""

from __future__ import annotations

import errno
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

from medloom.foundation.errors import InputError

ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
MOST_FILES: Final = 100_000
MOST_RATIO: Final = (
    200  # text of hospitals shrinks to a twentieth, seldom to a fiftieth; a bomb to a thousandth
)
_FREE: Final = 10 * 1024**2  # bytes for which no ratio is asked
_PIECE: Final = 1 << 20


class DamagedArchiveError(Exception):
    """An archive cannot be read to its end; whoever reads it says so in its own words. Never reaches a user."""


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the regular files in an archive: name, and content to be read before the next is asked for.

    Raises:
        DamagedArchiveError: it is no archive, or the rest of it is broken or missing.
    """
    # not "r|*": as a stream gzip's check sum is not looked at
    with archive_damage(), tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, content
        rest = archive.fileobj
        while rest is not None and rest.read(1 << 20):
            pass  # the check sum stands at the end


def unpack_zip(path: Path, into: Path, most: int, endings: tuple[str, ...]) -> None:
    """Unpack files of a ZIP that somebody has sent, inside a folder and nowhere else.

    Args:
        path: of the ZIP.
        into: an empty folder.
        most: bytes in all.
        endings: of names, in lower case; other files are left out.

    Raises:
        InputError: a name leads out of the folder, an entry is no plain file, or there is too much in it.
        DamagedArchiveError: it is no ZIP, or broken.
    """
    with archive_damage():
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
                if len(entries) > MOST_FILES:
                    raise InputError("the archive holds more than {n:,} files", n=MOST_FILES)
                for entry in entries:
                    most -= _unpack(archive, entry, into, most, endings)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise DamagedArchiveError(type(error).__name__) from error


def unpacked_size(path: Path, most: int) -> int:
    """Count the bytes a file unpacks to, where its name ends in .gz; more than `most` are not counted on.

    Raises:
        InputError: it unpacks to suspiciously much.
        DamagedArchiveError: it is broken.
    """
    packed = path.stat().st_size
    if path.suffix.lower() != ".gz":
        return packed
    size = 0
    with archive_damage(), gzip.open(path) as content:
        while size <= most and (piece := content.read(_PIECE)):
            size += len(piece)
            _check_ratio(size, packed)
    return size


def _unpack(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path, most: int, endings: tuple[str, ...]
) -> int:
    """Unpack one entry; gives its bytes."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename or "\0" in entry.filename:
        raise InputError("the archive holds a name that leads out of it; it was not unpacked")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError("the archive holds a link or a device; it was not unpacked")
    if entry.flag_bits & 1:
        raise InputError("the archive is protected by a password; send it without one")
    target = into.joinpath(*name.parts)
    if entry.is_dir() or not name.name.lower().endswith(endings):
        return 0
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # what the entry says of its size is not believed
        with archive.open(entry) as content, target.open("xb") as file:
            while piece := content.read(_PIECE):
                size += len(piece)
                if size > most:
                    break
                _check_ratio(size, entry.compress_size)
                file.write(piece)
        size = max(size, unpacked_size(target, most))
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
            raise InputError("the archive holds a name twice, or one that is too long") from None
        raise
    if size > most:
        raise InputError("the archive unpacks to more than this site takes at once")
    return size


def _check_ratio(size: int, packed: int) -> None:
    if size > _FREE and size > MOST_RATIO * max(packed, 1):
        raise InputError(
            "the archive unpacks to more than {n} times its size; it was not taken", n=MOST_RATIO
        )


@contextmanager
def archive_damage() -> Iterator[None]:
    """Turn what the decompressors say of broken bytes inside the block into one error.

    Raises:
        DamagedArchiveError: the bytes are broken or end too early.
    """
    try:
        yield
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DamagedArchiveError(type(error).__name__) from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not the bytes'
            raise
        raise DamagedArchiveError(type(error).__name__) from error
