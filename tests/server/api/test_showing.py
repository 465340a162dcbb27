"""What is shown to whom: great ages, birth dates and free text are for who may see identifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from medloom.care import risk
from medloom.foundation.messages import Text2
from medloom.loop.advice import Advice, Reason
from medloom.server.access import ROLES, Person, Role
from medloom.server.backend import Backend
from medloom.server.showing import advice_shown
from tests.server.api.conftest import Program
from tests.server.conftest import Visitor

NOTE = "His sister Li Lei came from Harbin."


def person(role: Role) -> Person:
    return Person(1, "p", "P", role, ROLES[role], "en", sees_all=True)


@pytest.fixture(scope="module")
def advice(backend: Backend) -> Advice:
    (served,) = backend.serving.served
    asked = backend.serving.ask(served, 3)
    return risk.advise(served, asked.sample, asked.against).advice


@pytest.mark.parametrize(
    ("years", "said"),
    [(63.7, "Age 63 years"), (90.2, "Age 90 years or older"), (97.0, "Age 90 years or older")],
)
def test_a_great_age_is_told_as_ninety_or_older(advice: Advice, years: float, said: str) -> None:
    exact = f"Age {int(years)} years"
    told = replace(advice, reasons=(Reason("age", "MEDS_BIRTH", years, 0.4, Text2(exact, exact)),))
    (hidden,) = advice_shown(person("data_scientist"), told).reasons
    assert (hidden.said.en, hidden.value) == (said, min(int(years), 90))
    assert advice_shown(person("clinician"), told) is told


def test_free_text_is_shown_to_who_may_see_identifiers(
    backend: Backend, program: Callable[[str], Program], client: Callable[[str], Visitor]
) -> None:
    note = {"patient": "P2", "code": "LOINC//note", "time": datetime(2020, 6, 1, 9), "role": "note"}
    backend.site.record.append(pl.DataFrame([note | {"text_value": NOTE}]), "ward", backend.now())
    for login, is_shown in (("doctor", True), ("scientist", False)):
        told = program(login).get("patients/3/events", params={"role": "note"}).json()["events"][0]
        assert (told["text"], told["text_hidden"]) == ((NOTE, False) if is_shown else (None, True))
        page = client(login).get("/patients/3/timeline?since=2020-05-01T00:00").text
        assert (NOTE[:20] in page, "text is not shown to your role" in page) == (is_shown, not is_shown)
