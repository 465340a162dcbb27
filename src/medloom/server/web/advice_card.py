"""Advice as a card says it: how likely, compared with what, how sure, why; what to know before relying on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medloom.dossier import ranges_told
from medloom.explanation.curve_answer import main_risks
from medloom.explanation.patient import PatientPage
from medloom.explanation.patient_answer import answer_in_words
from medloom.explanation.patient_reasons import adjustment, bars_of, reasons_of, starting, why_note
from medloom.foundation.messages import Text2, text2
from medloom.loop.advice import Advice
from medloom.loop.reviews import Review
from medloom.loop.serving import Served
from medloom.server.web.identity import Identity
from medloom.tasks.survival import Curves, read_curves


@dataclass(frozen=True)
class Card:
    """What a card shows; texts in both languages.

    Attributes:
        advice: what it is about.
        title: what was asked.
        value, low, high: the one answer that stands for all; a share, unless `is_share` is false.
        rank: how many of 100 of the patients asked now have a lower answer; None: not known.
        change: since a day earlier; None: there was no answer then.
        answer: as `patient_answer.answer_in_words` gives it.
        reasons: with their bars.
        notes: what the figures of the reasons are.
        reviews: what people say of it, the newest first.
        mine: what this reader says of it.
    """

    advice: Advice
    title: Text2
    value: float
    low: float | None
    high: float | None
    is_share: bool
    rank: float | None
    change: float | None
    answer: dict[str, Any]
    reasons: list[dict[str, Any]]
    notes: list[Text2]
    reviews: Sequence[Review]
    mine: Review | None


def card_of(
    advice: Advice,
    served: Served,
    who: Identity,
    reviews: Sequence[Review],
    reader: str,
    *,
    rank: float | None = None,
    before: float | None = None,
) -> Card:
    """Put advice into words and drawings.

    Args:
        advice: what was given.
        served: the model that gave it.
        who: about whom.
        reviews: what people say of it now.
        reader: login of who reads.
        rank: how many of 100 of the patients asked now have a lower answer.
        before: the answer a day earlier.
    """
    page = _page(advice, served, who)
    main = advice.answer
    return Card(
        advice,
        _title(advice),
        main.value,
        main.low,
        main.high,
        advice.question.kind != "regression",
        rank,
        None if before is None else main.value - before,
        answer_in_words(page),
        bars_of(page, reasons_of(page)),
        [note for note in (starting(page), adjustment(page), why_note(page)) if note is not None and note.en],
        reviews,
        next((one for one in reviews if one.reviewer == reader), None),
    )


def _title(advice: Advice) -> Text2:
    return Text2(advice.question.title.en, advice.question.title.zh)


def _page(advice: Advice, served: Served, who: Identity) -> PatientPage:
    """Give the advice as pages about one patient have it."""
    question, catalogue = advice.question, served.site.record.catalogue
    rows = pl.DataFrame(
        [(0, one.output, one.value, one.low, one.high, one.end, one.in_set) for one in advice.answers],
        schema=_ROWS,
        orient="row",
    )
    curves = read_curves(rows, question.outputs) if question.kind == "survival" else None
    single = len(question.outputs) == 1
    answer = advice.answer.value if single else _several(advice, curves)
    ranged = single and curves is None
    reasons = [(one.input, one.code, one.value, one.contribution) for one in advice.reasons]
    return PatientPage(
        question=question,
        subject_id=advice.subject_id,
        prediction_time=advice.prediction_time,
        sex=None,
        age=who.age,
        answer=answer,
        low=advice.answer.low if ranged else None,
        high=advice.answer.high if ranged else None,
        curves=curves,
        **ranges_told(served.model, rows),
        reasons=pl.DataFrame(reasons, schema=_REASONS, orient="row"),
        baseline=advice.baseline or 0.0,
        scale=advice.scale or "probability",
        events=pl.DataFrame(),
        descriptions=catalogue.descriptions(),
        units=catalogue.units(),
        model=advice.model,
        evidence=advice.evidence or text2("not tested; how good it is, is not known"),
    )


def _several(advice: Advice, curves: Curves | None) -> dict[str, float]:
    if curves is None:
        return {one.output: one.value for one in advice.answers}
    risks = main_risks(advice.question.horizons, curves)
    return {advice.question.outputs[place]: risk for place, risk in risks.items()}


_ROWS = pl.Schema(
    {
        "sample_id": pl.Int64(),
        "output": pl.String(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "end": pl.Float64(),
        "in_set": pl.Boolean(),
    }
)
_REASONS = pl.Schema(
    {"input": pl.String(), "code": pl.String(), "value": pl.Float64(), "contribution": pl.Float64()}
)
