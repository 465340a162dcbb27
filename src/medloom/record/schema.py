"""The columns of the patient record: MEDS 0.4 and what we add to it (docs/architecture.md, "The record")."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

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
        "part": pl.Int32(),  # place of the fact in its resource
        "retracted": pl.Boolean(),  # entered in error
        "file": pl.Int32(),  # ordinal of the source file
        "row": pl.Int64(),  # line, row or resource number in it, from 1
        "problem": pl.String(),  # why the fact cannot be used; it goes to quarantine
        # when the source last changed the resource; read only where this version replaces another
        "updated": pl.Datetime("us"),
    }
)

# A date outside is a typing error or a placeholder. De-identified records are shifted as far as 2214.
EARLIEST: Final = datetime(1850, 1, 1)
LATEST: Final = datetime(2300, 1, 1)


def visible_time() -> pl.Expr:
    """Give the moment from which a fact is visible: the later of `time` and `known_time`."""
    return pl.max_horizontal("time", "known_time")


def end_of_day(expression: pl.Expr) -> pl.Expr:
    """Give the last microsecond of the day: when a date without a time is known.

    >>> frame = pl.DataFrame({"d": [datetime(2020, 1, 1)]})
    >>> frame.select(end_of_day(pl.col("d"))).item()
    datetime.datetime(2020, 1, 1, 23, 59, 59, 999999)
    """
    return expression.dt.truncate("1d") + pl.duration(days=1) - pl.duration(microseconds=1)
