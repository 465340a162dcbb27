"""Planted leaks: each is refused or has no effect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError, LeakageError
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.tasks.external import from_frame
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from tests.tasks.builders import at, record_of, stay, task_of


def seen(rows: list[dict[str, Any]], **parts: Any) -> list[tuple[str, float]]:
    """Put the standard task to one patient (asked 48 h after admission); give what a model sees of it."""
    outcome = {"subject_id": 1, "time": at(60), "code": "X//outcome"}
    history = apply(task_of(**parts), record_of([*stay(1), outcome, *rows])).samples.history()
    return [
        (history.vocabulary[code], float(value))
        for code, value in zip(history.code, history.value, strict=True)
    ]


def fact(code: str = "X//lab", hours: float | None = 10, **more: Any) -> dict[str, Any]:
    return {
        "subject_id": 1,
        "time": None if hours is None else at(hours),
        "code": code,
        "numeric_value": 1.0,
        **more,
    }


def codes(rows: list[dict[str, Any]], **parts: Any) -> set[str]:
    return {code for code, _ in seen(rows, **parts)}


class FrameImporter(Importer):
    """Hands over one frame."""

    name = "frame"

    def __init__(self, facts: pl.DataFrame) -> None:
        self.facts = facts

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        yield Batch(self.facts, self.facts.height)


def test_control_a_plain_fact_before_the_moment_is_seen() -> None:
    assert "X//lab" in codes([fact()])


def test_01_the_label_copied_into_the_past_is_hidden() -> None:
    assert "X//outcome" not in codes([fact("X//outcome", 5)])


def test_02_the_label_as_a_static_fact_is_not_seen_even_where_earlier_outcomes_are() -> None:
    assert "X//outcome" not in codes([fact("X//outcome", None)], observe={"label_history": True})


def test_03_a_code_below_the_label_is_hidden_with_it(tmp_path: Path) -> None:
    site = ml.Site.create(tmp_path / "site")
    rows = [
        *stay(1),
        fact("X//outcome-of-the-left", 5),
        {"subject_id": 1, "time": at(60), "code": "X//outcome"},
    ]
    facts = pl.DataFrame([{"patient": "p", "time": row["time"], "code": row["code"]} for row in rows])

    class WithAncestors(FrameImporter):
        def batches(self, context: ImportContext) -> Iterator[Batch]:
            from medloom.record.importing import CodeInfo

            yield Batch(
                facts, facts.height, codes={"X//outcome-of-the-left": CodeInfo("left", ("X//outcome",))}
            )

    site.record.add(WithAncestors(facts))
    history = apply(task_of(), site.record).samples.history()
    assert {history.vocabulary[code] for code in history.code} == {"ENCOUNTER//inpatient//START"}


def test_04_a_diagnosis_dated_at_admission_but_coded_at_discharge_is_not_seen() -> None:
    assert "X//diagnosis" not in codes([fact("X//diagnosis", 0, known_time=at(100))])


def test_05_an_undated_billing_code_is_known_at_the_end_of_its_encounter(tmp_path: Path) -> None:
    site = ml.Site.create(tmp_path / "site")
    facts = pl.DataFrame(
        [
            {"patient": "p", "time": at(0), "code": "ENCOUNTER//inpatient//START", "encounter": "e"},
            {"patient": "p", "time": at(100), "code": "ENCOUNTER//inpatient//END", "encounter": "e"},
            {"patient": "p", "time": None, "code": "ICD10CM//I46.9", "encounter": "e"},
            {"patient": "p", "time": at(60), "code": "X//outcome", "encounter": "e"},
        ]
    )
    site.record.add(FrameImporter(facts))
    history = apply(task_of(), site.record).samples.history()
    assert "ICD10CM//I46.9" not in {history.vocabulary[code] for code in history.code}


def test_06_a_result_drawn_before_but_issued_after_is_not_seen() -> None:
    assert "X//lab" not in codes([fact(hours=47, known_time=at(49))])


def test_07_a_value_corrected_later_is_seen_as_it_stood() -> None:
    wrong = fact(hours=10, known_until=at(70)) | {"numeric_value": 5.0}
    right = fact(hours=10, known_time=at(70)) | {"numeric_value": 9.0}
    assert [value for code, value in seen([wrong, right]) if code == "X//lab"] == [5.0]


def test_08_a_value_corrected_earlier_is_seen_corrected() -> None:
    wrong = fact(hours=10, known_until=at(20)) | {"numeric_value": 5.0}
    right = fact(hours=10, known_time=at(20)) | {"numeric_value": 9.0}
    assert [value for code, value in seen([wrong, right]) if code == "X//lab"] == [9.0]


def test_09_a_fact_taken_back_before_the_moment_is_not_seen() -> None:
    assert "X//lab" not in codes([fact(hours=10, known_until=at(30))])


def test_10_a_result_issued_before_it_happened_counts_from_when_it_happened() -> None:
    assert "X//lab" not in codes([fact(hours=49, known_time=at(10))])


def test_11_the_moment_itself_is_the_past_and_a_microsecond_later_is_the_future() -> None:
    assert "X//lab" in codes([fact(hours=48)])
    assert "X//lab" not in codes([fact(hours=48 + 1 / 3.6e9)])


def test_12_a_date_without_a_time_is_not_seen_on_its_own_day() -> None:
    end_of_day = datetime(2020, 6, 3, 23, 59, 59, 999999)
    noon = {"event": ["ENCOUNTER//inpatient//START"], "offset": "60h"}
    day = {"subject_id": 1, "time": datetime(2020, 6, 3), "code": "X//lab", "known_time": end_of_day}
    assert "X//lab" not in codes([day], prediction_time=noon)


def test_13_the_end_of_the_stay_is_not_seen_while_it_lasts() -> None:
    assert "ENCOUNTER//inpatient//END" not in codes([])


def test_14_the_end_of_follow_up_is_known_when_it_comes() -> None:
    assert "OBSERVATION_PERIOD//END" not in codes([fact("OBSERVATION_PERIOD//END", 0, known_time=at(2000))])


def test_15_the_question_is_put_when_its_event_was_known_not_when_it_happened() -> None:
    rows = [
        {"subject_id": 1, "time": at(0), "known_time": at(30), "code": "X//diagnosis"},
        {"subject_id": 1, "time": at(40), "code": "X//outcome"},
    ]
    samples = apply(task_of(prediction_time={"event": ["X//diagnosis"]}), record_of(rows)).samples
    assert samples.frame["prediction_time"].to_list() == [at(30)]


def test_16_a_time_less_fact_is_not_seen_unless_its_code_is_static(tmp_path: Path) -> None:
    record = record_of(
        [*stay(1), fact("X//later", None), {"subject_id": 1, "time": at(60), "code": "X//outcome"}]
    )
    samples = apply(task_of(), record).samples
    from dataclasses import replace

    blind = replace(samples, _visibility=replace(samples._visibility, static=frozenset()))
    history = blind.history()
    assert "X//later" not in {history.vocabulary[code] for code in history.code}


def test_17_an_image_taken_later_is_not_among_the_assets() -> None:
    rows = [
        *stay(1),
        fact("X//image", 10, asset="sha256:before"),
        fact("X//image", 50, asset="sha256:after"),
        {"subject_id": 1, "time": at(60), "code": "X//outcome"},
    ]
    assert apply(task_of(), record_of(rows)).samples.assets()["asset"].to_list() == ["sha256:before"]


def test_18_the_text_of_a_later_note_is_not_carried_along() -> None:
    rows = [
        *stay(1),
        fact("X//note", 10, text_value="before"),
        fact("X//note", 50, text_value="after"),
        {"subject_id": 1, "time": at(60), "code": "X//outcome"},
    ]
    texts = apply(task_of(), record_of(rows)).samples.history(columns=("text_value",)).columns["text_value"]
    assert "after" not in texts.to_pylist() and "before" in texts.to_pylist()


def test_19_a_patient_in_two_splits_is_refused() -> None:
    record = record_of([*stay(1), *stay(2), {"subject_id": 1, "time": at(60), "code": "X//outcome"}])
    samples = apply(task_of(), record).samples
    doubled = pl.concat([samples.frame, samples.frame.with_columns(split=pl.lit("tuning"))]).sort(
        "subject_id"
    )
    doubled = doubled.with_columns(
        split=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("train")).otherwise("split")
    )
    with pytest.raises(LeakageError, match="two splits"):
        Samples(doubled, samples.question, record, samples._visibility)


def test_20_rows_of_one_patient_in_a_table_stay_in_one_split() -> None:
    frame = pl.DataFrame(
        {"patient": [n // 5 for n in range(500)], "x": range(500), "ill": [n % 2 for n in range(500)]}
    )
    samples = from_frame(frame, "ill", group="patient")
    assert samples.frame.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    assert samples.frame["group"].n_unique() == 100


def test_21_the_label_of_a_table_is_not_among_its_inputs() -> None:
    frame = pl.DataFrame({"x": range(100), "ill": [n % 2 for n in range(100)]})
    history = from_frame(frame, "ill").history()
    assert set(history.vocabulary) == {"x"}


def test_22_a_code_that_only_held_out_patients_have_is_no_input() -> None:
    rows = [row for subject in range(1, 301) for row in stay(subject)]
    rows += [{"subject_id": subject, "time": at(60), "code": "X//outcome"} for subject in range(1, 301, 3)]
    samples = apply(task_of(), record_of(rows)).samples
    held_out = samples.in_split("held_out").subject_ids.tolist()
    marked = record_of(
        [*rows, *({"subject_id": s, "time": at(1), "code": "X//given-away"} for s in held_out)]
    )
    spec = WindowFeatures.fit(apply(task_of(), marked).samples.in_split("train"), min_subjects=1)
    assert not any("given-away" in name for name in spec.names)


def _learned(held_out_shift: float, learner: str) -> tuple[np.ndarray[Any, Any], str]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    frame = pl.DataFrame({"x": x, "noise": rng.normal(size=600), "ill": (x + rng.normal(size=600)) > 0})
    split = from_frame(frame, "ill").frame["split"]
    shifted = frame.with_columns(
        x=pl.when(split == "held_out").then(pl.col("x") * 50 + held_out_shift).otherwise("x")
    )
    quick = {"mlp": {"n_models": 1, "max_epochs": 40}, "gbdt": {"n_models": 1}}
    one = ml.learner(learner, **quick.get(learner, {}))
    trained = ml.train(shifted, one, label="ill", ranges=False)
    train = trained.samples.in_split("train")
    return trained.predict(train).frame["value"].to_numpy(), str(trained.model.origin.parameters)


@pytest.mark.parametrize("learner", ["logistic", "gbdt", "mlp"])
def test_23_a_scaler_cannot_learn_from_held_out_values(learner: str) -> None:
    np.testing.assert_array_equal(_learned(0.0, learner)[0], _learned(1000.0, learner)[0])


def test_24_held_out_samples_handed_to_fit_are_refused() -> None:
    frame = pl.DataFrame({"x": range(100), "ill": [n % 2 for n in range(100)]})
    samples = from_frame(frame, "ill")
    with pytest.raises(LeakageError, match="held_out"):
        ml.learner("logistic").fit(samples, samples.in_split("tuning"))


def test_25_an_outcome_before_the_moment_is_no_answer() -> None:
    rows = [*stay(1), *stay(2), {"subject_id": 1, "time": at(47), "code": "X//outcome"}]
    rows.append({"subject_id": 2, "time": at(49), "code": "X//outcome"})
    assert apply(task_of(), record_of(rows)).samples.frame["label"].to_list() == [False, True]


def test_26_two_records_of_one_person_end_up_in_one_split(tmp_path: Path) -> None:
    site = ml.Site.create(tmp_path / "site")
    facts = [
        {"patient": name, "time": row["time"], "code": row["code"], "encounter": f"e{name}"}
        for name in ("a", "b", "c")
        for row in [*stay(1), {"time": at(60), "code": "X//outcome"}]
    ]
    site.record.add(FrameImporter(pl.DataFrame(facts)))
    site.record.merge(site.record.find("a"), site.record.find("b"))
    samples = apply(task_of(), site.record).samples
    assert samples.frame["subject_id"].n_unique() == 2


def test_a_task_whose_label_never_occurs_is_refused() -> None:
    with pytest.raises(InputError, match="no code of predict"):
        apply(task_of(predict={"event": ["X//nowhere"], "within": "48h"}), record_of(stay(1)))
