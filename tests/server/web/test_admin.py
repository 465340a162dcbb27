"""Accounts: who may come in, as what, and whose patients are theirs."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from medloom.server import accounts
from medloom.server.backend import Backend
from tests.server.conftest import Visitor

Client = Callable[[str], Visitor]


def password_on(page: str) -> str:
    found = re.search(r'id="password">([^<]+)<', page)
    assert found is not None
    return found[1]


def test_a_new_account_gets_a_password_that_is_shown_once(client: Client, app: FastAPI) -> None:
    admin = client("admin")
    made = admin.submit("/admin/accounts", name="Mei", display="Dr. Mei", role="clinician", language="zh")
    secret = password_on(made.text)
    assert secret not in admin.get("/admin/accounts/mei").text
    assert "Dr. Mei" in admin.get("/admin").text
    mei = Visitor(app)
    signed_in = mei.post("/sign-in", data={"name": "mei", "password": secret})
    assert signed_in.status_code == 303
    assert mei.get("/").headers["location"] == "/account"  # chooses another one first
    assert mei.get("/worklist").status_code == 403


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"name": "doctor", "role": "clinician"}, "already"),
        ({"name": "Jo Smith!", "role": "clinician"}, "lower-case letters"),
        ({"name": "jo", "role": "chief"}, "there is no role"),
    ],
)
def test_what_makes_no_account_is_asked_for_again(
    client: Client, typed: dict[str, str], message: str
) -> None:
    answer = client("admin").submit("/admin/accounts", **typed)
    assert answer.status_code == 422 and message in answer.text


def test_a_disabled_account_is_let_in_no_more_at_once(client: Client, app: FastAPI) -> None:
    admin, third = client("admin"), Visitor(app).sign_in("third")
    assert third.get("/models").status_code == 200
    admin.submit("/admin/accounts/third/disable")
    assert third.get("/models").status_code == 303
    assert "disabled" in admin.get("/admin/accounts/third").text
    admin.submit("/admin/accounts/third/enable")
    assert Visitor(app).sign_in("third").get("/models").status_code == 200
    assert admin.submit("/admin/accounts/admin/disable").status_code == 422


def test_a_reset_password_ends_sessions_and_unlocks(client: Client, app: FastAPI, backend: Backend) -> None:
    admin, second = client("admin"), Visitor(app).sign_in("second")
    for _ in range(5):
        Visitor(app).post("/sign-in", data={"name": "second", "password": "wrong"})
    assert "locked" in admin.get("/admin/accounts/second").text
    admin.submit("/admin/accounts/second/unlock")
    assert accounts.find(backend.database, "second").locked_until is None
    secret = password_on(admin.submit("/admin/accounts/second/password").text)
    assert second.get("/models").status_code == 303
    assert Visitor(app).post("/sign-in", data={"name": "second", "password": secret}).status_code == 303


def test_the_last_administrator_stays_one(client: Client) -> None:
    answer = client("admin").submit("/admin/accounts/admin", display="Admin", role="expert")
    assert answer.status_code == 422 and "last administrator" in answer.text


def test_a_care_team_is_pasted(client: Client, backend: Backend) -> None:
    admin, nurse = client("admin"), client("nurse")
    admin.submit("/admin/accounts/nurse/team", patients="11, 12\n13；13")
    assert nurse.get("/worklist").text.count('class="row-link"') == 3
    wrong = admin.submit("/admin/accounts/nurse/team", patients="11 999999 P7")
    assert wrong.status_code == 422 and "there are no such patients: P7, 999999" in wrong.text
    assert "11 999999 P7" in wrong.text  # stays to be mended
    admin.submit("/admin/accounts/nurse/team/current")
    assert "1–50 of 108" in nurse.get("/worklist").text


def test_nobody_else_manages_accounts(client: Client) -> None:
    for name in ("doctor", "expert", "scientist", "lead"):
        assert client(name).get("/admin").status_code == 403
        assert client(name).submit("/admin/accounts/admin/password").status_code == 403
