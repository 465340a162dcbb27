"""Outlines of images that experts drew: the answers of segmentation samples, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medloom.features.images import image_of
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.record.imaging.reading import read_image
from medloom.tasks.samples import Samples


@dataclass(frozen=True)
class Outlined:
    """Samples of a segmentation question as images with outlines, as often as they are gone through.

    Raises:
        InputError: a file is damaged, or an outline has numbers that the question has no structure for, or another
            size than its image.
    """

    samples: Samples

    def __iter__(self) -> Iterator[tuple[Image, NDArray[np.uint8]]]:
        for place in range(len(self.samples)):
            image = image_of(self.samples, place)
            yield image, outline_of(self.samples, place, image)


def outline_of(samples: Samples, place: int, image: Image) -> NDArray[np.uint8]:
    """Read the outline of a sample's image, by its place: (*space) numbers of structures, 0: background.

    Raises:
        InputError: the file is damaged, or does not fit the question or the image.
    """
    with samples.open_label(place) as file:
        drawn = read_image(file).pixels[0]
    labels = np.rint(drawn).astype(np.int64)
    structures = len(samples.question.classes)
    if labels.min() < 0 or labels.max() > structures or not np.array_equal(labels, drawn):
        raise InputError(
            "an outline has numbers beside 0 to {structures}; name a structure for each number below `structures` in "
            "task {task!r}",
            structures=structures,
            task=samples.question.task,
        )
    if (
        labels.shape != image.shape
        and labels.shape[-2:] == image.shape[-2:]
        and labels.size == image.pixels[0].size
    ):
        labels = labels.reshape(image.shape)  # a picture kept as a volume of one slice
    if labels.shape != image.shape:
        raise InputError(
            "the outline is of size {outline}, the image of {image}; outline this image, not another one",
            outline=labels.shape,
            image=image.shape,
        )
    numbers: NDArray[np.uint8] = labels.astype(np.uint8)
    return numbers
