"""Outlines of whole images by one or several networks: windows, views, probabilities, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from medloom.features.image_recipe import Recipe
from medloom.learners.image.layout import in_fast_order
from medloom.learners.image.patches.cases import Case, resized

_WHOLE: Final = 1.5  # times a patch along each axis: so large an image is looked at whole
_OVERLAP: Final = 0.5


@dataclass(frozen=True)
class Outline:
    """What a model says of an image.

    Attributes:
        labels: (*space) uint8, of the image's own size; 0: background.
        uncertainty: (*space) float16 from 0 to 1: entropy of what networks and views say on the mean, as a share of
            the largest there could be.
    """

    labels: NDArray[np.uint8] = field(repr=False)
    uncertainty: NDArray[np.float16] = field(repr=False)


def outlined(
    networks: Sequence[nn.Module],
    case: Case,
    recipe: Recipe,
    *,
    flips: Sequence[int] = (),
    largest: Sequence[int] = (),
    precision: str = "32",
) -> Outline:
    """Outline an image.

    Args:
        networks: whose probabilities are averaged.
        case: as the recipe asks.
        recipe: of the networks.
        flips: axes along which mirror images are looked at too.
        largest: structures of which the largest connected part alone is kept.
        precision: `32` or `bf16`.
    """
    mean = probabilities(networks, case.pixels, recipe, flips, precision)
    mean = resized(mean, case.shape)
    labels = mean.argmax(0).to(torch.uint8).numpy()
    entropy = -(mean * mean.clamp_min(1e-7).log()).sum(0) / np.log(mean.shape[0])
    return Outline(largest_parts(labels, largest), entropy.clamp(0, 1).numpy().astype(np.float16))


def probabilities(
    networks: Sequence[nn.Module],
    pixels: Tensor,
    recipe: Recipe,
    flips: Sequence[int] = (),
    precision: str = "32",
) -> Tensor:
    """Average what networks say of an image (channels, *space) and its mirror images: (1 + structures, *space)."""
    return averaged(networks, pixels, recipe, lambda scores, _: scores.softmax(0), flips, precision)


def averaged(
    networks: Sequence[nn.Module],
    pixels: Tensor,
    recipe: Recipe,
    read: Callable[[Tensor, Sequence[int]], Tensor],
    flips: Sequence[int] = (),
    precision: str = "32",
) -> Tensor:
    """Average what is read from the scores (outputs, *space) of an image (channels, *space) and its mirror images.

    What reads is told the axes along which an image is mirrored.
    """
    views = list(chain.from_iterable(combinations(flips, n) for n in range(len(flips) + 1)))
    total: Any = 0.0
    with torch.inference_mode(), _in(precision):
        for network in networks:
            for view in views:
                axes = [axis + 1 for axis in view]
                said = read(_scores(network, pixels.flip(axes) if axes else pixels, recipe).float(), view)
                total = total + (said.flip(axes) if axes else said)
    mean: Tensor = total / (len(networks) * len(views))
    return mean


def largest_parts(labels: NDArray[np.uint8], structures: Sequence[int]) -> NDArray[np.uint8]:
    """Keep of some structures only the largest part that hangs together, over edges and corners too.

    >>> largest_parts(np.array([[1, 0, 1, 1, 2, 0, 2]], np.uint8), [1]).tolist()
    [[0, 0, 1, 1, 2, 0, 2]]
    """
    kept = labels
    for structure in structures:
        marked, n = ndimage.label(labels == structure, np.ones((3,) * labels.ndim, bool))
        if n > 1:
            largest = 1 + int(np.bincount(marked.ravel())[1:].argmax())
            kept = np.where((marked > 0) & (marked != largest), 0, kept).astype(np.uint8)
    return kept


def _scores(network: nn.Module, pixels: Tensor, recipe: Recipe) -> Tensor:
    """Ask a network, where it is, of an image, whole or in windows that overlap: (outputs, *space)."""
    pixels = pixels.to(next(network.parameters(), pixels).device)
    shape = pixels.shape[1:]
    if all(size <= _WHOLE * patch for size, patch in zip(shape, recipe.patch, strict=True)):
        # as in training, where what a patch has beside the image is 0
        wanted = [
            max(-(-size // by) * by, patch)
            for size, by, patch in zip(shape, recipe.divisor, recipe.patch, strict=True)
        ]
        before = [(want - size) // 2 for want, size in zip(wanted, shape, strict=True)]
        sides = list(
            chain.from_iterable(
                (start, want - size - start)
                for want, size, start in reversed(list(zip(wanted, shape, before, strict=True)))
            )
        )
        said: Tensor = network(in_fast_order(functional.pad(pixels, sides)[None]))[0]
        return said[(slice(None), *(slice(b, b + size) for b, size in zip(before, shape, strict=True)))].cpu()
    from monai.inferers import sliding_window_inference

    found: Any = sliding_window_inference(
        pixels[None],
        recipe.patch,
        1,
        lambda window: network(in_fast_order(window)).float(),
        overlap=_OVERLAP,
        mode="gaussian",
    )
    windows: Tensor = found[0]
    return windows.cpu()


def _in(precision: str) -> Any:
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
