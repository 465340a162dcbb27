"""Ranges and sets hold the truth as often as they say, on the whole and within the groups asked for."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from medloom.foundation import registry
from medloom.foundation.errors import InputError, LeakageError
from medloom.tasks import package
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples
from medloom.training.conformal import Ranks, adaptive_scores, least_patients
from medloom.training.conformal_model import ConformalModel, Scheme, conformal
from medloom.training.recalibration import recalibrated
from tests.training.worlds import samples_of, saying

Floats = NDArray[np.float64]
LEARNERS = {"binary": "logistic", "multiclass": "logistic", "regression": "linear"}


@cache
def learned(kind: Kind) -> Model:
    samples = samples_of(kind)
    learner = registry.load("medloom.learners", LEARNERS[kind])()
    return learner.fit(samples.in_split("train"), samples.in_split("tuning"))


def with_labels(samples: Samples, labels: Floats) -> Samples:
    return replace(
        samples, frame=samples.frame.with_columns(label=pl.Series(labels, dtype=samples.frame["label"].dtype))
    )


def noisy(n: int, seed: int) -> tuple[Samples, Floats]:
    """Values that a model says are 0, and that are five times as far off for men."""
    samples = samples_of("regression", n=n)
    is_man = np.array(samples.history(columns=("text_value",)).columns["text_value"].to_pylist())
    is_man = is_man[is_man != None] == "M"  # noqa: E711
    return with_labels(samples, np.random.default_rng(seed).normal(0, np.where(is_man, 5, 1))), is_man


def covered(model: ConformalModel, samples: Samples) -> NDArray[np.bool_]:
    frame = model.predict(samples).frame
    truth = samples.frame["label"].to_numpy()
    return (frame["low"].to_numpy() <= truth) & (truth <= frame["high"].to_numpy())


def test_a_range_by_hand() -> None:
    """Nine patients, the model says 0, truths 1 to 9: nine of ten new patients lie within ± 9, eight of ten ± 8."""
    samples = samples_of("regression", n=9)
    samples = with_labels(samples, np.arange(1.0, 10.0))
    samples = replace(samples, frame=samples.frame.with_columns(split=pl.lit("calibration")))
    made = conformal(saying(samples, np.zeros((9, 1))), samples, level=0.9)
    assert made.predict(samples).frame.select("value", "low", "high").row(0) == (0.0, -9.0, 9.0)
    assert made.at_level(0.8).predict(samples).frame.select("low", "high").row(0) == (-8.0, 8.0)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_truth_lies_inside_as_often_as_said(level: float) -> None:
    shares = []
    for seed in range(30):
        samples, _ = noisy(400, seed)
        model = saying(samples, np.zeros((400, 1)))
        made = conformal(model, samples.in_split("calibration"), level=level)
        shares.append(covered(made, samples.in_split("held_out")).mean())
    assert np.mean(shares) == pytest.approx(level, abs=0.03)


def test_it_holds_within_sexes_only_when_asked_for() -> None:
    samples, is_man = noisy(4000, 0)
    model, held_out = saying(samples, np.zeros((4000, 1))), samples.in_split("held_out")
    is_man = is_man[(samples.frame["split"] == "held_out").to_numpy()]
    plain = covered(conformal(model, samples.in_split("calibration")), held_out)
    by_sex = covered(conformal(model, samples.in_split("calibration"), by=["sex"]), held_out)
    assert plain[is_man].mean() < 0.85 < 0.95 < plain[~is_man].mean()
    assert by_sex[is_man].mean() == pytest.approx(0.9, abs=0.04)
    assert by_sex[~is_man].mean() == pytest.approx(0.9, abs=0.04)


def test_a_group_with_too_few_patients_is_answered_for_by_everyone() -> None:
    samples, _ = noisy(200, 0)
    made = conformal(
        saying(samples, np.zeros((200, 1))),
        samples.in_split("calibration"),
        by=["sex", "age"],
        level=0.99 - 0.02,
    )
    assert set(made.told) == {"everyone"}
    assert np.isfinite(made.predict(samples).frame["low"].to_numpy()).all()


def test_two_quantile_models_are_moved_by_what_they_lack() -> None:
    """Ranges as wide as they should be for each patient, once both ends are moved by the same amount."""
    samples, is_man = noisy(4000, 1)
    spread = np.where(is_man, 5.0, 1.0)[:, None]
    middle, low, high = (saying(samples, factor * spread) for factor in (0.0, -1.0, 1.0))
    made = conformal(middle, samples.in_split("calibration"), between=(low, high))
    assert made.scheme == "quantiles"
    frame = made.predict(samples.in_split("held_out")).frame
    width = (frame["high"] - frame["low"]).to_numpy()
    assert covered(made, samples.in_split("held_out")).mean() == pytest.approx(0.9, abs=0.03)
    assert len(np.unique(width.round(6))) == 2


def test_crossing_quantiles_meet_in_the_middle() -> None:
    samples = with_labels(samples_of("regression", n=100), np.zeros(100))
    low, high = saying(samples, np.ones((100, 1))), saying(samples, -np.ones((100, 1)))
    made = conformal(low, samples.in_split("calibration"), between=(low, high))
    frame = made.predict(samples.in_split("held_out")).frame
    assert (frame["low"] <= frame["high"]).all()


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_sets_of_classes_hold_the_true_one(penalty: float) -> None:
    samples = samples_of("multiclass", n=4000, seed=3)
    made = conformal(learned("multiclass"), samples.in_split("calibration"), penalty=penalty)
    held_out = samples.in_split("held_out")
    sets = made.sets(held_out)
    true = sets.join(held_out.frame.select("sample_id", "label"), on="sample_id").filter(
        pl.col("output") == pl.col("label")
    )
    assert true["in_set"].mean() == pytest.approx(0.9, abs=0.04)
    sizes = sets.group_by("sample_id").agg(pl.col("in_set").sum())["in_set"]
    assert 1 <= sizes.mean() < 3
    assert sizes.n_unique() > 1
    assert made.predict(held_out).frame["in_set"].equals(sets["in_set"])


def test_the_p_value_is_above_the_rest_for_what_is_in() -> None:
    samples = samples_of("multiclass", n=1000, seed=3)
    sets = conformal(learned("multiclass"), samples.in_split("calibration")).sets(
        samples.in_split("held_out")
    )
    likeliest = pl.col("value") == pl.col("value").max().over("sample_id")
    assert sets.filter("in_set", ~likeliest)["p_value"].min() > 0.1
    assert sets.filter(~pl.col("in_set"))["p_value"].max() <= 0.1


def test_summed_chances_by_hand() -> None:
    """Ranked 0.5, 0.3, 0.2; with 0.1 for each rank beyond the first."""
    found = adaptive_scores(np.array([[0.2, 0.5, 0.3]]), penalty=0.1, free=1)
    np.testing.assert_allclose(found, [[1.2, 0.5, 0.9]])


def test_risks_get_bounds_and_lie_between() -> None:
    samples = samples_of("binary", n=1000, seed=4)
    made = conformal(learned("binary"), samples.in_split("calibration"))
    frame = made.predict(samples.in_split("held_out")).frame
    assert (frame["low"] <= frame["value"]).all()
    assert (frame["value"] <= frame["high"]).all()
    # patients keep their order, and reasons add up to the answer
    assert frame["value"].equals(learned("binary").predict(samples.in_split("held_out")).frame["value"])
    assert made.explain(samples.in_split("held_out")).additive


def test_a_patient_with_many_samples_counts_once() -> None:
    one_each = Ranks.of(np.arange(1.0, 20.0), np.arange(19))
    last_repeated = Ranks.of(
        np.append(np.arange(1.0, 20.0), [30.0] * 50), np.append(np.arange(19), [99] * 50)
    )
    assert one_each.quantile(0.9) == 18.0
    assert last_repeated.patients == 20
    assert last_repeated.quantile(0.9) == 19.0  # 20 patients: the 19th of 21


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_least_number_of_patients_is_the_first_with_a_finite_range(level: float) -> None:
    least = least_patients(level)
    assert np.isfinite(Ranks.of(np.arange(float(least)), np.arange(least)).quantile(level))
    assert np.isinf(Ranks.of(np.arange(float(least - 1)), np.arange(least - 1)).quantile(level))


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("regression", "residual"),
        ("regression", "quantiles"),
        ("multiclass", "adaptive"),
        ("binary", "venn-abers"),
    ],
)
def test_a_package_gives_the_same_answers_again(kind: Kind, scheme: Scheme, tmp_path: Path) -> None:
    samples = samples_of(kind, n=700)
    inner = learned(kind)
    between = (inner, inner) if scheme == "quantiles" else None
    made = conformal(
        recalibrated(inner, samples.in_split("calibration"), "slope"),
        samples.in_split("calibration"),
        scheme,
        by=["sex"],
        between=between,
    )
    digest = made.save(tmp_path / "package")
    again = package.load(tmp_path / "package", digest)
    assert isinstance(again, ConformalModel)
    held_out = samples.in_split("held_out")
    assert again.predict(held_out).frame.equals(made.predict(held_out).frame)
    if scheme == "adaptive":
        assert again.sets(held_out).equals(made.sets(held_out))
    assert again.save(tmp_path / "again") == digest


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_one_patient_gets_the_numbers_of_many(kind: Kind) -> None:
    samples = samples_of(kind)
    made = conformal(learned(kind), samples.in_split("calibration"), by=["sex"])
    held_out = samples.in_split("held_out")
    alone = made.predict(held_out.where(pl.int_range(pl.len()) == 5)).frame
    np.testing.assert_allclose(
        alone.select("value", "low", "high").to_numpy(),
        made.predict(held_out).frame.select("value", "low", "high").to_numpy()[5:6],
        rtol=1e-12,
    )


def test_nobody_is_answered_for_in_an_empty_list() -> None:
    samples = samples_of("regression")
    made = conformal(learned("regression"), samples.in_split("calibration"), by=["sex"])
    assert made.predict(samples.where(pl.lit(False))).frame.height == 0


def test_a_model_with_ranges_is_not_recalibrated_from_outside() -> None:
    samples = samples_of("binary")
    made = conformal(learned("binary"), samples.in_split("calibration"))
    with pytest.raises(InputError, match="take the model inside it"):
        recalibrated(made, samples.in_split("calibration"))


def test_held_out_samples_are_refused() -> None:
    with pytest.raises(LeakageError):
        conformal(learned("regression"), samples_of("regression"))


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        (
            "regression",
            {"level": 0.999},
            "120 calibration patients are too few to be right for 100%; at least 999",
        ),
        ("regression", {"level": 90}, "not between 0 and 1"),
        ("regression", {"scheme": "adaptive"}, "these do: residual, quantiles"),
        ("regression", {"scheme": "quantiles"}, "hand them in"),
        ("regression", {"by": ["site"]}, "within sex, age, not within site"),
    ],
)
def test_what_cannot_be_promised_is_refused(kind: Kind, asked: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        conformal(learned(kind), samples_of(kind).in_split("calibration"), **asked)  # type: ignore[arg-type]


def test_sets_of_values_are_refused() -> None:
    samples = samples_of("regression")
    with pytest.raises(InputError, match="sets are made of classes"):
        conformal(learned("regression"), samples.in_split("calibration")).sets(samples)
