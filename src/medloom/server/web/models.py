"""Models: what was found out about each version, who let it answer, and how it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import HTMLResponse, Response

from medloom.evidence import words
from medloom.evidence.estimate import Estimate
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import read_json
from medloom.foundation.messages import Text2, language, speaking, text2, tr
from medloom.foundation.pages import opened_in, with_way_back
from medloom.loop import releases
from medloom.loop.releases import Release
from medloom.loop.usage import PROGRAM, usage_of
from medloom.server.access import Permission, Person, may, role_name
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.gate import DOCUMENT_POLICY
from medloom.server.web.rendering import go_to, page
from medloom.server.web.usage_drawing import usage_drawing
from medloom.tasks import models
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.models import ModelName
from medloom.tasks.package import origin_in, package_digest
from medloom.tasks.question import Question

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.READ_MODELS))]
Proposer = Annotated[Person, Depends(may(Permission.PROPOSE_RELEASE))]
Signer = Annotated[Person, Depends(may(Permission.SIGN_RELEASE))]
Reason = Annotated[str, Form(max_length=1000)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

State = Literal["unevaluated", "evaluated", "proposed", "active", "refused", "retired"]
_FOLDER: Final = "held_out"
_DOCUMENTS: Final = {"report": "report.html", "card": "card.html"}


@dataclass(frozen=True)
class Version:
    """A version of a model, as pages speak of it.

    Attributes:
        name: `TASK.LEARNER@N`.
        question: what it answers.
        state: of its release that counts, else whether it was evaluated.
        release: that release; None: it was never proposed.
        evaluation: of held-out patients, as kept; None: not done yet.
        documents: which of report and card there are.
    """

    name: ModelName
    question: Question
    state: State
    release: Release | None
    evaluation: Mapping[str, Any] | None
    documents: Sequence[str]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Give the metrics of held-out patients."""
        found = {} if self.evaluation is None else self.evaluation["metrics"]
        return {name: Estimate(**one) for name, one in found.items()}

    @property
    def metrics(self) -> list[tuple[Text2, Text2 | None, Text2]]:
        """Name each metric, what it means, and its value with the 95 % interval."""
        return [
            (words.metric_name(name, self.question.unit), words.metric_meaning(name), one.said2(2))
            for name, one in self.estimates.items()
        ]

    @property
    def prevalences(self) -> list[tuple[str | None, float]]:
        """Tell what share had the outcome, of several each with its name."""
        found = None if self.evaluation is None else self.evaluation["prevalence"]
        return list(found.items()) if isinstance(found, dict) else [] if not found else [(None, found)]

    @property
    def lacks(self) -> bool:
        """Tell whether some metric could not be estimated."""
        return any(one.value is None for one in self.estimates.values())

    @property
    def headline(self) -> list[tuple[Text2, Text2]]:
        """Give the first metric and the calibration slope."""
        found = self.estimates
        names = [name for name in dict.fromkeys([*list(found)[:1], "calibration_slope"]) if name in found]
        return [(words.metric_name(name, self.question.unit), found[name].said2(2)) for name in names]

    @property
    def thresholds(self) -> list[tuple[Text2, float, list[Text2]]]:
        """Tell what would come of alerting from a risk on: flagged of 100, PPV, sensitivity."""
        told = [] if self.evaluation is None else self.evaluation.get("thresholds", [])
        return [
            (
                words.threshold_name(one["name"]),
                one["value"],
                [
                    Estimate(**one["flagged_per_100"]).said2(0),
                    Estimate(**one["ppv"]).said2(2),
                    Estimate(**one["sensitivity"]).said2(2),
                ],
            )
            for one in sorted(told, key=lambda one: float(one["value"]))
        ]

    @property
    def useful(self) -> tuple[float, float] | None:
        """Give the thresholds between which acting by the model is better than on everybody or nobody."""
        decision = {} if self.evaluation is None else self.evaluation.get("curves", {}).get("decision", {})
        useful = decision.get("useful")
        return None if not useful else (useful[0], useful[1])


@router.get("/models")
def overview(request: Request, backend: BackendOf, person: Reader) -> Response:
    """List the models by question."""
    known = releases.every(backend.database)
    found = [_version(backend, name, known) for name in backend.site.models]
    questions: dict[str, list[Version]] = {}
    for one in sorted(found, key=lambda one: (_ORDER.index(one.state), -one.name.version)):
        questions.setdefault(one.name.task, []).append(one)
    waiting = [one for one in found if one.state == "proposed"]
    return page(request, person, "models.html.j2", questions=questions, waiting=waiting)


@router.get("/models/{name}")
def model(request: Request, backend: BackendOf, person: Reader, name: str) -> Response:
    """Show one version."""
    return _page(request, backend, person, backend.site.model_name(name))


@router.get("/models/{name}/{document}")
def document(
    request: Request, backend: BackendOf, person: Reader, name: str, document: Literal["report", "card"]
) -> Response:
    """Show the evidence report or the card, which carry their styles with them and run nothing."""
    found = backend.site.model_name(name)
    path = _evidence(backend, found) / _DOCUMENTS[document]
    if not path.is_file():
        raise NotFoundError("{model} has no such document yet: evaluate it first", model=str(found))
    backend.saw(person, None, f"{document}.seen", str(found))
    kept = opened_in(path.read_text(encoding="utf-8"), wanted_language(request.headers, request))
    kept = with_way_back(kept, f"/models/{found}", text2("Back to the model"))
    return HTMLResponse(kept, headers={"content-security-policy": DOCUMENT_POLICY})


@router.post("/models/{name}/propose")
def propose(
    request: Request,
    backend: BackendOf,
    person: Proposer,
    name: str,
    note: Reason = "",
    threshold: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Propose a version for patients."""
    found = backend.site.model_name(name)
    with speaking(wanted_language(request.headers, request)):
        try:
            least = _threshold(threshold, origin_in(_package(backend, found)).question)
            if not note.strip():
                raise InputError("say why: the reason is kept with the release")
            releases.propose(backend.site, backend.database, str(found), person.actor, note.strip(), least)
        except InputError as error:
            return _page(
                request,
                backend,
                person,
                found,
                error=str(error),
                typed={"note": note, "threshold": threshold},
            )
        said = tr("{model} is proposed; it answers when somebody else has signed it.", model=str(found))
        return go_to(f"/models/{found}", said, request=request)


@router.post("/releases/{number}/sign")
def sign(request: Request, backend: BackendOf, person: Signer, number: Number) -> Response:
    """Let a proposed version answer."""
    one = releases.find(backend.database, number)
    with speaking(wanted_language(request.headers, request)):
        if package_digest(_package(backend, backend.site.model_name(one.model))) != one.package:
            raise InputError("the package of {model} was changed after it was proposed", model=one.model)
        releases.sign(backend.database, number, person.actor)
        backend.serving.refresh()
        return go_to(f"/models/{one.model}", tr("{model} answers now.", model=one.model), request=request)


@router.post("/releases/{number}/{deed}")
def end(
    request: Request,
    backend: BackendOf,
    person: Signer,
    number: Number,
    deed: Literal["refuse", "retire", "roll-back"],
    reason: Reason = "",
) -> Response:
    """Refuse a proposal; or stop a model, or let the one before it answer again, at once and by one person."""
    model = releases.find(backend.database, number).model
    with speaking(wanted_language(request.headers, request)):
        if deed == "refuse":
            releases.refuse(backend.database, number, person.actor, reason)
            said = tr("{model} is refused.", model=model)
        elif deed == "retire":
            releases.retire(backend.database, number, person.actor, reason)
            said = tr("{model} answers no more.", model=model)
        else:
            before = releases.roll_back(backend.database, number, person.actor, reason)
            said = tr("{model} answers again, as before {other}.", model=before.model, other=model)
        backend.serving.refresh()
        return go_to(f"/models/{model}", said, request=request)


@router.post("/proposals/{number}/withdraw")
def withdraw(
    request: Request, backend: BackendOf, person: Proposer, number: Number, reason: Reason = ""
) -> Response:
    """Take one's own proposal back."""
    one = releases.find(backend.database, number)
    with speaking(wanted_language(request.headers, request)):
        if one.proposed_by != person.login:
            raise InputError("only who proposed a model takes the proposal back")
        releases.refuse(backend.database, number, person.actor, reason)
        said = tr("The proposal of {model} is taken back.", model=one.model)
        return go_to(f"/models/{one.model}", said, request=request)


_ORDER: Final[tuple[State, ...]] = ("active", "proposed", "evaluated", "unevaluated", "retired", "refused")


def _page(
    request: Request,
    backend: Backend,
    person: Person,
    name: ModelName,
    *,
    error: str | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    known = releases.every(backend.database)
    one = _version(backend, name, known)
    threshold = None if one.release is None else one.release.threshold
    usage = usage_of(backend.database, str(name), datetime.now(UTC).date(), threshold)
    with speaking(wanted_language(request.headers, request)):
        drawing = usage_drawing(usage) if usage.total.asked else None
        roles = {role: tr("programs") if role == PROGRAM else _role(role) for role in usage.roles}
    return page(
        request,
        person,
        "model.html.j2",
        status=200 if error is None else 422,
        one=one,
        history=[release for release in known if release.model == str(name)],
        before=_before(known, one.release),
        usage=usage,
        drawing=drawing,
        role_names=roles,
        probable=one.question.kind in PROBABLE,
        error=error,
        typed=typed or {"note": "", "threshold": ""},
    )


def _version(backend: Backend, name: ModelName, known: Sequence[Release]) -> Version:
    folder = _evidence(backend, name)
    kept = folder / "evaluation.json"
    evaluation = read_json(kept) if kept.is_file() else None
    own = [release for release in known if release.model == str(name)]
    counting = [release for release in own if release.state in ("active", "proposed")] or own
    release = counting[0] if counting else None
    state: State = "unevaluated" if evaluation is None else "evaluated"
    return Version(
        name,
        origin_in(_package(backend, name)).question,
        state if release is None else release.state,
        release,
        evaluation,
        [document for document, file in _DOCUMENTS.items() if (folder / file).is_file()],
    )


def _before(known: Sequence[Release], one: Release | None) -> Release | None:
    """Find what answered before a release that answers now."""
    if one is None or one.state != "active":
        return None
    signed = [
        other
        for other in known
        if other.task == one.task and other.state == "retired" and other.signed and other.id != one.id
    ]
    return max(signed, key=lambda other: other.ended or "", default=None)


def _role(role: str) -> str:
    name = role_name(role)
    return name.zh if language() == "zh" else name.en


def _threshold(typed: str, question: Question) -> float | None:
    """Read a threshold as it is typed: of a risk in percent."""
    text = typed.strip().removesuffix("%").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if question.kind in PROBABLE:
        if not 0 < number < 100:
            raise InputError("a threshold is a risk between 0 and 100 %, such as 20")
        return number / 100
    if not math.isfinite(number):
        raise InputError("a threshold is a number, such as 1.5")
    return number


def _package(backend: Backend, name: ModelName) -> FilePath:
    return models.directory(backend.site.directory, name)


def _evidence(backend: Backend, name: ModelName) -> FilePath:
    return models.evidence_directory(backend.site.directory, name) / _FOLDER
