"""What an attacker would try: guessing, other people's patients, other pages' forms, hostile values, floods."""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from medloom.database.tables.audit import audit
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.access import ROLES, Permission
from medloom.server.app import PUBLIC, create_app, served_routes
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from tests.server.conftest import Visitor
from tests.server.ward import MODEL, PASSWORD

Visit = Callable[[str], Visitor]
HUGE = 10**25
HOSTILE = "\"'><img src=x onerror=alert(1)>{{7*7}}</script><script>alert(1)</script>"
SAFE = {"GET", "HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def others(backend: Backend) -> int:
    """A patient whom the nurse does not see."""
    return int(backend.site.record.subject_ids[20])


@pytest.fixture(scope="module")
def advice(client: Visit, others: int) -> str:
    """The number of advice about that patient."""
    asked = {"model": "outcome", "subject_id": others}
    answer = client("doctor").post("/api/v1/predictions", json=asked, headers=_form(client("doctor")))
    return str(answer.json()["id"])


class TestSigningIn:
    def test_who_guesses_often_at_once_is_locked_out_as_who_guesses_in_turn(
        self, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        verified = accounts._verified

        def slow(hashed: str, password: str) -> bool:
            if password == PASSWORD:
                for _ in range(5):
                    accounts.authenticate(backend.database, "third", "a guess")
            return verified(hashed, password)

        monkeypatch.setattr(accounts, "_verified", slow)
        assert accounts.authenticate(backend.database, "third", PASSWORD) is None

    def test_a_flood_of_passwords_is_refused_and_stops_nobody_else(self, app: FastAPI, client: Visit) -> None:
        doctor = client("doctor")
        taken = [accounts._places.acquire(blocking=False) for _ in range(accounts._WAITING)]
        try:
            refused = Visitor(app).post("/sign-in", data={"name": "doctor", "password": PASSWORD})
            assert refused.status_code == 503 and refused.headers["retry-after"]
            assert doctor.get("/worklist").status_code == 200
        finally:
            for _ in taken:
                accounts._places.release()

    def test_another_page_cannot_sign_a_reader_in_as_somebody_else(self, app: FastAPI) -> None:
        fields = {"name": "doctor", "password": PASSWORD}
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert Visitor(app).post("/sign-in", data=fields, headers=headers).status_code == 403, headers
        own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
        assert Visitor(app).post("/sign-in", data=fields, headers=own).status_code == 303

    def test_a_cookie_that_somebody_chose_opens_nothing_after_signing_in(self, app: FastAPI) -> None:
        fields, chosen = {"name": "doctor", "password": PASSWORD}, {"cookie": "medloom=chosen"}
        assert (
            "medloom=chosen"
            not in Visitor(app).post("/sign-in", data=fields, headers=chosen).headers["set-cookie"]
        )
        assert Visitor(app).get("/worklist", headers=chosen).headers["location"].startswith("/sign-in")

    @pytest.mark.parametrize(
        "place",
        ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "javascript:x"],
    )
    def test_nobody_is_sent_elsewhere(self, app: FastAPI, place: str) -> None:
        fields = {"name": "doctor", "password": PASSWORD, "next": place}
        assert Visitor(app).post("/sign-in", data=fields).headers["location"] == "/"
        assert (
            "evil"
            not in Visitor(app).post("/language", data={"language": "en", "next": place}).headers["location"]
        )

    def test_over_tls_cookies_are_of_this_host_and_of_tls_alone(self, backend: Backend) -> None:
        secure = Backend.of(backend.site, ServerSettings(secure=True, as_of=backend.settings.as_of))
        try:
            visitor = Visitor(create_app(secure))
            answer = visitor.post("/sign-in", data={"name": "doctor", "password": PASSWORD})
            cookie = answer.headers["set-cookie"].lower()
            assert cookie.startswith("__host-medloom=")
            assert {"secure", "httponly", "samesite=lax", "path=/"} <= set(cookie.split("; ")[1:])
            assert "max-age" in answer.headers["strict-transport-security"]
        finally:
            secure.database.close()


class TestOtherPeoplesPatients:
    def test_no_interface_shows_them_and_each_try_is_noted(
        self, backend: Backend, client: Visit, others: int, advice: str
    ) -> None:
        nurse, before = client("nurse"), _last(backend)
        ways = [
            ("GET", f"/patients/{others}"),
            ("GET", f"/patients/{others}/timeline"),
            ("GET", f"/patients/{others}/advice/{advice}/similar"),
            ("POST", f"/patients/{others}/advice/{advice}/review"),
            ("POST", f"/patients/{others}/identifiers"),
            ("GET", f"/ask?patient={others}&model={MODEL}"),
            ("GET", f"/api/v1/patients/{others}"),
            ("GET", f"/api/v1/patients/{others}/events"),
            ("GET", f"/api/v1/patients/{others}/identifiers"),
            ("GET", f"/api/v1/advice/{advice}"),
            ("GET", f"/api/v1/advice/{advice}/reviews"),
            ("GET", f"/fhir/Patient/{others}"),
            ("GET", f"/fhir/Observation?patient=Patient/{others}"),
            ("GET", f"/fhir/Observation/{others}-1-1"),
            ("GET", f"/fhir/Observation?_id={others}-1-1"),
            ("GET", f"/fhir/Encounter?subject={others}"),
            ("GET", f"/fhir/RiskAssessment/{advice}"),
            ("GET", f"/fhir/RiskAssessment?_id={advice}"),
            ("GET", f"/fhir/Provenance?target=RiskAssessment/{advice}"),
            ("POST", f"/fhir/Patient/{others}/$evaluate-risk"),
        ]
        for method, address in ways:
            answer = nurse.request(method, address, headers=_form(nurse))
            assert answer.status_code == 403, (address, answer.status_code)
            assert "Creatinine" not in answer.text and "log-odds" not in answer.text
        refused = [row for row in _entries(backend, before) if row.outcome == "refused"]
        assert [row.subject_id for row in refused] == [others] * len(ways)
        assert {row.actor for row in refused} == {"nurse"}

    def test_not_among_several_either(self, client: Visit, others: int, backend: Backend) -> None:
        nurse, own = client("nurse"), int(backend.site.record.subject_ids[0])
        asked = {"model": "outcome", "subject_ids": [own, others]}
        assert nurse.post("/api/v1/predictions/batch", json=asked, headers=_form(nurse)).status_code == 403
        assert nurse.get(f"/fhir/Patient?_id={own},{others}").json()["total"] == 1
        assert nurse.get(f"/fhir/Observation?patient={own},{others}").status_code == 400
        assert str(others) not in nurse.get("/worklist").text.split("/patients/")

    def test_advice_about_another_is_not_reached_through_a_patient_of_ones_own(
        self, client: Visit, backend: Backend, advice: str
    ) -> None:
        nurse, own = client("nurse"), int(backend.site.record.subject_ids[0])
        assert nurse.get(f"/patients/{own}/advice/{advice}/similar").status_code == 404
        answer = nurse.submit(f"/patients/{own}/advice/{advice}/review", verdict="accept")
        assert answer.status_code == 404

    def test_what_a_role_may_not_is_noted_with_the_patient(
        self, backend: Backend, client: Visit, others: int
    ) -> None:
        logins = {login: client(login) for login in ("expert", "lead", "admin")}
        before = _last(backend)
        for visitor in logins.values():
            assert visitor.get(f"/patients/{others}").status_code == 403
        noted = [(row.actor, row.action, row.subject_id, row.outcome) for row in _entries(backend, before)]
        assert noted == [(login, "access.refused", others, "refused") for login in logins]

    def test_a_form_that_is_not_filled_shows_the_patient_and_is_noted(
        self, backend: Backend, client: Visit, others: int, advice: str
    ) -> None:
        before = _last(backend)
        answer = client("doctor").submit(f"/patients/{others}/advice/{advice}/review", verdict="")
        assert answer.status_code == 422
        assert ("patient.seen", others) in {(row.action, row.subject_id) for row in _entries(backend, before)}

    def test_an_age_beyond_89_is_shown_to_clinicians_alone(self, backend: Backend, client: Visit) -> None:
        doctor, scientist = client("doctor"), client("scientist")
        oldest = int(backend.site.record.subject_ids[0])  # born in 1930
        age = doctor.get(f"/api/v1/patients/{oldest}").json()["age"]
        assert age > 89
        heading = re.compile(r"<dt>Age</dt><dd>(.+?)</dd>")
        assert heading.findall(doctor.get(f"/patients/{oldest}").text) == [f"{age} y"]
        assert heading.findall(scientist.get(f"/patients/{oldest}").text) == ["90 y or older"]
        assert f"aged {age}" not in scientist.get("/worklist").text
        assert "age" not in scientist.get("/api/v1/worklist").json()["rows"][0]
        asked = {"model": "outcome", "subject_id": oldest, "explain": True}
        made = scientist.post("/api/v1/predictions", json=asked, headers=_form(scientist)).json()
        for advice in (made, scientist.get(f"/api/v1/advice/{made['id']}").json()):
            assert [one["value"] for one in advice["reasons"] if one["code"] == "MEDS_BIRTH"] == [90]

    def test_identifiers_stand_in_no_address_and_each_search_by_them_is_noted(
        self, backend: Backend, client: Visit
    ) -> None:
        doctor, before = client("doctor"), _last(backend)
        form = _form(doctor)
        for answer in (
            doctor.get("/fhir/Patient?identifier=ward|P20"),
            doctor.get("/fhir/Patient?identifier:exact=P20"),
            doctor.post("/fhir/Patient/_search?identifier=ward|P20", headers=form, data={"_count": "5"}),
        ):
            assert answer.status_code == 400 and "P20" not in answer.text
        assert not _entries(backend, before)
        found = doctor.post("/fhir/Patient/_search", headers=form, data={"identifier": "ward|nobody"})
        assert found.json()["total"] == 0
        (entry,) = _entries(backend, before)
        assert (entry.actor, entry.action, entry.target) == ("doctor", "fhir.searched", "Patient")
        assert "nobody" not in entry.detail


class TestOtherPagesForms:
    def test_every_form_needs_the_sessions_own_word(self, app: FastAPI, client: Visit) -> None:
        logins = [client(login) for login in ("doctor", "expert", "scientist", "lead", "admin")]
        for route in served_routes(app):
            if not route.methods - SAFE or route.path in PUBLIC or route.path.startswith("/cds-services"):
                continue
            address = re.sub(r"\{[^}]*\}", "1", route.path)
            (method,) = route.methods - SAFE
            visitor = next(
                one for one, role in zip(logins, ROLES, strict=True) if route.permission in ROLES[role]
            )
            for body in _bodies():
                answer = visitor.request(method, address, **body)
                assert answer.status_code == 403, (method, address, body, answer.status_code)

    def test_nothing_may_be_framed_or_kept(self, client: Visit, others: int) -> None:
        doctor = client("doctor")
        for address in (
            "/worklist",
            f"/patients/{others}",
            "/nothing",
            f"/fhir/Patient/{others}",
            "/patients/x",
        ):
            headers = doctor.get(address).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "localhost@evil"]
    )
    def test_a_name_that_is_not_ours_is_refused(self, app: FastAPI, host: str) -> None:
        answer = Visitor(app).get("/sign-in", headers={"host": host})
        assert answer.status_code == 403 and "evil" not in answer.text


class TestTokens:
    def test_a_token_opens_what_its_scopes_name_through_every_interface(
        self, app: FastAPI, backend: Backend
    ) -> None:
        account = accounts.find(backend.database, "scientist")
        person = backend.sessions.of_cookie(backend.sessions.start(account.id))
        assert person is not None
        secret = backend.sessions.new_token(person, "narrow", ["read-models"], 1)
        narrow = Visitor(app)
        narrow.headers["authorization"] = f"Bearer {secret}"
        free = {Permission.READ_MODELS.value, "know-oneself"}
        for route in served_routes(app):
            if not route.methods or route.path in PUBLIC or route.path.startswith("/cds-services"):
                continue
            if route.permission in free:
                continue
            address = re.sub(r"\{[^}]*\}", "1", route.path)
            for method in route.methods - {"HEAD"}:
                answer = narrow.request(method, address)
                assert answer.status_code in (403, 422), (method, address, answer.status_code)

    def test_in_an_address_or_cookie_a_token_is_nothing(self, app: FastAPI, backend: Backend) -> None:
        account = accounts.find(backend.database, "scientist")
        person = backend.sessions.of_cookie(backend.sessions.start(account.id))
        assert person is not None
        secret = backend.sessions.new_token(person, "wide", ["read-models"], 1)
        stranger = Visitor(app)
        assert stranger.get(f"/api/v1/models?access_token={secret}").status_code == 401
        stranger.cookies.set("medloom", secret)
        assert stranger.get("/api/v1/models").status_code == 401


class TestHostileValues:
    def test_what_is_stored_runs_in_no_page(
        self, backend: Backend, client: Visit, others: int, advice: str
    ) -> None:
        scientist, doctor, admin = client("scientist"), client("doctor"), client("admin")
        fact = {"subject_id": others, "code": f"X//{HOSTILE}", "time": "2020-01-02T00:00:00", "text": HOSTILE}
        sent = scientist.post("/api/v1/events", json={"facts": [fact]}, headers=_form(scientist))
        assert sent.status_code == 201 and sent.json()["written"] == 1
        doctor.submit(
            f"/patients/{others}/advice/{advice}/review", verdict="override", reason="known", comment=HOSTILE
        )
        accounts.change(backend.database, Actor("operator", ""), "nurse", display=HOSTILE)
        backend.accounts_changed()
        doctor.submit("/account/tokens", name=HOSTILE[:80], scopes="ask", days="1")
        pages = [
            *(
                doctor.get(address)
                for address in (f"/patients/{others}", f"/patients/{others}/timeline", "/account")
            ),
            *(client("nurse").get(address) for address in ("/account", "/worklist", f"/patients/{others}")),
            *(admin.get(address) for address in ("/admin", "/admin/accounts/nurse", "/audit")),
            doctor.get(f"/ask?patient={HOSTILE[:18]}&model={HOSTILE}&at={HOSTILE[:32]}"),
            doctor.get(f"/sign-in?next=/{HOSTILE}"),
            doctor.get(f"/models/{HOSTILE.replace('/', '')}"),
            doctor.get(f"/{HOSTILE}"),
            doctor.get(f"/worklist?question={HOSTILE[:80]}"),
        ]
        for page in pages:
            assert "<img src=x" not in page.text and "<script>alert" not in page.text, page.url
            assert "49</script>" not in page.text

    def test_numbers_beyond_any_patient_are_refused_and_nothing_breaks(self, client: Visit) -> None:
        ways = [
            *((login, "GET", f"/patients/{HUGE}") for login in ("doctor", "nurse", "scientist")),
            ("nurse", "POST", f"/patients/{HUGE}/break-glass"),
            ("nurse", "POST", f"/account/tokens/{HUGE}/revoke"),
            ("lead", "POST", f"/releases/{HUGE}/sign"),
            ("lead", "POST", f"/releases/{HUGE}/retire"),
            ("scientist", "POST", f"/proposals/{HUGE}/withdraw"),
            ("nurse", "GET", f"/fhir/Patient/{HUGE}"),
            ("nurse", "GET", f"/fhir/Observation/{HUGE}-1-1"),
            ("doctor", "GET", f"/fhir/Observation?patient={HUGE}"),
            ("expert", "POST", f"/review/cases/{HUGE}/take"),
        ]
        for login, method, address in ways:
            visitor = client(login)
            fields = (
                {"data": {"csrf": visitor.csrf, "reason": "to see what happens"}} if method == "POST" else {}
            )
            answer = visitor.request(method, address, **fields)
            assert 400 <= answer.status_code < 500, (login, address, answer.status_code)

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 200_000,
            b'{"model":' * 50_000,
            b'{"model":"outcome","subject_id":' + b"9" * 5000 + b"}",
            b'{"model":"outcome","subject_id":1e400}',
            b'{"model":"outcome","subject_id":NaN}',
            b'{"model":"\\ud800","subject_id":1}',
            b'{"\\ud800":1}',
            b'{"model":"\\u0000","subject_id":1}',
            b'{"model":"outcome","subject_id":1,"at":"+999999-01-01T00:00:00Z"}',
            b"\xff\xfe\x00",
        ],
    )
    def test_bombs_of_json_are_refused(self, client: Visit, body: bytes) -> None:
        doctor = client("doctor")
        headers = {**_form(doctor), "content-type": "application/json"}
        for address in ("/api/v1/predictions", "/api/v1/events", "/fhir", "/fhir/Patient/1/$evaluate-risk"):
            answer = doctor.post(address, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (address, answer.status_code)

    def test_a_cursor_that_somebody_wrote_is_refused(self, client: Visit) -> None:
        scientist = client("scientist")
        given = scientist.get("/api/v1/patients/1/events?limit=1").json()["next"]
        name = json.loads(base64.urlsafe_b64decode(given + "=="))[0]
        for place in (2**63, 2**64 - 1, 1e300, None, [], "1"):
            cursor = base64.urlsafe_b64encode(json.dumps([name, place]).encode()).decode()
            answer = scientist.get("/api/v1/patients/1/events", params={"cursor": cursor})
            assert answer.status_code == 422, place

    def test_a_form_of_ten_thousand_parts_is_refused(self, client: Visit, app: FastAPI) -> None:
        part = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer = Visitor(app).post("/sign-in", content=part * 10_000 + b"--x--\r\n", headers=headers)
        assert answer.status_code == 400

    def test_a_bomb_within_an_archive_is_found(self, client: Visit, backend: Backend) -> None:
        scientist, content = client("scientist"), io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("deep/lab.csv.gz", gzip.compress(bytes(20_000_000)))
        sent = {"file": ("export.zip", content.getvalue())}
        answer = scientist.post(
            "/api/v1/imports", files=sent, data={"format": "table"}, headers=_form(scientist)
        )
        assert answer.status_code == 422 and "times its size" in answer.json()["detail"]
        assert not list((backend.site.directory.root / "uploads").iterdir())

    def test_only_who_may_import_may_send_much(self, app: FastAPI, client: Visit) -> None:
        headers = {"content-length": str(3 * 1024 * 1024), "content-type": "multipart/form-data; boundary=x"}
        for visitor in (Visitor(app), client("doctor")):
            for address in ("/data/upload", "/api/v1/imports"):
                assert visitor.post(address, content=b"", headers=headers).status_code == 413


class TestSurprises:
    def test_nothing_of_what_went_wrong_is_shown_or_logged(
        self,
        backend: Backend,
        client: Visit,
        app: FastAPI,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def fail(*_: object) -> None:
            raise ValueError("MRN-4711 born 1950-01-01")

        # nothing that leaves the application is hidden from this one: a server would log it
        strict = TestClient(app, cookies=client("doctor").cookies)
        monkeypatch.setattr(backend, "saw_list", fail)
        with caplog.at_level(logging.DEBUG):
            answer = strict.get("/worklist")
        assert answer.status_code == 500 and "4711" not in answer.text
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "surprise" in caplog.text and "4711" not in caplog.text


def _form(visitor: Visitor) -> dict[str, str]:
    return {"x-csrf-token": visitor.csrf}


def _bodies() -> list[dict[str, Any]]:
    """Give what another page could send: forms of both kinds, text that is JSON, nothing."""
    return [
        {"data": {"reason": "because", "csrf": "guessed"}},
        {"files": {"file": ("a.csv", b"a,b\n")}, "data": {"csrf": ""}},
        {"content": b'{"a": 1}', "headers": {"content-type": "text/plain"}},
        {"json": {}},
        {},
    ]


def _last(backend: Backend) -> int:
    with backend.database.reading() as connection:
        return int(connection.execute(select(func.max(audit.c.number))).scalar_one())


def _entries(backend: Backend, after: int) -> list[Any]:
    with backend.database.reading() as connection:
        return list(connection.execute(select(audit).where(audit.c.number > after).order_by(audit.c.number)))
