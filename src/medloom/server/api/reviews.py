"""What clinicians make of advice, and the cases that experts read for themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from starlette.responses import Response

from medloom.care import risk
from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop import reading_queue, readings, reviews
from medloom.loop.reading_queue import Draw
from medloom.loop.readings import Case
from medloom.loop.reviewed_labels import agreement
from medloom.loop.reviews import Opinion, Review
from medloom.server.access import Permission, Person, may
from medloom.server.api import cursors
from medloom.server.api.needs import AdviceId, BackendOf, CursorOf, Limit, Number, Sent, Wall, answer
from medloom.server.api.patients import EventList, known_of, told_events
from medloom.server.api.repeats import OnceOf
from medloom.server.backend import Backend

router = APIRouter(tags=["reviews"])

Reader = Annotated[Person, Depends(may(Permission.REVIEW))]
ValueSent = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=200)]
_REVIEW: Final[dict[str, Any]] = {
    "id": 12,
    "advice_id": "3f2a5c1e9b7d4e608f1a2b3c4d5e6f70",
    "reviewer": "dr-lin",
    "verdict": "override",
    "reason": "known",
    "comment": "already on fluids",
    "answer": False,
    "suggestions": [],
    "via": "api",
    "made": "2026-03-01T08:20:00.000000Z",
    "decided": "2026-03-01T08:20:00.000000Z",
    "supersedes": None,
}
_CASE: Final[dict[str, Any]] = {
    "id": 5,
    "question": {"task": "aki-48h", "kind": "binary"},
    "subject_id": 4711,
    "prediction_time": "2026-03-01T08:00:00",
    "stage": "first",
    "earlier": [],
    "until": "2026-03-01T09:00:00.000000Z",
}


class ReviewSent(Sent):
    """Whether advice is followed, and why not."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"verdict": "override", "reason": "known", "comment": "on fluids", "answer": False}
        },
    )

    verdict: Literal["accept", "override"]
    reason: str | None = Field(None, description=", ".join(reviews.REASONS))
    comment: str = Field("", max_length=4000)
    answer: ValueSent | None = Field(None, description="What the reviewer would have answered.")
    suggestions: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=50)


class ReviewSaid(BaseModel):
    """A review as it is kept."""

    model_config = ConfigDict(json_schema_extra={"example": _REVIEW})

    id: int
    advice_id: str
    reviewer: str
    verdict: Literal["accept", "override"]
    reason: str | None
    comment: str
    answer: bool | float | str | None
    suggestions: list[str]
    via: str
    made: str
    decided: str
    supersedes: int | None


class ReviewList(BaseModel):
    """All reviews of an advice, superseded ones too, the newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"reviews": [_REVIEW]}})

    reviews: list[ReviewSaid]


class CaseListed(BaseModel):
    """A case in the queue; nothing that would lead a reader."""

    id: int
    task: str
    subject_id: int
    prediction_time: Wall
    state: Literal["open", "second", "agreed", "adjudicate", "decided"]
    added: str
    claimed_by: str | None
    mine: bool


class CaseList(BaseModel):
    """A page of the queue; `waiting`: how many could be handed to who asks, by task."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "cases": [
                    {
                        "id": 5,
                        "task": "aki-48h",
                        "subject_id": 4711,
                        "prediction_time": "2026-03-01T08:00:00",
                        "state": "open",
                        "added": "2026-03-01T08:20:00.000000Z",
                        "claimed_by": None,
                        "mine": False,
                    }
                ],
                "waiting": {"aki-48h": 1},
                "next": None,
            }
        }
    )

    cases: list[CaseListed]
    waiting: dict[str, int]
    next: str | None


class SaidBefore(BaseModel):
    """What a reader before answered, without their name."""

    answer: bool | float | str | None
    comment: str


class CaseSaid(BaseModel):
    """A case that was handed out: read the patient's events, and answer for yourself."""

    model_config = ConfigDict(json_schema_extra={"example": _CASE})

    id: int
    question: dict[str, Any]
    subject_id: int
    prediction_time: Wall
    stage: Literal["first", "second", "adjudication"]
    earlier: list[SaidBefore]
    until: str


class Take(Sent):
    """Which case is wanted; of any task without one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"task": "aki-48h"}})

    task: str | None = Field(None, max_length=80)
    case: int | None = Field(None, ge=1, le=2**31 - 1)


class ReadingSent(Sent):
    """What a reader answers; null: it cannot be told."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"answer": True, "comment": ""}})

    answer: ValueSent | None
    comment: str = Field("", max_length=4000)


class CaseState(BaseModel):
    """What became of a case."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": 5, "state": "second"}})

    id: int
    state: str


class DrawSent(Sent):
    """How many cases of each sort are put into the queue, from advice that was given."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"task": "aki-48h", "audit": 10}})

    task: str = Field(max_length=80)
    uncertain: int = Field(0, ge=0, le=200)
    wide: int = Field(0, ge=0, le=200)
    unlike: int = Field(0, ge=0, le=200)
    audit: int = Field(0, ge=0, le=200)
    seed: int = Field(0, ge=0, le=2**31 - 1)


class Drawn(BaseModel):
    """The numbers of new cases; why each was chosen is told when it is closed."""

    model_config = ConfigDict(json_schema_extra={"example": {"cases": [5, 6]}})

    cases: list[int]


class OutcomeSaid(BaseModel):
    """All about a case that is closed: who answered what, and what the model had advised."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": 5,
                "state": "agreed",
                "label": True,
                "why": ["audit"],
                "readings": [{"answer": True, "comment": "", "stage": "first", "reader": "e1", "made": "…Z"}],
                "advice_id": "3f2a5c1e9b7d4e608f1a2b3c4d5e6f70",
                "value": 0.18,
            }
        }
    )

    id: int
    state: str
    label: bool | float | str | None
    why: list[str]
    readings: list[dict[str, Any]]
    advice_id: str
    value: float


class AgreementSaid(BaseModel):
    """How far readers agreed beyond chance, with 95 % intervals."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "cases": 40,
                "patients": 38,
                "agreed": 33,
                "untold": 2,
                "readers": 3,
                "adjudicated": 7,
                "percent": {"value": 0.83, "low": 0.7, "high": 0.93},
                "cohen": {"value": 0.62, "low": 0.4, "high": 0.82},
                "fleiss": {"value": 0.61, "low": 0.39, "high": 0.8},
            }
        }
    )

    cases: int
    patients: int
    agreed: int
    untold: int
    readers: int
    adjudicated: int
    percent: dict[str, Any]
    cohen: dict[str, Any]
    fleiss: dict[str, Any]


@router.post("/advice/{advice_id}/reviews", status_code=201, response_model=ReviewSaid)
def write_review(
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.ANSWER))],
    advice_id: AdviceId,
    sent: ReviewSent,
    once: OnceOf,
) -> Response:
    """Follow advice or override it; a changed mind takes the place of what one said before."""
    backend.check_sees(person, risk.find(backend.database, advice_id).subject_id)
    opinion = Opinion(sent.verdict, _reason(sent.reason), sent.comment, sent.answer, tuple(sent.suggestions))

    def work() -> Response:
        kept = reviews.add(backend.database, advice_id, opinion, person.actor, "api")
        return answer(_review(kept), 201)

    return once.first(work)


@router.get("/advice/{advice_id}/reviews", response_model=ReviewList)
def list_reviews(
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.READ_PATIENTS))],
    advice_id: AdviceId,
) -> Response:
    """List what was said of an advice."""
    found = risk.find(backend.database, advice_id)
    backend.check_sees(person, found.subject_id)
    backend.saw(person, found.subject_id, "advice.seen", advice_id)
    return answer({"reviews": [_review(one) for one in reviews.history(backend.database, advice_id)]})


@router.get("/cases", response_model=CaseList)
def list_cases(
    backend: BackendOf,
    person: Reader,
    task: Annotated[str | None, Query(max_length=80)] = None,
    state: Literal["open", "second", "agreed", "adjudicate", "decided"] | None = None,
    limit: Limit = 50,
    cursor: CursorOf = None,
) -> Response:
    """List the cases of the experts' queue."""
    this = ["cases", task, state]
    last = cursors.after(cursor, this, int)
    found = readings.listed(
        backend.database,
        person.actor,
        task=task,
        state=state,
        after=0 if last is None else last[0],
        limit=limit + 1,
    )
    waiting = readings.waiting_for(backend.database, person.actor, adjudicates=_adjudicates(person))
    following = cursors.written(this, [found[limit - 1].id]) if len(found) > limit else None
    return answer({"cases": found[:limit], "waiting": waiting, "next": following})


@router.post("/cases/take", response_model=CaseSaid)
def take_case(backend: BackendOf, person: Reader, sent: Take) -> Response:
    """Be handed a case, for half an hour; the one that one has already comes first."""
    case = readings.hand_out(
        backend.database,
        person.actor,
        item=sent.case,
        task=sent.task,
        adjudicates=_adjudicates(person),
    )
    if case is None:
        raise NotFoundError("no case waits for you now")
    backend.saw(person, case.subject_id, "case.seen", f"case {case.id}")
    said = {**asdict(case), "question": case.question.model_dump(mode="json", exclude_defaults=True)}
    return answer(said)


@router.get("/cases/{number}/events", response_model=EventList)
def list_case_events(
    backend: BackendOf, person: Reader, number: Number, limit: Limit = 200, cursor: CursorOf = None
) -> Response:
    """List what was known of the patient of a case one has, at the moment that is asked about."""
    case = _held(backend, person, number)
    backend.saw(person, case.subject_id, "case.seen", f"case {number}")
    facts = known_of(backend, person, case.subject_id, case.prediction_time)
    return answer(told_events(backend, person, facts, ["case-events", number], limit, cursor))


@router.post("/cases/{number}/reading", response_model=CaseState)
def write_reading(backend: BackendOf, person: Reader, number: Number, sent: ReadingSent) -> Response:
    """Answer a case that one was handed."""
    state = readings.read(backend.database, number, sent.answer, person.actor, sent.comment)
    return answer({"id": number, "state": state})


@router.post("/cases/{number}/skip", status_code=204)
def skip_case(backend: BackendOf, person: Reader, number: Number) -> Response:
    """Give a case back unread."""
    readings.skip(backend.database, number, person.actor)
    return Response(status_code=204)


@router.get("/cases/{number}/outcome", response_model=OutcomeSaid)
def read_outcome(backend: BackendOf, person: Reader, number: Number) -> Response:
    """Tell all about a case that is closed."""
    found = readings.outcome(backend.database, number)
    backend.saw(person, found.advice.subject_id, "case.result_seen", f"case {number}")
    return answer(
        {
            "id": found.id,
            "state": found.state,
            "label": found.label,
            "why": found.why,
            "readings": found.readings,
            "advice_id": found.advice.id,
            "value": found.advice.answer.value,
        }
    )


@router.post("/cases", status_code=201, response_model=Drawn)
def draw_cases(backend: BackendOf, person: Reader, sent: DrawSent, once: OnceOf) -> Response:
    """Put further cases into the queue."""
    wanted = Draw(sent.uncertain, sent.wide, sent.unlike, sent.audit, sent.seed)

    def work() -> Response:
        added = reading_queue.draw(backend.database, sent.task, person.actor, wanted)
        return answer({"cases": sorted(added)}, 201)

    return once.first(work)


@router.get("/agreement/{task}", response_model=AgreementSaid)
def read_agreement(backend: BackendOf, person: Reader, task: str) -> Response:
    """Tell how far the readers of a task agreed."""
    return answer(agreement(backend.database, task))


def _held(backend: Backend, person: Person, number: int) -> Case:
    case = readings.held(backend.database, number, person.actor)
    if case is None:
        raise InputError("case {id} was not handed to you", id=number)
    return case


def _adjudicates(person: Person) -> bool:
    return Permission.ADJUDICATE in person.permissions


def _reason(text: str | None) -> reviews.Reason | None:
    if text is None:
        return None
    known = next((one for one in reviews.REASONS if one == text), None)
    if known is None:
        raise InputError("say why the advice is overridden; there are: {reasons}", reasons=reviews.REASONS)
    return known


def _review(one: Review) -> dict[str, Any]:
    said = asdict(one)
    opinion = said.pop("opinion")
    return {**said, **opinion}
