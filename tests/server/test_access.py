"""Every address is tried as every role and as nobody; what came out is the table in `docs/access.md`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from medloom.server.access import ROLES, Permission
from medloom.server.app import PUBLIC, Served, served_routes
from tests.server.conftest import Visitor

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "access.md"
LOGINS = {
    "clinician": "doctor",
    "expert": "expert",
    "data_scientist": "scientist",
    "governance": "lead",
    "admin": "admin",
}
_HEAD = """\
# Who may do what

Made by `tests/server/test_access.py`, which tries every address as every role and as nobody. ● let in, · refused.
A clinician sees the patients of the own care team alone, or breaks the glass with a reason. What says `cds` is called
by record systems with a signed token instead (see [CDS Hooks](cds-hooks.md)).
"""


def test_every_address_lets_in_whom_it_says_and_nobody_else(
    app: FastAPI, client: Callable[[str], Visitor]
) -> None:
    routes = [route for route in served_routes(app) if route.methods]
    forms = {login: client(login).csrf for login in LOGINS.values()}
    tried = {route: _tried(app, client, forms, route) for route in routes}
    expected = {route: _expected(route) for route in routes}
    wrong = [
        f"{_method(route)} {route.path}: {role} was{'' if let_in else ' not'} let in"
        for route, by_role in tried.items()
        for role, let_in in by_role.items()
        if let_in != expected[route][role]
    ]
    assert not wrong, "\n".join(wrong)
    table = _page(tried)
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != table:
        PAGE.write_text(table, encoding="utf-8")
        pytest.fail(
            "docs/access.md was not what the server does; it was written anew, look at the difference"
        )


def test_every_role_may_do_something_and_no_permission_is_left_over() -> None:
    assert frozenset().union(*ROLES.values()) == frozenset(Permission)
    assert all(ROLES.values())


def _tried(
    app: FastAPI, client: Callable[[str], Visitor], forms: dict[str, str], route: Served
) -> dict[str, bool]:
    # numbers that nothing has: only whether one is let in is asked
    method, address = _method(route), re.sub(r"\{[^}]*\}", "987654321", route.path)
    found = {"nobody": _let_in(Visitor(app).request(method, address))}
    for role, login in LOGINS.items():
        if address == "/sign-out":  # it ends the session
            visitor = Visitor(app).sign_in(login)
            form = visitor.csrf
        else:
            visitor, form = client(login), forms[login]
        headers = {} if method == "GET" else {"x-csrf-token": form}
        found[role] = _let_in(visitor.request(method, address, headers=headers))
    return found


def _let_in(answer: httpx.Response) -> bool:
    status = answer.status_code
    assert status < 500 or status == 503, answer
    if status == 303:
        return "/sign-in?" not in answer.headers["location"]
    if status == 403:
        return "does not permit" not in answer.text and "session" not in answer.text
    return status != 401


def _expected(route: Served) -> dict[str, bool]:
    public = route.path in PUBLIC
    by_role = {role: public or (route.permission in ROLES[role]) for role in ROLES}
    if route.path.startswith("/cds-services/"):
        by_role = dict.fromkeys(ROLES, False)
    return {"nobody": public, **by_role}


def _method(route: Served) -> str:
    return sorted(route.methods - {"HEAD"})[0]


def _page(tried: dict[Served, dict[str, bool]]) -> str:
    roles = ["nobody", *ROLES]
    lines = [
        _HEAD,
        "| address | permission | " + " | ".join(role.replace("_", " ") for role in roles) + " |",
        "|---|---|" + "---|" * len(roles),
    ]
    for route, by_role in sorted(tried.items(), key=lambda one: (one[0].path, _method(one[0]))):
        permission = "cds" if route.path.startswith("/cds-services/") else route.permission or "public"
        marks = " | ".join("●" if by_role[role] else "·" for role in roles)
        lines.append(f"| `{_method(route)} {route.path}` | {permission} | {marks} |")
    return "\n".join(lines) + "\n"
