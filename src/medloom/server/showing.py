"""What of a patient is shown to whom: who may not see identifiers sees no birth date, no great age, no free text."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import polars as pl

from medloom.explanation.windowed import AGE, SINCE, Recorded, recorded, windowed
from medloom.explanation.wording import code_name, readable
from medloom.foundation.messages import text2
from medloom.loop.advice import Advice, Reason
from medloom.record.schema import BIRTH
from medloom.server.access import Permission, Person

HIDDEN: Final = text2("text is not shown to your role")
"""Stands where a text is that was left out."""

_MONTH: Final = 24 * 30.0  # hours
_TELLS_A_DAY: Final = 2 * _MONTH  # what is said of shorter times is days; of longer ones months and years

# A number as it was written, such as `<0.5`, and what a form was ticked with.
_NUMBER: Final = r"^(true|false|[<>=~≤≥≈\s]*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*)$"


def facts_shown(person: Person, facts: pl.DataFrame) -> pl.DataFrame:
    """Give the facts of one patient as a person may see them, and `text_hidden`: whether a text was left out.

    Free text may name anybody; who reads cases for review needs it, to others only what writes a number out is shown.

    Args:
        person: who reads.
        facts: with at least `time`, `known_time`, `code`, `numeric_value` and `text_value`.
    """
    if Permission.SEE_IDENTIFIERS in person.permissions:
        return facts.with_columns(text_hidden=pl.lit(value=False))
    if Permission.REVIEW in person.permissions:
        return without_birth(facts).with_columns(text_hidden=pl.lit(value=False))
    is_number = pl.col("numeric_value").is_not_null() & pl.col("text_value").str.contains(_NUMBER)
    hidden = pl.col("text_value").is_not_null() & ~is_number
    return without_birth(facts).with_columns(
        text_hidden=hidden, text_value=pl.when(~hidden).then("text_value")
    )


def without_birth(facts: pl.DataFrame) -> pl.DataFrame:
    """Leave out what happened on the day of birth, such as the begin of an observation period: it tells that day.

    The birth itself stays, for whoever hides its time and tells the age.

    Args:
        facts: with at least `time`, `known_time` and `code`; and `visible`, when each came to be seen, if told.

    >>> from datetime import datetime
    >>> times = [datetime(1965, 7, 9), datetime(1965, 7, 9, 8), datetime(2000, 1, 1), None]
    >>> facts = pl.DataFrame({"time": times, "code": ["MEDS_BIRTH", "PERIOD//START", "A", "GENDER//F"]})
    >>> without_birth(facts.with_columns(known_time="time"))["code"].to_list()
    ['MEDS_BIRTH', 'A', 'GENDER//F']
    """
    born = facts.filter(pl.col("code") == BIRTH)["time"].drop_nulls().dt.date().unique()

    def that_day(name: str) -> pl.Expr:
        return pl.col(name).dt.date().is_in(born.implode()).fill_null(False)

    shown = facts.filter(~that_day("time") | (pl.col("code") == BIRTH))
    told = [name for name in ("known_time", "visible") if name in shown.columns]
    return shown.with_columns(pl.when(~that_day(name)).then(name).alias(name) for name in told)


def advice_shown(person: Person, advice: Advice) -> Advice:
    """Give advice as a person may see it: an exact age tells the birth date, a great one who somebody is."""
    if Permission.SEE_IDENTIFIERS in person.permissions or not advice.reasons:
        return advice
    return replace(advice, reasons=tuple(_reason_shown(person, one) for one in advice.reasons))


def _reason_shown(person: Person, reason: Reason) -> Reason:
    if reason.code != BIRTH or reason.value is None:
        return _not_to_the_day(reason)
    if reason.input != AGE:
        return replace(reason, value=None, said=code_name(BIRTH, {}))
    years = person.age_shown(reason.value)
    said = readable(AGE, years, {}, {})
    return replace(reason, value=None if years is None else math.floor(years), said=said)


def _not_to_the_day(reason: Reason) -> Reason:
    """Round how long ago something was where that may tell the day of birth: to months, after two of them."""
    fact = recorded(reason.input)
    if fact is not None and fact.hours > _TELLS_A_DAY:
        return replace(reason, input=Recorded(fact.code, _in_months(fact.hours)).input)
    found = windowed(reason.input)
    is_time = found is not None and found.statistic == SINCE
    if is_time and reason.value is not None and reason.value > _TELLS_A_DAY:
        return replace(reason, value=_in_months(reason.value))
    return reason


def _in_months(hours: float) -> float:
    return _MONTH * round(hours / _MONTH)
