"""What fusion must do, whichever way: as every learner, and without a modality that a sample lacks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from medloom.foundation.errors import InputError, IntegrityError
from medloom.learners.fusion.embeddings import with_embeddings
from medloom.learners.fusion.intermediate import IntermediateFusion
from medloom.learners.fusion.late import LACKING, LateFusion, fused
from medloom.learners.fusion.learner import FusionLearner
from medloom.learners.fusion.stack import Stack
from medloom.learners.tabular.linear import LogisticLearner
from medloom.learners.tabular.trees import TreeLearner
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model
from medloom.tasks.package import load
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.survival import read_curves
from medloom.training.answers import labels_as_numbers, loss, scores_of
from tests.learners.survival.worlds import ONE
from tests.learners.survival.worlds import samples_of as prognosis_of
from tests.learners.tabular.worlds import CLASSES, LAB, NOISE, samples_of

SERIES = {"hidden": 8, "epochs": 3, "learning_rate": 0.03, "most": 32}
LINE = {"l1_ratios": [0.5], "curved": False}
WAYS: dict[str, dict[str, Any]] = {
    "late": {"members": ["logistic", "tree"], "folds": 2, "options": {"logistic": LINE}},
    "intermediate": {"members": ["gbdt", "gru-d"], "options": {"gru-d": SERIES}, "how": "intermediate"},
}
EVERY = pytest.mark.parametrize("way", list(WAYS))


@cache
def learned(way: str) -> Model:
    samples = samples_of("binary")
    return FusionLearner(**WAYS[way]).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


def unseen(n: int = 200) -> Samples:
    return samples_of("binary", n=n, seed=99)


@EVERY
def test_it_answers_better_than_the_average_and_alone_as_among_others(way: str) -> None:
    samples, model = unseen(), learned(way)
    answers = model.predict(samples).matrix(samples.question.outputs)
    y = labels_as_numbers(samples)
    average = np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)
    assert loss("binary", y, answers) < 0.7 * loss("binary", y, average)
    alone = model.predict(samples.at(17)).frame["value"].item()
    assert alone == pytest.approx(answers[17, 0], rel=1e-10)


@EVERY
def test_contributions_add_up_and_name_the_cause_before_the_noise(way: str) -> None:
    samples, model = unseen(20), learned(way)
    explanation = model.explain(samples)
    expected = scores_of("binary", model.predict(samples).matrix(samples.question.outputs))[:, 0]
    summed = explanation.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    assert summed["sample_id"].equals(samples.frame["sample_id"])
    baseline = explanation.baseline["value"].item()
    np.testing.assert_allclose(baseline + summed["contribution"].to_numpy(), expected, atol=1e-6)
    sizes = explanation.frame.drop_nulls("code").group_by("code").agg(pl.col("contribution").abs().sum())
    by_code = dict(sizes.iter_rows())
    assert by_code[LAB] > 2 * by_code.get(NOISE, 0)


def test_contributions_add_up_for_each_of_several_classes() -> None:
    samples = samples_of("multiclass", n=120)
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    members = {
        "logistic": [LogisticLearner(**LINE).fit(train, tuning)],
        "tree": [TreeLearner().fit(train, tuning)],
    }
    stack = Stack("multiclass", (0.4, 0.6), 0.9, (0.3, 0.1, 0.0), (0.0, 0.0, 0.0))
    model = LateFusion(members["tree"][0].origin, members, stack)
    answers = model.predict(tuning)
    wide = answers.frame.with_columns(score=scores_of("multiclass", answers.matrix(CLASSES)).ravel())
    explained = model.explain(tuning)
    summed = explained.frame.group_by("sample_id", "output").agg(pl.col("contribution").sum())
    both = wide.join(summed, on=["sample_id", "output"]).join(
        explained.baseline.rename({"value": "baseline"}), on="output"
    )
    assert len(both) == len(tuning) * len(CLASSES)
    np.testing.assert_allclose(both["baseline"] + both["contribution"], both["score"], atol=1e-9)


@EVERY
def test_what_is_saved_holds_its_members_and_is_loaded_the_same(way: str, tmp_path: Path) -> None:
    samples, model = unseen(), learned(way)
    digest = model.save(tmp_path / "one")
    again = load(tmp_path / "one", digest)
    assert again.save(tmp_path / "two") == digest
    assert again.predict(samples).frame.equals(model.predict(samples).frame)
    assert again.codes == model.codes
    inner = next((tmp_path / "one" / "weights").rglob("model.json"))
    inner.write_text(inner.read_text() + " ")
    with pytest.raises(IntegrityError):
        load(tmp_path / "one")


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
@EVERY
def test_every_kind_of_question_is_answered(way: str, kind: Kind) -> None:
    samples = samples_of(kind, n=80)
    members = ["linear", "gbdt"] if kind == "regression" else ["logistic", "tree"]
    how = {"members": members, "folds": 0} if way == "late" else WAYS[way]
    model = FusionLearner(**how).fit(samples.in_split("train"), samples.in_split("tuning"))
    answers = model.predict(samples).matrix(samples.question.outputs)
    assert np.isfinite(answers).all()
    if kind == "multiclass":
        np.testing.assert_allclose(answers.sum(axis=1), 1)


def test_a_learner_of_prognosis_takes_embeddings_too() -> None:
    samples = prognosis_of(ONE, n=120)
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    learner = FusionLearner(
        members=["cox", "gru-d"], how="intermediate", options={"gru-d": SERIES | {"epochs": 1}}
    )
    incidence = read_curves(learner.fit(train, tuning).predict(samples).frame, ONE).incidence
    assert (np.diff(incidence, axis=-1) >= 0).all()
    with pytest.raises(InputError, match="not stacked"):
        replace(learner, how="late").fit(train, tuning)


class Lost(Model):
    """A model that has lost its modality for every second sample."""

    def __init__(self, model: Any) -> None:
        self.model, self.origin = model, model.origin

    def predict(self, samples: Samples) -> Predictions:
        lost = pl.col("sample_id") % 2 == 0
        frame = self.model.predict(samples).frame
        return Predictions(frame.with_columns(value=pl.when(~lost).then("value")))

    def explain(self, samples: Samples) -> Any:
        return self.model.explain(samples)

    def represent(self, samples: Samples) -> NDArray[np.float32]:
        known: NDArray[np.float32] = self.model.represent(samples)
        return np.where(samples.sample_ids[:, None] % 2 == 0, np.nan, known).astype(np.float32)

    def save(self, directory: Path) -> str:
        raise NotImplementedError


def test_without_an_answer_of_a_member_the_others_answer() -> None:
    samples, whole = unseen(40), learned("late")
    assert isinstance(whole, LateFusion)
    first, second = (models[0] for models in whole.members.values())
    model = fused({"first": first, "second": Lost(second)}, samples_of("binary").in_split("tuning"))
    said = model.predict(samples).frame["value"].to_numpy()
    assert np.isfinite(said).all()
    explained = model.explain(samples)
    rows = explained.frame.group_by("sample_id", maintain_order=True).agg(pl.col("contribution").sum())
    expected = scores_of("binary", said[:, None])[:, 0]
    np.testing.assert_allclose(
        explained.baseline["value"].item() + rows["contribution"].to_numpy(), expected, atol=1e-6
    )
    lacking = explained.frame.filter(pl.col("input") == LACKING)["sample_id"]
    assert set(lacking) == set(samples.sample_ids[samples.sample_ids % 2 == 0].tolist())


def test_without_an_embedding_the_facts_answer() -> None:
    samples, model = unseen(40), learned("intermediate")
    assert isinstance(model, IntermediateFusion)
    lost = replace(model, embedders={name: Lost(one) for name, one in model.embedders.items()})
    one, other = (each.predict(samples).frame["value"].to_numpy() for each in (model, lost))
    lacking = samples.sample_ids % 2 == 0
    assert np.isfinite(other).all()
    np.testing.assert_array_equal(one[~lacking], other[~lacking])
    codes = with_embeddings(samples, lost.embedders).history().code
    assert len(codes) < len(with_embeddings(samples, model.embedders).history().code)


def test_the_better_model_counts_more_and_alone_where_the_other_is_silent() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=2000)
    y = (truth + 0.3 * rng.logistic(size=2000) > 0).astype(float)[:, None]
    scores = np.stack([3 * truth, rng.normal(size=2000)], axis=1)[:, :, None]
    stack = Stack.fit("binary", scores, y, hidden=0.0, seed=0)
    assert stack.weights[0] > 0.9
    silent = scores[:1].copy()
    silent[0, 1] = np.nan
    expected = stack.slope * scores[0, 0, 0] + stack.intercept[0]
    np.testing.assert_allclose(stack.scores(silent)[0, 0], expected)
    nobody = np.full((1, 2, 1), np.nan)
    np.testing.assert_allclose(stack.scores(nobody)[0, 0], np.log(y.mean() / (1 - y.mean())))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"members": ["gbdt"]}, "members must be"),
        ({"members": ["gbdt", "fusion"]}, "members must be"),
        ({"how": "early"}, "how must be"),
        ({"options": {"svm": {}}}, "options must be"),
        ({"members": ["gbdt", "tree"], "options": {"tree": {"branches": 3}}}, "no such argument"),
        ({"members": ["gbdt", "tree"], "how": "intermediate"}, "no embedding"),
        ({"folds": 1}, "folds must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, Any], said: str) -> None:
    samples = samples_of("binary", n=60)
    with pytest.raises(InputError, match=said):
        FusionLearner(**arguments).fit(samples.in_split("train"), samples.in_split("tuning"))
