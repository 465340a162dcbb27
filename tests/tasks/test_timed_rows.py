"""Tables with a time and an event: what their columns may hold, and what they become."""

import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.tasks.external import from_frame
from medloom.tasks.timed_rows import timed_labels

TIME = pl.Series("week", [3, 9, 4, 1])


def events_of(values: list[object]) -> tuple[list[str | None], tuple[str, ...]]:
    labels, names = timed_labels(TIME, pl.Series("arrest", values, strict=False))
    return labels.struct.field("event").to_list(), names


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, 1, 0],
        [1.0, 0.0, 1.0, None],
        [True, False, True, None],
        ["1", "0", "1", ""],
        ["yes", "no", "yes", "censored"],
    ],
)
def test_one_event_takes_the_name_of_its_column(values: list[object]) -> None:
    assert events_of(values) == (["arrest", None, "arrest", None], ("arrest",))


@pytest.mark.parametrize(
    "values", [["death", "", "transplant", None], ["death", "censored", "transplant", "0"]]
)
def test_texts_name_competing_events(values: list[object]) -> None:
    assert events_of(values) == (["death", None, "transplant", None], ("death", "transplant"))


def test_numbers_tell_competing_events_apart() -> None:
    assert events_of([1, 0, 2, 0]) == (["1", None, "2", None], ("1", "2"))


@pytest.mark.parametrize(
    ("time", "said"),
    [(pl.Series("week", ["a"]), "not times"), (pl.Series("week", [-1.0]), "1 times are negative")],
)
def test_times_that_are_none_are_refused(time: pl.Series, said: str) -> None:
    with pytest.raises(InputError, match=said):
        timed_labels(time, pl.Series("arrest", [1]))


def test_no_event_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="no event was seen"):
        events_of([0, 0, 0, 0])


def test_a_table_becomes_samples_of_a_survival_question() -> None:
    frame = pl.DataFrame({"week": [3.0, 9.0, None], "arrest": [1, 0, 1], "age": [20, 30, 40]})
    samples = from_frame(frame, time="week", event="arrest", unit="w", horizons=[4, 8])
    assert samples.frame["label"].to_list() == [
        {"time": 3.0, "event": "arrest"},
        {"time": 9.0, "event": None},
    ]
    question = samples.question
    assert (question.kind, question.outputs, question.unit, question.horizons) == (
        "survival",
        ("arrest",),
        "w",
        (4.0, 8.0),
    )
    assert set(samples.history().vocabulary) == {"age"}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"time": "week"},
        {"label": "age", "time": "week", "event": "arrest"},
        {"label": "age", "kind": "survival"},
    ],
)
def test_half_a_question_is_refused(asked: dict[str, str]) -> None:
    frame = pl.DataFrame({"week": [3.0, 9.0], "arrest": [1, 0], "age": [20, 30]})
    with pytest.raises(InputError, match="time=... and event=..."):
        from_frame(frame, **asked)  # type: ignore[arg-type]
