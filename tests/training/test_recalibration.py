"""A recalibrated model answers, explains, is packed and loaded like any other; updates are chosen with care."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from medloom.foundation import registry
from medloom.foundation.errors import InputError, IntegrityError, LeakageError
from medloom.tasks import package
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model
from medloom.training.answers import answers_of, scores_of
from medloom.training.calibrators import KINDS, METHODS, Method
from medloom.training.recalibration import CalibratedModel, choose, recalibrated
from tests.training.worlds import samples_of, saying

LEARNERS = {"binary": "logistic", "multiclass": "logistic", "regression": "linear"}
PAIRS = [(method, kind) for method in METHODS for kind in LEARNERS if kind in KINDS[method]]


@cache
def learned(kind: Kind) -> Model:
    samples = samples_of(kind)
    learner = registry.load("medloom.learners", LEARNERS[kind])()
    return learner.fit(samples.in_split("train"), samples.in_split("tuning"))


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_a_package_gives_the_same_answers_again(method: Method, kind: Kind, tmp_path: Path) -> None:
    samples = samples_of(kind)
    made = recalibrated(learned(kind), samples.in_split("calibration"), method)
    digest = made.save(tmp_path / "package")
    again = package.load(tmp_path / "package", digest)
    assert isinstance(again, CalibratedModel)
    assert again.basis == made.basis
    assert again.origin == made.origin
    asked = samples.in_split("held_out")
    assert again.predict(asked).frame.equals(made.predict(asked).frame)
    assert again.save(tmp_path / "again") == digest


def test_an_altered_inner_model_is_refused(tmp_path: Path) -> None:
    made = recalibrated(learned("binary"), samples_of("binary").in_split("calibration"), "slope")
    made.save(tmp_path / "package")
    inner = tmp_path / "package" / "weights" / "model" / "model.json"
    inner.write_text(inner.read_text().replace("logistic", "gbdt"))
    with pytest.raises(IntegrityError):
        package.load(tmp_path / "package")


@pytest.mark.parametrize("method", ["intercept", "slope"])
@pytest.mark.parametrize("kind", list(LEARNERS))
def test_explanations_still_add_up_to_the_answer(method: Method, kind: Kind) -> None:
    samples = samples_of(kind, shift=1.0)
    made = recalibrated(learned(kind), samples.in_split("calibration"), method)
    asked = samples.in_split("held_out").where(pl.int_range(pl.len()) < 20)
    said = made.explain(asked)
    assert said.additive
    sums = said.frame.group_by("sample_id", "output").agg(pl.col("contribution").sum())
    keys = made.predict(asked).frame.select("sample_id", "output")
    sums = keys.join(sums, on=["sample_id", "output"], how="left", maintain_order="left")
    base = dict(said.baseline.iter_rows())
    found = sums["contribution"].fill_null(0).to_numpy() + [base[output] for output in sums["output"]]
    scores = scores_of(kind, made.predict(asked).matrix(made.origin.question.outputs))
    assert_allclose(found, scores.ravel(), atol=1e-6)


def test_a_bent_recalibration_says_that_reasons_do_not_add_up() -> None:
    samples = samples_of("binary")
    made = recalibrated(learned("binary"), samples.in_split("calibration"), "isotonic")
    assert not made.explain(samples.in_split("held_out")).additive


def test_a_model_carried_to_a_sicker_hospital_fits_after_a_new_intercept() -> None:
    there = samples_of("binary", n=3000, seed=5, shift=1.5)
    before = learned("binary")
    after = recalibrated(before, there.in_split("train", "tuning"), "intercept")
    asked = there.in_split("held_out")
    observed = asked.frame["label"].mean()
    assert before.predict(asked).frame["value"].mean() < observed - 0.1
    assert after.predict(asked).frame["value"].mean() == pytest.approx(observed, abs=0.04)


def test_recalibrating_again_starts_from_the_model_as_it_was_trained() -> None:
    samples = samples_of("binary").in_split("calibration")
    once = recalibrated(learned("binary"), samples, "slope")
    assert recalibrated(once, samples, "slope").calibrator.to_json() == once.calibrator.to_json()


def test_held_out_samples_are_refused() -> None:
    with pytest.raises(LeakageError):
        recalibrated(learned("binary"), samples_of("binary"), "slope")


def test_no_samples_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="no samples to recalibrate on"):
        recalibrated(learned("binary"), samples_of("binary").in_split("calibration").where(pl.lit(False)))


def test_unlabelled_samples_are_refused() -> None:
    samples = samples_of("binary").in_split("calibration")
    bare = replace(samples, frame=samples.frame.with_columns(label=pl.lit(None, pl.Boolean)))
    with pytest.raises(InputError, match="have no label"):
        recalibrated(learned("binary"), bare)


@pytest.mark.parametrize(
    ("level", "slope", "bend", "expected"),
    [(0, 1, 0, "none"), (1, 1, 0, "intercept"), (0.5, 0.5, 0, "slope"), (0, 1, 0.8, "beta")],
)
def test_the_smallest_sufficient_update_is_chosen(
    level: float, slope: float, bend: float, expected: str
) -> None:
    random = np.random.default_rng(1)
    score = random.normal(0, 2, (3000, 1))
    ill = (
        random.random((3000, 1)) < answers_of("binary", level + slope * score + bend * np.abs(score))
    ).astype(float)
    chosen = choose("binary", answers_of("binary", score), ill)
    assert chosen.update == expected
    assert [step.df for step in chosen.steps] == [3, 2, 1][: len(chosen.steps)]


def test_a_good_model_is_left_alone_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(2)
    changed = 0
    for _ in range(100):
        score = random.normal(0, 1.5, (200, 1))
        ill = (random.random((200, 1)) < answers_of("binary", score)).astype(float)
        changed += choose("binary", answers_of("binary", score), ill).update != "none"
    assert changed <= 5 + 6


def test_the_test_is_the_likelihood_ratio() -> None:
    """Two of ten ill where half were expected: 2 (l(0.2) - l(0.5)) by hand, for intercept against itself and none."""
    risk = np.full((10, 1), 0.5)
    ill = np.array([[1.0]] * 2 + [[0.0]] * 8)
    steps = choose("binary", risk, ill).steps
    by_hand = 2 * (2 * np.log(0.2 / 0.5) + 8 * np.log(0.8 / 0.5))
    assert (steps[0].update, steps[0].against, steps[0].df) == (
        "none",
        "intercept",
        1,
    )  # no slope can be told
    assert steps[0].statistic == pytest.approx(by_hand)


def test_a_patient_seen_many_times_counts_once() -> None:
    risk = np.full((40, 1), 0.5)
    ill = np.repeat([[1.0], [0.0], [0.0], [0.0]], 10, axis=0)
    each_their_own = choose("binary", risk, ill)
    four_patients = choose("binary", risk, ill, np.repeat(np.arange(4), 10))
    assert each_their_own.update == "intercept"
    assert four_patients.update == "none"
    assert four_patients.steps[0].statistic == pytest.approx(each_their_own.steps[0].statistic / 10)


def test_auto_keeps_a_good_model_and_says_so() -> None:
    samples = samples_of("binary", n=1000)
    score = np.random.default_rng(0).normal(0, 1.5, (1000, 1))
    truth = np.random.default_rng(1).random(1000) < answers_of("binary", score)[:, 0]
    samples = replace(samples, frame=samples.frame.with_columns(label=pl.Series(truth)))
    made = recalibrated(saying(samples, answers_of("binary", score)), samples.in_split("calibration"))
    assert made.calibrator.method == "none"
    assert made.basis.choice is not None
    assert_allclose(made.predict(samples).matrix(["true"]), answers_of("binary", score), rtol=1e-12)
