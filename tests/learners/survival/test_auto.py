"""The blend of prognosis: what it is made of, and how its weights come about."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError
from medloom.learners.survival import auto
from medloom.learners.survival.auto import SurvivalAutoLearner, stacked
from tests.learners.survival.worlds import ONE, samples_of

QUICK = (("aft", {"shapes": ["weibull"], "strengths": [0.1]}),)


def frame_of(n: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, n))
    latent, censored = rng.exponential(np.exp(-x)), rng.exponential(1.5, n)
    time = np.minimum(latent, censored)
    return pl.DataFrame({"x": x, "z": z, "time": time, "event": (latent <= censored).astype(int)})


def test_auto_means_the_blend_where_the_question_is_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "_SETTINGS", QUICK)
    asked = {"learners": ["aft", "kaplan-meier"], "folds": 2}
    trained = ml.train(frame_of(), "auto", time="time", event="event", ranges=False, **asked)
    assert trained.model.origin.learner == "survival-auto"
    weights = {one.learner: one.weight for one in trained.model.estimator.members}
    assert sum(weights.values()) == pytest.approx(1)
    assert max(weights, key=weights.__getitem__) == "aft"  # the average looks at nothing
    loss = {one["learner"]: one["loss"] for one in trained.model.estimator.trials}
    assert loss["aft"] < loss["kaplan-meier"]


def test_weights_are_shared_where_errors_cancel_and_few_members_are_kept() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 500))
    errors = np.column_stack([one, other, 3 * rng.normal(size=500)])
    products = errors[:, :, None] * errors[:, None, :]
    shares = stacked(products, np.arange(500), 3, 0)
    np.testing.assert_allclose(shares[:2], 0.45, atol=0.1)
    assert (stacked(products, np.arange(500), 1, 0) > 0).sum() == 1


def test_without_pytorch_its_learners_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def named() -> set[str]:
        return {kind.name for kind, _ in auto._candidates(None, 1)}

    assert {"deepsurv", "discrete-hazard", "cox", "aft"} <= named()
    assert not {"fine-gray", "kaplan-meier", "survival-auto"} & named()
    monkeypatch.setattr("medloom.training.descent.find_spec", lambda _: None)
    assert "cox" in named() and "deepsurv" not in named()


def test_what_is_no_learner_of_prognosis_or_cannot_learn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(ONE, n=80)
    train, none = samples.in_split("train"), samples.in_split("train").where(pl.lit(False))
    with pytest.raises(InputError, match="'gbdt' does not answer survival questions"):
        SurvivalAutoLearner(learners=["gbdt"]).fit(train, none)
    happened = pl.int_range(pl.len()) < 2
    two = pl.when(happened).then(pl.lit("death")).otherwise(None)
    label = pl.struct(pl.col("label").struct.field("time") + 0.1, two.alias("event")).alias("label")
    few = replace(train, frame=train.frame.with_columns(label))
    monkeypatch.setattr(auto, "_SETTINGS", QUICK)
    with pytest.raises(InputError, match="too few samples to choose settings by"):
        SurvivalAutoLearner(learners=["aft"], folds=2).fit(few, none)
