"""What every request passes before any route: host, size, who it is; and what every answer carries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medloom.foundation.errors import MedloomError
from medloom.server.access import ForbiddenError, Permission, Person
from medloom.server.backend import Backend
from medloom.server.errors import TooLargeError, answer_to, is_page, on_surprise
from medloom.server.sessions import PREFIX

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# What is kept as a file of its own carries its styles with it; nothing in it runs.
DOCUMENT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none';"
    " sandbox"
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "content-security-policy": POLICY,
}
_SECURE: Final = {"strict-transport-security": "max-age=31536000; includeSubDomains"}
_PATIENCE: Final = 30  # seconds until the next piece of a body has come
_SLOWEST: Final = 1000  # bytes a second of a body that takes longer than that to come
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OUTLINES: Final = re.compile(r"/patients/\d+/images/\d+/outlines")
_UPLOADS: Final = ("/data/upload", "/api/v1/imports")


def cookie_name(secure: bool) -> str:
    """Name the cookie of sessions; a browser takes one that begins so over TLS alone, and of this host alone."""
    return "__Host-medloom" if secure else "medloom"


class Gate:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app = app
        self._backend = backend
        self._cookie = cookie_name(backend.settings.secure)
        secure = _SECURE if backend.settings.secure else {}
        self._headers_of_files = _raw({**_HEADERS, **secure})
        self._headers = _raw({**_HEADERS, **secure, "cache-control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        dressed = self._dressed(scope, send)
        try:
            self._check_host(headers)
            scope["person"] = person = await self._person(headers)
            limited = self._limited(scope, headers, receive, person)
            by_browser = is_page(scope["path"]) if person is None else person.csrf is not None
            if by_browser and scope["method"] not in _SAFE:
                self._check_origin(headers)
        except MedloomError as error:
            await answer_to(error, scope["path"], headers)(scope, receive, dressed)
            return
        await self._pass_on(scope, limited, dressed)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer; what nobody foresaw goes no further: servers write it into their logs."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - its message may quote a patient's data
            answer = await on_surprise(Request(scope, receive), error)
            if not begun:
                await answer(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host
        if name.lower() not in self._backend.settings.hosts:
            raise ForbiddenError("this server is not known by the name it was called by; see --host-name")

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what a browser sends on behalf of another page."""
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
            origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        ):
            raise ForbiddenError("this request came from another site's page")

    def _limited(self, scope: Scope, headers: Headers, receive: Receive, person: Person | None) -> Receive:
        settings = self._backend.settings
        # a body is read before its route asks who sends it
        permissions = frozenset() if person is None else person.permissions
        most = settings.most_body
        if Permission.IMPORT in permissions and scope["path"].startswith(_UPLOADS):
            most = settings.most_upload
        elif Permission.REVIEW in permissions and _OUTLINES.fullmatch(scope["path"]):
            most = settings.most_outline
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > most:
            raise TooLargeError("the request is larger than {n:,} bytes", n=most)
        seen, waited, complete = 0, 0.0, False
        loop = asyncio.get_running_loop()

        async def counted() -> Message:
            nonlocal seen, waited, complete
            began = loop.time()
            patience = min(_PATIENCE, _PATIENCE + seen / _SLOWEST - waited)
            try:
                async with asyncio.timeout(None if complete else patience):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            waited += loop.time() - began
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > most:
                raise HTTPException(413)
            return message

        return counted

    async def _person(self, headers: Headers) -> Person | None:
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and secret.startswith(PREFIX):
            return await self._asked(secret, token=True)
        if secret := cookie_parser(headers.get("cookie", "")).get(self._cookie, ""):
            return await self._asked(secret, token=False)
        return None

    async def _asked(self, secret: str, *, token: bool) -> Person | None:
        sessions = self._backend.sessions
        known, person = sessions.remembered(secret)
        if known:
            return person
        find = sessions.of_token if token else sessions.of_cookie
        return await run_in_threadpool(find, secret)

    def _dressed(self, scope: Scope, send: Send) -> Send:
        wanted = self._headers if not scope["path"].startswith("/static/") else self._headers_of_files

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in wanted if one[0] not in given)]
            await send(message)

        return dressed


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
