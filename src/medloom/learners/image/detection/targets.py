"""What a network that finds objects is taught by: a heat map of their middles, and how large they are.

After CenterNet (Zhou, Wang and Krähenbühl, Objects as Points, 2019) and CornerNet's focal loss (Law and Deng, ECCV
2018, section 3.2), in pictures and in volumes, at the resolution of the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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
        """Count what a network gives: a map of heat for each structure, then one of size for each axis."""
        return self.structures + len(self.size)


def objects_in(images: Iterable[NDArray[np.integer]], structures: int, axes: int) -> Objects:
    """See how large objects usually are, by their numbers (*space) as `features.boxes.numbered` gives them.

    >>> objects_in([np.array([[0, 1, 1, 1, 0]])], 1, 2).size
    (1.0, 3.0)
    """
    places = [place for one in images for place in ndimage.find_objects(one) if place is not None]
    sizes = np.array([[axis.stop - axis.start for axis in place] for place in places] or [[1] * axes])
    usual = np.exp(np.log(sizes).mean(axis=0))
    return Objects(structures, tuple(float(one) for one in usual.round(2)))


def heat_of(scores: Tensor, objects: Objects) -> Tensor:
    """Turn scores (maps, *space) into heat, from 0 to 1, and sizes in pixels: the same shape."""
    heat = torch.sigmoid(scores[: objects.structures] - _RARE)
    usual = torch.tensor(objects.size).view(-1, *[1] * len(objects.size))
    return torch.cat([heat, (scores[objects.structures :] * _CALM).clamp(-_OTHER, _OTHER).exp() * usual])


def detection_loss(scores: Tensor, numbers: Tensor, objects: Objects) -> Tensor:
    """Give the focal loss of the heat, and the error of sizes beside it, of each row: (b,).

    Args:
        scores: (b, maps, *space).
        numbers: (b, *space) of objects, as `features.boxes.numbered` gives them; 0: background.
        objects: what is looked for.
    """
    scores, structures = scores.float(), objects.structures
    made = [targets(one.numpy(), structures) for one in numbers.cpu()]
    heat, sizes, weights = (
        torch.from_numpy(np.stack(part)).to(scores.device) for part in zip(*made, strict=True)
    )
    found = scores[:, :structures] - _RARE
    middle = heat == 1
    p = torch.sigmoid(found)
    hit = functional.logsigmoid(found) * (1 - p) ** 2 * middle
    missed = functional.logsigmoid(-found) * p**2 * (1 - heat) ** 4 * ~middle
    focal = -(hit + missed).flatten(1).sum(1) / middle.flatten(1).sum(1).clamp_min(1)
    usual = torch.tensor(objects.size, device=scores.device).log().view(1, -1, *[1] * len(objects.size))
    apart = (scores[:, structures:] * _CALM - (sizes - usual)).abs().mean(1) * weights
    return focal + apart.flatten(1).sum(1) / weights.flatten(1).sum(1).clamp_min(1e-6)


def targets(
    numbers: NDArray[np.integer], structures: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Draw what should be found in one patch.

    Args:
        numbers: (*space) of objects, as `features.boxes.numbered` gives them.
        structures: how many.

    Returns:
        Heat (structures, *space), 1 at the middle of each object; logarithms of sizes in pixels (axes, *space); and
        (*space) how much a place should know of them.

    >>> heat, sizes, weights = targets(np.array([[0, 1, 1, 1, 0]]), 1)
    >>> heat.round(2).tolist()
    [[[0.019999999552965164, 0.36000001430511475, 1.0, 0.36000001430511475, 0.019999999552965164]]]
    >>> np.exp(sizes[:, 0, 2]).round().tolist(), weights.tolist()
    ([1.0, 3.0], [[0.0, 1.0, 1.0, 1.0, 0.0]])
    """
    axes = numbers.ndim
    heat = np.zeros((structures, *numbers.shape), np.float32)
    sizes = np.zeros((axes, *numbers.shape), np.float32)
    weights = np.zeros(numbers.shape, np.float32)
    for number, place in enumerate(ndimage.find_objects(numbers), 1):
        if place is None:
            continue
        size = np.array([one.stop - one.start for one in place], float)
        middle = np.array([(one.start + one.stop - 1) // 2 for one in place])
        spread = np.maximum(size / _SPREAD, _LEAST_SPREAD)
        around = tuple(
            slice(max(0, at - math.ceil(_FAR * sd)), at + math.ceil(_FAR * sd) + 1)
            for at, sd in zip(middle.tolist(), spread.tolist(), strict=True)
        )
        shape = numbers[around].shape
        grid = np.ogrid[tuple(slice(0, n) for n in shape)]
        away = np.zeros(shape)
        for places, one, at, sd in zip(grid, around, middle, spread, strict=True):
            away = away + ((places + one.start - at) / sd) ** 2
        spot = np.exp(-away / 2).astype(np.float32)
        of = heat[(number - 1) % structures][around]
        np.maximum(of, spot, out=of)
        told = np.maximum(spot * (spot >= _NEAR), numbers[around] == number)
        nearest = told > weights[around]
        weights[around][nearest] = told[nearest]
        for axis in range(axes):
            sizes[axis][around][nearest] = np.log(size[axis])
    return heat, sizes, weights
