"""Generations: each a whole, valid MEDS dataset; the newest is named by one symbolic link.

A commit builds the next generation aside, links unchanged shards from the last
one, and swings the link. Killed before that, the record is as it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from medloom.foundation.errors import IntegrityError
from medloom.foundation.files import remove, replace_symlink, storage_errors, sync
from medloom.foundation.site import SiteDirectory

FORMAT = 1
MANIFEST = "metadata/manifest.json"
_PREFIX = ".incoming-"


@dataclass(frozen=True)
class Shard:
    """A file of consecutive subjects."""

    name: str
    first_subject: int
    last_subject: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a generation holds."""

    number: int
    subjects_per_shard: int
    shards: tuple[Shard, ...]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a generation's manifest.

        Raises:
            IntegrityError: it was written by a newer Medloom.
        """
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content["format"] > FORMAT:
            raise IntegrityError(
                "this record was written by a newer Medloom; upgrade with: pip install -U medloom"
            )
        shards = tuple(Shard(**shard) for shard in content["shards"])
        return cls(content["number"], content["subjects_per_shard"], shards)

    def to_json(self) -> str:
        """Give the text of the manifest."""
        shards = [vars(shard) for shard in self.shards]
        content = {
            "format": FORMAT,
            "number": self.number,
            "subjects_per_shard": self.subjects_per_shard,
            "shards": shards,
        }
        return json.dumps(content, indent=1)

    def shard_of(self, subject_id: int) -> str:
        """Name the shard a subject belongs to, whether it exists yet or not."""
        return shard_name((subject_id - 1) // self.subjects_per_shard)


def shard_name(ordinal: int) -> str:
    """Name a shard.

    >>> shard_name(7)
    '000007'
    """
    return f"{ordinal:06d}"


def shard_path(folder: Path, name: str) -> Path:
    """Place a shard in a generation."""
    return folder / "data" / f"{name}.parquet"


def current(site: SiteDirectory) -> Path | None:
    """Resolve the current generation; None before the first import."""
    return site.record.resolve(strict=True) if site.record.exists() else None


@contextmanager
def building(site: SiteDirectory) -> Iterator[Path]:
    """Yield an empty folder for the next generation; it is removed if the block fails.

    What a killed process left behind is swept away first; hold the site's lock.
    """
    with storage_errors(site.generations):
        site.generations.mkdir(parents=True, exist_ok=True)
        for leftover in site.generations.glob(f"{_PREFIX}*"):
            remove(leftover)
        folder = site.generations / f"{_PREFIX}{os.getpid()}"
        (folder / "data").mkdir(parents=True)
        (folder / "metadata").mkdir()
        try:
            yield folder
        finally:
            remove(folder)


def link_shard(source: Path, target: Path) -> None:
    """Let an unchanged shard stand in the next generation without copying it, where the disk can."""
    try:
        os.link(source, target)
    except OSError:
        target.write_bytes(source.read_bytes())


def publish(site: SiteDirectory, folder: Path, number: int, keep: int) -> None:
    """Make a finished folder the current generation and drop those beyond the last `keep`."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir() or path.stat().st_nlink == 1:
            sync(path)
    final = site.generations / f"{number:06d}"
    remove(final)  # a killed commit may have renamed its folder without swinging the link
    folder.rename(final)
    sync(site.generations)
    replace_symlink(site.record, f"generations/{final.name}")
    numbered = sorted(path for path in site.generations.iterdir() if path.name.isdigit())
    for old in [path for path in numbered if path.name <= final.name][:-keep]:
        remove(old)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a metadata table."""
    pq.write_table(table, path, compression="zstd")
