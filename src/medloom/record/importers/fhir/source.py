"""The files of a FHIR source: found, opened, decompressed and cut into lines, in bounded memory."""

from __future__ import annotations

import codecs
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from medloom.foundation.archives import ARCHIVES, DamagedArchiveError, archive_damage, members
from medloom.foundation.errors import InputError, StorageError
from medloom.foundation.files import storage_errors
from medloom.record.importers.fhir import problems

LINES: Final = (".ndjson", ".jsonl")
SUFFIXES: Final = tuple(suffix + packed for suffix in (*LINES, ".json") for packed in ("", ".gz"))
_CHUNK: Final = 1 << 18


class DamagedError(Exception):
    """The rest of a file cannot be read; `problem` says why. Never leaves this package."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def find(path: Path) -> list[Path]:
    """List the files to read: `path` itself, or all in the folder and below, sorted.

    Raises:
        InputError: there is no such path, or nothing in it has a name FHIR files have.
        StorageError: a folder or file may not be read.
    """
    looked_for = (*SUFFIXES, *ARCHIVES)
    if path.is_dir():
        found = sorted(file for file in _walk(path) if file.name.lower().endswith((*SUFFIXES, *ARCHIVES)))
        if not found:
            raise InputError(
                "no FHIR files in folder {path!r}; looked for: {suffixes}",
                path=str(path),
                suffixes=looked_for,
            )
    elif path.exists():
        if not path.name.lower().endswith((*SUFFIXES, *ARCHIVES)):
            raise InputError(
                "{name!r} does not look like FHIR; files end in one of: {suffixes}",
                name=path.name,
                suffixes=looked_for,
            )
        found = [path]
    else:
        raise InputError("{path!r} does not exist; name a FHIR file, folder or tar", path=str(path))
    for file in found:
        if not os.access(file, os.R_OK):
            raise StorageError("no permission to read {name!r}; check its owner and mode", name=file.name)
    return found


def documents(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield what a file holds, the members of a tar or itself: name without `.gz`, and its bytes in UTF-8.

    The bytes come in pieces and have to be used up before the next document is asked for.

    Raises:
        DamagedError: from the pieces or from a tar, when what can be read has been yielded.
    """
    name = path.name.lower()
    with storage_errors(path.parent):
        if name.endswith(ARCHIVES):
            yield from _members(path)
            return
        with path.open("rb", buffering=0) as file:
            yield _document(name, file)


def lines(pieces: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Cut pieces into blocks of whole lines; the lines before damage are yielded before it is raised."""
    rest = b""
    for piece in pieces:
        block = (rest + piece).split(b"\n")
        rest = block.pop()
        if block:
            yield block
    if rest:
        yield [rest]


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise StorageError(
            "no permission to read the folder {name!r}; check its owner and mode",
            name=Path(error.filename or folder).name,
        ) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(place, file) for file in files if not file.startswith("."))


def _members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    try:
        for address, content in members(path):
            name = address.rpartition("/")[2].lower()
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield _document(name, content)
    except DamagedArchiveError as error:
        raise DamagedError(problems.EMPTY_FILE if path.stat().st_size == 0 else problems.TRUNCATED) from error


def _document(name: str, file: IO[bytes]) -> tuple[str, Iterator[bytes]]:
    packed = name.endswith(".gz")
    return name.removesuffix(".gz"), _in_utf8(_gunzipped(file) if packed else _raw(file))


def _raw(file: IO[bytes]) -> Iterator[bytes]:
    try:
        with archive_damage():
            while piece := file.read(_CHUNK):
                yield piece
    except DamagedArchiveError as error:
        raise DamagedError(problems.TRUNCATED) from error


def _gunzipped(file: IO[bytes]) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952), of several members too; what stands before damage is yielded."""
    # `gzip.open` reads in small steps, and keeps to itself what precedes the damage.
    unzip = zlib.decompressobj(31)
    begun = False
    for piece in _raw(file):
        data = piece
        while data:
            if unzip.eof:
                data = data.lstrip(b"\0")  # padding between members
                if not data:
                    break
                unzip = zlib.decompressobj(31)
            begun = True
            try:
                plain = unzip.decompress(data)
            except zlib.error as error:
                raise DamagedError(problems.CORRUPT) from error
            data = unzip.unused_data
            if plain:
                yield plain
    if begun and not unzip.eof:
        raise DamagedError(problems.TRUNCATED)


def _in_utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Take a byte order mark off; turn UTF-16 into UTF-8. All other encodings are left to fail as JSON."""
    first = next(pieces, b"")
    if first.startswith(codecs.BOM_UTF8):
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from pieces
        return
    encoding = _utf16(first)
    if encoding is None:
        if first:
            yield first
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(first).encode()
        for piece in pieces:
            yield decoder.decode(piece).encode()
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise DamagedError(problems.NOT_UTF8) from error


def _utf16(first: bytes) -> str | None:
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # JSON begins with an ASCII character (RFC 4627 § 3)
    if len(first) >= 2 and (first[0] == 0) != (first[1] == 0):
        return "utf-16-be" if first[0] == 0 else "utf-16-le"
    return None
