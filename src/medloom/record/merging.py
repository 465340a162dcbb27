"""Merging new facts with those the record has: undated facts, duplicates, new versions, retractions.

All functions here see whole subjects only, in frames of `RECORD_SCHEMA` plus
the pending columns of `normalising`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from medloom.record.schema import EARLIEST, RECORD_SCHEMA, visible_time

_IDENTITY = ["subject_id", "key", "part"]
_CONTENT = [
    name for name in RECORD_SCHEMA if name not in ("subject_id", "known_until", "source", "key", "part")
]
_SAID = [name for name in _CONTENT if name != "known_time"]


@dataclass(frozen=True)
class Merged:
    """What became of the new facts of some subjects."""

    rows: pl.DataFrame  # the subjects' complete rows, RECORD_SCHEMA, sorted
    fresh: pl.DataFrame  # pending rows that were news, with `part` counted
    undatable: pl.DataFrame  # pending rows without a date whose encounter has no end
    written: int
    duplicates: int
    superseded: int  # rows of the record that a newer version ended
    retracted: int  # of the written: marked as entered in error


def merge(old: pl.DataFrame, new: pl.DataFrame) -> Merged:
    """Merge `new` (pending) into `old` (RECORD_SCHEMA); both hold the same whole subjects.

    - An undated fact takes the end of its encounter, and is known when that end is; an undated
      retraction without one takes the moment it is known.
    - A fact the record already has, by key and content, is a duplicate.
    - A changed resource ends the old rows at the moment the new version is visible
      (`known_until`); an old row of a part the new version no longer has ends too. A row that
      replaces another is not known before its source says that the resource was changed
      (`updated`); a resource that comes for the first time may have been moved since.
    - A retraction ends the old rows, and is kept as an ended row itself.
    """
    dated, undatable = _date(old, _number_parts(new))
    fresh = _known_when_changed(old, _without_duplicates(old, dated))
    duplicates = dated.height - fresh.height
    ends = pl.DataFrame(schema={"position": pl.UInt32(), "until": pl.Datetime("us")})
    combined = pl.concat([old, fresh.select(RECORD_SCHEMA.names())]).with_row_index("position")
    changed = _changed_keys(old, dated, fresh)
    if changed.height:
        ends = _ends(combined, dated, changed, old.height)
    superseded = int((ends["position"] < old.height).sum())
    retracted = int(fresh["retracted"].sum())
    if retracted:
        gone = (
            combined.slice(old.height).filter(fresh["retracted"]).select("position", _seen().alias("until"))
        )
        ends = pl.concat([ends, gone]).group_by("position").agg(pl.col("until").min())
    if ends.height:
        combined = combined.join(ends, on="position", how="left", maintain_order="left").with_columns(
            known_until=pl.min_horizontal("known_until", "until")
        )
    rows = combined.select(RECORD_SCHEMA.names()).sort(
        "subject_id", "time", nulls_last=False, maintain_order=True
    )
    return Merged(rows, fresh, undatable, fresh.height, duplicates, superseded, retracted)


def undatable(old: pl.DataFrame, new: pl.DataFrame) -> pl.Series:
    """Find the pending rows without a date whose encounter has no end yet: their places in `new`."""
    return _date(old, new.with_row_index("_place"))[1]["_place"]


def _date(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give undated facts the end of their encounter; apart, those whose encounter has none."""
    undated = pl.col("time").is_null() & ~pl.col("static")
    if not new.select(undated.any()).item():
        return new, new.clear()
    is_end = pl.col("code").str.starts_with("ENCOUNTER//") & pl.col("code").str.ends_with("//END")
    columns = ["subject_id", "encounter", "time", "known_time"]
    said_now = new.filter(is_end & ~pl.col("retracted"))
    # an end that was ended, or that its source states anew, no longer counts
    said_before = old.filter(is_end & pl.col("known_until").is_null()).join(
        new.filter("keyed").select("subject_id", "key").unique(), on=["subject_id", "key"], how="anti"
    )
    ends = (
        pl.concat([said_before.select(columns), said_now.select(columns)])
        .drop_nulls(["subject_id", "encounter", "time"])
        .sort("time", "known_time", nulls_last=False)
        .unique(["subject_id", "encounter"], keep="last", maintain_order=True)
        .rename({"time": "end", "known_time": "end_known"})
    )
    joined = new.join(ends, on=["subject_id", "encounter"], how="left", maintain_order="left").with_columns(
        time=pl.when(undated & pl.col("end").is_null() & pl.col("retracted"))
        .then("known_time")
        .when(undated)
        .then("end")
        .otherwise("time"),
        known_time=pl.when(undated)
        .then(pl.max_horizontal("known_time", "end_known"))
        .otherwise("known_time"),
    )
    still = pl.col("time").is_null() & ~pl.col("static")
    columns = new.columns
    return joined.filter(~still).select(columns), joined.filter(still).select(columns)


def _number_parts(new: pl.DataFrame) -> pl.DataFrame:
    """Count equal unnamed facts of one file (`part` null): the ordinal tells them apart."""
    if not new["part"].null_count():
        return new
    unnamed = pl.col("part").is_null()
    same = ["subject_id", "key", "file"]
    if new.filter(unnamed).select(pl.struct(same).is_first_distinct().all()).item():
        return new.with_columns(pl.col("part").fill_null(0))
    ordinal = pl.int_range(pl.len(), dtype=pl.Int32).over([*same, unnamed])
    return new.with_columns(part=pl.when(unnamed).then(ordinal).otherwise("part"))


def _without_duplicates(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    distinct = new.select(pl.struct(_IDENTITY).is_first_distinct()).to_series()
    if not distinct.all():
        # the same name twice: a duplicate if the content is the same too, else a version
        content = pl.struct([*_IDENTITY, *_CONTENT, "retracted"])
        # and where the source says when it changed, what it said before may come back
        hashed = content.hash()
        news = (
            pl.when(pl.col("updated").is_null())
            .then(content.is_first_distinct())
            .otherwise(hashed.ne_missing(hashed.shift(1).over(_IDENTITY)))
        )
        new = new.filter(pl.when("keyed").then(news).otherwise(pl.struct(_IDENTITY).is_first_distinct()))
    if not old.height:
        return new
    known = old.select(_IDENTITY).unique()
    unnamed = new.filter(~pl.col("keyed")).join(known, on=_IDENTITY, how="anti", maintain_order="left")
    named = new.filter("keyed")
    if not named.height:
        return unnamed
    marked = old.join(named.select("subject_id", "key").unique(), on=["subject_id", "key"], how="semi")
    marked = marked.with_columns(_retracted=(pl.col("known_until") <= _seen()).fill_null(False))
    stated = named.filter(~pl.col("retracted"))
    stated = stated.filter(~_is_known(marked, stated))
    retractions = marked.filter("_retracted")
    taken_back = named.filter("retracted").join(
        retractions.select([*_IDENTITY, *_CONTENT]).unique(),
        on=[*_IDENTITY, *_CONTENT],
        how="anti",
        nulls_equal=True,
        maintain_order="left",
    )
    # what has been taken back whole cannot be taken back once more, whenever that is said to be
    on = ["subject_id", "key"]
    standing = marked.filter(pl.col("known_until").is_null()).select(on).unique()
    gone = retractions.select(on).unique().join(standing, on=on, how="anti")
    taken_back = taken_back.join(gone, on=on, how="anti", maintain_order="left")
    return pl.concat([unnamed, stated, taken_back]).sort("file", "row", maintain_order=True)


def _is_known(old: pl.DataFrame, new: pl.DataFrame) -> pl.Series:
    """Tell of named rows whether the record has them: (n,) bool.

    A row that a later version ended is still known: seeing it again is no news, unless
    its source changed it after what stands now was seen. A row that replaced another may be
    known later than it says itself.
    """
    if not old.height:
        return pl.repeat(False, new.height, dtype=pl.Boolean, eager=True)
    numbered = new.with_row_index("_n")
    versions = old.select(*_IDENTITY, *_SAID, stored="known_time").unique()
    same = numbered.select("_n", *_IDENTITY, *_CONTENT, "updated").join(
        versions, on=[*_IDENTITY, *_SAID], how="inner", nulls_equal=True
    )
    moved = pl.col("updated").is_not_null() & (pl.col("stored") >= pl.col("known_time").fill_null(EARLIEST))
    known = same.filter(pl.col("stored").eq_missing(pl.col("known_time")) | moved.fill_null(False))["_n"]
    standing = old.filter(pl.col("known_until").is_null()).with_columns(_since=_seen())
    told = numbered.filter(pl.col("updated").is_not_null()).select("_n", *_IDENTITY, *_SAID, "updated")
    others = (
        told.select("_n", *_IDENTITY, "updated")
        .join(standing.select(*_IDENTITY, "_since"), on=_IDENTITY, nulls_equal=True)
        .filter(pl.col("_since") < pl.col("updated"))
    )
    stand = told.join(standing, on=[*_IDENTITY, *_SAID], how="semi", nulls_equal=True)["_n"]
    back = others.join(stand.to_frame("_n"), on="_n", how="anti")["_n"]
    number = numbered["_n"]
    return number.is_in(known.implode()) & ~number.is_in(back.implode())


def _known_when_changed(old: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Let rows that replace another be known when their source changed the resource, or later."""
    told = pl.col("updated").is_not_null() & pl.col("keyed") & ~pl.col("retracted")
    if not fresh.select(told.any()).item():
        return fresh
    replacing = (
        fresh.select(_IDENTITY)
        .join(
            old.select(_IDENTITY).unique().with_columns(_old=pl.lit(True)),
            on=_IDENTITY,
            how="left",
            maintain_order="left",
        )["_old"]
        .is_not_null()
        | ~fresh.select(pl.struct(_IDENTITY).is_first_distinct()).to_series()
    )
    late = told & replacing & (pl.col("updated") > _seen())
    return fresh.with_columns(known_time=pl.when(late).then("updated").otherwise("known_time"))


def _seen() -> pl.Expr:
    """Give the moment from which a row is visible; of a static one that is always."""
    return visible_time().fill_null(EARLIEST)


def _changed_keys(old: pl.DataFrame, new: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Name the resources of which there is more than one version, and one of them is news."""
    on = ["subject_id", "key"]
    news = (
        pl.concat([fresh.filter("keyed"), new.filter(pl.col("keyed") & pl.col("retracted"))])
        .select(on)
        .unique()
    )
    if not news.height:
        return news
    # one version a resource is the rule; counting rows first is cheaper than finding versions
    named = new.filter("keyed").select(*on, "file", "row").join(news, on=on, how="semi")
    several = named.unique().group_by(on).len().filter(pl.col("len") > 1).select(on)
    if not old.height:
        return several
    return pl.concat([several, news.join(old.select(on).unique(), on=on, how="semi")]).unique()


def _ends(combined: pl.DataFrame, new: pl.DataFrame, changed: pl.DataFrame, n_old: int) -> pl.DataFrame:
    """Find which rows a later version ends, and when: frame of `position`, `until`."""
    on = ["subject_id", "key"]
    stored = combined.join(changed, on=on, how="semi").with_columns(_seen().alias("visible"))
    versions = (
        new.filter("keyed")
        .join(changed, on=on, how="semi", maintain_order="left")
        .group_by(*on, "file", "row", maintain_order=True)
        .agg(
            pl.col("part"),
            pl.col("source").first(),
            pl.max_horizontal(_seen(), "updated").max().alias("visible"),
            pl.col("retracted").any(),
        )
    )
    first = versions.select(on).is_unique()
    single, several = versions.filter(first), versions.filter(~first)
    found = [_ended_by_single(stored, single, n_old)]
    if several.height:
        found.append(_ended_by_several(stored.join(several, on=on, how="semi"), several, n_old))
    return pl.concat(found)


def _ended_by_single(stored: pl.DataFrame, versions: pl.DataFrame, n_old: int) -> pl.DataFrame:
    """Find the rows of the record that the one new version of their resource ends."""
    on = ["subject_id", "key"]
    is_new = pl.col("position") >= n_old
    added = stored.filter(is_new).group_by(*on, "part").agg(pl.col("visible").last().alias("replaced"))
    some = added.select(on).unique().with_columns(pl.lit(True).alias("some"))
    return (
        stored.filter(~is_new & pl.col("known_until").is_null())
        .drop("source")
        .join(versions.rename({"part": "parts", "visible": "stated"}), on=on)
        .join(some, on=on, how="left")
        .join(added, on=[*on, "part"], how="left")
        # nothing new in it: an older export read once more
        .filter(pl.col("some").fill_null(False) | pl.col("retracted"))
        .filter(
            pl.col("retracted") | pl.col("replaced").is_not_null() | ~pl.col("part").is_in(pl.col("parts"))
        )
        .select("position", pl.coalesce("replaced", "stated").alias("until"))
    )


def _ended_by_several(stored: pl.DataFrame, versions: pl.DataFrame, n_old: int) -> pl.DataFrame:
    """Walk the versions of each resource in the order they came; few resources come several times at once."""
    rows_of: dict[tuple[int, int], list[dict[str, Any]]] = {}
    on = ["subject_id", "key"]
    columns = ["position", *on, "part", "source", "visible", "known_until"]
    for row in stored.select(columns).iter_rows(named=True):
        rows_of.setdefault((row["subject_id"], row["key"]), []).append(row)
    ends: dict[int, datetime] = {}
    for version in versions.iter_rows(named=True):
        resource = rows_of.get((version["subject_id"], version["key"]), [])
        added = {
            row["part"]: row
            for row in resource
            if row["position"] >= n_old and row["source"] == version["source"]
        }
        if not added and not version["retracted"]:
            continue  # nothing new in it: an older export read once more
        for row in resource:
            later = row["source"] == version["source"] and row["position"] >= n_old
            if (
                later
                or row["known_until"] is not None
                or row["position"] in ends
                or _comes_later(row, version, n_old)
            ):
                continue
            replaced = version["retracted"] or row["part"] in added or row["part"] not in version["part"]
            if replaced:
                until = added[row["part"]]["visible"] if row["part"] in added else version["visible"]
                ends[row["position"]] = until
    schema = pl.Schema({"position": pl.UInt32(), "until": pl.Datetime("us")})
    return pl.DataFrame({"position": list(ends), "until": list(ends.values())}, schema=schema)


def _comes_later(row: dict[str, Any], version: dict[str, Any], n_old: int) -> bool:
    """Tell whether a new row stands behind this version in the source."""
    if row["position"] < n_old:
        return False
    place = tuple(int(number) for number in str(row["source"]).split(":"))
    return place > tuple(int(number) for number in str(version["source"]).split(":"))
