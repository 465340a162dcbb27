"""The public verbs: a model is asked what it learned to answer, of patients it did not learn from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError, LeakageError
from tests.sites import TASK, Stays, reopened, site_of

FRAME = pl.DataFrame({"x": list(range(200)), "ill": [i > 99 for i in range(200)]})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("event: [X//outcome]", "event: [X//other]"),
        ("within: 48h", "within: 72h"),
        ("offset: 48h", "offset: 24h"),
    ],
)
def test_a_model_is_not_asked_what_it_did_not_learn(tmp_path: Path, old: str, new: str) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree")
    (site.directory.tasks / "outcome.yaml").write_text(TASK.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="answers another question than task 'outcome' asks now"):
        ml.trained(site, "outcome.tree")


def test_another_title_is_no_other_question(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree")
    (site.directory.tasks / "outcome.yaml").write_text(TASK.replace("en: outcome", "en: Outcome"))
    assert len(ml.trained(site, "outcome.tree").samples) == 200


@pytest.mark.parametrize("where", ["task", "site"])
def test_a_model_is_not_tested_under_another_split(tmp_path: Path, where: str) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree")
    if where == "task":
        (site.directory.tasks / "outcome.yaml").write_text(TASK + "split: {by: hash}\n", encoding="utf-8")
    else:
        settings = site.directory.root / "site.toml"
        text = settings.read_text(encoding="utf-8").replace("train = 0.7", "train = 0.2")
        settings.write_text(text.replace("held_out = 0.2", "held_out = 0.7"), encoding="utf-8")
    with pytest.raises(LeakageError, match="another split"):
        ml.trained(reopened(site), "outcome.tree")


def test_a_model_is_still_evaluated_when_patients_are_added(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree")
    site.record.add(Stays(200, 50))
    again = ml.trained(reopened(site), "outcome.tree")
    assert len(again.samples) == 250
    assert ml.evaluate(again).metrics["auroc"].value > 0.5


def test_models_of_other_splits_are_not_compared() -> None:
    one, other = (ml.train(FRAME, "tree", label="ill", seed=seed) for seed in (0, 1))
    with pytest.raises(InputError, match="model 'other' was made from other samples"):
        ml.evaluate(one, compared_with={"other": other})


def test_the_name_of_the_constant_is_taken() -> None:
    one = ml.train(FRAME, "tree", label="ill")
    with pytest.raises(InputError, match="cannot be named 'prevalence'"):
        ml.evaluate(one, compared_with={"prevalence": one})


def test_parameters_beside_a_learner_are_refused() -> None:
    with pytest.raises(InputError, match="max_depth"):
        ml.train(FRAME, ml.learner("tree"), label="ill", max_depth=2)
