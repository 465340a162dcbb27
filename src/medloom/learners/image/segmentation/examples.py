"""Samples about images as images with their outlines, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medloom.features.images import image_of
from medloom.foundation.errors import InputError
from medloom.learners.image.segmentation.teaching import Example
from medloom.record.imaging.reading import read_image
from medloom.tasks.samples import Samples


@dataclass(frozen=True)
class Outlined:
    """Samples of a segmentation question, one after the other, as often as they are gone through.

    Raises:
        InputError: a file is damaged, or an outline has numbers that the question has no structure for.
    """

    samples: Samples

    def __iter__(self) -> Iterator[Example]:
        for place in range(len(self.samples)):
            yield self._example(place)

    def _example(self, place: int) -> Example:
        with self.samples.open_label(place) as file:
            drawn = read_image(file).pixels[0]
        labels = np.rint(drawn).astype(np.int64)
        structures = len(self.samples.question.classes)
        if labels.min() < 0 or labels.max() > structures or not np.array_equal(labels, drawn):
            raise InputError(
                "an outline has numbers beside 0 to {structures}; name a structure for each number below `structures` "
                "in task {task!r}",
                structures=structures,
                task=self.samples.question.task,
            )
        image = image_of(self.samples, place)
        if labels.shape != image.shape and labels.size == np.prod(image.shape):
            labels = labels.reshape(image.shape)  # a picture kept as a volume of one slice
        return image, labels.astype(np.uint8)
