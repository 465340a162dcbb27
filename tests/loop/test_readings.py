"""Experts read cases blinded; a third decides where two differ."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import medloom as ml
from medloom.database.engine import Database
from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop import readings
from medloom.loop.choices import Value
from medloom.loop.reading_queue import Draw, draw
from medloom.loop.readings import CLAIM, Case
from medloom.loop.releases import Actor
from medloom.loop.reviewed_labels import agreement, export_labels, reviewed_labels
from medloom.loop.reviews import Opinion, add
from tests.loop.advised import ANNA, BO, CHEN, DORA, LIN, QUESTION, acts, database_in, store
from tests.sites import LAB, site_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Draw(uncertain=1, wide=0, unlike=0, audit=0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = database_in(tmp_path)
    yield opened
    opened.close()


def handed(database: Database, by: Actor, **asked: object) -> Case:
    case = readings.hand_out(database, by, **asked)  # type: ignore[arg-type]
    assert case is not None
    return case


def answered(database: Database, by: Actor, answer: Value | None, **asked: object) -> str:
    return readings.read(database, handed(database, by, **asked).id, answer, by, comment=f"by {by.name}")


def test_two_readers_who_agree_decide_a_case(database: Database) -> None:
    store(database, 7)
    (item,) = draw(database, "outcome", DORA, ONE)
    case = handed(database, ANNA)
    assert (case.id, case.subject_id, case.stage, case.earlier) == (item, 7, "first", ())
    assert readings.read(database, item, True, ANNA) == "second"
    assert readings.hand_out(database, ANNA) is None, "the second reader is somebody else"
    with pytest.raises(InputError, match="read case 1 already"):
        readings.hand_out(database, ANNA, item=item)
    second = handed(database, BO)
    assert second.stage == "second" and second.earlier == ()
    with pytest.raises(InputError, match="nobody sees the answers"):
        readings.outcome(database, item)
    assert readings.read(database, item, True, BO) == "agreed"
    told = readings.outcome(database, item)
    assert (told.label, told.why, [one.reader for one in told.readings]) == (
        True,
        ("uncertain",),
        ["anna", "bo"],
    )
    assert told.advice.answer.value == 0.5
    assert acts(database) == [("dora", "cases.drawn"), ("anna", "case.read"), ("bo", "case.read")]


def test_a_third_decides_seeing_both_answers_without_names(database: Database) -> None:
    store(database, 7)
    (item,) = draw(database, "outcome", DORA, ONE)
    answered(database, ANNA, True)
    assert answered(database, BO, False) == "adjudicate"
    assert readings.hand_out(database, CHEN) is None, "not everybody may decide"
    with pytest.raises(InputError, match="may decide between two readers"):
        readings.hand_out(database, CHEN, item=item)
    assert readings.hand_out(database, ANNA, adjudicates=True) is None
    case = handed(database, CHEN, adjudicates=True)
    assert case.stage == "adjudication"
    assert {(one.answer, one.comment) for one in case.earlier} == {(True, "by anna"), (False, "by bo")}
    assert not hasattr(case.earlier[0], "reader")
    assert readings.read(database, item, False, CHEN) == "decided"
    assert readings.outcome(database, item).label is False
    with pytest.raises(InputError, match="decided already"):
        readings.hand_out(database, DORA, item=item, adjudicates=True)


def test_what_two_readers_cannot_tell_has_no_label(database: Database) -> None:
    for subject in (1, 2):
        store(database, subject)
    draw(database, "outcome", DORA, Draw(uncertain=2))
    assert answered(database, ANNA, None) == "second"
    assert answered(database, BO, None) == "agreed"
    with pytest.raises(InputError, match="nothing is decided"):
        reviewed_labels(database, "outcome")
    answered(database, ANNA, None)
    assert answered(database, BO, True) == "adjudicate"
    assert answered(database, CHEN, True, adjudicates=True) == "decided"
    assert reviewed_labels(database, "outcome")["label"].to_list() == [True]
    found = agreement(database, "outcome")
    assert (found.cases, found.untold, found.adjudicated) == (0, 2, 1)


def test_a_skipped_case_comes_back_only_when_asked_for(database: Database) -> None:
    store(database, 7)
    (item,) = draw(database, "outcome", DORA, ONE)
    handed(database, ANNA)
    readings.skip(database, item, ANNA)
    assert readings.hand_out(database, ANNA) is None
    assert readings.waiting_for(database, ANNA) == {}
    assert readings.waiting_for(database, BO) == {"outcome": 1}
    assert handed(database, ANNA, item=item).stage == "first"
    with pytest.raises(InputError, match="not handed to you"):
        readings.skip(database, item, BO)


def test_nobody_reads_blinded_who_knows_the_answer(database: Database) -> None:
    told = store(database, 7, asked_by="anna")
    (item,) = draw(database, "outcome", DORA, ONE)
    add(database, told.id, Opinion("accept"), BO)
    assert readings.hand_out(database, ANNA) is None
    with pytest.raises(InputError, match="you know what the model answered"):
        readings.hand_out(database, BO, item=item)
    assert handed(database, CHEN).id == item


def test_a_case_is_one_persons_until_it_expires(database: Database) -> None:
    store(database, 7)
    (item,) = draw(database, "outcome", DORA, ONE)
    handed(database, ANNA, now=NOW)
    case = handed(database, ANNA, now=NOW)
    assert case.id == item, "their own comes again"
    assert readings.held(database, item, ANNA) == case and readings.held(database, item, BO) is None
    with pytest.raises(InputError, match="somebody else is reading"):
        readings.hand_out(database, BO, item=item, now=NOW)
    assert readings.hand_out(database, BO, now=NOW + CLAIM - timedelta(seconds=1)) is None
    later = NOW + CLAIM * 2
    handed(database, BO, now=later)
    assert readings.held(database, item, ANNA) is None
    with pytest.raises(InputError, match="not yours to answer"):
        readings.read(database, item, True, ANNA, now=later)
    assert readings.read(database, item, True, BO, now=later) == "second"
    with pytest.raises(InputError, match="not yours to answer"):
        readings.read(database, item, True, BO, now=later)


def test_many_readers_at_once_are_handed_different_cases(database: Database) -> None:
    for subject in range(1, 9):
        store(database, subject)
    draw(database, "outcome", DORA, Draw(uncertain=8))
    got: list[int] = []
    readers = [
        threading.Thread(target=lambda name=f"r{n}": got.append(handed(database, Actor(name, "expert")).id))
        for n in range(8)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sorted(got) == list(range(1, 9))


def test_an_answer_must_be_one_of_the_question(database: Database) -> None:
    store(database, 7, question=QUESTION.model_copy(update={"kind": "multiclass", "classes": ("a", "b")}))
    (item,) = draw(database, "outcome", DORA, ONE)
    handed(database, ANNA)
    with pytest.raises(InputError, match="there are: a, b"):
        readings.read(database, item, "c", ANNA)
    assert readings.read(database, item, "a", ANNA) == "second"
    with pytest.raises(NotFoundError):
        readings.read(database, 99, "a", ANNA)


def test_each_sort_of_case_is_drawn_with_all_its_reasons(database: Database) -> None:
    for subject in range(1, 41):
        store(database, subject, subject / 40, width=subject / 100, unusual=subject in (3, 39))
    wanted = Draw(uncertain=3, wide=2, unlike=5, audit=8, seed=4)
    drawn = draw(database, "outcome", DORA, wanted)
    by_subject = {one.subject_id: drawn[one.id] for one in readings.listed(database, ANNA)}
    assert {s for s, why in by_subject.items() if "uncertain" in why} == {19, 20, 21}
    assert {s for s, why in by_subject.items() if "wide" in why} == {39, 40}
    assert {s for s, why in by_subject.items() if "unlike" in why} == {3, 39}
    assert sum("audit" in why for why in by_subject.values()) == 8
    assert by_subject[39][:2] == ("wide", "unlike")
    more = draw(database, "outcome", DORA, wanted)
    assert not {one.subject_id for one in readings.listed(database, ANNA) if one.id in more} & set(by_subject)


def test_a_draw_can_be_repeated(tmp_path: Path) -> None:
    def drawn(folder: str, seed: int) -> list[int]:
        (tmp_path / folder).mkdir()
        database = database_in(tmp_path / folder)
        for subject in range(1, 31):
            store(database, subject)
        draw(database, "outcome", DORA, Draw(0, 0, 0, 10, seed))
        found = [one.subject_id for one in readings.listed(database, ANNA)]
        database.close()
        return found

    assert drawn("a", 1) == drawn("b", 1) != drawn("c", 2)


def test_a_draw_needs_advice_that_readers_can_agree_on(database: Database) -> None:
    with pytest.raises(NotFoundError, match="no advice of 'outcome' is stored"):
        draw(database, "outcome", DORA)
    store(database, 1, 3.0, question=QUESTION.model_copy(update={"kind": "regression", "task": "stay"}))
    with pytest.raises(InputError, match="cannot agree on answers of a regression question"):
        draw(database, "stay", DORA)


def test_the_list_is_filtered_and_paged(database: Database) -> None:
    for subject in range(1, 6):
        store(database, subject)
    draw(database, "outcome", DORA, Draw(uncertain=5))
    answered(database, ANNA, True)
    assert [one.id for one in readings.listed(database, ANNA, state="second")] == [1]
    assert [one.id for one in readings.listed(database, ANNA, after=1, limit=2)] == [2, 3]
    assert readings.listed(database, ANNA)[0].mine and not readings.listed(database, BO)[0].mine
    assert readings.listed(database, ANNA, task="other") == []
    assert readings.counts(database) == {"outcome": {"open": 4, "second": 1}}
    handed(database, LIN)
    assert "lin" in {one.claimed_by for one in readings.listed(database, ANNA)}


def test_a_model_is_trained_on_what_the_experts_decided(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 100)
    database = database_in(tmp_path)
    subjects = site.record.subjects["subject_id"].to_list()
    for subject in subjects:
        store(database, subject)
    draw(database, "outcome", DORA, Draw(uncertain=len(subjects)))
    facts = site.task("outcome").samples.history()
    lab = facts.vocabulary.index(LAB)
    high = dict(zip(site.task("outcome").samples.subject_ids[facts.sample[facts.code == lab]].tolist(),
                    (facts.value[facts.code == lab] > 0).tolist(), strict=True))  # fmt: skip
    for place in range(len(subjects)):
        case = handed(database, ANNA)
        truth = high[case.subject_id]
        readings.read(database, case.id, truth, ANNA)
        handed(database, BO, item=case.id)
        wrong = place % 10 == 0
        if readings.read(database, case.id, truth != wrong, BO) == "adjudicate":
            answered(database, CHEN, truth, adjudicates=True)

    kept = export_labels(site, database, "outcome", DORA)
    assert (kept.task, kept.labels, kept.known) == ("outcome-reviewed", 100, False)
    assert export_labels(site, database, "outcome", DORA).known
    trained = ml.train(site.task("outcome-reviewed"), "tree", ranges=False)
    assert str(trained.name) == "outcome-reviewed.tree@1"
    held_out = trained.predict().frame.join(trained.samples.frame, on="sample_id")
    assert ((held_out["value"] > 0.5) == held_out["label"]).mean() > 0.95  # type: ignore[operator]

    found = agreement(database, "outcome")
    assert (found.cases, found.agreed, found.adjudicated, found.readers) == (100, 90, 10, 2)
    assert found.percent.value == pytest.approx(0.9)
    assert found.cohen.value == pytest.approx(found.fleiss.value, abs=0.01)

    store(database, subjects[0], hours=72)
    draw(database, "outcome", DORA, ONE)
    answered(database, ANNA, True)
    answered(database, BO, True)
    assert export_labels(site, database, "outcome", DORA).task == "outcome-reviewed-2"
    assert len(site.task("outcome-reviewed").samples) == 100, "labels a model was made from stay as they are"
    assert ("dora", "labels.exported") in acts(database)
    database.close()
