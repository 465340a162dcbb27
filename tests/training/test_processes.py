"""Training by several processes: the same curve, and nothing lost when one of them is killed."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medloom.foundation.errors import InputError, WorkerError
from medloom.training import fitting
from medloom.training.fitting import Fitted, fit
from medloom.training.schedule import Schedule

PLAN = Schedule(epochs=3, batch=16, learning_rate=0.02, patience=None)
TWO = replace(PLAN, devices=2)
SHARED = replace(TWO, strategy="fsdp")


@dataclass(frozen=True)
class Points:
    """Points near a line; how near is drawn in each batch."""

    noise: float = 0.0

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.ones(99, np.int64)

    def batch(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        x = np.random.default_rng(0).normal(size=(99, 3))[rows]
        y = x @ [1.0, -2.0, 0.5] + self.noise * rng.normal(size=len(rows))
        return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


class Network(torch.nn.Module):
    """A line, and a head that most batches have no use for."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.ModuleList(
            [torch.nn.Linear(3, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1)]
        )
        self.idle = torch.nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.line:
            x = layer(x)
        return x[:, 0]


def loss(net: Any, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    x, y = given
    return (net(x) - y) ** 2


def judged(net: Any) -> float:
    return float(loss(net, Points().batch(np.arange(40), np.random.default_rng(1))).mean())


def run(net: torch.nn.Module, plan: Schedule, points: Points = Points(), **more: Any) -> Fitted:
    return fit(net, points, loss, plan, seed=1, judged=judged, **more)


def test_two_processes_learn_as_one_does() -> None:
    one, two = Network(), Network()
    told: list[tuple[int, float, float | None]] = []
    alone, together = run(one, PLAN), run(two, TWO, noted=lambda *judgement: told.append(judgement))
    np.testing.assert_allclose(together.course.curve, alone.course.curve, atol=1e-5)
    assert (together.course.best_step, together.why) == (alone.course.best_step, alone.why)
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], weight, atol=1e-5, rtol=0)
    assert told == together.course.curve


def test_what_is_drawn_depends_on_the_piece_not_on_the_process() -> None:
    noisy = Points(noise=0.5)
    alone = run(Network(0.3), replace(PLAN, pieces=2), noisy)
    together = run(Network(0.3), TWO, noisy)
    np.testing.assert_allclose(together.course.curve, alone.course.curve, atol=1e-5)


def test_they_stop_together() -> None:
    fitted = fit(Network(), Points(), loss, replace(TWO, epochs=50, patience=2), seed=1, judged=lambda _: 1.0)
    assert (fitted.why, len(fitted.course.curve)) == ("patience", 3)
    plan = replace(TWO, epochs=10_000, minutes=0.02)
    begun = time.monotonic()
    assert run(Network(), plan).why == "minutes"
    assert time.monotonic() - begun < 20


def test_processes_that_share_out_the_weights_learn_as_one_does() -> None:
    one, two = Network(), Network()
    alone, together = (run(net, replace(plan, average=0.9)) for net, plan in ((one, PLAN), (two, SHARED)))
    np.testing.assert_allclose(together.course.curve, alone.course.curve, atol=1e-5)
    for name, weight in one.line.state_dict().items():
        torch.testing.assert_close(two.line.state_dict()[name], weight, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "plan", [replace(TWO, epochs=2), replace(SHARED, epochs=2, average=0.9)], ids=["ddp", "fsdp"]
)
def test_a_process_that_is_killed_loses_no_work(
    plan: Schedule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_SAVED_EVERY", 0.0)
    whole = run(Network(), plan)

    def dies(net: Any, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        if torch.distributed.get_rank() == 1 and (tmp_path / "000000009").is_dir():
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(net, given)

    with pytest.raises(WorkerError, match="goes on from its last checkpoint"):
        fit(Network(), Points(), dies, plan, seed=1, judged=judged, folder=tmp_path, of="points")
    assert max(int(path.name) for path in tmp_path.glob("0*")) >= 9
    resumed = run(Network(), plan, folder=tmp_path, of="points")
    assert resumed.course.curve == whole.course.curve


def test_what_one_of_them_finds_wrong_is_said() -> None:
    with pytest.raises(InputError, match="the loss became infinite at step 7"):
        fit(Network(), Points(), lambda net, given: loss(net, given) * torch.inf, TWO, seed=1)


def test_there_is_no_other_way_to_share_work_out() -> None:
    with pytest.raises(InputError, match="there is no strategy 'zero'; there are: ddp, fsdp"):
        replace(TWO, strategy="zero")
