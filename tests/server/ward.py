"""A ward for tests of the server: stays, a laboratory value twice, sex and age; a question asked daily; two models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from medloom import api, dossier
from medloom.database.engine import Database
from medloom.foundation.files import write_json
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.record.importing import Batch, CodeInfo, ImportContext, Importer
from medloom.server import accounts
from medloom.site import Site
from medloom.tasks import models
from tests.tasks.builders import at

NOW: Final = at(60)
"""The moment the server's clock starts from: all are in hospital but every tenth, who went home days ago."""

LAB: Final = "LOINC//2160-0"
PASSWORD: Final = "a long sentence here"
ACCOUNTS: Final = {
    "doctor": "clinician",  # sees all patients
    "nurse": "clinician",  # sees the first five alone
    "expert": "expert",
    "second": "expert",
    "third": "expert",
    "scientist": "data_scientist",
    "lead": "governance",
    "admin": "admin",
}
MODEL: Final = "outcome.logistic@1"
"""Released by `scientist` and `lead`, with a threshold."""
OTHER_MODEL: Final = "outcome.tree@1"
"""Evaluated, without a report, and not proposed."""
_TASK: Final = """\
name: outcome
title: {en: Kidney failure within 48 hours, zh: 48小时内肾衰竭}
kind: binary
prediction_time: {event: [ENCOUNTER//inpatient//START], which: every, offset: 24h, every: 24h,
  until: [ENCOUNTER//inpatient//END], at_most: 2}
predict: {event: [X//outcome], within: 48h}
"""


class Ward(Importer):
    """Hands over one stay each; patients are called P0, P1 … in the hospital `ward`."""

    name = "ward"
    system = "ward"

    def __init__(self, n: int) -> None:
        self.n = n

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        rng = np.random.default_rng(0)
        rows: list[tuple[str, datetime, str, float | None, str]] = []
        for place in range(self.n):
            patient, begins = f"P{place}", -150 if place % 10 == 9 else 0
            born = datetime(1930 + place % 60, 3, 4)
            first, second = rng.gamma(4, 0.25, 2)
            rows += [
                (patient, born, f"GENDER//{'FM'[place % 2]}", None, "demographic"),
                (patient, born, "MEDS_BIRTH", None, "demographic"),
                (patient, at(begins), "ENCOUNTER//inpatient//START", None, "encounter"),
                (patient, at(begins + 10), LAB, first, "observation"),
                (patient, at(begins + 40), LAB, second, "observation"),
                (patient, at(begins + 120), "ENCOUNTER//inpatient//END", None, "encounter"),
            ]
            if second + rng.normal(0, 0.3) > 1.2:
                rows.append((patient, at(begins + 70), "X//outcome", None, "condition"))
        names = ["patient", "time", "code", "numeric_value", "role"]
        known = {LAB: CodeInfo("Creatinine"), "X//outcome": CodeInfo("Kidney failure")}
        facts = pl.DataFrame(rows, schema=names, orient="row")
        unit = pl.when(pl.col("code") == LAB).then(pl.lit("mg/dL"))
        yield Batch(facts.with_columns(unit=unit), self.n, codes=known)


def ward_site(folder: Path, n: int = 120) -> Site:
    """Make the site: two models are trained and evaluated, the first with a report and a card, and released."""
    site = Site.create(folder)
    site.record.add(Ward(n))
    (site.directory.tasks / "outcome.yaml").write_text(_TASK, encoding="utf-8")
    api.train(site.task("outcome"), "logistic", ranges=False)
    dossier.evaluate(site, MODEL)
    other = api.train(site.task("outcome"), "tree", ranges=False)
    evidence = models.evidence_directory(site.directory, site.model_name(OTHER_MODEL))
    write_json(evidence / "held_out" / "evaluation.json", api.evaluate(other).to_json())
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
                sees_all=name == "doctor",
                must_change=False,
            )
        accounts.set_team(database, Actor("operator", ""), "nurse", site.record.subject_ids[:5].tolist())
        proposal = releases.propose(
            site, database, MODEL, Actor("scientist", "data_scientist"), "first of its kind", 0.5
        )
        releases.sign(database, proposal.id, Actor("lead", "governance"))
    finally:
        database.close()
    return site
