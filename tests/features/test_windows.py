"""Window features against values computed by hand, and against a plain loop over facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.features.matrix import FeatureMatrix
from medloom.features.windows import WindowFeatures
from medloom.foundation.errors import InputError
from medloom.record import store
from medloom.record.importers.meds import MedsImporter
from medloom.record.schema import BIRTH
from medloom.site import Site
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from tests.tasks.builders import at, record_of, stay, task_of

ASKED = 48  # hours after admission, by the standard task


def samples_of(*patients: Sequence[dict[str, Any]]) -> Samples:
    """Ask the standard task of patients; each is given by the facts beside the stay."""
    rows = [
        {"subject_id": subject, **fact}
        for subject, facts in enumerate(patients, 1)
        for fact in (*stay(subject), *facts)
    ]
    outcome = {"subject_id": 1, "time": at(60), "code": "X//outcome"}
    return apply(task_of(), record_of([*rows, outcome])).samples


def lab(hours_before: float, value: float | None, code: str = "X//lab") -> dict[str, Any]:
    return {"time": at(ASKED - hours_before), "code": code, "numeric_value": value}


def fixed(code: str, value: float | None = None, text: str | None = None) -> dict[str, Any]:
    return {"time": None, "code": code, "numeric_value": value, "text_value": text}


def features(
    samples: Samples, windows: Sequence[str] = ("ever", "24h"), **more: Any
) -> tuple[WindowFeatures, FeatureMatrix]:
    spec = WindowFeatures.fit(samples, windows, min_subjects=1, **more)
    return spec, spec.transform(samples)


def row(matrix: FeatureMatrix, sample: int = 0) -> dict[str, float]:
    values = np.hstack([matrix.dense, matrix.sparse.toarray()])[sample]
    return dict(zip(matrix.names, map(float, values), strict=True))


def test_each_statistic_of_each_window_is_what_a_pencil_gives() -> None:
    _, matrix = features(samples_of([lab(30, 1), lab(20, 4), lab(10, 3), lab(4, None), lab(2, 8)]))
    found = row(matrix)
    assert {
        name: found[f"X//lab {name} ever"] for name in ("count", "hours since last", "first", "last")
    } == {
        "count": 5,
        "hours since last": 2,
        "first": 1,
        "last": 8,
    }
    assert [found[f"X//lab {name} ever"] for name in ("min", "max", "mean")] == [1, 8, 4]
    # times -30 -20 -10 -2, mean -15.5; values about their mean of 4: -3 0 -1 4
    ever = ((-14.5) * -3 + 5.5 * -1 + 13.5 * 4) / (14.5**2 + 4.5**2 + 5.5**2 + 13.5**2)
    assert found["X//lab slope ever"] == pytest.approx(ever, rel=1e-6)
    assert [found[f"X//lab {name} 24h"] for name in ("count", "first", "last", "min", "max", "mean")] == [
        4,
        4,
        8,
        3,
        8,
        5,
    ]
    # times -20 -10 -2, mean -32/3; values about their mean of 5: -1 -2 3
    last = ((-28 / 3) * -1 + (2 / 3) * -2 + (26 / 3) * 3) / ((28 / 3) ** 2 + (2 / 3) ** 2 + (26 / 3) ** 2)
    assert found["X//lab slope 24h"] == pytest.approx(last, rel=1e-6)


def test_a_window_ends_with_the_prediction_and_leaves_out_its_own_first_moment() -> None:
    _, matrix = features(samples_of([lab(24, 1), lab(23.999, 2), lab(0, 3), lab(-0.001, 4)]))
    assert row(matrix)["X//lab count 24h"] == 2
    assert row(matrix)["X//lab count ever"] == 3


def test_what_was_not_measured_is_missing_and_counts_nothing() -> None:
    _, matrix = features(samples_of([lab(30, 1)], []))
    assert row(matrix, 1)["X//lab count ever"] == 0
    assert row(matrix, 0)["X//lab count 24h"] == 0
    missing = {name for name, value in row(matrix, 1).items() if np.isnan(value)} - {"age"}
    assert {
        f"X//lab {name} ever" for name in ("hours since last", "first", "last", "min", "max", "mean", "slope")
    } <= missing


def test_one_moment_has_no_slope() -> None:
    _, matrix = features(samples_of([lab(5, 1), lab(5, 2)], [lab(5, 7)]))
    assert np.isnan(row(matrix, 0)["X//lab slope ever"])
    assert np.isnan(row(matrix, 1)["X//lab slope ever"])


def test_codes_without_values_are_counted_and_rare_ones_kept_sparse() -> None:
    patients: list[list[dict[str, Any]]] = [
        [lab(5, None, "X//drug"), lab(3, None, "X//drug")] for _ in range(60)
    ]
    patients[7].append(lab(9, 1.0, "X//rare"))
    spec, matrix = features(samples_of(*patients))
    assert "X//drug" in spec.counted and spec.rare == ("X//rare",)
    assert (row(matrix)["X//drug count 24h"], row(matrix)["X//drug hours since last ever"]) == (2, 3)
    assert [row(matrix, sample)["X//rare count ever"] for sample in (6, 7, 8)] == [0, 1, 0]
    assert matrix.sparse.nnz == 2  # one in each window


def test_static_facts_are_numbers_flags_or_categories_and_the_age_is_in_years() -> None:
    born = {"time": datetime(1970, 6, 3), "code": BIRTH}
    spec, matrix = features(
        samples_of(
            [born, fixed("X//height", 170), fixed("X//smoker"), fixed("X//ward", text="north")],
            [fixed("X//ward", text="south"), lab(1, 1)],
        )
    )
    assert (spec.static_values, spec.static_flags) == (("X//height",), ("X//smoker",))
    assert spec.categories == {"X//ward": ("north", "south")}
    first, second = row(matrix, 0), row(matrix, 1)
    assert first["age"] == pytest.approx(50, abs=0.01)
    assert [first[name] for name in ("X//height", "X//smoker", "X//ward=north", "X//ward=south")] == [
        170,
        1,
        1,
        0,
    ]
    assert np.isnan(second["X//height"]) and np.isnan(second["age"])
    assert [second[name] for name in ("X//smoker", "X//ward=north", "X//ward=south")] == [0, 0, 1]


def test_codes_of_the_specification_that_a_record_does_not_know_are_absent_not_errors() -> None:
    spec, matrix = features(samples_of([lab(5, 1), fixed("X//smoker"), fixed("X//height", 170)]))
    other = spec.transform(samples_of([lab(5, 2, "X//new")]))
    assert other.names == matrix.names
    found = row(other)
    assert (found["X//smoker"], found["X//lab count ever"]) == (0, 0)
    assert np.isnan(found["X//height"]) and np.isnan(found["X//lab mean ever"])


def test_a_text_of_few_patients_does_not_get_into_the_model() -> None:
    patients = [
        [
            fixed("X//name", text=f"Jane Doe {place}"),
            fixed("X//ward", text=("north", "south", "attic")[min(place % 2 + 2 * (place > 90), 2)]),
        ]
        for place in range(100)
    ]
    spec = WindowFeatures.fit(samples_of(*patients), ["ever"])
    assert spec.categories == {"X//ward": ("north", "south")}
    assert spec.static_flags == ("X//name",)
    assert "Jane" not in json.dumps(spec.to_json())


def test_a_number_among_texts_leaves_the_texts_and_a_text_among_numbers_the_numbers() -> None:
    patients = [
        [
            fixed("X//ward", *((7.0, None) if place == 0 else (None, "north"))),
            fixed("X//floor", *((None, "attic") if place == 0 else (float(place), None))),
        ]
        for place in range(20)
    ]
    spec, matrix = features(samples_of(*patients))
    assert spec.categories == {"X//ward": ("north",)}
    assert spec.static_values == ("X//floor",)
    assert [row(matrix, place)["X//ward=north"] for place in (0, 1)] == [0, 1]


def test_a_code_of_few_patients_is_no_input_however_often_they_are_asked() -> None:
    patients = [
        [lab(40, 1, "X//own" if place < 2 else "X//lab"), fixed("X//mine" if place < 2 else "X//all")]
        for place in range(30)
    ]
    rows = [
        {"subject_id": subject, **fact}
        for subject, facts in enumerate(patients, 1)
        for fact in (*stay(subject), *facts)
    ]
    when = {
        "event": ["ENCOUNTER//inpatient//START"],
        "offset": "24h",
        "every": "6h",
        "until": ["ENCOUNTER//inpatient//END"],
    }
    outcome = {"subject_id": 1, "time": at(60), "code": "X//outcome"}
    samples = apply(task_of(prediction_time=when), record_of([*rows, outcome])).samples
    assert len(samples) > 300
    spec = WindowFeatures.fit(samples, ["ever"])
    assert {"X//lab", "ENCOUNTER//inpatient//START"} == {*spec.measured, *spec.counted, *spec.rare}
    assert spec.static_flags == ("X//all",)


def test_windows_come_in_the_order_asked_for() -> None:
    samples = samples_of([lab(30, 1), lab(10, 2), lab(2, 4)])
    _, falling = features(samples, ("ever", "24h", "6h"))
    _, rising = features(samples, ("6h", "24h", "ever"))
    assert falling.names != rising.names
    np.testing.assert_equal(row(falling), row(rising))


def test_a_specification_survives_json() -> None:
    spec, matrix = features(samples_of([lab(5, 1), fixed("X//ward", text="north")]))
    again = WindowFeatures.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec and again.names == matrix.names


def test_windows_suit_the_length_of_histories() -> None:
    def chosen(days: float) -> tuple[str, ...]:
        return WindowFeatures.fit(samples_of([lab(24 * days, 1), lab(1, 2)]), min_subjects=1).windows

    assert (chosen(2), chosen(100), chosen(4000)) == (
        ("ever", "24h", "12h", "6h"),
        ("ever", "30d", "7d"),
        ("ever", "1y", "30d"),
    )


def test_where_nothing_is_repeated_one_window_says_all() -> None:
    assert WindowFeatures.fit(samples_of([lab(48, 1)]), min_subjects=1).windows == ("ever",)


def test_only_the_most_frequent_codes_are_kept() -> None:
    samples = samples_of([lab(5, 1, "X//one"), lab(5, 1, "X//two")], [lab(5, 1, "X//two")])
    spec, _ = features(samples, max_codes=2)
    assert spec.measured + spec.counted == ("X//two", "ENCOUNTER//inpatient//START")


def test_no_samples_give_an_empty_matrix() -> None:
    spec, matrix = features(samples_of([lab(5, 1)]))
    empty = samples_of([lab(5, 1)]).where(pl.lit(False))
    assert spec.transform(empty).shape == (0, matrix.shape[1])


def test_nothing_to_see_is_an_error_that_says_where_to_look() -> None:
    samples = apply(task_of(observe={"without": ["ENCOUNTER*"]}), samples_of([])._record).samples
    with pytest.raises(InputError, match="no fact is visible"):
        WindowFeatures.fit(samples)


def test_a_window_that_is_no_length_of_time_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match="fortnight"):
        WindowFeatures.fit(samples_of([lab(5, 1)]), ("fortnight",))


values = st.none() | st.floats(-1e3, 1e3, width=32)
some_labs = st.lists(
    st.builds(lab, st.integers(0, 40), values, st.sampled_from(["X//lab", "X//other", "X//third"])),
    max_size=12,
)


@given(st.lists(some_labs, min_size=1, max_size=4))
def test_statistics_agree_with_a_loop_over_the_facts(patients: list[list[dict[str, Any]]]) -> None:
    spec, matrix = features(samples_of(*patients), ("ever", "24h", "12h", "6h"))
    for sample, facts in enumerate(patients):
        found = row(matrix, sample)
        for window, length in (("ever", 1e9), ("24h", 24), ("12h", 12), ("6h", 6)):
            for code in spec.measured:
                inside = [fact for fact in facts if fact["code"] == code and age(fact) < length]
                expected = plainly(sorted(inside, key=age, reverse=True))
                for name, value in expected.items():
                    got = found[f"{code} {name} {window}"]
                    assert got == pytest.approx(value, rel=1e-5, abs=1e-4, nan_ok=True), (code, name, window)


@given(st.lists(some_labs, min_size=2, max_size=5))
def test_one_patient_gets_exactly_what_a_batch_gives(patients: list[list[dict[str, Any]]]) -> None:
    samples = samples_of(*patients)
    spec, matrix = features(samples, ("ever", "24h", "6h"))
    for sample in range(len(patients)):
        alone = spec.transform(samples.where(pl.col("sample_id") == sample))
        np.testing.assert_array_equal(alone.dense[0], matrix.dense[sample])
        np.testing.assert_array_equal(alone.sparse.toarray()[0], matrix.sparse.toarray()[sample])


def age(fact: dict[str, Any]) -> float:
    return (at(ASKED) - fact["time"]) / timedelta(hours=1)


def plainly(facts: list[dict[str, Any]]) -> dict[str, float]:
    valued = [(-age(fact), fact["numeric_value"]) for fact in facts if fact["numeric_value"] is not None]
    found = {"count": float(len(facts))}
    if facts:
        found["hours since last"] = min(map(age, facts))
    if valued:
        numbers = [value for _, value in valued]
        found |= {"first": numbers[0], "last": numbers[-1], "min": min(numbers), "max": max(numbers)}
        found["mean"] = sum(numbers) / len(numbers)
        times = np.array([time for time, _ in valued])
        several = len(set(times)) > 1
        found["slope"] = float(np.polyfit(times, numbers, 1)[0]) if several else float("nan")
    return found


def test_features_do_not_depend_on_how_a_record_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOM_KEY_FILE", str(tmp_path / "key"))
    numbers = np.random.default_rng(0)
    subjects, each = 50, 1_500  # three row groups
    ids = np.repeat(np.arange(1, subjects + 1), each)
    minutes = numbers.integers(1, ASKED * 60, len(ids))
    facts = pl.DataFrame(
        {
            "subject_id": ids,
            "time": pl.Series([at(0)] * len(ids)) + pl.Series(minutes * 60_000_000).cast(pl.Duration("us")),
            "code": numbers.choice(["X//lab", "X//other", "X//outcome"], len(ids)).tolist(),
            "numeric_value": pl.Series(numbers.normal(size=len(ids)).tolist(), dtype=pl.Float32),
        }
    )
    starts = pl.DataFrame({"subject_id": np.arange(1, subjects + 1), "code": "ENCOUNTER//inpatient//START"})
    starts = starts.with_columns(time=pl.lit(at(0)), numeric_value=pl.lit(None, pl.Float32))
    data = tmp_path / "meds" / "data"
    data.mkdir(parents=True)
    pl.concat([facts, starts.select(facts.columns)]).sort("subject_id", "time").write_parquet(
        data / "0.parquet"
    )
    Site.create(tmp_path / "site").record.add(MedsImporter(tmp_path / "meds"))

    def matrix() -> tuple[int, FeatureMatrix]:
        record = Site.open(tmp_path / "site").record
        samples = apply(task_of(), record).samples
        return len(record.parts()), WindowFeatures.fit(samples, ("ever", "24h")).transform(samples)

    whole, expected = matrix()
    monkeypatch.setattr(store, "PART_ROWS", 30_000)
    pieces, found = matrix()
    assert (whole, pieces > 1) == (1, True)
    assert found.names == expected.names and len(found.names) > 20
    np.testing.assert_array_equal(found.dense, expected.dense)
