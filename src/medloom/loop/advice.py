"""Advice: a released model's answer about one patient, with all that a reader needs to weigh it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from medloom.foundation.messages import Text2
from medloom.tasks.question import Question


@dataclass(frozen=True)
class Answer:
    """One value a model gives, as a row of `Predictions`."""

    output: str
    value: float
    low: float | None = None
    high: float | None = None
    in_set: bool | None = None
    end: float | None = None  # of prognosis: the time by which, in the question's unit


@dataclass(frozen=True)
class Reason:
    """How much one input moved the answer, on the advice's `scale`, and the input in words."""

    input: str
    code: str | None
    value: float | None
    contribution: float
    said: Text2


@dataclass(frozen=True)
class Advice:
    """What is shown, stored, and can be reproduced.

    Attributes:
        id: 32 hexadecimal digits.
        service: which clinical service gave it.
        model: `TASK.LEARNER@N`.
        package: digest of the model's package.
        question: what was asked.
        subject_id: about whom (pseudonym).
        prediction_time: the site's wall clock; nothing known later was looked at.
        made: when it was given, UTC as `database.metadata.utc_now` writes it.
        answers: every output, of prognosis at every time.
        output: the answer that stands for all: the only one, the likeliest class, the first event's.
        input_digest: of the patient's history as the model saw it.
        record_digest: of the record then.
        reasons: strongest first; empty where none were asked for.
        baseline: the average answer from which reasons start, on `scale`.
        scale: of the reasons: `log-odds`, `probability`, or a unit.
        unlike: how this patient compares with those it learned from.
        cautions: what a reader must know before relying on it.
        proposals: what could be done; a clinician decides.
        evidence: how good the model was on patients it had not seen, in one line.
        alert: whether the answer reaches the threshold of its release; None: it has none.
    """

    id: str
    service: str
    model: str
    package: str
    question: Question
    subject_id: int
    prediction_time: datetime
    made: str
    answers: tuple[Answer, ...]
    output: str
    input_digest: str
    record_digest: str
    reasons: tuple[Reason, ...] = ()
    baseline: float | None = None
    scale: str | None = None
    unlike: Text2 | None = None
    cautions: tuple[Text2, ...] = ()
    proposals: tuple[Text2, ...] = ()
    evidence: Text2 | None = None
    alert: bool | None = None

    @property
    def answer(self) -> Answer:
        """Give the answer that stands for all; of prognosis that at the last time of interest."""
        named = [one for one in self.answers if one.output == self.output]
        horizons = self.question.horizons
        if horizons:
            named = [one for one in named if one.end is not None and one.end <= horizons[-1]] or named
            return named[-1]
        return named[0]

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **content,
            "question": self.question.model_dump(mode="json", exclude_defaults=True),
            "prediction_time": self.prediction_time.isoformat(),
            "answers": [
                {name: value for name, value in asdict(one).items() if value is not None}
                for one in self.answers
            ],
            "reasons": [asdict(one) | {"said": list(one.said)} for one in self.reasons],
            "unlike": _pair(self.unlike),
            "cautions": [list(one) for one in self.cautions],
            "proposals": [list(one) for one in self.proposals],
            "evidence": _pair(self.evidence),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Advice:
        """Read back what `to_json` gave."""
        return cls(
            **{
                **content,
                "question": Question.model_validate(content["question"]),
                "prediction_time": datetime.fromisoformat(content["prediction_time"]),
                "answers": tuple(Answer(**one) for one in content["answers"]),
                "reasons": tuple(
                    Reason(**{**one, "said": Text2(*one["said"])}) for one in content["reasons"]
                ),
                "unlike": _text(content["unlike"]),
                "cautions": tuple(Text2(*one) for one in content["cautions"]),
                "proposals": tuple(Text2(*one) for one in content["proposals"]),
                "evidence": _text(content["evidence"]),
            }
        )


def _pair(text: Text2 | None) -> list[str] | None:
    return None if text is None else list(text)


def _text(pair: list[str] | None) -> Text2 | None:
    return None if pair is None else Text2(*pair)
