"""Rates by group and the gaps between groups."""

import numpy as np
import polars as pl
import pytest

from medloom.evidence.answers import Answers, binary_answers, regression_answers
from medloom.evidence.fairness import fairness


def world(n: int = 600, unfair: float = 0.0, seed: int = 0) -> tuple[object, pl.Series, pl.DataFrame]:
    """Outcomes with the same risks in both sexes; the model says `unfair` less log-odds for women."""
    random = np.random.default_rng(seed)
    sex = np.where(random.random(n) < 0.5, "F", "M")
    score = random.normal(-0.5, 1.5, n)
    truth = random.random(n) < 1 / (1 + np.exp(-score))
    risk = 1 / (1 + np.exp(-(score - unfair * (sex == "F"))))
    ids = pl.Series("sample_id", np.arange(n))
    people = pl.DataFrame({"sample_id": ids, "sex": sex, "age": random.uniform(20, 90, n)})
    return binary_answers(truth, risk), ids, people


def test_of_many_groups_that_do_not_differ_hardly_any_is_said_to_lie_apart() -> None:
    said = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        risk = random.beta(2, 3, 900)
        people = pl.DataFrame({"sample_id": range(900), "race": [f"g{at % 6}" for at in range(900)]})
        answers = binary_answers(random.random(900) < risk, risk)
        found = fairness(answers, people["sample_id"], people, replicates=100)["race"]
        said.append(((found.gaps["equalised_odds"].low or 0) > 0, found.apart("equalised_odds")))
    of_two, of_six = np.sum(said, axis=0)
    assert of_six <= 2 < of_two, "the interval alone is one of two groups that were not looked for"


def test_rates_are_those_counted_by_hand() -> None:
    answers, ids, people = world()
    found = fairness(answers, ids, people, 0.5, replicates=50)["sex"]
    women = (people["sex"] == "F").to_numpy()
    flagged = answers.predicted >= 0.5
    by_hand = {
        "selection_rate": flagged[women].mean(),
        "sensitivity": flagged[women & answers.truth].mean(),
        "false_positive_rate": flagged[women & ~answers.truth].mean(),
        "ppv": answers.truth[women & flagged].mean(),
        "observed_to_expected": answers.truth[women].sum() / answers.predicted[women].sum(),
    }
    for name, value in by_hand.items():
        assert found.groups["F"][name].value == pytest.approx(value), name
    assert found.gaps["sensitivity"].value == pytest.approx(
        abs(found.groups["F"]["sensitivity"].value - found.groups["M"]["sensitivity"].value)
    )


def test_a_model_that_understates_women_is_seen() -> None:
    answers, ids, people = world(2000, unfair=1.5)
    found = fairness(answers, ids, people, 0.5, replicates=200)["sex"]
    assert found.gaps["equalised_odds"].low > 0.1
    assert found.between["sensitivity"] == ("F", "M")
    assert found.groups["F"]["observed_to_expected"].low > 1.2


def test_pairs_are_compared_where_they_are_large_enough() -> None:
    answers, ids, people = world(2000)
    assert "sex × age" in fairness(answers, ids, people, 0.5, replicates=20)
    few, ids, people = world(60)
    assert "sex × age" not in fairness(few, ids, people, 0.5, replicates=20)


@pytest.mark.parametrize("n", [3, 100])
def test_a_group_of_two_is_named_with_the_reason(n: int) -> None:
    answers, ids, people = world(n)
    two = people.with_columns(
        sex=pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("F")).otherwise(pl.lit("M"))
    )
    found = fairness(answers, ids, two, 0.5, replicates=20)["sex"]
    assert {one.reason.en for one in found.groups["F"].values()} == {
        "too few subjects; at least 10 are needed"
    }
    assert {one.value for one in found.gaps.values()} == {None}
    assert all("fewer than two groups" in one.reason.en for one in found.gaps.values())


def test_a_group_without_outcomes_has_no_sensitivity_but_a_reason() -> None:
    answers, ids, people = world(200)
    truth = answers.truth & (people["sex"] == "M").to_numpy()
    found = fairness(binary_answers(truth, answers.predicted), ids, people, 0.5, replicates=20)["sex"]
    assert found.groups["F"]["sensitivity"].value is None
    assert "with the outcome" in found.groups["F"]["sensitivity"].reason.en
    assert found.gaps["sensitivity"].value is None
    assert found.gaps["equalised_odds"].value is None


def test_calibration_within_groups_is_that_of_the_group_alone() -> None:
    from medloom.evidence.metrics import Binary

    answers, ids, people = world(900, unfair=1.0)
    found = fairness(answers, ids, people, 0.5, replicates=100)["sex"]
    women = answers.where((people["sex"] == "F").to_numpy())
    alone = Binary(women.truth, women.predicted)()
    for name in ("calibration_intercept", "calibration_slope", "ece"):
        assert found.groups["F"][name].value == pytest.approx(float(alone[name]), abs=1e-9), name
    assert found.gaps["calibration_intercept"].low > 0.4


def several(n: int = 500) -> tuple[Answers, pl.Series, pl.DataFrame]:
    """One of three classes, which is told the worse of men, and of which one never occurs in those of no sex."""
    random = np.random.default_rng(1)
    sex = np.array(["F", "M", "other"])[random.choice(3, n, p=[0.45, 0.45, 0.1])]
    truth = np.where(sex == "other", random.integers(2, size=n), random.integers(3, size=n))
    score = random.normal(size=(n, 3)) + 2 * (truth[:, None] == np.arange(3)) * (sex != "M")[:, None]
    shares = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    ids = pl.Series("sample_id", np.arange(n))
    answers = Answers("multiclass", truth, shares, np.arange(n), ("home", "ward", "died"))
    return answers, ids, pl.DataFrame({"sample_id": ids, "sex": sex})


def test_rates_agree_with_fairlearn() -> None:
    from fairlearn.metrics import (
        MetricFrame,
        equalized_odds_difference,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )
    from sklearn.metrics import accuracy_score, mean_absolute_error, precision_score, roc_auc_score

    answers, ids, people = world(700, unfair=0.7)
    sex = people["sex"].to_numpy()
    flagged = answers.predicted >= 0.4
    found = fairness(answers, ids, people, 0.4, replicates=0)["sex"]
    theirs = {
        "selection_rate": selection_rate,
        "sensitivity": true_positive_rate,
        "false_positive_rate": false_positive_rate,
        "ppv": precision_score,
    }
    frame = MetricFrame(metrics=theirs, y_true=answers.truth, y_pred=flagged, sensitive_features=sex)
    areas = MetricFrame(
        metrics={"auroc": roc_auc_score},
        y_true=answers.truth,
        y_pred=answers.predicted,
        sensitive_features=sex,
    )
    for name, by_group, gap in (
        *((name, frame.by_group[name], frame.difference()[name]) for name in theirs),
        ("auroc", areas.by_group["auroc"], areas.difference()["auroc"]),
    ):
        for group in ("F", "M"):
            assert found.groups[group][name].value == pytest.approx(by_group[group], abs=1e-9), name
        assert found.gaps[name].value == pytest.approx(gap, abs=1e-9), name
    odds = equalized_odds_difference(answers.truth, flagged, sensitive_features=sex)
    assert found.gaps["equalised_odds"].value == pytest.approx(odds, abs=1e-9)

    answers, ids, people = several()
    sex = people["sex"].to_numpy()
    found = fairness(answers, ids, people, replicates=0)["sex"]
    chosen = answers.predicted.argmax(axis=1)
    right = MetricFrame(metrics=accuracy_score, y_true=answers.truth, y_pred=chosen, sensitive_features=sex)
    died = MetricFrame(
        metrics=true_positive_rate, y_true=answers.truth == 2, y_pred=chosen == 2, sensitive_features=sex
    )
    for group in ("F", "M"):
        assert found.groups[group]["accuracy"].value == pytest.approx(right.by_group[group], abs=1e-9)
        assert found.groups[group]["died: sensitivity"].value == pytest.approx(died.by_group[group], abs=1e-9)

    days = np.random.default_rng(2).normal(size=(2, len(sex)))
    found = fairness(regression_answers(*days), ids, people, replicates=0)["sex"]
    off = MetricFrame(metrics=mean_absolute_error, y_true=days[0], y_pred=days[1], sensitive_features=sex)
    assert found.gaps["mae"].value == pytest.approx(off.difference(), abs=1e-9)


def test_classes_told_worse_of_some_are_seen_and_a_class_that_is_absent_in_a_group_says_so() -> None:
    found = fairness(*several(), replicates=100)["sex"]
    assert found.gaps["equalised_odds"].low > 0.1
    assert found.between["accuracy"][0] == "M"
    absent = found.groups["other"]["died: sensitivity"]
    assert absent.value is None and "with the outcome" in absent.reason.en
    assert found.groups["other"]["home: sensitivity"].value is not None


def test_labels_are_compared_one_by_one() -> None:
    answers, ids, people = several(300)
    truth = answers.truth[:, None] == np.arange(3)
    labels = Answers("multilabel", truth, answers.predicted, answers.group, answers.classes)
    found = fairness(labels, ids, people, replicates=20)["sex"]
    women = (people["sex"] == "F").to_numpy()
    right = (truth == (answers.predicted >= 0.5))[women].mean()
    assert found.groups["F"]["accuracy"].value == pytest.approx(right)


def test_json_is_plain() -> None:
    import json

    answers, ids, people = world(200)
    json.dumps(
        {name: one.to_json() for name, one in fairness(answers, ids, people, 0.5, replicates=20).items()}
    )


def test_of_many_groups_the_rare_ones_are_one() -> None:
    from medloom.evidence.subgroups import split_by

    sizes = {name: 40 - 4 * at for at, name in enumerate("ABCDEFGH")}
    texts = [name for name, n in sizes.items() for _ in range(n)]
    ids = pl.Series("sample_id", range(len(texts)))
    found = {
        name: int(chosen.sum())
        for _, name, chosen in split_by(ids, pl.DataFrame({"sample_id": ids, "site": texts}))
    }
    assert found == {**{name: sizes[name] for name in "ABCDEF"}, "other": sizes["G"] + sizes["H"]}


def test_curves_that_are_wrong_for_men_are_seen() -> None:
    from medloom.evidence.fairness_section import fairness_section
    from medloom.evidence.survival_evaluation import evaluate_survival
    from medloom.tasks.external import from_frame
    from medloom.tasks.predictions import PREDICTION_SCHEMA, Predictions

    random, n = np.random.default_rng(0), 240
    sex, rate = np.where(np.arange(n) % 2, "M", "F").astype(object), np.exp(random.normal(0, 1, n))
    sex[:3] = "other"
    time, end = random.exponential(1 / rate), random.uniform(1, 3, n)
    frame = pl.DataFrame({"sex": sex, "time": np.minimum(time, end), "event": (time <= end).astype(int)})
    samples = from_frame(frame, time="time", event="event", unit="d", horizons=[1.0])
    said = np.where(sex == "M", 0.2, rate)
    grid = np.linspace(0.1, 2, 20)
    values = 1 - np.exp(-said[:, None] * grid)
    rows = pl.DataFrame(
        {
            "sample_id": np.repeat(samples.frame["sample_id"].to_numpy(), len(grid)),
            "output": samples.question.outputs[0],
            "value": values.ravel(),
            "end": np.tile(grid, n),
        }
    )
    rows = rows.with_columns(
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in PREDICTION_SCHEMA.items()
        if name not in rows.columns
    )
    people = pl.DataFrame({"sample_id": samples.frame["sample_id"], "sex": sex})
    whole = evaluate_survival(
        samples, Predictions(rows.select(PREDICTION_SCHEMA.names())), people, replicates=40
    )
    found = whole.fairness["sex"]
    assert found.groups["M"]["c_index"].reason.en == "all predictions are the same"
    assert found.groups["F"]["observed_expected.1"].value == pytest.approx(1, abs=0.3)
    assert found.gaps["observed_expected.1"].low > 0.5
    assert found.between["ibs"] == ("F", "M")
    assert found.groups["other"]["ibs"].reason.en.startswith("too few subjects;")
    section = fairness_section(whole.fairness, "survival", "d")
    assert section is not None and len(section.tables) == 2


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_section_tells_gaps_and_groups_of_every_kind(kind: str) -> None:
    from medloom.evidence.fairness_section import fairness_section

    answers, ids, people = several(200) if kind == "multiclass" else world(200, unfair=2.0)
    if kind == "regression":
        answers = regression_answers(answers.truth, answers.predicted)
    section = fairness_section(fairness(answers, ids, people, 0.5, replicates=40), kind)
    assert section is not None and section.tables
    assert any("gap" in one.head[0].en for one in section.tables)
    if kind != "regression":
        assert "Groups by sex lie apart: the gap in equalised odds is" in section.sentences[0].en
