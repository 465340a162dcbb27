"""Pneumonia on chest X-rays of 28 x 28 pixels (MedMNIST v2): what a small network tells from so little."""

from __future__ import annotations

import sys
from typing import Final

from medloom.cli.bench import Bench

CNN: Final = {"size": 28, "width": 24, "depth": 3, "epochs": 15, "patience": 15, "augment": 1.0, "views": 5}
REFERENCES: Final = {
    "ResNet-18 (28) auroc": 0.944,
    "ResNet-18 (28) accuracy": 0.854,
    "source": "Yang et al., MedMNIST v2, Scientific Data 2023;10:41",
}


def run(bench: Bench) -> None:
    """Learn with three seeds, and look at the test pictures once."""
    sys.path.append(str(bench.folder))
    from _medmnist import run as run_medmnist  # type: ignore[import-not-found]  # beside this one

    bench.references = REFERENCES
    run_medmnist(bench, "pneumoniamnist", 1, "pneumonia", "cnn", CNN)
