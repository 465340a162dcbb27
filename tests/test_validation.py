"""The public verbs of trust, on one small table and one small site."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.tabular.trees import TreeLearner
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples
from medloom.training.conformal_model import ConformalModel
from medloom.training.recalibration import CalibratedModel
from tests.training.worlds import frame_of, samples_of


def test_a_table_is_cross_validated_with_all_its_rows() -> None:
    frame = frame_of("binary", 200).with_columns(patient=pl.int_range(pl.len()) // 2)
    found = ml.cross_validate(frame, "tree", folds=3, label="outcome", group="patient", replicates=50)
    assert (found.n, found.n_subjects) == (200, 100)
    assert found.metrics["auroc"].value > 0.7  # type: ignore[operator]


def test_of_samples_those_held_out_take_no_part() -> None:
    found = ml.validate(samples_of("binary", n=200), "tree", folds=2, replicates=20)
    assert found.evaluation.n == 160


@pytest.mark.parametrize("aside", [True, False])
def test_recalibrating_uses_the_calibration_split_or_answers_out_of_fold(aside: bool, tmp_path: Path) -> None:
    if aside:
        trained = ml.train(samples_of("binary"), "logistic", ranges=False)
    else:
        trained = ml.train(frame_of("binary"), "logistic", label="outcome", ranges=False)
    made = ml.recalibrate(trained, "slope", folds=3)
    assert isinstance(made.model, CalibratedModel)
    rows = trained.samples.in_split(*(("calibration",) if aside else ("train", "tuning")))
    assert made.model.basis.n == len(rows)
    made.save(tmp_path / "package")
    held_out = trained.samples.in_split("held_out")
    assert ml.load(tmp_path / "package").predict(held_out).frame.equals(made.model.predict(held_out).frame)
    compared = ml.evaluate(made, compared_with={"before": trained})
    assert "before" in compared.compared_with


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("aside", [True, False])
def test_ranges_hold_the_truth_about_as_often_as_they_say(kind: str, aside: bool) -> None:
    learner = "linear" if kind == "regression" else "tree"
    if aside:
        trained = ml.train(samples_of(kind, n=900), learner, ranges=False)  # type: ignore[arg-type]
    else:
        trained = ml.train(frame_of(kind, 900), learner, label="outcome", kind=kind, ranges=False)  # type: ignore[arg-type]
    made = ml.with_ranges(trained, folds=3, by=["sex"])
    found = ml.coverage(made, replicates=50)
    assert set(found.subgroups["sex"]) == {"F", "M"}
    if kind == "binary":
        low, seen, high = (found.metrics[name].value for name in ("low", "observed", "high"))
        assert low - 0.08 < seen < high + 0.08  # type: ignore[operator]
    else:
        assert found.metrics["coverage"].value >= 0.84  # type: ignore[operator]


def test_ranges_around_a_recalibrated_model_out_of_fold() -> None:
    trained = ml.train(
        frame_of("regression", 400), "linear", label="outcome", kind="regression", ranges=False
    )
    made = ml.with_ranges(ml.recalibrate(trained, "slope", folds=3), folds=3)
    assert isinstance(made.model, ConformalModel)
    assert ml.coverage(made, replicates=20).metrics["coverage"].value == pytest.approx(0.9, abs=0.1)


@pytest.mark.parametrize("aside", [True, False])
def test_boosted_quantiles_make_ranges_that_are_wider_where_less_is_known(
    aside: bool, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    x = random.random(900)
    frame = pl.DataFrame({"x": x, "y": 10 * x + (0.2 + 3 * x) * random.normal(size=900)})
    trained = ml.train(frame, "linear", label="y", kind="regression", ranges=False)
    if aside:
        place = (
            pl.when(pl.int_range(pl.len()) % 3 == 0)
            .then(pl.lit("calibration"))
            .otherwise("split")
            .alias("split")
        )
        trained = ml.train(
            replace(trained.samples, frame=trained.samples.frame.with_columns(place)), "linear", ranges=False
        )
    made = ml.with_ranges(trained, "quantiles", folds=2)
    found = ml.coverage(made, replicates=50)
    assert found.metrics["coverage"].value == pytest.approx(0.9, abs=0.08)
    said = made.predict().frame.with_columns(width=pl.col("high") - pl.col("low"), x=pl.Series(x))
    assert said.filter(pl.col("x") > 0.7)["width"].mean() > 2 * said.filter(pl.col("x") < 0.3)["width"].mean()  # type: ignore[operator]
    made.save(tmp_path / "package")
    assert (
        ml.load(tmp_path / "package")
        .predict(trained.samples)
        .frame.equals(made.model.predict(trained.samples).frame)
    )


def test_rows_of_a_table_get_the_range_of_their_sex_even_where_the_model_does_not_read_it() -> None:
    frame = frame_of("regression", 600)
    noise = np.random.default_rng(0).normal(size=600) * np.where(frame["sex"] == "M", 50, 0)
    trained = ml.train(
        frame.with_columns(pl.col("outcome") + noise),
        "linear",
        label="outcome",
        kind="regression",
        ranges=False,
    )
    made = ml.with_ranges(trained, by=["sex"], folds=2)
    assert "sex" in made.model.codes
    said = ml.predict(
        made.model, pl.DataFrame({"lab": [0.0, 0.0], "noise": [0.0, 0.0], "sex": ["F", "M"]})
    ).frame
    width = (said["high"] - said["low"]).to_list()
    assert width[1] > 1.2 * width[0]


def test_patients_that_were_learned_from_are_refused() -> None:
    trained = ml.train(samples_of("binary", n=100), "tree", ranges=False)
    for verb in (ml.recalibrate, ml.with_ranges):
        with pytest.raises(LeakageError, match="learned from 50 of these patients"):
            verb(trained, samples=trained.samples.in_split("train"))
    with pytest.raises(LeakageError, match="learned from"):
        ml.validate_elsewhere(trained, trained.samples)


def test_ranges_of_a_learner_that_fits_slowly_cost_one_model_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    fit = TreeLearner.fit

    def counted(self: TreeLearner, train: Samples, tuning: Samples, seed: int = 0) -> Model:
        made.append(len(train) + len(tuning))
        return fit(self, train, tuning, seed)

    monkeypatch.setattr(TreeLearner, "fits_slowly", True)
    monkeypatch.setattr(TreeLearner, "fit", counted)
    trained = ml.train(frame_of("binary", 1500), "tree", label="outcome", max_depth=3)
    assert isinstance(trained.model, ConformalModel)
    developed, (all_of_them, two_thirds) = len(trained.samples.in_split("train", "tuning")), made
    assert all_of_them == developed == trained.model.basis.n + two_thirds
    assert two_thirds == pytest.approx(developed * 2 / 3, rel=0.01)
    found = ml.coverage(trained, replicates=50).metrics
    low, seen, high = (found[name].value for name in ("low", "observed", "high"))
    assert low - 0.08 < seen < high + 0.08  # type: ignore[operator]


def test_a_model_without_ranges_says_how_to_get_them() -> None:
    trained = ml.train(frame_of("binary", 100), "tree", label="outcome", ranges=False)
    with pytest.raises(InputError, match=r"ml\.with_ranges"):
        ml.coverage(trained)


def test_elsewhere_before_and_after() -> None:
    trained = ml.train(samples_of("binary"), "logistic", ranges=False)
    found = ml.validate_elsewhere(trained, samples_of("binary", n=600, seed=4, shift=1.0), replicates=50)
    assert found.after.compared_with["before"].difference["brier"].value < 0  # type: ignore[operator]


def test_how_much_an_answer_depends_on_who_was_learned_from() -> None:
    trained = ml.train(samples_of("binary", n=150), "tree", ranges=False)
    found = ml.stability(trained, 3, thresholds={"half": 0.5})
    assert 0 < found.mean_difference["true"] < 0.3
    assert found.frame.height == 120


def test_more_patients_more_knowledge() -> None:
    found = ml.learning_curve(samples_of("binary", n=400), "tree", [40, 200], repeats=1)
    assert found.frame["patients"].to_list() == [40, 200]
    assert np.isfinite(found.frame["auroc"].to_numpy()).all()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"design": "temporal"}, "first day"),
        ({"design": "leave-one-site-out"}, "names each sample's site"),
        ({"design": "guess"}, "there is no design 'guess'"),
        ({"design": "temporal", "start": date(2030, 1, 1)}, "patients on both sides"),
    ],
)
def test_a_design_that_cannot_be_says_what_it_needs(asked: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ml.validate(samples_of("binary", n=50), "logistic", **asked)  # type: ignore[arg-type]
