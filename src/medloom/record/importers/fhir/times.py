"""FHIR dates and date-times as wall clock in one time zone, a whole column at a time.

FHIR R4 § 2.24.0.1: `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a date-time with an offset.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.record.schema import LATEST

# What nearly all values look like, so that few need the second, slower pattern.
_MOMENT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$"
# All forms: the date, the time of day, the seconds' fraction, the offset. A time without
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
    nothing = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(column))
    if column.null_count() == len(column):
        return pl.DataFrame({"time": nothing, "until": nothing})
    plain = column.str.contains(_MOMENT)
    if plain.all():
        return _sound(_moments(column, zone), nothing)
    others = (~plain).arg_true()
    parsed = _parsed(column.gather(others), zone)
    time = _moments(pl.select(pl.when(plain).then(column)).to_series(), zone)
    return _sound(time.scatter(others, parsed["time"]), nothing.clone().scatter(others, parsed["until"]))


def _sound(time: pl.Series, until: pl.Series) -> pl.DataFrame:
    """Leave out years that Python does not have: Polars has them, and fails when it is to hand them over."""
    known = pl.col("time").is_between(datetime.min, datetime.max)
    return pl.DataFrame({"time": time, "until": until}).select(
        pl.when(known).then("time").alias("time"), pl.when(known).then("until").alias("until")
    )


def _moments(raw: pl.Series, zone: str) -> pl.Series:
    """Read what matches `_MOMENT`."""
    text = pl.col("raw")
    minutes = _minutes(text.str.tail(6))
    utc = text.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, exact=True)
    frame = raw.rename("raw").to_frame()
    if raw.str.contains(".", literal=True).any():
        utc += _fraction(text.str.extract(r"\.(\d+)"))
    return _in_zone(frame.select(utc - pl.duration(minutes=minutes)).to_series(), zone)


def _parsed(raw: pl.Series, zone: str) -> pl.DataFrame:
    """Read all forms: frame of `time`, `until`."""
    parts = raw.to_frame().select(pl.col("raw").str.extract_groups(_FORM).alias("parts")).unnest("parts")
    text = pl.format(
        "{}-{}-{}T{}{}",
        "year",
        pl.col("month").fill_null("01"),
        pl.col("day").fill_null("01"),
        pl.col("clock").fill_null("00:00"),
        pl.col("second").fill_null(":00"),
    )
    moment = text.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, exact=True)
    local = pl.col("local")
    parsed = parts.with_columns((moment + _fraction(pl.col("fraction"))).alias("local"))
    utc = parsed.select(local - pl.duration(minutes=_minutes(pl.col("offset")))).to_series()
    after = (
        pl.when(pl.col("month").is_null())
        .then(local.dt.offset_by("1y"))
        .when(pl.col("day").is_null())
        .then(local.dt.offset_by("1mo"))
        .when(pl.col("clock").is_null())
        .then(local.dt.offset_by("1d"))
    )
    return parsed.with_columns(_in_zone(utc, zone).alias("moment")).select(
        pl.coalesce("moment", "local").alias("time"),
        (after - pl.duration(microseconds=1)).alias("until"),
    )


def _minutes(offset: pl.Expr) -> pl.Expr:
    """Read `+08:00` as minutes, and whatever ends in Z as none; null stays null."""
    hours = offset.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = hours * 60 + offset.str.tail(2).cast(pl.Int64, strict=False)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    return pl.when(offset.str.ends_with("Z")).then(0).otherwise(minutes * sign)


def _fraction(digits: pl.Expr) -> pl.Expr:
    return pl.duration(microseconds=digits.str.pad_end(6, "0").str.head(6).cast(pl.Int64).fill_null(0))


def _in_zone(utc: pl.Series, zone: str) -> pl.Series:
    if zone == "UTC":
        return utc
    local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    far = utc >= _ZONES_END
    if not far.any():
        return local
    moments, offsets = _far_changes(zone)
    place = np.searchsorted(moments, utc.to_physical().fill_null(0).to_numpy(), side="right") - 1
    late = utc + pl.Series(offsets[np.maximum(place, 0)]).cast(pl.Duration("us"))
    return late.zip_with(far.fill_null(value=False), local)


@cache
def _far_changes(zone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List a zone's changes of the clock after `_ZONES_END`: (n,) moments and (n,) offsets from then on, us.

    Python's zones follow their rule for ever; asking them once for each change is
    enough for any number of dates.
    """
    known = ZoneInfo(zone)
    unit = timedelta(minutes=15)  # no clock changes at another minute

    def offset(place: int) -> int:
        moment = _ZONES_END.replace(tzinfo=UTC) + place * unit
        return (moment.astimezone(known).utcoffset() or timedelta()) // timedelta(microseconds=1)

    changes = [(0, offset(0))]
    step = timedelta(days=28) // unit  # no zone changes its clock twice in a month that late
    for before in range(0, (LATEST - _ZONES_END) // unit, step):
        after = before + step
        if (then := offset(after)) != changes[-1][1]:
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (before, middle) if offset(middle) == then else (middle, after)
            changes.append((after, then))
    places, offsets = np.array(changes, dtype=np.int64).T
    begin = (_ZONES_END - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    return begin + places * (unit // timedelta(microseconds=1)), offsets
