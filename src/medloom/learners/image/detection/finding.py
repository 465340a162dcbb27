"""Objects of whole images, read from the heat maps of a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medloom.features.boxes import Boxes
from medloom.features.image_recipe import Recipe
from medloom.features.marks import Marks, hits, inside
from medloom.learners.image.detection.targets import Objects, heat_of
from medloom.learners.image.patches.cases import Case
from medloom.learners.image.patches.outlining import averaged

LEAST: Final = 0.05
"""What is less sure is no object at all."""
UNKNOWN: Final = 0.5
"""The threshold where there is nothing to choose it by."""

_MOST: Final = 100  # objects of a structure in an image


def detected(
    network: nn.Module,
    case: Case,
    recipe: Recipe,
    objects: Objects,
    flips: Sequence[int] = (),
    precision: str = "32",
) -> Boxes:
    """Find objects in an image, the surest first, in pixels of the image itself.

    Args:
        network: that gives the maps of `objects`.
        case: as the recipe asks.
        recipe: of the network.
        objects: what is looked for.
        flips: axes along which mirror images are looked at too.
        precision: `32` or `bf16`.
    """
    read = partial(heat_of, objects=objects)
    maps = averaged([network], case.pixels, recipe, read, flips, precision)
    structures = objects.structures
    sizes, ways = maps[structures:].chunk(2)
    parts = [_peaks(maps[one], sizes, ways, one + 1) for one in range(structures)]
    boxes = Boxes(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("box", "structure", "score"))
    )
    scale = np.tile(np.array(case.shape) / np.array(maps.shape[1:]), 2)
    ends = np.tile(np.array(case.shape, np.float64), 2)
    inside_image = Boxes(np.clip(boxes.box * scale, 0, ends), boxes.structure, boxes.score)
    return inside_image.where(np.argsort(-boxes.score, kind="stable"))


def surest_apart(boxes: Boxes) -> Boxes:
    """Leave out what has its middle in the box of a surer object of the same structure, or holds that one's middle.

    >>> near = Boxes(np.array([[0.0, 0, 4, 4], [1, 1, 5, 5], [8, 8, 9, 9]]), np.ones(3, int), np.array([0.9, 0.8, 0.7]))
    >>> surest_apart(near).score.tolist()
    [0.9, 0.7]
    """
    order = np.argsort(-boxes.score, kind="stable").tolist()
    axes = boxes.box.shape[1] // 2
    middle = (boxes.box[:, :axes] + boxes.box[:, axes:]) / 2
    kept: list[int] = []
    for one in order:
        held = any(
            boxes.structure[one] == boxes.structure[other]
            and (_within(middle[one], boxes.box[other]) or _within(middle[other], boxes.box[one]))
            for other in kept
        )
        if not held:
            kept.append(one)
    return boxes.where(np.array(kept, np.int64))


def threshold_of(said: list[Boxes], truth: list[Boxes], structures: int) -> tuple[float, ...]:
    """Choose for each structure the score from which on a mark is shown: where hits and errors balance best (F1).

    Args:
        said: of each image that was not learned from.
        truth: what experts drew there.
        structures: how many.
    """
    chosen = []
    for structure in range(1, structures + 1):
        own = [(true.of(structure), one.of(structure)) for true, one in zip(truth, said, strict=True)]
        matched = hits([Marks(true.box, one.box, one.score) for true, one in own], inside())
        there = int(matched.truths.sum())
        if not there or not matched.hit.any():
            chosen.append(UNKNOWN)
            continue
        right = matched.hit.cumsum()
        f1 = 2 * right / (np.arange(1, len(right) + 1) + there)
        f1[:-1][matched.score[1:] == matched.score[:-1]] = 0  # marks as sure as each other are shown together
        best = int(f1.argmax())
        after = matched.score[best + 1] if best + 1 < len(right) else LEAST
        chosen.append(float((matched.score[best] + after) / 2))
    return tuple(chosen)


def _peaks(heat: Tensor, sizes: Tensor, ways: Tensor, structure: int) -> Boxes:
    """Read the places that are warmer than all around; middles and sizes are means of what is near, by its heat."""
    pooled = functional.max_pool3d if heat.ndim == 3 else functional.max_pool2d
    warmest = pooled(heat[None, None], 3, 1, 1)[0, 0]
    places = torch.nonzero((heat == warmest) & (heat >= LEAST)).numpy()
    score = heat.numpy()[tuple(places.T)].astype(np.float64)
    first = np.argsort(-score, kind="stable")[:_MOST]
    places, score = places[first], score[first]
    near = places[:, None] + np.indices((3,) * heat.ndim).reshape(heat.ndim, -1).T - 1  # (n, 3 ** axes, axes)
    near = np.clip(near, 0, np.array(heat.shape) - 1)
    weights = heat.numpy()[tuple(np.moveaxis(near, -1, 0))].astype(np.float64)[..., None]
    weights /= weights.sum(1, keepdims=True)
    size, way = (
        np.moveaxis(one.numpy()[(slice(None), *np.moveaxis(near, -1, 0))], 0, -1).astype(np.float64)
        for one in (sizes, ways)
    )
    middle, half = ((near + way) * weights).sum(1) + 0.5, (size * weights).sum(1) / 2
    box = np.concatenate([middle - half, middle + half], axis=1)
    return surest_apart(Boxes(box, np.full(len(box), structure, np.int64), score))


def _within(place: NDArray[np.float64], box: NDArray[np.float64]) -> bool:
    axes = len(place)
    return bool(((box[:axes] <= place) & (place < box[axes:])).all())
