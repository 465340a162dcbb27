"""How a model is used: how often it is asked, by whom, how often it alerts, what clinicians make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from sqlalchemy import case, func, literal, select

from medloom.database.engine import Database
from medloom.database.tables.accounts import account
from medloom.database.tables.reviewing import review
from medloom.database.tables.serving import advice
from medloom.loop.reviews import is_current

PROGRAM: Final = "program"
"""Who has no account: another system, or the server itself."""


@dataclass(frozen=True)
class Week:
    """Seven days.

    Attributes:
        begins: their Monday (UTC).
        asked: how much advice was given.
        alerts: how much of it reached the threshold.
        accepted, overridden: current reviews of what was advised in these days.
    """

    begins: date
    asked: int = 0
    alerts: int = 0
    accepted: int = 0
    overridden: int = 0


@dataclass(frozen=True)
class Usage:
    """What was done with a model.

    Attributes:
        weeks: the oldest first, those without anything too.
        roles: how often whom of which role it answered, in these weeks; `PROGRAM`: no person.
    """

    weeks: tuple[Week, ...]
    roles: Mapping[str, int]

    @property
    def total(self) -> Week:
        """Add up the weeks."""
        return Week(
            self.weeks[0].begins,
            sum(one.asked for one in self.weeks),
            sum(one.alerts for one in self.weeks),
            sum(one.accepted for one in self.weeks),
            sum(one.overridden for one in self.weeks),
        )


def usage_of(
    database: Database, model: str, today: date, threshold: float | None = None, weeks: int = 12
) -> Usage:
    """Count the advice of a model (`TASK.LEARNER@N`) and its reviews.

    Args:
        database: of the site.
        model: which.
        today: UTC.
        threshold: from which on advice is an alert; None: none is.
        weeks: how many, up to this one.
    """
    first = _monday(today) - timedelta(weeks=weeks - 1)
    since = f"{first.isoformat()}T"
    day = func.substr(advice.c.made, 1, 10).label("day")
    over = literal(0) if threshold is None else case((advice.c.value >= threshold, 1), else_=0)
    role = func.coalesce(account.c.role, PROGRAM).label("role")
    asked = (
        select(day, role, func.count().label("n"), func.sum(over).label("alerts"))
        .select_from(advice.outerjoin(account, account.c.name == advice.c.asked_by))
        .where(advice.c.model == model, advice.c.made >= since)
        .group_by(day, role)
    )
    reviewed = (
        select(day, review.c.verdict, func.count().label("n"))
        .select_from(review.join(advice, advice.c.id == review.c.advice_id))
        .where(advice.c.model == model, advice.c.made >= since, is_current())
        .group_by(day, review.c.verdict)
    )
    found = {begins: Week(begins) for begins in (first + timedelta(weeks=place) for place in range(weeks))}
    roles: Counter[str] = Counter()
    with database.reading() as connection:
        for row in connection.execute(asked):
            week = found.get(_monday(date.fromisoformat(row.day)))
            if week is not None:  # a clock that was set back leaves advice of days to come
                found[week.begins] = replace(week, asked=week.asked + row.n, alerts=week.alerts + row.alerts)
                roles[row.role] += row.n
        for row in connection.execute(reviewed):
            week = found.get(_monday(date.fromisoformat(row.day)))
            if week is not None:
                name = "accepted" if row.verdict == "accept" else "overridden"
                found[week.begins] = replace(week, **{name: getattr(week, name) + row.n})
    return Usage(tuple(found.values()), dict(roles.most_common()))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
