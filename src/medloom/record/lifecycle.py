"""A subject's rights and mistakes: erasure, and two records that are one person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import remove
from medloom.foundation.site import SiteDirectory
from medloom.record import commit, generation
from medloom.record.commit import Metadata
from medloom.record.generation import Manifest, Shard
from medloom.record.vault import Vault

Change = Callable[[SiteDirectory, Vault], None]


def erase(site: SiteDirectory, vault: Vault, subject_id: int) -> None:
    """Erase one subject everywhere in the record; hold the site's lock.

    Older generations hold the subject too and go; the vault keeps a keyed
    hash as tombstone. Killed midway, the call can be repeated.
    """
    if not vault.identifiers(subject_id):
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    last = generation.current(site)
    if last is not None:
        _rewritten(site, last, {subject_id}, lambda rows: rows.filter(pl.col("subject_id") != subject_id), {subject_id}, keep=1)
    for path in site.quarantine.glob("*.parquet"):
        _without(path, subject_id)
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
    if last is not None:
        manifest = Manifest.read(last)
        moved = commit.read_rows(last, manifest.shard_of(absorbed), absorbed, absorbed).with_columns(
            subject_id=pl.lit(kept, pl.Int64)
        )

        def change(rows: pl.DataFrame) -> pl.DataFrame:
            others = rows.filter(pl.col("subject_id") != absorbed)
            if not (others["subject_id"] == kept).any():
                return others
            # what both have stands once
            return (
                pl.concat([others, moved])
                .unique(["subject_id", "time", "code", "numeric_value", "text_value", "key", "part"], keep="first", maintain_order=True)
                .sort("subject_id", "time", nulls_last=False, maintain_order=True)
            )

        _rewritten(site, last, {kept, absorbed}, change, {absorbed}, keep=site.settings().keep_generations)
    with vault.transaction():
        vault.merge(kept, absorbed)


def _rewritten(
    site: SiteDirectory,
    last: Path,
    touched: set[int],
    change: Callable[[pl.DataFrame], pl.DataFrame],
    gone: set[int],
    keep: int,
) -> None:
    """Publish a generation in which the shards of `touched` subjects went through `change`."""
    manifest, metadata, settings = Manifest.read(last), Metadata.read(last), site.settings()
    names = {manifest.shard_of(subject) for subject in touched}
    with generation.building(site) as folder:
        shards: list[Shard] = []
        for shard in manifest.shards:
            if shard.name not in names:
                commit.link_shards(last, folder, [shard])
                shards.append(shard)
                continue
            first, size = shard.first_subject, shard.last_subject - shard.first_subject + 1
            counts = commit.row_counts(last, shard.name, first, size)
            written = commit.write_shard(
                generation.shard_path(folder, shard.name),
                commit.subject_groups(counts, first),
                lambda start, stop, name=shard.name: change(commit.read_rows(last, name, start, stop)),  # type: ignore[misc]
            )
            if written is not None:
                shards.append(written)
        subjects = metadata.subjects.filter(~pl.col("subject_id").is_in(sorted(gone)))
        following = replace(manifest, number=manifest.number + 1, shards=tuple(shards))
        replace(metadata, subjects=subjects).write(folder, following, settings)
        generation.publish(site, folder, following.number, keep)


def _without(path: Path, subject_id: int) -> None:
    """Drop a subject's facts from one quarantine file."""
    frame = pl.read_parquet(path)
    if "subject_id" not in frame.columns or not (frame["subject_id"] == subject_id).any():
        return
    left = frame.filter(pl.col("subject_id").is_null() | (pl.col("subject_id") != subject_id))
    remove(path)
    if left.height:
        left.write_parquet(path)


