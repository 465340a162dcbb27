"""Drawn ultrasound pictures of 28 x 28 pixels (MedMNIST v2): are they alike, are they copies, does a network gain?

One painter that learned from the training pictures alone; three networks with what it draws, and three without.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from medloom.cli.bench import Bench
from medloom.evidence.estimate import Estimate
from medloom.evidence.generated_images import GeneratedEvidence
from medloom.evidence.generated_page import write_generated_page
from medloom.foundation.files import remove
from medloom.generating import generate_images
from medloom.tasks.kinds import Split
from medloom.tasks.samples import Samples

TEACHING: Final = {"width": 16, "steps": 1600, "flip": True}
CNN: Final[dict[str, Any]] = {"size": 28, "epochs": 20, "patience": 8, "batch": 16, "flip": True}
DRAWN: Final = 200  # of each class
SEEDS: Final = 3


def run(bench: Bench) -> None:
    """Draw, judge, and learn with and without; look at the test pictures once."""
    sys.path.append(str(bench.folder))
    from _pictures import medmnist  # type: ignore[import-not-found]  # beside this one

    samples = medmnist(bench.work, "breastmnist", 0, "malignant")
    named: tuple[Split, ...] = ("train", "tuning", "held_out")
    bench.data["breastmnist"] = {split: len(samples.in_split(split)) for split in named}
    bench.looked()
    work = bench.work / f"painter-{bench.seed}"
    bench.figures |= figures_of(measured(samples, "held_out", bench.seed, work))
    remove(work)


def measured(
    samples: Samples, split: Split, seed: int, work: Path, teaching: dict[str, Any] = TEACHING
) -> GeneratedEvidence:
    """Learn to draw, judge what is drawn, and learn with and without; the page is kept beside the checkpoints."""
    made = generate_images(
        samples,
        teaching=teaching,
        learner="cnn",
        generated=DRAWN,
        repeats=SEEDS,
        split=split,
        seed=seed,
        folder=work,
        **CNN,
    )
    write_generated_page(work.with_suffix(".html"), made.evidence, made.shown)
    return made.evidence


def figures_of(found: GeneratedEvidence) -> dict[str, float]:
    """Name the figures; the areas under the curve are of three networks' answers, averaged."""
    figures = {
        "fid": found.frechet,
        "fid.real": found.frechet_real,
        "kid_thousandths": found.kernel,
        "kid_thousandths.real": found.kernel_real,
    }
    assert found.effect is not None
    estimates: dict[str, Estimate] = {
        "copied": found.copied,
        "distance_ratio": found.distance_ratio,
        "membership_auroc": found.membership,
        "without.auroc": found.effect.without,
        "with.auroc": found.effect.with_drawn,
        "with_minus_without.auroc": found.effect.difference,
    }
    for name, one in estimates.items():
        for end, value in (("", one.value), (".low", one.low), (".high", one.high)):
            if value is not None:
                figures[name + end] = value
    return figures
