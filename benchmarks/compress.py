"""A timeline model made smaller: how much faster it answers, and what it loses.

PhysioNet 2012, sets a and b, the first of five folds is tested on. A transformer is learned once and made smaller in
each way with the tuning stays; AUROC before and after is that of the test stays. All models are then timed together,
stay by stay, on one thread. What was made is kept in the benchmark's folder until all is done: a run that was cut off
goes on from there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from medloom.api import Trained
from medloom.cli.bench import Bench
from medloom.compressing import compress, size_of
from medloom.evidence.answers import binary_answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import estimates, paired_difference
from medloom.foundation.files import remove
from medloom.learners.timeline.transformer import TransformerLearner
from medloom.tasks.model import Model
from medloom.tasks.package import load
from medloom.tasks.samples import Samples
from medloom.training.compression.plan import Plan, Timed
from medloom.training.wrapping import innermost

LEARNER = TransformerLearner(size="micro", step=1.0, epochs=5)
BASE = "eager"
# what is made of which: the last is made of what was made before it
PLANS = {
    "onnx": (BASE, Plan("onnx")),
    "int8": (BASE, Plan("int8", "static")),
    "int8-dynamic": (BASE, Plan("int8", "dynamic")),
    "pruned": (BASE, Plan("pruned", "units", share=0.4, epochs=3, learning_rate=5e-4)),
    "pruned-weights": (BASE, Plan("pruned", "weights", share=0.6, epochs=2, learning_rate=5e-4)),
    "distilled": (BASE, Plan("distilled", "smaller", epochs=10, learning_rate=2e-3)),
    "distilled-gbdt": (BASE, Plan("distilled", "gbdt")),
    "distilled-int8": ("distilled", Plan("int8", "static")),
}
TIMED = 200  # stays


def run(bench: Bench) -> None:
    """Learn, make smaller in each way, test, and time."""
    sys.path.append(str(bench.folder))  # at the end: a script beside this one is named as a library
    from _icu_folds import fold, shared_folder, stays  # type: ignore[import-not-found]  # beside this script

    torch.set_num_threads(1)
    work = bench.work / "run"
    train, tuning, test = fold(stays(shared_folder(bench)), 0)
    sizes = {"train": len(train), "tuning": len(tuning), "test": len(test)}
    bench.data["physionet2012"] = {"sets": "a, b", **sizes}
    models = _models(work, train, tuning, bench.seed)
    bench.looked()
    figures, truth = bench.figures, test.frame["label"].to_numpy()
    answers = {
        name: binary_answers(truth, model.predict(test).frame["value"].to_numpy(), test.groups)
        for name, model in models.items()
    }
    times = _times(models, test.among(range(TIMED)))
    for name, model in models.items():
        found = estimates(answers[name], seed=bench.seed)
        for metric in ("auroc", "ece", "calibration_slope"):
            figures |= _with_interval(f"{name}.{metric}", found[metric])
        figures[f"{name}.size_kb"] = size_of(innermost(model)) / 1024
        figures |= {f"{name}.{what}": value for what, value in times[name].items()}
        if name == BASE:
            continue
        lost = paired_difference("auroc", answers[BASE], answers[name], seed=bench.seed)
        figures |= _with_interval(f"{name}.auroc_loss", lost)
        for what, speed in (("p50_ms", "speed_vs_eager"), ("whole_p50_ms", "whole_speed_vs_eager")):
            if what in times[name]:
                figures[f"{name}.{speed}"] = times[BASE][what] / times[name][what]
    remove(work)


def _models(work: Path, train: Samples, tuning: Samples, seed: int) -> dict[str, Model]:
    """Learn and make smaller, unless a run that was cut off has done it."""
    frame = pl.concat([train.frame, tuning.frame]).sort("subject_id", "prediction_time")
    both = replace(train, frame=frame)

    def made(of: str, plan: Plan) -> Model:
        return compress(Trained(models[of], both), plan, most_lost=1.0, seed=seed).trained.model

    models = {BASE: _kept(work / BASE, lambda: LEARNER.fit(train, tuning, seed))}
    for name, (of, plan) in PLANS.items():
        models[name] = _kept(work / name, lambda of=of, plan=plan: made(of, plan))  # type: ignore[misc]
    return models


def _kept(folder: Path, make: Callable[[], Model]) -> Model:
    if not (folder / "SHA256SUMS").is_file():
        remove(folder)
        make().save(folder)
    return load(folder)


def _times(models: dict[str, Model], samples: Samples) -> dict[str, dict[str, float]]:
    """Time each model's answers about one stay after the other, all models in turn, in ms.

    From the input as the model reads it (the base in 32 bits), and from the record.
    """
    bare = {name: innermost(model) for name, model in models.items()}
    ways: dict[tuple[str, str], Callable[[int], object]] = {
        (name, ""): model.asker(samples) for name, model in bare.items() if isinstance(model, Timed)
    }
    held = samples.held()
    for name, model in models.items():
        ways[name, "whole_"] = lambda place, model=model: model.predict(held.at(place))  # type: ignore[misc]
    taken: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for place in range(len(samples)):
        for way, ask in ways.items():
            begun = time.perf_counter()
            ask(place)
            taken[way].append(1000 * (time.perf_counter() - begun))
    found: dict[str, dict[str, float]] = {name: {} for name in models}
    for (name, part), each in taken.items():
        p50, p95 = np.quantile(each[5:], [0.5, 0.95])
        found[name] |= {f"{part}p50_ms": float(p50), f"{part}p95_ms": float(p95)}
    return found


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    values = {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return {key: value for key, value in values.items() if value is not None}
