"""Reasons of timeline models: attention followed to its facts, and whether reasons hold when facts are taken away."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest
import torch

from medloom.foundation.errors import InputError
from medloom.learners.timeline.body import BodyConfig, Size, TimelineBody
from medloom.learners.timeline.fact_rows import fact_rows
from medloom.learners.timeline.learner import NeuralTimelineLearner
from medloom.learners.timeline.model import TimelineModel
from medloom.learners.timeline.rollout import rolled_out
from medloom.learners.timeline.series import GruLearner
from medloom.learners.timeline.transformer import TransformerLearner
from tests.learners.tabular.worlds import samples_of
from tests.learners.timeline.test_contract import small, unseen


@cache
def learned(learner: type[NeuralTimelineLearner]) -> TimelineModel:
    samples = samples_of("binary", n=160)
    return small(learner, epochs=8).fit(samples.in_split("train"), samples.in_split("tuning"), seed=1)


def test_shares_of_attention_sum_to_one_and_say_that_they_do_not_add_up() -> None:
    samples, model = unseen().where(pl.col("sample_id") < 1005), learned(TransformerLearner)
    found = model.attended(samples)
    summed = found.frame.group_by("sample_id").agg(pl.col("contribution").sum())["contribution"]
    np.testing.assert_allclose(summed.to_numpy(), 1)
    assert (found.frame["contribution"] >= 0).all()
    assert not found.additive
    assert found.frame.select("sample_id", "input").equals(
        model.explain(samples).frame.select("sample_id", "input")
    )


@pytest.mark.parametrize("causal", [True, False])
def test_reading_for_the_step_that_is_asked_alone_gives_what_reading_all_steps_does(causal: bool) -> None:
    model, samples = learned(TransformerLearner), unseen().among(range(5))
    body = TimelineBody(BodyConfig.of(Size(16, 2, 2), model.reading.vocabulary, causal=causal)).eval()
    batch = model.reading.timelines(samples).batch(np.arange(5))
    np.testing.assert_allclose(body.represent(batch).detach(), body(batch)[batch.ask].detach(), atol=1e-5)


def test_attention_that_looks_at_all_alike_flows_as_reckoned_by_hand() -> None:
    """Two blocks without queries look at every step up to their own alike."""
    model, samples = learned(TransformerLearner), unseen().at(0)
    body = TimelineBody(BodyConfig.of(Size(16, 2, 2), model.reading.vocabulary)).eval()
    for block in body.blocks:
        torch.nn.init.zeros_(block.query.weight)
    batch = model.reading.timelines(samples).batch(np.zeros(1, np.int64))
    steps = len(batch.row)
    alike = np.tril(np.ones((steps, steps))) / np.arange(1, steps + 1)[:, None]
    flows = np.linalg.matrix_power((alike + np.eye(steps)) / 2, 2)[-1]
    step = batch.step.numpy()
    expected = (flows / np.maximum(np.bincount(step, minlength=steps), 1))[step]
    np.testing.assert_allclose(rolled_out(body, batch), expected, rtol=1e-5)


def test_without_attention_there_is_none_to_follow() -> None:
    with pytest.raises(InputError, match="has no attention to follow"):
        learned(GruLearner).attended(unseen().at(0))


def test_answers_move_sooner_if_what_has_large_contributions_goes_first() -> None:
    model = learned(TransformerLearner)
    found = model.deleting(unseen().among(range(14)))
    areas = {row["method"]: row for row in found.areas().iter_rows(named=True)}
    assert areas["own"]["most"] > areas["own"]["random"] > areas["own"]["least"]
    assert set(areas) == {"own", "rollout"}
    ends = found.curves().filter(pl.col("share") == 1)["moved"]
    np.testing.assert_allclose(ends, ends[0])  # whatever went first: in the end all is gone


def test_what_was_recorded_on_the_day_of_birth_does_not_tell_the_birthday() -> None:
    model, samples = learned(TransformerLearner), unseen().at(0)
    timelines = model.reading.timelines(samples)
    hours = float(timelines.tokens.hours[timelines.tokens.code > 0].max())
    object.__setattr__(timelines.tokens, "age", np.full(1, (hours + 5) / (24 * 365.2425), np.float32))
    batch = timelines.batch(np.zeros(1, np.int64))
    rows = fact_rows(batch, timelines, samples, ("yes",), np.zeros((1, len(batch.fact))), np.zeros((1, 1)))
    assert rows["start"].max() < hours - 15
    assert rows.height == len(batch.fact) + 1
