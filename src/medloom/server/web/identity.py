"""Who a patient is, as far as a record without names tells: sex, age, and whether they are in hospital now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from medloom.explanation.wording import phrase
from medloom.foundation.messages import Text2, text2
from medloom.record.schema import BIRTH, DEATH

_YEAR: Final = timedelta(days=365.2425)
_ADULT: Final = 18.0
_SEXES: Final = {"GENDER//F", "GENDER//M", "GENDER//other"}


@dataclass(frozen=True)
class Identity:
    """A patient at a moment.

    Attributes:
        subject_id: the pseudonym.
        sex: in words; None: not known.
        age: years; None: not known.
        born: only for who may see identifiers.
        died: when, if they did.
        last: when the latest fact of the record happened.
    """

    subject_id: int
    sex: Text2 | None
    age: float | None
    born: datetime | None
    died: datetime | None
    last: datetime | None

    @property
    def is_adult(self) -> bool:
        """Tell whether usual ranges of adults hold."""
        return self.age is not None and self.age >= _ADULT

    @property
    def age_in_words(self) -> Text2 | None:
        """Say the age."""
        return None if self.age is None else phrase("age", self.age, {}, {}).detail


def identity_of(subject_id: int, events: pl.DataFrame, now: datetime) -> Identity:
    """Read it from a patient's events that are visible at `now`.

    >>> rows = {"time": [datetime(1950, 1, 1), None], "code": ["MEDS_BIRTH", "GENDER//F"]}
    >>> who = identity_of(7, pl.DataFrame(rows), datetime(2020, 1, 2))
    >>> who.sex.en, who.age_in_words.en, who.is_adult
    ('female', '70 y', True)
    """
    codes = set(events["code"].to_list())
    told = sorted(codes & _SEXES)
    said = {
        "GENDER//F": text2("female"),
        "GENDER//M": text2("male"),
        "GENDER//other": text2("other sex"),
    }
    times = events["time"].drop_nulls()
    happened = times.filter(times <= now)
    born, died = (_time_of(events, code) for code in (BIRTH, DEATH))
    age = None if born is None else (min(now, died or now) - born) / _YEAR
    return Identity(
        subject_id,
        said[told[0]] if len(told) == 1 else None,
        age if age is not None and age >= 0 else None,
        born,
        died,
        happened.sort()[-1] if len(happened) else None,
    )


def _time_of(events: pl.DataFrame, code: str) -> datetime | None:
    times = events.filter(pl.col("code") == code)["time"].drop_nulls()
    return times.sort()[0] if len(times) else None
