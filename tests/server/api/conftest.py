"""Programs that call the API with a token."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medloom.server import accounts
from medloom.server.access import OWN, ROLES, Person
from medloom.server.backend import Backend


class Program(TestClient):
    """A program that holds a token of an account; addresses are below `/api/v1`."""

    def __init__(self, app: FastAPI, token: str) -> None:
        super().__init__(
            app,
            base_url="http://testserver/api/v1/",
            headers={"authorization": f"Bearer {token}"},
            raise_server_exceptions=False,
        )


@pytest.fixture(scope="module")
def program(app: FastAPI, backend: Backend) -> Callable[[str], Program]:
    """Give a program of an account, with all that the account may do: `program("doctor")`."""
    known: dict[str, Program] = {}

    def of(login: str) -> Program:
        if login not in known:
            one = accounts.find(backend.database, login)
            owner = Person(one.id, one.name, one.display, one.role, ROLES[one.role], "en", one.sees_all)
            scopes = [scope.value for scope in owner.permissions - OWN]
            known[login] = Program(app, backend.sessions.new_token(owner, "test", scopes, 1))
        return known[login]

    return of
