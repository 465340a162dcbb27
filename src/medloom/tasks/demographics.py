"""Who somebody is at the prediction time, for saying whom a model serves how well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.knowledge.systems import gender
from medloom.record.schema import BIRTH
from medloom.tasks.history import HOURS_PER_YEAR, MICROSECONDS_PER_HOUR
from medloom.tasks.samples import Samples

AGE_BANDS: Final = ("0-17", "18-44", "45-64", "65-79", "80+")
"""Completed years at prediction time."""

UNKNOWN: Final = "unknown"
_BELOW: Final = (18, 45, 65, 80)
# LOINC's code for an age that came as a number; a table's own columns are told by name.
_AGE_CODES: Final = frozenset(["LOINC//30525-0", "age", "Age", "AGE", "年龄"])
_SEX_CODES: Final = frozenset(["sex", "Sex", "SEX", "gender", "Gender", "GENDER", "性别"])
# What else people differ in: beginnings of codes, and names of a table's columns.
_OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "race": ("RACE//", "Race//", "race", "种族"),
    "ethnicity": ("ETHNICITY//", "Ethnicity//", "ethnicity", "民族"),
    "language": ("LANGUAGE//", "Language//", "language", "语言"),
    "insurance": ("INSURANCE//", "Insurance//", "insurance", "医保类型"),
    "site": ("SITE//", "Site//", "site", "hospital", "院区"),
}

DIMENSIONS: Final = ("sex", "age", *_OTHERS)
"""What people may be grouped by."""


def demographics(samples: Samples) -> pl.DataFrame:
    """Give sex, age and what else is known of each sample at its prediction time.

    Returns:
        frame of `sample_id`, `sex` (F, M, other, unknown), `age` (years), and those of `race`, `ethnicity`,
        `language`, `insurance` and `site` (what follows `RACE//` …) of which anything is known; null where not.
    """
    parts = [_of_part(part) for part in samples.parts()]
    schema = {"sample_id": pl.Int64, "sex": pl.String, "age": pl.Float64}
    if not parts:
        return pl.DataFrame(schema=schema)
    found = pl.concat(parts)
    return found.drop(name for name in _OTHERS if found[name].null_count() == found.height)


def demographic_codes(vocabulary: Iterable[str]) -> frozenset[str]:
    """Pick the codes that tell sex or age.

    >>> sorted(demographic_codes(["GENDER//F", "sex", "LOINC//8867-4"]))
    ['GENDER//F', 'sex']
    """
    return frozenset(code for code in vocabulary if _tells(code))


def dimension_of(code: str) -> str | None:
    """Name what a code tells of somebody: `sex`, `age`, `race`, …; None: none of these.

    >>> dimension_of("GENDER//F"), dimension_of("RACE//2106-3"), dimension_of("LOINC//8867-4")
    ('sex', 'race', None)
    """
    if _tells(code):
        return "age" if code == BIRTH or code in _AGE_CODES else "sex"
    for name, spellings in _OTHERS.items():
        if any(code.startswith(one) if one.endswith("//") else code == one for one in spellings):
            return name
    return None


def group_names(samples: Samples, dimension: str) -> NDArray[np.str_]:
    """Name the group of each sample at its prediction time, such as `F` or `45-64`: (n,); `unknown` where untold.

    Raises:
        InputError: people are not grouped by that.
    """
    if dimension not in DIMENSIONS:
        raise InputError(
            "people cannot be grouped by {dimension!r}; they can by: {known}",
            dimension=dimension,
            known=DIMENSIONS,
        )
    who = demographics(samples)
    if dimension not in who.columns:
        return np.full(len(samples), UNKNOWN)
    said = pl.col(dimension)
    named = who.select(age_band(said) if dimension == "age" else said.fill_null(UNKNOWN)).to_series()
    return np.array(named.to_list(), dtype=np.str_)


def age_band(age: pl.Expr) -> pl.Expr:
    """Name the band of an age in years; an age that is missing, negative or NaN is unknown.

    >>> pl.DataFrame({"age": [17.9, 18.0, 93.0, None]}).select(age_band(pl.col("age")))["age"].to_list()
    ['0-17', '18-44', '80+', 'unknown']
    """
    band = pl.lit(AGE_BANDS[-1])
    for below, name in zip(reversed(_BELOW), reversed(AGE_BANDS[:-1]), strict=True):
        band = pl.when(age < below).then(pl.lit(name)).otherwise(band)
    known = age.is_not_null() & age.is_not_nan() & (age >= 0)
    return pl.when(known).then(band).otherwise(pl.lit(UNKNOWN)).alias("age")


def _of_part(samples: Samples) -> pl.DataFrame:
    history = samples.history(columns=("text_value",))
    n = history.n_samples
    age, lived = np.full(n, np.nan), np.full(n, np.nan)
    sex = np.full(n, None, dtype=object)
    others = {name: np.full(n, None, dtype=object) for name in _OTHERS}
    for index, code in enumerate(history.vocabulary):
        for name, spellings in _OTHERS.items():
            prefix = next((one for one in spellings if one.endswith("//") and code.startswith(one)), None)
            if prefix is None and code not in spellings:
                continue
            rows = np.flatnonzero(history.code == index)
            said = (
                history.columns["text_value"].take(rows).to_pylist()
                if prefix is None
                else [code.removeprefix(prefix)]
            )
            others[name][history.sample[rows]] = said if prefix is None else said[0]
        if _tells(code):
            rows = np.flatnonzero(history.code == index)
            who = history.sample[rows]
            if code == BIRTH:
                hours = (history.prediction_time[who] - history.time[rows]) / MICROSECONDS_PER_HOUR
                lived[who] = hours / HOURS_PER_YEAR
            elif code in _AGE_CODES:
                is_number = ~np.isnan(history.value[rows])
                age[who[is_number]] = history.value[rows[is_number]]
            elif code.startswith("GENDER//"):
                _say(sex, who, [gender(code.removeprefix("GENDER//"))] * len(who))
            else:
                texts = history.columns["text_value"].take(rows).to_pylist()
                _say(sex, who, [None if text is None else gender(text) for text in texts])
    return pl.DataFrame(
        {
            "sample_id": samples.frame["sample_id"],
            "sex": pl.Series(sex.tolist(), dtype=pl.String),
            # a birth tells the age at the prediction time, a number when it was written down
            "age": pl.Series(np.where(np.isnan(lived), age, lived)).fill_nan(None),
            **{name: pl.Series(found.tolist(), dtype=pl.String) for name, found in others.items()},
        }
    )


def _tells(code: str) -> bool:
    return code == BIRTH or code in _AGE_CODES or code in _SEX_CODES or code.startswith("GENDER//")


def _say(sex: NDArray[np.object_], who: NDArray[np.integer], found: list[str | None]) -> None:
    """Take over what was found of some samples; what says nothing does not replace what says something."""
    for place, one in zip(who, found, strict=True):
        if one is not None and (sex[place] is None or one != "unknown"):
            sex[place] = one
