"""Learners of timelines beside boosted trees: death in hospital, PhysioNet 2012, five folds over sets a and b.

In each fold a learner sees the training stays, and is stopped on the tuning stays; the body of `timeline` is pretrained
on the training stays alone. Of each network two are learned, and their scores averaged. Folds are learned two at a
time, one thread each; what is done is kept, so that a run that was cut off goes on. Settings were chosen on stays of
the first fold that it does not test on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom.cli.bench import Bench
from medloom.evidence.answers import binary_answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import estimates, paired_difference
from medloom.foundation.files import remove, write_text

MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "timeline": {"epochs": 12, "learning_rate": 0.001, "weight_decay": 0.1, "networks": 2},
    "transformer": {"epochs": 15, "weight_decay": 0.1, "networks": 2},
    "gru-d": {"networks": 2},
    "gbdt": {},
}
PROCESSES: Final = 2


def run(bench: Bench) -> None:
    """Learn each fold with each learner, then score all stays by models that had not seen them."""
    sys.path.append(str(bench.folder))  # at the end: a script beside this one is named as a library
    from _icu_folds import FOLDS, fold, shared_folder, stays  # type: ignore[import-not-found]  # beside this script

    samples = stays(shared_folder(bench))
    bench.data["physionet2012"] = {"sets": "a, b", "stays": len(samples), "folds": FOLDS}
    jobs = [(number, name) for name in MEMBERS for number in range(FOLDS)]
    left = [job for job in jobs if not _is_done(bench.work, *job)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        for done in [pool.submit(_learn, *job, bench) for job in left]:
            done.result()
    bench.looked()
    said = {
        name: [json.loads(_place(bench.work, number, name).read_text()) for number in range(FOLDS)]
        for name in MEMBERS
    }
    truth, groups = [], []
    risks: dict[str, list[Any]] = {name: [] for name in (*MEMBERS, "fusion")}
    for number in range(FOLDS):
        _, tuning, test = fold(samples, number)
        truth.append(test.frame["label"].to_numpy())
        groups.append(test.groups)
        for name in MEMBERS:
            risks[name].append(np.array(said[name][number]["test"]))
        each = [said[name][number] for name in MEMBERS]
        risks["fusion"].append(_fused(tuning.frame["label"].to_numpy(), each, bench.seed))
    outcome, whose = np.concatenate(truth), np.concatenate(groups)
    answers = {name: binary_answers(outcome, np.concatenate(each), whose) for name, each in risks.items()}
    for name, found in answers.items():
        for metric in ("auroc", "auprc", "brier", "calibration_slope", "ece"):
            bench.figures |= _with_interval(f"{name}.{metric}", estimates(found, seed=bench.seed)[metric])
        if name in MEMBERS:
            bench.figures[f"{name}.train_s"] = float(np.mean([one["seconds"] for one in said[name]]))
    for one, other in (("timeline", "gbdt"), ("timeline", "transformer"), ("fusion", "gbdt")):
        for metric in ("auroc", "auprc"):
            difference = paired_difference(metric, answers[one], answers[other], seed=bench.seed)
            bench.figures |= _with_interval(f"{one}_minus_{other}.{metric}", difference)
    remove(bench.work / "folds")
    bench.references = {
        "gru_d.auroc": {"value": 0.863, "source": "Horn et al., SeFT, ICML 2020; another split"},
        "transformer.auroc": {"value": 0.863, "source": "Horn et al., SeFT, ICML 2020; another split"},
    }


def _fused(outcome: Any, each: list[dict[str, Any]], seed: int) -> Any:
    """Stack the members as `fusion` does: weights from what they say of stays they had not learned from."""
    from medloom.learners.fusion.stack import Stack
    from medloom.training.answers import answers_of, scores_of

    def scores(part: str) -> Any:
        risks = np.stack([np.array(one[part]) for one in each], axis=1)
        return scores_of("binary", risks)[:, :, None]

    stack = Stack.fit("binary", scores("tuning"), outcome.astype(float)[:, None], 0.2, seed)
    return answers_of("binary", stack.scores(scores("test")))[:, 0]


def _learn(number: int, name: str, bench: Bench) -> None:
    """Learn one fold with one learner, in a process of its own."""
    from _icu_folds import shared_folder

    one = [number, name, bench.work, shared_folder(bench), bench.seed]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-P", __file__, *map(str, one)], env=environment, check=True)


def learn(number: int, name: str, work: Path, shared: Path, seed: int) -> None:
    """Learn one fold with one learner; keep what it says of the tuning and the test stays."""
    import torch
    from _icu_folds import fold, pretrained, stays

    import medloom as ml

    torch.set_num_threads(1)
    train, tuning, test = fold(stays(shared), number)
    settings, seconds = MEMBERS[name], 0.0
    if name == "timeline":
        encoder, seconds = pretrained(shared, number, seed)
        settings = {**settings, "encoder": str(encoder)}
    started = time.perf_counter()
    learner = ml.learner(name, **settings)
    model = learner.fit(train, tuning, seed)
    seconds += time.perf_counter() - started
    # trees learn from the tuning stays too, in the end; what they say of these would weigh too much
    unseen = learner.fit(train, tuning.where(pl.lit(False)), seed) if name == "gbdt" else model
    said = {
        part: one.predict(of).frame["value"].to_list()
        for part, one, of in (("tuning", unseen, tuning), ("test", model, test))
    }
    place = _place(work, number, name)
    place.parent.mkdir(exist_ok=True)
    write_text(place, json.dumps({**said, "seconds": seconds, "settings": MEMBERS[name]}))


def _is_done(work: Path, number: int, name: str) -> bool:
    """Tell whether a run that was cut off had learned a fold so."""
    place = _place(work, number, name)
    return place.is_file() and json.loads(place.read_text(encoding="utf-8"))["settings"] == MEMBERS[name]


def _place(work: Path, number: int, name: str) -> Path:
    return work / "folds" / f"{name}-{number}.json"


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    values = {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return {key: value for key, value in values.items() if value is not None}


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))  # at the end: peft.py is named as a library
    learn(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
