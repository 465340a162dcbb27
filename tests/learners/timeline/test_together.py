"""A body whose weights are shared out among two processes learns as one process does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medloom.foundation.errors import InputError
from medloom.learners.timeline import body
from medloom.learners.timeline.pretraining import Pretraining, pretrain
from medloom.training.schedule import Schedule
from tests.learners.tabular.worlds import samples_of

PLAN = Schedule(epochs=1, batch=16, patience=None)


def test_a_body_in_shares_learns_as_a_whole_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    still = replace(body.SIZES["nano"], width=32, dropout=0.0)
    monkeypatch.setitem(body.SIZES, "nano", still)
    samples = samples_of("binary", n=60)
    curves = []
    for plan in (replace(PLAN, pieces=2), replace(PLAN, devices=2, strategy="fsdp")):
        how = Pretraining("next-event+time-to-event", "nano", 1.0, 32, plan)
        made = pretrain(samples.in_split("train"), samples.in_split("tuning"), how, seed=1)
        assert made.course is not None
        curves.append(made.course.curve)
    np.testing.assert_allclose(curves[1], curves[0], atol=1e-4)


def test_a_body_in_shares_does_not_read_two_windows_at_once() -> None:
    samples = samples_of("binary", n=40)
    how = Pretraining("contrastive", schedule=replace(PLAN, devices=2, strategy="fsdp"))
    with pytest.raises(InputError, match="train contrastive with ddp"):
        pretrain(samples.in_split("train"), samples.in_split("tuning"), how)
