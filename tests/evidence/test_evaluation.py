"""`evaluate` answers the documented form for every kind, and refuses what does not fit."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from medloom.evidence.evaluation import Evaluation, evaluate
from medloom.evidence.metrics import METRICS
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, speaking

TITLE = Text2("Bleed", "出血")


@dataclass(frozen=True)
class Asked:
    kind: str = "binary"
    task: str = "bleed"
    title: Text2 = TITLE
    classes: tuple[str, ...] = ()
    unit: str | None = None


@dataclass(frozen=True)
class Frames:
    frame: pl.DataFrame
    question: Asked = Asked()
    model: str = ""


SIZE = 240


def samples(labels=None, question=Asked()) -> Frames:
    random = np.random.default_rng(0)
    labels = random.random(SIZE) < 0.3 if labels is None else labels
    frame = pl.DataFrame(
        {
            "sample_id": np.arange(SIZE),
            "subject_id": np.arange(SIZE) // 2,
            "group": np.arange(SIZE) // 2,
            "split": ["held_out"] * SIZE,
            "label": pl.Series(labels),
        }
    )
    return Frames(frame, question)


def said(values, outputs=("true",)) -> Frames:
    values = np.asarray(values, dtype=float).reshape(SIZE, len(outputs))
    return Frames(
        pl.DataFrame(
            {
                "sample_id": np.repeat(np.arange(SIZE), len(outputs)),
                "output": list(outputs) * SIZE,
                "value": values.ravel(),
            }
        )
    )


def risks(noise=0.2):
    random = np.random.default_rng(1)
    return np.clip(
        samples().frame["label"].to_numpy() * 0.2 + 0.3 + random.normal(0, noise, SIZE), 0.01, 0.99
    )


def demographics() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sample_id": np.arange(SIZE),
            "sex": (["F"] * 119 + ["M"] * 119 + [None, None]),
            "age": [30.0] * 100 + [70.0] * 138 + [10.0, None],
        }
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(
        samples(),
        said(risks()),
        demographics(),
        compared_with={"other": said(risks(0.5))},
        replicates=100,
        model="bleed.gbdt@1",
    )


def test_the_json_has_exactly_the_documented_keys(evaluation):
    found = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert list(found) == [
        "task", "model", "split", "n", "n_subjects", "prevalence", "metrics",
        "thresholds", "subgroups", "curves", "compared_with", "fairness", "reasons",
    ]  # fmt: skip
    assert (found["n"], found["n_subjects"], found["split"]) == (SIZE, SIZE // 2, "held_out")
    assert tuple(found["metrics"]) == METRICS["binary"]
    for one in found["metrics"].values():
        assert one.keys() == {"value", "low", "high"}
        assert one["low"] <= one["high"]
    assert [one["name"] for one in found["thresholds"]] == [
        "prevalence", "risk 5%", "risk 10%", "risk 20%", "risk 50%",
    ]  # fmt: skip
    assert found["curves"].keys() == {"roc", "pr", "calibration", "flexible", "decision", "histogram"}


def test_metrics_of_the_whole_are_those_of_scikit_learn(evaluation):
    from sklearn.metrics import roc_auc_score

    assert evaluation.metrics["auroc"].value == pytest.approx(
        roc_auc_score(samples().frame["label"], risks())
    )
    assert evaluation.prevalence == pytest.approx(samples().frame["label"].mean())


def test_subgroups_follow_sex_and_age_and_hide_what_a_handful_would_expose(evaluation):
    assert list(evaluation.subgroups["sex"]) == ["F", "M", "unknown"]
    assert list(evaluation.subgroups["age"]) == ["0-17", "18-44", "65-79", "unknown"]
    assert evaluation.subgroups["sex"]["F"].n == 119
    alone = evaluation.subgroups["age"]["0-17"]
    assert (alone.n, alone.prevalence) == (1, None)
    assert all(one.value is None for one in alone.metrics.values())
    assert "subgroups.age.0-17.metrics.auroc" in evaluation.to_json()["reasons"]


def test_comparisons_are_paired_with_the_constant_and_with_other_models(evaluation):
    constant = evaluation.compared_with["prevalence"]
    assert constant.metrics["auroc"].to_json() == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert constant.metrics["calibration_slope"].value is None
    other = evaluation.compared_with["other"]
    difference = evaluation.metrics["auroc"].value - other.metrics["auroc"].value
    assert other.difference["auroc"].value == pytest.approx(difference)


def test_samples_with_predictions_in_another_order_evaluate_the_same(evaluation):
    shuffled = Frames(said(risks()).frame.sample(fraction=1.0, shuffle=True, seed=3))
    again = evaluate(samples(), shuffled, replicates=10)
    assert again.metrics["auroc"].value == evaluation.metrics["auroc"].value


def test_chosen_thresholds_replace_the_usual_ones():
    found = evaluate(samples(), said(risks()), thresholds={"tuned": 0.4}, replicates=20)
    (one,) = found.thresholds
    flagged = risks() >= 0.4
    label = samples().frame["label"].to_numpy()
    assert one.found["sensitivity"].value == pytest.approx(flagged[label].mean())
    assert one.found["npv"].value == pytest.approx((~label[~flagged]).mean())
    assert one.found["flagged_per_100"].value == pytest.approx(100 * flagged.mean())


def test_a_threshold_that_flags_nobody_has_no_ppv_but_a_reason():
    found = evaluate(samples(), said(risks()), thresholds={"high": 1.0}, replicates=20)
    assert found.thresholds[0].found["ppv"].value is None
    assert "thresholds.high.ppv" in found.reasons


def test_a_given_baseline_is_what_the_constant_says():
    found = evaluate(samples(), said(risks()), baseline=0.1, replicates=20)
    label = samples().frame["label"].to_numpy()
    assert found.compared_with["prevalence"].metrics["brier"].value == pytest.approx(
        ((label - 0.1) ** 2).mean()
    )
    assert found.thresholds[0].value == 0.1


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_predictions_that_are_no_numbers_are_not_estimable(spoil):
    values = risks()
    values[3] = spoil
    found = evaluate(samples(), said(values), demographics(), replicates=20)
    assert all(one.value is None for one in found.metrics.values())
    assert all(one.value is None for row in found.thresholds for one in row.found.values())
    assert json.dumps(found.to_json(), allow_nan=False)
    assert "1 of 240" in str(found)


def test_one_class_only_is_not_estimable():
    found = evaluate(samples(np.zeros(SIZE, dtype=bool)), said(risks()), replicates=20)
    assert {one.value for one in found.metrics.values()} == {None}
    assert json.dumps(found.to_json(), allow_nan=False)


def test_regression_multiclass_and_multilabel_have_the_same_face():
    random = np.random.default_rng(5)
    values = random.normal(size=SIZE)
    regression = evaluate(
        samples(values + random.normal(size=SIZE), Asked("regression")),
        said(values, ("value",)),
        demographics(),
        replicates=30,
    )
    classes = ("a", "b", "c")
    risk = random.dirichlet(np.ones(3), SIZE)
    drawn = [classes[i] for i in random.integers(0, 3, SIZE)]
    multiclass = evaluate(
        samples(drawn, Asked("multiclass", classes=classes)), said(risk, classes), replicates=30
    )
    sets = pl.Series(
        [[name for name in classes if random.random() < 0.4] for _ in range(SIZE)], dtype=pl.List(pl.String)
    )
    multilabel = evaluate(
        samples(sets, Asked("multilabel", classes=classes)), said(risk, classes), replicates=30
    )
    for found in (regression, multiclass, multilabel):
        assert tuple(found.metrics) == METRICS[found.kind]
        assert all(one.value is not None for one in found.metrics.values()), found
        assert json.dumps(found.to_json(), allow_nan=False)
        assert str(found)
    assert sum(map(sum, multiclass.curves["confusion"]["counts"])) == SIZE


def test_what_is_printed_speaks_the_language(evaluation):
    assert "AUROC" in str(evaluation)
    assert "difference" in str(evaluation)
    with speaking("zh"):
        assert "患者" in str(evaluation)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (said(risks()).frame.head(10), "230 of 240 samples have no prediction"),
        (pl.concat([said(risks()).frame, said(risks()).frame.head(1)]), "two predictions"),
        (said(risks(), ("value",)).frame, "no prediction for output 'true'"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(frame, message):
    with pytest.raises(InputError, match=message):
        evaluate(samples(), Frames(frame))


def test_samples_that_do_not_fit_are_refused():
    unlabelled = Frames(samples().frame.with_columns(label=pl.lit(None, dtype=pl.Boolean)))
    with pytest.raises(InputError, match="no label"):
        evaluate(unlabelled, said(risks()))
    with pytest.raises(InputError, match="kind 'survival'"):
        evaluate(samples(question=Asked("survival")), said(risks()))
    with pytest.raises(InputError, match="none of the classes"):
        evaluate(samples(["x"] * SIZE, Asked("multiclass", classes=("a",))), said(risks(), ("a",)))
    with pytest.raises(InputError, match="occurs twice"):
        evaluate(Frames(samples().frame.with_columns(sample_id=pl.lit(1))), said(risks()))


def test_an_empty_split_is_not_an_error_but_not_estimable():
    found = evaluate(samples(), said(risks()), split="calibration", replicates=10)
    assert found.n == 0
    assert found.metrics["auroc"].reason.en == "there are no samples"
