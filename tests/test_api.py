"""The public verbs: a model is asked what it learned to answer, of patients it did not learn from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError, LeakageError, NotFoundError
from medloom.tasks import encoders
from tests.learners.tabular.worlds import samples_of
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
    ml.train(site.task("outcome"), "tree", ranges=False)
    (site.directory.tasks / "outcome.yaml").write_text(TASK.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="answers another question than task 'outcome' asks now"):
        ml.trained(site, "outcome.tree")


def test_another_title_is_no_other_question(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree", ranges=False)
    (site.directory.tasks / "outcome.yaml").write_text(TASK.replace("en: outcome", "en: Outcome"))
    assert len(ml.trained(site, "outcome.tree").samples) == 200


@pytest.mark.parametrize("where", ["task", "site"])
def test_a_model_is_not_tested_under_another_split(tmp_path: Path, where: str) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree", ranges=False)
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
    ml.train(site.task("outcome"), "tree", ranges=False)
    site.record.add(Stays(200, 50))
    again = ml.trained(reopened(site), "outcome.tree")
    assert len(again.samples) == 250
    assert ml.evaluate(again).metrics["auroc"].value > 0.5


def test_models_of_other_splits_are_not_compared() -> None:
    one, other = (ml.train(FRAME, "tree", label="ill", seed=seed, ranges=False) for seed in (0, 1))
    with pytest.raises(InputError, match="model 'other' was made from other samples"):
        ml.evaluate(one, compared_with={"other": other})


def test_the_name_of_the_constant_is_taken() -> None:
    one = ml.train(FRAME, "tree", label="ill", ranges=False)
    with pytest.raises(InputError, match="cannot be named 'prevalence'"):
        ml.evaluate(one, compared_with={"prevalence": one})


def test_parameters_beside_a_learner_are_refused() -> None:
    with pytest.raises(InputError, match="max_depth"):
        ml.train(FRAME, ml.learner("tree"), label="ill", max_depth=2, ranges=False)


def test_a_loaded_model_answers_rows_of_a_table(tmp_path: Path) -> None:
    trained = ml.train(FRAME, "tree", label="ill", ranges=False)
    trained.save(tmp_path / "package")
    model = ml.load(tmp_path / "package")
    new = pl.DataFrame({"remark": ["a", "b", "c"], "x": [190, None, 3]})
    answers = ml.predict(model, new).frame
    assert answers["sample_id"].to_list() == [0, 1, 2]
    assert answers["value"][0] > 0.9 > 0.1 > answers["value"][2]
    assert ml.predict(model, new.to_pandas()).frame["value"].to_list() == answers["value"].to_list()
    assert trained.predict(new).frame["value"].to_list() == answers["value"].to_list()
    assert ml.explain(model, new.head(1)).frame["contribution"].sum() > 0


def test_a_table_without_a_column_that_the_model_reads_is_refused() -> None:
    trained = ml.train(FRAME, "tree", label="ill", ranges=False)
    with pytest.raises(InputError, match="the table lacks: x"):
        trained.predict(FRAME.rename({"x": "X"}))


def test_no_rows_have_no_answers() -> None:
    assert ml.train(FRAME, "tree", label="ill", ranges=False).predict(FRAME.head(0)).frame.height == 0


@pytest.mark.parametrize("column", ["patient_id", "name", "编号"])
def test_what_names_a_row_is_no_input(column: str) -> None:
    names = pl.Series([f"P{row:05}" for row in range(200)] if column == "name" else list(range(1000, 1200)))
    frame = FRAME.with_columns(names.alias(column))
    with pytest.raises(InputError, match=column):
        ml.train(frame, "tree", label="ill", ranges=False)
    assert ml.train(frame, "tree", label="ill", drop=[column], ranges=False)
    assert ml.train(frame, "tree", label="ill", group=column, ranges=False)


def test_every_prediction_says_how_sure_it_is_and_patients_keep_their_order(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 300)
    sure, plain = (ml.train(site.task("outcome"), "logistic", ranges=ranges) for ranges in (True, False))
    assert str(sure.name).endswith("@1")  # one version for the model and its ranges
    told, said = (one.predict(one.samples.in_split("held_out")).frame for one in (sure, plain))
    assert told["value"].equals(said["value"])
    assert told.select(
        (pl.col("low") <= pl.col("value")).all(), (pl.col("value") <= pl.col("high")).all()
    ).row(0)
    assert said["low"].null_count() == said.height
    again = ml.recalibrate(ml.trained(site, "outcome.logistic@1"), "slope", folds=2)
    assert again.recalibration is not None
    assert again.predict().frame["low"].null_count() == 0


def test_of_several_classes_a_prediction_tells_which_may_be_true() -> None:
    frame = pl.DataFrame({"x": range(150), "ward": [["home", "icu", "ward"][i // 50] for i in range(150)]})
    told = ml.train(frame, "tree", label="ward").predict().frame
    assert told.group_by("sample_id").agg(pl.col("in_set").sum())["in_set"].min() >= 1  # type: ignore[operator]


def test_with_too_few_patients_a_model_comes_without_ranges_and_says_why() -> None:
    frame = pl.DataFrame({"x": range(8), "days": [float(i % 3) for i in range(8)]})
    trained = ml.train(frame, "linear", label="days", kind="regression")
    assert trained.without_ranges is not None and "too few" in trained.without_ranges.en
    assert trained.predict().frame["low"].null_count() == 8


def test_dates_are_no_inputs() -> None:
    from datetime import date

    frame = FRAME.with_columns(admitted=pl.lit(date(2020, 1, 1)))
    with pytest.raises(InputError, match="columns with dates are no inputs: admitted"):
        ml.train(frame, "tree", label="ill", ranges=False)


def test_a_site_keeps_what_is_pretrained_and_its_tasks_start_from_it(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    quick = {"epochs": 1, "patience": None}
    first, second = (ml.pretrain(site, "ward", "outcome", objective="masked", **quick) for _ in range(2))
    assert first.digest == second.digest
    assert [str(name) for name in encoders.names_in(site.directory)] == ["ward@1", "ward@2"]
    assert not encoders.unfinished(site.directory, "ward").exists()
    made = ml.train(site.task("outcome"), "timeline", encoder="ward", adapt="lora", epochs=1, ranges=False)
    assert ml.trained(site, str(made.name)).predict().frame.equals(made.predict().frame)
    with pytest.raises(NotFoundError, match="it has: ward@1, ward@2"):
        ml.train(site.task("outcome"), "timeline", encoder="other")


def test_questions_learned_together_tell_ranges_where_patients_are_set_aside() -> None:
    pairs = [samples_of(kind, n=120) for kind in ("binary", "regression")]
    quick = {"adapt": "lora", "epochs": 1, "pretraining_epochs": 1, "most": 32}
    first, second = ml.train_together(pairs, **quick)
    assert first.without_ranges is not None and "calibration" in first.without_ranges.en
    assert (second.model.origin.question.kind, second.without_ranges is None) == ("regression", False)
    assert len(first.predict().frame) == len(pairs[0])
