"""Drawn images beside real ones, for a learner to learn from; never for it to be judged by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medloom.features.images import Framing, Pixels
from medloom.foundation.errors import InputError, LeakageError
from medloom.learners.image.generating.generator import load_image_generator
from medloom.tasks.samples import Samples


@dataclass(frozen=True)
class Added:
    """Images that were drawn.

    Attributes:
        pixels: (m, channels, *size) of 8 bits, framed as the learner frames its own.
        y: (m, k) their labels as numbers.
    """

    pixels: Pixels
    y: NDArray[np.float64]


def drawn_beside(train: Samples, package: Path, n: int, framing: Framing, seed: int) -> Added:
    """Draw n images of each class.

    Args:
        train: what is learned from.
        package: the generator's folder.
        n: of each class.
        framing: how the learner frames images.
        seed: of what is drawn.

    Raises:
        InputError: the generator is of other classes, or volumes are learned from.
        LeakageError: it was learned under another split.
    """
    if len(framing.size) == 3:
        raise InputError("pictures can be drawn, and these are volumes; ask about single pictures")
    generator = load_image_generator(package)
    asked, drawn = train.question, generator.origin.question
    if (asked.kind, asked.outputs, asked.definition) != (drawn.kind, drawn.outputs, drawn.definition):
        raise InputError(
            "the generator in {path!r} draws images of another task, {task}",
            path=str(package),
            task=drawn.task,
        )
    if generator.origin.split_rule != train.split_rule:
        raise LeakageError(
            "the generator in {path!r} was learned under another split, perhaps from patients that task {task!r} "
            "tests on; learn it anew for this task",
            path=str(package),
            task=asked.task,
        )
    k = len(generator.classes)
    pixels = [
        np.stack(
            [
                np.round(framing.framed(image) * 255).astype(np.uint8)
                for image in generator.images(generator.draw(name, n, seed))
            ]
        )
        for name in generator.classes
    ]
    number = np.repeat(np.arange(k), n)
    y = number[:, None].astype(np.float64) if asked.kind == "binary" else np.eye(k)[number]
    return Added(np.concatenate(pixels), y)
