"""Cells to numbers, without losing what is not one."""

from __future__ import annotations

from typing import Literal

import polars as pl

_FULL_WIDTH = dict(zip("０１２３４５６７８９．，－＋＞＜＝　", "0123456789.,-+><= ", strict=True))
_NOT_NUMBERS = r"(?i)^[+-]?(nan|inf|infinity)$"
_COMPARATOR = r"^(?:<=|>=|<|>|≤|≥|≦|≧|~|≈)\s*"


def read_numbers(cells: pl.Series, decimal: Literal[".", ","] = ".", thousands: str = "") -> pl.DataFrame:
    """Split trimmed text cells into `number` (float64), `text` and `doubtful` (bool), row by row.

    A number has no text. `>500` is the number 500 with its text kept. NaN and
    infinity are missing. Everything else is text, and doubtful if it is made
    of digits with marks that `decimal` and `thousands` do not explain (`1,5`).

    >>> read_numbers(pl.Series(["7.4", ">500", "1,5", "阳性", "NaN", "５００"])).rows()
    [(7.4, None, False), (500.0, '>500', False), (None, '1,5', True),
     (None, '阳性', False), (None, None, False), (500.0, None, False)]
    """
    cell = pl.col("cell")
    plain = cell.cast(pl.Float64, strict=False)
    settled = (
        plain.is_finite() if decimal == "." else plain.is_finite() & ~cell.str.contains(".", literal=True)
    )
    frame = cells.to_frame("cell").select(
        number=pl.when(settled).then(plain),
        text=pl.lit(None, dtype=pl.String),
        doubtful=pl.lit(False),
        hard=cell.is_not_null() & ~settled.fill_null(False),
    )
    places = frame.get_column("hard").arg_true()
    if len(places):
        read = _read_hard(cells.gather(places), decimal, thousands)
        frame = frame.with_columns(
            frame.get_column(name).scatter(places, read.get_column(name)) for name in read.columns
        )
    return frame.drop("hard")


def _read_hard(cells: pl.Series, decimal: str, thousands: str) -> pl.DataFrame:
    cell = pl.col("cell")
    bare = cell.str.replace_many(list(_FULL_WIDTH), list(_FULL_WIDTH.values())).str.strip_chars()
    compared = bare.str.contains(_COMPARATOR)
    body = bare.str.replace(_COMPARATOR, "")
    mark, group = (r"\.", ",") if decimal == "." else (",", r"\.")
    group = {"": "", " ": r"[ \u00a0\u202f]", "'": "['’]", ",": ",", ".": r"\."}.get(thousands, group)
    whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)" if group else r"\d+"
    pattern = rf"^[+-]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?$"
    stripped = body.str.replace_all(group, "") if group else body
    value = stripped.str.replace(decimal, ".", literal=True).cast(pl.Float64, strict=False)
    good = body.str.contains(pattern) & value.is_finite()
    absent = bare.str.contains(_NOT_NUMBERS)
    return cells.to_frame("cell").select(
        number=pl.when(good).then(value),
        text=pl.when((good & ~compared) | absent).then(None).otherwise(cell),
        doubtful=~good & body.str.contains(r"^[+-]?\d+(?:[.,' ]\d+)+$"),
    )
