"""Pages from templates: with the reader's language, navigation by what they may, and forms of their session."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from medloom.database.metadata import utc_now
from medloom.explanation.numbers import moment, percent
from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.messages import Text2, language, speaking, tr
from medloom.foundation.pages import intended_use
from medloom.loop.reviews import reason_name
from medloom.server.access import Permission, Person, role_name
from medloom.server.backend import Backend
from medloom.server.errors import wanted_language
from medloom.server.images import has_images
from medloom.server.notes import has_notes
from medloom.server.web.badges import risk_badge
from medloom.server.web.stylesheet import charts_css

_FLASH: Final = "flash"
_IMPORT: Final = re.compile(rb'from "\./([a-z_]+\.js)"')
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page(
    request: Request, person: Person | None, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a page of the workbench.

    Args:
        request: whose answer it is.
        person: who is signed in; None: nobody.
        template: of `templates/`, extends `base.html.j2`.
        status: of HTTP.
        values: what the template says.
    """
    backend: Backend = request.app.state.backend
    with speaking(wanted_language(request.headers, request)):
        shown = _say(intended_use())
        banner = (
            tr(
                "A demonstration: in the record today is {day}; what people do here is dated {real} (UTC).",
                day=backend.now().date().isoformat(),
                real=utc_now()[:10],
            )
            if backend.settings.as_of is not None
            else None
        )
        content = (
            _environment()
            .get_template(template)
            .render(
                person=person,
                may=lambda permission: person is not None and permission in person.permissions,
                role_name=None if person is None else _say(role_name(person.role)),
                navigation=[] if person is None else navigation(request, person),
                csrf=form_token(person),
                here=_here(request),
                language=language(),
                site_name=backend.site.settings.name,
                notice=shown,
                banner=banner,
                flashes=_flashes(request),
                now=backend.now(),
                **values,
            )
        )
    answer = HTMLResponse(content, status)
    if _FLASH in request.cookies:
        answer.delete_cookie(_FLASH, httponly=True, samesite="strict")
    return answer


def macro(template: str, name: str) -> Callable[..., Markup]:
    """Give a macro of a template, for what is rendered by itself; it speaks the language of the moment."""
    found: Callable[..., Markup] = getattr(_environment().get_template(template).module, name)
    return found


def go_to(
    address: str, said: str | None = None, kind: str = "good", *, request: Request | None = None
) -> RedirectResponse:
    """Send the browser on after a form, with a message for the next page; `kind`: good, warn or bad."""
    answer = RedirectResponse(address, 303)
    if said is not None:
        secure = request is not None and request.app.state.backend.settings.secure
        answer.set_cookie(
            _FLASH,
            json.dumps([kind, said]).encode().hex(),
            max_age=60,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
    return answer


def own_page(address: str) -> str:
    """Take an address within this site alone, so that nobody is sent elsewhere.

    >>> own_page("/patients/7?x=1"), own_page("//evil.example"), own_page("https://evil.example/")
    ('/patients/7?x=1', '/', '/')
    """
    parts = urlsplit(address.replace("\\", "/"))
    safe = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if safe and address.isprintable() else "/"


def navigation(request: Request, person: Person) -> list[tuple[str, str, bool, int | None]]:
    """List the places a person may go to: address, label, whether it is this one, how much is new there."""
    places = [
        (Permission.READ_PATIENTS, "/worklist", tr("Worklist")),
        (Permission.SEE_IMAGES, "/images", tr("Images")),
        (Permission.SEE_NOTES, "/notes", tr("Notes")),
        (Permission.ASK, "/ask", tr("Ask")),
        (Permission.REVIEW, "/review", tr("Review")),
        (Permission.EXPORT, "/labels", tr("Labels")),
        (Permission.READ_MODELS, "/models", tr("Models")),
        (Permission.READ_DATA, "/data", tr("Data")),
        (Permission.MANAGE_ACCOUNTS, "/admin", tr("Accounts")),
        (Permission.READ_AUDIT, "/audit", tr("Audit")),
    ]
    path = request.url.path
    catalogue = request.app.state.backend.site.record.catalogue
    if not has_images(catalogue):
        places = [one for one in places if one[0] is not Permission.SEE_IMAGES]
    if not has_notes(catalogue):
        places = [one for one in places if one[0] is not Permission.SEE_NOTES]
    return [
        (href, label, path == href or path.startswith(href + "/"), None)
        for permission, href, label in places
        if permission in person.permissions and href in request.app.state.paths
    ]


def form_token(person: Person | None) -> Markup:
    """Give the hidden field that every form carries."""
    if person is None or person.csrf is None:
        return Markup("")
    return Markup('<input type="hidden" name="csrf" value="{}">').format(person.csrf)


def error_page(status: int, said: str, headers: Mapping[str, str], request: Request | None) -> Response:
    """Say an error as a page; without its request, as plain text."""
    if request is None:
        return Response(said, status, dict(headers), media_type="text/plain; charset=utf-8")
    answer = page(
        request, request.scope.get("person"), "error.html.j2", status=status, code=status, said=said
    )
    answer.headers.update(headers)
    return answer


class static_files:
    """Serves the few files of `static/`, from memory, by their exact names."""

    def __init__(self) -> None:
        self._files = _static()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = scope["path"].rsplit("/", 1)[-1]
        content = self._files.get(name)
        if content is None or scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(404)
        kind = _TYPES["." + name.rsplit(".", 1)[-1]]
        # the address carries a digest
        answer = Response(
            content, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"}
        )
        await answer(scope, receive, send)


def static_address(name: str) -> str:
    """Give the address of a static file; another one when its content changes."""
    return f"/static/{name}?{sha256_bytes(_static()[name])[:12]}"


@cache
def _static() -> dict[str, bytes]:
    folder = files("medloom.server.web") / "static"
    found = {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if any(entry.name.endswith(kind) for kind in _TYPES)
    }
    return _linked(found) | {"charts.css": charts_css().encode()}


def _linked(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Let modules import each other by addresses that change with the content, like those that pages name."""
    made: dict[str, bytes] = {}

    def link(name: str) -> bytes:
        if name not in made:
            made[name] = _IMPORT.sub(
                lambda one: b'from "./%b?%b"' % (one[1], sha256_bytes(link(one[1].decode()))[:12].encode()),
                found[name],
            )
        return made[name]

    return {name: link(name) if name.endswith(".js") else content for name, content in found.items()}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("medloom.server.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # else files are looked at for each page
    )
    environment.globals.update(tr=tr, say=_say, static=static_address, risk_badge=risk_badge)
    environment.filters.update(percent=percent, moment=moment, reason_name=reason_name, tr=tr)
    return environment


def _say(text: Text2 | None) -> str:
    """Say a text of both languages in the reader's."""
    return "" if text is None else (text.zh if language() == "zh" else text.en)


def _here(request: Request) -> str:
    """Give the address to come back to: this page's; of what answers a form, that of the page with the form."""
    shown = urlsplit(str(request.url))
    if request.method == "POST":
        before = urlsplit(request.headers.get("referer", ""))
        if before.netloc != request.headers.get("host") or before.path == shown.path:
            return "/"
        shown = before
    return shown.path + (f"?{shown.query}" if shown.query else "")


def _flashes(request: Request) -> list[tuple[str, str]]:
    try:
        kind, said = json.loads(bytes.fromhex(request.cookies.get(_FLASH, "")))
        return [(str(kind), str(said))]
    except (ValueError, TypeError):
        return []
