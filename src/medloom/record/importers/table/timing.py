"""When the facts of rows happened, and when they were known."""

from __future__ import annotations

import polars as pl

from medloom.record.importers.table import problems
from medloom.record.importers.table.mapping import Moment, Table
from medloom.record.importers.table.moments import read_dates, read_duration, read_offsets
from medloom.record.quarantine import with_shape
from medloom.record.schema import EARLIEST, LATEST, end_of_day

TIMES = pl.Schema({"time": pl.Datetime("us"), "known_time": pl.Datetime("us"), "problem": pl.String()})


def row_times(frame: pl.DataFrame, table: Table, zone: str) -> pl.DataFrame:
    """Give `time`, `known_time`, `problem` of the rows' own facts (rows have their `encounter`)."""
    if table.time is None:
        times = TIMES.to_frame().clear(frame.height)
    else:
        times = moment_times(frame, table, table.time, table.known, zone)
    # without a time of its own a fact takes the end of its encounter, if it has one
    undated = times["time"].is_null() & frame["encounter"].is_null() & times["problem"].is_null()
    return times.with_columns(problem=pl.when(undated).then(pl.lit(problems.NO_TIME)).otherwise("problem"))


def moment_times(
    frame: pl.DataFrame, table: Table, at: Moment, known: Moment | None, zone: str
) -> pl.DataFrame:
    """Give `time`, `known_time`, `problem` of what happened at `at`; a day is known at its end."""
    times = _moment(frame, table, at, zone)
    at_end = pl.when("day_only").then(end_of_day(pl.col("time")))
    if known is None:
        return times.select("time", at_end.alias("known_time"), "problem")
    entered = _moment(frame, table, known, zone)
    entered_at = pl.when("day_only").then(end_of_day(pl.col("time"))).otherwise("time")
    later = entered.select(entered_at.alias("known_time"), pl.col("problem").alias("unknown"))
    shaped = pl.col("unknown").str.replace(problems.UNREADABLE, problems.KNOWN_UNREADABLE, literal=True)
    unknown = (
        pl.when(pl.col("unknown").str.starts_with(problems.UNREADABLE))
        .then(shaped)
        .when(pl.col("unknown").is_not_null())
        .then(pl.lit(problems.KNOWN_UNREADABLE))
    )
    known_time = pl.coalesce("known_time", at_end)  # an empty cell: as if there were no such column
    return times.hstack(later).select("time", known_time, problem=pl.coalesce("problem", unknown))


def _moment(frame: pl.DataFrame, table: Table, moment: Moment, zone: str) -> pl.DataFrame:
    """Read a moment of each row: `time`, `day_only`, `problem`."""
    if moment.relative:
        found = _relative(frame, table, moment, zone)
    else:
        assert moment.column is not None  # the mapping's validation
        found = _readable(read_dates(frame[moment.column], moment.format, zone), frame[moment.column])
    if moment.end_of_day:
        found = found.with_columns(time=end_of_day(pl.col("time")), day_only=pl.lit(False))
    return found


def _relative(frame: pl.DataFrame, table: Table, moment: Moment, zone: str) -> pl.DataFrame:
    base = table.base
    assert base is not None  # the mapping's validation
    if base.column is not None:
        dates = _readable(read_dates(frame[base.column], base.format, zone), frame[base.column])
        start = dates.select(base="time", unread="problem")
    else:
        start = frame.select(
            base=pl.lit(base.at, dtype=pl.Datetime("us")), unread=pl.lit(None, dtype=pl.String)
        )
        start = start[[0] * frame.height] if start.height != frame.height else start
    if moment.after is not None:
        offset = pl.DataFrame({"offset": pl.Series([read_duration(moment.after)], dtype=pl.Duration("us"))})
        offset = offset[[0] * frame.height].with_columns(wrong=pl.lit(None, dtype=pl.String))
    else:
        assert moment.column is not None
        assert moment.offset is not None
        offset = _readable(read_offsets(frame[moment.column], moment.offset), frame[moment.column])
        offset = offset.rename({"problem": "wrong"})
    time = pl.col("base") + pl.col("offset")
    inside = time.is_between(EARLIEST, LATEST)
    baseless = pl.col("base").is_null() & pl.col("offset").is_not_null()
    outside = pl.when(baseless).then(pl.lit(problems.NO_BASE)).when(~inside).then(pl.lit(problems.OUTSIDE))
    return start.hstack(offset).select(
        time=pl.when(inside).then(time),
        day_only=pl.lit(False),
        problem=pl.coalesce("wrong", "unread", outside),
    )


def _readable(found: pl.DataFrame, cells: pl.Series) -> pl.DataFrame:
    """Say of cells that cannot be read what they look like."""
    return found.with_columns(with_shape(problems.UNREADABLE, found["problem"], cells).alias("problem"))
