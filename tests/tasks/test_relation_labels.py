"""A task of relations asks of each note what people named in it, and what of it they related."""

from __future__ import annotations

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.relations import ends_of, entities_in, mentions_in, relations_in
from medloom.tasks.task import Task

NOTE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TEXT = "Ototoxicity after azithromycin; the ototoxicity went."
EFFECT, DRUG, AGAIN = "0:11", "18:30", "36:47"


def task(entities: str = "place", **more: object) -> Task:
    return Task.model_validate(
        {
            "name": "caused",
            "kind": "relations",
            "title": {"en": "What drugs caused", "zh": "药物所致"},
            "prediction_time": {"event": ["NOTE//*"], "which": "every"},
            "predict": {
                "of": "note",
                "spans": {"drug": ["DRUG//*"], "effect": ["EFFECT//*"]},
                "relations": {"causes": {"head": "drug", "tail": "effect", "codes": ["ADE//causes"]}},
                "entities": entities,
                **more,
            },
            "split": {"by": "hash"},
        }
    )


def record(*said: tuple[str, str]) -> Record:
    rows = [(1, "NOTE//visit", NOTE, None, None, TEXT), (2, "NOTE//visit", OTHER, None, None, "All is well.")]
    rows += [(1, code, None, NOTE, place, None) for code, place in said]
    rows += [(2, "READ//all", None, OTHER, None, None)]
    names = ["subject_id", "code", "asset", "derived_from", "span", "text_value"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(time=pl.datetime(2020, 1, 1))
    return Record.from_events(frame)


NAMED = (("DRUG//azithromycin", DRUG), ("EFFECT//ototoxicity", EFFECT), ("EFFECT//ototoxicity", AGAIN))
RELATED = ("ADE//causes", f"{DRUG}>{EFFECT}")


def label(known: Record, asked: Task) -> str:
    frame = apply(asked, known).samples.frame
    return dict(zip(frame["item"], frame["label"], strict=True))[NOTE]


def test_relations_are_between_places_and_every_place_is_an_entity() -> None:
    found = label(record(*NAMED, RELATED), task())
    assert [[one.place for one in entity.mentions] for entity in entities_in(found)] == [
        [EFFECT],
        [DRUG],
        [AGAIN],
    ]
    (one,) = relations_in(found)
    assert (one.name, one.head.name, one.tail.name, one.place) == (
        "causes",
        "drug",
        "effect",
        f"{DRUG}>{EFFECT}",
    )


def test_places_with_the_same_code_are_one_entity_where_the_task_says_so() -> None:
    found = label(record(*NAMED, RELATED), task("code"))
    (one,) = relations_in(found)
    assert [mention.place for mention in one.tail.mentions] == [EFFECT, AGAIN]
    assert [one.place for one in mentions_in(found)] == [EFFECT, DRUG, AGAIN]


def test_a_relation_that_was_taken_back_is_none_nor_one_to_a_place_that_was() -> None:
    assert relations_in(label(record(*NAMED, RELATED, ("NOT//ADE//causes", RELATED[1])), task())) == ()
    assert relations_in(label(record(*NAMED, RELATED, ("REJECTED//ADE//causes", RELATED[1])), task())) == ()
    taken = record(*NAMED, RELATED, ("NOT//EFFECT//ototoxicity", EFFECT))
    assert relations_in(label(taken, task())) == ()


def test_a_note_that_was_read_and_names_nothing_has_an_empty_answer() -> None:
    frame = apply(task(), record(*NAMED, RELATED)).samples.frame
    empty = dict(zip(frame["item"], frame["label"], strict=True))[OTHER]
    assert entities_in(empty) == () and relations_in(empty) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"relations": {"causes": {"head": "drug", "tail": "dose", "codes": ["ADE//causes"]}}},
        {"relations": {"drug": {"head": "drug", "tail": "effect", "codes": ["ADE//causes"]}}},
        {"relations": {}},
        {"spans": None},
        {"relations": None},
    ],
)
def test_relations_are_between_names_of_spans_and_have_names_of_their_own(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"spans|relations"):
        task(**wrong)


@pytest.mark.parametrize("place", ["12:24", "12:24>", ">1:2", "1:2>3:4>5:6"])
def test_what_is_no_relation_is_refused(place: str) -> None:
    with pytest.raises(InputError, match="place"):
        ends_of(place)
