"""Experts read cases blinded: two, each for themselves; a third decides where they differ.

    open → second → agreed
                  → adjudicate → decided

A reader sees the patient as it was known at the prediction time, and neither what the model answered nor what others
read. Who has asked for the advice or reviewed it is not blinded, and reads nothing of the case. Whoever is handed a
case has it for `CLAIM`; then others may.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.sql import Select

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text
from medloom.database.tables.reviewing import reading, reading_item, reading_skip, review
from medloom.database.tables.serving import advice
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.seeds import generator
from medloom.loop.advice import Advice
from medloom.loop.choices import Value, checked
from medloom.loop.releases import Actor
from medloom.tasks.question import Question

State = Literal["open", "second", "agreed", "adjudicate", "decided"]
Stage = Literal["first", "second", "adjudication"]
Why = Literal["overridden", "uncertain", "wide", "unlike", "audit"]

CLAIM: Final = timedelta(minutes=30)
"""How long a case is kept for whoever was handed it."""

STAGE_OF: Final[Mapping[str, Stage]] = {"open": "first", "second": "second", "adjudicate": "adjudication"}
"""What is done next with a case in each state."""

CLOSED: Final = ("agreed", "decided")
_LONGEST: Final = 4000  # characters of a comment


@dataclass(frozen=True)
class Said:
    """What a reader answered; None: it cannot be told."""

    answer: Value | None
    comment: str


@dataclass(frozen=True)
class Reading(Said):
    """What a reader answered, with who it was, and when (UTC)."""

    stage: Stage
    reader: str
    made: str


@dataclass(frozen=True)
class Case:
    """What a reader is handed: a patient at a moment and a question, and nothing that would lead them.

    Attributes:
        id: its number in the queue.
        question: what was asked.
        subject_id, prediction_time: of whom, and what was known when (the site's wall clock).
        stage: whether they are the first, the second, or decide between two.
        earlier: for who decides: what the two answered, without names, in no particular order.
        until: when it goes to others, UTC.
    """

    id: int
    question: Question
    subject_id: int
    prediction_time: datetime
    stage: Stage
    earlier: tuple[Said, ...]
    until: str


@dataclass(frozen=True)
class Outcome:
    """A case that is closed, with everything about it.

    `label` is what was decided; None: it cannot be told. `why` names why it was in the queue.
    """

    id: int
    state: State
    question: Question
    label: Value | None
    why: tuple[Why, ...]
    readings: tuple[Reading, ...]
    advice: Advice


@dataclass(frozen=True)
class Listed:
    """A case in the list: nothing that would lead a reader."""

    id: int
    task: str
    subject_id: int
    prediction_time: datetime
    state: State
    added: str
    claimed_by: str | None
    mine: bool


def hand_out(
    database: Database,
    by: Actor,
    *,
    item: int | None = None,
    task: str | None = None,
    adjudicates: bool = False,
    now: datetime | None = None,
) -> Case | None:
    """Hand the next case to a reader, for them alone; the one they have already comes first.

    Args:
        database: of the site.
        by: who reads.
        item: this case and no other, also when they have skipped it.
        task: cases of this question only.
        adjudicates: whether they may decide between two readers.
        now: the moment, with a zone; None: of the clock.

    Returns:
        None where nothing waits for them.

    Raises:
        NotFoundError: there is no case of this number.
        InputError: the case they ask for is not for them, and why.
    """
    moment = now or datetime.now(UTC)

    def work(connection: Connection) -> Case | None:
        if item is not None:
            _check_may_read(connection, item, by, adjudicates, moment)
        query = _waiting(by, adjudicates, moment, skipped=item is not None)
        if item is not None:
            query = query.where(reading_item.c.id == item)
        if task is not None:
            query = query.where(reading_item.c.task == task)
        while (row := connection.execute(query.limit(1)).first()) is not None:
            until = as_utc_text(moment + CLAIM)
            claimed = connection.execute(
                update(reading_item)
                .where(reading_item.c.id == row.id, reading_item.c.state == row.state, _free(by, moment))
                .values(claimed_by=by.name, claimed_until=until)
            )
            if claimed.rowcount:
                return _handed(connection, row, until)
        return None

    return database.write(work)


def held(database: Database, item: int, by: Actor) -> Case | None:
    """Show a case again to whoever has it; None: they have it no longer, or never had.

    Raises:
        NotFoundError: there is no case of this number.
    """
    with database.reading() as connection:
        row = _found(connection, item)
        return _handed(connection, row, row.claimed_until) if row.claimed_by == by.name else None


def read(
    database: Database,
    item: int,
    answer: Value | None,
    by: Actor,
    comment: str = "",
    now: datetime | None = None,
) -> State:
    """Keep what a reader answers; gives the state of the case then.

    Args:
        database: of the site.
        item: which case, as it was handed out.
        answer: None: it cannot be told.
        by: who read it.
        comment: in their own words.
        now: the moment, with a zone; None: of the clock.

    Raises:
        NotFoundError: there is no such case.
        InputError: it was not handed to them, or went to somebody else meanwhile, or this is no answer to its question.
    """
    moment = now or datetime.now(UTC)

    def work(connection: Connection) -> State:
        row = _locked(connection, item)
        if row.claimed_by != by.name or row.state not in STAGE_OF:
            raise InputError(
                "case {id} is not yours to answer: take it again from the queue; nothing was kept", id=item
            )
        question = _question(connection, row)
        said = None if answer is None else checked(question, answer)
        if len(comment) > _LONGEST:
            raise InputError("a comment has at most {most:,} characters", most=_LONGEST)
        stage = STAGE_OF[row.state]
        state, label = _next(connection, row, said)
        connection.execute(
            insert(reading).values(
                item_id=item,
                reader=by.name,
                stage=stage,
                answer=_written(said),
                comment=comment.strip(),
                made=as_utc_text(moment),
            )
        )
        connection.execute(
            update(reading_item)
            .where(reading_item.c.id == item)
            .values(
                state=state,
                label=_written(label),
                closed=as_utc_text(moment) if state in CLOSED else None,
                claimed_by=None,
                claimed_until=None,
            )
        )
        _tell(database, connection, by, "case.read", row, stage=stage, state=state)
        return state

    return database.write(work)


def skip(database: Database, item: int, by: Actor, now: datetime | None = None) -> None:
    """Give a case back unread; it is not handed to the same person again unless they ask for it.

    Raises:
        NotFoundError: there is no such case.
        InputError: it was not handed to them.
    """
    moment = as_utc_text(now or datetime.now(UTC))

    def work(connection: Connection) -> None:
        row = _locked(connection, item)
        if row.claimed_by != by.name:
            raise InputError("case {id} was not handed to you", id=item)
        mine = and_(reading_skip.c.item_id == item, reading_skip.c.reader == by.name)
        if connection.execute(select(reading_skip).where(mine)).first() is None:
            connection.execute(insert(reading_skip).values(item_id=item, reader=by.name, time=moment))
        connection.execute(
            update(reading_item).where(reading_item.c.id == item).values(claimed_by=None, claimed_until=None)
        )
        _tell(database, connection, by, "case.skipped", row)

    database.write(work)


def outcome(database: Database, item: int) -> Outcome:
    """Show everything about a case that is closed: who answered what, and what the model did.

    Raises:
        NotFoundError: there is no such case.
        InputError: somebody may still read it, and would not be blinded.
    """
    with database.reading() as connection:
        row = _found(connection, item)
        if row.state not in CLOSED:
            raise InputError("case {id} is not decided yet; until then nobody sees the answers", id=item)
        content = connection.execute(
            select(advice.c.content).where(advice.c.id == row.advice_id)
        ).scalar_one()
        readings = _readings(connection, item)
    given = Advice.from_json(json.loads(content))
    return Outcome(
        row.id, row.state, given.question, _value(row.label), tuple(json.loads(row.why)), readings, given
    )


def listed(
    database: Database,
    by: Actor,
    *,
    task: str | None = None,
    state: State | None = None,
    after: int = 0,
    limit: int = 50,
    now: datetime | None = None,
) -> list[Listed]:
    """List cases by number, after one of them; without why they are in the queue, which would lead readers."""
    moment = as_utc_text(now or datetime.now(UTC))
    mine = exists().where(reading.c.item_id == reading_item.c.id, reading.c.reader == by.name)
    query = select(reading_item, mine.label("mine")).where(reading_item.c.id > after)
    if task is not None:
        query = query.where(reading_item.c.task == task)
    if state is not None:
        query = query.where(reading_item.c.state == state)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(reading_item.c.id).limit(limit)).all()
    return [
        Listed(
            row.id,
            row.task,
            row.subject_id,
            datetime.fromisoformat(row.prediction_time),
            row.state,
            row.added,
            row.claimed_by if row.claimed_until and row.claimed_until > moment else None,
            row.mine,
        )
        for row in rows
    ]


def counts(database: Database) -> dict[str, dict[State, int]]:
    """Count cases by task and state."""
    query = (
        select(reading_item.c.task, reading_item.c.state, func.count())
        .group_by(reading_item.c.task, reading_item.c.state)
        .order_by(reading_item.c.task)
    )
    found: dict[str, dict[State, int]] = {}
    with database.reading() as connection:
        for task, state, n in connection.execute(query):
            found.setdefault(task, {})[state] = n
    return found


def waiting_for(
    database: Database, by: Actor, *, adjudicates: bool = False, now: datetime | None = None
) -> dict[str, int]:
    """Count by task the cases that this person could be handed now."""
    waiting = _waiting(by, adjudicates, now or datetime.now(UTC)).order_by(None).subquery()
    query = select(waiting.c.task, func.count().label("n")).group_by(waiting.c.task)
    with database.reading() as connection:
        return {row.task: row.n for row in connection.execute(query)}


def _waiting(by: Actor, adjudicates: bool, moment: datetime, skipped: bool = False) -> Select[Any]:
    """Select what may be handed to somebody, best first: what they have, what needs deciding, second readings."""
    states = ["open", "second", *(["adjudicate"] if adjudicates else [])]
    query = select(reading_item).where(
        reading_item.c.state.in_(states), _free(by, moment), ~_has_read(by), ~_has_seen_answer(by)
    )
    if not skipped:
        query = query.where(
            ~exists().where(reading_skip.c.item_id == reading_item.c.id, reading_skip.c.reader == by.name)
        )
    order = case({"adjudicate": 1, "second": 2}, value=reading_item.c.state, else_=3)
    own = case((reading_item.c.claimed_by == by.name, 0), else_=1)
    return query.order_by(own, order, reading_item.c.id)


def _free(by: Actor, moment: datetime) -> ColumnElement[bool]:
    return or_(
        reading_item.c.claimed_by.is_(None),
        reading_item.c.claimed_by == by.name,
        reading_item.c.claimed_until <= as_utc_text(moment),
    )


def _has_read(by: Actor) -> ColumnElement[bool]:
    return exists().where(reading.c.item_id == reading_item.c.id, reading.c.reader == by.name)


def _has_seen_answer(by: Actor) -> ColumnElement[bool]:
    """Who asked for an advice about this patient at this moment, or reviewed one, knows what the model answered."""
    about = and_(
        advice.c.subject_id == reading_item.c.subject_id,
        advice.c.prediction_time == reading_item.c.prediction_time,
    )
    reviewed = exists().where(review.c.advice_id == advice.c.id, review.c.reviewer == by.name, about)
    return or_(exists().where(advice.c.asked_by == by.name, about), reviewed)


def _check_may_read(
    connection: Connection, item: int, by: Actor, adjudicates: bool, moment: datetime
) -> None:
    """Refuse a case that was asked for by number, and say why."""
    row = _found(connection, item)
    this = reading_item.c.id == item
    if row.state in CLOSED:
        raise InputError("case {id} is decided already", id=item)
    if connection.execute(select(reading_item.c.id).where(this, _has_read(by))).first():
        raise InputError("you have read case {id} already; somebody else reads it next", id=item)
    if connection.execute(select(reading_item.c.id).where(this, _has_seen_answer(by))).first():
        raise InputError("you know what the model answered in case {id}; somebody else reads it", id=item)
    if row.state == "adjudicate" and not adjudicates:
        raise InputError("case {id} waits for somebody who may decide between two readers", id=item)
    if not connection.execute(select(reading_item.c.id).where(this, _free(by, moment))).first():
        raise InputError("somebody else is reading case {id} now", id=item)


def _handed(connection: Connection, row: Row[Any], until: str) -> Case:
    stage = STAGE_OF[row.state]
    earlier: tuple[Said, ...] = ()
    if stage == "adjudication":
        nameless = [Said(one.answer, one.comment) for one in _readings(connection, row.id)]
        order = generator(row.id, "adjudication").permutation(len(nameless))
        earlier = tuple(nameless[place] for place in order)
    return Case(
        row.id,
        _question(connection, row),
        row.subject_id,
        datetime.fromisoformat(row.prediction_time),
        stage,
        earlier,
        until,
    )


def _next(connection: Connection, row: Row[Any], said: Value | None) -> tuple[State, Value | None]:
    """Tell the state that follows an answer, and what it decides."""
    match row.state:
        case "open":
            return "second", None
        case "second":
            (first,) = _readings(connection, row.id)
            return ("agreed", said) if first.answer == said else ("adjudicate", None)
    return "decided", said


def _readings(connection: Connection, item: int) -> tuple[Reading, ...]:
    rows = connection.execute(select(reading).where(reading.c.item_id == item).order_by(reading.c.id)).all()
    return tuple(Reading(_value(row.answer), row.comment, row.stage, row.reader, row.made) for row in rows)


def _question(connection: Connection, row: Row[Any]) -> Question:
    content = connection.execute(select(advice.c.content).where(advice.c.id == row.advice_id)).scalar_one()
    return Question.model_validate(json.loads(content)["question"])


def _found(connection: Connection, item: int) -> Row[Any]:
    row = connection.execute(select(reading_item).where(reading_item.c.id == item)).first()
    if row is None:
        raise NotFoundError("there is no case {id}", id=item)
    return row


def _locked(connection: Connection, item: int) -> Row[Any]:
    connection.execute(select(reading_item.c.id).where(reading_item.c.id == item).with_for_update())
    return _found(connection, item)


def _tell(
    database: Database, connection: Connection, by: Actor, action: str, row: Row[Any], **detail: str
) -> None:
    database.audit.append(
        connection,
        Entry(by.name, by.role, action, subject_id=row.subject_id, target=f"case {row.id}", detail=detail),
    )


def _written(answer: Value | None) -> str | None:
    return None if answer is None else json.dumps(answer, ensure_ascii=False)


def _value(text: str | None) -> Value | None:
    return None if text is None else json.loads(text)
