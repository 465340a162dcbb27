"""A model made fairer: the gap closes on samples nothing was learned from, and the price is shown."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.api import Trained
from medloom.evidence.answers import read_answers
from medloom.evidence.fairness import fairness
from medloom.evidence.mitigation_section import mitigation_section
from medloom.evidence.section import Section
from medloom.foundation.errors import InputError, LeakageError
from medloom.tasks.demographics import demographics
from medloom.tasks.external import from_frame
from medloom.tasks.samples import Samples
from medloom.training.group_thresholds import ThresholdedModel, choose_thresholds
from medloom.training.reweighing import ReweighedModel
from tests.training.worlds import saying


def biased(n: int = 2400, few: int = 0) -> Trained:
    """Outcomes are alike in both sexes; the model says 1.5 less log-odds of women. `few` men become other."""
    random = np.random.default_rng(5)
    sex = np.where(np.arange(n) % 2, "M", "F").astype(object)
    sex[21 : 21 + 2 * few : 2] = "other"  # held out
    score = random.normal(-0.5, 1.5, n)
    ill = random.random(n) < 1 / (1 + np.exp(-score))
    place = np.where(np.arange(n) % 40 < 20, "calibration", "held_out")
    place[-40:] = "train"
    samples = from_frame(pl.DataFrame({"sex": sex, "age": random.uniform(20, 90, n), "ill": ill}), "ill")
    samples = replace(samples, frame=samples.frame.with_columns(split=pl.Series(place.tolist())))
    said = 1 / (1 + np.exp(-(score - 1.5 * (sex == "F"))))
    return Trained(saying(samples, said), samples)


@pytest.mark.parametrize(
    ("aim", "gap"),
    [
        ("equal_opportunity", "sensitivity"),
        ("demographic_parity", "selection_rate"),
        ("equalised_odds", "equalised_odds"),
    ],
)
def test_thresholds_close_the_gap_that_was_planted_and_show_the_price(aim: str, gap: str) -> None:
    trained = biased()
    found = ml.mitigate(trained, "sex", "thresholds", aim, threshold=0.4, replicates=200)  # type: ignore[arg-type]
    change = found.price.gaps[gap]
    assert change.before.low > 0.15  # type: ignore[operator]
    assert change.after.low < 0 < change.after.high  # type: ignore[operator]
    assert change.difference.high < -0.1  # type: ignore[operator]
    overall = found.price.overall
    assert overall["auroc"].difference.value == 0
    assert overall["selection_rate"].difference.value == pytest.approx(0, abs=0.03)
    # as a common threshold flagged too few of the women and too many of the men, the price is a gain
    assert overall["net_benefit"].difference.value > 0  # type: ignore[operator]
    assert found.price.groups["F"]["sensitivity"].difference.low > 0.1  # type: ignore[operator]
    assert found.price.groups["M"]["sensitivity"].difference.high < 0  # type: ignore[operator]
    assert "unlawful" in str(found)


def test_the_gap_before_is_that_of_the_report() -> None:
    trained = biased(600)
    found = ml.mitigate(trained, "sex", threshold=0.4, replicates=0).price
    tested = trained.samples.in_split("held_out")
    answers = read_answers(tested.question, tested.frame, trained.predict(tested).frame)
    evaluated = fairness(answers, tested.frame["sample_id"], demographics(tested), 0.4, replicates=0)["sex"]
    assert found.gaps["equalised_odds"].before.value == pytest.approx(evaluated.gaps["equalised_odds"].value)
    assert found.n == len(tested)


def test_thresholds_are_saved_applied_and_told(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "lab": [i % 23 for i in range(900)],
            "sex": ["F" if i % 2 else "M" for i in range(900)],
            "ill": [(i * 7) % 23 + 6 * (i % 2) > 16 for i in range(900)],
        }
    )
    trained = ml.train(frame, "tree", label="ill", ranges=False)
    made = ml.mitigate(trained, "sex", "thresholds", "equal_opportunity", folds=2, replicates=20)
    model = made.trained.model
    assert isinstance(model, ThresholdedModel)
    made.trained.save(tmp_path / "package")
    loaded = ml.load(tmp_path / "package")
    assert isinstance(loaded, ThresholdedModel)
    tested = trained.samples.in_split("held_out")
    flags = loaded.flags(tested)
    assert flags.equals(model.flags(tested))
    for group, value in model.thresholds.thresholds.items():
        own = flags.filter(pl.col("group") == group)
        assert own["threshold"].unique().to_list() == [value]
        assert own["flagged"].to_list() == (own["value"] >= value).to_list()
    assert loaded.predict(tested).frame.equals(trained.model.predict(tested).frame)
    assert "sex" in loaded.codes


def test_reweighing_makes_any_learner_flag_groups_more_alike_and_shows_what_it_costs(tmp_path: Path) -> None:
    random, n = np.random.default_rng(0), 1500
    men = random.random(n) < 0.5
    lab = random.normal(size=n)
    ill = random.random(n) < 1 / (1 + np.exp(-(lab + 2.0 * men - 1.5)))
    frame = pl.DataFrame({"lab": lab, "sex": np.where(men, "M", "F"), "ill": ill})
    trained = ml.train(frame, "logistic", label="ill", ranges=False)
    made = ml.mitigate(trained, "sex", "reweighing", "demographic_parity", replicates=100)
    change = made.price.gaps["selection_rate"]
    assert change.before.value > 0.4  # type: ignore[operator]
    assert change.difference.high < -0.2  # type: ignore[operator]
    assert made.price.overall["auroc"].difference.high < 0  # type: ignore[operator]
    assert made.price.groups["M"]["observed_to_expected"].after.low > 1.1  # type: ignore[operator]
    assert isinstance(made.trained.model, ReweighedModel)
    made.trained.save(tmp_path / "package")
    held_out = trained.samples.in_split("held_out")
    assert ml.load(tmp_path / "package").predict(held_out).frame.equals(made.trained.predict(held_out).frame)


def test_a_group_of_two_has_a_reason_instead_of_a_price_and_the_common_threshold() -> None:
    found = ml.mitigate(biased(800, few=2), "sex", threshold=0.4, replicates=20).price
    assert set(found.thresholds) == {"F", "M"}
    small = found.groups["other"]["sensitivity"]
    assert small.after.value is None
    assert small.after.reason.en == "too few subjects; at least 10 are needed"  # type: ignore[union-attr]
    json.dumps(found.to_json())


def test_a_price_is_told_in_both_languages_and_kept() -> None:
    section = mitigation_section(ml.mitigate(biased(600), "sex", threshold=0.4, replicates=20).price)
    assert Section.from_json(section.to_json()) == section
    assert "protected attribute (sex)" in " ".join(one.en for one in section.sentences)
    assert "受保护属性（性别）" in "".join(one.zh for one in section.sentences)


def _of_three(trained: Trained) -> Samples:
    return trained.samples.in_split("calibration").where(pl.int_range(pl.len()) < 3)


def test_what_cannot_be_mitigated_says_why() -> None:
    trained = biased(400)
    with pytest.raises(InputError, match="two groups with at least 10 patients with and 10 without"):
        ml.mitigate(trained, "sex", samples=_of_three(trained))
    with pytest.raises(InputError, match="two groups"):
        ml.mitigate(trained, "race")
    with pytest.raises(InputError, match="cannot be grouped by 'shoe size'"):
        ml.mitigate(trained, "shoe size")
    with pytest.raises(InputError, match="no method 'luck'"):
        ml.mitigate(trained, "sex", "luck")  # type: ignore[arg-type]
    with pytest.raises(LeakageError):
        ml.mitigate(trained, "sex", samples=trained.samples.in_split("held_out"))
    with pytest.raises(LeakageError, match=r"patients of split 'calibration' were learned from"):
        ml.mitigate(trained, "sex", split="calibration", threshold=0.4)


def test_one_sensitivity_for_all_is_that_of_fairlearn() -> None:
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Told(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.array([0, 1])

        def fit(self, x: np.ndarray, y: np.ndarray) -> "Told":
            self.fitted_ = True
            return self

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.column_stack([1 - x[:, 0], x[:, 0]])

    trained = biased()
    some = trained.samples.in_split("calibration")
    risk = trained.predict(some).frame["value"].to_numpy()
    ill = some.frame["label"].to_numpy()
    sex = np.array(["F" if i % 2 == 0 else "M" for i in some.frame["sample_id"]])
    theirs = ThresholdOptimizer(
        estimator=Told().fit(risk, ill), constraints="true_positive_rate_parity", objective="balanced_accuracy_score",
        prefit=True, predict_method="predict_proba",
    )  # fmt: skip
    chance = theirs.fit(risk[:, None], ill, sensitive_features=sex)._pmf_predict(
        risk[:, None], sensitive_features=sex
    )
    flagged = chance[:, 1]
    base = float(np.quantile(risk, 1 - flagged.mean()))  # as many flagged as theirs
    ours = choose_thresholds(risk, ill, sex, np.arange(len(risk)), base, "equal_opportunity")
    for group in ("F", "M"):
        rows = (sex == group) & ill
        assert (risk[rows] >= ours[group]).mean() == pytest.approx(flagged[rows].mean(), abs=0.015)
