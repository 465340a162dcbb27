"""Alerts: answers that reach the threshold of their release; unread until a person has opened the patient."""

from __future__ import annotations

from datetime import datetime

import polars as pl
from sqlalchemy import Connection, insert, select

from medloom.database.metadata import utc_now
from medloom.database.tables.work import alert_read
from medloom.server.access import Person
from medloom.server.backend import Backend

_CASE = ("subject_id", "model", "prediction_time")


def with_unread(backend: Backend, person: Person, board: pl.DataFrame) -> pl.DataFrame:
    """Add `unread` to rows of the board: an alert that this person has not opened."""
    seen = _seen(backend, person)
    joined = board.join(seen.with_columns(opened=pl.lit(True)), on=_CASE, how="left")
    unread = pl.col("alert").fill_null(False) & pl.col("opened").is_null()
    return joined.with_columns(unread=unread).drop("opened")


def opened(backend: Backend, person: Person, subject_id: int) -> None:
    """Note that a person has opened a patient: the alerts that stand there now are read."""
    board = backend.serving.board().filter(pl.col("subject_id") == subject_id, pl.col("alert"))
    cases = with_unread(backend, person, board).filter("unread").select(_CASE).rows()
    if not cases:
        return

    def work(connection: Connection) -> None:
        for subject, model, moment in cases:
            values = {
                "account_id": person.account_id,
                "subject_id": subject,
                "model": model,
                "prediction_time": moment.isoformat(),
            }
            known = select(alert_read.c.time).filter_by(**values)
            if connection.execute(known).first() is None:
                connection.execute(insert(alert_read), {**values, "time": utc_now()})

    backend.database.write(work)


def _seen(backend: Backend, person: Person) -> pl.DataFrame:
    with backend.database.reading() as connection:
        rows = connection.execute(
            select(*(alert_read.c[name] for name in _CASE)).where(
                alert_read.c.account_id == person.account_id
            )
        ).all()
    cases = [(subject, model, datetime.fromisoformat(moment)) for subject, model, moment in rows]
    return pl.DataFrame(cases, schema=dict(zip(_CASE, _TYPES, strict=True)), orient="row")


_TYPES = (pl.Int64(), pl.String(), pl.Datetime("us"))
