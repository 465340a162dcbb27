"""Which rows of the board of current answers a reader asks to see, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode

import polars as pl

from medloom.tasks.kinds import PROBABLE

Sort = Literal["risk", "change", "time", "patient"]

ROWS: Final = 50
"""Rows of a page."""

NOTABLE: Final = 0.05
"""A risk that moved by so much within a day has changed."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; all of it stands in the address.

    Attributes:
        question: a task; empty: all.
        unread: alerts that are unread alone.
        changed: what changed since yesterday, or is new, alone.
        past: also answers whose time is over.
        sort: by what; the largest, the latest or the lowest number first.
        turned: whether in the other direction.
        start: rows before the page.
    """

    question: str = ""
    unread: bool = False
    changed: bool = False
    past: bool = False
    sort: Sort = "risk"
    turned: bool = False
    start: int = 0

    @property
    def narrows(self) -> bool:
        """Tell whether rows are left out beyond those that are over."""
        return bool(self.question or self.unread or self.changed)

    def address(self, **changes: Any) -> str:
        """Write the address of the worklist as it would be with changes.

        >>> Wanted(question="aki").address(start=50)
        '/worklist?question=aki&start=50'
        """
        other, plain = replace(self, **changes), Wanted()
        pairs = {
            name: "yes" if value is True else value
            for name, value in vars(other).items()
            if value != getattr(plain, name)
        }
        return "/worklist" + (f"?{urlencode(pairs)}" if pairs else "")


def current(board: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Keep the answers that are about what is to come."""
    return board.filter(pl.col("until").is_null() | (pl.col("until") > now))


def compared(board: pl.DataFrame, kinds: dict[str, str]) -> pl.DataFrame:
    """Add `kind` of each question, `moved` by how much the answer differs from yesterday's, and `changed`.

    Several classes are not compared: yesterday's likeliest may have been another one.

    Args:
        board: rows of `BOARD_SCHEMA`.
        kinds: model → kind of its question.
    """
    kind = pl.col("model").replace_strict(kinds, default=None, return_dtype=pl.String)
    moved = pl.when(kind.is_in(["binary", "regression", "survival"])).then(pl.col("value") - pl.col("before"))
    least = pl.when(kind == "regression").then(NOTABLE * pl.col("before").abs()).otherwise(NOTABLE)
    # What is rounded to the same figures has not changed.
    changed = (moved.abs() >= least - 1e-9) & (moved != 0)
    return board.with_columns(
        kind=kind, moved=moved, changed=changed.fill_null(False) | pl.col("before").is_null()
    )


def chosen(board: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Keep what is asked for, in order; `board` as `compared` and `alerts.with_unread` give it."""
    kept = board
    if wanted.question:
        kept = kept.filter(pl.col("task") == wanted.question)
    if wanted.unread:
        kept = kept.filter("unread")
    if wanted.changed:
        kept = kept.filter("changed")
    # A probability and a laboratory value have no common order: by their ranks those that are none come after.
    probable = pl.col("kind").is_in(PROBABLE)
    keys: dict[Sort, list[pl.Expr]] = {
        "risk": [probable.cast(pl.Int8), pl.when(probable).then(pl.col("value")).otherwise(pl.col("rank"))],
        "change": [probable.cast(pl.Int8), pl.col("moved").abs()],
        "time": [pl.col("prediction_time")],
        "patient": [-pl.col("subject_id")],
    }
    return kept.sort(
        [*keys[wanted.sort], pl.col("subject_id"), pl.col("model")],
        descending=[*[not wanted.turned] * len(keys[wanted.sort]), False, False],
        nulls_last=True,
    )
