"""Fine-tuning a pretrained timeline model: all weights, or few of them.

PhysioNet 2012, sets a and b, the first of five folds is tested on. One body is pretrained on the training stays
without labels, then adapted to death in hospital in each way, with the same passes over the same stays. What was
learned is kept in the benchmark's folder until all is done: a run that was cut off goes on from there.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from medloom.cli.bench import Bench
from medloom.evidence.answers import binary_answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import estimates, paired_difference
from medloom.foundation.files import remove, write_text
from medloom.learners.timeline.pretrained import TimelineLearner
from medloom.tasks.samples import Samples

PASSES, PATIENCE = 12, 4
# ranks at which each trains about as many weights, at most 2 % of the body's
RANKS = {"full": 1, "lora": 2, "adalora": 2, "adapter": 8, "head": 1}


def run(bench: Bench) -> None:
    """Pretrain once, adapt in each way, test each on the same stays."""
    sys.path.append(str(bench.folder))  # at the end: this script is named as the library that it measures
    from _icu_folds import fold, pretrained, shared_folder, stays  # type: ignore[import-not-found]  # beside this one

    from medloom.learners.timeline.pretraining import load_encoder

    work, shared = bench.work / "run", shared_folder(bench)
    train, tuning, test = fold(stays(shared), 0)
    bench.data["physionet2012"] = {
        "sets": "a, b",
        "train": len(train),
        "tuning": len(tuning),
        "test": len(test),
    }
    figures = bench.figures
    encoder, figures["pretraining.train_s"] = pretrained(shared, 0, bench.seed)
    weights = sum(one.numel() for one in load_encoder(encoder).network.body.parameters())
    figures["body.parameters"] = weights
    truth = test.frame["label"].to_numpy()
    bench.looked()
    answers = {}
    for way, rank in RANKS.items():
        said = _kept(
            work / f"{way}.json",
            lambda way=way, rank=rank: _adapted(way, rank, encoder, train, tuning, test, work, bench.seed),
        )
        answers[way] = binary_answers(truth, np.array(said["risks"]), test.groups)
        trained = _trained(encoder, way, rank)
        figures |= {
            f"{way}.trained": trained,
            f"{way}.trained_share": trained / weights,
            f"{way}.train_s": said["seconds"],
            f"{way}.package_share": said["bytes"] / _size(encoder),
        }
        found = estimates(answers[way], seed=bench.seed)
        for metric in ("auroc", "auprc", "brier"):
            figures |= _with_interval(f"{way}.{metric}", found[metric])
    for way in list(RANKS)[1:]:
        difference = paired_difference("auroc", answers[way], answers["full"], seed=bench.seed)
        figures |= _with_interval(f"{way}_minus_full.auroc", difference)
    remove(work)


def _adapted(
    way: str,
    rank: int,
    encoder: Path,
    train: Samples,
    tuning: Samples,
    test: Samples,
    work: Path,
    seed: int,
) -> dict[str, Any]:
    learner = TimelineLearner(encoder=str(encoder), adapt=way, rank=rank, epochs=PASSES, patience=PATIENCE)
    started = time.perf_counter()
    model = learner.fit(train, tuning, seed)
    seconds = time.perf_counter() - started
    package = work / way
    remove(package)
    model.save(package)
    risks = model.predict(test).frame["value"].to_list()
    return {"seconds": seconds, "bytes": _size(package), "risks": risks}


def _trained(encoder: Path, way: str, rank: int) -> int:
    """Count the weights that want a gradient, with those of the layer of answers."""
    from medloom.learners.timeline.bases import places_of
    from medloom.learners.timeline.pretraining import load_encoder
    from medloom.training.adaptation import adapt

    body = load_encoder(encoder).body()
    adapt(body, places_of(body), way, rank)
    return sum(one.numel() for one in body.parameters() if one.requires_grad) + body.width + 1


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    values = {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return {key: value for key, value in values.items() if value is not None}


def _size(package: Path) -> int:
    return sum(path.stat().st_size for path in package.rglob("*") if path.is_file())


def _kept(path: Path, work: Any) -> dict[str, Any]:
    """Do a piece of work, unless a run that was cut off has done it."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(work()))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
