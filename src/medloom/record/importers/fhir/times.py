"""FHIR dates and date-times as wall clock in one time zone, a whole column at a time.

FHIR R4 § 2.24.0.1: `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a date-time with an offset.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

# Written out: the date, the time of day, the seconds' fraction, the offset. A time without
# seconds or offset is not FHIR, yet common; without an offset it is wall clock already.
_FORM: Final = (
    r"^(?<year>\d{4})(?:-(?<month>\d{2})(?:-(?<day>\d{2})"
    r"(?:[T ](?<clock>\d{2}:\d{2})(?<second>:\d{2})?(?:\.(?<fraction>\d{1,9}))?"
    r"(?<offset>Z|[+-]\d{2}:\d{2})?)?)?)?$"
)
# Polars' time zones know no summer time after 2099, and de-identified records are shifted as far as 2214.
_ZONES_END: Final = datetime(2099, 1, 1)


def wall_clock(raw: pl.Series, zone: str) -> pl.DataFrame:
    """Read FHIR dates: frame of `time` and `until`, both naive wall clock in `zone`, in the order of `raw`.

    `time` is the moment, or the first moment of a day, month or year; null where
    `raw` cannot be read. `until` is the last microsecond of a day, month or year;
    null for a moment.

    >>> wall_clock(pl.Series(["2020-07-01T12:00:00+08:00", "2020-02", "0000-00-00"]), "Europe/Paris").rows()
    [(datetime.datetime(2020, 7, 1, 6, 0), None),
     (datetime.datetime(2020, 2, 1, 0, 0), datetime.datetime(2020, 2, 29, 23, 59, 59, 999999)),
     (None, None)]
    """
    column = raw.rename("raw")
    distinct = column.unique().drop_nulls()  # times repeat: parsing is dearer than joining
    if distinct.is_empty():
        empty = pl.Series([None] * len(raw), dtype=pl.Datetime("us"))
        return pl.DataFrame({"time": empty, "until": empty})
    return (
        column.to_frame()
        .join(_parsed(distinct, zone), on="raw", how="left", maintain_order="left")
        .drop("raw")
    )


def _parsed(raw: pl.Series, zone: str) -> pl.DataFrame:
    parts = (
        raw.to_frame().with_columns(pl.col("raw").str.extract_groups(_FORM).alias("parts")).unnest("parts")
    )
    text = pl.format(
        "{}-{}-{}T{}{}",
        "year",
        pl.col("month").fill_null("01"),
        pl.col("day").fill_null("01"),
        pl.col("clock").fill_null("00:00"),
        pl.col("second").fill_null(":00"),
    )
    fraction = pl.col("fraction").str.pad_end(6, "0").str.head(6).cast(pl.Int64).fill_null(0)
    minutes = (
        pl.when(pl.col("offset") == "Z")
        .then(0)
        .otherwise(
            (
                pl.col("offset").str.slice(1, 2).cast(pl.Int64) * 60
                + pl.col("offset").str.slice(4, 2).cast(pl.Int64)
            )
            * pl.when(pl.col("offset").str.starts_with("-")).then(-1).otherwise(1)
        )
    )
    parsed = parts.select(
        "raw",
        "month",
        "day",
        "clock",
        (
            text.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, exact=True)
            + pl.duration(microseconds=fraction)
        ).alias("local"),
        minutes.alias("minutes"),
    )
    utc = pl.col("local") - pl.duration(minutes=pl.col("minutes"))
    shifted = parsed.select(pl.when(pl.col("minutes").is_not_null()).then(utc).alias("utc"))["utc"]
    day, month = pl.col("day").is_null(), pl.col("month").is_null()
    after = (
        pl.when(month)
        .then(pl.col("local").dt.offset_by("1y"))
        .when(day)
        .then(pl.col("local").dt.offset_by("1mo"))
        .when(pl.col("clock").is_null())
        .then(pl.col("local").dt.offset_by("1d"))
    )
    return parsed.with_columns(_in_zone(shifted, zone).alias("moment")).select(
        "raw",
        pl.coalesce("moment", "local").alias("time"),
        (after - pl.duration(microseconds=1)).alias("until"),
    )


def _in_zone(utc: pl.Series, zone: str) -> pl.Series:
    if zone == "UTC":
        return utc
    local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    far = utc >= _ZONES_END
    if not far.any():
        return local
    # All changes of the clock fall on a half hour: one look at the zone's rule for each is enough.
    halves = utc.dt.truncate("30m")
    known = ZoneInfo(zone)
    offsets = {
        half: half.replace(tzinfo=UTC).astimezone(known).utcoffset()
        for half in halves.filter(far).unique().drop_nulls().to_list()
    }
    late = utc + halves.replace_strict(offsets, default=None, return_dtype=pl.Duration("us"))
    return late.zip_with(far.fill_null(value=False), local)
