"""Reviews of advice: a clinician accepts it or overrides it, and says why.

A person has one current review of an advice; whoever changes their mind adds another that takes its place, and both
stay. What is overridden enters the queue of cases that experts read. Feedback of CDS Hooks 2.0 (section "Feedback")
is a review too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, insert, select

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text, utc_now
from medloom.database.tables.reviewing import review
from medloom.database.tables.serving import advice
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import Text2, text2
from medloom.loop import reading_queue
from medloom.loop.choices import Value, checked
from medloom.loop.releases import Actor
from medloom.tasks.question import Question

Verdict = Literal["accept", "override"]
Via = Literal["workbench", "api", "cds-hooks"]
Reason = Literal["known", "incomplete", "wrong-data", "not-applicable", "judgement", "other", "unsaid"]

REASONS: Final[tuple[Reason, ...]] = tuple(one for one in get_args(Reason) if one != "unsaid")
"""Why people override; another system may tell of an override without a reason."""

REASON_SYSTEM: Final = "urn:medloom:override-reason"
"""The system of these codes in CDS Hooks and FHIR."""

_LONGEST: Final = 4000  # characters of a comment


@dataclass(frozen=True)
class Opinion:
    """What somebody says of an advice.

    Attributes:
        verdict: whether it is followed.
        reason: why it is overridden, one of `REASONS`.
        comment: in their own words; needed where the reason is another.
        answer: what they would have answered; None: they do not say.
        suggestions: which of its proposals were taken up.
    """

    verdict: Verdict
    reason: Reason | None = None
    comment: str = ""
    answer: Value | None = None
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """An opinion as it is kept; `supersedes` names the earlier one of the same person.

    `made` is when it was kept, `decided` when the clinician acted, both UTC.
    """

    id: int
    advice_id: str
    reviewer: str
    opinion: Opinion
    via: Via
    made: str
    decided: str
    supersedes: int | None


@dataclass(frozen=True)
class Feedback:
    """One entry of a CDS Hooks feedback: which card, what of it, and when."""

    card: str
    opinion: Opinion
    decided: datetime | None


@dataclass(frozen=True)
class Tally:
    """How many current reviews accept and override, and why."""

    accepted: int = 0
    overridden: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)


def add(
    database: Database,
    advice_id: str,
    opinion: Opinion,
    by: Actor,
    via: Via = "workbench",
    decided: datetime | None = None,
) -> Review:
    """Keep a review; the same said again is kept once.

    Args:
        database: of the site.
        advice_id: of which advice.
        opinion: what is said.
        by: who says it.
        via: by which way.
        decided: when the clinician acted, with a time zone; None: now.

    Raises:
        NotFoundError: there is no such advice.
        InputError: an override has no reason, another reason no comment, or the answer is none to this question.
    """

    def work(connection: Connection) -> Review:
        about = _advice(connection, advice_id)
        said = _checked(opinion, Question.model_validate(json.loads(about.content)["question"]))
        before = connection.execute(
            _current().where(review.c.advice_id == advice_id, review.c.reviewer == by.name)
        ).first()
        if before is not None and _review(before).opinion == said:
            return _review(before)
        now = utc_now()
        values = {
            "advice_id": advice_id,
            "reviewer": by.name,
            "verdict": said.verdict,
            "reason": said.reason,
            "comment": said.comment,
            "answer": None if said.answer is None else json.dumps(said.answer),
            "suggestions": json.dumps(said.suggestions),
            "via": via,
            "made": now,
            "decided": now if decided is None else as_utc_text(decided),
            "supersedes": None if before is None else before.id,
        }
        (number,) = connection.execute(insert(review), values).inserted_primary_key or (0,)
        database.audit.append(
            connection,
            Entry(
                by.name,
                by.role,
                "advice.accepted" if said.verdict == "accept" else "advice.overridden",
                subject_id=about.subject_id,
                target=advice_id,
                reason=said.reason or "",
                detail={"review": number, "via": via, "supersedes": values["supersedes"]},
            ),
        )
        if said.verdict == "override":
            reading_queue.put_overridden(connection, about, by)
        return _review(connection.execute(select(review).where(review.c.id == number)).one())

    return database.write(work)


def history(database: Database, advice_id: str) -> list[Review]:
    """List all reviews of an advice, superseded ones too, the newest first."""
    with database.reading() as connection:
        rows = connection.execute(
            select(review).where(review.c.advice_id == advice_id).order_by(review.c.id.desc())
        ).all()
    return [_review(row) for row in rows]


def current(database: Database, advice_id: str) -> list[Review]:
    """List what each person says of an advice now, the newest first."""
    with database.reading() as connection:
        rows = connection.execute(
            _current().where(review.c.advice_id == advice_id).order_by(review.c.id.desc())
        ).all()
    return [_review(row) for row in rows]


def tally(database: Database, model: str) -> Tally:
    """Count the current reviews of what a model (`TASK.LEARNER@N`) advised."""
    query = (
        select(review.c.verdict, review.c.reason, func.count())
        .join(advice, advice.c.id == review.c.advice_id)
        .where(advice.c.model == model, is_current())
        .group_by(review.c.verdict, review.c.reason)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    reasons = {str(reason): int(n) for verdict, reason, n in rows if verdict == "override"}
    return Tally(sum(n for verdict, _, n in rows if verdict == "accept"), sum(reasons.values()), reasons)


def verdicts(database: Database, subjects: Sequence[int]) -> dict[tuple[int, str, str], set[Verdict]]:
    """Tell what people say now of what was advised about patients.

    Args:
        database: of the site.
        subjects: which patients.

    Returns:
        Subject, model (`TASK.LEARNER@N`) and moment of prediction (ISO 8601) → the verdicts of its current reviews.
    """
    case = (advice.c.subject_id, advice.c.model, advice.c.prediction_time)
    query = (
        select(*case, review.c.verdict)
        .join(review, review.c.advice_id == advice.c.id)
        .where(advice.c.subject_id.in_(subjects), is_current())
        .distinct()
    )
    found: dict[tuple[int, str, str], set[Verdict]] = {}
    with database.reading() as connection:
        for subject, model, moment, verdict in connection.execute(query):
            found.setdefault((subject, model, moment), set()).add(verdict)
    return found


def reason_name(reason: str) -> Text2:
    """Name the reason of an override; a code from elsewhere stays as it is."""
    names = {
        "known": text2("outcome already known, or treated already"),
        "incomplete": text2("something important is missing from the record"),
        "wrong-data": text2("data in the record are wrong"),
        "not-applicable": text2("does not apply to this patient"),
        "judgement": text2("my clinical judgement differs"),
        "other": text2("another reason"),
        "unsaid": text2("no reason given"),
    }
    return names.get(reason, Text2(reason, reason))


def from_cds_hooks(entry: Mapping[str, Any]) -> Feedback:
    """Read one entry of a feedback's `feedback` array; its values have the types of CDS Hooks 2.0.

    A reason with a code of ours stays that reason; one of another system becomes the comment of another reason.

    Raises:
        InputError: the outcome is none that CDS Hooks knows, or its time is no moment with a zone.

    >>> from_cds_hooks({"card": "9368D37B-283F-44A0-93EA-547CEBAB93ED", "outcome": "overridden",
    ...     "overrideReason": {"reason": {"code": "wrong-data", "system": REASON_SYSTEM}}}).opinion.reason
    'wrong-data'
    """
    card = _digits(str(entry.get("card", "")))
    decided = _moment(entry.get("outcomeTimestamp"))
    match entry.get("outcome"):
        case "accepted":
            taken = tuple(str(one.get("id", "")) for one in entry.get("acceptedSuggestions") or ())
            return Feedback(card, Opinion("accept", suggestions=taken), decided)
        case "overridden":
            return Feedback(card, _overridden(entry.get("overrideReason") or {}), decided)
    raise InputError(
        "{outcome!r} is no outcome of CDS Hooks; there are: accepted, overridden",
        outcome=entry.get("outcome"),
    )


def is_current() -> ColumnElement[bool]:
    """Give the condition that no later review takes the place of this one."""
    later = review.alias("later")
    return ~exists().where(later.c.supersedes == review.c.id)


def _current() -> Select[Any]:
    return select(review).where(is_current())


def _advice(connection: Connection, advice_id: str) -> Row[Any]:
    # Locked, so that two reviews of one person do not both follow the same earlier one.
    row = connection.execute(select(advice).where(advice.c.id == advice_id).with_for_update()).first()
    if row is None:
        raise NotFoundError("there is no advice {advice!r}", advice=advice_id)
    return row


def _checked(opinion: Opinion, question: Question) -> Opinion:
    comment = opinion.comment.strip()
    if len(comment) > _LONGEST:
        raise InputError("a comment has at most {most:,} characters", most=_LONGEST)
    if opinion.verdict not in get_args(Verdict):
        raise InputError("advice is either accepted or overridden: accept, override")
    if opinion.verdict == "accept" and opinion.reason is not None:
        raise InputError("advice that is accepted needs no reason")
    if opinion.verdict == "override" and opinion.reason not in get_args(Reason):
        raise InputError("say why the advice is overridden; there are: {reasons}", reasons=REASONS)
    if opinion.reason == "other" and not comment:
        raise InputError("another reason needs a comment that says which")
    answer = None if opinion.answer is None else checked(question, opinion.answer)
    return Opinion(opinion.verdict, opinion.reason, comment, answer, opinion.suggestions)


def _review(row: Row[Any]) -> Review:
    return Review(
        id=row.id,
        advice_id=row.advice_id,
        reviewer=row.reviewer,
        opinion=Opinion(
            row.verdict,
            row.reason,
            row.comment,
            None if row.answer is None else json.loads(row.answer),
            tuple(json.loads(row.suggestions)),
        ),
        via=row.via,
        made=row.made,
        decided=row.decided,
        supersedes=row.supersedes,
    )


def _overridden(given: Mapping[str, Any]) -> Opinion:
    coding = given.get("reason") or {}
    comment = str(given.get("userComment") or "").strip()
    code = str(coding.get("code") or "")
    if not code:
        return Opinion("override", "other" if comment else "unsaid", comment)
    known = next((one for one in REASONS if one == code and coding.get("system") == REASON_SYSTEM), None)
    if known is None or (known == "other" and not comment):
        named = str(coding.get("display") or "") or f"{coding.get('system', '')}|{code}"
        return Opinion("override", "other", f"{named}: {comment}" if comment else named)
    return Opinion("override", known, comment)


def _digits(card: str) -> str:
    """Give a UUID as advice are numbered: 32 hexadecimal digits."""
    try:
        return uuid.UUID(card).hex
    except ValueError as error:
        raise InputError("{card!r} is no UUID of a card", card=card[:80]) from error


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputError(
            "{text!r} is no moment with a time zone, such as 2020-12-11T00:00:00Z", text=str(text)[:80]
        )
    return moment.astimezone(UTC)
