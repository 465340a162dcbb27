"""Sex and age of the patients of a list, as they were when they were asked about."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop.serving import Serving
from medloom.tasks.demographics import demographics
from medloom.tasks.samples import Samples

_MOST: Final = 20_000
_REMEMBERED: Final = 600.0  # seconds; a birth date may be corrected


@dataclass(frozen=True)
class Someone:
    """A patient.

    Attributes:
        sex: F, M, other or unknown; None: not recorded.
        age: in completed years; None: not known.
    """

    sex: str | None = None
    age: int | None = None


Case = tuple[str, int, datetime]
"""Model, patient, and moment of prediction."""


class People:
    """Remembers who patients are, so that a list that is shown again is not read again."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._known: dict[Case, Someone] = {}
        self._since = time.monotonic()

    def of(self, cases: Iterable[Case]) -> dict[Case, Someone]:
        """Tell who they are; those of whom nothing is known are there too."""
        if len(self._known) > _MOST or time.monotonic() - self._since > _REMEMBERED:
            self._known, self._since = {}, time.monotonic()
        wanted = list(cases)
        new = [case for case in wanted if case not in self._known]
        for model in sorted({case[0] for case in new}):
            cases_of = [case for case in new if case[0] == model]
            self._known |= dict.fromkeys(cases_of, Someone()) | self._read(model, cases_of)
        return {case: self._known[case] for case in wanted}

    def _read(self, model: str, cases: list[Case]) -> dict[Case, Someone]:
        samples: list[Samples] = []
        for _, subject, _ in cases:
            try:
                samples.append(self._serving.ask(self._serving.find(model), subject).sample)
            except (InputError, NotFoundError):  # gone since the list was made
                continue
        if not samples:
            return {}
        frame = pl.concat([one.frame for one in samples]).sort("subject_id")
        frame = frame.with_columns(sample_id=pl.int_range(pl.len(), dtype=pl.Int64))
        found = demographics(replace(samples[0], frame=frame)).join(
            frame.select("sample_id", "subject_id", "prediction_time"), on="sample_id"
        )
        return {
            (model, subject, moment): Someone(sex, None if age is None else int(age))
            for subject, moment, sex, age in found.select(
                "subject_id", "prediction_time", "sex", "age"
            ).iter_rows()
        }
