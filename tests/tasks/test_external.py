"""Samples made elsewhere: MEDS labels and one table."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from medloom.foundation.errors import InputError
from medloom.tasks.demographics import demographics
from medloom.tasks.external import from_frame, from_meds_labels, to_meds_labels
from medloom.tasks.labelling import apply
from tests.tasks.builders import at, record_of, stay, task_of


def rows() -> list[dict[str, Any]]:
    outcomes = [{"subject_id": subject, "time": at(60), "code": "X//outcome"} for subject in (1, 3)]
    return [row for subject in (1, 2, 3) for row in stay(subject)] + outcomes


def test_labels_written_as_meds_are_valid_and_read_back_the_same(tmp_path: Path) -> None:
    record = record_of(rows())
    samples = apply(task_of(), record).samples
    to_meds_labels(samples, tmp_path / "labels.parquet")
    meds.LabelSchema.validate(pq.read_table(tmp_path / "labels.parquet"))
    again = from_meds_labels(tmp_path / "labels.parquet", record, "again")
    assert again.frame.equals(samples.frame)
    assert again.question.kind == "binary"


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("boolean_value", [True, False, True], "binary"),
        ("categorical_value", ["a", "b", "a"], "multiclass"),
        ("float_value", [0.5, 1.5, 2.5], "regression"),
        ("integer_value", [1, 2, 3], "regression"),
    ],
)
def test_each_kind_of_meds_label(tmp_path: Path, column: str, values: list[Any], kind: str) -> None:
    frame = pl.DataFrame({"subject_id": [1, 2, 3], "prediction_time": [at(48)] * 3, column: values})
    frame.write_parquet(tmp_path / "0.parquet")
    samples = from_meds_labels(tmp_path, record_of(rows()), "elsewhere")
    assert samples.question.kind == kind
    assert samples.frame["label"].to_list() == values


def test_labels_of_strangers_are_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"subject_id": [77], "prediction_time": [at(48)], "boolean_value": [True]})
    frame.write_parquet(tmp_path / "labels.parquet")
    with pytest.raises(InputError, match="none of the labelled subjects"):
        from_meds_labels(tmp_path / "labels.parquet", record_of(rows()), "elsewhere")


def test_labels_without_values_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"subject_id": [1], "prediction_time": [at(48)]}).write_parquet(tmp_path / "labels.parquet")
    with pytest.raises(InputError, match="exactly one of"):
        from_meds_labels(tmp_path / "labels.parquet", record_of(rows()), "elsewhere")


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([True, False, True, None], "binary", ()),
        (["yes", "no", "no", "yes"], "binary", ()),
        ([0, 1, 1, 0], "binary", ()),
        (["a", "b", "c", "a"], "multiclass", ("a", "b", "c")),
        ([0.5, 1.25, 2.0, float("nan")], "regression", ()),
        (list(range(4)), "multiclass", ("0", "1", "2", "3")),
    ],
)
def test_the_kind_of_a_table_is_told_from_its_label(
    values: list[Any], kind: str, classes: tuple[str, ...]
) -> None:
    samples = from_frame(pl.DataFrame({"x": [1, 2, 3, 4], "y": values}), "y")
    assert samples.question.kind == kind
    assert samples.question.classes == classes


def test_rows_without_a_label_are_left_out() -> None:
    assert len(from_frame(pl.DataFrame({"x": [1, 2, 3], "y": [True, None, False]}), "y")) == 2


def test_cells_become_static_facts_and_missing_ones_none() -> None:
    frame = pl.DataFrame(
        {
            "dose": [1.5, None, float("nan")],
            "smoker": [True, False, None],
            "ward": ["A", None, "B"],
            "y": [1, 0, 1],
        }
    )
    history = from_frame(frame, "y").history(columns=("text_value",))
    found = {
        (int(sample), history.vocabulary[code], float(value) if value == value else text)
        for sample, code, value, text in zip(
            history.sample,
            history.code,
            history.value,
            history.columns["text_value"].to_pylist(),
            strict=True,
        )
    }
    assert found == {
        (0, "dose", 1.5),
        (0, "smoker", 1.0),
        (1, "smoker", 0.0),
        (0, "ward", "A"),
        (2, "ward", "B"),
    }


def test_sex_and_age_of_a_table_are_told_by_name() -> None:
    frame = pl.DataFrame({"age": [70.0, 30.0], "sex": ["female", "男"], "y": [True, False]})
    found = demographics(from_frame(frame, "y"))
    assert found.select("sex", "age").rows() == [("F", 70.0), ("M", 30.0)]


def test_an_unknown_label_column_lists_the_columns() -> None:
    with pytest.raises(InputError, match="there are: x, y"):
        from_frame(pl.DataFrame({"x": [1], "y": [1]}), "z")


def test_a_table_without_inputs_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to learn from"):
        from_frame(pl.DataFrame({"y": [1, 0]}), "y")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (pl.Series([[1], [2]]), "List"),
        (pl.Series([timedelta(1), timedelta(2)]), "Duration"),
        (pl.Series([object(), object()], dtype=pl.Object), "Object"),
    ],
)
def test_columns_that_are_neither_numbers_nor_texts_are_refused(values: pl.Series, name: str) -> None:
    frame = pl.DataFrame({"odd": values, "x": [1, 2], "y": [True, False]})
    with pytest.raises(InputError, match=f"column 'odd' holds {name}"):
        from_frame(frame, "y")
    with pytest.raises(InputError, match=f"a column of {name}"):
        from_frame(frame.select("odd", "x"), "odd")


def test_rows_of_unknown_patients_are_not_taken_for_one_patient() -> None:
    frame = pl.DataFrame({"who": ["a", None, None], "x": [1, 2, 3], "y": [True, False, True]})
    with pytest.raises(InputError, match="which patient 2 rows are of"):
        from_frame(frame, "y", group="who")


def test_the_patient_may_be_named_among_what_is_left_out() -> None:
    frame = pl.DataFrame({"who": ["a", "b", "c"], "x": [1, 2, 3], "y": [True, False, True]})
    assert from_frame(frame, "y", group="who", drop=["who"]).frame["group"].n_unique() == 3
