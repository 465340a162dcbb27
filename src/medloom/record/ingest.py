"""`Record.add`: from an importer's batches to the next generation, in bounded memory, all or nothing."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from medloom.foundation.hashing import hash64, sha256_file
from medloom.foundation.messages import language, tr
from medloom.foundation.progress import progress
from medloom.foundation.site import SiteDirectory, SiteSettings
from medloom.record import commit, generation
from medloom.record.assets import Assets
from medloom.record.commit import SPLIT_RESOLUTION, SUBJECTS_SCHEMA, Metadata
from medloom.record.generation import Manifest, Shard
from medloom.record.importing import CodeInfo, ImportContext, Importer
from medloom.record.merging import merge
from medloom.record.normalising import Normaliser
from medloom.record.quarantine import Quarantine, in_words
from medloom.record.vault import Vault


@dataclass
class ImportReport:
    """What one import did. `read == written + quarantined + duplicates`, always."""

    number: int
    importer: str
    records: int = 0  # source records: resources, rows, lines
    read: int = 0  # facts in them
    written: int = 0
    quarantined: int = 0
    duplicates: int = 0
    superseded: int = 0  # rows of the record ended by a newer version
    retracted: int = 0
    new_subjects: int = 0
    passed_over: Counter[str] = field(
        default_factory=Counter
    )  # kinds of record that hold no fact of a patient
    reasons: Counter[str] = field(default_factory=Counter)  # why facts were quarantined
    notes: Counter[str] = field(default_factory=Counter)
    generation: int = 0
    seconds: float = 0.0

    @property
    def balanced(self) -> bool:
        """Tell whether every fact read is accounted for."""
        return self.read == self.written + self.quarantined + self.duplicates

    def to_json(self) -> dict[str, object]:
        """Give the report as plain values."""
        return {
            name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()
        }

    def __str__(self) -> str:
        lines = [
            tr("{records:,} records in {seconds:.1f} s", records=self.records, seconds=self.seconds),
            tr(
                "{read:,} facts read = {written:,} written + {quarantined:,} quarantined + {duplicates:,} duplicates",
                read=self.read,
                written=self.written,
                quarantined=self.quarantined,
                duplicates=self.duplicates,
            ),
        ]
        if self.new_subjects:
            lines.append(tr("{n:,} new subjects", n=self.new_subjects))
        if self.superseded or self.retracted:
            lines.append(
                tr(
                    "{n:,} older versions ended, {retracted:,} facts retracted",
                    n=self.superseded,
                    retracted=self.retracted,
                )
            )
        chinese = language() == "zh"
        for title, counts in (
            (tr("passed over, no fact of a patient"), self.passed_over),
            (tr("quarantined"), self.reasons),
            (tr("noted"), self.notes),
        ):
            said = ((in_words(name), n) for name, n in counts.most_common())
            lines += [f"{title}: {n:,} × {words.zh if chinese else words.en}" for words, n in said]
        return "\n".join(lines)


@dataclass(frozen=True)
class Learned:
    """What new facts said beside themselves, for the record's metadata."""

    codes: Mapping[str, CodeInfo]
    units: Mapping[str, str]  # code → canonical unit
    static_codes: Set[str]
    subjects: pl.DataFrame  # SUBJECTS_SCHEMA: the subjects met, known ones too


@dataclass(frozen=True)
class Base:
    """The generation that new facts are merged into."""

    folder: Path | None
    manifest: Manifest
    metadata: Metadata

    @classmethod
    def of(cls, site: SiteDirectory) -> Base:
        """Take the site's current generation, or nothing before the first import."""
        folder = generation.current(site)
        size = site.settings().subjects_per_shard
        manifest = Manifest.read(folder) if folder else Manifest(0, size, ())
        return cls(folder, manifest, Metadata.read(folder))

    @property
    def next_import(self) -> int:
        """Number the next import; it stands in `source` and names the quarantine."""
        return len(self.metadata.imports) + 1


def add(site: SiteDirectory, vault: Vault, importer: Importer, now: datetime | None = None) -> ImportReport:
    """Bring a source into the site's record; the caller holds the site's lock.

    Raises:
        MedloomError: the source cannot be read at all, or the disk refuses; the record is as it was.
    """
    settings = site.settings()
    sources = importer.sources()
    base = Base.of(site)
    now = now or datetime.now()
    units = base.metadata.catalogue.units()
    normaliser = Normaliser(vault, importer.system, base.next_import, units, settings.time_zone, now)
    assets = Assets(site, vault if settings.encrypt_at_rest else None)
    context = ImportContext(settings.time_zone, assets, vault.derived("images"))

    def fill(spill: Spill, quarantine: Quarantine, report: ImportReport) -> Learned:
        with progress(tr("Reading {what}", what=importer.name)) as advance:
            for batch in importer.batches(context):
                report.records += batch.records
                report.read += batch.facts.height
                report.passed_over.update(batch.passed_over)
                report.notes.update(batch.notes)
                pending, rejected = normaliser.normalise(batch)
                quarantine.add(rejected)
                spill.add(pending)
                advance(batch.records)
        report.notes.update(normaliser.notes)
        subjects = subjects_frame(normaliser, settings)
        return Learned(normaliser.codes, normaliser.units, normaliser.static_codes, subjects)

    return commit_facts(site, vault, base, importer.name, fill, sources, now)


def commit_facts(
    site: SiteDirectory,
    vault: Vault,
    base: Base,
    name: str,
    fill: Callable[[Spill, Quarantine, ImportReport], Learned],
    sources: Sequence[Path],
    now: datetime,
) -> ImportReport:
    """Merge the facts that `fill` gives into the next generation, all or nothing; hold the site's lock.

    A generation is made when facts were written or newly quarantined, so that each
    import that left something behind has a number of its own.
    """
    started = time.perf_counter()
    settings = site.settings()
    report = ImportReport(base.next_import, name, generation=base.manifest.number)
    quarantine = Quarantine(site, vault, report.number)
    with generation.building(site) as folder:
        with vault.transaction(), tempfile.TemporaryDirectory(dir=folder, prefix="spill-") as spill_folder:
            known = vault.subjects()
            spill = Spill(Path(spill_folder))
            learned = fill(spill, quarantine, report)
            spill.close()
            shards, codes = _write(folder, base, spill, quarantine, report)
            report.new_subjects = vault.subjects() - known
        report.quarantined = sum(quarantine.reasons.values())
        report.reasons.update(quarantine.reasons)
        news = quarantine.leave_known()
        if known_already := report.quarantined - news.total():
            report.notes["quarantined by an earlier import already, kept there"] += known_already
        if report.written or news:
            quarantine.write()
            report.generation = base.manifest.number + 1
            metadata = Metadata(
                base.metadata.catalogue.updated(learned.codes, learned.units, learned.static_codes, codes),
                _with_subjects(base.metadata.subjects, learned.subjects),
                [*base.metadata.imports, _provenance(report, news, sources, now)],
            )
            manifest = Manifest(report.generation, base.manifest.subjects_per_shard, tuple(shards))
            metadata.write(folder, manifest, settings)
            generation.publish(site, folder, report.generation, settings.keep_generations)
    report.seconds = time.perf_counter() - started
    return report


def subjects_frame(normaliser: Normaliser, settings: SiteSettings) -> pl.DataFrame:
    """List the subjects met, each with its place in the split's hash (of its source identifier)."""
    rows: dict[int, int] = {}
    for identifier, subject in normaliser.subjects.items():
        if subject > 0:
            rows.setdefault(subject, hash64(f"{settings.split_seed}\x1f{identifier}") % SPLIT_RESOLUTION)
    return pl.DataFrame(
        {
            "subject_id": list(rows),
            "split_position": list(rows.values()),
            "fixed_split": [normaliser.splits.get(subject) for subject in rows],
        },
        schema=SUBJECTS_SCHEMA,
    )


class Spill:
    """Pending rows, held in memory while few and on disk, sorted by subject, when many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: list[pl.DataFrame] = []
        self._height = 0
        self._files: list[Path] = []
        self._counts = np.zeros(1024, np.int64)

    def add(self, pending: pl.DataFrame) -> None:
        if not pending.height:
            return
        subjects = pending["subject_id"].to_numpy()
        if (needed := int(subjects.max()) + 1) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(max(needed, len(self._counts)), np.int64)])
        self._counts += np.bincount(subjects, minlength=len(self._counts))
        self._frames.append(pending)
        self._height += pending.height
        if self._height >= commit.ROWS_IN_MEMORY:
            path = self._folder / f"{len(self._files):06d}.parquet"
            # by Arrow, which says of a full disk that it is full; Polars calls the file faulty
            pq.write_table(self._sorted().to_arrow(), path, compression="lz4", row_group_size=16_384)
            self._files.append(path)
            self._frames, self._height = [], 0

    def close(self) -> None:
        """Sort what is still in memory, once."""
        self._frames = [self._sorted()] if self._frames else []

    def counts(self, first: int, subjects: int) -> NDArray[np.int64]:
        """Count the rows of `subjects` consecutive subjects: (subjects,)."""
        counts = self._counts[first : first + subjects]
        return np.pad(counts, (0, subjects - len(counts)))

    def subjects(self) -> NDArray[np.int64]:
        """List the subjects that have rows."""
        return np.flatnonzero(self._counts)

    def rows(self, first: int, last: int) -> pl.DataFrame:
        """Take the rows of subjects `first` … `last`, in the order they came."""
        wanted = pl.col("subject_id").is_between(first, last)
        parts = [pl.scan_parquet(path).filter(wanted).collect() for path in self._files]
        parts += [frame.filter(wanted) for frame in self._frames]
        return pl.concat(parts)

    def _sorted(self) -> pl.DataFrame:
        return pl.concat(self._frames).sort("subject_id", maintain_order=True)


def _write(
    folder: Path, base: Base, spill: Spill, quarantine: Quarantine, report: ImportReport
) -> tuple[list[Shard], set[str]]:
    """Write the touched shards anew and link the others; gives all shards and the codes met."""
    last, size = base.folder, base.manifest.subjects_per_shard
    touched = np.unique((spill.subjects() - 1) // size).tolist()
    codes: set[str] = set()

    def merged(shard: str, start: int, stop: int) -> pl.DataFrame:
        result = merge(commit.read_rows(last, shard, start, stop), spill.rows(start, stop))
        quarantine.add(result.undatable.with_columns(problem=pl.lit("no date, and its encounter has no end")))
        report.written += result.written
        report.duplicates += result.duplicates
        report.superseded += result.superseded
        report.retracted += result.retracted
        codes.update(result.rows["code"].unique())
        return result.rows

    shards = {shard.name: shard for shard in base.manifest.shards}
    with progress(tr("Writing the record"), total=len(touched)) as advance:
        for ordinal in touched:
            name, first = generation.shard_name(ordinal), ordinal * size + 1
            counts = spill.counts(first, size) + commit.row_counts(last, name, first, size)
            written = commit.write_shard(
                generation.shard_path(folder, name),
                commit.subject_groups(counts, first),
                lambda start, stop, name=name: merged(name, start, stop),  # type: ignore[misc]
            )
            if written is not None:
                shards[name] = written
            advance(1)
    changed = {generation.shard_name(ordinal) for ordinal in touched}
    commit.link_shards(last, folder, [shard for shard in base.manifest.shards if shard.name not in changed])
    return [shards[name] for name in sorted(shards)], codes


def _with_subjects(known: pl.DataFrame, met: pl.DataFrame) -> pl.DataFrame:
    joined = known.join(met, on="subject_id", how="full", coalesce=True, suffix="_new")
    return joined.select(
        "subject_id",
        pl.coalesce("split_position", "split_position_new"),
        pl.coalesce("fixed_split_new", "fixed_split").alias("fixed_split"),
    ).sort("subject_id")


def _provenance(
    report: ImportReport, quarantined: Counter[str], sources: Sequence[Path], now: datetime
) -> dict[str, object]:
    # names of files may name patients: only their digests stand here
    return {
        "import": report.number,
        "importer": report.importer,
        "time": now.isoformat(timespec="seconds"),
        "facts_read": report.read,
        "facts_written": report.written,
        "quarantined": dict(quarantined),  # without what an earlier import had quarantined
        "files_sha256": [sha256_file(path) for path in sources if path.is_file()],
    }
