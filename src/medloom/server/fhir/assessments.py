"""Advice as RiskAssessment, and as Provenance: what was answered, from what, by which model, asked by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from medloom.foundation import durations
from medloom.foundation.clock import Clock
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, tr
from medloom.knowledge.fhir_terms import HL7, OWN, UCUM, Json, coding, device_id, extension, quantity, said
from medloom.loop.advice import Advice, Answer
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.question import Question

_REASONS: Final = 11  # the last of ten says what all others come to
_DIGITS: Final = 8  # of a percentage, so that 0.28 is 28 and not 28.000000000000004


@dataclass(frozen=True)
class Kept:
    """Advice as it is stored: with who asked, and by which way."""

    advice: Advice
    asked_by: str
    via: str


def risk_assessment(advice: Advice, clock: Clock) -> Json:
    """Give advice as a RiskAssessment.

    Chances are percentages, as R4 has them (RiskAssessment.prediction.probability[x], comment); their range is an
    extension on the prediction, and so is a value that is no chance.
    """
    question = advice.question
    title = said(Text2(question.title.en, question.title.zh))
    made: Json = {
        "resourceType": "RiskAssessment",
        "id": advice.id,
        "meta": {"lastUpdated": advice.made},
    }
    if advice.alert is not None:
        made["extension"] = [extension("alert", valueBoolean=advice.alert)]
    made |= {
        "status": "final",
        "method": {"coding": [coding(f"{OWN}model", advice.model)], "text": advice.model},
        "code": {"coding": [coding(f"{OWN}task", question.task)], "text": title},
        "subject": {"reference": f"Patient/{advice.subject_id}"},
        "occurrenceDateTime": clock.written(advice.prediction_time),
        "performer": {"reference": f"Device/{device_id(advice.model)}", "display": advice.model},
        "basis": _sources(advice),
        "prediction": [_prediction(one, advice, clock, title) for one in advice.answers],
    }
    if advice.proposals:
        made["mitigation"] = "\n".join(map(said, advice.proposals))
    remarks = [*advice.cautions, *([advice.unlike] if advice.unlike else [])]
    remarks += [advice.evidence] if advice.evidence else []
    notes = [*map(said, remarks), tr("It proposes; a clinician decides.")]
    return made | {"note": [{"text": text} for text in notes]}


def provenance(kept: Kept, clock: Clock) -> Json:
    """Tell how advice came about: the model that gave it, who asked for it, and digests of what it rests on."""
    advice = kept.advice
    role = HL7 + "provenance-participant-type"
    return {
        "resourceType": "Provenance",
        "id": advice.id,
        "meta": {"lastUpdated": advice.made},
        "target": [{"reference": f"RiskAssessment/{advice.id}"}],
        "occurredDateTime": clock.written(advice.prediction_time),
        "recorded": advice.made,
        "activity": {"coding": [coding(HL7 + "v3-DataOperation", "CREATE", "create")]},
        "agent": [
            {
                "type": {"coding": [coding(role, "author", "Author")]},
                "who": {"reference": f"Device/{device_id(advice.model)}", "display": advice.model},
            },
            {
                "type": {"coding": [coding(role, "enterer", "Enterer")]},
                "who": {"identifier": {"system": f"{OWN}account", "value": kept.asked_by}},
            },
        ],
        "entity": [{"role": "source", "what": source} for source in _sources(advice)],
    }


def _prediction(answer: Answer, advice: Advice, clock: Clock, title: str) -> Json:
    question = advice.question
    made: Json = {}
    is_likelihood = question.kind in PROBABLE
    extensions = []
    if answer.low is not None and answer.high is not None:
        limits = {"low": _amount(answer.low, question), "high": _amount(answer.high, question)}
        extensions.append(extension("prediction-range", valueRange=limits))
    if not is_likelihood:
        extensions.append(extension("predicted-value", valueQuantity=_amount(answer.value, question)))
    if answer.in_set is not None:
        extensions.append(extension("in-prediction-set", valueBoolean=answer.in_set))
    if extensions:
        made["extension"] = extensions
    plain = question.kind in ("binary", "regression")
    text = title if plain else f"{title}: {answer.output}"
    made["outcome"] = {"coding": [coding(f"{OWN}task:{question.task}", answer.output)], "text": text}
    if is_likelihood:
        made["probabilityDecimal"] = _percent(answer.value)
    until = _length(answer, question)
    if until is not None:
        end = advice.prediction_time + until
        made["whenPeriod"] = {"start": clock.written(advice.prediction_time), "end": clock.written(end)}
    if advice.reasons and answer == advice.answer:
        made["rationale"] = "; ".join(said(reason.said) for reason in advice.reasons[:_REASONS])
    return made


def _length(answer: Answer, question: Question) -> timedelta | None:
    """Tell how long after its moment an answer holds; None: the question does not say."""
    try:
        if answer.end is not None and question.unit:
            return timedelta(hours=answer.end * durations.hours(f"1{question.unit}"))
        return timedelta(hours=durations.hours(question.horizon)) if question.horizon else None
    except (InputError, OverflowError):
        return None


def _amount(value: float, question: Question) -> Json:
    if question.kind in PROBABLE:
        return {"value": _percent(value), "unit": "%", "system": UCUM, "code": "%"}
    return quantity(value, question.unit)


def _percent(value: float) -> float:
    return round(value * 100, _DIGITS)


def _sources(advice: Advice) -> list[Json]:
    moment = advice.prediction_time.isoformat(sep=" ", timespec="minutes")
    found = [
        ("input", advice.input_digest, tr("the patient's record as it was known at {moment}", moment=moment))
    ]
    if advice.record_digest:
        found.append(("record", advice.record_digest, tr("the whole record then")))
    return [
        {"identifier": {"system": f"{OWN}digest:{name}", "value": digest}, "display": words}
        for name, digest, words in found
    ]
