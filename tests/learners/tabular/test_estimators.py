"""What is learned, against scikit-learn's own answers and by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.explanation.shapley import TreeArrays
from medloom.foundation.errors import InputError
from medloom.learners.tabular import elastic_net
from medloom.learners.tabular.estimator import Names
from medloom.learners.tabular.gbdt import GbdtLearner
from medloom.learners.tabular.linear import LinearLearner, LogisticLearner
from medloom.learners.tabular.mlp import MlpLearner
from medloom.learners.tabular.problem import Problem
from medloom.learners.tabular.svm import SvmLearner
from medloom.learners.tabular.trees import ForestLearner, TreeLearner, TreesEstimator
from medloom.tasks.kinds import Kind
from medloom.training.networks import typical_rows
from medloom.training.preparation import Preparation
from medloom.training.products import product
from tests.learners.tabular.worlds import question_of, samples_of


def problem_of(kind: Kind, n: int = 300, missing: float = 0.0, tuning: int = 100) -> Problem:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n + tuning, 5)).astype(np.float32)
    score = 2 * x[:, 0] - x[:, 1]
    x[rng.random(x.shape) < missing] = np.nan
    if kind == "multiclass":
        y = np.eye(3)[np.digitize(score, [-1, 1])]
    elif kind == "binary":
        y = (score + rng.logistic(size=len(score)) > 0)[:, None].astype(np.float64)
    else:
        y = (score + rng.normal(size=len(score)))[:, None]
    return Problem(kind, x[:n], y[:n], np.arange(n), x[n:], y[n:], np.arange(n, len(x)), 5)


def prepared(problem: Problem) -> Problem:
    preparation = Preparation.fit(problem.x, curved=False)
    return replace(
        problem, x=preparation.transform(problem.x), x_tuning=preparation.transform(problem.x_tuning)
    )


def test_ridge_lasso_and_logistic_agree_with_scikit_learn() -> None:
    from sklearn.linear_model import ElasticNet, LogisticRegression

    value = prepared(problem_of("regression"))
    [line] = elastic_net.path("regression", value.x, value.y, 0.5, np.array([0.1]))
    peer = ElasticNet(alpha=0.1, l1_ratio=0.5, tol=1e-9, max_iter=10_000).fit(value.x, value.y[:, 0])
    np.testing.assert_allclose(line.weights[:, 0], peer.coef_, atol=1e-3)
    np.testing.assert_allclose(line.intercept, peer.intercept_, atol=1e-3)

    risk = prepared(problem_of("binary"))
    [line] = elastic_net.path("binary", risk.x, risk.y, 0.0, np.array([0.05]))
    peer = LogisticRegression(C=1 / (0.05 * len(risk.x)), tol=1e-9, max_iter=1000).fit(risk.x, risk.y[:, 0])
    np.testing.assert_allclose(line.weights[:, 0], peer.coef_[0], atol=1e-3)

    classes = prepared(problem_of("multiclass"))
    [line] = elastic_net.path("multiclass", classes.x, classes.y, 0.0, np.array([0.05]))
    target = classes.y.argmax(axis=1)
    peer = LogisticRegression(C=1 / (0.05 * len(target)), tol=1e-9, max_iter=1000).fit(classes.x, target)
    np.testing.assert_allclose(line.weights, peer.coef_.T, atol=2e-3)


def test_the_strongest_penalty_leaves_no_weight_and_weaker_ones_leave_more() -> None:
    problem = prepared(problem_of("binary"))
    along = elastic_net.strengths("binary", problem.x, problem.y, 1.0)
    lines = list(elastic_net.path("binary", problem.x, problem.y, 1.0, along))
    counts = [int((np.abs(line.weights) > 1e-6).sum()) for line in lines]
    assert counts[0] == 0
    assert counts[-1] == 5
    assert counts[3] <= 2


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("learner", [TreeLearner(), ForestLearner(n_trees=20)])
def test_trees_answer_as_scikit_learns_do_missing_values_included(learner: TreeLearner, kind: Kind) -> None:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    from medloom.foundation.seeds import derive

    problem = problem_of(kind, missing=0.2)
    y = problem.y.argmax(axis=1) if kind == "multiclass" else problem.y[:, 0]
    state = {"random_state": derive(problem.seed, learner.name), "min_samples_leaf": learner.min_leaf}
    if learner.name == "tree":
        peer = (DecisionTreeRegressor if kind == "regression" else DecisionTreeClassifier)(
            max_depth=4, **state
        )
    else:
        made = RandomForestRegressor if kind == "regression" else RandomForestClassifier
        peer = made(n_estimators=20, max_features="sqrt", **state)
    peer.fit(problem.x, y)
    ours = learner._learn(problem).predict(problem.x_tuning)
    theirs = (
        peer.predict(problem.x_tuning)[:, None]
        if kind == "regression"
        else peer.predict_proba(problem.x_tuning)
    )
    if kind == "binary":
        theirs = theirs[:, 1:]
    # classifiers differ by the one average sample that each leaf is given more
    np.testing.assert_allclose(
        ours, theirs, atol=1e-10 if kind == "regression" else 1 / (1 + learner.min_leaf)
    )
    if kind == "regression":
        assert np.corrcoef(ours[:, 0], problem.y_tuning[:, 0])[0, 1] > 0.6


def test_a_tree_is_read_as_rules_with_readable_names() -> None:
    samples = samples_of("binary")
    model = TreeLearner(max_depth=1).fit(samples.in_split("train"), samples.in_split("tuning"))
    lines = model.as_text().splitlines()
    assert lines[0].startswith("if LOINC//lab last ")
    assert lines[0].endswith(":")
    assert lines[2] == "otherwise:"
    counts = [int(line.rsplit("(", 1)[1].split()[0]) for line in (lines[1], lines[3])]
    assert sum(counts) == 300


def test_rules_say_where_an_unknown_value_goes() -> None:
    problem = problem_of("binary", missing=0.3)
    text = TreeLearner(max_depth=2)._learn(problem).as_text(Names(list("abcde"), ["true"]))
    assert " or not known:" in text or " and known:" in text


def test_rules_ask_whether_a_value_is_known_where_that_is_all_that_counts() -> None:
    leaf = np.array([1, -1, -1])
    tree = TreeArrays(
        left=leaf,
        right=np.array([2, -1, -1]),
        feature=np.array([0, -2, -2]),
        threshold=np.array([np.inf, -2, -2]),
        missing_left=np.zeros(3, bool),
        value=np.array([[0.5], [0.25], [0.75]]),
        cover=np.array([80.0, 40.0, 40.0]),
    )
    rules = TreesEstimator("binary", [tree], np.ones(1), np.ones(1, bool))
    assert rules.as_text(Names(["lactate"], ["true"])).splitlines() == [
        "if lactate is known:",
        "    → 25.0% (40 training samples)",
        "otherwise:",
        "    → 75.0% (40 training samples)",
    ]


def test_a_linear_model_is_read_as_weights_the_largest_first() -> None:
    samples = samples_of("regression")
    model = LinearLearner(curved=False).fit(samples.in_split("train"), samples.in_split("tuning"))
    lines = model.as_text().splitlines()
    assert lines[0].startswith("value: begins at")
    assert "LOINC//lab" in lines[1]


def test_a_forest_has_no_rules_to_read() -> None:
    samples = samples_of("binary")
    model = ForestLearner(n_trees=2).fit(samples.in_split("train"), samples.in_split("tuning"))
    with pytest.raises(InputError, match="learn a tree"):
        model.as_text()


def test_no_leaf_claims_certainty() -> None:
    problem = problem_of("binary")
    answers = TreeLearner(max_depth=8, min_leaf=1)._learn(problem).predict(problem.x)
    assert 0 < answers.min() < 0.1
    assert 0.9 < answers.max() < 1


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 40])
@pytest.mark.parametrize("width", [1, 3, 32])
def test_a_products_row_is_the_same_whatever_its_neighbours(rows: int, width: int) -> None:
    rng = np.random.default_rng(rows)
    x, weights = rng.normal(size=(50, 333)), rng.normal(size=(333, width))
    whole = product(x, weights)
    np.testing.assert_allclose(whole, x @ weights, rtol=1e-10)
    for start in (0, 1, 7):
        assert (product(x[start : start + rows], weights) == whole[start : start + rows]).all()


def test_a_typical_row_is_the_mean_of_at_least_twenty_samples() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(65, 2))
    rows = typical_rows(x, x[:, :1])
    assert len(rows) == 3
    ordered = x[np.argsort(x[:, 0])]
    np.testing.assert_allclose(rows[0], ordered[:22].mean(axis=0))


@pytest.mark.parametrize(
    "learner", [MlpLearner(n_models=1), SvmLearner(n_components=50), SvmLearner(kernel="linear")]
)
def test_no_training_sample_stands_in_the_package(learner: MlpLearner | SvmLearner, tmp_path: Path) -> None:
    samples = samples_of("binary")
    train = samples.in_split("train")
    model = learner.fit(train, samples.in_split("tuning"))
    model.save(tmp_path / "package")
    assert model.preparation is not None
    rows = model.preparation.transform(np.ascontiguousarray(model.features.transform(train).values))
    for path in (tmp_path / "package" / "weights").rglob("*.npy"):
        array = np.load(path)
        if array.ndim == 2 and array.shape[1] == rows.shape[1]:
            nearest = np.abs(array[:, None] - rows[None]).max(axis=2).min()
            assert nearest > 0.1, path.name


@pytest.mark.parametrize(
    "learner",
    [
        LogisticLearner(),
        TreeLearner(),
        ForestLearner(n_trees=20),
        SvmLearner(n_components=100, costs=(1.0,)),
        MlpLearner(n_models=1, max_epochs=30),
        GbdtLearner(n_models=1),
    ],
)
def test_two_classes_asked_as_several_get_an_answer_each(learner: LogisticLearner) -> None:
    samples = samples_of("multiclass")
    named = samples.frame.with_columns(pl.col("label").replace({"middle": "low"}))
    question = question_of("multiclass").model_copy(update={"classes": ("high", "low")})
    two = replace(samples, frame=named, question=question)
    model = learner.fit(two.in_split("train"), two.in_split("tuning"))
    answers = model.predict(two).matrix(("high", "low"))
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-12)
    assert answers[named["label"].to_numpy() == "high", 0].mean() > 0.6


def test_settings_are_judged_by_folds_of_patients_when_tuning_is_small() -> None:
    plain = problem_of("binary", tuning=10)
    patients = np.arange(len(plain.y) + 10) // 3
    x, y = plain.together()
    marked = np.column_stack([patients, x[:, 1:]])  # so that a row tells whose it is
    n = len(plain.y)
    problem = replace(
        plain, x=marked[:n], x_tuning=marked[n:], groups=patients[:n], groups_tuning=patients[n:]
    )
    assert not problem.can_judge
    trials = list(problem.trials(5))
    assert len(trials) == 5
    assert sum(len(trial.x_judge) for trial in trials) == len(y), "tuning samples are among the folds"
    for trial in trials:
        assert not set(trial.x[:, 0]) & set(trial.x_judge[:, 0])


def test_settings_are_judged_on_tuning_samples_when_there_are_enough() -> None:
    problem = problem_of("binary", tuning=1200)
    [trial] = problem.trials()
    assert trial.x_judge is problem.x_tuning


def test_two_patients_of_a_class_are_needed_to_choose_settings() -> None:
    problem = problem_of("binary", tuning=0)
    y = np.zeros_like(problem.y)
    y[0] = 1
    with pytest.raises(InputError, match="at least two patients"):
        LogisticLearner()._learn(prepared(replace(problem, y=y)))


@pytest.mark.parametrize(
    ("learner", "said"),
    [
        (LogisticLearner(l1_ratios=(2.0,)), "l1_ratios must be one or more numbers from 0 to 1, not [2.0]"),
        (TreeLearner(max_depth=0), "max_depth must be 1 or more, not 0"),
        (ForestLearner(max_features=2.0), "max_features must be sqrt, or a share up to 1, not 2.0"),
        (SvmLearner(kernel="poly"), "kernel must be rbf or linear, not 'poly'"),
        (MlpLearner(hidden=()), "hidden must be one or more numbers of units, not []"),
        (GbdtLearner(learning_rate=0), "learning_rate must be above 0 and up to 1, not 0"),
        (GbdtLearner(max_bin=1), "max_bin must be 2 or more, not 1"),
        (GbdtLearner(min_leaf=-1), "min_leaf must be 1 or more, not -1"),
        (GbdtLearner(lambda_l2=-5), "lambda_l2 must be 0 or more, not -5"),
        (GbdtLearner(lambda_l2=float("nan")), "lambda_l2 must be a number, not nan"),
        (GbdtLearner(n_models="3x"), "n_models must be a whole number, not '3x'"),
        (GbdtLearner(min_leaf="2"), "min_leaf must be a whole number or None, not '2'"),
        (GbdtLearner(extra_trees=1), "extra_trees must be True or False, not 1"),
        (
            GbdtLearner(windows="6h"),
            "windows must be a list of texts, such as ['24h', 'ever'] or None, not '6h'",
        ),
        (GbdtLearner(windows=["-6h"]), "a window of '-6h' holds nothing"),
        (ForestLearner(n_trees=10.5), "n_trees must be a whole number, not 10.5"),
        (ForestLearner(max_features="log2"), "max_features must be sqrt, or a share up to 1, not 'log2'"),
        (LogisticLearner(l1_ratios=0.5), "l1_ratios must be a list of numbers, such as [0.1, 0.5], not 0.5"),
        (MlpLearner(hidden=64), "hidden must be a list of whole numbers, such as [64, 32], not 64"),
        (SvmLearner(kernel=3), "kernel must be a text, not 3"),
    ],
)
def test_arguments_are_checked_by_fit_and_the_rule_is_named(learner: LogisticLearner, said: str) -> None:
    samples = samples_of("binary", n=40)
    with pytest.raises(InputError) as refused:
        learner.fit(samples.in_split("train"), samples.in_split("tuning"))
    assert said in str(refused.value)


def test_arguments_stand_in_the_package_unchanged(tmp_path: Path) -> None:
    samples = samples_of("regression", n=300)
    learner = LinearLearner(l1_ratios=(0.5,), curved=False, windows=("24h", "ever"))
    learner.fit(samples.in_split("train"), samples.in_split("tuning"), seed=9).save(tmp_path / "package")
    content = json.loads((tmp_path / "package" / "model.json").read_text())
    assert content["parameters"] == {
        "l1_ratios": [0.5],
        "curved": False,
        "refit": True,
        "windows": ["24h", "ever"],
    }
    assert content["seed"] == 9
    assert learner.l1_ratios == (0.5,)


def test_another_seed_gives_another_forest(tmp_path: Path) -> None:
    samples = samples_of("binary")
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    models = [ForestLearner(n_trees=3).fit(train, tuning, seed=seed) for seed in (1, 2)]
    assert not models[0].predict(tuning).frame.equals(models[1].predict(tuning).frame)


def test_boosting_learns_the_same_from_sparse_inputs() -> None:
    from scipy.sparse import csr_matrix

    problem = problem_of("binary")
    x, x_tuning = (np.where(part > 0, part, 0).astype(np.float32) for part in (problem.x, problem.x_tuning))
    dense = GbdtLearner(n_models=1)._learn(replace(problem, x=x, x_tuning=x_tuning))
    sparse = GbdtLearner(n_models=1)._learn(replace(problem, x=csr_matrix(x), x_tuning=csr_matrix(x_tuning)))
    np.testing.assert_allclose(dense.predict(x_tuning), sparse.predict(x_tuning), atol=1e-9)
