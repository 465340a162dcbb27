"""Files that people bring to be imported: kept in the site until they are, under names of ours, unpacked with care.

Names of files may name patients and may point elsewhere: a single file gets a name of ours, and of what is in a
ZIP only names are taken that stay inside (CWE-22). What is unpacked is bounded in size, number and ratio (CWE-409).
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import IO, Final

from medloom.foundation import registry
from medloom.foundation.archives import DamagedArchiveError, unpack_zip, unpacked_size
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import remove, storage_errors, write_text
from medloom.foundation.site import SiteDirectory
from medloom.record.importers.table import suggest
from medloom.record.importers.table.mapping import parse_mapping

_FOLDER: Final = "uploads"
_CONTENT: Final = "content"
_MAPPING: Final = "mapping.yaml"
_ID: Final = re.compile("[0-9a-f]{32}")
_ENDINGS: Final = (
    *(".csv.gz", ".tsv.gz", ".txt.gz", ".ndjson.gz", ".json.gz", ".jsonl.gz"),
    *(".csv", ".tsv", ".txt", ".parquet", ".ndjson", ".json", ".jsonl"),
)
_PIECE: Final = 1 << 20
_KEPT: Final = 3600.0  # seconds for which an upload waits to be confirmed
MOST_UNPACKED: Final = 20 * 1024**3  # bytes


class Uploads:
    """The folder of a site in which uploads wait; each has a number of 32 hexadecimal digits."""

    def __init__(self, site: SiteDirectory) -> None:
        self._folder = site.root / _FOLDER

    def take(self, content: IO[bytes], name: str) -> str:
        """Keep an upload, a ZIP unpacked; gives its number.

        Raises:
            InputError: it is no file of a kind that can be imported, or unpacks to too much.
            StorageError: the disk is full.
        """
        ending = _ending(name)
        upload = secrets.token_hex(16)
        folder = self._folder / upload
        with storage_errors(self._folder.parent):
            folder.mkdir(parents=True, mode=0o700)
            self._folder.chmod(0o700)
            try:
                kept = folder / (_CONTENT + ending)
                with kept.open("wb") as file:
                    shutil.copyfileobj(content, file, _PIECE)
                if ending == ".zip":
                    (folder / _CONTENT).mkdir()
                    unpack_zip(kept, folder / _CONTENT, MOST_UNPACKED, _ENDINGS)
                    kept.unlink()
                _check_size(folder)
            except DamagedArchiveError:
                remove(folder)
                raise InputError("this archive is damaged; send it again") from None
            except BaseException:
                remove(folder)
                raise
        return upload

    def source(self, upload: str) -> Path:
        """Give the file, or the folder that was in the ZIP.

        Raises:
            NotFoundError: there is no such upload, or no longer.
        """
        found = sorted(self._place(upload).glob(f"{_CONTENT}*"))
        if not found:
            raise NotFoundError("this upload is gone; send the file again")
        (source,) = found
        # an archive often holds one folder that holds all
        while source.is_dir() and len(inner := list(source.iterdir())) == 1 and inner[0].is_dir():
            source = inner[0]
        return source

    def map(self, upload: str, mapping: str) -> None:
        """Keep the mapping of a table beside it.

        Raises:
            InputError: it is not valid; the message names the line.
        """
        parse_mapping(mapping, _MAPPING)
        write_text(self.mapping_of(upload), mapping)

    def mapping_of(self, upload: str) -> Path:
        """Place the mapping of a table."""
        return self._place(upload) / _MAPPING

    def suggested(self, upload: str) -> str:
        """Draft the mapping of a table."""
        return suggest(self.source(upload))

    def remove(self, upload: str) -> None:
        """Drop an upload."""
        remove(self._place(upload))

    def sweep(self, needed: Collection[str]) -> None:
        """Drop what nobody has confirmed for an hour and no job needs."""
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            if folder.name not in needed and time.time() - folder.stat().st_mtime > _KEPT:
                remove(folder)

    def _place(self, upload: str) -> Path:
        if not _ID.fullmatch(upload):
            raise NotFoundError("this upload is gone; send the file again")
        return self._folder / upload


def formats() -> list[str]:
    """List what can be uploaded: the importers that take a file or folder of this machine."""
    return list(registry.registered("medloom.importers"))


def _ending(name: str) -> str:
    lowered = name.lower()
    ending = next((one for one in (".zip", *_ENDINGS) if lowered.endswith(one)), None)
    if ending is None:
        raise InputError("send a file that ends in {endings}", endings=(".zip", *_ENDINGS))
    return ending


def _check_size(folder: Path) -> None:
    """Refuse what unpacks to too much, in an archive too."""
    size = 0
    for path in folder.rglob("*"):
        size += unpacked_size(path, MOST_UNPACKED) if path.is_file() else 0
    if size > MOST_UNPACKED:
        raise InputError("this file unpacks to more than {n:,} bytes", n=MOST_UNPACKED)
