"""What a page about one patient tells, before it is put into words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Final

import polars as pl

from medloom.explanation.unlike import Unlike
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2
from medloom.tasks.question import Question
from medloom.tasks.survival import Curves

_ADULT: Final = 18.0


@dataclass(frozen=True)
class PatientPage:
    """What a page about one patient tells.

    Attributes:
        question: what was asked.
        subject_id: the pseudonym.
        prediction_time: naive wall clock; nothing after it is shown.
        sex: `F`, `M`, `other`, `unknown`.
        age: years.
        answer: a risk from 0 to 1 (binary), a value in the question's unit, or class → probability.
        low, high: the answer's interval.
        curves: of prognosis: the patient's alone (n = 1), with their band where the model tells one.
        bounds: of several answers: low and high of each, where the model tells them.
        in_set: of several classes: those that may be true, where the model tells them.
        level: the share of patients for whom sets and ranges hold the truth; of a band its confidence.
        average: the outcome's share, or mean value, among training patients; said where the reasons do not add up
            to the answer, for then the model's own average answer cannot be compared with it.
        percentile: how many of 100 held-out patients have a lower answer.
        reasons: rows of `Explanation.top`, for the likeliest class where there are several.
        baseline: the model's average answer, from which the reasons start, on `scale`.
        scale: `log-odds`, `probability` or a unit.
        events: this subject's visible events: time, code, numeric_value, text_value, role.
        descriptions, units: of codes, from the record's catalogue.
        model: its name.
        evidence: how good it is, in one line; None: it was not tested.
        cautions: what a reader must know.
        caveat: what testing found of such answers, where it was not as they say; stands at the drawing.
        split: the patient's: `train`, `tuning`, `calibration`, `held_out`; None: new to the model.
        unlike: how unlike the patients the model learned from this one is; None: not known.
        similar: what became of patients whom the model sees alike (`similar.in_words`); None: not counted.
        picture: of a question about an image: it, and where the model looked, as a data URI.
        truth: what really happened, for demonstrations; shown on request.
    """

    question: Question
    subject_id: int
    prediction_time: datetime
    sex: str | None
    age: float | None
    answer: float | Mapping[str, float]
    reasons: pl.DataFrame
    baseline: float
    scale: str
    events: pl.DataFrame
    model: str
    low: float | None = None
    high: float | None = None
    curves: Curves | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    in_set: tuple[str, ...] = ()
    level: float | None = None
    average: float | None = None
    percentile: float | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    evidence: Text2 | str | None = None
    cautions: tuple[Text2, ...] = ()
    caveat: Text2 | None = None
    split: str | None = None
    unlike: Unlike | None = None
    similar: Text2 | None = None
    truth: str | None = None
    picture: str | None = None

    @property
    def is_risk(self) -> bool:
        """Tell whether the answer is one risk."""
        return self.question.kind == "binary"

    @property
    def is_adult(self) -> bool:
        """Tell whether usual ranges of adults hold."""
        return self.age is not None and self.age >= _ADULT

    @property
    def likeliest(self) -> str | None:
        """Name the likeliest of several classes; None: there are not several."""
        answer = self.answer
        return max(answer, key=lambda label: answer[label]) if isinstance(answer, Mapping) else None


def check(page: PatientPage) -> None:
    """Refuse what a page cannot tell.

    Raises:
        InputError: the answer, the reasons or the percentile are not what the page needs.
    """
    several = isinstance(page.answer, Mapping)
    values = list(page.answer.values()) if isinstance(page.answer, Mapping) else [page.answer]
    if not values or not all(isfinite(value) for value in values):
        raise InputError("a patient's page needs an answer that is a number, or at least one class with one")
    if (several or page.question.kind in ("binary", "survival")) and not all(
        0 <= value <= 1 for value in values
    ):
        raise InputError(
            "the answer to a {kind} question is a probability from 0 to 1", kind=page.question.kind
        )
    missing = {"input", "value", "contribution"} - set(page.reasons.columns)
    if missing:
        raise InputError("the reasons lack the columns {missing}", missing=sorted(missing))
    if page.percentile is not None and not 0 <= page.percentile <= 100:
        raise InputError("the percentile is a number from 0 to 100: how many of 100 have a lower answer")
