"""Similar patients: near in the model's own terms, counted and never shown."""

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.explanation.similar import in_words, similar_drawing, similar_patients, what_became
from medloom.foundation.errors import InputError
from medloom.tasks.question import Question, Title
from tests.explanation.known_models import samples_of, table

TITLE = Title(en="t", zh="t")
BINARY = Question(task="t", kind="binary", title=TITLE)
CLASSES = Question(task="t", kind="multiclass", title=TITLE, classes=("home", "icu", "ward"))
DAYS = Question(task="t", kind="regression", title=TITLE, unit="d")


def test_the_nearest_are_counted_with_their_interval() -> None:
    others = np.concatenate([np.zeros((20, 2)), np.full((20, 2), 9.0)])
    ill = pl.Series([True] * 5 + [False] * 15 + [True] * 20)
    found = similar_patients(np.array([0.1, 0]), others, np.arange(40), ill, BINARY, n=20)
    assert found.outcomes.row(0, named=True)["n"] == 5
    # Wilson's interval of 5 of 20, as in R's prop.test(5, 20, correct = FALSE)
    assert found.outcomes.row(0)[2:] == pytest.approx((0.25, 0.1119, 0.4687), abs=1e-4)


def test_a_patient_is_counted_once_and_never_himself() -> None:
    subjects = np.repeat(np.arange(15), 4)
    others = np.repeat(np.arange(15.0), 4)[:, None]
    ill = pl.Series(subjects == 0)
    found = similar_patients(np.zeros(1), others, subjects, ill, BINARY, subject=0, n=50)
    assert found.n == 14 and found.outcomes["n"][0] == 0


def test_fewer_than_ten_are_never_spoken_of() -> None:
    others, ill = np.zeros((40, 1)), pl.Series([True] * 40)
    with pytest.raises(InputError, match="10 similar patients or more"):
        similar_patients(np.zeros(1), others, np.arange(40), ill, BINARY, n=9)
    # forty samples, but of nine patients beside this one
    with pytest.raises(InputError, match="fewer than 10 other patients"):
        similar_patients(np.zeros(1), others, np.arange(40) % 10, ill, BINARY, subject=3)
    unknown = pl.Series([True] * 9 + [None] * 31)
    with pytest.raises(InputError, match="fewer than 10 other patients"):
        similar_patients(np.zeros(1), others, np.arange(40), unknown, BINARY)
    with pytest.raises(InputError, match="fewer than 10 other patients"):
        similar_patients(np.zeros(1), others[:0], np.arange(0), ill[:0], BINARY)


def test_nothing_of_a_single_patient_is_given() -> None:
    rng = np.random.default_rng(0)
    ids = 900_000 + np.arange(60)
    found = similar_patients(
        np.zeros(2), rng.normal(size=(60, 2)), ids, pl.Series(rng.random(60) < 0.5), BINARY
    )
    said = str(found) + in_words(found, BINARY).en + similar_drawing(found, BINARY)
    assert "9000" not in said
    assert found.outcomes.columns == ["output", "n", "share", "low", "high"]


def test_a_patient_like_nobody_is_said_to_be() -> None:
    rng = np.random.default_rng(0)
    others, ill = rng.normal(size=(200, 3)), pl.Series(rng.random(200) < 0.5)
    near = similar_patients(np.zeros(3), others, np.arange(200), ill, BINARY, n=20)
    far = similar_patients(np.full(3, 8.0), others, np.arange(200), ill, BINARY, n=20)
    assert near.remoteness < 1 < far.remoteness
    assert "Few patients" not in in_words(near, BINARY).en
    assert "Few patients" in in_words(far, BINARY).en and "参考意义有限" in in_words(far, BINARY).zh
    alike = similar_patients(np.zeros(1), np.zeros((20, 1)), np.arange(20), ill[:20], BINARY)
    assert alike.remoteness == 0


def test_classes_are_counted_each_and_values_by_their_middle() -> None:
    others = np.arange(40.0)[:, None]
    where = pl.Series(["icu", "ward", "ward", "home"] * 10)
    found = similar_patients(np.zeros(1), others, np.arange(40), where, CLASSES, n=20)
    assert found.outcomes["n"].to_list() == [5, 5, 10]
    assert "most had ward: 10, 50 %" in in_words(found, CLASSES).en
    assert similar_drawing(found, CLASSES).count("ward") >= 1
    days = similar_patients(np.zeros(1), others, np.arange(40), pl.Series(others[:, 0]), DAYS, n=21)
    assert days.median == 10 and days.quarter == 5 and days.three_quarters == 15
    assert days.low < 10 < days.high
    assert "half had 5 days to 15 days" in in_words(days, DAYS).en
    assert "5 天 至 15 天" in in_words(days, DAYS).zh
    several = Question(task="t", kind="multilabel", title=TITLE, classes=("a", "b"))
    labels = pl.Series([["a"], ["a", "b"]] * 20)
    both = similar_patients(np.zeros(1), others, np.arange(40), labels, several, n=20)
    assert both.outcomes["n"].to_list() == [20, 10]


def test_likes_of_a_learned_model_share_its_reasons() -> None:
    frame = table(1200)
    # only creatinine decides; whom the model sees alike has a like creatinine, whatever his age
    frame = frame.with_columns(ill=pl.col("LOINC//2160-0").fill_null(1.0) > 1.2)
    samples = samples_of(frame)
    trained = ml.train(samples, "tree", ranges=False)
    asked = samples.in_split("held_out").where(pl.col("sample_id") < 200)
    found = what_became(trained.model, asked, samples, n=30)
    answers = trained.predict(asked).matrix(("true",))[:, 0]
    for one, answer in zip(found, answers, strict=True):
        assert one.n == 30
        assert abs(one.outcomes["share"][0] - answer) < 0.35
    assert what_became(trained.model, asked.where(pl.lit(False)), samples) == []


def test_reasons_of_one_class_can_be_compared() -> None:
    samples = samples_of(table(400), "where")
    model = ml.train(samples, "logistic", ranges=False).model
    one = samples.in_split("held_out").where(pl.col("sample_id") < 30)
    assert len(what_became(model, one, samples, output="icu", n=20)) == len(one)
    with pytest.raises(InputError, match="there is no answer 'cellar'"):
        what_became(model, one, samples, output="cellar")
