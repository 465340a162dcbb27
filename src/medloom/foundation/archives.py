"""Archives of many files (.tar, plain or compressed), read once from front to back."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


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
