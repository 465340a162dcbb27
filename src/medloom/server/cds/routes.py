"""The three addresses of CDS Hooks: discovery, a service, and its feedback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from medloom.care import risk
from medloom.care.risk import Given
from medloom.database.audit import Entry, Outcome
from medloom.database.metadata import as_utc_text
from medloom.database.tables.serving import advice as advice_table
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import speaking
from medloom.loop import reviews
from medloom.loop.reviews import Review
from medloom.server.access import NotSignedInError, Permission
from medloom.server.backend import Backend, the_backend
from medloom.server.cds import requests, services, tokens
from medloom.server.cds.cards import card
from medloom.server.cds.clients import Client
from medloom.server.cds.patients import Patient, asked_now, patient_of
from medloom.server.cds.requests import Call, Context, Feedback, RefusedError
from medloom.server.cds.services import HOOKS, Service, service_id
from medloom.server.cds.tokens import BadTokenError
from medloom.server.errors import problem, speaks, wanted_language

VIA: Final = "cds-hooks"


class _Route(APIRoute):
    """Says refusals of this interface with their own status."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RefusedError as error:
                with speaking(wanted_language(request.headers)):
                    return problem(error.status, str(error), {})

        return handled


# Not in the OpenAPI document: discovery and the specification describe it.
router = APIRouter(prefix="/cds-services", route_class=_Route, include_in_schema=False)


speaks("/cds-services", problem)


def client_may(permission: Permission) -> Callable[[Request], Awaitable[Client]]:
    """Give the dependency that lets in the bearer of a registered client's token, as a clinician who may this alone.

    Raises, in a request:
        NotSignedInError: there is no token, or it is not good; what is told of a registered client is audited.
    """

    async def guard(request: Request) -> Client:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise NotSignedInError("send a JSON web token of a registered client: Authorization: Bearer …")
        backend: Backend = the_backend(request)
        return await run_in_threadpool(_let_in, backend, token.strip(), _audiences(request))

    guard.permission = permission  # type: ignore[attr-defined]
    return guard


async def _body(request: Request) -> bytes:
    return await request.body()


@router.get("")
def discover(request: Request, backend: Annotated[Backend, Depends(the_backend)]) -> JSONResponse:
    """List the services: each released model at each hook (section "Discovery")."""
    language = wanted_language(request.headers, request)
    with speaking(language):
        listed = [one.describe(language) for one in services.every(backend.serving.served)]
    return JSONResponse({"services": listed}, headers={"vary": "accept-language"})


@router.post("/{service}")
def call(
    request: Request,
    service: str,
    client: Annotated[Client, Depends(client_may(Permission.ASK))],
    backend: Annotated[Backend, Depends(the_backend)],
    body: Annotated[bytes, Depends(_body)],
) -> JSONResponse:
    """Answer about the patient in context with cards (section "Calling a CDS Service")."""
    with speaking(wanted_language(request.headers)):
        called = _Called(backend, client, service)
        try:
            return JSONResponse({"cards": called.cards(request, body)})
        except (InputError, NotFoundError):
            called.refused()
            raise


@router.post("/{service}/feedback")
def feedback(
    service: str,
    client: Annotated[Client, Depends(client_may(Permission.ANSWER))],
    backend: Annotated[Backend, Depends(the_backend)],
    body: Annotated[bytes, Depends(_body)],
) -> Response:
    """Keep what was done with cards as reviews of their advice; the same told again is kept once."""
    told = requests.read(Feedback, body)
    entries = [
        reviews.from_cds_hooks(one.model_dump(mode="json", by_alias=True, exclude_none=True))
        for one in told.feedback
    ]
    for entry in entries:
        _check_given(backend, client, service, entry.card)
    for entry in entries:
        if not any(_says(kept, entry, client) for kept in reviews.history(backend.database, entry.card)):
            reviews.add(backend.database, entry.card, entry.opinion, client.actor, VIA, entry.decided)
    return Response(status_code=200)


@dataclass
class _Called:
    """One call of a service, and what the audit log is told of it."""

    backend: Backend
    client: Client
    service: str
    hook_instance: str = ""
    user: str = ""
    subject_id: int | None = None

    def cards(self, request: Request, body: bytes) -> list[dict[str, Any]]:
        """Ask the model, keep what it advised, and make cards of it."""
        service = self._service()
        sent = requests.read(Call, body)
        self.hook_instance = str(sent.hook_instance)
        context = requests.context_of(sent, service.hook)
        self.user = _user(context)
        now = self.backend.now()
        patient = patient_of(
            self.backend.site.record, self.client, context.patient_id, sent.prefetch, service.prefetch(), now
        )
        self.subject_id = patient.subject_id
        given = self._advised(service, patient)
        self._keep(given, "sent" if patient.sent else "record")
        if given is None:
            return []
        language = wanted_language(request.headers)
        return [card(given.advice, _address(request), self.backend.site.settings.name, language)]

    def refused(self) -> None:
        """Tell the audit log that the call was not answered."""
        self.backend.told(self._entry("refused"))

    def _service(self) -> Service:
        for one in services.every(self.backend.serving.served):
            if one.id == self.service:
                return one
        raise NotFoundError("there is no service of this name; GET /cds-services lists them")

    def _advised(self, service: Service, patient: Patient) -> Given | None:
        """Let the model answer; None: the task does not ask about this patient now, or there is no need to say it."""
        asked = asked_now(service.served, patient, self.backend.now())
        if asked is None:
            return None
        given = risk.advise(
            service.served, asked.sample, asked.against, record_digest=patient.record.digest()
        )
        # who writes an order is interrupted where there is something to think of
        if service.hook != "patient-view" and given.advice.alert is False:
            return None
        return given

    def _keep(self, given: Given | None, source: str) -> None:
        entry = self._entry("done", cards=0 if given is None else 1, source=source)
        keep = None if given is None else risk.keep(self.backend.database, given, self.client.actor, VIA)

        def work(connection: Connection) -> None:
            if keep is not None:
                keep(connection)
            self.backend.database.audit.append(connection, entry)

        self.backend.database.write(work)

    def _entry(self, outcome: Outcome, **detail: Any) -> Entry:
        by = self.client.actor
        detail |= {"hook_instance": self.hook_instance, "user": self.user}
        told = {name: value for name, value in detail.items() if value != ""}
        return Entry(
            by.name, by.role, "cds.called", self.subject_id, self.service, outcome=outcome, detail=told
        )


def _let_in(backend: Backend, token: str, audiences: list[str]) -> Client:
    try:
        return tokens.verify(backend.database, token, audiences)
    except BadTokenError as error:
        if error.client is not None:  # else anybody could fill the log
            by = error.client.actor
            backend.told(Entry(by.name, by.role, "cds.refused", target=audiences[0], outcome="refused"))
        raise


def _audiences(request: Request) -> list[str]:
    """Give the address that was called, as tokens name it; feedback may name its service too."""
    called = _address(request) + request.url.path
    return [called, called.removesuffix("/feedback")] if called.endswith("/feedback") else [called]


def _address(request: Request) -> str:
    """Give this server's address as the caller knows it; the gate has let in none but our own names."""
    secure = the_backend(request).settings.secure
    return f"{'https' if secure else request.url.scheme}://{request.url.netloc}"


def _user(context: Context) -> str:
    """Give who works there, if it is one of the staff: no patient's identifier goes into the log."""
    kind, _, _ = context.user_id.partition("/")
    return context.user_id if kind in ("Practitioner", "PractitionerRole") else ""


def _check_given(backend: Backend, client: Client, service: str, card: str) -> None:
    """Refuse feedback of a card that this client was not given by this service."""
    query = select(advice_table.c.model, advice_table.c.asked_by).where(
        advice_table.c.id == card, advice_table.c.via == VIA
    )
    with backend.database.reading() as connection:
        row = connection.execute(query).first()
    known = row is not None and row.asked_by == client.actor.name
    if row is None or not known or service not in {_named(row.model, hook) for hook in HOOKS}:
        raise NotFoundError("this service gave no card {card}", card=card)


def _named(model: str, hook: requests.Hook) -> str:
    return service_id(model.partition(".")[0], hook)


def _says(kept: Review, entry: reviews.Feedback, client: Client) -> bool:
    """Tell whether a review was made of this very feedback: sent again, it takes the place of no later one."""
    if kept.reviewer != client.actor.name or kept.via != VIA:
        return False
    return (
        kept.opinion == entry.opinion
        and entry.decided is not None
        and kept.decided == as_utc_text(entry.decided)
    )
