"""Coming in and going out; the language of pages; one's own account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from medloom.foundation.errors import InputError
from medloom.foundation.messages import LANGUAGES, speaking, tr
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.access import OWN, Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.gate import cookie_name
from medloom.server.web.rendering import go_to, own_page, page

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Oneself = Annotated[Person, Depends(may(Permission.OWN_ACCOUNT))]
_YEAR = 365 * 24 * 3600
_HOMES = {
    "clinician": "/worklist",
    "expert": "/review",
    "data_scientist": "/models",
    "governance": "/models",
    "admin": "/admin",
}


@router.get("/")
def home(person: Oneself) -> Response:
    """Go to where this person works."""
    if person.must_change:
        return RedirectResponse("/account", 303)
    return RedirectResponse(_HOMES[person.role], 303)


@router.get("/sign-in")
def sign_in_form(request: Request, next: str = "/") -> Response:
    """Show the form."""
    if request.scope.get("person") is not None:
        return RedirectResponse(own_page(next), 303)
    return page(request, None, "sign_in.html.j2", next=own_page(next), name="", error=None)


@router.post("/sign-in")
def sign_in(
    request: Request,
    backend: BackendOf,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=2000)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Check name and password and begin a session."""
    account = accounts.authenticate(backend.database, name.strip().lower(), password)
    if account is None:
        with speaking(wanted_language(request.headers, request)):
            error = tr(
                "Name or password is wrong, or the account is locked for 15 minutes after five failures."
            )
        return page(request, None, "sign_in.html.j2", status=401, next=own_page(next), name=name, error=error)
    chosen = request.cookies.get("language")  # on the page before
    if chosen in LANGUAGES and chosen != account.language:
        accounts.change(backend.database, Actor(account.name, account.role), account.name, language=chosen)
    answer = RedirectResponse(own_page(next), 303)
    answer.set_cookie(
        cookie_name(backend.settings.secure),
        backend.sessions.start(account.id),
        httponly=True,
        secure=backend.settings.secure,
        samesite="lax",
        path="/",
    )
    return answer


@router.post("/sign-out")
def sign_out(backend: BackendOf, person: Oneself) -> Response:
    """End the session."""
    backend.sessions.end(person)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(
        cookie_name(backend.settings.secure), path="/", secure=backend.settings.secure, httponly=True
    )
    answer.delete_cookie("language", httponly=True, secure=backend.settings.secure)
    # what a browser kept of this site on a shared computer
    answer.headers["clear-site-data"] = '"cache", "storage"'
    return answer


@router.post("/language")
def choose_language(
    request: Request,
    backend: BackendOf,
    language: Annotated[str, Form(max_length=2)],
    next: Annotated[str, Form(max_length=65_536)] = "/",  # as long as an address that was answered
) -> Response:
    """Choose the language of pages: of the account, or of this browser where nobody is signed in."""
    if language not in LANGUAGES:
        raise InputError("there is no language {language!r}", language=language)
    person: Person | None = request.scope.get("person")
    if person is not None:
        accounts.change(backend.database, person.actor, person.login, language=language)
        backend.accounts_changed()
    answer = RedirectResponse(own_page(next), 303)
    answer.set_cookie(
        "language", language, max_age=_YEAR, httponly=True, samesite="lax", secure=backend.settings.secure
    )
    return answer


@router.get("/account")
def own_account(request: Request, backend: BackendOf, person: Oneself) -> Response:
    """Show one's own account: password, tokens."""
    return _account(request, backend, person)


@router.post("/account/password")
def change_password(
    request: Request,
    backend: BackendOf,
    person: Oneself,
    current: Annotated[str, Form(max_length=2000)],
    password: Annotated[str, Form(max_length=2000)],
) -> Response:
    """Choose another password; one has to sign in with it."""
    if accounts.authenticate(backend.database, person.login, current) is None:
        with speaking(wanted_language(request.headers, request)):
            return _account(request, backend, person, wrong=tr("The current password is wrong."))
    try:
        accounts.set_password(backend.database, person.actor, person.login, password)
    except InputError as error:
        with speaking(wanted_language(request.headers, request)):
            return _account(request, backend, person, weak=str(error))
    backend.accounts_changed()
    with speaking(wanted_language(request.headers, request)):
        return go_to("/sign-in", tr("Your password was changed. Sign in with it."), request=request)


@router.post("/account/tokens")
def new_token(
    request: Request,
    backend: BackendOf,
    person: Oneself,
    name: Annotated[str, Form(max_length=80)],
    scopes: Annotated[list[str], Form()],
    days: Annotated[int, Form()] = 90,
) -> Response:
    """Make a token for a program; it is shown once."""
    secret = backend.sessions.new_token(person, name, scopes, days)
    return _account(request, backend, person, secret=secret)


@router.post("/account/tokens/{number}/revoke")
def revoke_token(request: Request, backend: BackendOf, person: Oneself, number: int) -> Response:
    """Let a token open nothing any more."""
    backend.sessions.revoke_token(person, number)
    with speaking(wanted_language(request.headers, request)):
        return go_to("/account", tr("The token was revoked."), request=request)


def _account(
    request: Request,
    backend: Backend,
    person: Person,
    *,
    wrong: str | None = None,
    weak: str | None = None,
    secret: str | None = None,
) -> Response:
    scopes = sorted(one.value for one in person.permissions - OWN)
    return page(
        request,
        person,
        "account.html.j2",
        status=422 if wrong or weak else 200,
        tokens=backend.sessions.tokens(person),
        scopes=scopes,
        wrong=wrong,
        weak=weak,
        secret=secret,
    )
