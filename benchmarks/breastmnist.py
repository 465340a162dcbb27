"""Malignant masses on ultrasound pictures of 28 x 28 pixels (MedMNIST v2): 546 pictures to learn from."""

from __future__ import annotations

import sys
from typing import Final

from medloom.cli.bench import Bench

TRANSFER: Final = {"size": 128, "epochs": 15, "patience": 15, "flip": True, "views": 3}
REFERENCES: Final = {
    "ResNet-18 (28) auroc": 0.901,
    "ResNet-18 (28) accuracy": 0.863,
    "source": "Yang et al., MedMNIST v2, Scientific Data 2023;10:41",
}


def run(bench: Bench) -> None:
    """Learn with three seeds, and look at the test pictures once."""
    sys.path.append(str(bench.folder))
    from _medmnist import run as run_medmnist  # type: ignore[import-not-found]  # beside this one

    bench.references = REFERENCES
    run_medmnist(bench, "breastmnist", 0, "malignant", "efficientnet", TRANSFER)
