"""A served site for tests: made once, copied for each module, and visited as anybody."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medloom.server import accounts
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.databases import postgres_server
from tests.server.ward import NOW, PASSWORD, ward_site

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Visitor(TestClient):
    """A browser that somebody has signed in with; redirects are not followed."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app, follow_redirects=False, raise_server_exceptions=False)

    def sign_in(self, login: str) -> Visitor:
        answer = self.post("/sign-in", data={"name": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return self

    @property
    def csrf(self) -> str:
        """What forms of this session carry; of a header, `X-CSRF-Token`."""
        found = _CSRF.search(self.get("/account").text)
        assert found is not None
        return found[1]

    def submit(self, address: str, **fields: Any) -> httpx.Response:
        """Send a form of this session."""
        return self.post(address, data={"csrf": self.csrf, **fields})


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash passwords with little memory and time: what is tested is not how hard they are to guess."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The socket of a PostgreSQL server."""
    with postgres_server() as socket:
        yield socket


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory, quick_passwords: None) -> Path:
    """A site with a released model and accounts of all roles (`tests/server/ward.py`); not to be changed."""
    return ward_site(tmp_path_factory.mktemp("ward") / "site").directory.root


@pytest.fixture(scope="module")
def backend(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The ward's site, of this module alone, on a clock that starts at `NOW`."""
    folder = tmp_path_factory.mktemp("served") / "site"
    shutil.copytree(ward, folder, symlinks=True)  # `record` is one
    opened = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def app(backend: Backend) -> FastAPI:
    """Everything that is served of it."""
    return create_app(backend)


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Callable[[str], Visitor]:
    """Give a browser in which somebody is signed in: `client("doctor")`; one each."""
    known: dict[str, Visitor] = {}

    def visit(login: str) -> Visitor:
        if login not in known:
            known[login] = Visitor(app).sign_in(login)
        return known[login]

    return visit
