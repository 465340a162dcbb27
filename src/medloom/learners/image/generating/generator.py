"""A generator of images: learned from the training images of a task, kept as a package, asked for images of a class."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from medloom.features.images import Framing, Pixels, framed_together, image_of
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.seeds import derive
from medloom.learners.image.generating.networks import LARGEST, SMALLEST, Canvas, Painter, scaled
from medloom.learners.image.generating.teaching import Teaching, teach
from medloom.learners.image.model import LIBRARIES
from medloom.record.imaging.image import Image
from medloom.tasks import package
from medloom.tasks.model import Origin, check_none_held_out
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.answers import labels_as_numbers
from medloom.training.seeding import seeded
from medloom.training.tensors import read_weights, write_weights

NAME: Final = "image-gan"
FEWEST: Final = 20
"""Patients with images of each class; of fewer each is learned by heart."""

_SPECIFICATION: Final = "generator.json"
_WEIGHTS: Final = "generator.safetensors"
_USUAL: Final = 64  # pixels a side
_AT_ONCE: Final = 64


@dataclass(frozen=True)
class ImageGenerator:
    """Draws images like those it learned from.

    Attributes:
        origin: where it comes from.
        framing: how the images it learned from became arrays.
        classes: it draws; of a yes-or-no question `false` and `true`.
        canvas: what the painter is built from.
        painter: learned.
        learned_from: how many `patients` and images (`facts`), and images of each class.
    """

    origin: Origin
    framing: Framing
    classes: tuple[str, ...]
    canvas: Canvas
    painter: Painter
    learned_from: dict[str, int] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        train: Samples,
        *,
        teaching: Teaching | None = None,
        seed: int = 0,
        folder: Path | None = None,
    ) -> ImageGenerator:
        """Learn from the pictures of a task's training split.

        Args:
            train: samples about pictures, of a binary or a multiclass question.
            teaching: how; None: as usual.
            seed: of everything random.
            folder: where checkpoints are kept; a training that was stopped goes on from there.

        Raises:
            InputError: the samples ask something else, are about volumes, or are too few of a class.
            LeakageError: a sample is held out.
        """
        check_none_held_out(train)
        question = train.question
        _check_question(question)
        if not len(train):
            raise InputError(
                "there are no training samples; check the cohort flow of the task, and the site's split shares"
            )
        teaching = teaching or Teaching()
        framing = _framing(train, teaching.size)
        numbers = numbered(train)
        classes = classes_of(question)
        counts = dict(zip(classes, np.bincount(numbers, minlength=len(classes)).tolist(), strict=True))
        patients = {
            name: len(np.unique(train.groups[numbers == number])) for number, name in enumerate(classes)
        }
        rare = {name: n for name, n in patients.items() if n < FEWEST}
        if rare:
            raise InputError(
                "patients with images of a class are too few for it to be drawn ({counts}); {least} are the least",
                counts=", ".join(f"{name}: {n}" for name, n in rare.items()),
                least=FEWEST,
            )
        height, across = (min(n, LARGEST) for n in framing.size)
        canvas = Canvas((height, across), framing.channels, len(classes), teaching.width)
        pixels = framed_together(train, framing)
        how = asdict(teaching)
        of = digest([train.digest(), {**how, "minutes": None}, seed])
        painter = teach(canvas, pixels, numbers, teaching, derive(seed, NAME), folder, of)
        origin = Origin(question, NAME, how, seed, train.digest(), train.split_rule)
        told = {"patients": len(np.unique(train.groups)), "facts": len(train), **counts}
        return cls(origin, framing, classes, canvas, painter, told)

    def draw(self, label: str, n: int, seed: int = 0) -> Pixels:
        """Draw images of a class: (n, channels, *size) of 8 bits; the first of more are the same.

        Raises:
            InputError: it draws no such class.
        """
        if label not in self.classes:
            raise InputError(
                "there is no class {name!r}; there are: {names}", name=label, names=list(self.classes)
            )
        made = np.empty((n, self.framing.channels, *self.framing.size), np.uint8)
        of = torch.tensor([self.classes.index(label)])
        for first in range(0, n, _AT_ONCE):
            many = min(_AT_ONCE, n - first)
            with seeded(derive(seed, NAME, label, str(first))), torch.inference_mode():
                # always as many at once: another number may round otherwise
                noise = torch.randn(_AT_ONCE, self.canvas.noise)
                painted = scaled(self.painter(noise, of.expand(_AT_ONCE)), self.framing.size)
            made[first : first + many] = (painted[:many] * 255).round().clamp(0, 255).numpy()
        return made

    def images(self, pixels: Pixels) -> list[Image]:
        """Give what was drawn as images in the unit of those it learned from."""
        framing = self.framing
        if framing.low is None or framing.high is None:
            return [Image(one) for one in pixels]
        unit = pixels.astype(np.float32) / 255 * (framing.high - framing.low) + framing.low
        return [Image(one, unit=framing.unit) for one in unit]

    def save(self, directory: Path) -> str:
        """Write a package; give its digest."""

        def write(folder: Path) -> None:
            content = {
                "framing": self.framing.to_json(),
                "classes": self.classes,
                "canvas": asdict(self.canvas),
            }
            text = json.dumps(content, ensure_ascii=False, sort_keys=True)
            (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
            write_weights(folder / _WEIGHTS, self.painter)

        extra = {"learned_from": self.learned_from}
        return package.write(
            directory, self.origin, write, libraries=LIBRARIES, kind="generator", extra=extra
        )


def load_image_generator(directory: Path) -> ImageGenerator:
    """Check a package and load its generator.

    Raises:
        NotFoundError: there is no package.
        IntegrityError: it was altered.
        InputError: it holds no generator of images.
    """
    content = package.check(directory)
    if content["kind"] != "generator" or content["learner"] != NAME:
        raise InputError(
            "{name} holds no generator of images; learn one with: medloom generate-images",
            name=directory.name,
        )
    told = json.loads((directory / "weights" / _SPECIFICATION).read_text(encoding="utf-8"))
    canvas = Canvas(**{**told["canvas"], "size": tuple(told["canvas"]["size"])})
    painter = Painter(canvas)
    painter.load_state_dict(read_weights(directory / "weights" / _WEIGHTS))
    return ImageGenerator(
        package.origin_in(directory),
        Framing.from_json(told["framing"]),
        tuple(told["classes"]),
        canvas,
        painter.eval().requires_grad_(False),
        package.extra_in(directory)["learned_from"],
    )


def classes_of(question: Question) -> tuple[str, ...]:
    """Name the classes of a question."""
    return ("false", "true") if question.kind == "binary" else question.classes


def numbered(samples: Samples) -> NDArray[np.int64]:
    """Give the class of each sample by its number: (n,).

    Raises:
        InputError: a label is missing, or is not one of the question's classes.
    """
    y = labels_as_numbers(samples)
    return y[:, 0].astype(np.int64) if samples.question.kind == "binary" else y.argmax(1)


def _check_question(question: Question) -> None:
    if question.about != "image" or question.kind not in ("binary", "multiclass"):
        raise InputError(
            "images are drawn by the classes of a binary or multiclass task about images; {task!r} is {kind}",
            task=question.task,
            kind=question.kind,
        )


def _framing(train: Samples, size: int) -> Framing:
    first = image_of(train, 0)
    if first.dimensions == 3 and first.shape[0] > 1:
        raise InputError("pictures can be drawn, and these are volumes; ask about single pictures")
    side = size or max(SMALLEST, min(_USUAL, *first.shape[-2:]))
    framing = Framing.of(train, (side, side), 3 if first.channels == 3 else 1)
    return replace(framing, keep_shape=True)
