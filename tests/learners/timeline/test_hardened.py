"""Networks that were trained against moved values stand them better; mixing two patients gives an answer between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medloom.foundation.errors import InputError
from medloom.learners.timeline.model import TimelineModel
from medloom.learners.timeline.transformer import TransformerLearner
from medloom.training.robust import mixed, moved
from tests.learners.tabular.worlds import samples_of

QUICK = TransformerLearner(epochs=6, learning_rate=0.01, batch=32, hidden_facts=0.0, most=32, patience=8)


def loss_under_attack(model: TimelineModel, radius: float) -> float:
    """Give the mean loss of unseen patients whose values one step of FGSM has moved."""
    samples = samples_of("binary", n=200, seed=99)
    timelines, targets = model.reading.timelines(samples), model.form.targets(samples)
    rows = np.arange(len(samples))
    batch = timelines.batch(rows).as_double()

    def losses(values: torch.Tensor) -> torch.Tensor:
        return targets.losses(model.network(replace(batch, value=values)), rows)

    worse = moved(losses, batch.value, batch.pair_tenth[batch.pair] > 0, "fgsm", radius)
    assert float((worse - batch.value).abs().max()) <= radius + 1e-9
    return float(losses(worse).mean())


def test_a_network_trained_against_moved_values_loses_less_when_they_are_moved() -> None:
    samples = samples_of("binary", n=300)
    train, tuning = samples.in_split("train"), samples.in_split("tuning")
    plain = QUICK.fit(train, tuning, seed=1)
    hardened = replace(QUICK, adversarial="fgsm", radius=0.5).fit(train, tuning, seed=1)
    assert loss_under_attack(hardened, 0.5) < loss_under_attack(plain, 0.5)


def test_several_steps_from_a_random_start_leave_a_place_where_the_slope_is_flat() -> None:
    values = torch.zeros(200, dtype=torch.float64)

    def losses(x: torch.Tensor) -> torch.Tensor:
        return -torch.cos(5 * x)

    one, several = (moved(losses, values, values == 0, attack, 0.5) for attack in ("fgsm", "pgd"))
    assert float(losses(one).mean()) == -1
    assert float(losses(several).mean()) > 0.7
    assert float(several.abs().max()) <= 0.5


def test_mixed_patients_lie_between_two() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0]])
    between, order, share = mixed(x, 0.5)
    assert 0 <= float(share) <= 1
    assert torch.allclose(between, share * x + (1 - share) * x[order])
    samples = samples_of("binary", n=80)
    made = replace(QUICK, epochs=1, mixup=0.4).fit(samples.in_split("train"), samples.in_split("tuning"))
    assert np.isfinite(made.predict(samples).frame["value"].to_numpy()).all()


def test_a_network_that_reads_no_values_cannot_be_attacked() -> None:
    with pytest.raises(InputError, match="reads no values"):
        moved(lambda _: torch.ones(2, requires_grad=True), torch.zeros(3), torch.ones(3) > 0, "fgsm", 0.1)
    samples = samples_of("binary", n=40)
    with pytest.raises(InputError, match="adversarial must be"):
        replace(QUICK, adversarial="harsh").fit(samples.in_split("train"), samples.in_split("tuning"))
