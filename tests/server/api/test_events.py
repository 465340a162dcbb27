"""Facts that arrive live: kept once, seen at once, and there after the server was killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from medloom.database.audit import Entry
from medloom.database.tables.audit import audit
from medloom.database.tables.work import idempotency
from medloom.server import accounts, arrivals
from medloom.server.access import ROLES, Person
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.api.conftest import Program
from tests.server.conftest import Visitor
from tests.server.ward import LAB, NOW

Programs = Callable[[str], Program]


def fact(hours: int = 50, **more: Any) -> dict[str, Any]:
    return {"patient": "P3", "code": LAB, "time": f"2020-06-03T{hours - 48:02d}:00:00", "value": 1.5} | more


def send(program: Program, *facts: dict[str, Any], key: str | None = None, system: str = "ward") -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return program.post("events", json={"facts": facts, "system": system}, headers=headers)


def test_a_fact_is_seen_by_pages_and_models_at_once_and_kept_once(
    program: Programs, backend: Backend
) -> None:
    doctor, machine = program("doctor"), program("scientist")
    asking = {"model": "outcome", "subject_id": 4}
    before = doctor.post("predictions", json=asking).json()
    facts = doctor.get("patients/4/events").json()["total"]

    # known before the moment of the prediction, which is 48 h after admission
    sent = fact(value=9.0, time="2020-06-02T20:00:00")
    assert send(machine, sent).json() == {
        "written": 1,
        "duplicates": 0,
        "rejected": 0,
        "later": 0,
        "reasons": [],
    }
    assert send(machine, sent).json()["duplicates"] == 1

    assert doctor.get("patients/4/events").json()["total"] == facts + 1
    after = doctor.post("predictions", json=asking).json()
    assert after["input_digest"] != before["input_digest"]
    assert after["answers"][0]["value"] > before["answers"][0]["value"]
    rows = doctor.get("worklist", params={"limit": 1000}).json()["rows"]
    assert next(one for one in rows if one["subject_id"] == 4)["value"] == after["answers"][0]["value"]
    with backend.database.reading() as connection:
        told = connection.execute(select(audit.c.subject_id).where(audit.c.action == "events.written"))
        assert set(told.scalars()) == {4}


def test_what_lies_after_the_present_moment_is_counted_and_seen_later(
    program: Programs, client: Callable[[str], Visitor]
) -> None:
    machine, doctor = program("scientist"), program("doctor")
    facts = doctor.get("patients/4/events").json()["total"]
    later = [
        fact(time="2031-01-01T00:00:00"),
        fact(time="2020-06-02T21:00:00", known_time="2031-01-01T00:00:00"),
    ]
    sent = send(machine, *later, fact(time="2020-06-02T22:00:00", code="X//y"))
    assert (sent.json()["written"], sent.json()["later"]) == (3, 2)
    assert doctor.get("patients/4/events").json()["total"] == facts + 1
    page = client("scientist").get("/data").text
    assert "2 lie after the present moment of this site, 2020-06-03" in page


def test_a_pseudonym_names_a_patient_too_and_a_key_replaces(program: Programs) -> None:
    machine = program("scientist")
    by_number = {key: value for key, value in fact(51).items() if key != "patient"} | {"subject_id": 6}
    assert send(machine, by_number | {"key": "lab/1"}).json()["written"] == 1
    assert send(machine, by_number | {"key": "lab/1", "value": 7.0}).json()["written"] == 1
    values = [
        one["value"]
        for one in program("doctor").get("patients/6/events", params={"code": LAB}).json()["events"]
    ]
    assert 7.0 in values and 1.5 not in values
    assert send(machine, by_number | {"subject_id": 987654}).status_code == 404


def test_a_zone_is_turned_to_the_sites_clock_and_what_is_known_later_is_seen_later(
    program: Programs, backend: Backend
) -> None:
    machine, doctor = program("scientist"), program("doctor")
    arrived = fact(patient="P6", time="2020-06-03T06:00:00+05:00", code="X//zoned")
    assert send(machine, arrived).json()["written"] == 1
    later = fact(patient="P6", code="X//later", known_time="2020-06-09T00:00:00")
    assert send(machine, later).json()["written"] == 1
    events = doctor.get("patients/7/events", params={"code": "X//"}).json()["events"]
    assert [(one["code"], one["time"]) for one in events] == [("X//zoned", "2020-06-03T01:00:00")]


def test_what_cannot_be_used_is_told_by_row_and_does_not_hold_up_the_rest(program: Programs) -> None:
    answer = send(program("scientist"), fact(52), fact(53, time="0800-01-01T00:00:00"), fact(54)).json()
    assert (answer["written"], answer["rejected"]) == (2, 1)
    assert answer["reasons"][0]["row"] == 1 and answer["reasons"][0]["reason"]["zh"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "guess"},
        {"subject_id": 4},
        {"patient": None},
        {"value": "high"},
        {"time": "yesterday"},
        {"retracted": True},
        {"extra": 1},
    ],
)
def test_facts_that_are_not_in_form_are_refused_whole(program: Programs, wrong: dict[str, Any]) -> None:
    assert send(program("scientist"), fact(55), fact(56) | wrong).status_code == 422


class Killed(BaseException):
    """Stands for the end of the process: nothing after it is done."""


def test_a_fact_is_never_in_the_record_without_an_entry_in_the_audit_log(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    scientist = Person(1, "scientist", "S", "data_scientist", ROLES["data_scientist"], "en", sees_all=False)
    one = {"system": "ward", "patient": "P9", "code": "X//traced", "time": datetime(2020, 6, 2)}
    before, tell = entries_about(backend, 10), backend.told

    def die_before(*entries: Entry) -> None:
        raise Killed

    def die_after(*entries: Entry) -> None:
        tell(*entries)
        raise Killed

    for die, entries in ((die_before, before), (die_after, before + 1)):
        monkeypatch.setattr(backend, "told", die)
        with pytest.raises(Killed):
            arrivals.keep(backend, scientist, pl.DataFrame([one]), "api")
        assert (numbers(backend, "X//traced"), entries_about(backend, 10)) == (0, entries)
    monkeypatch.setattr(backend, "told", tell)
    assert arrivals.keep(backend, scientist, pl.DataFrame([one]), "api").written == 1
    assert (numbers(backend, "X//traced"), entries_about(backend, 10)) == (1, before + 2)


def test_facts_are_kept_once_when_their_answer_was_lost(program: Programs, backend: Backend) -> None:
    machine = program("scientist")
    sent = fact(patient="P9", code="X//again")
    assert send(machine, sent, sent | {"value": 2.5}, key="lost").json()["written"] == 2
    # as after a crash between the facts and the note of their answer
    backend.database.write(lambda known: known.execute(update(idempotency).values(status=0, body="")))
    again = send(machine, sent, sent | {"value": 2.5}, key="lost")
    assert again.status_code == 201 and (again.json()["written"], again.json()["duplicates"]) == (0, 2)
    assert send(machine, sent, sent | {"value": 2.5}, key="lost").json() == again.json()
    assert numbers(backend, "X//again") == 2


def numbers(backend: Backend, code: str) -> int:
    return pl.DataFrame(backend.site.record.read(["code"], [10]))["code"].cast(pl.String).eq(code).sum()


def entries_about(backend: Backend, subject: int) -> int:
    mine = select(func.count()).where(audit.c.action == "events.written", audit.c.subject_id == subject)
    with backend.database.reading() as connection:
        return int(connection.execute(mine).scalar_one())


def test_only_who_may_write_does(program: Programs) -> None:
    assert send(program("doctor"), fact()).status_code == 403


def test_no_acknowledged_fact_is_lost_or_doubled_when_the_server_is_killed(
    ward: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(ward, folder)
    headers = {"authorization": f"Bearer {_token(folder)}"}
    acknowledged: list[int] = []
    with _server(folder) as (address, process):
        stop = threading.Event()

        def write() -> None:
            with httpx.Client(base_url=address, headers=headers, timeout=10) as client:
                for number in range(10_000):
                    try:
                        answer = _post(client, number)
                    except httpx.HTTPError:
                        return
                    assert answer.status_code == 201, answer.text
                    acknowledged.append(number)
                    if stop.is_set():
                        return

        writer = threading.Thread(target=write)
        writer.start()
        while len(acknowledged) < 12 and writer.is_alive():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        stop.set()
        writer.join()
    assert len(acknowledged) >= 12
    again = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    last = acknowledged[-1]
    # as a client does that does not know what became of its last
    with TestClient(create_app(again), headers=headers) as client:
        for number in (last, last + 1, last + 1):
            assert _post(client, number).status_code == 201
    record = Site.open(folder).record
    found = pl.DataFrame(record.read(["code"], [1]))["code"].cast(pl.String)
    kept = sorted(int(code.removeprefix("X//n")) for code in found if code.startswith("X//n"))
    assert kept == list(range(last + 2))


def _post(client: httpx.Client, number: int) -> httpx.Response:
    body = {"facts": [fact(patient="P0", code=f"X//n{number}")], "system": "ward"}
    return client.post("/api/v1/events", json=body, headers={"idempotency-key": f"n{number}"})


def _token(folder: Path) -> str:
    opened = Backend.of(Site.open(folder))
    try:
        one = accounts.find(opened.database, "scientist")
        owner = Person(one.id, one.name, one.display, one.role, ROLES[one.role], "en", one.sees_all)
        return opened.sessions.new_token(owner, "writer", ["write-events"], 1)
    finally:
        opened.close()


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("medloom")
    command = [str(program), "serve", "--site", str(folder), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--as-of", NOW.isoformat()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}/api/v1/openapi.json")
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield address, process
    finally:
        process.kill()
        process.wait()
