"""Task files: what is refused, and how the error helps."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.registry import load, registered
from medloom.tasks import library
from medloom.tasks.task import PREDICTED, json_schema
from tests.tasks.builders import task_of

GOOD = """\
name: aki-48h
title:
  en: AKI
  zh: 急性肾损伤
kind: binary
prediction_time:
  event: [ENCOUNTER//inpatient//START]
  offset: 24h
predict:
  event: [SNOMED//14669001]
  within: 48h
"""


def refused(tmp_path: Path, old: str, new: str) -> str:
    path = tmp_path / "aki-48h.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        library.find(str(path))
    return str(caught.value)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "aki-48h.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert library.find(str(path)).question.horizon == "48h"


def test_one_code_may_stand_without_brackets(tmp_path: Path) -> None:
    path = tmp_path / "aki-48h.yaml"
    path.write_text(GOOD.replace("[SNOMED//14669001]", "MEDS_DEATH"), encoding="utf-8")
    assert library.find(str(path)).predict.event == ("MEDS_DEATH",)


@pytest.mark.parametrize("code", ["LAB/x", "MEDS_DEATH", "LOINC//1988-5", "RADLEX//a/b", "ICD10CM//I50*"])
def test_a_code_of_a_source_of_its_own_may_be_written_as_it_likes(code: str) -> None:
    assert task_of(predict={"event": [code], "within": "48h"}).predict.codes == (code,)


def test_every_kind_that_a_file_can_ask_is_answered_by_a_registered_learner() -> None:
    ours = [load("medloom.learners", name) for name in registered("medloom.learners")]
    assert set(PREDICTED) <= {kind for learner in ours for kind in learner.kinds}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("within: 48h", "within: 48", ["line 11", "predict.within"]),
        ("within: 48h", "within: '48'", ["line 11", "write 48h or 2d"]),
        ("within: 48h", "within: -48h", ["line 11", "'-48h' must be longer than nothing"]),
        ("within: 48h", "within: 0h", ["line 11", "longer than nothing"]),
        ("kind: binary", "kind: binary\nobserve: {window: -1d}", ["line 6", "observe.window", "longer"]),
        ("  within: 48h\n", "", ["line 9", "horizon is missing"]),
        ("offset: 24h", "ofset: 24h", ["line 8", "unknown key; did you mean offset?"]),
        ("predict:", "predikt:", ["line 9: predikt: unknown key; did you mean predict?"]),
        (
            "kind: binary",
            "kind: binray",
            ["line 5", "none of binary, regression, multiclass, multilabel", "did you mean binary?"],
        ),
        (
            "kind: binary",
            "kind: ranking",
            ["line 5: kind: 'ranking' is none of binary, regression"],
        ),
        (
            "event: [SNOMED//14669001]",
            "event: MEDS_DEATH, X//y",
            ["line 10: predict.event: several codes stand in brackets: write [MEDS_DEATH, X//y]"],
        ),
        ("SNOMED//14669001", "loinc/1988-5", ["line 10", "one slash", "write LOINC//1988-5"]),
        (
            "ENCOUNTER//inpatient//START",
            "ENCOUNTER/inpatient/START",
            ["line 7", "write ENCOUNTER//inpatient//START"],
        ),
        (
            "  within: 48h",
            "  within: 48h\n  unit: bananas",
            ["line 12: predict.unit: 'bananas' is no unit of UCUM; write one such as", "% or {score}"],
        ),
        ("  within: 48h", "  within: 48h\n  unit: mg/dll", ["line 12", "did you mean mg/dL"]),
        ("kind: binary", "kind: regression", ["regression", "value, time_to"]),
        ("name: aki-48h", "name: AKI 48h", ["line 1: name: 'AKI 48h' is not a task's name: lower-case"]),
        ("  zh: 急性肾损伤\n", "", ["line 2", "title.zh", "is missing"]),
        ("kind: binary", "kind: [binary", ["line 6", "not valid YAML"]),
        ("event: [SNOMED//14669001]", "event: []", ["line 10", "predict.event"]),
    ],
)
def test_an_error_names_line_and_remedy(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    message = refused(tmp_path, old, new)
    for part in said:
        assert part in message


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(NotFoundError, match="readmission-30d"):
        library.find("no-such-task")


def test_the_committed_schema_is_current() -> None:
    text = (files("medloom.tasks") / "task.schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == json_schema()


def test_every_shipped_task_is_valid_and_has_its_file_name() -> None:
    assert len(library.shipped()) >= 6
    for name in library.shipped():
        assert library.find(name).name == name
