"""What experts decided, as labels for the next model, and how far they agreed."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import meds
import numpy as np
import polars as pl
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row, select

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.tables.reviewing import reading, reading_item
from medloom.database.tables.serving import advice
from medloom.evidence.agreement import cohen_kappa, fleiss_kappa, percent_agreement
from medloom.evidence.estimate import Estimate
from medloom.foundation.errors import InputError
from medloom.loop.readings import CLOSED
from medloom.loop.releases import Actor
from medloom.site import Site
from medloom.tasks import library
from medloom.tasks.external import from_meds_labels
from medloom.tasks.kinds import LABEL_TYPES
from medloom.tasks.question import Question


@dataclass(frozen=True)
class Exported:
    """Labels as the site keeps them: the task's name, how many, and whether they were kept before."""

    task: str
    labels: int
    known: bool


@dataclass(frozen=True)
class Agreement:
    """How far readers of a task agreed who read for themselves; whoever decides has seen the others' answers.

    Attributes:
        cases: read twice with an answer each.
        patients: whose cases these are.
        agreed: of them, answered alike.
        untold: read twice, but a reader could not tell; left out.
        readers: how many persons read for themselves.
        percent: share answered alike.
        cohen: of the first against the second reader.
        fleiss: of all these readings, whoever they are by.
        adjudicated: cases that a third person decided.
    """

    cases: int
    patients: int
    agreed: int
    untold: int
    readers: int
    percent: Estimate
    cohen: Estimate
    fleiss: Estimate
    adjudicated: int


def reviewed_labels(database: Database, task: str) -> pl.DataFrame:
    """Give what was decided: frame of `subject_id` int64, `prediction_time` datetime[us], `label`, by patient and time.

    A label is what experts read from what was known then, not what happened after. What could not be told has none.

    Raises:
        InputError: nothing was decided yet.
    """
    decided = (
        select(reading_item)
        .where(
            reading_item.c.task == task, reading_item.c.state.in_(CLOSED), reading_item.c.label.is_not(None)
        )
        .order_by(reading_item.c.subject_id, reading_item.c.prediction_time)
    )
    with database.reading() as connection:
        rows = connection.execute(decided).all()
        if not rows:
            raise InputError("nothing is decided of {task!r} yet: two experts must read a case", task=task)
        question = _question(connection, rows[0])
    return pl.DataFrame(
        {
            "subject_id": pl.Series([row.subject_id for row in rows], dtype=pl.Int64),
            "prediction_time": pl.Series(
                [datetime.fromisoformat(row.prediction_time) for row in rows], dtype=pl.Datetime("us")
            ),
            "label": pl.Series([json.loads(row.label) for row in rows], dtype=LABEL_TYPES[question.kind]),
        }
    )


def export_labels(site: Site, database: Database, task: str, by: Actor) -> Exported:
    """Keep what was decided as the site's task `TASK-reviewed`, from which models can be trained.

    Labels that are kept stay as they are, for the models made from them: where more was decided since, the next name
    is taken, `TASK-reviewed-2` and so on.

    Raises:
        InputError: nothing was decided yet, or the patients are no longer in the record.
    """
    labels = reviewed_labels(database, task)
    column = "boolean_value" if labels["label"].dtype == pl.Boolean else "categorical_value"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.parquet"
        frame = labels.rename({"label": column})
        pq.write_table(meds.LabelSchema.align(frame.to_arrow()), path)
        name, known = _name_for(site, task, path)
        kept = site.keep_labels(name, path)

    database.write(
        lambda connection: database.audit.append(
            connection,
            Entry(by.name, by.role, "labels.exported", target=name, detail={"labels": len(kept)}),
        )
    )
    return Exported(name, len(kept), known)


def agreement(database: Database, task: str, seed: int = 0) -> Agreement:
    """Measure how far the readers of a task agreed; one who could not tell is left out."""
    read = (
        select(
            reading_item.c.id, reading_item.c.subject_id, reading.c.stage, reading.c.answer, reading.c.reader
        )
        .join(reading, reading.c.item_id == reading_item.c.id)
        .where(reading_item.c.task == task)
        .order_by(reading_item.c.id)
    )
    with database.reading() as connection:
        rows = connection.execute(read).all()
    first, second, third = (
        {row.id: row for row in rows if row.stage == stage} for stage in ("first", "second", "adjudication")
    )
    twice = [item for item in first if item in second]
    told = [item for item in twice if first[item].answer is not None and second[item].answer is not None]
    one, other = ([json.loads(of[item].answer) for item in told] for of in (first, second))
    subjects = [first[item].subject_id for item in told]
    known = sorted({*one, *other}, key=str)
    place = {answer: at for at, answer in enumerate(known)}
    counts = np.zeros((len(told), len(known)))
    for row, (a, b) in enumerate(zip(one, other, strict=True)):
        counts[row, place[a]] += 1
        counts[row, place[b]] += 1
    return Agreement(
        cases=len(told),
        patients=len(set(subjects)),
        agreed=sum(a == b for a, b in zip(one, other, strict=True)),
        untold=len(twice) - len(told),
        readers=len({row.reader for row in rows if row.stage != "adjudication"}),
        percent=percent_agreement(one, other, group=subjects, seed=seed),
        cohen=cohen_kappa(one, other, group=subjects, seed=seed),
        fleiss=fleiss_kappa(counts, group=subjects, seed=seed),
        adjudicated=len(third),
    )


def _name_for(site: Site, task: str, labels: Path) -> tuple[str, bool]:
    """Name the labels: as the same ones are kept already, else as none are; and tell which."""
    for number in count(1):
        name = f"{task}-reviewed" if number == 1 else f"{task}-reviewed-{number}"
        kept = site.directory.tasks / f"{name}{library.LABELS}"
        if not kept.is_file():
            return name, False
        now, then = (from_meds_labels(path, site.record, name).frame for path in (labels, kept))
        if now.equals(then):
            return name, True
    raise AssertionError("numbers do not end")


def _question(connection: Connection, row: Row[Any]) -> Question:
    content = connection.execute(select(advice.c.content).where(advice.c.id == row.advice_id)).scalar_one()
    return Question.model_validate(json.loads(content)["question"])
