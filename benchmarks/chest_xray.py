"""Pneumonia on chest X-rays of children (Kermany et al. 2018): a plain network, transfer, and self-supervision.

The 624 pictures of `test` are looked at once, at the end. Who is learned from is split by patient number, 15 % of them
to tune on. The threshold is chosen there too, on the pictures as they are and, of each fifth, as another machine would
have taken it: few are answered wrongly as they are, and the test pictures are others. Small shares of labels are shares
of patients, of those to tune on as well; who pretrains without labels has all pictures. What was learned is kept in the
benchmark's folder, by its recipe: a run that was cut off goes on from there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from medloom import api
from medloom.cli.bench import Bench
from medloom.evidence.answers import binary_answers
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, estimate, estimates, paired_difference
from medloom.evidence.nearness import resampled
from medloom.features.acquisition import shifts
from medloom.foundation.files import remove, write_text
from medloom.foundation.hashing import digest
from medloom.foundation.seeds import generator
from medloom.tasks.samples import Samples

TRANSFER: Final[dict[str, Any]] = {
    "size": 160, "epochs": 6, "learning_rate": 0.0007, "augment": 1.5, "views": 5,
}  # fmt: skip
CNN: Final[dict[str, Any]] = {
    "size": 96, "epochs": 8, "width": 16, "learning_rate": 0.002, "augment": 1.5, "precision": "bf16", "views": 5,
}  # fmt: skip
FEW: Final[dict[str, Any]] = {"size": 96, "views": 5}
PASSES: Final = 8  # of self-supervision
SHARES: Final = (0.05, 0.2)
_EACH: Final = 5
REFERENCES: Final = {
    "ResNet-18 (224) auroc": 0.956,
    "ResNet-18 (224) accuracy": 0.864,
    "ResNet-50 (224) auroc": 0.962,
    "ResNet-50 (224) accuracy": 0.884,
    "AutoML auroc": 0.991,
    "AutoML accuracy": 0.946,
    "source": "MedMNIST v2, PneumoniaMNIST: the same pictures (Yang et al., Scientific Data 2023;10:41)",
}


def run(bench: Bench) -> None:
    """Learn in each way, then look at the test pictures once."""
    sys.path.append(str(bench.folder))
    from _pictures import chest_xrays  # type: ignore[import-not-found]  # beside this one

    work = bench.work / "run"
    samples = chest_xrays(bench.work)
    train, tuning, test = (samples.in_split(split) for split in ("train", "tuning", "held_out"))
    bench.data["chestxray-kermany"] = {"train": len(train), "tuning": len(tuning), "test": len(test)}
    bench.references = REFERENCES
    made: dict[str, dict[str, Any]] = {}

    def learned(name: str, learner: str, share: float, parameters: Mapping[str, Any]) -> None:
        given, judging = (_share_of(one, share, bench.seed) for one in (train, tuning))
        if share < 1:
            bench.data["chestxray-kermany"] |= {
                f"train.{share:.0%}": len(given),
                f"tuning.{share:.0%}": len(judging),
            }
        made[name] = _kept(
            work / f"{name}-{digest([learner, share, dict(parameters)])[:8]}.json",
            lambda: _learned(learner, dict(parameters), given, judging, test, bench.seed, work / name),
        )

    learned("efficientnet", "efficientnet", 1.0, TRANSFER)
    learned("cnn", "cnn", 1.0, CNN)
    encoder = _kept(
        work / f"encoder-{digest([PASSES, CNN])[:8]}.json",
        lambda: _encoder(train, tuning, bench.seed, work / "encoder"),
    )
    bench.figures["self-supervised.pretraining.train_s"] = encoder["seconds"]
    started = {"start": str(work / "encoder"), "width": CNN["width"]}
    learned("self-supervised", "cnn", 1.0, CNN | started)
    for share in SHARES:
        named = f"{share:.0%}"
        learned(f"efficientnet.{named}", "efficientnet", share, FEW)
        learned(f"cnn.{named}", "cnn", share, FEW | {"width": CNN["width"], "learning_rate": 0.002})
        learned(f"self-supervised.{named}", "cnn", share, FEW | started | {"learning_rate": 0.001})
    bench.looked()
    truth = test.frame["label"].to_numpy()
    answers = {}
    for name, told in made.items():
        risks = np.array(told["test"])
        answers[name] = binary_answers(truth, risks, test.groups)
        found = estimates(answers[name], seed=bench.seed)
        for metric in ("auroc", "auprc", "brier", "ece"):
            bench.figures |= _with_interval(f"{name}.{metric}", found[metric])
        at = _threshold(np.array(told["truth"]), np.array(told["tuning"]))
        bench.figures |= _with_interval(
            f"{name}.accuracy", _share((risks >= at) == truth, test.groups, bench.seed)
        )
        bench.figures |= {
            f"{name}.accuracy_at_half": float(((risks >= 0.5) == truth).mean()),
            f"{name}.threshold": at,
            f"{name}.train_s": told["seconds"],
        }
    for name in ("cnn", "self-supervised"):
        difference = paired_difference("auroc", answers["efficientnet"], answers[name], seed=bench.seed)
        bench.figures |= _with_interval(f"efficientnet_minus_{name}.auroc", difference)
    remove(work)


def _learned(
    learner: str,
    parameters: dict[str, Any],
    train: Samples,
    tuning: Samples,
    test: Samples,
    seed: int,
    into: Path,
) -> dict[str, Any]:
    begun = time.perf_counter()
    model = api.learner(learner, **parameters).fit(train, tuning, seed)
    seconds = time.perf_counter() - begun
    remove(into)
    model.save(into)
    changed = [
        tuning.among(range(number % _EACH, len(tuning), _EACH)).changing(shift)
        for number, shift in enumerate(shifts())
    ]
    parts = [tuning, *changed]
    return {
        "seconds": seconds,
        "truth": [value for part in parts for value in part.frame["label"]],
        "tuning": [value for part in parts for value in model.predict(part).frame["value"]],
        "test": model.predict(test).frame["value"].to_list(),
    }


def _encoder(train: Samples, tuning: Samples, seed: int, into: Path) -> dict[str, Any]:
    from medloom.learners.image.classifiers import CnnLearner
    from medloom.learners.image.pretraining import pretrain
    from medloom.training.schedule import Schedule

    learner = CnnLearner(size=CNN["size"], width=CNN["width"])
    schedule = Schedule(epochs=PASSES, batch=64, learning_rate=0.001, patience=None, precision="bf16")
    begun = time.perf_counter()
    remove(into)
    pretrain(learner, train, tuning, schedule=schedule, seed=seed, folder=into.with_suffix(".work")).save(
        into
    )
    return {"seconds": time.perf_counter() - begun}


def _share_of(train: Samples, share: float, seed: int) -> Samples:
    """Keep a share of the patients; 1: all."""
    if share == 1:
        return train
    patients = np.unique(train.groups)
    chosen = generator(seed, "share").permutation(patients)[: max(2, round(share * len(patients)))]
    return train.where(pl.col("group").is_in(chosen.tolist()))


def _threshold(truth: np.ndarray, risks: np.ndarray) -> float:
    """Choose where both kinds of error are equally rare, for other hospitals have other shares of ill."""
    candidates = np.unique(risks)
    ill, well = np.sort(risks[truth]), np.sort(risks[~truth])
    missed = np.searchsorted(ill, candidates, "left") / len(ill)
    alarms = 1 - np.searchsorted(well, candidates, "left") / len(well)
    return float(candidates[np.argmin(np.abs(missed - alarms))])


def _share(right: np.ndarray, groups: np.ndarray, seed: int) -> Estimate:
    """Give the share that is right, by patients drawn anew."""
    values, rng = right.astype(float), generator(seed, "accuracy")
    return estimate(
        values.mean(), np.array([resampled(values, rng, groups).mean() for _ in range(REPLICATES)])
    )


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    values = {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return {key: value for key, value in values.items() if value is not None}


def _kept(path: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do a piece of work, unless a run that was cut off has done it."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(work()))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
