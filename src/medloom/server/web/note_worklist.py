"""The worklist of notes: first those from which models learn most, with why each is picked."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import polars as pl
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medloom.care.notes.facts import is_note, source_of
from medloom.explanation.numbers import moment, percent
from medloom.foundation.messages import speaking, tr
from medloom.loop import note_readings
from medloom.record.record import Record
from medloom.record.schema import visible_time
from medloom.server.access import Permission, Person, may
from medloom.server.backend import Backend, BackendOf
from medloom.server.errors import wanted_language
from medloom.server.notes import NOTE, READ
from medloom.server.web.rendering import go_to, page
from medloom.tasks.task_codes import matching

router = APIRouter()

Reader = Annotated[Person, Depends(may(Permission.SEE_NOTES))]
Reviewer = Annotated[Person, Depends(may(Permission.REVIEW_NOTES))]
Which = Literal["open", "second", "read", "all"]

ROWS: Final = 25
_FRESH: Final = 30.0  # seconds that the list of notes is relied on while facts come in
_COLUMNS: Final = (
    "subject_id",
    "time",
    "known_time",
    "known_until",
    "code",
    "role",
    "text_value",
    "asset",
    "derived_from",
    "span",
    "confidence",
    "model",
)
_LISTED: Final[dict[str, Any]] = {
    "subject_id": pl.Int64,
    "number": pl.Int64,
    "code": pl.String,
    "time": pl.Datetime("us"),
    "visible": pl.Datetime("us"),
    "note": pl.String,
    "characters": pl.Int64,
    "facts": pl.Int64,
    "least": pl.Float64,
    "labelled": pl.Boolean,
}


@dataclass(frozen=True)
class Row:
    """A note in the list, and why it stands where it does."""

    subject_id: int
    address: str
    kind: str
    written: str
    why: str
    readers: int
    mine: bool
    waiting: int  # places that wait for a person, where `why` tells of something else


class NoteLists:
    """All notes of a record, without their texts; read again when the record has changed, but not at every decision."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digest = ""
        self._read = 0.0
        self._notes: pl.DataFrame | None = None

    def notes(self, record: Record, now: datetime) -> pl.DataFrame:
        """Give all notes of a record that are known now, numbered as `notebook_in` does: a row each."""
        with self._lock:
            fresh = time.monotonic() - self._read < _FRESH
            if self._notes is None or (not fresh and record.digest() != self._digest):
                self._digest = record.digest()
                rows = [row for part in record.parts() for row in _notes_in(record, part.tolist(), now)]
                self._notes = pl.DataFrame(rows, schema=_LISTED, orient="row")
                self._read = time.monotonic()
            return self._notes.filter(pl.col("visible") <= now)

    def forget(self) -> None:
        """Read the notes anew at the next time."""
        with self._lock:
            self._notes = None


@router.get("/notes")
def worklist(
    request: Request,
    backend: BackendOf,
    person: Reader,
    which: Which = "open",
    start: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """List the notes of the patients a person sees: first those from which models learn most.

    `open`: that nobody has read to the end; `second`: that one other person has, for a second reading; `read`: that
    this person has; `all`.
    """
    lists: NoteLists = request.app.state.note_lists
    notes = _shown(backend, person, lists.notes(backend.site.record, backend.now()))
    told = _with_reasons(backend, person, notes)
    counts = {one: told.filter(_of(one)).height for one in ("open", "second", "read", "all")}
    ordered = told.filter(_of(which)).sort(
        "doubt", "waiting", "visible", descending=[True, True, True], nulls_last=True, maintain_order=True
    )
    start = min(start, max(ordered.height - 1, 0) // ROWS * ROWS)
    shown = ordered[start : start + ROWS]
    backend.saw_list(person, "notes.seen", shown["subject_id"])
    models = [str(one.name) for one in backend.serving.taggers]
    about = {
        code
        for one in backend.serving.taggers
        for code in matching(backend.site.record.catalogue, one.asker.task.prediction_time.event)
    }
    unasked = told.filter(~pl.col("asked") & pl.col("code").is_in(sorted(about))).height

    def address(begin: int) -> str:
        return f"/notes?{urlencode({'which': which, 'start': begin})}"

    with speaking(wanted_language(request.headers, request)):
        return page(
            request,
            person,
            "notes.html.j2",
            rows=[_row(one) for one in shown.iter_rows(named=True)],
            which=which,
            choices=[
                ("open", tr("nobody has read"), counts["open"]),
                ("second", tr("for a second reader"), counts["second"]),
                ("read", tr("you have read"), counts["read"]),
                ("all", tr("all"), counts["all"]),
            ],
            models=models,
            unasked=unasked,
            asking=bool(backend.jobs.open("ask-notes")),
            reviews=Permission.REVIEW_NOTES in person.permissions,
            numbers=None
            if not ordered.height
            else tr(
                "{first:,}–{last:,} of {n:,}", first=start + 1, last=start + shown.height, n=ordered.height
            ),
            previous=address(max(start - ROWS, 0)) if start else None,
            following=address(start + ROWS) if start + ROWS < ordered.height else None,
            no_team=not backend.sees_everybody(person) and not backend.team(person),
        )


@router.post("/notes/ask")
def ask_all(request: Request, backend: BackendOf, person: Reviewer) -> Response:
    """Let released models read all notes in the background, so that the least sure come first."""
    if not backend.jobs.open("ask-notes"):
        backend.jobs.ask("ask-notes", person.actor, language=person.language)
    with speaking(wanted_language(request.headers, request)):
        said = tr(
            "The models read the notes now; those they are least sure of come first when they are done."
        )
        return go_to("/notes", said, request=request)


def _notes_in(record: Record, subjects: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
    events = pl.DataFrame(record.read(list(_COLUMNS), subjects)).with_columns(
        pl.col("code", "role").cast(pl.String), visible=visible_time()
    )
    known = events.filter((pl.col("known_until") > now).fill_null(value=True))
    notes = known.filter(is_note()).sort("subject_id", "time", "visible", "code")
    facts = known.filter(
        pl.col("derived_from").is_not_null() & pl.col("span").is_not_null() & pl.col("model").is_not_null()
    )
    told = {
        (subject, note): (n, least)
        for subject, note, n, least in facts.group_by("subject_id", pl.col("derived_from").cast(pl.String))
        .agg(pl.len(), pl.col("confidence").min().alias("least"))
        .iter_rows()
    }
    by_people = known.filter((pl.col("code") == READ) & pl.col("model").is_null())
    read = set(by_people.select("subject_id", pl.col("derived_from").cast(pl.String)).iter_rows())
    rows, number, last = [], 0, None
    for note in notes.iter_rows(named=True):
        number = number + 1 if note["subject_id"] == last else 1
        last, source = note["subject_id"], source_of(note)
        n, least = told.get((last, source), (0, None))
        rows.append(
            (
                last,
                number,
                note["code"],
                note["time"],
                note["visible"],
                source,
                len(note["text_value"]),
                n,
                least,
                (last, source) in read,
            )
        )
    return rows


def _shown(backend: Backend, person: Person, notes: pl.DataFrame) -> pl.DataFrame:
    if backend.sees_everybody(person):
        return notes
    return notes.filter(pl.col("subject_id").is_in(sorted(backend.team(person))))


def _with_reasons(backend: Backend, person: Person, notes: pl.DataFrame) -> pl.DataFrame:
    """Put beside each note how much a model would learn from it: how unsure the least sure answer about it is.

    Of several released models the least sure one counts; where none has read a note, what finders doubt of it does.
    """
    readings = note_readings.readings_of(backend.database)
    readers: dict[tuple[int, str], set[str]] = {}
    for one in readings:
        readers.setdefault((one.subject_id, one.note), set()).add(one.reviewer)
    answers: dict[tuple[int, str], tuple[float | None, str]] = {}
    for served in backend.serving.taggers:
        for answer in note_readings.answers_of(backend.database, str(served.name)):
            key = answer.subject_id, answer.note
            known = answers.get(key, (None, ""))[0]
            if known is None or (answer.least is not None and answer.least < known):
                answers[key] = answer.least, str(served.name)
    waiting: dict[tuple[int, str], list[float]] = {}
    with backend.site.record.doubtful() as queue:
        for fact in queue.facts():
            waiting.setdefault((fact.subject_id, fact.derived_from), []).append(
                fact.fact.get("confidence") or 0.0
            )
    rows = []
    for subject, note, least in notes.select("subject_id", "note", "least").iter_rows():
        key = subject, note
        doubts = waiting.get(key, [])
        asked, model = answers.get(key, (None, ""))
        unsure = min([*doubts, least]) if least is not None else min(doubts, default=None)
        sure = asked if model else unsure
        people = readers.get(key, set())
        rows.append(
            (
                bool(model),
                model,
                sure,
                None if sure is None else 1 - sure,
                len(doubts),
                len(people),
                person.login in people,
            )
        )
    schema = {
        "asked": pl.Boolean,
        "model": pl.String,
        "sure": pl.Float64,
        "doubt": pl.Float64,
        "waiting": pl.Int64,
        "readers": pl.Int64,
        "mine": pl.Boolean,
    }
    return notes.drop("least").hstack(pl.DataFrame(rows, schema=schema, orient="row"))


def _of(which: str) -> pl.Expr:
    if which == "open":
        return (pl.col("readers") == 0) & ~pl.col("labelled")
    if which == "second":
        return (pl.col("readers") == 1) & ~pl.col("mine")
    if which == "read":
        return pl.col("mine")
    return pl.lit(value=True)


def _row(one: dict[str, Any]) -> Row:
    if one["model"] and one["sure"] is not None:
        why = tr(
            "{model} is {share} sure of its least sure place", model=one["model"], share=percent(one["sure"])
        )
    elif one["model"]:
        why = tr("{model} names nothing in it", model=one["model"])
    elif one["waiting"]:
        why = tr("doubtful facts wait for a person: {n}", n=one["waiting"])
    elif one["facts"]:
        why = tr("the finder is {share} sure of its least sure fact", share=percent(one["sure"] or 0.0))
    else:
        why = tr("nothing was taken from it yet")
    return Row(
        one["subject_id"],
        f"/patients/{one['subject_id']}/notes/{one['number']}",
        " ".join(one["code"].removeprefix(NOTE).split("//")),
        moment(one["time"]),
        why,
        one["readers"],
        one["mine"],
        one["waiting"] if one["model"] else 0,
    )
