"""Where DICOM files come from: folders, media with a DICOMDIR, archives; each opened without reading all of it."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medloom.foundation.errors import InputError, NotFoundError
from medloom.record.imaging.dicom.elements import Buffer, items
from medloom.record.imaging.dicom.layout import laid_open

_RECORDS: Final = 0x00041220
_FILE: Final = 0x00041500
_MOST_BYTES: Final = 2 << 30


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file is.

    Attributes:
        path: of the file, or of the archive that holds it.
        member: its name in the archive; empty: it is none.
        file: ordinal of the path among the sources.
        row: which member of the archive, from 1.
    """

    path: Path
    member: str = ""
    file: int = 0
    row: int = 1

    @property
    def name(self) -> str:
        """Give the name that the file goes by."""
        return self.member or self.path.name


def sources_of(path: Path) -> list[Path]:
    """List the files to read: of a folder all below it, of a DICOMDIR those it names, else the file itself.

    Raises:
        NotFoundError: there is no such file or folder.
        InputError: the folder is empty.
    """
    if path.is_dir():
        hidden = (".", "__MACOSX")
        found = (one for one in path.rglob("*") if one.is_file())
        files = sorted(
            one for one in found if not any(part.startswith(hidden) for part in one.relative_to(path).parts)
        )
        if not files:
            raise InputError("there is no file below {path!r}", path=str(path))
        return files
    if not path.is_file():
        raise NotFoundError("there is no file or folder {path!r}", path=str(path))
    return _named_by(path) if path.name.upper().startswith("DICOMDIR") else [path]


def origins_of(sources: list[Path]) -> Iterator[Origin]:
    """Give every file, those in archives one by one.

    Raises:
        InputError: an archive is damaged.
    """
    for number, path in enumerate(sources):
        if not _is_archive(path):
            yield Origin(path, "", number)
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                members = sorted(one.filename for one in archive.infolist() if not one.is_dir())
        except (zipfile.BadZipFile, OSError):
            raise InputError(
                "the archive {name!r} is damaged or cut short; copy it again", name=path.name
            ) from None
        yield from (
            Origin(path, name, number, row)
            for row, name in enumerate(members, 1)
            if not name.startswith("__MACOSX")
        )


@contextmanager
def opened(origin: Origin) -> Iterator[Buffer]:
    """Open a file for looking into, without reading all of it; a member of an archive is read.

    Raises:
        InputError: it cannot be opened, or is damaged in its archive.
    """
    try:
        if origin.member:
            with zipfile.ZipFile(origin.path) as archive:
                if archive.getinfo(origin.member).file_size > _MOST_BYTES:
                    raise InputError("a file in an archive is larger than 2 GB; unpack the archive")
                content = archive.read(origin.member)
            yield content
            return
        with origin.path.open("rb") as file:
            if origin.path.stat().st_size == 0:
                yield b""
                return
            seen = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        yield seen  # not closed here: pieces of it may still be waiting to be written
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError):
        raise InputError("a file cannot be opened, or changed while it was read") from None


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def _named_by(directory: Path) -> list[Path]:
    """List what a DICOMDIR names (PS3.10 section 8, PS3.3 F.3.2.2), itself first; nothing outside its folder."""
    layout = laid_open(directory.read_bytes())
    records = layout.by_tag.get(_RECORDS)
    if records is None:
        raise InputError("the DICOMDIR {name!r} names no files; import its folder", name=directory.name)
    found = {directory: None}
    for record in items(layout.body, records, layout.encoding, 0):
        for element in record:
            if element.tag == _FILE:
                told = bytes(layout.body[element.value : element.end]).decode("ascii", "ignore").strip(" \0")
                parts = [part.strip() for part in told.split("\\") if part.strip()]
                if parts and not any(part in (".", "..") or "/" in part for part in parts):
                    found[_as_written(directory.parent, parts)] = None
    return list(found)


def _as_written(folder: Path, parts: list[str]) -> Path:
    """Find a file whose name a medium tells in capitals; systems that copy media write some of them small."""
    plain = folder.joinpath(*parts)
    small = folder.joinpath(*(part.lower() for part in parts))
    return small if small.is_file() and not plain.is_file() else plain
