"""What an importer is: one source format, turned into bounded batches of facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import polars as pl

from medloom.foundation.errors import InputError
from medloom.record.assets import Assets
from medloom.record.schema import BATCH_SCHEMA, conformed


@dataclass(frozen=True)
class CodeInfo:
    """What a source says of one of its codes."""

    description: str | None = None
    parents: tuple[str, ...] = ()  # all ancestors, as `SYSTEM//code`


@dataclass(frozen=True)
class Batch:
    """A bounded piece of a source: at most some 50,000 facts.

    `facts` has columns of `BATCH_SCHEMA`; missing ones count as null. Facts of
    one resource (`key`) stay together in one batch.
    """

    facts: pl.DataFrame
    records: int  # source records (resources, rows, lines) read for this batch
    passed_over: Mapping[str, int] = field(
        default_factory=dict
    )  # kind of record that holds no fact of a patient → count
    codes: Mapping[str, CodeInfo] = field(default_factory=dict)  # descriptions of codes, when first met
    splits: Mapping[str, str] = field(default_factory=dict)  # patient → split, where the source fixes it
    notes: Mapping[str, int] = field(
        default_factory=dict
    )  # what a reader should know, counted ("unmapped concept")


@dataclass(frozen=True)
class ImportContext:
    """What an importer may know of the site it feeds.

    `assets` keeps files (images, signals, documents); a fact names its file by what `put` gave. Without a site
    there is none, and an importer of files refuses. `secret` is derived from the site's key, for pseudonyms inside
    files.
    """

    time_zone: str = "UTC"
    assets: Assets | None = None
    secret: bytes = field(default=b"", repr=False)


class Importer(ABC):
    """Reads one format. The constructor stores its arguments; `batches` does the work.

    Identifiers, units, sorting, duplicates and the atomic commit are
    `Record.add`'s. A record of the source that cannot be used becomes a fact
    with `problem` set: nothing is dropped silently, nothing raises midway that
    is only one record's fault.
    """

    name: ClassVar[str]  # as registered
    system: str = ""  # namespace of the patients' identifiers; importers of one hospital share it

    @abstractmethod
    def sources(self) -> list[Path]:
        """List the files that will be read, in a fixed order; `Batch.facts.file` counts in it from 0.

        Raises:
            InputError: nothing there can be read by this importer; the message says what was looked for.
        """

    @abstractmethod
    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield the source's facts, in a fixed order, in bounded memory."""


def as_batch_frame(facts: pl.DataFrame, zone: str = "UTC") -> pl.DataFrame:
    """Complete a frame to `BATCH_SCHEMA`: missing columns null, types cast, moments as wall clock in `zone`.

    Raises:
        InputError: a column is unknown or has a type that cannot be cast.
    """
    unknown = set(facts.columns) - set(BATCH_SCHEMA)
    if unknown:
        raise InputError("an importer gave unknown columns: {columns}", columns=sorted(unknown))
    return conformed(facts, BATCH_SCHEMA, zone)
