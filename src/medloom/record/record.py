"""The patient record: everything known of a hospital's patients, on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from medloom.foundation.errors import InputError, IntegrityError, NotFoundError
from medloom.foundation.files import locked, storage_errors
from medloom.foundation.messages import tr
from medloom.foundation.site import SiteDirectory, SiteSettings
from medloom.record import generation, ingest, lifecycle, live
from medloom.record.assets import Assets
from medloom.record.catalogue import CodeCatalogue
from medloom.record.commit import split_names
from medloom.record.database import database_errors
from medloom.record.doubtful import DoubtfulFacts
from medloom.record.guests import Guests
from medloom.record.importing import CodeInfo, Importer
from medloom.record.ingest import ImportReport
from medloom.record.keys import site_key
from medloom.record.live import Arrival
from medloom.record.live_store import LiveStore
from medloom.record.live_tail import Extent, LiveTail
from medloom.record.schema import RECORD_SCHEMA, conformed
from medloom.record.store import GenerationStore, MemoryStore, Store
from medloom.record.vault import Vault

if TYPE_CHECKING:
    import pandas as pd


class Record:
    """Reads one generation of a site's record, or events in memory; `add` moves on to the next generation.

    >>> events = pl.DataFrame(
    ...     {"subject_id": [1, 1], "time": [None, datetime(2020, 1, 1)], "code": ["GENDER//F", "LOINC//8867-4"],
    ...      "numeric_value": [None, 72.0]}
    ... )
    >>> record = Record.from_events(events)
    >>> record.n_subjects, record.n_events
    (1, 2)
    """

    def __init__(
        self, store: Store, site: SiteDirectory | None = None, settings: SiteSettings | None = None
    ) -> None:
        self._store = store
        self.site = site
        self.settings = settings or SiteSettings()

    @classmethod
    def open(cls, site: SiteDirectory) -> Record:
        """Open a site's current generation; a site without one has an empty record."""
        settings = site.settings()

        def base() -> Store:
            folder = generation.current(site)
            return (
                GenerationStore(folder)
                if folder
                else MemoryStore.of_events(pl.DataFrame(schema=RECORD_SCHEMA))
            )

        return cls(LiveStore(base, _tail(site, settings)), site, settings)

    @classmethod
    def from_events(cls, events: pl.DataFrame | pd.DataFrame, settings: SiteSettings | None = None) -> Record:
        """Make a record in memory from rows with at least `subject_id`, `time`, `code` (MEDS; null time = static).

        Moments with a time zone are turned to the wall clock of the settings' zone.

        Raises:
            InputError: a required column is missing, a column is unknown, a value does not fit its type, or
                a row has no subject or no code.
        """
        settings = settings or SiteSettings()
        rows = _as_rows(_as_polars(events), settings.time_zone)
        return cls(MemoryStore.of_events(rows, settings.split_seed), settings=settings)

    def __reduce__(self) -> tuple[Callable[..., Record], tuple[object, ...]]:
        """Travel to another process: a site's record by where it is, one in memory as it is."""
        if self.site is None:
            return Record, (self._store, None, self.settings)
        return _found_again, (replace(self.site, root=self.site.root.resolve()), self.digest())

    def refreshed(self) -> Record:
        """Open the newest generation of the same site."""
        return Record.open(self._on_disk())

    def keep_up(self) -> bool:
        """Move on to the newest generation, where another process has made one; tells whether."""
        if isinstance(self._store, LiveStore) and self._store.is_behind(generation.current(self._on_disk())):
            self._store = Record.open(self._on_disk())._store
            return True
        return False

    @property
    def n_subjects(self) -> int:
        """Count the subjects."""
        return self._store.subjects.height

    @property
    def n_events(self) -> int:
        """Count the rows."""
        return int(self._store.read(["subject_id"]).num_rows)

    @property
    def catalogue(self) -> CodeCatalogue:
        """The record's codes with descriptions, ancestors, units."""
        return self._store.catalogue

    @property
    def subject_ids(self) -> NDArray[np.int64]:
        """List the subjects, ascending: (n,) int64."""
        return self._store.subjects["subject_id"].to_numpy()

    @property
    def subjects(self) -> pl.DataFrame:
        """Give the subjects and their place in the hash that splits them: frame of `SUBJECTS_SCHEMA`."""
        return self._store.subjects

    def splits(self) -> pl.DataFrame:
        """Give each subject's split: frame of `subject_id`, `split`; stable when patients are added."""
        subjects = self._store.subjects
        return subjects.select("subject_id", split_names(subjects, self.settings))

    def parts(self) -> list[NDArray[np.int64]]:
        """Cut the subjects into pieces that fit into memory."""
        return self._store.parts()

    def digest(self) -> str:
        """Name the content of the record: hex, another one after every change."""
        return self._store.digest()

    def read(
        self, columns: Sequence[str], subjects: Sequence[int] | NDArray[np.int64] | None = None
    ) -> pa.Table:
        """Read columns of `RECORD_SCHEMA`, sorted by subject and time, static facts first.

        This is the raw record: it knows nothing of prediction times. Models read through `samples.history()`.
        `code` and `role` come dictionary-encoded. Fast for one subject: a few milliseconds.
        """
        wanted = None if subjects is None else np.unique(np.asarray(subjects, dtype=np.int64))
        return self._store.read(columns, wanted)

    def events(self, subjects: Sequence[int] | NDArray[np.int64] | None = None) -> pl.DataFrame:
        """Read all columns as a frame, for people and reports."""
        frame = pl.DataFrame(self.read(RECORD_SCHEMA.names(), subjects))
        return frame.cast(RECORD_SCHEMA)

    def add(self, importer: Importer, now: datetime | None = None) -> ImportReport:
        """Import a source and move to the generation it makes; all or nothing.

        Raises:
            LockedError: another import is running.
            MedloomError: the source cannot be read at all, or the disk refuses; the record is as it was.
        """
        site = self._on_disk()
        with locked(site.lock, tr("the record")), self._vault(create=True) as vault:
            # in the order in which facts came, so that the later version wins
            tail = _tail(site, self.settings)
            live.compact(site, vault, tail, now or datetime.now())
            report = ingest.add(site, vault, importer, now)
            if report.written:
                live.forget_replaced(site, tail, report.number)
        self._store = Record.open(site)._store
        return report

    def append(
        self,
        events: pl.DataFrame,
        system: str = "",
        now: datetime | None = None,
        codes: Mapping[str, CodeInfo] | None = None,
        *,
        whole: bool = False,
        telling: Callable[[Arrival], None] = lambda _: None,
    ) -> Arrival:
        """Let single facts in at once, beside a running import too; every reader sees them from now on.

        `events` has columns of `BATCH_SCHEMA`, of which at least `patient`, `code` and `time`;
        `system` is the namespace of the patients' identifiers, or stands in a column `system` of its own.
        `known_time` says when a fact became known; without
        it, it counts as known at its time, whenever it is appended: whoever passes on what arrives later than it
        happened says so. `codes` describes codes that are new to the record. Facts wait in `live.db` until `compact`
        or the next import takes them into a generation. A fact that the record has already is a duplicate.

        All facts of one call are kept, or, where anything fails, none. Those that cannot be used are refused one by
        one; `whole`: nothing is kept if any of them is. `telling` is handed the report before the facts are kept:
        where it fails, none is.

        Raises:
            InputError: a column is unknown or has a type that cannot be cast.
            LockedError: an import is running, and one of the patients is new.
        """
        site = self._on_disk()
        with self._vault(create=True) as vault:
            return live.append(
                _tail(site, self.settings),
                site,
                vault,
                self._store,
                events,
                system,
                now or datetime.now(),
                codes or {},
                whole=whole,
                telling=telling,
            )

    def compact(self, now: datetime | None = None) -> ImportReport | None:
        """Take the facts of `live.db` into the next generation, all or nothing; None: there were none.

        Those without a date wait on for the end of their encounter.

        Raises:
            LockedError: an import is running.
        """
        site = self._on_disk()
        with locked(site.lock, tr("the record")), self._vault(create=True) as vault:
            report = live.compact(site, vault, _tail(site, self.settings), now or datetime.now())
        self._store = Record.open(site)._store
        return report

    def waiting(self) -> Extent:
        """Tell how many facts wait to be taken into a generation."""
        return _tail(self._on_disk(), self.settings).extent()

    def waiting_later(self, now: datetime) -> int:
        """Count those of them that are not known yet at a moment (wall clock), and so not seen."""
        return _tail(self._on_disk(), self.settings).later(now)

    @property
    def imports(self) -> list[dict[str, object]]:
        """Tell of each import its number, importer, time, counts, and the digests of its files."""
        return self._store.imports

    def assets(self) -> Assets:
        """Give the record's files: images, signals, documents."""
        site = self._on_disk()
        if not self.settings.encrypt_at_rest:
            return Assets(site)
        with self._vault(create=True) as vault:
            return Assets(site, vault)

    @contextmanager
    def doubtful(self) -> Iterator[DoubtfulFacts]:
        """Give, inside the block, the facts that wait for a person to accept or reject them.

        Raises:
            KeyUnavailableError: the site's key is not there.
        """
        site = self._on_disk()
        with self._vault(create=True) as vault:
            yield DoubtfulFacts.of(site, vault)

    def erase(self, subject_id: int) -> None:
        """Erase one subject from the record, the vault and all generations; later imports honour it.

        Raises:
            NotFoundError: there is no such subject.
        """
        self._change(lambda site, vault: lifecycle.erase(site, vault, subject_id))

    def merge(self, kept: int, absorbed: int) -> None:
        """Let two subjects be one: the rows and identifiers of `absorbed` become those of `kept`.

        Raises:
            NotFoundError: one of them does not exist.
            InputError: both are the same.
        """
        self._change(lambda site, vault: lifecycle.merge_subjects(site, vault, kept, absorbed))

    def find(self, identifier: str, system: str = "") -> int:
        """Find the pseudonym of a hospital identifier, spelled as in the source; `system` as given at its import.

        Raises:
            NotFoundError: unknown or erased; the message names the systems in which it would be known.
        """
        with self._vault() as vault:
            subject = vault.find(system, identifier)
            if subject is not None:
                return subject
            others = [other for other in vault.systems() if vault.find(other, identifier) is not None]
        if others:
            raise NotFoundError(
                "no subject has this identifier in system {system!r}, but one has it in {others}; name that system",
                system=system,
                others=list(map(repr, others)),
            )
        raise NotFoundError("no subject has this identifier (and system); check its spelling")

    def known_as(self, identifier: str) -> list[int]:
        """List the subjects that have a hospital identifier, in any system; looks at all, a second for some 100,000."""
        with self._vault() as vault:
            found = {vault.find(system, identifier) for system in vault.systems()}
        return sorted(subject for subject in found if subject is not None)

    @contextmanager
    def guests(self) -> Iterator[Guests]:
        """Tell, inside the block, who people are whose facts are read beside the record and not kept.

        Raises:
            KeyUnavailableError: the site's key is not there.
        """
        with self._vault(create=True) as vault:
            yield Guests(vault)

    def identifiers(self, subjects: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
        """List the (system, identifier) pairs under which the hospital knows subjects; for who may see them.

        Raises:
            NotFoundError: nothing has been imported.
            KeyUnavailableError: the site's key is not there.
        """
        with self._vault() as vault:
            return {subject: vault.identifiers(subject) for subject in subjects}

    def _change(self, change: lifecycle.Change) -> None:
        site = self._on_disk()
        with locked(site.lock, tr("the record")), self._vault() as vault:
            change(site, vault)
        self._store = Record.open(site)._store

    def _on_disk(self) -> SiteDirectory:
        if self.site is None:
            raise InputError(
                "this record is in memory only; to import, erase or merge use the record of a site"
            )
        return self.site

    @contextmanager
    def _vault(self, create: bool = False) -> Iterator[Vault]:
        site = self._on_disk()
        if not create and not site.vault.exists():
            if site.record.exists():
                raise IntegrityError("vault.db is missing from the site; restore it from a copy")
            raise NotFoundError("nothing has been imported into this site yet; begin with: medloom import")
        with storage_errors(site.root), database_errors(site.vault):
            vault = Vault(site.vault, site_key(site, create=create and not site.vault.exists()))
            try:
                yield vault
            finally:
                vault.close()


def _found_again(site: SiteDirectory, digest: str) -> Record:
    """Open the record of a site in another process, where it must hold the same facts."""
    record = Record.open(site)
    if record.digest() != digest:
        raise IntegrityError(
            "the record of site {site!r} is another one here: it has changed meanwhile, or machines do not see the "
            "same folder; start again",
            site=site.root.name,
        )
    return record


def _tail(site: SiteDirectory, settings: SiteSettings) -> LiveTail:
    def key() -> bytes:
        vault = Vault(site.vault, site_key(site))
        try:
            return vault.derived("live")
        finally:
            vault.close()

    return LiveTail(site.live, key, settings.encrypt_at_rest)


def _as_polars(events: pl.DataFrame | pd.DataFrame) -> pl.DataFrame:
    if isinstance(events, pl.DataFrame):
        return events
    try:
        return pl.from_pandas(events)
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError) as error:
        # from None: the reason quotes values
        raise InputError(
            "events have a column of the wrong type: {reason}", reason=type(error).__name__
        ) from None


def _as_rows(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    missing = [name for name in ("subject_id", "time", "code") if name not in frame.columns]
    if missing:
        raise InputError(
            "events need the columns subject_id, time and code; missing: {missing}",
            missing=missing,
        )
    unknown = sorted(set(frame.columns) - set(RECORD_SCHEMA))
    if unknown:
        raise InputError(
            "events have unknown columns: {unknown}; known are: {known}",
            unknown=unknown,
            known=", ".join(RECORD_SCHEMA.names()),
        )
    rows = conformed(frame, RECORD_SCHEMA, zone)
    incomplete = int(rows.select((pl.col("subject_id").is_null() | pl.col("code").is_null()).sum()).item())
    if incomplete:
        raise InputError("{n:,} events have no subject_id or no code; complete or remove them", n=incomplete)
    return rows
