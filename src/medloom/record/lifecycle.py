"""A subject's rights and mistakes: erasure, and two records that are one person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.site import SiteDirectory
from medloom.record import commit, doubtful, generation
from medloom.record.assets import Assets
from medloom.record.commit import Metadata
from medloom.record.generation import Manifest, Shard
from medloom.record.live_tail import LiveTail
from medloom.record.quarantine import quarantine_files, read_quarantine, replace_subject
from medloom.record.schema import RECORD_SCHEMA
from medloom.record.vault import Vault

Change = Callable[[SiteDirectory, Vault], None]


def erase(site: SiteDirectory, vault: Vault, subject_id: int) -> None:
    """Erase one subject everywhere in the record; hold the site's lock.

    Older generations hold the subject too and go, and so do files that no other
    subject refers to; readers of an older generation move on. The vault keeps a
    keyed hash as tombstone. Killed midway, the call can be repeated: what names
    the subject goes last.
    """
    if not vault.identifiers(subject_id):
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    tail = LiveTail.of(site, vault)
    last = generation.current(site)
    with tail.writing():
        Assets(site).discard(_only_of(site, vault, tail, subject_id))
        tail.forget(subject_id)
        doubtful.forget(site, subject_id)
        if last is not None:

            def without(rows: pl.DataFrame, _: range) -> pl.DataFrame:
                return rows.filter(pl.col("subject_id") != subject_id)

            tail.move_on(_rewritten(site, last, {subject_id}, without, gone=subject_id, keep=1))
        replace_subject(site, vault, subject_id, by=None)
        with vault.transaction():
            vault.erase(subject_id)
    vault.vacuum()


def merge_subjects(site: SiteDirectory, vault: Vault, kept: int, absorbed: int) -> None:
    """Let the rows and identifiers of `absorbed` become those of `kept`; hold the site's lock."""
    if kept == absorbed:
        raise InputError("subject {subject} cannot be merged with itself", subject=kept)
    for subject in (kept, absorbed):
        if not vault.identifiers(subject):
            raise NotFoundError("there is no subject {subject}", subject=subject)
    last = generation.current(site)
    tail = LiveTail.of(site, vault)
    with tail.writing():
        if last is not None:
            moved = commit.read_rows(
                last, Manifest.read(last).shard_of(absorbed), absorbed, absorbed
            ).with_columns(subject_id=pl.lit(kept, pl.Int64))

            def change(rows: pl.DataFrame, subjects: range) -> pl.DataFrame:
                others = rows.filter(pl.col("subject_id") != absorbed)
                if kept not in subjects:
                    return others
                # what both have stands once
                same = [name for name in RECORD_SCHEMA if name not in ("source", "known_until")]
                return (
                    pl.concat([others, moved])
                    .unique(same, keep="first", maintain_order=True)
                    .sort("subject_id", "time", nulls_last=False, maintain_order=True)
                )

            generations = site.settings().keep_generations
            tail.move_on(_rewritten(site, last, {kept, absorbed}, change, gone=absorbed, keep=generations))
        tail.rename(absorbed, kept)
        doubtful.rename(site, absorbed, kept)
        replace_subject(site, vault, absorbed, by=kept)
        with vault.transaction():
            vault.merge(kept, absorbed)


def _rewritten(
    site: SiteDirectory,
    last: Path,
    touched: set[int],
    change: Callable[[pl.DataFrame, range], pl.DataFrame],
    gone: int,
    keep: int,
) -> int:
    """Publish a generation without subject `gone`, in which the shards of `touched` went through `change`.

    `change` gets the rows of consecutive subjects, and which these are.
    """
    manifest, metadata, settings = Manifest.read(last), Metadata.read(last), site.settings()
    names = {manifest.shard_of(subject) for subject in touched}
    size = manifest.subjects_per_shard
    with generation.building(site) as folder:
        shards = [shard for shard in manifest.shards if shard.name not in names]
        commit.link_shards(last, folder, shards)
        for name in sorted(names):
            first = int(name) * size + 1
            counts = commit.row_counts(last, name, first, size)
            written = commit.write_shard(
                generation.shard_path(folder, name),
                commit.subject_groups(counts, first),
                lambda start, stop, name=name: change(  # type: ignore[misc]
                    commit.read_rows(last, name, start, stop), range(start, stop + 1)
                ),
            )
            if written is not None:
                shards.append(written)
        subjects = metadata.subjects.filter(pl.col("subject_id") != gone)
        ordered: list[Shard] = sorted(shards, key=lambda shard: shard.name)
        following = replace(manifest, number=manifest.number + 1, shards=tuple(ordered))
        replace(metadata, subjects=subjects).write(folder, following, settings)
        generation.publish(site, folder, following.number, keep)
    return following.number


def _only_of(site: SiteDirectory, vault: Vault, tail: LiveTail, subject_id: int) -> set[str]:
    """Name the files that this subject refers to, in any generation, and nobody else does."""
    of_subject = pl.col("subject_id") == subject_id
    shards = [path for path in site.generations.glob("*/data/*.parquet") if path.parts[-3].isdigit()]
    frames = [pl.scan_parquet(path).select("subject_id", "asset") for path in shards]
    facts = [read_quarantine(path, vault) for path in quarantine_files(site)]
    frames += [frame.lazy().select("subject_id", "asset") for frame in facts if "asset" in frame.columns]
    frames.append(tail.waiting().facts.lazy().select("subject_id", "asset"))
    own: set[str] = set()
    others: set[str] = set()
    for frame in frames:
        named = frame.filter(pl.col("asset").is_not_null()).unique().collect()
        own.update(named.filter(of_subject)["asset"])
        others.update(named.filter(~of_subject.fill_null(False))["asset"])
    return own - others
