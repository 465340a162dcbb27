"""Small records and tasks for tests, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from medloom.record.record import Record
from medloom.record.schema import RECORD_SCHEMA
from medloom.tasks.task import Task

DAY = datetime(2020, 6, 1)


def at(hours: float) -> datetime:
    """Give the moment so many hours after `DAY`."""
    return DAY + timedelta(hours=hours)


def record_of(rows: Sequence[dict[str, Any]]) -> Record:
    """Make a record from rows with at least `subject_id`, `time`, `code`."""
    schema = {name: kind for name, kind in RECORD_SCHEMA.items() if any(name in row for row in rows)}
    filled = [{name: row.get(name) for name in schema} for row in rows]
    return Record.from_events(pl.DataFrame(filled, schema=schema))


def stay(subject: int, hours: float = 100, encounter: int = 1) -> list[dict[str, Any]]:
    """Give an admission at `DAY` and its end."""
    common = {"subject_id": subject, "role": "encounter", "encounter": encounter}
    return [
        {**common, "time": DAY, "code": "ENCOUNTER//inpatient//START"},
        {**common, "time": at(hours), "code": "ENCOUNTER//inpatient//END"},
    ]


def task_of(**parts: Any) -> Task:
    """Make a task: the outcome `X//outcome` within 48 h, asked 48 h after admission, unless `parts` say otherwise."""
    content: dict[str, Any] = {
        "name": "outcome",
        "title": {"en": "outcome", "zh": "结局"},
        "kind": "binary",
        "prediction_time": {"event": ["ENCOUNTER//inpatient//START"], "which": "every", "offset": "48h"},
        "predict": {"event": ["X//outcome"], "within": "48h"},
    }
    return Task.model_validate(content | parts)
