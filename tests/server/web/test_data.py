"""The pages about data: a file is brought in and watched, the quality report is made, a table is handed out."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from medloom.server.backend import Backend
from medloom.server.spreadsheet import line
from tests.server.conftest import Visitor

Client = Callable[[str], Visitor]
TABLE = "patient_id,time,test,result\nX1,2020-06-01 08:00,Na,140\nX1,2020-06-02 08:00,K,4.1\n"


def send(visitor: Visitor, name: str, content: bytes, **fields: str) -> Any:
    return visitor.post(
        "/data/upload", files={"file": (name, content)}, data={"csrf": visitor.csrf, **fields}
    )


def ended(visitor: Visitor, address: str) -> str:
    for _ in range(500):
        page = visitor.get(address).text
        if "data-open" not in page:
            return page
        time.sleep(0.02)
    raise AssertionError(page)


def test_a_table_is_imported_as_it_was_confirmed(client: Client, backend: Backend) -> None:
    scientist = client("scientist")
    form = scientist.get("/data/upload").text
    assert 'type="file"' in form and "fhir" in form
    shown = send(scientist, "Jane Roe.csv", TABLE.encode(), format="table", system="lab")
    assert shown.status_code == 200 and "code: test" in shown.text and "Jane" not in shown.text
    upload = re.search(r'name="upload" value="([0-9a-f]{32})"', shown.text)
    assert upload is not None
    wrong = scientist.submit("/data/upload/confirm", upload=upload[1], mapping="tables: 7", system="lab")
    assert wrong.status_code == 422 and "tables: 7" in wrong.text
    mapping = shown.text.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
    mapping = mapping.replace("&#34;", '"').replace("&#39;", "'").replace("&gt;", ">").replace("&lt;", "<")
    begun = scientist.submit("/data/upload/confirm", upload=upload[1], mapping=mapping, system="lab")
    assert begun.status_code == 303, begun.text
    page = ended(scientist, begun.headers["location"])
    assert "new patients" in page and 'http-equiv="refresh"' not in page
    overview = scientist.get("/data").text
    assert '<td data-label="Format">table</td>' in overview
    assert backend.site.record.find("X1", "lab")
    assert not list((backend.site.directory.root / "uploads").iterdir())


def test_what_cannot_be_taken_is_said_on_the_form(client: Client, backend: Backend) -> None:
    scientist = client("scientist")
    for name, content in (("a.exe", b"MZ"), ("a.zip", b"PK"), ("a.csv", b"")):
        answer = send(scientist, name, content, format="table")
        assert answer.status_code == 422 and 'class="error"' in answer.text
    assert not list((backend.site.directory.root / "uploads").glob("*"))


def test_the_quality_report_is_made_and_runs_nothing(client: Client) -> None:
    lead = client("lead")
    assert lead.get("/data/quality").status_code == 404
    begun = lead.submit("/data/jobs", kind="quality")
    assert "Open the report" in ended(lead, begun.headers["location"])
    report = lead.get("/data/quality")
    assert report.status_code == 200 and report.text.lstrip().lower().startswith("<!doctype html")
    assert '<a href="/data">' in report.text
    policy = report.headers["content-security-policy"]
    assert "sandbox" in policy and "script-src" not in policy
    assert "Open the report" in lead.get("/data").text


def test_who_may_only_read_neither_imports_nor_compacts(client: Client) -> None:
    lead = client("lead")
    page = lead.get("/data").text
    assert "/data/upload" not in page
    assert lead.get("/data/upload").status_code == 403
    assert send(lead, "a.csv", b"x", format="table").status_code == 403
    assert lead.submit("/data/jobs", kind="compact").status_code == 403
    assert client("doctor").get("/data").status_code == 403


def test_a_file_without_the_forms_token_is_not_taken(client: Client, backend: Backend) -> None:
    answer = client("scientist").post(
        "/data/upload", files={"file": ("a.csv", b"x")}, data={"format": "table"}
    )
    assert answer.status_code == 403
    assert not list((backend.site.directory.root / "uploads").glob("*"))


def test_the_worklist_is_handed_out_as_a_table(client: Client) -> None:
    answer = client("scientist").get("/data/worklist.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) > 100 and 0 <= float(rows[0]["value"]) <= 1
    assert client("doctor").get("/data/worklist.csv").status_code == 403


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(cell: str) -> None:
    (written,) = next(csv.reader(io.StringIO(line([cell]), newline="")))
    assert written == f"'{cell}"


def test_pages_are_in_chinese_too(client: Client) -> None:
    scientist = client("scientist")
    scientist.submit("/language", language="zh", next="/data")
    try:
        assert "导入" in scientist.get("/data").text
        assert "格式" in scientist.get("/data/upload").text
    finally:
        scientist.submit("/language", language="en", next="/data")
