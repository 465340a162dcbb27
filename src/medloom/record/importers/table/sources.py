"""Where the bytes are: one file, a folder, or an archive of many."""

from __future__ import annotations

import fnmatch
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from medloom.foundation.archives import ARCHIVES, DamagedArchiveError, archive_damage, members
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import storage_errors


@dataclass(frozen=True)
class SourceFile:
    """One file to read; a member of an archive must be opened before the next one is asked for."""

    ordinal: int  # in the importer's `sources()`; members of an archive share its ordinal
    name: str  # path below the folder or in the archive; may hold an identifier: never shown
    label: str  # how messages call it
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Sources:
    """What an import path holds."""

    root: Path

    @property
    def archive(self) -> bool:
        """Whether the path is an archive of files."""
        return self.root.is_file() and self.root.name.lower().endswith(ARCHIVES)

    def check(self) -> None:
        """Check that the path can be read.

        Raises:
            NotFoundError: there is nothing.
            StorageError: it may not be read.
        """
        with storage_errors(self.root):
            if not self.root.exists():
                raise NotFoundError("there is no file or folder {path!r}", path=str(self.root))
            if self.root.is_dir():
                os.listdir(self.root)
            else:
                self.root.open("rb").close()

    def paths(self, patterns: list[str]) -> list[Path]:
        """List the files that match any of the patterns, sorted by name; for an archive, itself."""
        if self.root.is_file():
            return (
                [self.root]
                if self.archive or matches(self.root.name, self.root.parent.name, patterns)
                else []
            )
        found = [name for name in self._names if matches(name, self.root.name, patterns)]
        return [self.root / name for name in found]

    def files(self, patterns: list[str], ordinals: dict[Path, int]) -> Iterator[SourceFile]:
        """Yield the files that match any of the patterns, in order."""
        if self.archive:
            yield from self._members(patterns)
            return
        within = len(self.root.as_posix()) + 1
        for path in self.paths(patterns):
            name = path.name if self.root.is_file() else path.as_posix()[within:]
            label = repr(path.name) if len(ordinals) == 1 else f"file {ordinals[path] + 1}/{len(ordinals)}"
            yield SourceFile(ordinals[path], name, label, os.path.getsize(path), _opener(path))

    @cached_property
    def _names(self) -> list[str]:
        names: list[str] = []
        met: set[str] = set()  # linked folders are followed, once
        for folder, folders, files in os.walk(self.root, onerror=_raise, followlinks=True):
            real = os.path.realpath(folder)
            if real in met:
                folders[:] = []
                continue
            met.add(real)
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            below = Path(folder).relative_to(self.root).as_posix()
            prefix = "" if below == "." else f"{below}/"
            names += [prefix + name for name in files if not name.startswith(".")]
        return sorted(names)

    def _members(self, patterns: list[str]) -> Iterator[SourceFile]:
        try:
            with storage_errors(self.root), archive_damage():
                number = 0
                for address, stream in members(self.root):
                    name = address.removeprefix("./")
                    if not matches(name, self.root.name, patterns):
                        continue
                    number += 1
                    data = stream.read()
                    yield SourceFile(0, name, f"member {number}", len(data), partial(io.BytesIO, data))
        except DamagedArchiveError as error:
            raise InputError(
                "{name!r} is not a complete archive ({reason}); get it again",
                name=self.root.name,
                reason=str(error),
            ) from error


def matches(name: str, root: str, patterns: list[str]) -> bool:
    """Tell whether a file's path below the root, or the same with the root's name before it, fits a pattern.

    >>> matches("a/1.txt", "x", ["a/*.txt"]), matches("1.txt", "a", ["a/*.txt"])
    (True, True)
    >>> matches("a/b/1.csv", "x", ["*.csv"]), matches("a/b/1.csv", "x", ["**/*.csv"])
    (False, True)
    """
    return any(_regex(pattern).match(path) for pattern in patterns for path in (name, f"{root}/{name}"))


@lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    parts = pattern.removeprefix("./").split("/")
    translated = ["(?:[^/]+/)*" if part == "**" else _segment(part) + "/" for part in parts[:-1]]
    last = "(?:[^/]+/)*[^/]+" if parts[-1] == "**" else _segment(parts[-1])
    return re.compile("".join(translated) + last + r"\Z")


def _segment(part: str) -> str:
    return fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z").replace(".*", "[^/]*")


def _opener(path: Path) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        with storage_errors(path.parent):
            return path.open("rb")

    return opened


def _raise(error: OSError) -> None:
    raise error
