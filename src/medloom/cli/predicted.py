"""What `predict` tells of the answers it wrote: those of the first few samples, and where all of them are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from medloom.cli import screen
from medloom.explanation.numbers import percent
from medloom.explanation.range_end import why_it_ends_there
from medloom.explanation.wording import number
from medloom.foundation.messages import tr
from medloom.tasks.question import Question

_SHOWN: Final = 5  # samples


def at_times(answers: pl.DataFrame, horizons: Sequence[float]) -> pl.DataFrame:
    """Choose the answers to tell: all, but of curves the times of interest, or else three."""
    times = answers["end"].unique().drop_nulls().sort()
    if not len(times) or answers["start"].count():  # places in notes begin somewhere
        return answers
    shown = horizons or [times[(len(times) - 1) * part // 4] for part in (1, 2, 3)]
    return answers.filter(pl.col("end").is_in(list(shown)))


def told(answers: pl.DataFrame, question: Question, path: Path, futures: int | None) -> dict[str, Any]:
    """Say for programs what was written, and the first answers."""
    columns = ["subject_id", "prediction_time", "output", "value", "low", "high", "start", "end"]
    return {
        "answers": answers.height,
        "samples": answers["sample_id"].n_unique(),
        "path": str(path),
        **({} if futures is None else {"futures": futures}),
        "first": _first(answers, question).select(columns).to_dicts(),
    }


def show(answers: pl.DataFrame, question: Question, path: Path, futures: int | None) -> None:
    """Print the first answers and where all of them are.

    Args:
        answers: rows of predictions, with `subject_id` and `prediction_time`.
        question: that was answered.
        path: where they are.
        futures: of each sample, where answers were counted; else None.
    """
    rows = _first(answers, question)
    if rows.height:
        _table(rows, question, futures)
    if futures is not None:
        screen.say(tr("The intervals are of the counting alone; how right the encoder is, they do not tell."))
    elif question.kind != "regression":
        ends = (why_it_ends_there(*row) for row in rows.select("value", "low", "high").iter_rows())
        for note in dict.fromkeys(note for note in ends if note is not None):
            screen.say(screen.spoken(note))
    screen.say(tr("{n:,} answers in {path}", n=answers.height, path=path))


def _first(answers: pl.DataFrame, question: Question) -> pl.DataFrame:
    ids = answers["sample_id"].unique(maintain_order=True).head(_SHOWN)
    return at_times(answers.filter(pl.col("sample_id").is_in(ids.to_list())), question.horizons)


def _table(rows: pl.DataFrame, question: Question, futures: int | None) -> None:
    is_value = question.kind == "regression"
    write = number if is_value else percent
    head = [tr("patient"), tr("prediction time")]
    several, ranged = len(question.outputs) > 1, rows["low"].count() > 0
    placed = question.kind in ("tagging", "relations")
    timed = not placed and rows["end"].count() > 0
    if several:
        head.append(tr("outcome"))
    if timed:
        head.append(tr("until"))
    if placed:
        head.append(tr("characters"))
    first_number = len(head)
    if futures is None:
        head.append(tr("value") if is_value else tr("probability"))
    else:
        head.append(
            tr("mean of {n:,} futures", n=futures) if is_value else tr("share of {n:,} futures", n=futures)
        )
    if ranged:
        head.append(tr("range") if futures is None else tr("95 % interval"))
    shown = []
    for row in rows.iter_rows(named=True):
        cells = [row["subject_id"], f"{row['prediction_time']:%Y-%m-%d %H:%M}"]
        if several:
            cells.append(row["output"])
        if timed:
            cells.append(f"{row['end']:g} {question.unit or ''}")
        if placed:
            cells.append(row["place"])
        cells.append(write(row["value"]))
        if ranged:
            cells.append("" if row["low"] is None else f"{write(row['low'])} – {write(row['high'])}")
        shown.append(cells)
    screen.table(head, shown, right=range(first_number, len(head)))
