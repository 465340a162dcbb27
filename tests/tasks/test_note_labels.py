"""A task of tagging asks of each note which places people named in it; not those taken back, nor what models said."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.spans import as_label, parts_of, span, spans_in
from medloom.tasks.task import Task

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
TEXTS = {A: "Cough, no fever.", B: "Takes aspirin.", C: "患者有头痛。"}


def task(**predict: object) -> Task:
    spans = {"spans": {"finding": ["FINDING//*"], "drug": ["DRUG//*"]}}
    return Task.model_validate(
        {
            "name": "said",
            "kind": "tagging",
            "title": {"en": "Said", "zh": "所述"},
            "prediction_time": {"event": ["NOTE//*"], "which": "every"},
            "predict": {"of": "note", **(predict or spans)},
            "split": {"by": "hash"},
        }
    )


def record(*said: tuple[str, str, int, str | None, str | None]) -> Record:
    """Two notes of one patient and one of another; said: code, of which note, on which day, where, by which model."""
    rows = [
        (1 if note != C else 2, 1, "NOTE//visit", note, None, None, None, text)
        for note, text in TEXTS.items()
    ]
    rows += [
        (2 if note == C else 1, day, code, None, note, place, model, None)
        for code, note, day, place, model in said
    ]
    names = ["subject_id", "day", "code", "asset", "derived_from", "span", "model", "text_value"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        time=pl.lit(datetime(2020, 1, 1)) + pl.duration(days=pl.col("day"))
    )
    return Record.from_events(frame.drop("day"))


def answers(known: Record, asked: Task | None = None) -> dict[str, list[tuple[str, str]]]:
    frame = apply(asked or task(), known).samples.frame
    return {
        item: [(one.place, one.name) for one in spans_in(label)]
        for item, label in zip(frame["item"], frame["label"], strict=True)
    }


def test_places_are_named_by_the_codes_of_facts_that_people_took_there() -> None:
    known = record(
        ("FINDING//cough", A, 1, "0:5", None),
        ("DRUG//aspirin", B, 1, "6:13", None),
        ("FINDING//headache", C, 1, "3:5", None),
    )
    assert answers(known) == {A: [("0:5", "finding")], B: [("6:13", "drug")], C: [("3:5", "finding")]}


def test_a_note_in_which_somebody_found_nothing_has_no_places_and_one_that_nobody_read_is_not_asked_about() -> (
    None
):
    known = record(
        ("FINDING//cough", A, 1, "0:5", None),
        ("DRUG//aspirin", B, 1, "6:13", "m@1"),
        ("READ//all", C, 1, None, None),
    )
    assert answers(known) == {A: [("0:5", "finding")], C: []}


def test_a_place_that_was_taken_back_is_none_and_others_stay() -> None:
    known = record(
        ("FINDING//cough", A, 1, "0:5", None),
        ("FINDING//fever", A, 1, "10:15", None),
        ("NOT//FINDING//fever", A, 2, "10:15", None),
        ("DRUG//aspirin", B, 1, "6:13", None),
        ("FINDING//headache", C, 1, "3:5", None),
    )
    assert answers(known)[A] == [("0:5", "finding")]


def test_a_denied_place_is_one_where_a_question_names_denials_and_a_rejected_one_never() -> None:
    asked = task(spans={"finding": ["FINDING//*"], "denied": ["NOT//FINDING//*"]})
    known = record(
        ("FINDING//cough", A, 1, "0:5", None),
        ("NOT//FINDING//fever", A, 1, "10:15", None),
        ("REJECTED//FINDING//fever", B, 1, "0:5", None),
        ("REJECTED//NOT//FINDING//fever", B, 1, "6:13", None),
        ("NOT//FINDING//headache", C, 1, "3:5", None),
        ("FINDING//headache", C, 2, "3:5", None),
    )
    assert answers(known, asked) == {
        A: [("0:5", "finding"), ("10:15", "denied")],
        B: [],
        C: [("3:5", "finding")],
    }
    both = task(spans={"finding": ["FINDING//*", "NOT//FINDING//*"]})
    assert answers(known, both) == {
        A: [("0:5", "finding"), ("10:15", "finding")],
        B: [],
        C: [("3:5", "finding")],
    }


def test_of_several_words_about_a_place_the_last_counts_rejections_too() -> None:
    asked = task(spans={"finding": ["FINDING//*"], "denied": ["NOT//FINDING//*"]})
    denied, rejected = "NOT//FINDING//fever", "REJECTED//NOT//FINDING//fever"
    taken = [("FINDING//fever", A, 1, "10:15", None), (denied, A, 2, "10:15", None)]
    assert answers(record(*taken), asked)[A] == [("10:15", "denied")]
    gone = [*taken, (rejected, A, 3, "10:15", None)]
    assert answers(record(*gone), asked)[A] == []
    back = [*gone, ("FINDING//fever", A, 4, "10:15", None)]
    assert answers(record(*back), asked)[A] == [("10:15", "finding")]


def test_the_texts_of_samples_are_those_of_their_notes() -> None:
    known = record(("FINDING//cough", A, 1, "0:5", None), ("DRUG//aspirin", B, 1, "6:13", None))
    samples = apply(task(), known).samples
    assert samples.texts() == [TEXTS[item] for item in samples.frame["item"]]


def test_of_patients_there_are_no_places_to_name() -> None:
    with pytest.raises(ValueError, match="of: note"):
        task(of="patient", spans={"drug": ["DRUG//*"]}, within="48h")
    with pytest.raises(ValueError, match="leave the horizon out"):
        task(spans={"drug": ["DRUG//*"]}, within="48h")


def test_a_place_of_several_parts_is_read_and_written_alike() -> None:
    label = as_label([span(4, 9, "finding")])
    assert spans_in(label) == (span(4, 9, "finding"),)
    assert parts_of("0:4;9:13") == ((0, 4), (9, 13))


@pytest.mark.parametrize("place", ["", "4", "9:4", "4:4", "0:5;3:7", "-1:4", "a:b"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(InputError, match="is no place"):
        parts_of(place)


def test_a_note_of_which_a_model_took_facts_is_read_once_somebody_says_so() -> None:
    taken = ("FINDING//cough", A, 1, "0:5", "rules@1")
    accepted = ("DRUG//aspirin", A, 2, "0:5", None)
    other = ("FINDING//headache", C, 1, "3:5", None)
    assert A not in answers(record(taken, accepted, other))
    assert answers(record(taken, accepted, other, ("REVIEW//note", A, 3, None, None)))[A] == [("0:5", "drug")]
