"""Sex and age at the prediction time, for saying whom a model serves how well."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from medloom.knowledge.systems import gender
from medloom.record.schema import BIRTH
from medloom.tasks.history import MICROSECONDS_PER_HOUR
from medloom.tasks.samples import Samples

# LOINC's code for an age that came as a number; a table's own columns are told by name.
_AGE_CODES: Final = frozenset(["LOINC//30525-0", "age", "Age", "AGE"])
_SEX_CODES: Final = frozenset(["sex", "Sex", "SEX", "gender", "Gender", "GENDER"])
_HOURS_PER_YEAR: Final = 24 * 365.2425


def demographics(samples: Samples) -> pl.DataFrame:
    """Give sex and age of each sample at its prediction time.

    Returns:
        frame of `sample_id`, `sex` (F, M, other, unknown), `age` (years); null where not known.
    """
    parts = [_of_part(part) for part in samples.parts()]
    schema = {"sample_id": pl.Int64, "sex": pl.String, "age": pl.Float64}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _of_part(samples: Samples) -> pl.DataFrame:
    history = samples.history(columns=("text_value",))
    n = history.n_samples
    age = np.full(n, np.nan)
    sex = np.full(n, None, dtype=object)
    for index, code in enumerate(history.vocabulary):
        if code == BIRTH or code in _AGE_CODES or code in _SEX_CODES or code.startswith("GENDER//"):
            rows = np.flatnonzero(history.code == index)
            who = history.sample[rows]
            if code == BIRTH:
                lived = (history.prediction_time[who] - history.time[rows]) / MICROSECONDS_PER_HOUR
                age[who] = lived / _HOURS_PER_YEAR
            elif code in _AGE_CODES:
                age[who] = history.value[rows]
            elif code.startswith("GENDER//"):
                sex[who] = code.removeprefix("GENDER//")
            else:
                texts = history.columns["text_value"].take(rows).to_pylist()
                sex[who] = [None if text is None else gender(text) for text in texts]
    return pl.DataFrame(
        {
            "sample_id": samples.frame["sample_id"],
            "sex": pl.Series(sex.tolist(), dtype=pl.String),
            "age": pl.Series(age).fill_nan(None),
        }
    )
