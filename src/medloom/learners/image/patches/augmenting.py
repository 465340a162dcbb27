"""Patches of training images, moved, bent, stretched and shaded at random, in one resampling each.

Shifts, turns, stretches and bends are put into one map from places of the patch to places of the image, so that each
voxel is interpolated once, whatever the image's size. Kinds and strengths follow those of nnU-Net (Isensee et al.,
Nature Methods 2021, Supplementary Note 4) where they are not said here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_ANISOTROPIC: Final = 3.0  # times as coarse as the finest: turned about that axis only


@dataclass(frozen=True)
class Augmentation:
    """How strongly, and how often, patches are changed.

    Attributes:
        flips: axes in space along which an image and its mirror image are equally likely; a body's left is not its
            right, so that none is flipped unless it is said.
        turn: degrees, at most, about each axis.
        stretch: at most, as a share: 0.2 gives sizes of 0.83 to 1.2.
        bend: standard deviation of the smooth displacement, in voxels.
        shift: voxels, at most, along each axis.
        gamma: at most, as a share, that brightness is bent by.
        contrast: at most, as a share.
        noise: standard deviation, at most; 1 is that of the image.
        coarse: at most, times as coarse as the image is.
        often: share of patches that are turned, stretched, bent; those shaded are half as many each.
    """

    flips: tuple[int, ...] = ()
    turn: float = 15.0
    stretch: float = 0.2
    bend: float = 1.0
    shift: float = 2.0
    gamma: float = 0.4
    contrast: float = 0.25
    noise: float = 0.15
    coarse: float = 2.0
    often: float = 0.7


NONE: Final = Augmentation((), 0, 0, 0, 0, 0, 0, 0, 1, 0)
"""Nothing but a cut at a place that is drawn."""


def cut(
    pixels: Tensor,
    labels: Tensor,
    size: Sequence[int],
    centre: Sequence[float],
    spacing: Sequence[float],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Cut a patch and change it at random.

    Args:
        pixels: (channels, *space), of mean about 0 and standard deviation about 1; outside of it is 0.
        labels: (*space); outside of it is background.
        size: of the patch.
        centre: of the patch, in places of the image.
        spacing: mm between places of the image, an axis each.
        augmentation: how strongly.
        rng: of all that is drawn.

    Returns:
        (channels, *size) and (*size) int64.
    """
    places = _places(size, centre, spacing, augmentation, rng)
    pixels, labels, places = _around(pixels, labels, places)
    # grid_sample wants places as shares of the size, the last axis first
    shape = torch.tensor(labels.shape, dtype=torch.float32)
    grid = ((2 * places + 1) / shape - 1).flip(-1)[None]
    found = functional.grid_sample(pixels[None].float(), grid, "bilinear", "zeros", align_corners=False)[0]
    outlined = functional.grid_sample(
        labels[None, None].float(), grid, "nearest", "zeros", align_corners=False
    )[0, 0]
    return _shaded(found, augmentation, rng), outlined.long()


def _places(
    size: Sequence[int],
    centre: Sequence[float],
    spacing: Sequence[float],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Tensor:
    """Give the place in the image of each place of the patch: (*size, axes)."""
    n = len(size)
    matrix, shift = _affine(spacing, augmentation, rng)
    axes = [torch.arange(one, dtype=torch.float32) - (one - 1) / 2 for one in size]
    # the sum of what each axis gives is the product with the matrix, without a coordinate for each voxel first
    parts = []
    for axis in range(n):
        view = [1] * n + [n]
        view[axis] = size[axis]
        along = axes[axis][:, None] * torch.as_tensor(matrix[:, axis], dtype=torch.float32)
        parts.append(along.reshape(view))
    places = parts[0] + torch.as_tensor(np.asarray(centre) + shift, dtype=torch.float32)
    for part in parts[1:]:
        places = places + part
    places = places.expand(*size, n)
    if augmentation.bend and rng.random() < augmentation.often:
        places = places + _bent(size, augmentation.bend * rng.random(), rng)
    return places


def _around(pixels: Tensor, labels: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leave away what no place is near to: of a large image most."""
    flat = places.reshape(-1, places.shape[-1])
    low, high = flat.amin(0).floor().long().tolist(), flat.amax(0).ceil().long().tolist()
    starts, stops = [], []
    for size, first, last in zip(labels.shape, low, high, strict=True):
        starts.append(min(max(first - 1, 0), size - 1))
        stops.append(max(min(last + 2, size), starts[-1] + 1))
    box = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return pixels[(slice(None), *box)], labels[box], places - torch.tensor(starts, dtype=torch.float32)


def _affine(
    spacing: Sequence[float], augmentation: Augmentation, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a map from places of the patch, from its middle, to places of the image: (n, n), (n,)."""
    n = len(spacing)
    mm = np.asarray(spacing, dtype=np.float64)
    fine = mm <= _ANISOTROPIC * mm.min()
    matrix = np.eye(n)
    if augmentation.turn and rng.random() < augmentation.often:
        for first in range(n):
            for second in range(first + 1, n):
                if fine[first] and fine[second]:
                    angle = math.radians(augmentation.turn) * rng.uniform(-1, 1)
                    turn = np.eye(n)
                    turn[[first, second], [first, second]] = math.cos(angle)
                    turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
                    matrix = matrix @ turn
    if augmentation.stretch and rng.random() < augmentation.often:
        together = rng.uniform(-1, 1)
        each = together + 0.3 * rng.uniform(-1, 1, n)
        matrix = matrix @ np.diag((1 + augmentation.stretch) ** -each)
    for axis in augmentation.flips:
        if rng.random() < 0.5:
            matrix[:, axis] *= -1
    shift = augmentation.shift * rng.uniform(-1, 1, n)
    return matrix * mm[None, :] / mm[:, None], shift


def _bent(size: Sequence[int], strength: float, rng: np.random.Generator) -> Tensor:
    """Draw a smooth displacement: (*size, axes), in voxels."""
    n = len(size)
    coarse = [max(3, round(one / 12) + 1) for one in size]
    drawn = torch.as_tensor(rng.normal(0, 2 * strength, (n, *coarse)), dtype=torch.float32)
    mode = "trilinear" if n == 3 else "bilinear"
    smooth = functional.interpolate(drawn[None], size=tuple(size), mode=mode, align_corners=True)[0]
    return smooth.movedim(0, -1)


def _shaded(pixels: Tensor, augmentation: Augmentation, rng: np.random.Generator) -> Tensor:
    """Change a patch's (channels, *size) resolution, contrast, brightness and noise."""
    rarely = augmentation.often / 2
    if augmentation.coarse > 1 and rng.random() < rarely:
        by = rng.uniform(1, augmentation.coarse)
        size = tuple(pixels.shape[1:])
        small = tuple(max(2, round(one / by)) for one in size)
        mode = "trilinear" if len(size) == 3 else "bilinear"
        coarse = functional.interpolate(pixels[None], size=small, mode=mode, align_corners=False)
        pixels = functional.interpolate(coarse, size=size, mode=mode, align_corners=False)[0]
    if augmentation.gamma and rng.random() < rarely:
        power = (1 + augmentation.gamma) ** rng.uniform(-1, 1)
        low, high = pixels.amin(), pixels.amax()
        spread = (high - low).clamp_min(1e-6)
        mean, deviation = pixels.mean(), pixels.std()
        pixels = ((pixels - low) / spread).clamp_min(1e-6) ** power
        pixels = (pixels - pixels.mean()) / pixels.std().clamp_min(1e-6) * deviation + mean
    if augmentation.contrast and rng.random() < rarely:
        pixels = pixels * (1 + augmentation.contrast) ** rng.uniform(-1, 1)
        pixels = pixels + augmentation.contrast * rng.uniform(-1, 1)
    if augmentation.noise and rng.random() < rarely:
        drawn = torch.as_tensor(rng.standard_normal(tuple(pixels.shape), dtype=np.float32))
        pixels = pixels + augmentation.noise * rng.random() * drawn
    return pixels
