"""Facts that arrive live: appended, seen by every reader at once, and taken into the next generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from medloom.foundation.site import SiteDirectory
from medloom.record.importing import Batch, CodeInfo, as_batch_frame
from medloom.record.ingest import Base, ImportReport, Learned, Spill, commit_facts, subjects_frame
from medloom.record.live_store import units_and_static
from medloom.record.live_tail import REJECTED, LiveTail
from medloom.record.merging import merge, undatable
from medloom.record.normalising import Normaliser
from medloom.record.quarantine import Quarantine
from medloom.record.schema import RECORD_SCHEMA
from medloom.record.store import GenerationStore, Store
from medloom.record.vault import Vault

_LIVE: Final = "live"
_SYSTEM: Final = "system"


@dataclass
class Arrival(ImportReport):
    """What became of facts that were appended: of which subjects they are, and which row was refused and why."""

    subjects: tuple[int, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)  # row, from 1 → reason


def append(
    tail: LiveTail,
    site: SiteDirectory,
    vault: Vault,
    store: Store,
    events: pl.DataFrame,
    system: str,
    now: datetime,
    infos: Mapping[str, CodeInfo],
    *,
    whole: bool,
    telling: Callable[[Arrival], None],
) -> Arrival:
    """Let facts (BATCH_SCHEMA) wait in the tail; `store` is what a reader sees, `infos` what is said of codes.

    Each call is a source of its own: a fact that the record or the tail has is a duplicate.
    """
    settings = site.settings()
    named = pl.Series([system]).new_from_index(0, len(events))
    systems = events[_SYSTEM].cast(pl.String).fill_null(system) if _SYSTEM in events.columns else named
    facts = as_batch_frame(events.drop(_SYSTEM, strict=False), settings.time_zone).with_columns(
        file=pl.lit(0, pl.Int32), row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    )
    report = Arrival(len(store.imports) + 1, "live", records=facts.height, read=facts.height)
    if facts.is_empty():
        return report
    with tail.writing():
        known = vault.subjects()
        catalogue = store.catalogue
        units = catalogue.units()
        normalisers, pieces = [], []
        for namespace in systems.unique(maintain_order=True):
            normaliser = Normaliser(vault, namespace, 0, units, settings.time_zone, now)
            rows = facts.filter(systems == namespace)
            normalisers.append(normaliser)
            pieces.append(normaliser.normalise(Batch(rows, rows.height)))
        pending, rejected = (pl.concat(frames) for frames in zip(*pieces, strict=True))
        report.refused = dict(rejected.select("row", "problem").sort("row").iter_rows())
        if whole and report.refused:
            return report
        rejected = rejected.select(*REJECTED, "problem")
        touched = pending["subject_id"].unique().sort().to_numpy()
        old = pl.DataFrame(store.read(RECORD_SCHEMA.names(), touched)).cast(RECORD_SCHEMA)
        merged = merge(old, pending)
        # without a date yet: they wait for the end of their encounter
        same = ["subject_id", "key", "part", "retracted", "code", "numeric_value", "text_value"]
        undated = merged.undatable.join(tail.waiting(touched).facts, on=same, how="anti", nulls_equal=True)
        kept = pl.concat([merged.fresh, undated])
        if kept.height or rejected.height:
            tail.append(kept, rejected, now)
            met = pl.concat([subjects_frame(one, settings) for one in normalisers]).unique("subject_id")
            tail.learn(met, _new_codes(kept, normalisers), infos)
        report.written = kept.height
        report.duplicates = pending.height - kept.height
        report.superseded, report.retracted = merged.superseded, merged.retracted
        report.quarantined = rejected.height
        report.reasons.update(rejected["problem"].to_list())
        report.subjects = tuple(touched.tolist())
        for normaliser in normalisers:
            report.notes.update(normaliser.notes)
        report.new_subjects = vault.subjects() - known
        telling(report)
    return report


def compact(site: SiteDirectory, vault: Vault, tail: LiveTail, now: datetime) -> ImportReport | None:
    """Take what waits into the next generation; hold the site's lock. None: nothing waited.

    A fact without a date goes on waiting until the end of its encounter is known.
    Killed between the commit and the emptying of the tail, both have the facts, and
    merging sees that they are the same.
    """
    if not tail.exists():
        return None
    base = Base.of(site)
    waiting = tail.waiting(number=base.next_import)
    last_rejected, rejected = tail.rejected()
    undated = undatable(_stored(base, waiting.facts["subject_id"]), waiting.facts)
    left = [waiting.ids[place] for place in undated]
    facts = waiting.facts.with_row_index("_place").filter(~pl.col("_place").is_in(undated.implode()))
    facts = facts.drop("_place")
    if not facts.height and not rejected.height:
        return None

    def fill(spill: Spill, quarantine: Quarantine, report: ImportReport) -> Learned:
        report.records = report.read = facts.height + rejected.height
        spill.add(facts)
        quarantine.add(rejected)
        codes = tail.codes()
        units, static = units_and_static(codes)
        return Learned(tail.infos(), base.metadata.catalogue.units() | units, static, tail.subjects())

    report = commit_facts(site, vault, base, _LIVE, fill, [], now)
    tail.clear(waiting.last, last_rejected, report.generation, but=left)
    return report


def forget_replaced(site: SiteDirectory, tail: LiveTail, number: int) -> None:
    """Drop waiting facts of resources that import `number` brought anew: its version is the later one."""
    if not tail.exists():
        return
    waiting = tail.waiting()
    if not waiting.facts.select(pl.col("keyed").any()).item():
        return
    stored = _stored(Base.of(site), waiting.facts["subject_id"])
    brought = (
        stored.filter(pl.col("source").str.starts_with(f"{number}:")).select("subject_id", "key").unique()
    )
    named = waiting.facts.with_columns(_id=pl.Series(waiting.ids, dtype=pl.Int64)).filter("keyed")
    tail.drop(named.join(brought, on=["subject_id", "key"], how="semi")["_id"].to_list())


def _stored(base: Base, subjects: pl.Series) -> pl.DataFrame:
    """Read all rows of some subjects in the generation that is merged into."""
    if base.folder is None or not len(subjects):
        return pl.DataFrame(schema=RECORD_SCHEMA)
    rows = GenerationStore(base.folder).read(RECORD_SCHEMA.names(), subjects.unique().sort().to_numpy())
    return pl.DataFrame(rows).cast(RECORD_SCHEMA)


def _new_codes(kept: pl.DataFrame, normalisers: Sequence[Normaliser]) -> pl.DataFrame:
    codes = kept["code"].unique().sort()
    units = normalisers[0].units  # all share them
    static = set().union(*(one.static_codes for one in normalisers))
    return pl.DataFrame(
        {
            "code": codes,
            "unit": pl.Series([units.get(code) for code in codes], dtype=pl.String),
            "static": pl.Series([code in static for code in codes], dtype=pl.Boolean),
        }
    )
