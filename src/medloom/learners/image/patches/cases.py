"""Images and outlines made alike, as a recipe says, to learn from and to answer about; and answers brought back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medloom.features.image_recipe import Recipe, normalised
from medloom.foundation.errors import InputError
from medloom.learners.image.layout import in_fast_order
from medloom.learners.image.patches.augmenting import Augmentation, cut
from medloom.record.imaging.image import Image

_FOREGROUND: Final = 1 / 3  # of patches, in images larger than they are, lie around a structure
_BYTE: Final = 255
_KEPT: Final = 5_000  # places of structures that are remembered of an image


@dataclass(frozen=True)
class Case:
    """An image as a network sees it.

    Attributes:
        pixels: (channels, *space) float32, of the recipe's spacing, mean 0 and standard deviation 1.
        shape: of the image in space, before it was brought to the recipe's spacing.
        labels: (*space) uint8, or int32 where there are more than 255, of the same spacing as the pixels; None: not
            known.
        spacing: mm of the image; 1 where it is not known.
    """

    pixels: Tensor = field(repr=False)
    shape: tuple[int, ...]
    labels: Tensor | None = field(default=None, repr=False)
    spacing: tuple[float, ...] = ()


def prepared(image: Image, labels: NDArray[Any] | None, recipe: Recipe) -> Case:
    """Bring an image, and its outline, to what a recipe asks for.

    Args:
        image: with as many axes and channels as those that the recipe was made of.
        labels: whole numbers of the image's size; None: not known.
        recipe: of spacing and brightness.

    Raises:
        InputError: the image has other axes or channels, or the outline is of another size.
    """
    if image.dimensions != len(recipe.spacing) or image.channels != recipe.channels:
        raise InputError(
            "the model reads images of {axes} axes and {channels} channels, this one has {found_axes} and "
            "{found_channels}",
            axes=len(recipe.spacing),
            channels=recipe.channels,
            found_axes=image.dimensions,
            found_channels=image.channels,
        )
    if labels is not None and labels.shape != image.shape:
        raise InputError(
            "the outline is of size {outline}, the image of {image}; outline this image, not another one",
            outline=labels.shape,
            image=image.shape,
        )
    spacing = image.spacing or (1.0,) * image.dimensions
    size = [
        max(1, round(one * mm / wanted))
        for one, mm, wanted in zip(image.shape, spacing, recipe.spacing, strict=True)
    ]
    pixels = resized(torch.from_numpy(normalised(image.pixels, recipe)), size)
    outline = None
    if labels is not None:
        whole = torch.uint8 if labels.max(initial=0) <= _BYTE else torch.int32
        outline = torch.from_numpy(labels.astype(np.int32)).to(whole)
        if list(outline.shape) != size:
            wide = outline[None, None].double()
            outline = functional.interpolate(wide, size=size, mode="nearest-exact")[0, 0].to(whole)
    return Case(pixels, image.shape, outline, spacing)


def resized(values: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate (channels, *space) to another size in space; as it is where it has it."""
    if list(values.shape[1:]) == list(size):
        return values
    mode = "trilinear" if values.ndim == 4 else "bilinear"
    return functional.interpolate(values[None], size=tuple(size), mode=mode, align_corners=False)[0]


class Patches:
    """Training images as rows of the fit loop: a patch, cut anew and changed at random, each time a row is asked for.

    Args:
        cases: with outlines.
        recipe: of the size of patches.
        augmentation: how strongly they are changed.
        repeats: how often each image is a row of a pass.
    """

    def __init__(
        self, cases: Sequence[Case], recipe: Recipe, augmentation: Augmentation, repeats: int = 1
    ) -> None:
        self._cases, self._recipe, self._augmentation = cases, recipe, augmentation
        self._lengths = np.ones(len(cases) * repeats, np.int64)
        self._structures = [_some_places(case, number) for number, case in enumerate(cases)]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self._lengths

    def batch(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Cut patches: (b, channels, *patch) and (b, *patch)."""
        made = [self._cut(int(row) % len(self._cases), rng) for row in rows]
        pixels = torch.stack([pixels for pixels, _ in made])
        return in_fast_order(pixels), torch.stack([labels for _, labels in made])

    def _cut(self, number: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        case, patch = self._cases[number], self._recipe.patch
        assert case.labels is not None
        size = np.array(case.labels.shape)
        middle = (np.minimum(size, patch) - 1) / 2
        around = self._structures[number]
        if len(around) and (size > patch).any() and rng.random() < _FOREGROUND:
            centre = around[rng.integers(len(around))]
        else:
            centre = rng.uniform(middle, size - 1 - middle)
        # an axis that fits into the patch is cut around its middle
        centre = np.clip(centre, middle, size - 1 - middle)
        # voxels of the patch lie on those of the image, until they are moved
        half = (np.array(patch) - 1) / 2
        centre = np.round(centre - half) + half
        return cut(case.pixels, case.labels, patch, centre, self._recipe.spacing, self._augmentation, rng)


def _some_places(case: Case, number: int) -> NDArray[np.int64]:
    assert case.labels is not None
    places = np.argwhere(case.labels.numpy())
    if len(places) <= _KEPT:
        return places
    return places[np.random.default_rng(number).integers(len(places), size=_KEPT)]
