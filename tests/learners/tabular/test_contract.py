"""What every registered tabular learner does, whatever it is; a new one is tested by being registered."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.foundation import registry
from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.tabular.answers import labels_as_numbers, loss, scores_of
from medloom.learners.tabular.learner import TabularLearner
from medloom.learners.tabular.model import TabularModel
from medloom.record.record import Record
from medloom.tasks import package
from medloom.tasks.kinds import KINDS, LABEL_TYPES, Kind
from medloom.tasks.samples import Samples
from tests.learners.tabular.worlds import ASKED, LAB, NOISE, samples_in, samples_of


def _tabular() -> list[type[TabularLearner]]:
    found = [registry.load("medloom.learners", name) for name in registry.registered("medloom.learners")]
    return [one for one in found if issubclass(one, TabularLearner)]


LEARNERS = _tabular()
# What is repeated to be better, and need not be in a small world.
QUICK: dict[str, dict[str, Any]] = {
    "auto": {"learners": ["gbdt", "tree"], "trials": 2, "folds": 3},
    "forest": {"n_trees": 60},
    "gbdt": {"n_models": 2},
    "mlp": {"n_models": 2, "max_epochs": 40},
    "svm": {"n_components": 200, "costs": (1.0,)},
}
PAIRS = [pytest.param(one, kind, id=f"{one.name}-{kind}") for one in LEARNERS for kind in sorted(one.kinds)]
ANY_KIND = [pytest.param(one, min(one.kinds), id=one.name) for one in LEARNERS]


def small(learner: type[TabularLearner], **parameters: Any) -> TabularLearner:
    return learner(**(QUICK.get(learner.name, {}) | parameters))


@cache
def world(kind: Kind) -> Samples:
    return samples_of(kind)


@cache
def learned(learner: type[TabularLearner], kind: Kind) -> TabularModel:
    samples = world(kind)
    return small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


@cache
def unseen(kind: Kind) -> Samples:
    return samples_of(kind, n=200, seed=99)


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_it_answers_better_than_the_average(learner: type[TabularLearner], kind: Kind) -> None:
    samples = unseen(kind)
    answers = learned(learner, kind).predict(samples).matrix(samples.question.outputs)
    y = labels_as_numbers(samples)
    average = np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)
    assert loss(kind, y, answers) < 0.6 * loss(kind, y, average)


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_answers_are_probabilities_or_values(learner: type[TabularLearner], kind: Kind) -> None:
    samples = unseen(kind)
    answers = learned(learner, kind).predict(samples).matrix(samples.question.outputs)
    assert np.isfinite(answers).all()
    if kind != "regression":
        assert (answers > 0).all()
        assert (answers < 1).all()
    if kind == "multiclass":
        np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_one_patient_gets_the_same_answer_as_in_a_batch(learner: type[TabularLearner], kind: Kind) -> None:
    samples, model = unseen(kind), learned(learner, kind)
    together = model.predict(samples).frame
    for place in (0, 17, 199):
        alone = model.predict(replace(samples, frame=samples.frame.slice(place, 1)))
        assert alone.frame.equals(together.filter(pl.col("sample_id") == 1000 + place))


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_contributions_add_up_to_the_answer(learner: type[TabularLearner], kind: Kind) -> None:
    samples, model = unseen(kind).where(pl.col("sample_id") < 1006), learned(learner, kind)
    outputs = samples.question.outputs
    explanation = model.explain(samples)
    answers = model.predict(samples).matrix(outputs)
    expected = scores_of(kind, answers) if explanation.scale == "log-odds" else answers
    baseline = dict(explanation.baseline.iter_rows())
    for place, row in enumerate(expected):
        of_sample = explanation.frame.filter(pl.col("sample_id") == 1000 + place)
        for output, value in zip(outputs, row, strict=True):
            shares = of_sample.filter(pl.col("output") == output)["contribution"]
            assert baseline[output] + shares.sum() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_the_cause_is_named_before_the_noise(learner: type[TabularLearner], kind: Kind) -> None:
    model = learned(learner, kind)
    assert LAB in model.importance()["input"][0]
    shares = model.explain(unseen(kind).where(pl.col("sample_id") < 1010)).frame
    by_code = dict(shares.group_by("code").agg(pl.col("contribution").abs().sum()).iter_rows())
    assert max(by_code, key=by_code.__getitem__) == LAB
    assert by_code[LAB] > 2 * by_code.get(NOISE, 0)


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_the_same_seed_gives_the_same_package(
    learner: type[TabularLearner], kind: Kind, tmp_path: Path
) -> None:
    samples = world(kind)
    again = small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)
    assert learned(learner, kind).save(tmp_path / "one") == again.save(tmp_path / "two")


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_what_is_saved_and_loaded_answers_and_explains_the_same(
    learner: type[TabularLearner], kind: Kind, tmp_path: Path
) -> None:
    samples, model = unseen(kind), learned(learner, kind)
    few = samples.where(pl.col("sample_id") < 1003)
    digest = model.save(tmp_path / "package")
    loaded = package.load(tmp_path / "package", digest)
    assert loaded.predict(samples).frame.equals(model.predict(samples).frame)
    assert loaded.explain(few).frame.equals(model.explain(few).frame)
    assert loaded.origin == model.origin
    assert loaded.save(tmp_path / "again") == digest


@pytest.mark.parametrize(("learner", "kind"), PAIRS)
def test_it_learns_without_tuning_samples(learner: type[TabularLearner], kind: Kind) -> None:
    train = world(kind).in_split("train")
    model = small(learner).fit(train, train.where(pl.lit(False)))
    y = labels_as_numbers(unseen(kind))
    answers = model.predict(unseen(kind)).matrix(train.question.outputs)
    average = np.repeat(y.mean(axis=0, keepdims=True), len(y), axis=0)
    assert loss(kind, y, answers) < 0.7 * loss(kind, y, average)


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_no_samples_get_no_answers_but_a_baseline(learner: type[TabularLearner], kind: Kind) -> None:
    none, model = unseen(kind).where(pl.lit(False)), learned(learner, kind)
    assert model.predict(none).frame.height == 0
    assert model.explain(none).frame.height == 0
    assert model.explain(none).baseline["output"].to_list() == list(none.question.outputs)


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_an_unknown_code_at_prediction_changes_nothing(learner: type[TabularLearner], kind: Kind) -> None:
    rows = [(1, ASKED - timedelta(hours=1), LAB, 60.0)]
    strange = [*rows, (1, ASKED - timedelta(hours=2), "LOCAL//never-seen", 7.0)]
    answers = []
    for content in (rows, strange):
        events = pl.DataFrame(content, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
        sample = samples_in(Record.from_events(events), kind, [None], 1, first_subject=1)
        answers.append(learned(learner, kind).predict(sample).frame)
    assert answers[0].equals(answers[1])
    assert answers[0]["value"].is_finite().all()


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_a_patient_of_whom_nothing_is_known_still_gets_an_answer(
    learner: type[TabularLearner], kind: Kind
) -> None:
    record = Record.from_events(pl.DataFrame({"subject_id": [1], "time": [ASKED], "code": ["X//other"]}))
    sample = samples_in(record, kind, [None], 1, first_subject=1)
    assert learned(learner, kind).predict(sample).frame["value"].is_finite().all()


@pytest.mark.parametrize("learner", LEARNERS)
def test_another_kind_is_refused_and_its_own_are_named(learner: type[TabularLearner]) -> None:
    other = next(kind for kind in KINDS if kind not in learner.kinds)
    asked = world("binary").question.model_copy(update={"kind": other, "classes": ("a", "b")})
    nothing = pl.lit(None, dtype=LABEL_TYPES[other]).alias("label")
    frame = samples_of("binary", n=4).frame.with_columns(nothing)
    samples = replace(world("binary"), frame=frame, question=asked)
    with pytest.raises(InputError, match=f"not {other}") as refused:
        small(learner).fit(samples.in_split("train"), samples.in_split("tuning"))
    assert all(kind in str(refused.value) for kind in learner.kinds)


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_one_answer_only_is_refused(learner: type[TabularLearner], kind: Kind) -> None:
    samples = world(kind)
    first = samples.frame["label"][:1]
    same = replace(samples, frame=samples.frame.with_columns(first.gather([0] * len(samples)).alias("label")))
    with pytest.raises(InputError, match="widen the population"):
        small(learner).fit(same.in_split("train"), same.in_split("tuning"))


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_missing_labels_are_refused(learner: type[TabularLearner], kind: Kind) -> None:
    samples = world(kind)
    gap = pl.when(pl.col("sample_id") == 1001).then(None).otherwise(pl.col("label")).alias("label")
    holed = replace(samples, frame=samples.frame.with_columns(gap))
    with pytest.raises(InputError, match="1 of 300 samples have no label"):
        small(learner).fit(holed.in_split("train"), holed.in_split("tuning"))


@pytest.mark.parametrize("learner", [one for one in LEARNERS if "regression" in one.kinds])
def test_labels_that_are_no_numbers_are_refused(learner: type[TabularLearner]) -> None:
    samples = world("regression")
    bad = pl.when(pl.col("sample_id") == 1001).then(float("nan")).otherwise(pl.col("label")).alias("label")
    broken = replace(samples, frame=samples.frame.with_columns(bad))
    with pytest.raises(InputError, match="1 of 300 labels are NaN"):
        small(learner).fit(broken.in_split("train"), broken.in_split("tuning"))


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_inputs_that_never_differ_are_refused(learner: type[TabularLearner], kind: Kind) -> None:
    n = 120
    events = pl.DataFrame({"subject_id": range(n), "time": [ASKED] * n, "code": ["X//same"] * n})
    labels = world(kind).frame["label"][:n].to_list()
    samples = samples_in(Record.from_events(events), kind, labels, n)
    with pytest.raises(InputError, match="no input differs"):
        small(learner).fit(samples.in_split("train"), samples.in_split("tuning"))


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_a_patient_in_train_and_tuning_is_refused(learner: type[TabularLearner], kind: Kind) -> None:
    with pytest.raises(LeakageError, match="300 patients"):
        small(learner).fit(world(kind).in_split("train"), world(kind).in_split("train"))


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_no_training_samples_are_refused(learner: type[TabularLearner], kind: Kind) -> None:
    with pytest.raises(InputError, match="no training samples"):
        small(learner).fit(world(kind).where(pl.lit(False)), world(kind).in_split("tuning"))


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_the_windows_are_those_asked_for(learner: type[TabularLearner], kind: Kind) -> None:
    samples = world(kind)
    model = small(learner, windows=("12h",)).fit(samples.in_split("train"), samples.in_split("tuning"))
    assert {name.rsplit(" ", 1)[1] for name in model.features.names} == {"12h"}
    assert model.origin.parameters["windows"] == ["12h"]


@pytest.mark.parametrize(("learner", "kind"), ANY_KIND)
def test_a_frozen_specification_is_taken_as_it_is(learner: type[TabularLearner], kind: Kind) -> None:
    samples = world(kind)
    frozen = learned(learner, kind).features
    model = small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), features=frozen)
    assert model.features == frozen
