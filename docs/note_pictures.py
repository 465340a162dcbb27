"""Pictures of notes for `docs/notes.md`: `python docs/refresh.py notes`, where Chromium is installed.

A site with notes that we wrote, no patient's, is served; a clinician reviews what was taken from them in a real
browser.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from playwright.sync_api import Page, sync_playwright
from served import served, signed_in
from workbench_pictures import _chromium, _write

from medloom import api
from medloom.care.notes.facts import keep_facts
from medloom.care.notes.tagging import ask_of_all
from medloom.database.engine import Database
from medloom.foundation.files import write_json
from medloom.learners.text.facts.rules import RuleFinder
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.server import accounts
from medloom.server.backend import Backend
from medloom.server.notes import READ
from medloom.server.settings import ServerSettings
from medloom.site import Site
from medloom.tasks import models

LARGEST = 200_000  # bytes of a picture

_NOW = datetime(2026, 3, 20, 9)
_PASSWORD = "a written note in a box"
_ENGLISH = """\
Chief complaint: chest pain and shortness of breath for two days.

History of present illness: A 64-year-old man with hypertension and type 2 diabetes. Pain on climbing stairs, no \
fever, no cough. Possible pneumonia was considered in the emergency room.

Past medical history: atrial fibrillation, stroke in 2019.

Family history: mother had breast cancer.

Allergies: penicillin (rash).

Medications: metformin 500 mg p.o. b.i.d., apixaban 5 mg b.i.d.

Examination: BP 152/94 mmHg, heart rate 88 bpm, temperature 36.9 C. Glucose 11.

Plan: coronary angiography is planned. Start atorvastatin 40 mg daily.
"""
_CHINESE = """\
主诉：咳嗽伴发热3天。

现病史：患者3天前受凉后出现咳嗽、咳痰，体温最高38.9℃，伴乏力，否认胸痛、咯血。

既往史：高血压10年，口服氨氯地平5mg qd；2型糖尿病5年，口服二甲双胍0.5g tid。

过敏史：青霉素过敏。

家族史：父亲患冠心病。

体格检查：血压135/85mmHg，心率96次/分，血氧饱和度94%。

诊断：考虑肺炎；高血压。

处理：头孢曲松2g 静脉滴注 qd，完善胸部CT检查。
"""
_VISITS = (
    "She takes {drug} for {problem}.",
    "{problem} got better with {drug}.",
    "We stopped {drug}; the {problem} went away.",
    "No {problem} since {drug} was started.",
)
_DRUGS = ("aspirin", "metformin", "heparin", "amlodipine", "apixaban", "prednisone")
_PROBLEMS = ("headache", "chest pain", "cough", "rash", "nausea", "back pain")
_TASK = """\
name: drugs-problems
kind: tagging
title: {en: Drugs and problems, zh: 药物与问题}
prediction_time: {event: [NOTE//Visit], which: every}
predict: {of: note, spans: {drug: [DRUG//*], problem: [PROBLEM//*]}}
"""
_LOGINS = {"en": "lee", "zh": "wang"}


def refresh(images: Path) -> None:
    """Make the pictures anew in a folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _served(Path(folder) / "st-mary") as (base, site),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        for language in _LOGINS:
            page = signed_in(browser, base, _LOGINS[language], _PASSWORD, language)
            for name, picture in _walk(page, site, language):
                _write(picture, images / f"note-{name}-{language}.png", LARGEST)
        browser.close()


def _walk(page: Page, site: Site, language: str) -> Iterator[tuple[str, bytes]]:
    page.goto("/notes")
    yield "worklist", page.screenshot()
    patient = site.record.find({"en": "English", "zh": "Chinese"}[language], "letters")
    page.goto(f"/patients/{patient}/notes/1")
    for key in "jajja":
        page.keyboard.press(key)
        page.wait_for_timeout(700)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(200)
    yield "review", page.screenshot()
    page.locator("#note-text .said.waits, #note-text .said.asserted").last.click()
    page.keyboard.press("c")
    page.wait_for_timeout(300)
    page.emulate_media(color_scheme="dark")
    yield "correct", page.screenshot()
    page.emulate_media(color_scheme="light")


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, Site]]:
    """Make the site and serve it; give its address."""
    site = Site.create(folder)
    database = Database.of(site.directory)
    operator = Actor("operator", "")
    for name, role in (*((one, "clinician") for one in _LOGINS.values()), ("admin", "admin")):
        accounts.create(
            database, operator, name, role, _PASSWORD, display=name.title(), sees_all=True, must_change=False
        )
    _fill(site, database)
    database.close()
    with served(folder, _NOW) as base:
        yield base, site


def _fill(site: Site, database: Database) -> None:
    """Bring in notes, some of which people have read, and a model that learned from these."""
    rows = [
        {
            "patient": patient,
            "time": datetime(2026, 3, day, 10),
            "code": code,
            "role": "note",
            "text_value": text,
        }
        for patient, day, code, text in (
            ("English", 2, "NOTE//Admission note", _ENGLISH),
            ("Chinese", 3, "NOTE//入院记录", _CHINESE),
        )
    ]
    for number in range(80):
        drug, problem = _DRUGS[number * 5 % 6], _PROBLEMS[number * 7 % 6]
        text = _VISITS[number % 4].format(drug=drug, problem=problem)
        text = text[0].upper() + text[1:] + f" Visit {number + 1}."
        asset = site.record.assets().put(text.encode())
        note = {"patient": f"V{number}", "time": datetime(2025, 12, 20) + timedelta(days=number)}
        rows.append({**note, "code": "NOTE//Visit", "role": "note", "asset": asset, "text_value": text})
        if number < 60:
            said = {**note, "role": "observation", "derived_from": asset}
            rows.append({**said, "code": READ})
            for word, code in ((drug, "DRUG//drug"), (problem, "PROBLEM//problem")):
                start = text.lower().index(word)
                rows.append({**said, "code": code, "span": f"{start}:{start + len(word)}"})
    site.record.append(pl.DataFrame(rows, infer_schema_length=None), "letters")
    site.record.compact()
    keep_facts(site.record, [RuleFinder()])
    (site.directory.tasks / "drugs-problems.yaml").write_text(_TASK, encoding="utf-8")
    made = api.train(site.task("drugs-problems"), "crf", ranges=False)
    name = site.model_name("drugs-problems.crf@1")
    evidence = models.evidence_directory(site.directory, name)
    write_json(evidence / "held_out" / "evaluation.json", api.evaluate(made).to_json())
    proposal = releases.propose(site, database, str(name), Actor("anna", "data_scientist"), "reads drugs")
    releases.sign(database, proposal.id, Actor("bert", "governance"))
    backend = Backend.of(site, ServerSettings(as_of=_NOW))
    ask_of_all(site, backend.serving, database, _NOW)
