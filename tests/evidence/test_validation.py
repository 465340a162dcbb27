"""Designs carried out on data of which it is known what they should find."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from medloom.evidence import validation
from medloom.evidence.evaluation import evaluate
from medloom.evidence.section import Section
from medloom.evidence.validation_sections import (
    external_section,
    learning_curve_section,
    stability_section,
    validation_section,
)
from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.tasks.external import from_frame
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Learner, Model
from medloom.tasks.samples import Samples
from medloom.training import designs
from medloom.training.recalibration import recalibrated
from tests.training.worlds import frame_of, samples_of

LEARNERS = {"binary": "logistic", "multiclass": "logistic", "regression": "linear"}


def learner_of(kind: Kind) -> Learner:
    made: Learner = registry.load("medloom.learners", LEARNERS[kind])()
    return made


@cache
def learned() -> Model:
    samples = samples_of("binary")
    return learner_of("binary").fit(samples.in_split("train"), samples.in_split("tuning"))


@pytest.mark.parametrize("kind", list(LEARNERS))
def test_cross_validation_evaluates_all_answers_as_one(kind: Kind) -> None:
    samples = samples_of(kind, n=300)
    found = validation.cross_validation(samples, learner_of(kind), 3, replicates=50)
    answered = found.answered
    alone = evaluate(answered.samples, answered.predictions, replicates=50)
    assert found.evaluation.metrics == alone.metrics
    assert found.evaluation.n == int((samples.frame["split"] != "held_out").sum())
    assert found.evaluation.split == "cross-validation, 3 folds"
    assert list(found.parts) == ["1", "2", "3"]
    assert found.evaluation.subgroups["sex"]
    assert found.to_json()["parts"]["1"]


def test_temporal_finds_the_outcome_that_became_more_frequent() -> None:
    early, late = frame_of("binary", 300), frame_of("binary", 300, seed=1, shift=2.0)
    samples = from_frame(pl.concat([early, late]), "outcome")
    when = [datetime(2020, 1, 1) + timedelta(days=day) for day in range(600)]
    frame = samples.frame.with_columns(
        prediction_time=pl.Series(when, dtype=pl.Datetime("us")), split=pl.lit("train")
    )
    found = validation.temporal(
        replace(samples, frame=frame),
        learner_of("binary"),
        date(2020, 1, 1) + timedelta(days=300),
        replicates=200,
    ).evaluation
    assert found.n == 300
    assert found.metrics["calibration_intercept"].low is not None
    assert found.metrics["calibration_intercept"].low > 1


def test_each_site_is_tested_and_its_name_is_no_input() -> None:
    parts = [frame_of("binary", 150, seed, shift) for seed, shift in ((0, 0.0), (1, 0.0), (2, 2.0))]
    frame = pl.concat(
        [part.with_columns(hospital=pl.lit(name)) for part, name in zip(parts, "abc", strict=True)]
    )
    samples = from_frame(frame, "outcome")
    samples = replace(samples, frame=samples.frame.with_columns(split=pl.lit("train")))
    found = validation.leave_one_site_out(samples, learner_of("binary"), "hospital", replicates=100)
    assert list(found.parts) == ["a", "b", "c"]
    assert (
        found.parts["c"]["calibration_intercept"].value > 1 > found.parts["a"]["calibration_intercept"].value
    )  # type: ignore[operator]
    assert all("hospital" not in model.codes for model in found.answered.models.values())


@pytest.mark.parametrize("held_out", [True, False])
def test_an_external_model_is_updated_and_both_are_tested_alike(held_out: bool) -> None:
    there = samples_of("binary", n=1500, seed=9, shift=1.5)
    if not held_out:
        there = designs.marked(there, "train")
    found = validation.external(learned(), there, replicates=100)
    assert found.before.n == found.after.n == (300 if held_out else 1500)
    assert found.model.calibrator.method in ("intercept", "slope")
    assert found.before.metrics["calibration_intercept"].value > 1  # type: ignore[operator]
    assert abs(found.after.metrics["calibration_intercept"].value) < 0.35  # type: ignore[arg-type]
    assert found.after.compared_with["before"].metrics["brier"].value == found.before.metrics["brier"].value
    assert found.after.compared_with["before"].difference["brier"].high < 0  # type: ignore[operator]
    assert found.to_json()["update"]["basis"]["choice"]["update"] == found.model.calibrator.method


def test_a_model_of_another_question_is_refused() -> None:
    with pytest.raises(InputError, match="another question"):
        validation.external(learned(), samples_of("regression"))


def test_more_patients_learn_better() -> None:
    found = validation.learning_curve(
        samples_of("binary", n=1000), learner_of("binary"), [30, 500], repeats=2
    )
    assert found.frame.height == 4
    mean = found.mean()
    assert mean["patients"].to_list() == [30, 500]
    assert mean["log_loss"][1] < mean["log_loss"][0]


def test_sizes_are_chosen_where_none_are_given() -> None:
    found = validation.learning_curve(samples_of("regression", n=400), learner_of("regression"), repeats=1)
    assert found.frame["patients"].to_list() == [26, 51, 102, 179, 256]


def test_a_small_sample_scatters_more() -> None:
    means = []
    for n in (100, 1000):
        samples = samples_of("binary", n=n)
        model = learner_of("binary").fit(samples.in_split("train"), samples.in_split("tuning"))
        found = validation.stability_of(
            model, learner_of("binary"), samples, refits=5, thresholds={"half": 0.5}
        )
        assert np.isfinite(found.frame["mean_difference"].to_numpy()).all()
        means.append(found.mean_difference["true"])
    assert means[0] > means[1]


def survivors(n: int = 200, seed: int = 0, faster: float = 1.0) -> Samples:
    random = np.random.default_rng(seed)
    age = random.normal(60, 10, n)
    days = random.exponential(300 / faster * np.exp((60 - age) / 10))
    rows = pl.DataFrame({"age": age, "days": days.clip(1, 400), "died": days < 400})
    samples = from_frame(rows, None, time="days", event="died")
    when = [datetime(2020, 1, 1) + timedelta(days=day) for day in range(n)]
    frame = samples.frame.with_columns(
        prediction_time=pl.Series(when, dtype=pl.Datetime("us")), split=pl.lit("train")
    )
    return replace(samples, frame=frame)


def test_survival_is_validated_over_time() -> None:
    learner = registry.load("medloom.learners", "cox")()
    found = validation.temporal(survivors(), learner, date(2020, 5, 1), replicates=20)
    assert found.evaluation.kind == "survival"
    assert found.evaluation.metrics["c_index"].value > 0.6  # type: ignore[operator]


def test_curves_of_several_models_are_evaluated_at_the_same_times() -> None:
    learner = registry.load("medloom.learners", "cox")()
    found = validation.cross_validation(survivors(), learner, 2, replicates=20)
    assert found.evaluation.n == 200
    assert found.evaluation.metrics["c_index"].value > 0.6  # type: ignore[operator]
    assert found.parts["1"].keys() == found.parts["2"].keys() == found.evaluation.metrics.keys()
    section = validation_section(found)
    assert [row[0].text.en for row in section.tables[0].rows] == ["all together", "1", "2"]
    assert Section.from_json(section.to_json()) == section


def test_risks_of_prognosis_scatter_and_are_learned_from_ever_more_patients() -> None:
    samples, learner = survivors(), registry.load("medloom.learners", "cox")()
    model = learner.fit(samples, samples.where(pl.lit(False)))
    found = validation.stability_of(model, learner, samples, refits=2)
    assert found.frame["value"].is_between(0, 1).all() and stability_section(found).figures
    curve = validation.learning_curve(samples, learner, [60, 120], repeats=1)
    shown = learning_curve_section(curve, "survival").tables[0]
    assert [row[0].text.en for row in shown.rows] == ["60", "120"]


def test_prognosis_is_recalibrated_elsewhere_on_the_log_of_the_cumulative_hazard() -> None:
    """There everything comes twice as fast: the intercept is log 2."""
    samples, learner = survivors(500), registry.load("medloom.learners", "cox")()
    model = learner.fit(samples, samples.where(pl.lit(False)))
    there = survivors(500, seed=1, faster=2.0)
    found = validation.external(model, there, folds=2, replicates=20)
    line = found.model.calibrator
    assert line.method == "intercept"
    assert line.intercept[0] == pytest.approx(np.log(2), abs=0.15)  # type: ignore[attr-defined]
    assert found.after.metrics["ibs"].value < found.before.metrics["ibs"].value  # type: ignore[operator]
    assert external_section(found).tables[0].rows
    assert recalibrated(model, samples).calibrator.method == "none"


def test_curves_of_competing_events_are_not_recalibrated() -> None:
    frame = pl.DataFrame({"x": [float(i % 7) for i in range(90)], "days": [1.0 + i % 30 for i in range(90)],
                          "what": [("death", "relapse", None)[i % 3] for i in range(90)]})  # fmt: skip
    samples = designs.marked(from_frame(frame, None, time="days", event="what"), "train")
    model = registry.load("medloom.learners", "kaplan-meier")().fit(samples, samples.where(pl.lit(False)))
    with pytest.raises(InputError, match="competing events"):
        recalibrated(model, samples)
