"""Which cases experts read: what was overridden, what the model is least sure of, and a sample of all.

The sample is what tells how often the model is right; the others are what it can learn most from. A patient at a
moment is asked about once a question. Cases enter in no particular order, so that their place tells a reader nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import utc_now
from medloom.database.tables.reviewing import reading_item
from medloom.database.tables.serving import advice, release
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.loop.advice import Advice
from medloom.loop.choices import CATEGORICAL
from medloom.loop.readings import CLOSED, Why
from medloom.loop.releases import Actor

AMONG: Final = 5_000
"""Latest advice that a draw chooses from."""

_EVEN: Final = 0.5  # where a release names no threshold


@dataclass(frozen=True)
class Draw:
    """How many cases of each sort to draw.

    Attributes:
        uncertain: whose answer is nearest to the threshold of the release, or whose likeliest classes are closest.
        wide: whose answer has the widest range.
        unlike: who differ from the patients it learned from.
        audit: at random among all patients.
        seed: of the random sample and of the order.
    """

    uncertain: int = 10
    wide: int = 5
    unlike: int = 5
    audit: int = 10
    seed: int = 0


def draw(database: Database, task: str, by: Actor, wanted: Draw | None = None) -> dict[int, tuple[Why, ...]]:
    """Put stored advice of a task into the queue, one case a patient.

    Patients about whom a case of this task is open are left out, and what was in the queue once never enters again.

    Args:
        database: of the site.
        task: whose advice.
        by: who asks for it.
        wanted: how many of which; None: as `Draw` has it.

    Returns:
        the numbers of the new cases, and why each was chosen.

    Raises:
        NotFoundError: no advice of this task is stored.
        InputError: its answers are no categories that two readers could agree on.
    """
    how = wanted or Draw()

    def work(connection: Connection) -> dict[int, tuple[Why, ...]]:
        found = _candidates(connection, task)
        threshold = _threshold(connection, task)
        doubts = [_doubt(one, threshold) for one in found]
        chosen = choose(doubts, [_width(one) for one in found], [is_unusual(one) for one in found], how)
        return _put(database, connection, [(found[place], why) for place, why in chosen], by, how.seed)

    return database.write(work)


def put(
    database: Database, chosen: Sequence[tuple[Advice, Sequence[Why]]], by: Actor, seed: int = 0
) -> dict[int, tuple[Why, ...]]:
    """Put stored advice into the queue, in this order, and why; gives the numbers of the new cases.

    What was in the queue once, about the same patient and moment, does not enter again.
    """
    return database.write(lambda connection: _put(database, connection, chosen, by, seed))


def choose(
    doubts: Sequence[float], widths: Sequence[float], unusual: Sequence[bool], how: Draw
) -> list[tuple[int, list[Why]]]:
    """Choose among n patients, each with all reasons it was chosen for, in no particular order.

    Args:
        doubts: how far each answer is from another one; the smaller, the less it is decided.
        widths: of the range of each answer; 0: it has none.
        unusual: who differs from those the model learned from.
        how: how many of which.
    """
    why: dict[int, list[Why]] = {}

    def take(reason: Why, places: Iterable[int]) -> None:
        for place in places:
            why.setdefault(place, []).append(reason)

    everyone = range(len(doubts))
    take("uncertain", sorted(everyone, key=lambda at: doubts[at])[: how.uncertain])
    ranged = [at for at in everyone if widths[at] > 0]
    take("wide", sorted(ranged, key=lambda at: -widths[at])[: how.wide])
    take("unlike", [at for at in everyone if unusual[at]][: how.unlike])
    random = generator(how.seed, "queue")
    take("audit", random.permutation(len(doubts))[: how.audit].tolist())
    places = list(why)
    return [(places[at], why[places[at]]) for at in random.permutation(len(places))]


def check_categorical(kind: str) -> None:
    """Refuse questions whose answers are no categories.

    Raises:
        InputError: two readers could not be said to agree.
    """
    if kind not in CATEGORICAL:
        raise InputError(
            "readers cannot agree on answers of a {kind} question; they can on those of: {kinds}",
            kind=kind,
            kinds=CATEGORICAL,
        )


def entered(database: Database, task: str) -> tuple[set[int], set[tuple[int, str]]]:
    """Tell about whom a case is open, and of whom there was one about which moment (as it is stored)."""
    with database.reading() as connection:
        return _entered(connection, task)


def is_unusual(one: Advice) -> bool:
    """Tell whether readers were warned that the patient is unlike those the model learned from."""
    said = one.unlike
    return said is not None and any(warned.en.startswith(said.en) for warned in one.cautions)


def put_overridden(connection: Connection, row: Row[Any], by: Actor) -> None:
    """Put an advice (a row of its table) that was overridden into the queue, unless the case is there already."""
    one = Advice.from_json(json.loads(row.content))
    if one.question.kind not in CATEGORICAL or one.subject_id < 0:  # of a guest, nothing is kept to be read
        return
    known = _known(connection, one)
    if known is None:
        _insert(connection, one, ["overridden"], by)
    elif "overridden" not in (why := json.loads(known.why)):
        connection.execute(
            update(reading_item)
            .where(reading_item.c.id == known.id)
            .values(why=json.dumps([*why, "overridden"]))
        )


def why_name(why: Why) -> Text2:
    """Name why a case is in the queue."""
    return {
        "overridden": text2("a clinician overrode the advice"),
        "uncertain": text2("the model was undecided"),
        "wide": text2("the model was unsure: a wide range"),
        "unlike": text2("the patient differs from those the model learned from"),
        "audit": text2("random sample"),
    }[why]


def _candidates(connection: Connection, task: str) -> list[Advice]:
    """List the latest advice about each patient that may enter, by patient."""
    rows = connection.execute(
        select(advice.c.subject_id, advice.c.prediction_time, advice.c.content)
        .where(advice.c.model.startswith(f"{task}.", autoescape=True), advice.c.subject_id > 0)
        .order_by(advice.c.made.desc(), advice.c.id)
        .limit(AMONG)
    ).all()
    if not rows:
        raise NotFoundError(
            "no advice of {task!r} is stored yet: open the worklist or a patient first", task=task
        )
    check_categorical(json.loads(rows[0].content)["question"]["kind"])
    waiting, asked = _entered(connection, task)
    latest = {row.subject_id: row for row in reversed(rows)}
    return [
        Advice.from_json(json.loads(row.content))
        for subject, row in sorted(latest.items())
        if subject not in waiting and (subject, row.prediction_time) not in asked
    ]


def _entered(connection: Connection, task: str) -> tuple[set[int], set[tuple[int, str]]]:
    items = connection.execute(
        select(reading_item.c.subject_id, reading_item.c.prediction_time, reading_item.c.state).where(
            reading_item.c.task == task
        )
    ).all()
    waiting = {item.subject_id for item in items if item.state not in CLOSED}
    return waiting, {(item.subject_id, item.prediction_time) for item in items}


def _put(
    database: Database,
    connection: Connection,
    chosen: Sequence[tuple[Advice, Sequence[Why]]],
    by: Actor,
    seed: int,
) -> dict[int, tuple[Why, ...]]:
    added = {}
    for one, why in chosen:
        if _known(connection, one) is None:
            added[_insert(connection, one, why, by)] = tuple(why)
    tasks = " ".join(sorted({one.question.task for one, _ in chosen}))
    entry = Entry(by.name, by.role, "cases.drawn", target=tasks, detail={"cases": len(added), "seed": seed})
    database.audit.append(connection, entry)
    return added


def _known(connection: Connection, one: Advice) -> Row[Any] | None:
    """Find the case about the same question, patient and moment."""
    return connection.execute(
        select(reading_item).where(
            reading_item.c.task == one.question.task,
            reading_item.c.subject_id == one.subject_id,
            reading_item.c.prediction_time == one.prediction_time.isoformat(),
        )
    ).first()


def _insert(connection: Connection, one: Advice, why: Sequence[Why], by: Actor) -> int:
    values = {
        "task": one.question.task,
        "subject_id": one.subject_id,
        "prediction_time": one.prediction_time.isoformat(),
        "advice_id": one.id,
        "why": json.dumps(list(why)),
        "state": "open",
        "added": utc_now(),
        "added_by": by.name,
    }
    (number,) = connection.execute(insert(reading_item), values).inserted_primary_key or (0,)
    return int(number)


def _threshold(connection: Connection, task: str) -> float:
    stored = connection.execute(
        select(release.c.threshold).where(release.c.task == task, release.c.state == "active")
    ).scalar()
    return _EVEN if stored is None else float(stored)


def _doubt(one: Advice, threshold: float) -> float:
    """Tell how far the answer is from being another one: the smaller, the less it is decided."""
    if one.question.kind == "binary":
        return abs(one.answer.value - threshold)
    best = sorted((answer.value for answer in one.answers), reverse=True)
    return best[0] - best[1]


def _width(one: Advice) -> float:
    low, high = one.answer.low, one.answer.high
    return 0.0 if low is None or high is None else high - low
