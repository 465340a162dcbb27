"""`/fhir`: read, search, `$evaluate-risk`, Bundles in; every error is an OperationOutcome (R4 § 3.1.0)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
import polars as pl
from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medloom.database.audit import Entry
from medloom.database.metadata import utc_now
from medloom.foundation.clock import Clock
from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import speaking
from medloom.knowledge.fhir_terms import OWN, Json
from medloom.loop import releases
from medloom.server.access import ForbiddenError, Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.fhir import devices, finding, patients, stored, transactions
from medloom.server.fhir.asking import Wanted, advised
from medloom.server.fhir.assessments import Kept, provenance, risk_assessment
from medloom.server.fhir.audit_events import audit_event
from medloom.server.fhir.capabilities import (
    DEVICE_PARAMETERS,
    PATIENT_PARAMETERS,
    capability_statement,
    evaluate_risk,
)
from medloom.server.fhir.chart import Chart, subject_of
from medloom.server.fhir.kinds import KINDS, resource
from medloom.server.fhir.outcomes import MEDIA_TYPE, RefusedError, answer, outcome
from medloom.server.fhir.query import Place, Query
from medloom.server.showing import advice_shown

_JSON: Final = ("json", "application/json", MEDIA_TYPE, "text/json")
_ACCEPTED: Final = ("*/*", "application/*", *_JSON)
_FROM_RECORD: Final = ("Encounter", *KINDS)
_ADVICE: Final = ("RiskAssessment", "Provenance")
_READS: Final = ["GET", "HEAD"]


class FhirRoute(APIRoute):
    """Answers in the caller's language and in FHIR's JSON, or says why not as an OperationOutcome."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route's own handler."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            with speaking(wanted_language(request.headers, request)):
                try:
                    _check_format(request)
                    return await inner(request)
                except RefusedError as error:
                    return answer(outcome(str(error), error.status), error.status)

        return handler


router = APIRouter(prefix="/fhir", route_class=FhirRoute, include_in_schema=False)


@dataclass(frozen=True)
class Asked:
    """The parameters of a search as they came."""

    pairs: tuple[tuple[str, str], ...]
    strict: bool
    in_address: int  # so many of them, the first ones
    base: str

    def query(self, kind: str, known: Iterable[str], backend: Backend) -> Query:
        """Read them as a search of one type."""
        secret = any(name == "identifier" for name, _ in self.pairs)
        if any(name.partition(":")[0] == "identifier" for name, _ in self.pairs[: self.in_address]):
            raise RefusedError("identifiers do not belong into addresses: send them by POST to _search")
        first = Place(0, backend.now(), utc_now())
        return Query.of(
            kind, self.pairs, frozenset(known), first, self.base, strict=self.strict, secret=secret
        )


async def _asked(request: Request) -> Asked:
    pairs = list(request.query_params.multi_items())
    in_address = len(pairs)
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise RefusedError("a search by POST is a form: application/x-www-form-urlencoded", status=415)
        form = await request.form()
        pairs += [(name, str(value)) for name, value in form.multi_items() if name != "csrf"]
    preferred = request.headers.get("prefer", "").replace(" ", "").lower().replace(";", ",").split(",")
    return Asked(tuple(pairs), "handling=strict" in preferred, in_address, _base(request))


TheBackend = Annotated[Backend, Depends(the_backend)]
TheSearch = Annotated[Asked, Depends(_asked)]
Reader = Annotated[Person, Depends(may(Permission.READ_PATIENTS))]
ReaderOfModels = Annotated[Person, Depends(may(Permission.READ_MODELS))]
Auditor = Annotated[Person, Depends(may(Permission.READ_AUDIT))]


@router.api_route("/metadata", methods=_READS)
def metadata(request: Request) -> Response:
    """Say what this interface can do."""
    return answer(capability_statement(_base(request)))


@router.api_route("/OperationDefinition/evaluate-risk", methods=_READS)
def operation(request: Request, person: ReaderOfModels) -> Response:
    """Define `$evaluate-risk`."""
    return answer(evaluate_risk(_base(request)))


@router.api_route("/Device", methods=_READS)
@router.post("/Device/_search")
def search_devices(backend: TheBackend, person: ReaderOfModels, asked: TheSearch) -> Response:
    """Find models that are or were released."""
    query = asked.query("Device", DEVICE_PARAMETERS, backend)
    found = [devices.device(group) for group in devices.by_model(releases.every(backend.database)).values()]
    for ids in query.alternatives("_id"):
        found = [one for one in found if one["id"] in ids]
    for states in query.alternatives("status"):
        found = [one for one in found if one["status"] in [state.rpartition("|")[2] for state in states]]
    for names in query.alternatives("device-name"):
        found = [one for one in found if one["deviceName"][0]["name"].lower().startswith(_lowered(names))]
    return answer(query.bundle(len(found), lambda offset, count: found[offset : offset + count]))


@router.api_route("/Device/{device_id}", methods=_READS)
def read_device(backend: TheBackend, person: ReaderOfModels, device_id: str) -> Response:
    """Give one model."""
    group = devices.by_model(releases.every(backend.database)).get(device_id)
    if group is None:
        raise _missing("Device")
    return answer(devices.device(group))


@router.api_route("/AuditEvent", methods=_READS)
@router.post("/AuditEvent/_search")
def search_audit(backend: TheBackend, person: Auditor, asked: TheSearch) -> Response:
    """Find entries of the audit log."""
    query = asked.query("AuditEvent", stored.AUDIT_PARAMETERS, backend)
    total, rows = stored.find_entries(backend.database, query, _clock(backend).zone)
    site = backend.site.settings.name
    found = query.bundle(total, lambda offset, count: [audit_event(row, site) for row in rows(offset, count)])
    backend.saw(person, None, "audit.searched", "AuditEvent")
    return answer(found)


@router.api_route("/AuditEvent/{number}", methods=_READS)
def read_audit(backend: TheBackend, person: Auditor, number: str) -> Response:
    """Give one entry of the audit log."""
    row = stored.entry(backend.database, number)
    backend.saw(person, None, "audit.read", f"AuditEvent/{row['number']}")
    return answer(audit_event(row, backend.site.settings.name))


@router.api_route("/Patient", methods=_READS)
@router.post("/Patient/_search")
def search_patients(backend: TheBackend, person: Reader, asked: TheSearch) -> Response:
    """Find patients of the person's: all, by number, or by the hospital's identifier."""
    query = asked.query("Patient", PATIENT_PARAMETERS, backend)
    subjects = [one for one in backend.site.record.subject_ids.tolist() if backend.sees(person, one)]
    for ids in query.alternatives("_id"):
        subjects = [one for one in subjects if str(one) in ids]
    for tokens in query.alternatives("identifier"):
        named = _named(backend, person, tokens)
        subjects = [one for one in subjects if one in named]
    shown: list[int] = []

    def page(offset: int, count: int) -> list[Json]:
        shown.extend(subjects[offset : offset + count])
        return [patients.patient(chart) for chart in _charts(backend, person, shown, query.place.now)]

    found = query.bundle(len(subjects), page)
    seen = [_patient_seen(person, one, "fhir.searched", "Patient") for one in shown]
    backend.told(*(seen or [Entry(person.login, person.role, "fhir.searched", target="Patient")]))
    return answer(found)


@router.post("/Patient/{subject}/$evaluate-risk")
async def evaluate(
    request: Request,
    backend: TheBackend,
    person: Annotated[Person, Depends(may(Permission.ASK))],
    subject: str,
) -> Response:
    """Let released models answer about a patient now, or about a moment; what they answer is stored."""
    wanted = Wanted.of(await _document(request), request.query_params)

    def work() -> Json:
        number = finding.subject_in(subject)
        backend.check_sees(person, number)
        kept = advised(backend, person, number, wanted)
        clock = _clock(backend)
        made = [("assessment", risk_assessment(advice_shown(person, one.advice), clock)) for one in kept]
        made += [("provenance", provenance(one, clock)) for one in kept]
        return {
            "resourceType": "Parameters",
            "parameter": [{"name": name, "resource": content} for name, content in made],
        }

    return answer(await run_in_threadpool(work))


@router.api_route("/{kind}", methods=_READS)
@router.post("/{kind}/_search")
def search(backend: TheBackend, person: Reader, asked: TheSearch, kind: str) -> Response:
    """Find what the record holds of one patient, or advice about them."""
    query = asked.query(kind, _parameters_of(kind), backend)
    subject = _subject_of(query, backend)
    backend.check_sees(person, subject)
    if kind in _ADVICE:
        total, page = _find_advice(backend, person, subject, query)
    else:
        chart = Chart.of(backend.site.record, person, subject, query.place.now)
        total, page = (finding.encounters if kind == "Encounter" else finding.facts)(chart, query)
    found = query.bundle(total, page)
    backend.saw(person, subject, "fhir.searched", kind)
    return answer(found)


@router.api_route("/{kind}/{resource_id}", methods=_READS)
def read(backend: TheBackend, person: Reader, kind: str, resource_id: str) -> Response:
    """Give one resource, as the record has it now."""
    if kind in _ADVICE:
        try:
            kept = stored.kept(backend.database, resource_id)
        except NotFoundError:
            raise _missing(kind) from None
        backend.check_sees(person, kept.advice.subject_id)
        backend.saw(person, kept.advice.subject_id, "fhir.read", f"{kind}/{kept.advice.id}")
        return answer(_of_advice(kind, kept, person, _clock(backend)))
    _parameters_of(kind)
    subject = subject_of(f"{resource_id}-" if kind == "Patient" else resource_id)
    if subject is None:
        raise _missing(kind)
    backend.check_sees(person, subject)
    if kind == "Patient":
        (chart,) = _charts(backend, person, [subject], backend.now())
    else:
        chart = Chart.of(backend.site.record, person, subject, backend.now())
    found = _in_chart(chart, kind, resource_id)
    if found is None:
        raise _missing(kind)
    target = f"{kind}/{resource_id}"
    if kind == "Patient":
        backend.told(_patient_seen(person, subject, "fhir.read", target))
    else:
        backend.saw(person, subject, "fhir.read", target)
    return answer(found)


@router.post("")
async def take_in(
    request: Request,
    backend: TheBackend,
    person: Annotated[Person, Depends(may(Permission.WRITE_EVENTS))],
    system: str | None = None,
) -> Response:
    """Take in a Bundle, transaction or batch."""
    bundle = await _document(request)
    status, made = await run_in_threadpool(transactions.take_in, backend, person, bundle, system)
    return answer(made, status)


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/fhir"


def _check_format(request: Request) -> None:
    """Refuse what asks for XML or another version than R4 (R4 § 3.1.0.1.10)."""
    if (asked := request.query_params.get("_format")) is not None:
        if asked.partition(";")[0].strip().replace(" ", "+").lower() not in _JSON:
            raise RefusedError("only JSON is spoken here: application/fhir+json", status=406)
        return
    accepted = [part.strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    fitting = [part for part in accepted if part.partition(";")[0].strip() in _ACCEPTED]
    if not fitting:
        raise RefusedError("only JSON is spoken here: application/fhir+json", status=406)
    versions = {part.partition("fhirversion=")[2][:3] for part in fitting if "fhirversion=" in part}
    if versions and "4.0" not in versions:
        raise RefusedError("only FHIR 4.0 is spoken here", status=406)


async def _document(request: Request) -> Any:
    """Give the body as parsed JSON; None: there is none."""
    body = await request.body()
    if not body:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON:
        raise RefusedError("send JSON here: application/fhir+json", status=415)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedError("the body is not valid JSON") from None


def _missing(kind: str) -> RefusedError:
    return RefusedError("there is no such {kind}", kind=kind, status=404)


def _lowered(names: list[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _clock(backend: Backend) -> Clock:
    return Clock(backend.site.settings.time_zone)


def _charts(backend: Backend, person: Person, subjects: Sequence[int], now: datetime) -> list[Chart]:
    """Read charts for Patient, with identifiers for who may see them."""
    record = backend.site.record
    if Permission.SEE_IDENTIFIERS not in person.permissions:
        return Chart.several(record, person, subjects, now, {})
    known = {subject: tuple(pairs) for subject, pairs in record.identifiers(subjects).items()}
    return Chart.several(record, person, subjects, now, known)


def _patient_seen(person: Person, subject: int, action: str, target: str) -> Entry:
    identified = Permission.SEE_IDENTIFIERS in person.permissions
    return Entry(person.login, person.role, action, subject, target, detail={"identifiers": identified})


def _in_chart(chart: Chart, kind: str, resource_id: str) -> Json | None:
    if chart.rows.is_empty():
        return None
    if kind == "Patient":
        return patients.patient(chart)
    if kind == "Encounter":
        return next((patients.encounter(one, chart) for one in chart.stays if one.id == resource_id), None)
    rows = chart.rows.filter(pl.col("id") == resource_id, pl.col("type") == kind)
    return next((resource(fact, chart) for fact in chart.facts(rows)), None)


def _find_advice(backend: Backend, person: Person, subject: int, query: Query) -> tuple[int, finding.Page]:
    clock = _clock(backend)
    total, rows = stored.find_advice(backend.database, subject, query, clock.zone)

    def page(offset: int, count: int) -> Sequence[Json]:
        return [_of_advice(query.kind, one, person, clock) for one in rows(offset, count)]

    return total, page


def _of_advice(kind: str, kept: Kept, person: Person, clock: Clock) -> Json:
    if kind == "Provenance":
        return provenance(kept, clock)
    return risk_assessment(advice_shown(person, kept.advice), clock)


def _parameters_of(kind: str) -> frozenset[str]:
    if kind in _FROM_RECORD:
        return finding.parameters(kind)
    known = {
        "Patient": PATIENT_PARAMETERS,
        "RiskAssessment": stored.ADVICE_PARAMETERS,
        "Provenance": stored.PROVENANCE_PARAMETERS,
    }
    if kind not in known:
        raise RefusedError("resources of this type are not here; see metadata", status=404)
    return known[kind]


def _subject_of(query: Query, backend: Backend) -> int:
    """Tell of which patient a search is: the one it names, or whose resource it names."""
    named = {finding.subject_in(one) for each in query.alternatives("patient", "subject") for one in each}
    if not named and query.kind in _ADVICE:
        for each in query.alternatives("_id", "target"):
            named |= {_advised_patient(backend, one.rpartition("/")[2]) for one in each}
    elif not named:
        found = {subject_of(one) for each in query.alternatives("_id") for one in each}
        named = {one for one in found if one is not None}
    if len(named) != 1:
        raise RefusedError("a search here names one patient, such as patient=12")
    return named.pop()


def _advised_patient(backend: Backend, advice_id: str) -> int:
    try:
        return stored.kept(backend.database, advice_id).advice.subject_id
    except NotFoundError:
        raise RefusedError("there is no such {kind}", kind="RiskAssessment", status=404) from None


def _named(backend: Backend, person: Person, tokens: list[str]) -> set[int]:
    """Find patients by the hospital's identifiers, `system|value` or `value`."""
    if Permission.SEE_IDENTIFIERS not in person.permissions:
        raise ForbiddenError(
            "your role does not permit this ({permission})", permission=Permission.SEE_IDENTIFIERS.value
        )
    found = set()
    for token in tokens:
        system, _, value = token.rpartition("|")
        try:
            found.add(backend.site.record.find(value, system.removeprefix(f"{OWN}identifiers:")))
        except NotFoundError:
            continue
    return found
