"""The columns of the patient record: MEDS 0.4 and what we add to it (docs/architecture.md, "The record")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError

ROLES: Final = frozenset(
    "demographic condition observation order dispense administration statement procedure device encounter "
    "note image waveform genome molecule prediction allergy immunization period".split()
)

BIRTH: Final = "MEDS_BIRTH"
DEATH: Final = "MEDS_DEATH"

# What a stored shard holds, in this order. `key` and `part` identify a fact for idempotent
# imports: a keyed hash of the source's resource id (or of the content) and the place in it.
RECORD_SCHEMA: Final = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "time": pl.Datetime("us"),
        "code": pl.String(),
        "numeric_value": pl.Float32(),
        "text_value": pl.String(),
        "known_time": pl.Datetime("us"),
        "known_until": pl.Datetime("us"),
        "role": pl.String(),
        "encounter": pl.Int64(),
        "asset": pl.String(),
        "derived_from": pl.String(),
        "span": pl.String(),
        "confidence": pl.Float32(),
        "model": pl.String(),
        "source": pl.String(),
        "key": pl.Int64(),
        "part": pl.Int32(),
    }
)

# What an importer hands over: source identifiers instead of pseudonyms, source units, places in the source.
BATCH_SCHEMA: Final = pl.Schema(
    {
        "patient": pl.String(),  # source identifier, as stable as the source has it
        "time": pl.Datetime("us"),  # null: static, or (static false) the end of `encounter`
        "code": pl.String(),
        "numeric_value": pl.Float64(),
        "text_value": pl.String(),
        "unit": pl.String(),  # as the source spells it
        "known_time": pl.Datetime("us"),
        "role": pl.String(),
        "static": pl.Boolean(),
        "encounter": pl.String(),  # source identifier of the encounter
        "asset": pl.String(),
        "derived_from": pl.String(),
        "span": pl.String(),
        "confidence": pl.Float32(),
        "model": pl.String(),
        "key": pl.String(),  # the source's resource id; null: content and ordinal identify the fact
        "part": pl.Int32(),  # place of the fact in its resource; without a key null, or ONCE
        "retracted": pl.Boolean(),  # entered in error
        "file": pl.Int32(),  # ordinal of the source file
        "row": pl.Int64(),  # line, row or resource number in it, from 1
        "problem": pl.String(),  # why the fact cannot be used; it goes to quarantine
        # when the source last changed the resource; read only where this version replaces another
        "updated": pl.Datetime("us"),
    }
)

# As `part` of a fact without a key: equal ones of one file are one fact and its duplicates, not several facts.
ONCE: Final = -1

# A date outside is a typing error or a placeholder. De-identified records are shifted as far as 2214.
EARLIEST: Final = datetime(1850, 1, 1)
LATEST: Final = datetime(2300, 1, 1)


def visible_time() -> pl.Expr:
    """Give the moment from which a fact is visible: the later of `time` and `known_time`."""
    return pl.max_horizontal("time", "known_time")


def wall_clock(name: str, kind: pl.DataType | None, zone: str) -> pl.Expr:
    """Give a column of moments as naive wall clock in `zone`; one without a zone is taken as it stands.

    >>> frame = pl.DataFrame({"t": [datetime(2020, 1, 1)]}).with_columns(pl.col("t").dt.replace_time_zone("UTC"))
    >>> frame.select(wall_clock("t", frame.schema["t"], "Asia/Shanghai")).item()
    datetime.datetime(2020, 1, 1, 8, 0)
    """
    column = pl.col(name)
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        column = column.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us"))


def conformed(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], zone: str) -> pl.DataFrame:
    """Give a frame the columns and types of `schema`: missing columns null, moments as wall clock in `zone`.

    Raises:
        InputError: a column has values that do not fit its type; the message names it and quotes none.
    """
    columns: list[pl.Series] = []
    for name, kind in schema.items():
        if name not in frame.columns:
            columns.append(pl.Series(name, [None], dtype=kind).new_from_index(0, frame.height))
            continue
        moment = kind == pl.Datetime("us")
        value = wall_clock(name, frame.schema[name], zone) if moment else pl.col(name).cast(kind)
        try:
            columns.append(frame.select(value.alias(name)).to_series())
        except pl.exceptions.PolarsError:
            # from None: the reason quotes values
            raise InputError(
                "column {column} of the events is of the wrong type: it should be {kind}",
                column=name,
                kind=str(kind),
            ) from None
    return pl.DataFrame(columns)


def end_of_day(expression: pl.Expr) -> pl.Expr:
    """Give the last microsecond of the day: when a date without a time is known.

    >>> frame = pl.DataFrame({"d": [datetime(2020, 1, 1)]})
    >>> frame.select(end_of_day(pl.col("d"))).item()
    datetime.datetime(2020, 1, 1, 23, 59, 59, 999999)
    """
    return expression.dt.truncate("1d") + pl.duration(days=1) - pl.duration(microseconds=1)
