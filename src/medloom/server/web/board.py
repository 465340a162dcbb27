"""Which rows of the board of current answers a reader asks to see, and in which order.

What readers of the same patients have in common is worked out once a board (`View`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode

import polars as pl
from markupsafe import Markup

from medloom.tasks.kinds import PROBABLE

Sort = Literal["risk", "change", "time", "patient"]

ROWS: Final = 50
"""Rows of a page."""

NOTABLE: Final = 0.05
"""A risk that moved by so much within a day has changed."""

_VIEWS: Final = 64  # kept: of so many care teams
_ORDERS: Final = 64
_DRAWN: Final = 10_000  # rows; a kilobyte each


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


def compared(board: pl.DataFrame, kinds: Mapping[str, str]) -> pl.DataFrame:
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
    """Keep what is asked for, in order, unread or not; `board` as `compared` gives it."""
    kept = board
    if wanted.question:
        kept = kept.filter(pl.col("task") == wanted.question)
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


@dataclass(frozen=True, eq=False)
class View:
    """A board as readers of the same patients see it, until there is another one or something in it is over.

    Attributes:
        board: rows of `BOARD_SCHEMA`.
        made: when it was made, on the site's wall clock.
        until: when the next answer is over; None: none will be.
        everything: the rows of the board as `compared` gives them, and `row`, their numbers.
        now: those that are about what is to come.
    """

    board: pl.DataFrame
    made: datetime
    until: datetime | None
    everything: pl.DataFrame
    now: pl.DataFrame
    _orders: dict[Wanted, pl.Series] = field(default_factory=dict)
    _drawn: dict[Hashable, Markup] = field(default_factory=dict)

    @classmethod
    def of(
        cls, board: pl.DataFrame, team: frozenset[int] | None, kinds: Mapping[str, str], now: datetime
    ) -> View:
        """Make the view of a care team; None: of those who see everybody."""
        seen = board if team is None else board.filter(pl.col("subject_id").is_in(sorted(team)))
        everything = compared(seen, kinds).with_row_index("row")
        to_come = current(everything, now)
        ends = to_come["until"].min()
        assert ends is None or isinstance(ends, datetime)
        return cls(board, now, ends, everything, to_come)

    def holds(self, board: pl.DataFrame, now: datetime) -> bool:
        """Tell whether it is what would be made of a board now."""
        return board is self.board and now >= self.made and (self.until is None or now < self.until)

    def counted(self, wanted: Wanted) -> pl.DataFrame:
        """Give the rows that are chosen from: the current ones, or those that are over too."""
        return self.everything if wanted.past else self.now

    def alerts(self, wanted: Wanted) -> pl.DataFrame:
        """Give those that are alerts."""
        return self.counted(wanted).filter("alert")

    def order(self, wanted: Wanted) -> pl.Series:
        """Give the numbers of the rows that are asked for, in order, unread or not."""
        key = replace(wanted, start=0, unread=False)
        found = self._orders.get(key)
        if found is None:
            if len(self._orders) >= _ORDERS:
                self._orders.clear()
            found = self._orders[key] = chosen(self.counted(wanted), wanted)["row"]
        return found

    def drawn(self, key: Hashable, draw: Callable[[], Markup]) -> Markup:
        """Give what was drawn under a key, or draw it."""
        found = self._drawn.get(key)
        if found is None:
            if len(self._drawn) >= _DRAWN:
                self._drawn.clear()
            found = self._drawn[key] = draw()
        return found


class Views:
    """The views of all who read; threads may share it."""

    def __init__(self) -> None:
        self._views: OrderedDict[frozenset[int] | None, View] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self, board: pl.DataFrame, team: frozenset[int] | None, kinds: Mapping[str, str], now: datetime
    ) -> View:
        """Give the view of a care team, the one from before where it holds; as `View.of`."""
        known = self._views.get(team)
        if known is not None and known.holds(board, now):
            return known
        made = View.of(board, team, kinds, now)
        with self._lock:
            for other in [key for key, view in self._views.items() if view.board is not board]:
                del self._views[other]  # it would hold an old board in memory until its team comes again
            self._views[team] = made
            self._views.move_to_end(team)
            if len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return made
