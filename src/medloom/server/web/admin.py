"""Accounts: who may come in, as what, and whose patients are theirs."""

from __future__ import annotations

import re
from typing import Annotated, Final, get_args

import numpy as np
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from medloom.database.metadata import utc_now
from medloom.foundation.errors import InputError
from medloom.foundation.messages import speaking, tr
from medloom.server import accounts
from medloom.server.access import Permission, Person, Role, may, role_name
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.web.board import current
from medloom.server.web.rendering import go_to, page

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Admin = Annotated[Person, Depends(may(Permission.MANAGE_ACCOUNTS))]
_LONGEST_TEAM: Final = 400_000  # characters: some 40,000 pseudonyms


@router.get("/admin")
def overview(request: Request, backend: BackendOf, person: Admin) -> Response:
    """List the accounts."""
    return _overview(request, backend, person)


@router.post("/admin/accounts")
def add(
    request: Request,
    backend: BackendOf,
    person: Admin,
    name: Annotated[str, Form(max_length=80)] = "",
    display: Annotated[str, Form(max_length=120)] = "",
    role: Annotated[str, Form(max_length=20)] = "",
    language: Annotated[str, Form(max_length=2)] = "en",
    sees_all: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Make an account with a password that is shown once, and changed at the first sign-in."""
    password = accounts.new_password()
    with speaking(wanted_language(request.headers, request)):
        try:
            made = accounts.create(
                backend.database,
                person.actor,
                name.strip().lower(),
                role,
                password,
                display=display,
                language=language,
                sees_all=bool(sees_all),
            )
        except InputError as error:
            typed = {
                "name": name,
                "display": display,
                "role": role,
                "language": language,
                "sees_all": sees_all,
            }
            return _overview(request, backend, person, error=str(error), typed=typed)
        return _one(request, backend, person, made.name, password=password)


@router.get("/admin/accounts/{name}")
def one(request: Request, backend: BackendOf, person: Admin, name: str) -> Response:
    """Show one account."""
    return _one(request, backend, person, name)


@router.post("/admin/accounts/{name}")
def change(
    request: Request,
    backend: BackendOf,
    person: Admin,
    name: str,
    display: Annotated[str, Form(max_length=120)] = "",
    role: Annotated[str, Form(max_length=20)] = "",
    sees_all: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Change what an account is called, what it may, and whether it sees all patients."""
    with speaking(wanted_language(request.headers, request)):
        try:
            accounts.change(
                backend.database,
                person.actor,
                name,
                role=role,
                display=display.strip() or name,
                sees_all=bool(sees_all),
            )
        except InputError as error:
            return _one(request, backend, person, name, error=str(error))
        return _done(request, backend, name, tr("{name} was changed.", name=name))


@router.post("/admin/accounts/{name}/disable")
def disable(request: Request, backend: BackendOf, person: Admin, name: str) -> Response:
    """Let an account in no more."""
    with speaking(wanted_language(request.headers, request)):
        if name == person.login:
            raise InputError("you cannot disable your own account")
        accounts.change(backend.database, person.actor, name, disabled=True)
        return _done(
            request, backend, name, tr("{name} is let in no more; sessions and tokens have ended.", name=name)
        )


@router.post("/admin/accounts/{name}/enable")
def enable(request: Request, backend: BackendOf, person: Admin, name: str) -> Response:
    """Let an account in again."""
    with speaking(wanted_language(request.headers, request)):
        accounts.change(backend.database, person.actor, name, disabled=False)
        return _done(request, backend, name, tr("{name} may sign in again.", name=name))


@router.post("/admin/accounts/{name}/unlock")
def unlock(request: Request, backend: BackendOf, person: Admin, name: str) -> Response:
    """Let an account try again that is locked after failures."""
    with speaking(wanted_language(request.headers, request)):
        accounts.unlock(backend.database, person.actor, name)
        return _done(request, backend, name, tr("{name} may sign in again.", name=name))


@router.post("/admin/accounts/{name}/password")
def password(request: Request, backend: BackendOf, person: Admin, name: str) -> Response:
    """Give an account another password, shown once; it ends its sessions."""
    secret = accounts.new_password()
    accounts.set_password(backend.database, person.actor, name, secret, must_change=True)
    backend.accounts_changed()
    return _one(request, backend, person, name, password=secret)


@router.post("/admin/accounts/{name}/team")
def team(
    request: Request,
    backend: BackendOf,
    person: Admin,
    name: str,
    patients: Annotated[str, Form(max_length=_LONGEST_TEAM)] = "",
) -> Response:
    """Say whose patients an account sees."""
    with speaking(wanted_language(request.headers, request)):
        try:
            chosen = _pseudonyms(backend, patients)
        except InputError as error:
            return _one(request, backend, person, name, error=str(error), patients=patients)
        accounts.set_team(backend.database, person.actor, name, chosen)
        said = tr("The care team of {name} has {n:,} patients.", name=name, n=len(chosen))
        return _done(request, backend, name, said)


@router.post("/admin/accounts/{name}/team/current")
def current_team(request: Request, backend: BackendOf, person: Admin, name: str) -> Response:
    """Add all patients whom a released model answers about now."""
    account = accounts.find(backend.database, name)
    found = current(backend.serving.board(), backend.now())["subject_id"].unique().to_list()
    chosen = sorted({*accounts.care_team_of(backend.database, account.id), *found})
    accounts.set_team(backend.database, person.actor, name, chosen)
    with speaking(wanted_language(request.headers, request)):
        said = tr("The care team of {name} has {n:,} patients.", name=name, n=len(chosen))
        return _done(request, backend, name, said)


def _pseudonyms(backend: Backend, typed: str) -> list[int]:
    """Read pseudonyms that stand in lines, or between commas or spaces.

    Raises:
        InputError: something is none, or nobody has it.
    """
    words = [word for word in re.split(r"[\s,;，；、]+", typed) if word]
    wrong = [word for word in words if not (word.isascii() and word.isdecimal() and len(word) <= 18)]
    chosen = np.unique(np.array([int(word) for word in words if word not in wrong], dtype=np.int64))
    unknown = chosen[~np.isin(chosen, backend.site.record.subject_ids)]
    if wrong or len(unknown):
        raise InputError("there are no such patients: {which}", which=[*wrong, *unknown.tolist()][:10])
    return [int(one) for one in chosen]


def _done(request: Request, backend: Backend, name: str, said: str) -> Response:
    backend.accounts_changed()
    return go_to(f"/admin/accounts/{name}", said, request=request)


def _overview(
    request: Request,
    backend: Backend,
    person: Person,
    *,
    error: str | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    return page(
        request,
        person,
        "admin.html.j2",
        status=200 if error is None else 422,
        accounts=accounts.every(backend.database),
        sizes=accounts.team_sizes(backend.database),
        roles=[(role, role_name(role)) for role in get_args(Role)],
        moment=utc_now(),
        error=error,
        typed=typed or {"name": "", "display": "", "role": "clinician", "language": "en", "sees_all": ""},
    )


def _one(
    request: Request,
    backend: Backend,
    person: Person,
    name: str,
    *,
    password: str | None = None,
    error: str | None = None,
    patients: str | None = None,
) -> Response:
    account = accounts.find(backend.database, name)
    team = sorted(accounts.care_team_of(backend.database, account.id))
    return page(
        request,
        person,
        "admin_account.html.j2",
        status=200 if error is None else 422,
        account=account,
        roles=[(role, role_name(role)) for role in get_args(Role)],
        team=team,
        patients="\n".join(map(str, team)) if patients is None else patients,
        moment=utc_now(),
        password=password,
        error=error,
    )
