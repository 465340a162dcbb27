"""The worklist: patients with their current risks, what changed since yesterday, unread alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import polars as pl
from fastapi import APIRouter, Depends, Form, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from medloom.database.audit import Entry
from medloom.explanation.numbers import moment
from medloom.explanation.wording import AGED
from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import language, speaking, tr
from medloom.loop import reviews
from medloom.loop.reviews import Verdict
from medloom.server import alerts
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, BackendOf
from medloom.server.errors import wanted_language
from medloom.server.web.board import ROWS, Sort, View, Views, Wanted
from medloom.server.web.rendering import go_to, macro, page
from medloom.tasks.kinds import PROBABLE
from medloom.tasks.question import Question, Title

router = APIRouter()

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
    verdicts: frozenset[Verdict]


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
    views: Views = request.app.state.views
    board = backend.serving.board()
    questions = {str(one.name): one.model.origin.question for one in backend.serving.served}
    team = None if backend.sees_everybody(person) else backend.team(person)
    view = views.of(board, team, {name: one.kind for name, one in questions.items()}, now)
    unread = _unread(backend, person, view.alerts(wanted))
    order = view.order(wanted)
    if wanted.unread:
        order = order.filter(order.is_in(sorted(unread)))
    start = min(wanted.start, max(len(order) - 1, 0) // ROWS * ROWS)
    shown = view.everything[order[start : start + ROWS]]
    backend.saw_list(person, "worklist.seen", shown["subject_id"])
    verdicts = reviews.verdicts(backend.database, shown["subject_id"].unique().to_list())
    with speaking(wanted_language(request.headers, request)):
        rows = []
        for one in shown.iter_rows(named=True):
            if one["model"] not in questions:
                continue  # retired a moment ago
            case = (one["subject_id"], one["model"], one["prediction_time"].isoformat())
            said = frozenset(verdicts.get(case, ()))
            seen = _Seen(person.age_shown(one["age"]), one["row"] in unread, said)
            rows.append(_drawn(view, one, questions[one["model"]], seen))
        numbers = (
            tr(
                "{first:,}–{last:,} of {n:,}",
                first=start + 1,
                last=start + shown.height,
                n=len(order),
            )
            if len(order)
            else None
        )
    return page(
        request,
        person,
        "worklist.html.j2",
        status=status,
        wanted=wanted,
        rows=rows,
        numbers=numbers,
        previous=wanted.address(start=max(start - ROWS, 0)) if start else None,
        following=wanted.address(start=start + ROWS) if start + ROWS < len(order) else None,
        counts={"unread": len(unread), "changed": int(view.counted(wanted)["changed"].sum())},
        questions=[(one.task, one.title) for one in questions.values()],
        why_empty=None if rows else _why_empty(backend, person, wanted, view),
        error=error,
        by=by or ("identifier" if Permission.SEE_IDENTIFIERS in person.permissions else "pseudonym"),
    )


def _unread(backend: Backend, person: Person, told: pl.DataFrame) -> set[int]:
    """Give the numbers of the rows that are alerts which a person has not opened."""
    return set(alerts.with_unread(backend, person, told).filter("unread")["row"]) if told.height else set()


def _why_empty(backend: Backend, person: Person, wanted: Wanted, view: View) -> str:
    if not backend.serving.served:
        return "nothing released"
    if wanted.narrows:
        return "nothing such"
    if not view.everything.height:
        return (
            "no team" if not backend.sees_everybody(person) and not backend.team(person) else "nobody asked"
        )
    return "all over" if not view.now.height else "nothing such"


class _Seen(NamedTuple):
    """What of a row depends on who reads it, and when."""

    age: float | None
    unread: bool
    verdicts: frozenset[Verdict]


def _drawn(view: View, one: dict[str, Any], question: Question, seen: _Seen) -> Markup:
    """Draw a row, once for all to whom it looks the same."""

    def draw() -> Markup:
        return macro("_worklist.html.j2", "row_of")(_row(one, question, view.made, seen))

    return view.drawn((one["row"], language(), seen), draw)


def _row(one: dict[str, Any], question: Question, now: datetime, seen: _Seen) -> Row:
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
        who=_who(one["sex"], seen.age),
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
        unread=seen.unread,
        model=one["model"],
        verdicts=seen.verdicts,
    )


def _who(sex: str | None, age: float | None) -> str:
    sexes = {"F": tr("female"), "M": tr("male"), "other": tr("other sex")}
    aged = None if age is None else tr("aged 90 or older") if age == AGED else tr("aged {n}", n=age)
    return tr(", ").join(one for one in (sexes.get(sex or ""), aged) if one)


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
