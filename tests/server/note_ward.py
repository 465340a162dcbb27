"""A site with notes, which we wrote, in both languages; what rules take from them stands in its record."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from medloom import api
from medloom.care.notes.facts import keep_facts
from medloom.database.engine import Database
from medloom.foundation.files import write_json
from medloom.learners.text.facts.rules import RuleFinder
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.server import accounts
from medloom.server.backend import Backend
from medloom.server.notes import READ
from medloom.server.settings import ServerSettings
from medloom.site import Site
from medloom.tasks import models
from tests.learners.text.worlds import note
from tests.server.ward import ACCOUNTS, PASSWORD

NOW: Final = datetime(2026, 3, 20, 9)
ENGLISH: Final = """\
Chief complaint: chest pain for two days.

History of present illness: A 64-year-old man with hypertension and type 2 diabetes. Pain on exertion, no fever.
Possible pneumonia was considered elsewhere.

Family history: mother had breast cancer.

Medications: metformin 500 mg p.o. b.i.d., aspirin 100 mg daily.

Examination: BP 152/94 mmHg, heart rate 88 bpm. Glucose 11.

Plan: coronary angiography is planned.
"""
CHINESE: Final = """\
主诉：咳嗽伴发热3天。

现病史：患者3天前受凉后出现咳嗽，体温最高38.9℃，否认胸痛。既往有高血压10年，口服氨氯地平5mg qd。

家族史：父亲患糖尿病。

体格检查：血压135/85mmHg，心率96次/分。

诊断：考虑肺炎。

处理：头孢曲松2g 静脉滴注 qd。
"""
ARABIC: Final = (
    "يعاني المريض من ارتفاع ضغط الدم منذ عشر سنوات ولا يعاني من الحمى. الضغط 150/90 اليوم في العيادة.\n"
)


class Notes(Importer):
    """Hands over three patients: P0 has two notes in English, P1 one in Chinese, P2 one in a third language."""

    name = "note-ward"
    system = "note-ward"

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        told = [
            ("P0", datetime(2026, 3, 2, 10), "NOTE//Admission note", ENGLISH),
            ("P0", datetime(2026, 3, 9, 10), "NOTE//Discharge summary", "Chest pain has gone. No fever.\n"),
            ("P1", datetime(2026, 3, 3, 8), "NOTE//入院记录", CHINESE),
            ("P2", datetime(2026, 3, 4, 8), "NOTE//Letter", ARABIC),
        ]
        rows = [
            {"patient": patient, "time": time, "code": code, "role": "note", "text_value": text}
            for patient, time, code, text in told
        ]
        yield Batch(pl.DataFrame(rows), len(rows))


MODEL: Final = "named.crf@1"
"""Released, where there is a model."""
_TASK: Final = """\
name: named
kind: tagging
title: {en: Drugs and findings, zh: 药物与所见}
prediction_time: {event: [NOTE//visit], which: every}
predict: {of: note, spans: {drug: [DRUG//*], finding: [FINDING//*]}}
"""


def note_site(folder: Path, *, released: bool = False) -> Site:
    """Make the site, with accounts of all roles; `doctor`, `expert` and `second` see everybody, the others nobody yet.

    Args:
        folder: a new one.
        released: whether there are patients V0 … V62 with a note of a visit each, of which people read 60, and a model
            that learned from them.
    """
    site = Site.create(folder)
    site.record.add(Notes())
    keep_facts(site.record, [RuleFinder()])
    if released:
        _visits(site)
    database = Database.of(site.directory)
    try:
        if released:
            _release(site, database)
        for name, role in ACCOUNTS.items():
            accounts.create(
                database,
                Actor("operator", ""),
                name,
                role,
                PASSWORD,
                display=name.title(),
                sees_all=name in ("doctor", "expert", "second"),
                must_change=False,
            )
    finally:
        database.close()
    return site


def _visits(site: Site) -> None:
    rng, rows = np.random.default_rng(0), []
    for number in range(63):
        text, places = note(rng)
        asset = site.record.assets().put(text.encode())
        base = {"patient": f"V{number}", "time": datetime(2026, 1, 1) + timedelta(days=number)}
        rows.append({**base, "code": "NOTE//visit", "role": "note", "asset": asset, "text_value": text})
        if number < 60:
            said = {**base, "role": "observation", "derived_from": asset}
            rows.append({**said, "code": READ})
            rows += [{**said, "code": f"{name.upper()}//{name}", "span": f"{a}:{b}"} for a, b, name in places]
    site.record.append(pl.DataFrame(rows, infer_schema_length=None), "note-ward")
    site.record.compact()
    (site.directory.tasks / "named.yaml").write_text(_TASK, encoding="utf-8")


def _release(site: Site, database: Database) -> None:
    made = api.train(site.task("named"), "crf", ranges=False)
    evidence = models.evidence_directory(site.directory, site.model_name(MODEL))
    write_json(evidence / "held_out" / "evaluation.json", api.evaluate(made).to_json())
    proposal = releases.propose(site, database, MODEL, Actor("scientist", "data_scientist"), "reads drugs")
    releases.sign(database, proposal.id, Actor("lead", "governance"))


@contextmanager
def copied(root: Path, folder: Path) -> Iterator[Backend]:
    """Open a copy of a site, to change it."""
    shutil.copytree(root, folder, symlinks=True)
    opened = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


def subject(site: Site, patient: str) -> int:
    """Give the pseudonym of a patient of `Notes`."""
    return site.record.find(patient, "note-ward")
