"""A clinician accepts or overrides advice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medloom.database.engine import Database
from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop import readings, reviews
from medloom.loop.reviews import REASON_SYSTEM, REASONS, Opinion, from_cds_hooks
from tests.loop.advised import ANNA, LIN, QUESTION, acts, database_in, store

REGRESSION = QUESTION.model_copy(update={"kind": "regression", "task": "stay", "unit": "d"})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = database_in(tmp_path)
    yield opened
    opened.close()


def test_a_changed_mind_is_another_review_and_both_stay(database: Database) -> None:
    told = store(database, 1)
    first = reviews.add(database, told.id, Opinion("accept"), LIN)
    again = reviews.add(database, told.id, Opinion("override", "judgement", " too high ", False), LIN)
    assert again.supersedes == first.id
    assert again.opinion == Opinion("override", "judgement", "too high", False)
    assert reviews.current(database, told.id) == [again]
    assert reviews.history(database, told.id) == [again, first]
    other = reviews.add(database, told.id, Opinion("accept"), ANNA)
    assert reviews.current(database, told.id) == [other, again]
    assert reviews.tally(database, told.model) == reviews.Tally(1, 1, {"judgement": 1})
    assert acts(database) == [
        ("lin", "advice.accepted"), ("lin", "advice.overridden"), ("anna", "advice.accepted")
    ]  # fmt: skip


def test_the_same_said_twice_is_kept_once(database: Database) -> None:
    told = store(database, 1)
    first = reviews.add(database, told.id, Opinion("accept"), LIN)
    assert reviews.add(database, told.id, Opinion("accept"), LIN) == first
    assert len(reviews.history(database, told.id)) == 1


@pytest.mark.parametrize(
    ("opinion", "message"),
    [
        (Opinion("override"), "say why"),
        (Opinion("override", "whim"), "say why"),  # type: ignore[arg-type]
        (Opinion("override", "other", "  "), "needs a comment"),
        (Opinion("accept", "judgement"), "needs no reason"),
        (Opinion("maybe"), "accepted or overridden"),  # type: ignore[arg-type]
        (Opinion("accept", answer="yes"), "no answer to outcome; there are: true, false"),
        (Opinion("accept", comment="x" * 4001), "4,000"),
    ],
)
def test_what_is_no_review_is_refused_and_leaves_nothing(
    database: Database, opinion: Opinion, message: str
) -> None:
    told = store(database, 1)
    with pytest.raises(InputError, match=message):
        reviews.add(database, told.id, opinion, LIN)
    assert not reviews.history(database, told.id)
    assert not acts(database)


def test_an_override_enters_the_queue_of_the_experts_once(database: Database) -> None:
    told = store(database, 1)
    for reason in ("judgement", "wrong-data"):
        reviews.add(database, told.id, Opinion("override", reason), LIN)  # type: ignore[arg-type]
    assert readings.counts(database) == {"outcome": {"open": 1}}
    assert readings.hand_out(database, LIN) is None, "who overrode it knows what the model answered"
    assert readings.hand_out(database, ANNA) is not None


def test_what_readers_cannot_agree_on_is_reviewed_but_not_queued(database: Database) -> None:
    told = store(database, 1, 3.5, question=REGRESSION)
    kept = reviews.add(database, told.id, Opinion("override", "judgement", answer=7), LIN)
    assert kept.opinion.answer == 7.0
    assert readings.counts(database) == {}


def test_there_must_be_such_advice(database: Database) -> None:
    with pytest.raises(NotFoundError, match="no advice"):
        reviews.add(database, "0" * 32, Opinion("accept"), LIN)


def test_feedback_of_cds_hooks_is_a_review(database: Database) -> None:
    told = store(database, 1)
    card = f"{told.id[:8]}-{told.id[8:12]}-{told.id[12:16]}-{told.id[16:20]}-{told.id[20:]}".upper()
    said = from_cds_hooks(
        {
            "card": card,
            "outcome": "overridden",
            "overrideReason": {
                "reason": {
                    "code": "d7ecf885",
                    "system": "https://example.com/reasons",
                    "display": "Too late",
                },
                "userComment": "he went home",
            },
            "outcomeTimestamp": "2020-12-11T08:00:00+08:00",
        }
    )
    assert said.card == told.id
    kept = reviews.add(database, said.card, said.opinion, LIN, "cds-hooks", said.decided)
    assert kept.opinion == Opinion("override", "other", "Too late: he went home")
    assert kept.decided == "2020-12-11T00:00:00.000000Z" < kept.made
    assert kept.via == "cds-hooks"


@pytest.mark.parametrize("code", REASONS)
def test_our_own_codes_come_back_as_they_went_out(code: str) -> None:
    reason = {"reason": {"code": code, "system": REASON_SYSTEM}, "userComment": "so"}
    said = from_cds_hooks({"card": "0" * 32, "outcome": "overridden", "overrideReason": reason})
    assert said.opinion == Opinion("override", code, "so")  # type: ignore[arg-type]


def test_feedback_need_not_give_a_reason_nor_a_time() -> None:
    said = from_cds_hooks({"card": "0" * 32, "outcome": "overridden"})
    assert (said.opinion.reason, said.decided) == ("unsaid", None)
    taken = from_cds_hooks({"card": "0" * 32, "outcome": "accepted", "acceptedSuggestions": [{"id": "s1"}]})
    assert taken.opinion == Opinion("accept", suggestions=("s1",))


@pytest.mark.parametrize(
    "entry",
    [
        {"card": "not-a-uuid", "outcome": "accepted"},
        {"card": "0" * 32, "outcome": "ignored"},
        {"card": "0" * 32, "outcome": "accepted", "outcomeTimestamp": "2020-12-11T08:00:00"},
        {"card": "0" * 32, "outcome": "accepted", "outcomeTimestamp": "yesterday"},
    ],
)
def test_what_is_no_feedback_is_refused(entry: dict[str, str]) -> None:
    with pytest.raises(InputError):
        from_cds_hooks(entry)
