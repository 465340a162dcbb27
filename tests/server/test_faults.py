"""The database goes away, the disk is full, the clock jumps, a client is slow or lies: each is said, none is fatal."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from medloom.foundation.errors import InputError
from medloom.server import gate, patience
from medloom.server.backend import Backend
from medloom.server.running import Address, self_signed, server
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.conftest import Visitor


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    """The application behind a real server on loopback."""
    with _running(app) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_database_that_goes_away_is_said_and_found_again(
    backend: Backend, client: Callable[[str], Visitor]
) -> None:
    doctor = client("doctor")
    path = backend.site.directory.root / "site.db"
    path.rename(path.with_suffix(".gone"))
    backend.accounts_changed()
    try:
        answer = doctor.get("/worklist")
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert "cannot be reached now" in answer.text and str(path) not in answer.text
        said = doctor.get("/api/v1/whoami")
        assert said.status_code == 503 and said.headers["content-type"] == "application/problem+json"
        assert doctor.get("/fhir/Patient").json()["resourceType"] == "OperationOutcome"
    finally:
        path.with_suffix(".gone").rename(path)
    backend.accounts_changed()
    assert doctor.get("/worklist").status_code == 200


def test_a_full_disk_is_said_and_nothing_is_half_kept(
    backend: Backend, client: Callable[[str], Visitor]
) -> None:
    doctor = client("doctor")

    def full(connection: object, record: object, proxy: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    doctor.get("/account")
    pool = backend.database._engine
    event.listen(pool, "checkout", full)
    try:
        answer = doctor.post(
            "/account/tokens",
            data={"csrf": doctor.csrf, "name": "x" * 80, "scopes": "ask"} | {"days": "9"},
        )
        statuses = {doctor.get("/worklist?start=0").status_code for _ in range(300)}
    finally:
        event.remove(pool, "checkout", full)
        event.listen(pool, "checkout", _roomy)
    assert 507 in {answer.status_code, *statuses}
    assert doctor.get("/worklist").status_code == 200
    with backend.database.reading() as connection:
        backend.database.audit.verify(connection)


def _roomy(connection: object, record: object, proxy: object) -> None:
    connection.execute("PRAGMA max_page_count = 1000000")  # type: ignore[attr-defined]


@pytest.mark.parametrize("hours", [-48, 48])
def test_the_clock_may_jump(backend: Backend, client: Callable[[str], Visitor], hours: int) -> None:
    doctor, clock = client("doctor"), backend.clock
    backend.clock = backend.serving._clock = lambda: clock() + timedelta(hours=hours)
    try:
        assert doctor.get("/worklist").status_code == 200
    finally:
        backend.clock = backend.serving._clock = clock
    assert doctor.get("/worklist").status_code == 200


def test_a_client_that_stops_sending_is_let_go(
    address: str, client: Callable[[str], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_PATIENCE", 0.3)
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as slow:
        slow.sendall(
            b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a"
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_a_client_that_sends_a_request_byte_by_byte_is_let_go(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_PATIENCE", 0.4)
    monkeypatch.setattr(gate, "_PATIENCE", 0.4)
    monkeypatch.setattr(gate, "_SLOWEST", 1e6)
    host, port = address.removeprefix("http://").split(":")
    head = (
        b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    for whole, answer in ((b"", b""), (head, b"HTTP/1.1 408")):
        with socket.create_connection((host, int(port)), 10) as slow:
            slow.sendall(whole)
            began, slow_received = time.monotonic(), b""
            slow.settimeout(0.05)
            while time.monotonic() - began < 5:
                try:
                    slow.sendall(b"G")
                    slow_received = slow.recv(100)
                    break
                except TimeoutError:
                    continue
                except OSError:
                    break
            assert time.monotonic() - began < 3 and slow_received.startswith(answer)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Content-Length": "99999999999"}, 413),
        ({"Content-Length": "many"}, 400),
    ],
)
def test_a_client_that_lies_is_refused(address: str, headers: dict[str, str], status: int) -> None:
    lines = {"Host": "localhost", **headers}
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as liar:
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        liar.sendall(f"POST /sign-in HTTP/1.1\r\n{head}\r\n".encode())
        assert liar.recv(100).startswith(f"HTTP/1.1 {status}".encode())


def test_another_sites_page_cannot_send_our_forms(client: Callable[[str], Visitor]) -> None:
    doctor = client("doctor")
    body = {"csrf": doctor.csrf, "name": "x", "scopes": "ask"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert doctor.post("/account/tokens", data=body, headers=headers).status_code == 403
    assert doctor.post("/account/tokens", data={**body, "csrf": "guess"}).status_code == 403
    assert doctor.post("/account/tokens", data=body).status_code == 200


def test_every_answer_carries_what_keeps_browsers_from_running_others_scripts(
    client: Callable[[str], Visitor],
) -> None:
    doctor = client("doctor")
    for path in ("/worklist", "/sign-in", "/nowhere", "/api/v1/whoami", "/static/medloom.css"):
        headers = doctor.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert doctor.get("/worklist").headers["cache-control"] == "no-store"


def test_beyond_this_machine_plain_http_is_refused_unless_told(backend: Backend) -> None:
    with pytest.raises(InputError, match="in the open"):
        server(backend.site, Address(host="0.0.0.0"), ServerSettings())


def test_tls_is_built_in(ward: Path, tmp_path: Path) -> None:
    made, url = server(Site.open(ward), Address(port=0, self_signed=True), ServerSettings())
    assert url.startswith("https://")
    with _started(made) as port:
        trusted = ssl.create_default_context(cafile=str(ward / "tls" / "certificate.pem"))
        answer = httpx.get(f"https://localhost:{port}/sign-in", verify=trusted)
    assert answer.status_code == 200 and "max-age" in answer.headers["strict-transport-security"]
    assert (ward / "tls" / "key.pem").stat().st_mode & 0o077 == 0


def test_a_client_that_sends_empty_lines_after_an_answer_is_let_go(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_PATIENCE", 0.4)
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(10_000).startswith(b"HTTP/1.1 200")
        time.sleep(0.1)
        idle.sendall(b"\r\n")
        idle.settimeout(3)
        while idle.recv(10_000):
            pass


def test_a_certificate_is_made_anew_when_the_names_change(tmp_path: Path) -> None:
    names = ("localhost", "127.0.0.1")
    first = self_signed(tmp_path, names)[0].read_bytes()
    assert self_signed(tmp_path, names)[0].read_bytes() == first
    assert self_signed(tmp_path, (*names, "ward.example.org"))[0].read_bytes() != first


@contextmanager
def _running(app: FastAPI) -> Iterator[int]:
    import uvicorn

    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", http=patience.PatientProtocol)
    with _started(uvicorn.Server(config)) as port:
        yield port


@contextmanager
def _started(made: object) -> Iterator[int]:
    thread = threading.Thread(target=made.run, daemon=True)  # type: ignore[attr-defined]
    thread.start()
    until = time.monotonic() + 20
    while not made.started and time.monotonic() < until:  # type: ignore[attr-defined]
        time.sleep(0.02)
    yield made.servers[0].sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    made.should_exit = True  # type: ignore[attr-defined]
    thread.join(20)


def test_what_watches_over_the_server_is_told_whether_it_can_work(app: FastAPI, backend: Backend) -> None:
    anybody = Visitor(app)
    assert anybody.get("/health").json() == {"status": "ok"}
    path = backend.site.directory.root / "site.db"
    path.rename(path.with_suffix(".gone"))
    try:
        assert anybody.get("/health").status_code == 503
    finally:
        path.with_suffix(".gone").rename(path)
