"""Coming in: in the language that was chosen before."""

from fastapi import FastAPI

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
