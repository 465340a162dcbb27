"""Rows of a table with a time and an event, as labels of a survival question."""

from __future__ import annotations

from typing import Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.tasks.kinds import LABEL_TYPES

# What people write where no event was seen.
_CENSORED: Final = frozenset(["", "0", "0.0", "no", "none", "false", "censored", "否", "无", "删失"])


def timed_labels(time: pl.Series, event: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """Make labels {time, event} of a column of times and one of events; name the events.

    Args:
        time: from the moment of prediction, in any unit; not missing.
        event: True or 1 where the event was seen, and its name is the column's; or numbers or texts that tell
            competing events apart. 0, empty, `no`, `none` and `censored` mean that none was seen.

    Raises:
        InputError: times are no numbers from 0 up, or no event was seen at all.

    >>> timed_labels(pl.Series("week", [3, 9]), pl.Series("arrest", [1, 0]))[1]
    ('arrest',)
    """
    if not time.dtype.is_numeric():
        raise InputError(
            "column {column!r} holds {type}, not times; give the time since the moment of prediction as a number",
            column=time.name,
            type=str(time.dtype),
        )
    bad = int((~time.cast(pl.Float64).is_finite() | (time < 0)).sum())
    if bad:
        raise InputError(
            "column {column!r}: {bad} times are negative, NaN or infinite; count time from the moment of prediction",
            column=time.name,
            bad=bad,
        )
    if event.dtype.is_float():
        event = event.fill_nan(None)
        if (event.drop_nulls() == event.drop_nulls().round()).all():
            event = event.cast(pl.Int64)
    plain = event.cast(pl.String).fill_null("").str.strip_chars()
    seen = ~plain.str.to_lowercase().is_in(list(_CENSORED))
    names = sorted(plain.filter(seen).unique().to_list())
    if not names:
        raise InputError(
            "column {column!r}: no event was seen in any of {n} rows; 1, True or its name marks one",
            column=event.name,
            n=len(event),
        )
    if event.dtype == pl.Boolean or names in (["1"], ["yes"], ["true"], ["True"]):
        plain, names = pl.Series([event.name] * len(event), dtype=pl.String), [event.name]
    fields = {"time": time.cast(pl.Float64), "event": plain.set(~seen, None)}
    labels = pl.DataFrame(fields).to_struct("label").cast(LABEL_TYPES["survival"])
    return labels, tuple(names)
