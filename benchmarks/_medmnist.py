"""What the benchmarks on sets of MedMNIST at 28 px share: three seeds, one look at the test pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from _pictures import medmnist  # beside this one

from medloom import api
from medloom.cli.bench import Bench
from medloom.evidence.answers import binary_answers
from medloom.evidence.intervals import estimates
from medloom.foundation.files import remove, write_text

SEEDS: Final = 3


def run(
    bench: Bench, name: str, positive: int, finding: str, learner: str, parameters: Mapping[str, Any]
) -> None:
    """Learn with three seeds; figures are means over seeds, and of the three averaged."""
    samples = medmnist(bench.work, name, positive, finding)
    train, tuning, test = (samples.in_split(split) for split in ("train", "tuning", "held_out"))
    bench.data[name] = {"train": len(train), "tuning": len(tuning), "test": len(test)}
    work = bench.work / "run"
    work.mkdir(parents=True, exist_ok=True)
    told = []
    for number in range(SEEDS):
        path = work / f"{number}.json"
        if not path.is_file():
            begun = time.perf_counter()
            model = api.learner(learner, **parameters).fit(train, tuning, seed=bench.seed + number)
            seconds = time.perf_counter() - begun
            tuned, tested = (model.predict(part).frame["value"].to_list() for part in (tuning, test))
            write_text(path, json.dumps({"seconds": seconds, "tuning": tuned, "test": tested}))
        told.append(json.loads(path.read_text(encoding="utf-8")))
    bench.looked()
    truth, tuning_truth = test.frame["label"].to_numpy(), tuning.frame["label"].to_numpy()
    each = [(np.array(one["tuning"]), np.array(one["test"])) for one in told]
    mean = (np.mean([one for one, _ in each], axis=0), np.mean([one for _, one in each], axis=0))
    found = [_judged(tuning_truth, truth, *one, test.groups, bench.seed) for one in (*each, mean)]
    for metric in ("auroc", "auprc", "accuracy"):
        of_seeds = [one[metric] for one in found[:SEEDS]]
        bench.figures |= {
            f"{learner}.{metric}": float(np.mean(of_seeds)),
            f"{learner}.{metric}.lowest_seed": float(np.min(of_seeds)),
            f"{learner}.averaged.{metric}": found[SEEDS][metric],
        }
    for end in ("low", "high"):
        bench.figures[f"{learner}.averaged.auroc.{end}"] = found[SEEDS][f"auroc.{end}"]
    bench.figures[f"{learner}.train_s"] = float(np.mean([one["seconds"] for one in told]))
    remove(work)


def _judged(
    tuning_truth: np.ndarray,
    truth: np.ndarray,
    tuned: np.ndarray,
    tested: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Judge the answers of one; the threshold is the one that is right most often on the tuning pictures."""
    candidates = np.unique(tuned)
    right = [((tuned >= one) == tuning_truth).mean() for one in candidates]
    best = np.flatnonzero(np.array(right) >= max(right) - 1e-9)
    at = candidates[best[len(best) // 2]]
    estimated = estimates(binary_answers(truth, tested, groups), seed=seed)
    found = {metric: float(estimated[metric].value or 0) for metric in ("auroc", "auprc")}
    low, high = estimated["auroc"].low, estimated["auroc"].high
    return found | {
        "accuracy": float(((tested >= at) == truth).mean()),
        "auroc.low": float(low or 0),
        "auroc.high": float(high or 0),
    }
