"""Advice as the API says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from medloom.loop.advice import Advice
from medloom.server.access import Person
from medloom.server.showing import advice_shown

EXAMPLE: Final[dict[str, Any]] = {
    "id": "3f2a5c1e9b7d4e608f1a2b3c4d5e6f70",
    "service": "risk",
    "model": "aki-48h.gbdt@2",
    "package": "5f1d…",
    "question": {
        "task": "aki-48h",
        "kind": "binary",
        "title": {"en": "acute kidney injury within 48 h", "zh": "48 小时内急性肾损伤"},
        "horizon": "48h",
    },
    "subject_id": 4711,
    "prediction_time": "2026-03-01T08:00:00",
    "made": "2026-03-01T08:02:11.000000Z",
    "answers": [{"output": "true", "value": 0.18, "low": 0.09, "high": 0.31}],
    "output": "true",
    "input_digest": "77b0…",
    "record_digest": "e91c…",
    "reasons": [
        {
            "input": "LOINC//2160-0/last",
            "code": "LOINC//2160-0",
            "value": 1.9,
            "contribution": 0.41,
            "said": ["creatinine, latest: 1.9 mg/dL", "肌酐，最近一次：1.9 mg/dL"],
        }
    ],
    "baseline": -2.9,
    "scale": "log-odds",
    "unlike": ["like most patients it learned from", "与其学习过的多数患者相似"],
    "cautions": [],
    "proposals": [],
    "evidence": ["AUROC 0.84 (0.81–0.87) · n = 2,140", "AUROC 0.84（0.81–0.87） · n = 2,140"],
    "alert": True,
}

Pair = tuple[str, str]


class AnswerSaid(BaseModel):
    """One value a model gives; `low` to `high` holds with the model's stated coverage."""

    output: str
    value: float
    low: float | None = None
    high: float | None = None
    in_set: bool | None = None
    end: float | None = Field(None, description="Of prognosis: the time by which, in the question's unit.")


class ReasonSaid(BaseModel):
    """How much one input moved the answer, on `scale`; `said`: in English and Chinese."""

    input: str
    code: str | None
    value: float | None
    contribution: float
    said: Pair


class AdviceSaid(BaseModel):
    """A released model's answer about one patient; texts in English and Chinese. It proposes; a clinician decides."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    service: str
    model: str = Field(description="TASK.LEARNER@N")
    package: str = Field(description="Digest of the model's package.")
    question: dict[str, Any]
    subject_id: int
    prediction_time: str = Field(description="The site's wall clock; nothing known later was looked at.")
    made: str = Field(description="UTC")
    answers: list[AnswerSaid]
    output: str = Field(description="The answer that stands for all.")
    input_digest: str
    record_digest: str
    reasons: list[ReasonSaid]
    baseline: float | None
    scale: str | None
    unlike: Pair | None
    cautions: list[Pair]
    proposals: list[Pair]
    evidence: Pair | None
    alert: bool | None


def told(content: Mapping[str, Any], advice: Advice, person: Person) -> Mapping[str, Any]:
    """Give advice, and what `to_json` made of it, as a person may see it."""
    shown = advice_shown(person, advice)
    return content if shown is advice else shown.to_json()
