"""The worklist: patients with their current risks, what changed since yesterday, unread alerts."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from medloom.database.audit import Entry
from medloom.explanation.numbers import moment
from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import speaking, tr
from medloom.loop import reviews
from medloom.loop.reviews import Verdict
from medloom.server import alerts
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, the_backend
from medloom.server.errors import wanted_language
from medloom.server.web.board import ROWS, Sort, Wanted, chosen, compared, current
from medloom.server.web.rendering import go_to, page
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.question import Question, Title

router = APIRouter()

BackendOf = Annotated[Backend, Depends(the_backend)]
Reader = Annotated[Person, Depends(may(Permission.READ_PATIENTS))]
_LONGEST: Final = 200  # characters of an identifier


@dataclass(frozen=True)
class Row:
    """A patient and a question, as the page says them.

    Attributes:
        who: sex and age, as far as they are known.
        said: the answer where it is no probability: the number with its unit, or the class it is of.
        moved: by how much the answer differs from yesterday's, in percentage points or in the unit; None: there was
            none, or nothing to compare.
        new: whether nothing was answered yesterday.
        verdicts: what people say of advice from this moment: `accept`, `override`, both or nothing.
    """

    subject_id: int
    who: str
    title: Title
    probable: bool
    value: float
    low: float | None
    high: float | None
    rank: float | None
    said: str
    asked: str
    until: str
    over: bool
    moved: float | None
    moved_said: str
    new: bool
    alert: bool
    unread: bool
    model: str
    verdicts: Set[Verdict]


@router.get("/worklist")
def worklist(
    request: Request,
    backend: BackendOf,
    person: Reader,
    question: Annotated[str, Query(max_length=80)] = "",
    unread: Literal["yes", ""] = "",
    changed: Literal["yes", ""] = "",
    past: Literal["yes", ""] = "",
    sort: Sort = "risk",
    turned: Literal["yes", ""] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Show the worklist."""
    wanted = Wanted(question, bool(unread), bool(changed), bool(past), sort, bool(turned), start)
    return _page(request, backend, person, wanted)


@router.post("/worklist/find")
def find(
    request: Request,
    backend: BackendOf,
    person: Reader,
    sought: Annotated[str, Form(max_length=_LONGEST)] = "",
    by: Annotated[Literal["pseudonym", "identifier"], Form()] = "pseudonym",
) -> Response:
    """Go to a patient by pseudonym, or by the hospital's identifier; what was typed is kept nowhere."""
    if by == "identifier" and Permission.SEE_IDENTIFIERS not in person.permissions:
        by = "pseudonym"
    found = _known_as(backend, sought.strip()) if by == "identifier" else _of_number(backend, sought.strip())
    outcome: Literal["done", "failed"] = "done" if found else "failed"
    subject = found[0] if len(found) == 1 else None
    entry = Entry(person.login, person.role, "patient.sought", subject, by, outcome=outcome)
    backend.told(entry)
    if subject is not None:
        return go_to(f"/patients/{subject}")
    with speaking(wanted_language(request.headers, request)):
        if found:
            error = tr("Several patients have this identifier, in different systems; search by pseudonym.")
        elif by == "identifier":
            error = tr("No patient has this identifier. Check its spelling, with zeros and hyphens.")
        else:
            error = tr("There is no patient with this pseudonym.")
    return _page(request, backend, person, Wanted(), error=error, by=by, status=404)


def _page(
    request: Request,
    backend: Backend,
    person: Person,
    wanted: Wanted,
    *,
    error: str | None = None,
    by: str = "",
    status: int = 200,
) -> Response:
    now = backend.now()
    board = backend.board_of(person)
    questions = {str(one.name): one.model.origin.question for one in backend.serving.served}
    everything = compared(board, {model: one.kind for model, one in questions.items()})
    now_current = current(everything, now)
    counted = alerts.with_unread(backend, person, everything if wanted.past else now_current)
    rows = chosen(counted, wanted)
    start = min(wanted.start, max(rows.height - 1, 0) // ROWS * ROWS)
    shown = rows.slice(start, ROWS)
    backend.saw_list(person, "worklist.seen", shown["subject_id"])
    with speaking(wanted_language(request.headers, request)):
        told = [one | {"age": person.age_shown(one["age"])} for one in shown.to_dicts()]
        verdicts = reviews.verdicts(backend.database, shown["subject_id"].unique().to_list())
        said = [_row(one, questions[one["model"]], now, verdicts) for one in told]
        numbers = (
            tr(
                "{first:,}–{last:,} of {n:,}",
                first=start + 1,
                last=start + shown.height,
                n=rows.height,
            )
            if rows.height
            else None
        )
    return page(
        request,
        person,
        "worklist.html.j2",
        status=status,
        wanted=wanted,
        rows=said,
        numbers=numbers,
        total=rows.height,
        previous=wanted.address(start=max(start - ROWS, 0)) if start else None,
        following=wanted.address(start=start + ROWS) if start + ROWS < rows.height else None,
        counts={
            "patients": counted["subject_id"].n_unique(),
            "unread": int(counted["unread"].sum()),
            "changed": int(counted["changed"].sum()),
        },
        questions=[(one.task, one.title) for one in questions.values()],
        why_empty=None if rows.height else _why_empty(backend, person, wanted, everything, now_current),
        error=error,
        by=by or ("identifier" if Permission.SEE_IDENTIFIERS in person.permissions else "pseudonym"),
    )


def _why_empty(
    backend: Backend, person: Person, wanted: Wanted, everything: pl.DataFrame, now_current: pl.DataFrame
) -> str:
    if not backend.serving.served:
        return "nothing released"
    if wanted.narrows:
        return "nothing such"
    if not everything.height:
        return (
            "no team" if not backend.sees_everybody(person) and not backend.team(person) else "nobody asked"
        )
    return "all over" if not now_current.height else "nothing such"


def _row(
    one: dict[str, Any],
    question: Question,
    now: datetime,
    verdicts: Mapping[tuple[int, str, str], Set[Verdict]],
) -> Row:
    probable = question.kind in PROBABLE
    until = one["until"]
    moved = one["moved"]
    unit = f" {question.unit}" if question.unit and not probable else ""
    if probable:
        said = one["output"] if len(question.outputs) > 1 else ""
    else:
        said = f"{one['value']:.3g}{unit}"
    return Row(
        subject_id=one["subject_id"],
        who=_who(one["sex"], one["age"]),
        title=question.title,
        probable=probable,
        value=one["value"],
        low=one["low"],
        high=one["high"],
        rank=one["rank"],
        said=said,
        asked=moment(one["prediction_time"]),
        until="" if until is None else moment(until),
        over=until is not None and until <= now,
        moved=moved,
        moved_said="" if moved is None else _moved(moved, unit, probable=probable),
        new=one["before"] is None,
        alert=bool(one["alert"]),
        unread=one["unread"],
        model=one["model"],
        verdicts=verdicts.get(
            (one["subject_id"], one["model"], one["prediction_time"].isoformat()), frozenset()
        ),
    )


def _who(sex: str | None, age: int | None) -> str:
    sexes = {"F": tr("female"), "M": tr("male"), "other": tr("other sex")}
    said = [sexes.get(sex or ""), None if age is None else tr("aged {n}", n=age)]
    return ", ".join(one for one in said if one)


def _moved(moved: float, unit: str, *, probable: bool) -> str:
    if not probable:
        return f"{moved:+.2g}{unit}".replace("-", "−")
    points = 100 * abs(moved)
    return tr("{n} points", n=f"{points:.0f}" if points >= 0.95 else f"{points:.1f}")


def _of_number(backend: Backend, sought: str) -> list[int]:
    if not (sought.isascii() and sought.isdecimal() and len(sought) <= 18):
        return []
    known = backend.site.record.subject_ids
    place = int(known.searchsorted(int(sought)))
    return [int(sought)] if place < len(known) and known[place] == int(sought) else []


def _known_as(backend: Backend, sought: str) -> list[int]:
    try:
        return backend.site.record.known_as(sought) if sought else []
    except NotFoundError:
        return []
