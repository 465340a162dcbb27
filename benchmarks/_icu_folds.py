"""PhysioNet 2012, sets a and b together, in folds of stays: what timeline models are learned from and tested on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

import medloom as ml
from medloom.foundation.files import remove
from medloom.record.datasets import get
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

FOLDS = 5
TUNING = 0.15  # of the stays that are not tested on

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


def stays(work: Path) -> Samples:
    """Import once into `work/site`, and ask the question of all stays."""
    folder = work / "site"
    if not (folder / "record").exists():
        remove(folder)
        site = ml.Site.create(folder)
        site.record.add(ml.importers.table(get("physionet2012"), mapping="physionet2012"))
    return ml.ask(ml.Site.open(folder).record, TASK)


def fold(samples: Samples, number: int) -> tuple[Samples, Samples, Samples]:
    """Give the training, tuning and test stays of a fold; the same ones for every benchmark."""
    of = np.random.default_rng(0).permutation(len(samples)) % FOLDS
    tested = of == number
    tuned = ~tested & (np.random.default_rng(number).random(len(samples)) < TUNING)
    split = np.where(tested, "held_out", np.where(tuned, "tuning", "train"))
    divided = replace(samples, frame=samples.frame.with_columns(split=pl.Series(split)))
    return divided.in_split("train"), divided.in_split("tuning"), divided.in_split("held_out")
