"""A timeline model in the workbench: advice whose reasons are single facts, marked where they were."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medloom import api
from medloom.database.engine import Database
from medloom.explanation.windowed import recorded
from medloom.foundation.files import write_json
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.settings import ServerSettings
from medloom.site import Site
from medloom.tasks import models
from tests.server.conftest import Visitor
from tests.server.ward import NOW

MODEL = "outcome.transformer@1"
QUICK: dict[str, Any] = {"epochs": 2, "size": "nano", "most": 32, "step": 0.0}


@pytest.fixture(scope="module")
def doctor(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody signed in where a transformer over timelines answers, and nothing else."""
    folder = tmp_path_factory.mktemp("timelines") / "site"
    shutil.copytree(ward, folder, symlinks=True)
    site = Site.open(folder)
    trained = api.train(site.task("outcome"), "transformer", ranges=False, **QUICK)
    evidence = models.evidence_directory(site.directory, site.model_name(MODEL)) / "held_out"
    write_json(evidence / "evaluation.json", api.evaluate(trained).to_json())
    database = Database.of(site.directory)
    lead = Actor("lead", "governance")
    for release in releases.active(database):
        releases.retire(database, release.id, lead, "another answers")
    proposed = releases.propose(
        site, database, MODEL, Actor("scientist", "data_scientist"), "of timelines", 0.1
    )
    releases.sign(database, proposed.id, lead)
    database.close()
    backend = Backend.of(site, ServerSettings(as_of=NOW))
    yield Visitor(create_app(backend)).sign_in("doctor")
    backend.close()


def test_every_page_about_a_patient_holds(doctor: Visitor) -> None:
    assert doctor.get("/worklist").status_code == 200
    page = doctor.get("/patients/1")
    assert page.status_code == 200 and "Why" in page.text
    similar = re.search(r'href="(/patients/1/advice/\w+/similar)"', page.text)
    assert similar is not None
    assert "whom the model sees alike" in doctor.get(similar[1]).text
    asked = {"model": MODEL, "patient": "1", "at": ""}
    assert doctor.get("/ask", params=asked).status_code == 200
    assert doctor.get(f"/models/{MODEL}").status_code in (200, 403)
    supposed = doctor.submit("/ask", **asked, code="LOINC//2160-0", value="9").text
    assert len(re.findall(r'<p class="big">', supposed)) == 2


def test_facts_that_moved_the_answer_are_marked_where_they_were(doctor: Visitor) -> None:
    page = doctor.get("/patients/1").text
    marks = re.findall(
        r'<svg class="push (up|down)" x="[\d.]+%" role="img" tabindex="0" aria-label="([^"]+)"', page
    )
    said = {"up": "raises this estimate: ", "down": "lowers this estimate: "}
    assert marks and all(words.startswith(said[way]) for way, words in marks)
    assert any("Creatinine" in words and "hours before" in words for _, words in marks)
    assert "the strongest of these" in page and "the larger, the stronger" in page
    facts = re.search(r'<ol class="tl-facts">(.+?)</ol>', page, re.DOTALL)
    assert facts is not None and facts[1].count("<li>") >= len(marks)
    shares = [float(one) for one in re.findall(r"([\d.]+) % of the strongest", facts[1])]
    assert shares == sorted(shares, reverse=True)
    assert "style=" not in page
    doctor.submit("/language", language="zh", next="/patients/1")
    chinese = doctor.get("/patients/1").text
    doctor.submit("/language", language="en", next="/patients/1")
    assert re.search('class="push (up|down)"[^>]*aria-label="使估计(升高|降低)：肌酐', chinese)


def test_the_interface_for_programs_gives_the_facts_with_their_times(doctor: Visitor) -> None:
    told = doctor.get("/patients/1").text
    advice = re.search(r"/patients/1/advice/(\w+)/similar", told)
    assert advice is not None
    reasons = doctor.get(f"/api/v1/advice/{advice[1]}").json()["reasons"]
    facts = [recorded(one["input"]) for one in reasons]
    assert any(one is not None and one.code == "LOINC//2160-0" for one in facts)
