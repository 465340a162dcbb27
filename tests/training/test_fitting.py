"""The fit loop: it learns, resumes to the step, and says what is wrong."""

from __future__ import annotations

import json
import multiprocessing
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

from medloom.foundation.errors import InputError, StorageError
from medloom.training import checkpoints, fitting
from medloom.training.fitting import Fitted, fit
from medloom.training.schedule import Schedule

PLAN = Schedule(epochs=4, batch=16, learning_rate=0.02, patience=None)


@dataclass(frozen=True)
class Lines:
    """Points near a line; how near is drawn in each batch."""

    n: int = 100
    slow: float = 0.0
    noise: float = 0.1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.ones(self.n, np.int64)

    def batch(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        time.sleep(self.slow)
        x = np.random.default_rng(0).normal(size=(self.n, 3))[rows]
        y = x @ [1.0, -2.0, 0.5] + self.noise * rng.normal(size=len(rows))
        return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))


def loss(net: Any, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    x, y = given
    return (net(x)[:, 0] - y) ** 2


def judged(net: Any) -> float:
    net.eval()
    with torch.no_grad():
        return float(loss(net, Lines(40).batch(np.arange(40), np.random.default_rng(1))).mean())


def run(net: torch.nn.Module, plan: Schedule = PLAN, **more: Any) -> Fitted:
    return fit(net, Lines(), loss, plan, seed=1, judged=judged, **more)


def weights(net: torch.nn.Module) -> list[list[float]]:
    return [one.flatten().tolist() for one in net.state_dict().values()]


def test_it_learns_and_keeps_the_best() -> None:
    net = network()
    fitted = run(net, replace(PLAN, epochs=30))
    assert judged(net) == pytest.approx(fitted.course.best)
    assert fitted.course.best is not None
    assert fitted.course.best < 0.3
    assert fitted.course.step == 30 * 7


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    one, two = network(), network()
    run(one)
    torch.rand(5)
    run(two)
    assert weights(one) == weights(two)


def test_it_leaves_the_randomness_of_others_as_it_was() -> None:
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Linear(3, 1))
    torch.manual_seed(3)
    run(net)
    assert torch.rand(1) == before


def test_pieces_of_a_batch_give_the_same_step() -> None:
    one, two = (torch.nn.Sequential(torch.nn.Linear(3, 1)) for _ in range(2))
    two.load_state_dict(one.state_dict())
    for net, pieces in ((one, 1), (two, 3)):
        fit(net, Lines(noise=0.0), loss, replace(PLAN, pieces=pieces), seed=1)
    for first, second in zip(weights(one), weights(two), strict=True):
        assert first == pytest.approx(second, abs=1e-5)


def test_it_stops_when_nothing_is_gained() -> None:
    fitted = fit(network(), Lines(), loss, replace(PLAN, patience=2), seed=1, judged=lambda _: 1.0)
    assert (fitted.why, len(fitted.course.curve)) == ("patience", 3)


def test_it_stops_when_its_time_is_up() -> None:
    plan = replace(PLAN, epochs=10_000, minutes=0.01)
    begun = time.monotonic()
    assert run(network(), plan).why == "minutes"
    assert time.monotonic() - begun < 20


def test_an_average_of_weights_is_what_is_kept() -> None:
    net = network()
    fitted = run(net, replace(PLAN, average=0.9))
    assert judged(net) == pytest.approx(fitted.course.best)


def test_an_infinite_loss_is_said() -> None:
    with pytest.raises(InputError, match="the loss became infinite at step 7"):
        fit(network(), Lines(), lambda net, given: loss(net, given) * torch.inf, PLAN, seed=1)


def test_killed_it_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_SAVED_EVERY", 0.0)
    whole = network()
    fitted = run(whole)
    child = multiprocessing.get_context("fork").Process(target=_slowly, args=(tmp_path,))
    child.start()
    _wait_for_step(tmp_path, 10)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    resumed = network()
    again = run(resumed, folder=tmp_path, of="lines")
    assert weights(resumed) == weights(whole)
    assert again.course.curve == fitted.course.curve


def test_interrupted_it_finishes_the_step_and_goes_on_from_there(tmp_path: Path) -> None:
    whole = network()
    expected = run(whole)
    part, asked = network(), 9
    before = signal.getsignal(signal.SIGINT)

    def interrupt(_net: torch.nn.Module, step: int, _steps: int) -> None:
        if step == asked:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(part, folder=tmp_path, on_step=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    again, first = network(), list[int]()
    reached = run(again, folder=tmp_path, on_step=lambda _net, step, _steps: first.append(step))
    assert first[0] == asked + 1
    assert reached.course.curve == expected.course.curve
    assert weights(again) == weights(whole)


def test_a_broken_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fitting, "_SAVED_EVERY", 0.0)
    whole = network()
    run(whole, folder=tmp_path, of="lines")
    last = max(tmp_path.glob("0*"))
    content = bytearray((last / "tensors.safetensors").read_bytes())
    content[-1] ^= 1
    (last / "tensors.safetensors").write_bytes(bytes(content))
    resumed = network()
    run(resumed, folder=tmp_path, of="lines")
    assert "broken checkpoint" in caplog.text
    assert weights(resumed) == weights(whole)


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    run(network(), folder=tmp_path, of="lines")
    with pytest.raises(InputError, match="is another one"):
        run(network(), folder=tmp_path, of="circles")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_SAVED_EVERY", 0.0)
    written = checkpoints.sync
    seen: list[Path] = []

    def full_at_the_ninth(path: Path) -> None:
        seen.append(path)
        if len(seen) == 9:
            raise OSError(28, "No space left on device")
        written(path)

    monkeypatch.setattr(checkpoints, "sync", full_at_the_ninth)
    with pytest.raises(StorageError, match="full"):
        run(network(), folder=tmp_path, of="lines")
    found = checkpoints.load_checkpoint(tmp_path, "lines")
    assert found is not None
    assert found[0].step == 2


def _slowly(folder: Path) -> None:
    fit(network(), Lines(slow=0.02), loss, PLAN, seed=1, judged=judged, folder=folder, of="lines")


def _wait_for_step(folder: Path, step: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in folder.glob("0*/course.json"):
            try:
                if json.loads(path.read_text())["step"] >= step:
                    return
            except (OSError, ValueError):
                continue
        time.sleep(0.01)
    raise AssertionError("it did not come so far")
