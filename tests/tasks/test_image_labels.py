"""A task about images asks of each what people said of it; the last word counts, and no model's word does."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.task import Task

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def task(kind: str, predict: dict[str, object]) -> Task:
    return Task.model_validate(
        {
            "name": "seen",
            "kind": kind,
            "title": {"en": "Seen", "zh": "所见"},
            "prediction_time": {"event": ["IMAGE//DX"], "which": "every"},
            "predict": {"of": "image", **predict},
            "split": {"by": "hash"},
        }
    )


def record(*said: tuple[str, str, int, str | None]) -> Record:
    """Two images of one patient and one of another; said: code, of which image, on which day, by which model."""
    rows = [
        (1, 1, "IMAGE//DX", A, None, None),
        (1, 2, "IMAGE//DX", B, None, None),
        (2, 1, "IMAGE//DX", C, None, None),
    ]
    rows += [(2 if image == C else 1, day, code, None, image, model) for code, image, day, model in said]
    names = ["subject_id", "day", "code", "asset", "derived_from", "model"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        time=pl.lit(datetime(2020, 1, 1)) + pl.duration(days=pl.col("day"))
    )
    return Record.from_events(frame.drop("day"))


def answers(made: Task, known: Record) -> dict[str, object]:
    frame = apply(made, known).samples.frame
    return dict(zip(frame["item"], frame["label"].to_list(), strict=True))


def test_an_image_that_nobody_described_is_not_asked_about() -> None:
    known = record(("FINDING//ill", A, 1, None), ("FINDING//well", C, 1, None))
    assert answers(task("binary", {"event": ["FINDING//ill"]}), known) == {A: True, C: False}


def test_the_last_word_counts_also_when_it_denies() -> None:
    known = record(
        ("FINDING//ill", A, 1, None), ("NOT//FINDING//ill", A, 9, None), ("FINDING//ill", C, 1, None)
    )
    assert answers(task("binary", {"event": ["FINDING//ill"]}), known) == {A: False, C: True}


def test_what_a_model_said_is_no_answer() -> None:
    known = record(("FINDING//ill", A, 1, "seen.cnn@1"), ("FINDING//well", C, 1, None))
    assert answers(task("binary", {"event": ["FINDING//ill"]}), known) == {C: False}


def test_classes_and_sets_of_classes() -> None:
    known = record(("FINDING//ill", A, 1, None), ("FINDING//well", A, 5, None), ("FINDING//ill", C, 1, None))
    classes = {"ill": ["FINDING//ill"], "well": ["FINDING//well"]}
    assert answers(task("multiclass", {"classes": classes}), known) == {A: "well", C: "ill"}
    assert answers(task("multilabel", {"classes": classes}), known) == {A: ["ill", "well"], C: ["ill"]}


def test_each_image_is_asked_about_when_it_came() -> None:
    known = record(("FINDING//ill", A, 1, None), ("FINDING//ill", B, 1, None))
    frame = apply(task("binary", {"event": ["FINDING//ill"]}), known).samples.frame
    assert frame["prediction_time"].to_list() == [datetime(2020, 1, 2), datetime(2020, 1, 3)]


@pytest.mark.parametrize(
    ("predict", "said"),
    [
        ({"event": ["X//y"], "within": "48h"}, "leave the horizon out"),
        ({"event": ["X//y"], "outline": ["OUTLINE//y"]}, "belong together"),
    ],
)
def test_what_makes_no_sense_of_an_image_is_refused(predict: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        task("binary", predict)


def test_the_file_of_a_sample_about_a_patient_cannot_be_opened() -> None:
    known = record(("FINDING//ill", A, 1, None), ("FINDING//well", C, 1, None))
    samples = apply(task("binary", {"event": ["FINDING//ill"]}), known).samples
    with pytest.raises(InputError):
        samples.open_item(0)
