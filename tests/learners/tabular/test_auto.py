"""The search for a blend: what it tries, keeps, gives up and goes on from."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.foundation.errors import InputError
from medloom.learners.tabular.answers import answers_of, labels_as_numbers, loss, scores_of
from medloom.learners.tabular.auto import AutoLearner, Tried, _Search
from medloom.learners.tabular.blend import BlendEstimator
from medloom.learners.tabular.model import TabularModel
from medloom.learners.tabular.problem import Problem
from medloom.tasks.kinds import Kind
from tests.learners.tabular.worlds import samples_of


def fitted(kind: Kind = "binary", **parameters: object) -> TabularModel:
    samples = samples_of(kind)
    learner = AutoLearner(**({"learners": ["tree", "logistic"], "trials": 4, "folds": 3} | parameters))
    return learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


def blend(model: TabularModel) -> BlendEstimator:
    assert isinstance(model.estimator, BlendEstimator)
    return model.estimator


def test_defaults_are_tried_first_and_every_trial_is_told() -> None:
    trials = blend(fitted()).trials
    assert [(one["learner"], one["parameters"]) for one in trials[:2]] == [("tree", {}), ("logistic", {})]
    assert len(trials) == 4
    assert all(one["parameters"] for one in trials[2:])


def test_weights_sum_to_one_and_the_best_has_the_most() -> None:
    found = blend(fitted(trials=2))
    assert sum(member.weight for member in found.members) == pytest.approx(1)
    assert max(found.members, key=lambda one: one.weight).learner == "logistic"


def test_answers_are_the_weighted_mean_of_the_members_scores() -> None:
    model, samples = fitted(), samples_of("binary", n=50, seed=9)
    found = blend(model)
    x = model.features.transform(samples).dense
    expected = sum(
        one.weight * scores_of("binary", one.estimator.predict(one.prepared(x))) for one in found.members
    )
    np.testing.assert_allclose(found.predict(x), answers_of("binary", expected), rtol=1e-12)


def test_a_search_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    first = fitted(trials=2, folder=str(tmp_path))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("000*.json")}
    again = fitted(trials=3, folder=str(tmp_path))
    assert blend(again).trials[:2] == blend(first).trials
    assert len(blend(again).trials) == 3
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items()), (
        "kept trials are not run again"
    )
    table = pl.read_csv(next(tmp_path.rglob("trials.csv")))
    assert table["learner"].head(2).to_list() == ["tree", "logistic"]


def test_other_samples_begin_another_search(tmp_path: Path) -> None:
    fitted(trials=2, folder=str(tmp_path))
    fitted("regression", trials=2, learners=["tree", "linear"], folder=str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


def test_time_ends_a_search() -> None:
    assert len(blend(fitted(minutes=1e-9, trials=50)).trials) == 1


def test_a_learner_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="'linear' cannot be searched for a binary question"):
        fitted(learners=["linear"])


def test_two_patients_with_an_answer_are_too_few_to_search_by() -> None:
    y = np.isin(np.arange(60), (3, 50)).astype(np.float64)[:, None]
    problem = Problem("binary", y, y, np.arange(60), y[:0], y[:0], np.arange(0), 0)
    with pytest.raises(InputError, match="name one learner"):
        AutoLearner(trials=1, learners=["tree"])._learn(problem)


def test_a_blend_is_no_worse_on_what_it_was_chosen_by_than_its_best_member() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 1)) < 0.4).astype(np.float64)
    problem = Problem("binary", truth, truth, np.arange(200), truth[:0], truth[:0], np.arange(0), 0)
    search = _Search(problem, {}, 3, None)
    for number in range(5):
        scores = (2 * truth - 1) + rng.normal(0, 2, (200, 1))
        search.tried.append(
            Tried(number, "any", {}, loss("binary", truth, answers_of("binary", scores)), 0.0, scores)
        )
    chosen = search.blend(3)
    assert len(chosen) <= 3
    mixed = sum(weight * one.scores for one, weight in chosen)
    assert loss("binary", truth, answers_of("binary", mixed)) <= min(one.loss for one in search.tried)


def test_a_blend_of_all_kinds_answers_better_than_chance() -> None:
    for kind, learners in (("multiclass", ["tree", "logistic"]), ("regression", ["tree", "linear"])):
        model, unseen = fitted(kind, learners=learners, trials=2), samples_of(kind, n=150, seed=99)
        y = labels_as_numbers(unseen)
        average = np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)
        assert loss(kind, y, model.predict(unseen).matrix(unseen.question.outputs)) < loss(kind, y, average)


def test_a_model_is_learned_again_with_the_blend_it_has_and_without_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, samples = fitted(), samples_of("binary")
    learner = model.relearner()
    monkeypatch.setattr(_Search, "run", lambda *given: pytest.fail("it searched"))
    again = learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)
    assert again.predict(samples).frame.equals(model.predict(samples).frame)
    assert type(learner)(**again.origin.parameters) == learner


def test_trials_are_logged_to_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fitted(trials=2, folder=str(tmp_path), track="tensorboard")
    assert any(path.stat().st_size for path in (tmp_path / "tensorboard").iterdir())


def test_trials_are_logged_to_mlflow(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    fitted(trials=2, folder=str(tmp_path), track="mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("medloom").experiment_id])
    assert {run.data.params["learner"] for run in runs} == {"tree", "logistic"}
    assert all("loss" in run.data.metrics for run in runs)


def test_logging_without_a_folder_is_refused() -> None:
    with pytest.raises(InputError, match="a folder, to track in"):
        fitted(track="mlflow")


def test_no_trial_begins_that_there_is_no_time_for() -> None:
    truth = np.arange(60)[:, None] % 2.0
    problem = Problem("binary", truth, truth, np.arange(60), truth[:0], truth[:0], np.arange(0), 0)
    search = _Search(problem, {}, 3, None)
    search.tried.append(Tried(0, "tree", {}, 0.5, 1.0, truth))
    assert search._fits("tree", 5.0, 60.0)
    assert not search._fits("tree", 1.5, 60.0), "learning the blend takes time too"
    assert search._fits("forest", 40.0, 60.0), "each learner is tried once, early on"
    assert not search._fits("forest", 20.0, 60.0)
