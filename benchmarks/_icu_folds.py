"""PhysioNet 2012, sets a and b together, in folds of stays: what timeline models are learned from and tested on.

The record, and a body pretrained on each fold's training stays without labels, are made once for all benchmarks.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

import medloom as ml
from medloom.cli.bench import Bench
from medloom.foundation.files import remove, write_text
from medloom.record.datasets import get
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

FOLDS = 5
TUNING = 0.15  # of the stays that are not tested on
STEP = 1.0  # hours whose facts are read together
PASSES = 40  # of pretraining

TASK = Task.model_validate(
    {
        "name": "icu-mortality-folds",
        "title": {
            "en": "Death in hospital from the first 48 h of intensive care",
            "zh": "由入ICU前48小时预测院内死亡",
        },
        "kind": "binary",
        "prediction_time": {"event": ["ENCOUNTER//icu//START"], "offset": "48h"},
        # scores the owner computed, and which set a stay is of
        "observe": {"without": ["PHYSIONET2012//SAPS-I", "PHYSIONET2012//SOFA", "SET//a", "SET//b"]},
        "predict": {"event": ["MEDS_DEATH"], "within": "1y"},
    }
)


def stays(shared: Path) -> Samples:
    """Import once into `shared/site`, and ask the question of all stays."""
    folder = shared / "site"
    if not (folder / "record").exists():
        remove(folder)
        site = ml.Site.create(folder)
        site.record.add(ml.importers.table(get("physionet2012"), mapping="physionet2012"))
    return ml.ask(ml.Site.open(folder).record, TASK)


def shared_folder(bench: Bench) -> Path:
    """Name the folder that benchmarks of these folds share."""
    return bench.work.with_name("icu-folds")


def fold(samples: Samples, number: int) -> tuple[Samples, Samples, Samples]:
    """Give the training, tuning and test stays of a fold; the same ones for every benchmark."""
    of = np.random.default_rng(0).permutation(len(samples)) % FOLDS
    tested = of == number
    tuned = ~tested & (np.random.default_rng(number).random(len(samples)) < TUNING)
    split = np.where(tested, "held_out", np.where(tuned, "tuning", "train"))
    divided = replace(samples, frame=samples.frame.with_columns(split=pl.Series(split)))
    return divided.in_split("train"), divided.in_split("tuning"), divided.in_split("held_out")


def pretrained(shared: Path, number: int, seed: int) -> tuple[Path, float]:
    """Pretrain on the training stays of a fold, once; give the package and the seconds it took."""
    from medloom.learners.timeline.pretraining import Pretraining, pretrain

    package = shared / f"encoder-{PASSES}-passes-{number}-{seed}" / "1" / "package"
    told = package.parent / "seconds.json"
    if not told.is_file():
        train, tuning, _ = fold(stays(shared), number)
        how = Pretraining(step=STEP)
        how = replace(how, schedule=replace(how.schedule, epochs=PASSES))
        remove(package)
        made = pretrain(train, tuning, how, seed=seed, folder=package.parent / "checkpoints")
        made.save(package)
        assert made.course is not None
        write_text(told, json.dumps(made.course.seconds))
        remove(package.parent / "checkpoints")
    return package, float(json.loads(told.read_text(encoding="utf-8")))
