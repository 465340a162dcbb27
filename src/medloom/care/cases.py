"""Cases for experts from the current answers about all patients, whether anybody has looked at them or not.

`loop.reading_queue.draw` chooses among advice that was given: of patients somebody asked about. Only a sample of all
patients tells how often the model is right about them.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from medloom.care import risk
from medloom.database.engine import Database
from medloom.foundation.errors import InputError
from medloom.loop.advice import Advice
from medloom.loop.reading_queue import Draw, check_categorical, choose, entered, is_unusual, put
from medloom.loop.readings import Why
from medloom.loop.releases import Actor
from medloom.loop.serving import Served, Serving

ASKED_BY: Final = Actor("review-queue", "program")
"""Who asks for the advice: nobody, so that nobody knows what the model answered."""


def draw_from_board(
    serving: Serving, database: Database, task: str, by: Actor, wanted: Draw | None = None
) -> dict[int, tuple[Why, ...]]:
    """Put patients whom a task asks now into the queue; the model's advice about them is made and stored.

    Those who are unlike the patients it learned from are told when the advice is made, and not looked for.

    Args:
        serving: of the released models.
        database: of the site.
        task: whose model answers.
        by: who asks for it.
        wanted: how many of which; None: as `Draw` has it.

    Returns:
        the numbers of the new cases, and why each was chosen.

    Raises:
        NotFoundError: no model of this task is released.
        InputError: its answers are no categories that two readers could agree on.
    """
    how = wanted or Draw()
    served = serving.find(task)
    check_categorical(served.model.origin.question.kind)
    rows = _candidates(serving, served, database)
    widths = (rows["high"] - rows["low"]).fill_null(0.0).to_list()
    chosen = choose(_doubts(rows, served), widths, [False] * rows.height, how)
    made: list[tuple[Advice, list[Why]]] = []
    for place, why in chosen:
        try:
            asked = serving.ask(served, int(rows["subject_id"][place]))
        except InputError:  # who is not asked any more since the board was made
            continue
        given = risk.advise(served, asked.sample, asked.against)
        database.write(risk.keep(database, given, ASKED_BY, "review"))
        made.append((given.advice, why))
        if is_unusual(given.advice):
            why.append("unlike")
    return put(database, made, by, how.seed)


def _candidates(serving: Serving, served: Served, database: Database) -> pl.DataFrame:
    waiting, asked = entered(database, served.name.task)
    board = serving.board().filter(pl.col("model") == str(served.name)).sort("subject_id")
    moments = [moment.isoformat() for moment in board["prediction_time"]]
    free = [
        subject not in waiting and (subject, moment) not in asked
        for subject, moment in zip(board["subject_id"], moments, strict=True)
    ]
    return board.filter(pl.Series(free, dtype=pl.Boolean))


def _doubts(rows: pl.DataFrame, served: Served) -> list[float]:
    """Tell how far each answer is from another one: from the threshold, or from being likelier than all others."""
    if served.model.origin.question.kind == "multiclass":
        return rows["value"].to_list()
    threshold = served.release.threshold
    return (rows["value"] - (0.5 if threshold is None else threshold)).abs().to_list()
