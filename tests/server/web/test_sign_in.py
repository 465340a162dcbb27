"""Coming in: in the language that was chosen before."""

from fastapi import FastAPI

from medloom.database.tables.accounts import account
from medloom.server.backend import Backend
from tests.server.conftest import Visitor


def test_a_language_chosen_before_signing_in_stays(app: FastAPI) -> None:
    visitor = Visitor(app)
    visitor.post("/language", data={"language": "zh", "next": "/sign-in"})
    assert 'lang="zh-CN"' in visitor.get("/sign-in").text
    visitor.sign_in("third")
    assert 'lang="zh-CN"' in visitor.get("/account").text
    visitor.submit("/sign-out")
    other = Visitor(app)
    other.cookies = visitor.cookies
    assert 'lang="en"' in other.get("/sign-in").text


def test_everybody_may_choose_the_language_where_nobody_is_administrator(
    app: FastAPI, backend: Backend
) -> None:
    visitor = Visitor(app).sign_in("doctor")
    row = account.update().where(account.c.role == "admin")
    backend.database.write(lambda connection: connection.execute(row.values(disabled=True)))
    try:
        page = "/worklist?" + "long=" + "x" * 3000
        answer = visitor.submit("/language", language="zh", next=page)
        assert answer.status_code == 303 and answer.headers["location"] == page
        assert 'lang="zh-CN"' in visitor.get("/account").text
        visitor.submit("/sign-out")
        visitor.post("/language", data={"language": "en", "next": "/sign-in"})
        visitor.sign_in("doctor")  # what was chosen before is taken over
        assert 'lang="en"' in visitor.get("/account").text
    finally:
        backend.database.write(lambda connection: connection.execute(row.values(disabled=False)))
