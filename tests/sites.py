"""A small hospital for tests: stays, a laboratory value that foretells an outcome, and a task that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from medloom.record.importing import Batch, ImportContext, Importer
from medloom.site import Site
from tests.tasks.builders import at

LAB = "LOINC//lab"
TASK = """\
name: outcome
title: {en: outcome, zh: 结局}
kind: binary
prediction_time: {event: [ENCOUNTER//inpatient//START], offset: 48h}
predict: {event: [X//outcome], within: 48h}
"""


class Stays(Importer):
    """Hands over one stay of each of some patients; the higher the value, the likelier the outcome."""

    name = "stays"

    def __init__(self, first: int, n: int) -> None:
        self.first = first
        self.n = n

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        rng = np.random.default_rng(self.first)
        rows = []
        for place in range(self.first, self.first + self.n):
            patient, value = f"P{place}", float(rng.normal())
            rows += [
                (patient, at(0), "ENCOUNTER//inpatient//START", None),
                (patient, at(10), LAB, value),
                (patient, at(200), "ENCOUNTER//inpatient//END", None),
            ]
            for code in ("X//outcome", "X//other"):
                if value + rng.normal() > 0.5:
                    rows.append((patient, at(60), code, None))
        names = ["patient", "time", "code", "numeric_value"]
        yield Batch(pl.DataFrame(rows, schema=names, orient="row"), self.n)


def site_of(folder: Path, n: int = 200, task: str = TASK) -> Site:
    """Make a site with n patients and the task `outcome`."""
    site = Site.create(folder)
    site.record.add(Stays(0, n))
    (site.directory.tasks / "outcome.yaml").write_text(task, encoding="utf-8")
    return site


def reopened(site: Site) -> Site:
    """Open the site again, as the next command does."""
    return Site.open(site.directory.root)
