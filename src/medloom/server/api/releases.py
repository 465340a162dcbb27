"""Models and their releases: what was found out, who let them answer, and how they are taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import read_json
from medloom.loop import releases
from medloom.loop.releases import Release
from medloom.loop.usage import usage_of
from medloom.server.access import Permission, Person, may
from medloom.server.api.needs import BackendOf, Number, Sent, answer, tagged
from medloom.server.api.repeats import OnceOf
from medloom.tasks import models
from medloom.tasks.package import origin_in, package_digest

router = APIRouter(tags=["models"])

Reader = Annotated[Person, Depends(may(Permission.READ_MODELS))]
Proposer = Annotated[Person, Depends(may(Permission.PROPOSE_RELEASE))]
Signer = Annotated[Person, Depends(may(Permission.SIGN_RELEASE))]
ModelPath = Annotated[str, Path(max_length=160, description="TASK.LEARNER[@N]")]
_DOCUMENTS: Final = {"evidence": "evaluation.json", "card": "card.json"}
_RELEASE: Final[dict[str, Any]] = {
    "id": 3,
    "task": "aki-48h",
    "model": "aki-48h.gbdt@2",
    "package": "5f1d…",
    "state": "active",
    "threshold": 0.15,
    "note": "better calibrated than the last",
    "evidence": {"n": 2140, "metrics": {"auroc": {"value": 0.84, "low": 0.81, "high": 0.87}}},
    "proposed_by": "scientist",
    "proposed": "2026-02-20T10:00:00.000000Z",
    "signed_by": "lead",
    "signed": "2026-02-21T09:12:00.000000Z",
    "ended_by": None,
    "ended": None,
    "end_reason": None,
}


class ModelSaid(BaseModel):
    """A version of a model; `state`: of its last release, null: it was never proposed."""

    name: str
    task: str
    learner: str
    version: int
    question: dict[str, Any]
    state: str | None
    documents: list[str]


class ModelList(BaseModel):
    """All versions of all models."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "models": [
                    {
                        "name": "aki-48h.gbdt@2",
                        "task": "aki-48h",
                        "learner": "gbdt",
                        "version": 2,
                        "question": {"task": "aki-48h", "kind": "binary"},
                        "state": "active",
                        "documents": ["evidence", "card"],
                    }
                ]
            }
        }
    )

    models: list[ModelSaid]


class Document(BaseModel):
    """What was found out, as `evaluation.json` or `card.json` beside the package say it."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"n": 2140, "metrics": {}}})


class WeekSaid(BaseModel):
    """What was done with a model in seven days."""

    begins: str
    asked: int
    alerts: int
    accepted: int
    overridden: int


class UsageSaid(BaseModel):
    """How a model is used: by week, and by the role of who asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "weeks": [
                    {"begins": "2026-02-23", "asked": 812, "alerts": 40, "accepted": 31, "overridden": 6}
                ],
                "roles": {"clinician": 700, "program": 112},
            }
        }
    )

    weeks: list[WeekSaid]
    roles: dict[str, int]


class ReleaseSaid(BaseModel):
    """A version of a model on its way to patients, or back."""

    model_config = ConfigDict(json_schema_extra={"example": _RELEASE})

    id: int
    task: str
    model: str
    package: str
    state: Literal["proposed", "active", "refused", "retired"]
    threshold: float | None
    note: str
    evidence: dict[str, Any]
    proposed_by: str
    proposed: str
    signed_by: str | None
    signed: str | None
    ended_by: str | None
    ended: str | None
    end_reason: str | None


class ReleaseList(BaseModel):
    """All releases, the newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"releases": [_RELEASE]}})

    releases: list[ReleaseSaid]


class Proposal(Sent):
    """A model that is to answer for patients."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"model": "aki-48h.gbdt@2", "threshold": 0.15, "note": "better"}},
    )

    model: str = Field(max_length=160)
    threshold: float | None = Field(
        None, allow_inf_nan=False, description="The answer from which on somebody is alerted."
    )
    note: str = Field("", max_length=1000)


class Why(Sent):
    """Why something is ended."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "too many alerts"}})

    reason: str = Field(min_length=1, max_length=1000)


@router.get("/models", response_model=ModelList)
def list_models(backend: BackendOf, person: Reader) -> Response:
    """List the models of the site."""
    states = {one.model: one.state for one in reversed(releases.every(backend.database))}
    listed = []
    for name in backend.site.models:
        folder = models.evidence_directory(backend.site.directory, name) / "held_out"
        question = origin_in(models.directory(backend.site.directory, name)).question
        listed.append(
            {
                "name": str(name),
                "task": name.task,
                "learner": name.learner,
                "version": name.version,
                "question": question.model_dump(mode="json", exclude_defaults=True),
                "state": states.get(str(name)),
                "documents": [kind for kind, file in _DOCUMENTS.items() if (folder / file).is_file()],
            }
        )
    return answer({"models": listed})


@router.get("/models/{name}/usage", response_model=UsageSaid)
def read_usage(backend: BackendOf, person: Reader, name: ModelPath) -> Response:
    """Tell how a model was used in the last twelve weeks."""
    found = str(backend.site.model_name(name))
    thresholds = [one.threshold for one in releases.every(backend.database) if one.model == found]
    usage = usage_of(backend.database, found, datetime.now(UTC).date(), thresholds[0] if thresholds else None)
    return answer({"weeks": usage.weeks, "roles": dict(usage.roles)})


@router.get("/models/{name}/{document}", response_model=Document)
def read_document(
    request: Request,
    backend: BackendOf,
    person: Reader,
    name: ModelPath,
    document: Literal["evidence", "card"],
) -> Response:
    """Read what was found out about a model on held-out patients, or its card."""
    found = backend.site.model_name(name)
    path = models.evidence_directory(backend.site.directory, found) / "held_out" / _DOCUMENTS[document]
    if not path.is_file():
        raise NotFoundError("{model} has no such document yet: evaluate it first", model=str(found))
    backend.saw(person, None, "card.seen" if document == "card" else "report.seen", str(found))
    return tagged(request, read_json(path))


@router.get("/releases", response_model=ReleaseList)
def list_releases(request: Request, backend: BackendOf, person: Reader) -> Response:
    """List all releases."""
    return tagged(request, {"releases": releases.every(backend.database)})


@router.post("/releases", status_code=201, response_model=ReleaseSaid)
def propose_release(backend: BackendOf, person: Proposer, sent: Proposal, once: OnceOf) -> Response:
    """Propose that a model answers; somebody else signs."""

    def work() -> Response:
        made = releases.propose(
            backend.site, backend.database, sent.model, person.actor, sent.note, sent.threshold
        )
        return answer(made, 201, {"location": f"/api/v1/releases/{made.id}"})

    return once.first(work)


@router.get("/releases/{number}", response_model=ReleaseSaid)
def read_release(request: Request, backend: BackendOf, person: Reader, number: Number) -> Response:
    """Read a release."""
    return tagged(request, releases.find(backend.database, number))


@router.post("/releases/{number}/sign", response_model=ReleaseSaid)
def sign_release(backend: BackendOf, person: Signer, number: Number) -> Response:
    """Let a proposed model answer; the one that answered this question until now retires."""
    one = releases.find(backend.database, number)
    package = models.directory(backend.site.directory, backend.site.model_name(one.model))
    if package_digest(package) != one.package:
        raise InputError("the package of {model} was changed after it was proposed", model=one.model)
    return _served(backend, releases.sign(backend.database, number, person.actor))


@router.post("/releases/{number}/refuse", response_model=ReleaseSaid)
def refuse_release(backend: BackendOf, person: Signer, number: Number, sent: Why) -> Response:
    """Refuse a proposal."""
    return answer(releases.refuse(backend.database, number, person.actor, sent.reason))


@router.post("/releases/{number}/withdraw", response_model=ReleaseSaid)
def withdraw_release(backend: BackendOf, person: Proposer, number: Number, sent: Why) -> Response:
    """Take one's own proposal back."""
    if releases.find(backend.database, number).proposed_by != person.login:
        raise InputError("only who proposed a model takes the proposal back")
    return answer(releases.refuse(backend.database, number, person.actor, sent.reason))


@router.post("/releases/{number}/retire", response_model=ReleaseSaid)
def retire_release(backend: BackendOf, person: Signer, number: Number, sent: Why) -> Response:
    """Stop a model from answering, at once and by one person."""
    return _served(backend, releases.retire(backend.database, number, person.actor, sent.reason))


@router.post("/releases/{number}/roll-back", response_model=ReleaseSaid)
def roll_back_release(backend: BackendOf, person: Signer, number: Number, sent: Why) -> Response:
    """Let the model answer again that answered before this one; gives its release."""
    return _served(backend, releases.roll_back(backend.database, number, person.actor, sent.reason))


def _served(backend: BackendOf, one: Release) -> Response:
    backend.serving.refresh()
    return answer(one)
