"""Advice to be reviewed, stored as a released model would have given it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert, select

from medloom.database.audit import AuditLog
from medloom.database.engine import Database
from medloom.database.tables.audit import audit
from medloom.database.tables.serving import advice, advice_input
from medloom.foundation.messages import Text2
from medloom.loop.advice import Advice, Answer
from medloom.loop.releases import Actor
from medloom.tasks.question import Question, Title
from tests.tasks.builders import at

QUESTION = Question(task="outcome", kind="binary", title=Title(en="outcome", zh="结局"), definition="d")
ANNA, BO, CHEN, DORA = (Actor(name, "expert") for name in ("anna", "bo", "chen", "dora"))
LIN = Actor("lin", "clinician")


def database_in(folder: Path) -> Database:
    """Open an empty database."""
    return Database(f"sqlite:///{folder / 'site.db'}", AuditLog(b"k" * 32))


def store(
    database: Database,
    subject: int,
    value: float = 0.5,
    *,
    width: float = 0.1,
    unusual: bool = False,
    question: Question = QUESTION,
    asked_by: str = "medloom",
    hours: float = 48,
) -> Advice:
    """Store advice about a patient."""
    said = Text2("Far from the others", "与其他患者相差很大")
    answers = {
        "binary": (Answer("true", value, value - width / 2, value + width / 2),),
        "multiclass": (Answer("a", value), Answer("b", 1 - value)),
    }.get(question.kind, (Answer("value", value),))
    one = Advice(
        id=f"{subject:020x}{int(hours * 60):012x}",
        service="risk",
        model=f"{question.task}.tree@1",
        package="p",
        question=question,
        subject_id=subject,
        prediction_time=at(hours),
        made=f"2026-01-{1 + int(hours / 24):02}T00:00:{subject % 60:02}.000000Z",
        answers=answers,
        output=answers[0].output,
        input_digest="i",
        record_digest="r",
    )
    if unusual:
        one = replace(one, unlike=said, cautions=(Text2(f"{said.en}. Its answer may not hold.", said.zh),))
    with database.writing() as connection:
        if connection.execute(select(advice_input)).first() is None:
            connection.execute(insert(advice_input), {"digest": "i", "content": b""})
        connection.execute(
            insert(advice),
            {
                "id": one.id,
                "made": one.made,
                "service": one.service,
                "model": one.model,
                "package": one.package,
                "subject_id": subject,
                "prediction_time": one.prediction_time.isoformat(),
                "output": one.output,
                "value": value,
                "input": "i",
                "asked_by": asked_by,
                "via": "workbench",
                "content": json.dumps(one.to_json()),
            },
        )
    return one


def acts(database: Database) -> list[tuple[str, str]]:
    """List what the audit log tells: who did what."""
    with database.reading() as connection:
        rows = connection.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.number)).all()
    return [(row.actor, row.action) for row in rows]
