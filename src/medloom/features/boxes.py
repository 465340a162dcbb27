"""Objects in images by the boxes around them: of what was outlined, and as outlines again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medloom.record.imaging.image import Image

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Boxes:
    """Objects in one image, each by the box around it.

    Attributes:
        box: (n, 2 × axes) where each begins on every axis, then where it ends, in pixels from the image's first face:
            the first pixel of a picture alone is 0, 0, 1, 1.
        structure: (n,) its number, from 1.
        score: (n,) from 0 to 1, how sure; 1: an expert drew it.
    """

    box: Floats = field(repr=False)
    structure: NDArray[np.int64] = field(repr=False)
    score: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.box)

    def where(self, chosen: NDArray[Any]) -> Boxes:
        """Keep some, or put them in another order."""
        return Boxes(self.box[chosen], self.structure[chosen], self.score[chosen])

    def of(self, structure: int) -> Boxes:
        """Keep the objects of one structure."""
        return self.where(self.structure == structure)

    def shown(self, thresholds: Sequence[float]) -> Boxes:
        """Keep those whose score reaches their structure's threshold: (structures,)."""
        return self.where(self.score >= np.asarray(thresholds)[self.structure - 1])

    def surest(self, structures: int) -> Floats:
        """Give the score of the surest object of each structure, 0 where there is none: (structures,)."""
        found = np.zeros(structures)
        np.maximum.at(found, self.structure - 1, self.score)
        return found


@runtime_checkable
class Finding(Protocol):
    """A model that finds objects in an image; raises InputError where it is of another kind than it learned."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Tell the score from which on an object of each structure is shown."""
        ...

    def find(self, image: Image) -> Boxes:
        """Find objects, those that are not sure enough to be shown too."""
        ...


def no_boxes(axes: int) -> Boxes:
    """Give boxes of nothing."""
    return Boxes(np.empty((0, 2 * axes)), np.empty(0, np.int64), np.empty(0))


def boxes_of(labels: NDArray[Any], certainty: NDArray[np.floating] | None = None) -> Boxes:
    """Put a box around all that hangs together in one structure, over edges and corners too.

    Args:
        labels: (*space) numbers of structures; 0: background.
        certainty: (*space) from 0 to 1; the mean in an object is its score. None: all is certain.

    >>> found = boxes_of(np.array([[1, 1, 0, 2], [0, 1, 0, 0]]))
    >>> found.box.tolist(), found.structure.tolist()
    ([[0.0, 0.0, 2.0, 2.0], [0.0, 3.0, 1.0, 4.0]], [1, 2])
    """
    most = int(labels.max(initial=0))
    return boxes_around(numbered(labels, most), most, certainty)


def boxes_around(
    marked: NDArray[np.integer], structures: int, certainty: NDArray[np.floating] | None = None
) -> Boxes:
    """Put a box around each object, numbered as `numbered` numbers them: (*space).

    >>> boxes_around(np.array([[1, 0, 3, 0, 2]]), 2).structure.tolist()
    [1, 2, 1]
    """
    box, structure, score = [], [], []
    for number, place in enumerate(ndimage.find_objects(marked), 1):
        if place is None:
            continue
        box.append([*(one.start for one in place), *(one.stop for one in place)])
        structure.append((number - 1) % structures + 1)
        inside = marked[place] == number
        score.append(1.0 if certainty is None else float(certainty[place][inside].mean(dtype=np.float64)))
    if not box:
        return no_boxes(marked.ndim)
    return Boxes(np.array(box, np.float64), np.array(structure, np.int64), np.array(score))


def numbered(labels: NDArray[Any], structures: int) -> NDArray[np.int32]:
    """Give each object a number of its own: of structure s, of k in all, it is s, s + k, s + 2 k and so on.

    >>> numbered(np.array([[1, 0, 1, 0, 2]]), 2).tolist()
    [[1, 0, 3, 0, 2]]
    """
    made = np.zeros(labels.shape, np.int32)
    around = np.ones((3,) * labels.ndim, bool)
    for structure in range(1, structures + 1):
        marked, n = ndimage.label(labels == structure, around)
        if n:
            made[marked > 0] = (marked[marked > 0] - 1) * structures + structure
    return made


def as_labels(boxes: Boxes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw an ellipse, or an ellipsoid, into each box; the surer one is seen where two meet.

    >>> as_labels(Boxes(np.array([[0.0, 0, 4, 4]]), np.array([2]), np.ones(1)), (4, 4)).tolist()
    [[0, 2, 2, 0], [2, 2, 2, 2], [2, 2, 2, 2], [0, 2, 2, 0]]
    """
    labels = np.zeros(shape, np.uint8)
    axes = len(shape)
    for one in np.argsort(boxes.score, kind="stable").tolist():
        low, high = boxes.box[one, :axes], boxes.box[one, axes:]
        first = np.clip(np.floor(low), 0, np.array(shape) - 1).astype(int)
        last = np.clip(np.ceil(high), first + 1, shape).astype(int)
        around = tuple(slice(*ends) for ends in zip(first.tolist(), last.tolist(), strict=True))
        grid = np.ogrid[around]
        half = np.maximum(high - low, 1) / 2
        away = sum(
            ((places + 0.5 - middle) / radius) ** 2
            for places, middle, radius in zip(grid, (low + high) / 2, half, strict=True)
        )
        labels[around][np.asarray(away) < 1] = boxes.structure[one]
    return labels
