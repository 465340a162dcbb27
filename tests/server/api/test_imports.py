"""Imports over the API: uploads are taken with care, work goes on in the background."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from medloom.server.backend import Backend
from tests.server.api.conftest import Program

Programs = Callable[[str], Program]
TABLE = """\
patient_id,time,test,result
X1,2020-06-01 08:00,Na,140
X1,2020-06-02 08:00,K,4.1
X2,2020-06-02 09:00,Na,138
"""


def ended(program: Program, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    for _ in range(500):
        job: dict[str, Any] = program.get(f"http://testserver{answer.headers['location']}").json()
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def upload(program: Program, name: str, content: bytes, **fields: str) -> httpx.Response:
    return program.post("imports", files={"file": (name, content)}, data={"format": "table", **fields})


def left(backend: Backend) -> list[str]:
    folder = backend.site.directory.root / "uploads"
    return [one.name for one in folder.iterdir()] if folder.exists() else []


def test_a_table_is_imported_with_the_mapping_that_was_suggested(program: Programs, backend: Backend) -> None:
    machine = program("scientist")
    suggested = machine.post("imports/suggest", files={"file": ("Jane Roe.csv", TABLE.encode())})
    assert suggested.status_code == 200, suggested.text
    draft = suggested.json()
    assert "code: test" in draft["mapping"] and "Jane" not in suggested.text
    sent = {"format": "table", "upload": draft["upload"], "mapping": draft["mapping"], "system": "lab"}
    job = ended(machine, machine.post("imports", data=sent))
    assert job["state"] == "done", job
    assert job["result"]["new_subjects"] == 2 and job["result"]["written"] == 3
    listed = machine.get("imports").json()["imports"]
    assert (listed[0]["importer"], listed[0]["written"]) == ("table", 3)
    assert left(backend) == []
    subject = backend.site.record.find("X1", "lab")
    events = program("doctor").get(f"patients/{subject}/events").json()["events"]
    assert sorted(one["value"] for one in events) == pytest.approx([4.1, 140.0])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", zipped(("../outside.csv", b"x"))),
        ("a.zip", zipped(("/etc/outside.csv", b"x"))),
        ("a.zip", zipped(("..\\outside.csv", b"x"))),
        ("a.zip", zipped(("bomb.csv", b"0" * 40_000_000))),
        ("a.csv.gz", gzip.compress(b"0" * 40_000_000, mtime=0)),
        ("a.zip", zipped(("inner.csv.gz", gzip.compress(b"0" * 40_000_000, mtime=0)))),
        ("a.zip", zipped(("a.csv", b"x"), ("a.csv/b.csv", b"x"))),
        ("a.csv.gz", gzip.compress(TABLE.encode(), mtime=0)[:-9]),
        ("a.zip", b"PK no archive"),
        ("a.exe", b"MZ"),
        ("a.xml", b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>"),
    ],
)
def test_what_is_dangerous_is_not_taken(
    program: Programs, backend: Backend, name: str, content: bytes
) -> None:
    assert upload(program("scientist"), name, content, mapping="x").status_code == 422
    assert left(backend) == []
    assert not (backend.site.directory.root / "outside.csv").exists()


def test_a_link_in_an_archive_is_not_followed(program: Programs, backend: Backend) -> None:
    link = zipfile.ZipInfo("passwords.csv")
    link.external_attr = 0o120777 << 16
    content = zipped((link, b"/etc/passwd"))
    assert upload(program("scientist"), "a.zip", content, mapping="x").status_code == 422
    assert left(backend) == []


def test_what_cannot_be_imported_says_why_and_leaves_nothing(program: Programs, backend: Backend) -> None:
    machine = program("scientist")
    assert upload(machine, "a.csv", TABLE.encode()).status_code == 422  # no mapping
    assert upload(machine, "a.csv", TABLE.encode(), mapping="tables: 7").status_code == 422
    assert upload(machine, "a.csv", TABLE.encode(), format="carrier-pigeon").status_code == 422
    assert (
        upload(machine, "a.parquet", b"DUCK", format="omop").status_code == 422
    )  # a database brings queries
    assert machine.post("imports", data={"format": "fhir", "upload": "../../x"}).status_code == 404
    assert upload(program("doctor"), "a.csv", b"x").status_code == 403
    job = ended(machine, upload(machine, "a.json", b'{"resourceType": "Nothing"}', format="fhir"))
    assert job["state"] in ("failed", "done") and left(backend) == []


def test_quality_and_compaction_are_done_in_the_background(program: Programs, backend: Backend) -> None:
    machine = program("scientist")
    fact = {"patient": "P0", "code": "X//note", "time": "2020-06-03T02:00:00", "text": "well"}
    assert machine.post("events", json={"facts": [fact], "system": "ward"}).json()["written"] == 1
    assert machine.get("imports").json()["waiting"] == 1
    assert ended(machine, machine.post("jobs", json={"kind": "compact"}))["result"]["written"] == 1
    assert machine.get("imports").json()["waiting"] == 0
    quality = ended(machine, machine.post("jobs", json={"kind": "quality"}))
    assert quality["state"] == "done" and quality["result"]["checks"] > 5
    assert program("lead").post("jobs", json={"kind": "compact"}).status_code == 403
    assert machine.post("jobs", json={"kind": "evaluate"}).status_code == 422
    kinds = [one["kind"] for one in machine.get("jobs", params={"limit": 2}).json()["jobs"]]
    assert kinds == ["quality", "compact"]


def test_many_waiting_facts_are_compacted_without_being_asked(
    program: Programs, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medloom.server import chores

    monkeypatch.setattr(chores, "_MANY", 3)
    facts = [{"patient": "P1", "code": f"X//n{n}", "time": "2020-06-03T02:00:00"} for n in range(3)]
    program("scientist").post("events", json={"facts": facts, "system": "ward"})
    for _ in range(500):
        if not backend.site.record.waiting().facts:
            break
        time.sleep(0.02)
    assert not backend.site.record.waiting().facts
    events = program("doctor").get("patients/2/events", params={"code": "X//n"}).json()
    assert events["total"] == 3
