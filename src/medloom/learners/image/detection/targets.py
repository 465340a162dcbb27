"""What a network that finds objects is taught by: a heat map of their middles, and how large they are.

Beside these each place near a middle tells how far it is from it, for a middle may lie between two pixels. After
CenterNet (Zhou, Wang and Krähenbühl, Objects as Points, 2019) and CornerNet's focal loss (Law and Deng, ECCV
2018, section 3.2), in pictures and in volumes, at the resolution of the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

_SPREAD: Final = 6.0  # of an object's size is the standard deviation of its spot in the heat map
_LEAST_SPREAD: Final = 0.7  # pixels
_FAR: Final = 3.0  # standard deviations, where a spot ends
_NEAR: Final = 0.5  # heat, above which a place tells the size, as each place of the object does
_BESIDE: Final = (
    2  # pixels from a middle, where the way to it is known: a mirror image has it in the next one
)
_OTHER: Final = 4.0  # logarithms, by which an object may differ from the usual size
_CALM: Final = 0.25  # times what a network gives: one that has learned nothing is not far from the usual size
_RARE: Final = 3.0  # scores are this much lower, for most places are no middle


@dataclass(frozen=True)
class Objects:
    """What is looked for.

    Attributes:
        structures: how many.
        size: pixels that objects usually measure along each axis; a network begins there.
    """

    structures: int
    size: tuple[float, ...]

    @property
    def maps(self) -> int:
        """Count what a network gives: a map of heat for each structure, then of size and of the way for each axis."""
        return self.structures + 2 * len(self.size)


def objects_in(images: Iterable[NDArray[np.integer]], structures: int, axes: int) -> Objects:
    """See how large objects usually are, by their numbers (*space) as `features.boxes.numbered` gives them.

    >>> objects_in([np.array([[0, 1, 1, 1, 0]])], 1, 2).size
    (1.0, 3.0)
    """
    places = [place for one in images for place in ndimage.find_objects(one) if place is not None]
    sizes = np.array([[axis.stop - axis.start for axis in place] for place in places] or [[1] * axes])
    usual = np.exp(np.log(sizes).mean(axis=0))
    return Objects(structures, tuple(float(one) for one in usual.round(2)))


def heat_of(scores: Tensor, flipped: Sequence[int], objects: Objects) -> Tensor:
    """Turn scores (maps, *space) into heat, from 0 to 1, then sizes and ways to middles in pixels: the same shape.

    Args:
        scores: of an image, or of its mirror image.
        flipped: axes along which it is mirrored; ways go back there.
        objects: what is looked for.
    """
    axes = len(objects.size)
    heat, sizes, ways = scores.split([objects.structures, axes, axes])
    usual = torch.tensor(objects.size).view(-1, *[1] * axes)
    back = torch.tensor([-1.0 if axis in flipped else 1.0 for axis in range(axes)]).view_as(usual)
    known = (sizes * _CALM).clamp(-_OTHER, _OTHER).exp() * usual
    return torch.cat([torch.sigmoid(heat - _RARE), known, ways * _CALM * back])


def detection_loss(scores: Tensor, numbers: Tensor, objects: Objects) -> Tensor:
    """Give the focal loss of the heat, and the errors of sizes and middles beside it, of each row: (b,).

    Args:
        scores: (b, maps, *space).
        numbers: (b, *space) of objects, as `features.boxes.numbered` gives them; 0: background.
        objects: what is looked for.
    """
    scores, axes = scores.float(), len(objects.size)
    made = [targets(one.numpy(), objects) for one in numbers.cpu()]
    told = Targets(*(torch.from_numpy(np.stack(part)).to(scores.device) for part in zip(*made, strict=True)))
    heat, sizes, ways = scores.split([objects.structures, axes, axes], 1)
    found = heat - _RARE
    middle = told.heat == 1
    p = torch.sigmoid(found)
    hit = functional.logsigmoid(found) * (1 - p) ** 2 * middle
    missed = functional.logsigmoid(-found) * p**2 * (1 - told.heat) ** 4 * ~middle
    focal = -((hit + missed) * told.counts[:, None]).flatten(1).sum(1) / middle.flatten(1).sum(1).clamp_min(1)
    usual = torch.tensor(objects.size, device=scores.device).log().view(1, -1, *[1] * axes)
    return (
        focal
        + _error(sizes * _CALM - (told.sizes - usual), told.sized)
        + _error(ways * _CALM - told.ways, told.placed)
    )


class Targets(NamedTuple):
    """What should be found in one patch, or in several, which are a first axis then.

    Attributes:
        heat: (structures, *space) 1 at the middle of each object.
        sizes: (axes, *space) logarithms of sizes in pixels.
        sized: (*space) how much a place should know of them.
        ways: (axes, *space) from the middle of a place to the middle of the object, in pixels.
        placed: (*space) whether it should know that.
        counts: (*space) whether heat there is judged: not where an object lies for the most part outside.
    """

    heat: Any
    sizes: Any
    sized: Any
    ways: Any
    placed: Any
    counts: Any


def targets(numbers: NDArray[np.integer], objects: Objects) -> Targets:
    """Draw what should be found in one patch.

    An object that the patch's edge cuts through tells neither its size nor its middle; where less than half of its
    usual size is left, its middle is not in the patch, and what is found of it is not judged.

    Args:
        numbers: (*space) of objects, as `features.boxes.numbered` gives them.
        objects: what is looked for.

    >>> found = targets(np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]), Objects(1, (1.0, 2.0)))
    >>> found.heat[0, 1].round(2).tolist()
    [0.36000001430511475, 1.0, 0.36000001430511475, 0.019999999552965164]
    >>> np.exp(found.sizes[:, 1, 1]).round().tolist(), found.ways[:, 1, 1].tolist()
    ([1.0, 2.0], [0.0, 0.5])
    """
    axes = numbers.ndim
    shape = np.array(numbers.shape)
    made = Targets(
        np.zeros((objects.structures, *shape), np.float32),
        np.zeros((axes, *shape), np.float32),
        np.zeros(shape, np.float32),
        np.zeros((axes, *shape), np.float32),
        np.zeros(shape, np.float32),
        np.ones(shape, np.float32),
    )
    for number, place in enumerate(ndimage.find_objects(numbers), 1):
        if place is None:
            continue
        low = np.array([one.start for one in place])
        high = np.array([one.stop for one in place])
        size = (high - low).astype(float)
        cut = (low == 0) | (high == shape)
        if (cut & (size < np.array(objects.size) / 2)).any():
            made.counts[place][numbers[place] == number] = 0
            continue
        _draw(made, numbers, number, (low + high - 1) // 2, size, whole=not cut.any())
    return made


def _draw(
    made: Targets,
    numbers: NDArray[np.integer],
    number: int,
    middle: NDArray[np.int64],
    size: NDArray[np.float64],
    *,
    whole: bool,
) -> None:
    """Draw one object into what should be found."""
    spread = np.maximum(size / _SPREAD, _LEAST_SPREAD)
    around = tuple(
        slice(max(0, at - math.ceil(_FAR * sd)), at + math.ceil(_FAR * sd) + 1)
        for at, sd in zip(middle.tolist(), spread.tolist(), strict=True)
    )
    grid = np.ogrid[
        tuple(slice(one.start, min(one.stop, n)) for one, n in zip(around, numbers.shape, strict=True))
    ]
    away = sum(((places - at) / sd) ** 2 for places, at, sd in zip(grid, middle, spread, strict=True))
    spot = np.exp(-np.asarray(away) / 2).astype(np.float32)
    of = made.heat[(number - 1) % len(made.heat)][around]
    np.maximum(of, spot, out=of)
    if not whole:
        return
    told = np.maximum(spot * (spot >= _NEAR), numbers[around] == number)
    nearest = told > made.sized[around]
    made.sized[around][nearest] = told[nearest]
    near = tuple(slice(max(0, at - _BESIDE), at + _BESIDE + 1) for at in middle.tolist())
    made.placed[near] = 1
    for axis in range(len(size)):
        made.sizes[axis][around][nearest] = np.log(size[axis])
        beside = np.arange(near[axis].start, min(near[axis].stop, numbers.shape[axis]))
        way = middle[axis] + (1 - size[axis] % 2) / 2 - beside
        made.ways[axis][near] = way.reshape([-1 if one == axis else 1 for one in range(len(size))])


def _error(apart: Tensor, weights: Tensor) -> Tensor:
    """Give the mean error (b, axes, *space) of each row, by weights (b, *space): (b,)."""
    return (apart.abs().mean(1) * weights).flatten(1).sum(1) / weights.flatten(1).sum(1).clamp_min(1e-6)
