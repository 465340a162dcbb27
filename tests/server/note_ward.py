"""A site with notes, which we wrote, in both languages; what rules take from them stands in its record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from medloom.care.notes.facts import keep_facts
from medloom.database.engine import Database
from medloom.learners.text.facts.rules import RuleFinder
from medloom.loop.releases import Actor
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.server import accounts
from medloom.site import Site
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
ARABIC: Final = "يعاني المريض من ارتفاع ضغط الدم منذ عشر سنوات ولا يعاني من الحمى. الضغط 150/90 اليوم في العيادة.\n"


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


def note_site(folder: Path) -> Site:
    """Make the site, with accounts of all roles; `doctor` sees everybody, the others of the ward nobody yet."""
    site = Site.create(folder)
    site.record.add(Notes())
    keep_facts(site.record, [RuleFinder()])
    database = Database.of(site.directory)
    try:
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


def subject(site: Site, patient: str) -> int:
    """Give the pseudonym of a patient of `Notes`."""
    return site.record.find(patient, "note-ward")
