"""Counterfactuals really cross, change only what can change, and stay where patients are."""

import numpy as np
import polars as pl
import pytest

from medloom.explanation.asking import Table
from medloom.explanation.counterfactual import caution, counterfactuals, in_words, ways_below
from medloom.explanation.levers import levers_of
from medloom.explanation.windowed import unit_of
from medloom.explanation.wording import input_name
from medloom.foundation.errors import InputError
from tests.explanation.known_models import Floats, known_model, risk, samples_of, table, three_ways

CREATININE, GLUCOSE = "LOINC//2160-0", "LOINC//2345-7"
WINDOWED = (
    "age",
    "GENDER//F",
    f"{CREATININE} count ever",
    f"{CREATININE} hours since last ever",
    f"{CREATININE} first ever",
    f"{CREATININE} last ever",
    f"{CREATININE} min ever",
    f"{CREATININE} max ever",
    f"{CREATININE} mean ever",
    f"{CREATININE} slope ever",
    f"{CREATININE} count 24h",
    f"{CREATININE} last 24h",
    f"{CREATININE} mean 24h",
    "ICD10CM//I10 count ever",
)
CODES = tuple(name.split(" ")[0] if "//" in name else None for name in WINDOWED)


def plain(x: np.ndarray, names: tuple[str, ...]) -> Table:
    return Table(x.astype(np.float32), names, (None,) * len(names), np.arange(len(x)), np.arange(len(x)))


def windows(n: int = 300) -> Table:
    """Make histories of creatinine with 1 to 4 values, the last of them in the last day or not."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(n):
        values = rng.lognormal(0, 0.4, rng.integers(1, 5))
        hours = np.sort(rng.uniform(30, 300, len(values)))[::-1]
        hours[-1] = rng.uniform(1, 48)
        slope = np.polyfit(-hours, values, 1)[0] if len(values) > 1 else np.nan
        recent = values[hours < 24]
        latest = [len(recent), recent[-1], recent.mean()] if len(recent) else [0, np.nan, np.nan]
        whole = [
            len(values),
            hours[-1],
            values[0],
            values[-1],
            values.min(),
            values.max(),
            values.mean(),
            slope,
        ]
        rows.append([rng.uniform(20, 90), rng.random() < 0.5, *whole, *latest, rng.integers(0, 5)])
    return Table(np.array(rows, np.float32), WINDOWED, CODES, np.arange(n), np.arange(n))


def test_a_counterfactual_crosses_and_changes_only_what_can_change() -> None:
    samples = samples_of(table(600))
    model = known_model(samples, risk)
    ill = samples.where(pl.col("sample_id") < 40)
    before = model.inputs(ill).values
    found = ways_below(model, ill, samples.in_split("train"), 0.3)
    assert [one.sample_id for one in found] == ill.frame["sample_id"].to_list()
    crossed = 0
    for one, row in zip(found, before, strict=True):
        if one.answer < 0.3:
            assert not one.found and "already" in one.why_none.en
        for way in one.found:
            crossed += 1
            assert model.answer(way.row[None])[0, 0] < 0.3
            assert way.answer == model.answer(way.row[None])[0, 0]
            moved = {model.features.names[at] for at in np.flatnonzero((way.row != row) & ~np.isnan(row))}
            assert moved == {change.input for change in way.changes} <= {CREATININE, GLUCOSE}
            # glucose does nothing, so that nobody is told to change it
            assert moved == {CREATININE}
            assert np.isnan(way.row[np.isnan(row)]).all()
    assert crossed > 5


def test_the_change_is_no_larger_than_it_must_be() -> None:
    x = np.random.default_rng(0).uniform(0, 10, (500, 2))
    levers = levers_of(plain(x, ("a", "b")), ["a", "b"])
    found = counterfactuals(
        lambda x: x[:, 0] + 0.1 * x[:, 1], np.array([8, 5], np.float32), x.astype(np.float32), levers, 5.0
    )
    best = found.found[0]
    assert [change.input for change in best.changes] == ["a"]
    assert best.changes[0].after == pytest.approx(4.5, abs=0.05)
    assert best.distance == pytest.approx(3.5 / 5, rel=0.1) and best.remoteness <= 1
    assert found.frame()["way"].to_list()[0] == 1


def test_two_things_change_together_where_one_is_not_enough() -> None:
    x = np.random.default_rng(0).uniform(0, 10, (2000, 3))
    levers = levers_of(plain(x, ("a", "b", "c")), ["a", "b", "c"])
    found = counterfactuals(
        lambda x: x[:, 0] + x[:, 1], np.array([9, 9, 5], np.float32), x.astype(np.float32), levers, 8.0
    )
    assert {change.input for change in found.found[0].changes} == {"a", "b"}
    # a way that only adds to another is none
    assert len(found.found) == 1
    alone = counterfactuals(
        lambda x: x[:, 0] + x[:, 1],
        np.array([9, 9, 5], np.float32),
        x.astype(np.float32),
        levers,
        8.0,
        most_changed=1,
    )
    assert not alone.found and "None found" in alone.why_none.en and "未找到" in alone.why_none.zh


def test_several_ways_change_different_things() -> None:
    x = np.random.default_rng(0).uniform(0, 10, (1000, 3))
    levers = levers_of(plain(x, ("a", "b", "c")), ["a", "b", "c"])
    found = counterfactuals(
        lambda x: np.minimum(np.minimum(x[:, 0], x[:, 1]), x[:, 2]).astype(float),
        np.array([8, 7, 9], np.float32),
        x.astype(np.float32),
        levers,
        5.0,
    )
    assert sorted(way.changes[0].input for way in found.found) == ["a", "b", "c"]
    assert found.found[0].changes[0].input == "b"


def test_nobody_is_sent_where_no_patient_is() -> None:
    # values are around 0 or around 10, never amid; and where one is low, so is the other
    rng = np.random.default_rng(0)
    group = rng.random(1000) < 0.5
    x = np.column_stack([10 * group, 10 * group]) + rng.normal(0, 0.3, (1000, 2))
    levers = levers_of(plain(x, ("a", "b")), ["a", "b"])
    patient = np.array([10, 10], np.float32)

    def answer(x: np.ndarray) -> Floats:
        return (x[:, 0] + x[:, 1] > 17).astype(float) + x[:, 0] / 1000

    found = counterfactuals(answer, patient, x.astype(np.float32), levers, 0.5)
    for way in found.found:
        assert {change.input for change in way.changes} == {"a", "b"}
        assert all(abs(change.after) < 1.5 for change in way.changes)


def test_a_latest_value_moves_all_inputs_that_hold_it() -> None:
    train = windows()
    (lever,) = levers_of(train)
    assert lever.input == f"{CREATININE} last ever"
    at = {name: place for place, name in enumerate(WINDOWED)}
    single = train.x[(train.x[:, at[f"{CREATININE} count ever"]] == 1) & (train.x[:, 10] == 1)][0]
    moved = lever.moved(single, 0.5)
    for name in WINDOWED:
        statistic = name.split(" ")[1] if " " in name else ""
        if statistic in ("first", "last", "min", "max", "mean"):
            assert moved[at[name]] == np.float32(0.5)
        else:
            assert np.array_equal(moved[at[name]], single[at[name]], equal_nan=True)
    two = train.x[train.x[:, at[f"{CREATININE} count ever"]] == 2][0]
    moved = lever.moved(two, 0.5)
    first = two[at[f"{CREATININE} first ever"]]
    assert moved[at[f"{CREATININE} mean ever"]] == pytest.approx((first + 0.5) / 2, rel=1e-5)
    assert moved[at[f"{CREATININE} min ever"]] == pytest.approx(min(first, 0.5))
    assert moved[at[f"{CREATININE} max ever"]] == pytest.approx(max(first, 0.5))
    hours = (two[at[f"{CREATININE} last ever"]] - first) / two[at[f"{CREATININE} slope ever"]]
    assert moved[at[f"{CREATININE} slope ever"]] == pytest.approx((0.5 - first) / hours, rel=1e-4)


def test_counts_age_and_sex_never_change_and_cannot_be_named() -> None:
    train = windows()
    for name in ("age", "GENDER//F", f"{CREATININE} count ever", f"{CREATININE} hours since last ever"):
        with pytest.raises(InputError, match="cannot change"):
            levers_of(train, [name])
    with pytest.raises(InputError, match="no input with values"):
        levers_of(train, ["ICD10CM//I10"])
    for name in ("Sex", "gender", "身高", "AGE"):
        with pytest.raises(InputError, match="cannot change"):
            levers_of(plain(np.random.default_rng(0).random((50, 1)), (name,)), [name])
    fixed = [0, 1, 2, 3, 10, 13]
    (lever,) = levers_of(train)
    for row in train.x[:20]:
        assert np.array_equal(lever.moved(row, 0.7)[fixed], row[fixed], equal_nan=True)


def test_what_is_missing_stays_missing() -> None:
    samples = samples_of(table(600))
    model = known_model(samples, risk)
    column = model.features.names.index(CREATININE)
    unknown = samples.frame["sample_id"].filter(pl.Series(np.isnan(model.inputs(samples).values[:, column])))
    rows = samples.where(pl.col("sample_id").is_in(unknown.implode()))
    for one in ways_below(model, rows, samples.in_split("train"), 0.2, may_change=[CREATININE]):
        assert not one.found
    said = ways_below(model, rows, samples.in_split("train"), 0.0, may_change=[CREATININE])[0].why_none
    assert "Nothing that can change has been measured" in said.en


def test_a_model_that_looks_at_nothing_changeable_says_so() -> None:
    found = counterfactuals(
        lambda x: x[:, 0] + 0.0, np.ones(1, np.float32), np.ones((9, 1), np.float32), [], 0.5
    )
    assert "name what can" in found.why_none.en and found.frame().is_empty()


def test_values_stay_within_what_a_body_can_bear() -> None:
    # units mistaken: some patients of the table have a creatinine of 5,000
    x = np.random.default_rng(0).uniform(0.5, 5, (300, 1))
    x[:50] *= 1000
    train = Table(x.astype(np.float32), (CREATININE,), (CREATININE,), np.arange(300), np.arange(300))
    (lever,) = levers_of(train)
    assert lever.high < 100
    (unlimited,) = levers_of(train, units={CREATININE: "umol/L"})
    assert unlimited.high > 1000


def test_a_class_is_chosen_and_nothing_gives_nothing() -> None:
    samples = samples_of(table(600), "where")
    model = known_model(samples, three_ways)
    with pytest.raises(InputError, match="say of which answer"):
        ways_below(model, samples, samples, 0.5)
    assert ways_below(model, samples.where(pl.col("sample_id") < 0), samples, 0.5, output="ward") == []
    ward = ways_below(model, samples.where(pl.col("sample_id") < 20), samples, 0.3, output="ward")
    assert any(one.found for one in ward)
    for one in ward:
        for way in one.found:
            assert model.answer(way.row[None])[0, 2] < 0.3


def test_a_way_is_said_in_both_languages() -> None:
    samples = samples_of(table(600))
    model = known_model(samples, risk)
    found = ways_below(model, samples.where(pl.col("sample_id") < 40), samples, 0.3)
    one = next(one for one in found if one.found)
    units = {CREATININE: "mg/dL"}
    said = in_words(
        one,
        one.found[0],
        lambda input: input_name(input, {}, units),
        lambda input: unit_of(input, units),
    )
    assert said.en.startswith("With Creatinine ") and "mg/dL instead of" in said.en and "%" in said.en
    assert "肌酐" in said.zh and "模型的答案将是" in said.zh
    assert "does not say" in caution().en
