"""What every registered survival learner does, whatever it is; a new one is tested by being registered."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.evidence.survival import Brier, Censoring, harrell, integrated
from medloom.foundation import registry
from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.survival import auto
from medloom.learners.survival.learner import SurvivalLearner
from medloom.learners.survival.model import SurvivalModel
from medloom.record.record import Record
from medloom.tasks import package
from medloom.tasks.samples import Samples
from medloom.tasks.survival import outcomes_of, read_curves
from medloom.training.nonparametric import Timeline, step_at
from tests.learners.survival.worlds import ASKED, HORIZONS, LAB, NOISE, ONE, TWO, samples_in, samples_of


def _survival() -> list[type[SurvivalLearner]]:
    found = [registry.load("medloom.learners", name) for name in registry.registered("medloom.learners")]
    return [one for one in found if issubclass(one, SurvivalLearner)]


LEARNERS = _survival()
LOOKING = [one for one in LEARNERS if one.needs_inputs]
# What is repeated to be better, and need not be in a small world.
QUICK: dict[str, dict[str, Any]] = {
    "survival-forest": {"n_trees": 40},
    "survival-gbdt": {"n_models": 2},
    "aft": {"strengths": (0.1, 0.01)},
    "cox": {"l1_ratios": (0.1,)},
    "fine-gray": {"l1_ratios": (0.1,)},
    "survival-auto": {"learners": ["aft", "kaplan-meier"], "folds": 2},
    "deepsurv": {"n_models": 2, "max_epochs": 30, "batch": 64},
    "discrete-hazard": {"n_models": 2, "max_epochs": 30, "batch": 64},
}
WORLDS = [pytest.param(ONE, id="one"), pytest.param(TWO, id="two")]


@pytest.fixture(autouse=True, scope="module")
def _a_quick_setting_of_what_is_blended() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto, "_SETTINGS", (("aft", {"shapes": ["weibull"], "strengths": [0.1]}),))
        yield


def test_none_is_missing() -> None:
    names = {one.name for one in LEARNERS}
    assert names >= {"kaplan-meier", "cox", "fine-gray", "survival-forest", "survival-gbdt", "aft"}
    assert names >= {"deepsurv", "discrete-hazard", "survival-auto"}


def small(learner: type[SurvivalLearner], **parameters: Any) -> SurvivalLearner:
    return learner(**(QUICK.get(learner.name, {}) | parameters))


@cache
def world(events: tuple[str, ...]) -> Samples:
    return samples_of(events)


@cache
def unseen(events: tuple[str, ...]) -> Samples:
    return samples_of(events, n=200, seed=99)


@cache
def learned(learner: type[SurvivalLearner], events: tuple[str, ...]) -> SurvivalModel:
    samples = world(events)
    return small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LOOKING)
def test_it_ranks_and_foretells_better_than_the_average(
    learner: type[SurvivalLearner], events: tuple[str, ...]
) -> None:
    samples = unseen(events)
    outcomes = outcomes_of(samples.frame["label"], events)
    curves = read_curves(learned(learner, events).predict(samples).frame, events)
    censoring = Censoring.of(Timeline.of(outcomes))
    times = np.linspace(1.0, 12.0, 12)
    usual = step_at(censoring.counted.steps, censoring.counted.incidence, times, 0.0)
    lost = curves.time_lost(12.0)
    for column in range(len(events)):
        ours = integrated(Brier(outcomes, column + 1, times, curves.at(times)[:, column])(censoring), times)
        same = np.repeat(usual[column][None], len(outcomes), axis=0)
        theirs = integrated(Brier(outcomes, column + 1, times, same)(censoring), times)
        assert harrell(outcomes, lost[:, column], column + 1) > (0.78 if column == 0 else 0.7)
        assert ours < (0.75 if column == 0 else 0.95) * theirs


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_curves_rise_within_0_and_1_on_a_grid_with_the_horizons(
    learner: type[SurvivalLearner], events: tuple[str, ...]
) -> None:
    samples = unseen(events)
    frame = learned(learner, events).predict(samples).frame
    assert frame["sample_id"].unique(maintain_order=True).equals(samples.frame["sample_id"])
    assert (frame["start"] == 0).all()
    curves = read_curves(frame, events)
    assert set(HORIZONS) <= set(curves.times.tolist())
    assert len(curves.times) <= 102
    assert (curves.incidence >= 0).all()
    assert (curves.incidence.sum(axis=1) <= 1 + 1e-6).all()
    assert (np.diff(curves.incidence, axis=2) >= -1e-7).all()


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_on_average_it_says_what_happens(learner: type[SurvivalLearner], events: tuple[str, ...]) -> None:
    samples = unseen(events)
    outcomes = outcomes_of(samples.frame["label"], events)
    counted = Timeline.of(outcomes).counted()
    curves = read_curves(learned(learner, events).predict(samples).frame, events)
    observed = step_at(counted.steps, counted.incidence, HORIZONS, 0.0)
    np.testing.assert_allclose(curves.at(HORIZONS).mean(axis=0), observed, atol=0.09)


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_one_patient_gets_the_same_answer_as_in_a_batch(
    learner: type[SurvivalLearner], events: tuple[str, ...]
) -> None:
    samples, model = unseen(events), learned(learner, events)
    together = model.predict(samples).frame
    for place in (0, 17, 199):
        alone = model.predict(replace(samples, frame=samples.frame.slice(place, 1)))
        assert alone.frame.equals(together.filter(pl.col("sample_id") == 1000 + place))


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_contributions_add_up_to_the_score(learner: type[SurvivalLearner], events: tuple[str, ...]) -> None:
    samples, model = unseen(events).where(pl.col("sample_id") < 1006), learned(learner, events)
    explanation = model.explain(samples)
    baseline = dict(explanation.baseline.iter_rows())
    for place, row in enumerate(model.scores(samples)):
        of_sample = explanation.frame.filter(pl.col("sample_id") == 1000 + place)
        for output, value in zip(events, row, strict=True):
            shares = of_sample.filter(pl.col("output") == output)["contribution"]
            assert baseline[output] + shares.sum() == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_higher_score_is_a_sooner_event(learner: type[SurvivalLearner]) -> None:
    samples, model = unseen(ONE), learned(learner, ONE)
    lost = read_curves(model.predict(samples).frame, ONE).time_lost()[:, 0]
    order = np.argsort(model.scores(samples)[:, 0], kind="stable")
    assert (np.diff(lost[order]) >= -1e-4).all()


@pytest.mark.parametrize("learner", LOOKING)
def test_the_cause_is_named_before_the_noise(learner: type[SurvivalLearner]) -> None:
    model = learned(learner, ONE)
    assert LAB in model.importance()["input"][0]
    shares = model.explain(unseen(ONE).where(pl.col("sample_id") < 1010)).frame
    by_code = dict(shares.group_by("code").agg(pl.col("contribution").abs().sum()).iter_rows())
    assert max(by_code, key=by_code.__getitem__) == LAB
    assert by_code[LAB] > 2 * by_code.get(NOISE, 0)


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_seed_gives_the_same_package(
    learner: type[SurvivalLearner], events: tuple[str, ...], tmp_path: Path
) -> None:
    samples = world(events)
    again = small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)
    assert learned(learner, events).save(tmp_path / "one") == again.save(tmp_path / "two")


@pytest.mark.parametrize("events", WORLDS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_what_is_saved_and_loaded_answers_and_explains_the_same(
    learner: type[SurvivalLearner], events: tuple[str, ...], tmp_path: Path
) -> None:
    samples, model = unseen(events), learned(learner, events)
    few = samples.where(pl.col("sample_id") < 1003)
    digest = model.save(tmp_path / "package")
    loaded = package.load(tmp_path / "package", digest)
    assert loaded.predict(samples).frame.equals(model.predict(samples).frame)
    assert loaded.explain(few).frame.equals(model.explain(few).frame)
    assert loaded.origin == model.origin
    assert loaded.save(tmp_path / "again") == digest


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_learns_without_tuning_samples(learner: type[SurvivalLearner]) -> None:
    train = world(ONE).in_split("train")
    model = small(learner).fit(train, train.where(pl.lit(False)))
    outcomes = outcomes_of(unseen(ONE).frame["label"], ONE)
    lost = read_curves(model.predict(unseen(ONE)).frame, ONE).time_lost()[:, 0]
    assert harrell(outcomes, lost) > (0.78 if learner.needs_inputs else 0.49)


@pytest.mark.parametrize("learner", LEARNERS)
def test_no_samples_get_no_answers_but_a_baseline(learner: type[SurvivalLearner]) -> None:
    none, model = unseen(ONE).where(pl.lit(False)), learned(learner, ONE)
    assert model.predict(none).frame.height == 0
    assert model.explain(none).frame.height == 0
    assert model.explain(none).baseline["output"].to_list() == list(ONE)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_patient_of_whom_nothing_or_something_unknown_is_known_gets_an_answer(
    learner: type[SurvivalLearner],
) -> None:
    label: list[dict[str, object]] = [{"time": 1.0, "event": None}]
    rows = [(1, ASKED - timedelta(hours=2), "LOCAL//never-seen", 7.0)]
    answers = []
    for content in (rows, [*rows, (1, ASKED - timedelta(hours=3), "LOCAL//other", 1.0)]):
        events = pl.DataFrame(content, schema=["subject_id", "time", "code", "numeric_value"], orient="row")
        sample = samples_in(Record.from_events(events), ONE, label, 1, first_subject=1)
        answers.append(learned(learner, ONE).predict(sample).frame)
    assert answers[0].equals(answers[1])
    assert answers[0]["value"].is_finite().all()


@pytest.mark.parametrize("learner", LEARNERS)
def test_another_kind_is_refused(learner: type[SurvivalLearner]) -> None:
    asked = world(ONE).question.model_copy(update={"kind": "binary"})
    frame = world(ONE).frame.with_columns(pl.lit(True).alias("label"))
    samples = replace(world(ONE), frame=frame, question=asked)
    with pytest.raises(InputError, match="answers survival questions, not binary"):
        small(learner).fit(samples.in_split("train"), samples.in_split("tuning"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_all_censored_is_refused(learner: type[SurvivalLearner]) -> None:
    samples = world(ONE)
    label = pl.struct(pl.col("label").struct.field("time"), pl.lit(None, pl.String).alias("event")).alias(
        "label"
    )
    nobody = replace(samples, frame=samples.frame.with_columns(label))
    with pytest.raises(InputError, match="have the event death"):
        small(learner).fit(nobody.in_split("train"), nobody.in_split("tuning"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_labels_that_are_missing_or_impossible_are_refused(learner: type[SurvivalLearner]) -> None:
    samples, first = world(ONE), pl.col("sample_id") == 1001
    for label, said in (
        (pl.lit(None, samples.frame["label"].dtype), "1 of 300 samples have no label"),
        (
            pl.struct(pl.lit(-1.0).alias("time"), pl.lit("death").alias("event")),
            "1 of 300 times are negative",
        ),
        (pl.struct(pl.lit(1.0).alias("time"), pl.lit("cure").alias("event")), "cure"),
    ):
        broken = pl.when(first).then(label).otherwise(pl.col("label")).alias("label")
        bad = replace(samples, frame=samples.frame.with_columns(broken))
        with pytest.raises(InputError, match=said):
            small(learner).fit(bad.in_split("train"), bad.in_split("tuning"))


@pytest.mark.parametrize("learner", LOOKING)
def test_inputs_that_never_differ_are_refused(learner: type[SurvivalLearner]) -> None:
    n = 120
    events = pl.DataFrame({"subject_id": range(n), "time": [ASKED] * n, "code": ["X//same"] * n})
    labels = world(ONE).frame["label"][:n].to_list()
    samples = samples_in(Record.from_events(events), ONE, labels, n)
    with pytest.raises(InputError, match="no input differs"):
        small(learner).fit(samples.in_split("train"), samples.in_split("tuning"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_patient_in_train_and_tuning_or_held_out_is_refused(learner: type[SurvivalLearner]) -> None:
    train = world(ONE).in_split("train")
    with pytest.raises(LeakageError, match="300 patients"):
        small(learner).fit(train, train)
    held_out = replace(train, frame=train.frame.with_columns(split=pl.lit("held_out")))
    with pytest.raises(LeakageError, match="300 held_out"):
        small(learner).fit(held_out, world(ONE).in_split("tuning"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_no_training_samples_are_refused(learner: type[SurvivalLearner]) -> None:
    with pytest.raises(InputError, match="no training samples"):
        small(learner).fit(world(ONE).where(pl.lit(False)), world(ONE).in_split("tuning"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_frozen_specification_is_taken_as_it_is(learner: type[SurvivalLearner]) -> None:
    samples = world(ONE)
    frozen = learned(learner, ONE).features
    model = small(learner).fit(samples.in_split("train"), samples.in_split("tuning"), features=frozen)
    assert model.features == frozen
