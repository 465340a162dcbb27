"""Merging new facts with those the record has: undated facts, duplicates, new versions, retractions.

All functions here see whole subjects only, in frames of `RECORD_SCHEMA` plus
the pending columns of `normalising`.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medloom.record.schema import RECORD_SCHEMA, visible_time

_IDENTITY = ["subject_id", "key", "part"]
_CONTENT = [name for name in RECORD_SCHEMA if name not in ("subject_id", "known_until", "source", "key", "part")]


@dataclass(frozen=True)
class Merged:
    """What became of the new facts of some subjects."""

    rows: pl.DataFrame  # the subjects' complete rows, RECORD_SCHEMA, sorted
    undatable: pl.DataFrame  # pending rows without a date whose encounter has no end
    written: int
    duplicates: int
    superseded: int  # rows of the record that a newer version ended
    retracted: int  # of the written: marked as entered in error


def merge(old: pl.DataFrame, new: pl.DataFrame) -> Merged:
    """Merge `new` (pending) into `old` (RECORD_SCHEMA); both hold the same whole subjects.

    - An undated fact takes the end of its encounter.
    - A fact the record already has, by key and content, is a duplicate.
    - A changed resource ends the old rows at the moment the new version is visible
      (`known_until`); an old row of a part the new version no longer has ends too.
    - A retraction ends the old rows, and is kept as an ended row itself.
    """
    dated, undatable = _date(old, new)
    dated = _number_parts(dated)
    fresh = _without_duplicates(old, dated)
    duplicates = dated.height - fresh.height
    ends = pl.DataFrame(schema={"position": pl.UInt32, "until": pl.Datetime("us")})
    combined = pl.concat([old, fresh.select(RECORD_SCHEMA.names())]).with_row_index("position")
    changed = _changed_keys(old, dated)
    if changed.height:
        ends = _ends(combined, dated, changed, old.height)
    superseded = int((ends["position"] < old.height).sum())
    retracted = int(fresh["retracted"].sum())
    if retracted:
        gone = combined.slice(old.height).filter(fresh["retracted"]).select("position", visible_time().alias("until"))
        ends = pl.concat([ends, gone]).group_by("position").agg(pl.col("until").min())
    if ends.height:
        combined = combined.join(ends, on="position", how="left", maintain_order="left").with_columns(
            known_until=pl.min_horizontal("known_until", "until")
        )
    rows = combined.select(RECORD_SCHEMA.names()).sort("subject_id", "time", nulls_last=False, maintain_order=True)
    return Merged(rows, undatable, fresh.height, duplicates, superseded, retracted)


def _date(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give undated facts the end of their encounter; apart, those whose encounter has none."""
    undated = pl.col("time").is_null() & ~pl.col("static")
    if not new.select(undated.any()).item():
        return new, new.clear()
    is_end = pl.col("code").str.starts_with("ENCOUNTER//") & pl.col("code").str.ends_with("//END")
    columns = ["subject_id", "encounter", "time"]
    ends = (
        pl.concat([frame.filter(is_end).select(columns) for frame in (old, new)])
        .drop_nulls()
        .group_by("subject_id", "encounter")
        .agg(pl.col("time").max().alias("end"))
    )
    joined = new.join(ends, on=["subject_id", "encounter"], how="left", maintain_order="left").with_columns(
        time=pl.when(undated).then("end").otherwise("time")
    )
    still = pl.col("time").is_null() & ~pl.col("static")
    columns = new.columns
    return joined.filter(~still).select(columns), joined.filter(still).select(columns)


def _number_parts(new: pl.DataFrame) -> pl.DataFrame:
    """Count equal unnamed facts of one file: the ordinal tells them apart."""
    if new["keyed"].all():
        return new
    ordinal = pl.int_range(pl.len(), dtype=pl.Int32).over("subject_id", "key", "file")
    repeated = ~new.select(pl.struct("subject_id", "key", "file").is_first_distinct()).to_series()
    if not repeated.any():
        return new
    return new.with_columns(part=pl.when("keyed").then("part").otherwise(ordinal))


def _without_duplicates(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    distinct = new.select(pl.struct(_IDENTITY).is_first_distinct()).to_series()
    if not distinct.all():
        # the same name twice: a duplicate if the content is the same too, else a version
        content = pl.struct([*_IDENTITY, *_CONTENT, "retracted"]).is_first_distinct()
        new = new.filter(pl.when("keyed").then(content).otherwise(pl.struct(_IDENTITY).is_first_distinct()))
    if not old.height:
        return new
    known = old.select(_IDENTITY).unique()
    unnamed = new.filter(~pl.col("keyed")).join(known, on=_IDENTITY, how="anti", maintain_order="left")
    named = new.filter("keyed").with_columns(_retracted=pl.col("retracted"))
    marked = old.with_columns(_retracted=(pl.col("known_until") <= visible_time()).fill_null(False))
    # a row that a later version ended is still known: seeing it again is no news
    same = marked.select([*_IDENTITY, *_CONTENT]).unique()
    retractions = marked.filter("_retracted").select([*_IDENTITY, *_CONTENT]).unique()
    on = [*_IDENTITY, *_CONTENT]
    stated = named.filter(~pl.col("_retracted")).join(same, on=on, how="anti", nulls_equal=True, maintain_order="left")
    taken_back = named.filter("_retracted").join(retractions, on=on, how="anti", nulls_equal=True, maintain_order="left")
    order = pl.concat([unnamed, stated.drop("_retracted"), taken_back.drop("_retracted")])
    return order.sort("file", "row", maintain_order=True)


def _changed_keys(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Name the resources of which there is more than one version."""
    named = new.filter("keyed").select("subject_id", "key", "file", "row").unique()
    several = named.group_by("subject_id", "key").len().filter(pl.col("len") > 1).select("subject_id", "key")
    if not old.height:
        return several
    met_again = named.select("subject_id", "key").unique().join(old.select("subject_id", "key").unique(), on=["subject_id", "key"])
    return pl.concat([several, met_again]).unique()


def _ends(combined: pl.DataFrame, new: pl.DataFrame, changed: pl.DataFrame, n_old: int) -> pl.DataFrame:
    """Find which rows a later version ends, and when: frame of `position`, `until`.

    Walks the versions of each changed resource in the order they came; few resources change.
    """
    on = ["subject_id", "key"]
    stored = combined.join(changed, on=on, how="semi").with_columns(visible_time().alias("visible"))
    rows_of: dict[tuple[int, int], list[dict[str, object]]] = {}
    for row in stored.select("position", *on, "part", "source", "visible", "known_until").iter_rows(named=True):
        rows_of.setdefault((row["subject_id"], row["key"]), []).append(row)
    versions = (
        new.filter("keyed")
        .join(changed, on=on, how="semi", maintain_order="left")
        .group_by(*on, "file", "row", maintain_order=True)
        .agg(pl.col("part"), pl.col("source").first(), visible_time().max().alias("visible"), pl.col("retracted").any())
    )
    ends: dict[int, object] = {}
    for version in versions.iter_rows(named=True):
        resource = rows_of.get((version["subject_id"], version["key"]), [])
        added = {row["part"]: row for row in resource if row["position"] >= n_old and row["source"] == version["source"]}  # type: ignore[operator]
        if not added and not version["retracted"]:
            continue  # nothing new in it: an older export read once more
        for row in resource:
            later = row["source"] == version["source"] and row["position"] >= n_old  # type: ignore[operator]
            if later or row["known_until"] is not None or row["position"] in ends or _comes_later(row, version, n_old):
                continue
            replaced = version["retracted"] or row["part"] in added or row["part"] not in version["part"]
            if replaced:
                until = added[row["part"]]["visible"] if row["part"] in added else version["visible"]
                ends[row["position"]] = until  # type: ignore[index]
    schema = {"position": pl.UInt32, "until": pl.Datetime("us")}
    return pl.DataFrame({"position": list(ends), "until": list(ends.values())}, schema=schema)


def _comes_later(row: dict[str, object], version: dict[str, object], n_old: int) -> bool:
    """Tell whether a new row stands behind this version in the source."""
    if row["position"] < n_old:  # type: ignore[operator]
        return False
    place = tuple(int(number) for number in str(row["source"]).split(":"))
    return place > tuple(int(number) for number in str(version["source"]).split(":"))
