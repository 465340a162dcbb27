"""Pretraining by two processes beside one: how much faster, and whether they learn the same.

Both see the same global batches of the same generated timelines, from the same weights, without dropout, for the same
number of steps; one process has one core, two have one each, and each one thread. The time is that of the fit loop,
from the first step to the last, so that starting the processes, which happens once a training, is told apart.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloom.cli.bench import Bench

RUNS = 3
PATIENTS, EACH = 2_048, 120  # facts of a patient, one a step
BATCH, EPOCHS = 256, 2
FIRST = 4  # steps that are not timed: processes start, memory is taken


def run(bench: Bench) -> None:
    """Learn by one process and by two, in turns."""
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two processes need two cores")
    one, two = [], []
    for _ in range(RUNS):
        one.append(_measured(1))
        two.append(_measured(2))
    alone, together = (statistics.median(each["seconds"] for each in runs) for runs in (one, two))
    rows = one[0]["rows"]
    bench.data["generated"] = {"patients": PATIENTS, "facts": PATIENTS * EACH, "steps": one[0]["steps"]}
    bench.figures |= {
        "single.rows_per_s": rows / alone,
        "ddp2.rows_per_s": rows / together,
        "ddp2.speed_vs_single": alone / together,
        "ddp2.loss_difference": max(
            abs(a - b) for a, b in zip(one[0]["curve"], two[0]["curve"], strict=True)
        ),
        "ddp2.started_s": statistics.median(each["started"] for each in two),
        "single.last_loss": one[0]["curve"][-1],
    }


def learn(processes: int) -> dict[str, Any]:
    """Train a transformer on generated timelines; give the seconds after the first steps, and the curve."""
    from dataclasses import replace

    import numpy as np
    import torch

    from medloom.features.token_vocabulary import QUANTILES, TokenVocabulary
    from medloom.features.tokens import Tokens
    from medloom.learners.timeline.batches import Gathering, TimelineBatch, Timelines
    from medloom.learners.timeline.body import BodyConfig, TimelineBody, size_named
    from medloom.learners.timeline.network import TimelineNetwork
    from medloom.training.fitting import fit
    from medloom.training.schedule import Schedule

    rng = np.random.default_rng(0)
    codes, n = 200, PATIENTS * EACH
    edges = np.linspace(-1, 1, QUANTILES - 1, dtype=np.float32)
    vocabulary = TokenVocabulary(
        tuple(f"LOCAL//{number}" for number in range(codes)),
        (n // codes,) * codes,
        np.zeros(codes, np.float32),
        np.ones(codes, np.float32),
        np.tile(edges, (codes, 1)),
        (),
        ((),) * codes,
        ("",) * codes,
    )
    hours = -np.sort(-rng.uniform(0, 1000, (PATIENTS, EACH)), axis=1).astype(np.float32)
    code = rng.integers(1, codes + 1, n).astype(np.int32)
    value, tenth = vocabulary.standardised(code, rng.normal(size=n).astype(np.float32))
    offsets = np.arange(PATIENTS + 1) * EACH
    age = rng.uniform(20, 90, PATIENTS).astype(np.float32)
    tokens = Tokens(offsets, code, value, tenth, hours.ravel(), age)
    labels = torch.from_numpy(value.reshape(PATIENTS, EACH)[:, -10:].mean(1))

    class Rows(Timelines):
        def batch(self, rows: Any, *_drawn: Any) -> TimelineBatch:  # type: ignore[override]
            return super().batch(rows)

    torch.manual_seed(0)
    body = TimelineBody(BodyConfig.of(replace(size_named("nano"), dropout=0.0), vocabulary))
    network = TimelineNetwork(body, 1, dropout=0.0)
    begun, seen, curve = time.monotonic(), list[float](), list[float]()

    def noted(_step: int, loss: float, _judged: float | None) -> None:
        seen.append(time.monotonic())
        curve.append(loss)

    steps = PATIENTS // BATCH
    fitted = fit(
        network,
        Rows(tokens, vocabulary, Gathering(None, EACH + 1)),
        lambda net, batch: (net(batch)[:, 0] - labels[batch.samples]) ** 2,
        Schedule(epochs=EPOCHS, batch=BATCH, patience=None, devices=processes, judgements=steps // FIRST),
        seed=1,
        noted=noted,
    )
    timed = fitted.course.step - FIRST
    return {
        "seconds": seen[-1] - seen[0],
        "started": seen[0] - begun,
        "rows": timed * BATCH,
        "steps": fitted.course.step,
        "curve": curve,
    }


def _measured(processes: int) -> dict[str, Any]:
    """Learn in a process of its own, or two, with a core and a thread each."""
    cores = sorted(os.sched_getaffinity(0))[-processes:]
    single = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, str(processes)],
        env={**os.environ, **single},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(learn(int(sys.argv[1]))))
