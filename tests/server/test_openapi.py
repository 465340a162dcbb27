"""Whatever is sent to the API, it answers as its OpenAPI document says, and never with a fault of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from medloom.care import risk
from medloom.loop import reading_queue
from medloom.loop.reading_queue import Draw
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.backend import Backend
from medloom.server.gate import cookie_name
from tests.server.ward import MODEL

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
TRIED = settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served(app: FastAPI) -> ASGIApp:
    """The application of a site of this module's own, which begins and ends with the module and not with a client."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await send({"type": f"{(await receive())['type']}.complete"})
        else:
            await app(scope, receive, send)

    return serve


@pytest.fixture(scope="module")
def document(served: ASGIApp) -> BaseSchema:
    """The document as it is served."""
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", served)


@pytest.fixture(scope="module")
def there(backend: Backend) -> dict[str, Any]:
    """What there is: a generated number hits none of it."""
    model = backend.serving.find("outcome")
    subject = int(backend.site.record.subject_ids[0])
    made = risk.advise(model, backend.serving.ask(model, subject).sample, ())
    backend.database.write(risk.keep(backend.database, made, Actor("doctor", "clinician"), "api"))
    reading_queue.draw(backend.database, "outcome", Actor("expert", "expert"), Draw(0, 0, 0, 5, 1))
    return {
        "subject_id": subject,
        "subject_ids": [subject],
        "advice_id": made.advice.id,
        "number": 1,
        "name": MODEL,
        "model": "outcome",
        "task": "outcome",
    }


@pytest.mark.parametrize("login", ["scientist", "doctor", "expert", "lead"])
def test_every_answer_is_as_the_document_says(
    login: str, document: BaseSchema, served: ASGIApp, backend: Backend, there: dict[str, Any]
) -> None:
    counted: Counter[int] = Counter()
    with asgi.get_client(served) as client:
        client.headers.update(_session(backend, login))
        for operation in (found.ok() for found in document.get_all_operations()):

            @TRIED
            @given(case=operation.as_strategy(), hits=st.booleans())
            def tried(case: Case, hits: bool) -> None:
                if hits:
                    _aim(case, there)
                answer = case.call(session=client)
                counted[answer.status_code] += 1
                case.validate_response(answer, checks=CHECKS)

            tried()
    assert counted[200] > 20 and counted[422] > 5, counted


def _session(backend: Backend, login: str) -> dict[str, str]:
    """Give the headers of a browser in which somebody is signed in."""
    secret = backend.sessions.start(accounts.find(backend.database, login).id)
    person = backend.sessions.of_cookie(secret)
    assert person is not None and person.csrf is not None
    return {"cookie": f"{cookie_name(secure=False)}={secret}", "x-csrf-token": person.csrf}


def _aim(case: Case, there: dict[str, Any]) -> None:
    """Let a case name what there is."""
    for place in (case.path_parameters, case.body):
        if isinstance(place, dict):
            place.update({name: there[name] for name in place if name in there})
