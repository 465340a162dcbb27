"""The day somebody was born, which is for those who may see identifiers alone."""

from __future__ import annotations

import polars as pl

from medloom.record.schema import BIRTH


def without_birth(facts: pl.DataFrame) -> pl.DataFrame:
    """Leave out what happened on the day of birth, such as the begin of an observation period: it tells that day.

    The birth itself stays, for whoever hides its time and tells the age.

    Args:
        facts: with at least `time` and `code`.

    >>> from datetime import datetime
    >>> times = [datetime(1965, 7, 9), datetime(1965, 7, 9, 8), datetime(2000, 1, 1), None]
    >>> facts = pl.DataFrame({"time": times, "code": ["MEDS_BIRTH", "PERIOD//START", "A", "GENDER//F"]})
    >>> without_birth(facts)["code"].to_list()
    ['MEDS_BIRTH', 'A', 'GENDER//F']
    """
    born = facts.filter(pl.col("code") == BIRTH)["time"].drop_nulls().dt.date().unique()
    that_day = pl.col("time").dt.date().is_in(born.implode()).fill_null(False)
    return facts.filter(~that_day | (pl.col("code") == BIRTH))
