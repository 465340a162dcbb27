"""The dated facts of one patient, each in its system, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.knowledge.loinc import group_of, observables

COLUMNS: Final = ("time", "code", "numeric_value", "text_value", "role", "encounter")

_SYSTEM_OF_ROLE: Final = {
    "condition": "conditions",
    "allergy": "conditions",
    "order": "drugs",
    "dispense": "drugs",
    "administration": "drugs",
    "statement": "drugs",
    "immunization": "drugs",
    "image": "images",
    "waveform": "images",
    "note": "notes",
}
_UNSEEN_ROLES: Final = ("demographic", "period")


def facts_of(events: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Give what is dated up to `now`, in order of time: columns time, code, value, text, role, encounter, system.

    Args:
        events: one patient's, those that are visible at `now`; at least time, code and role; `text_hidden` tells
            where a text was left out.
        now: naive wall clock.

    Raises:
        InputError: a column is missing.
    """
    missing = [name for name in ("time", "code", "role") if name not in events.columns]
    if missing:
        raise InputError("a patient's events lack the columns {missing}", missing=missing)
    value = _column(events, "numeric_value", pl.Float64())
    return (
        events.lazy()
        .filter(
            pl.col("time").is_not_null(),
            pl.col("code").is_not_null(),
            pl.col("time") <= now,
            ~pl.col("role").is_in(_UNSEEN_ROLES) | pl.col("role").is_null(),
            pl.col("code") != "MEDS_BIRTH",
        )
        .select(
            pl.col("time").cast(pl.Datetime("us")),
            "code",
            pl.when(value.is_finite()).then(value).alias("value"),
            pl.when(_column(events, "text_hidden", pl.Boolean()))
            .then(pl.lit(tr("text is not shown to your role")))
            .otherwise(_column(events, "text_value", pl.String()))
            .alias("text"),
            pl.col("role").fill_null(""),
            _column(events, "encounter", pl.Int64()).alias("encounter"),
        )
        .with_columns(_system().alias("system"))
        .sort("time", maintain_order=True)
        .collect()
    )


def _column(events: pl.DataFrame, name: str, kind: pl.DataType) -> pl.Expr:
    return pl.col(name).cast(kind) if name in events.columns else pl.lit(None, kind)


def _system() -> pl.Expr:
    measured = pl.col("value").is_not_null()
    return (
        pl.when(pl.col("code").str.starts_with("ENCOUNTER//"))
        .then(pl.lit("encounters"))
        .when(pl.col("role").is_in(list(_SYSTEM_OF_ROLE)))
        .then(pl.col("role").replace_strict(_SYSTEM_OF_ROLE, default=None))
        .when(pl.col("role").is_in(["procedure", "device"]) & ~measured)
        .then(pl.lit("procedures"))
        .when(measured & pl.col("code").is_in(vital_codes()))
        .then(pl.lit("vitals"))
        .when(measured)
        .then(pl.lit("labs"))
        .otherwise(pl.lit("other"))
    )


def vital_codes() -> Sequence[str]:
    """List the codes of vital signs, in the order a chart has them."""
    return [f"LOINC//{code}" for code in observables() if group_of(code) == "vitals"]
