"""The site's wall clock as FHIR dates and instants, and dates of a search as wall clock (R4 § 2.24.0.1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.record.importers.fhir.times import wall_clock
from medloom.record.schema import end_of_day


def precision() -> pl.Expr:
    """Tell as what a fact's time was written: `year`, `month`, `day`, or null for a moment.

    A date without a time is known at the end of that day, month or year: no moment ends so.

    >>> row = {"time": datetime(2020, 2, 1), "known_time": datetime(2020, 2, 29, 23, 59, 59, 999999)}
    >>> pl.DataFrame([row]).select(precision()).item()
    'month'
    """
    time, known = pl.col("time"), pl.col("known_time")
    tick = pl.duration(microseconds=1)
    midnight = time == time.dt.truncate("1d")
    return (
        pl.when((time == time.dt.truncate("1y")) & (known == time.dt.offset_by("1y") - tick))
        .then(pl.lit("year"))
        .when((time == time.dt.truncate("1mo")) & (known == time.dt.offset_by("1mo") - tick))
        .then(pl.lit("month"))
        .when(midnight & (known == end_of_day(known)))
        .then(pl.lit("day"))
        .alias("precision")
    )


def last_moment() -> pl.Expr:
    """Give the end of the time a fact's date stands for, of a frame with `time` and `precision`."""
    time, kind = pl.col("time"), pl.col("precision")
    tick = pl.duration(microseconds=1)
    return (
        pl.when(kind == "year")
        .then(time.dt.offset_by("1y") - tick)
        .when(kind == "month")
        .then(time.dt.offset_by("1mo") - tick)
        .when(kind == "day")
        .then(time.dt.offset_by("1d") - tick)
        .otherwise(time)
        .alias("until")
    )


# R4 § 3.1.1.5.5: how the parameter's range [low, high] and the resource's [time, until] must lie
_COMPARED: Final[dict[str, Callable[[Any, Any, Any, Any], Any]]] = {
    "eq": lambda time, until, low, high: (time >= low) & (until <= high),
    "ne": lambda time, until, low, high: (time < low) | (until > high),
    "gt": lambda time, until, low, high: until > high,
    "lt": lambda time, until, low, high: time < low,
    "ge": lambda time, until, low, high: until >= low,
    "le": lambda time, until, low, high: time <= high,
    "sa": lambda time, until, low, high: time > high,
    "eb": lambda time, until, low, high: until < low,
}


def date_filter(
    value: str, zone: str, time: Any, until: Any, written: Callable[[datetime], Any] = lambda moment: moment
) -> Any:
    """Turn a date of a search, such as `ge2020-03`, into a filter on ranges of time.

    Args:
        value: as it was asked.
        zone: of the site.
        time: column where ranges begin, of a frame or a table.
        until: column where they end.
        written: how the columns write the site's wall clock.

    Raises:
        InputError: it is no date, or its prefix is not known here.
    """
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    text = text.replace(" ", "+")  # an offset's plus sign that was not escaped
    low, high = wall_clock(pl.Series([text], dtype=pl.String), zone).row(0)
    if prefix not in _COMPARED or low is None:
        raise InputError(
            "{value!r} is not a date of a search; write one such as ge2020-01-31, with one of {prefixes}",
            value=value[:40],
            prefixes=list(_COMPARED),
        )
    return _COMPARED[prefix](time, until, written(low), written(high or low))
