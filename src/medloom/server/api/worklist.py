"""The worklist: current answers about patients, sorted, filtered, page by page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from medloom.server import alerts
from medloom.server.access import Permission, Person, may
from medloom.server.api import cursors
from medloom.server.api.needs import BackendOf, CursorOf, Limit, Wall, answer

router = APIRouter(tags=["patients"])

Sort = Literal["risk", "change", "time", "patient"]
# By what each sorts; null is sorted last. Ties go by patient and model.
_KEYS: Final[dict[Sort, pl.Expr]] = {
    "risk": -pl.col("value"),
    "change": pl.col("before") - pl.col("value"),
    "time": -pl.col("prediction_time").dt.epoch("us").cast(pl.Float64),
    "patient": pl.lit(0.0),
}
_LAST: Final = 1e300


class WorklistRow(BaseModel):
    """A model's current answer about a patient."""

    subject_id: int
    model: str
    task: str
    prediction_time: Wall
    until: Wall | None
    output: str
    value: float
    low: float | None
    high: float | None
    rank: float | None
    alert: bool | None
    unread: bool = Field(description="An alert of a patient whom this account has not opened since it came.")
    before: float | None


class Worklist(BaseModel):
    """A page of the worklist; `rank`: how many of 100 patients have a lower answer; `before`: a day earlier."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "rows": [
                    {
                        "subject_id": 4711,
                        "model": "aki-48h.gbdt@2",
                        "task": "aki-48h",
                        "prediction_time": "2026-03-01T08:00:00",
                        "until": "2026-03-03T08:00:00",
                        "output": "true",
                        "value": 0.18,
                        "low": 0.09,
                        "high": 0.31,
                        "rank": 96.5,
                        "alert": True,
                        "unread": True,
                        "before": 0.11,
                    }
                ],
                "total": 1,
                "next": None,
            }
        }
    )

    rows: list[WorklistRow]
    total: int
    next: str | None


@router.get("/worklist", response_model=Worklist)
def list_worklist(
    backend: BackendOf,
    person: Annotated[Person, Depends(may(Permission.READ_PATIENTS))],
    sort: Sort = "risk",
    task: Annotated[str | None, Query(max_length=80)] = None,
    alert: Annotated[
        bool | None, Query(description="Only those at or above their release's threshold.")
    ] = None,
    unread: Annotated[bool | None, Query(description="Only alerts that this account has not read.")] = None,
    least: Annotated[float | None, Query(description="Only answers of at least this.")] = None,
    current: Annotated[bool, Query(description="Only answers about what is still to come.")] = False,
    limit: Limit = 50,
    cursor: CursorOf = None,
) -> Response:
    """List patients with the current answers of released models: the highest risk, or the largest rise, first."""
    rows = _filtered(backend.board_of(person), task, alert, least, backend.now() if current else None)
    rows = alerts.with_unread(backend, person, rows)
    if unread is not None:
        rows = rows.filter(pl.col("unread") == unread)
    rows = rows.with_columns(key=_KEYS[sort].cast(pl.Float64).fill_null(_LAST).fill_nan(_LAST))
    rows = rows.sort("key", "subject_id", "model")
    this = ["worklist", sort, task, alert, unread, least, current]
    last = cursors.after(cursor, this, (int, float), int, str)
    rest = rows if last is None else rows.filter(_beyond(last))
    shown = rest.head(limit)
    following = None
    if rest.height > limit:
        following = cursors.written(this, shown.select("key", "subject_id", "model").row(-1))
    backend.saw_list(person, "worklist.seen", shown["subject_id"])
    content = {
        "rows": shown.select(*WorklistRow.model_fields).to_dicts(),
        "total": rows.height,
        "next": following,
    }
    return answer(content)


def _filtered(
    rows: pl.DataFrame, task: str | None, alert: bool | None, least: float | None, now: datetime | None
) -> pl.DataFrame:
    wanted: list[pl.Expr] = []
    if task is not None:
        wanted.append(pl.col("task") == task)
    if alert is not None:
        wanted.append(pl.col("alert").fill_null(False) == alert)
    if least is not None:
        wanted.append(pl.col("value") >= least)
    if now is not None:
        wanted.append(pl.col("until").is_null() | (pl.col("until") > now))
    return rows.filter(*wanted) if wanted else rows


def _beyond(last: list[Any]) -> pl.Expr:
    """Tell which rows come after one, in the order of the list."""
    key, subject, model = pl.col("key"), pl.col("subject_id"), pl.col("model")
    same_subject = (subject == last[1]) & (model > last[2])
    beyond: pl.Expr = (key > last[0]) | ((key == last[0]) & ((subject > last[1]) | same_subject))
    return beyond
