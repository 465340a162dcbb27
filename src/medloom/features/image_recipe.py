"""What a set of images tells of how to learn to outline them: spacing, patch, batch, levels, brightness.

The rules follow nnU-Net (Isensee et al., Nature Methods 2021;18:203-211, Methods and Supplementary Note 2): the spacing
that is usual; a patch of the usual image's form, as large as memory and time allow; as many levels as halve it to 4 at
least, axis by axis, coarse axes last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.record.imaging.image import Image

Floats = NDArray[np.float64]

_DRAWN: Final = 10_000  # values of an image's foreground
_ANISOTROPIC: Final = 3.0
_LEAST: Final = 4  # places along an axis at the deepest level
_MOST_LEVELS: Final = 6
_FEWEST_LEVELS: Final = 3
_FIRST_CHANNELS: Final = {2: 24, 3: 16}
_MOST_CHANNELS: Final = {2: 384, 3: 256}
_VOXELS: Final = {2: 256 * 256, 3: 96 * 96 * 96}  # of a patch, at most
_A_STEP: Final = {2: 12 * 256 * 256, 3: 4 * 40 * 56 * 40}  # voxels that a batch has about
_BATCH: Final = (2, 16)
_TAILS: Final = (0.5, 99.5)  # percentiles


@dataclass(frozen=True)
class Brightness:
    """Values of one channel in the foreground of training images: of Hounsfield units, the same in every image."""

    low: float
    high: float
    mean: float
    sd: float


@dataclass(frozen=True)
class Fingerprint:
    """What training images are like.

    Attributes:
        shapes: (n, axes) in space.
        spacings: (n, axes) mm; 1 where it is not known.
        channels: of each image.
        absolute: whether values mean the same in every image, as Hounsfield units do.
        brightness: a channel each, of the foreground.
    """

    shapes: NDArray[np.int64]
    spacings: Floats
    channels: int
    absolute: bool
    brightness: tuple[Brightness, ...]


@dataclass(frozen=True)
class Recipe:
    """How images are made alike, and what the network looks like that learns from them.

    Attributes:
        spacing: mm, that images are brought to.
        patch: voxels, of what is learned from at once.
        batch: patches a step.
        strides: a level each, by which it is coarser than the one above, an axis each; the first level's are 1.
        kernels: a level each.
        filters: channels, a level each.
        channels: of an image.
        brightness: a channel each, for values that are absolute; None: each image has its own mean and spread.
    """

    spacing: tuple[float, ...]
    patch: tuple[int, ...]
    batch: int
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    filters: tuple[int, ...]
    channels: int
    brightness: tuple[Brightness, ...] | None

    @property
    def divisor(self) -> tuple[int, ...]:
        """Give what a size must be a multiple of, an axis each."""
        return tuple(math.prod(one) for one in zip(*self.strides, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read back what `to_json` gave."""
        told: dict[str, Any] = {
            name: tuple(tuple(one) if isinstance(one, list) else one for one in value)
            if isinstance(value, list | tuple)
            else value
            for name, value in content.items()
        }
        if told["brightness"] is not None:
            told["brightness"] = tuple(Brightness(**one) for one in content["brightness"])
        return cls(**told)


def fingerprint(cases: Iterable[tuple[Image, NDArray[Any]]], seed: int = 0) -> Fingerprint:
    """Look at training images and their outlines, one after the other.

    Args:
        cases: images, and label arrays of their size; 0: background.
        seed: of the values that are drawn from each foreground.

    Raises:
        InputError: there are none, or images of unlike axes or channels.
    """
    shapes, spacings, kinds, units = [], [], set(), set()
    values: list[Floats] = []
    for number, (image, labels) in enumerate(cases):
        shapes.append(image.shape)
        spacings.append(image.spacing or (1.0,) * image.dimensions)
        kinds.add((image.dimensions, image.channels))
        units.add(image.unit)
        inside = image.pixels[:, labels > 0]
        if inside.shape[1] > _DRAWN:
            inside = inside[
                :, generator(seed, "foreground", str(number)).integers(inside.shape[1], size=_DRAWN)
            ]
        values.append(inside.astype(np.float64))
    if len(kinds) != 1:
        raise InputError(
            "outlines are learned from images of the same number of axes and channels, not from {found}",
            found=sorted(kinds),
        )
    ((_, channels),) = kinds
    together = np.concatenate(values, axis=1)
    brightness = tuple(map(_brightness, together)) if together.shape[1] else ()
    absolute = units == {"HU"} and bool(brightness)
    return Fingerprint(np.array(shapes), np.array(spacings), channels, absolute, brightness)


def recipe(of: Fingerprint, *, spacing: Sequence[float] | None = None) -> Recipe:
    """Choose how to learn from images like these.

    Args:
        of: training images.
        spacing: mm to bring them to; None: what is usual among them.

    Raises:
        InputError: the spacing is of other axes than the images.

    >>> shapes = np.array([[35, 50, 36]] * 3)
    >>> brains = Fingerprint(shapes, np.ones((3, 3)), 1, False, ())
    >>> found = recipe(brains)
    >>> found.patch, found.batch, found.filters, found.divisor
    ((40, 56, 40), 4, (16, 32, 64, 128), (8, 8, 8))
    >>> knees = Fingerprint(np.array([[30, 320, 320]]), np.array([[4.0, 0.5, 0.5]]), 1, False, ())
    >>> recipe(knees).strides[:3], recipe(knees).patch
    (((1, 1, 1), (1, 2, 2), (1, 2, 2)), (32, 192, 192))
    """
    if spacing is not None and len(spacing) != of.spacings.shape[1]:
        raise InputError(
            "spacing has {n} numbers, and images have {axes} axes; give one for each",
            n=len(spacing),
            axes=of.spacings.shape[1],
        )
    target = tuple(_spacing(of.spacings) if spacing is None else map(float, spacing))
    usual = np.median(of.shapes * of.spacings / np.asarray(target), axis=0)
    axes = len(target)
    size = np.maximum(usual, _LEAST)
    if size.prod() > _VOXELS[axes]:
        size = _shrunk(size, _VOXELS[axes])
    strides, kernels = _levels(size, target)
    divisor = np.prod(np.array(strides), axis=0)
    patch = (np.ceil(np.round(size / divisor, 6)) * divisor).astype(int)
    batch = int(np.clip(round(_A_STEP[axes] / patch.prod()), *_BATCH))
    filters = [min(_FIRST_CHANNELS[axes] * 2**level, _MOST_CHANNELS[axes]) for level in range(len(strides))]
    return Recipe(
        spacing=target,
        patch=tuple(patch.tolist()),
        batch=batch,
        strides=strides,
        kernels=kernels,
        filters=tuple(filters),
        channels=of.channels,
        brightness=of.brightness if of.absolute else None,
    )


def normalised(pixels: NDArray[Any], recipe: Recipe) -> NDArray[np.float32]:
    """Bring the values of an image (channels, *space) to mean 0 and standard deviation 1.

    Absolute ones are cut to the training foreground's 0.5 and 99.5 percentiles first, others to the image's own.

    >>> grey = recipe(Fingerprint(np.array([[8, 8]]), np.ones((1, 2)), 1, False, ()))
    >>> normalised(np.array([[[1, 1], [3, 3]]], np.uint8), grey).tolist()
    [[[-1.0, -1.0], [1.0, 1.0]]]
    """
    made = np.empty(pixels.shape, np.float32)
    for channel, values in enumerate(pixels.astype(np.float64)):
        if recipe.brightness is not None:
            known = recipe.brightness[channel]
            cut = (values.clip(known.low, known.high) - known.mean) / max(known.sd, 1e-8)
        else:
            cut = values.clip(*np.percentile(values, _TAILS))
            cut = (cut - cut.mean()) / max(float(cut.std()), 1e-8)
        made[channel] = cut
    return made


def _brightness(values: Floats) -> Brightness:
    low, high = np.percentile(values, _TAILS)
    return Brightness(float(low), float(high), float(values.mean()), float(values.std()))


def _spacing(spacings: Floats) -> tuple[float, ...]:
    """Choose the usual spacing; of a very coarse axis a fine one, so that little is lost where it is finer."""
    usual = np.median(spacings, axis=0)
    coarse = int(usual.argmax())
    others = np.delete(usual, coarse)
    if usual[coarse] >= _ANISOTROPIC * others.max():
        tenth = float(np.percentile(spacings[:, coarse], 10))
        usual[coarse] = max(tenth, float(others.max()) + 1e-5)
    return tuple(round(float(one), 6) for one in usual)


def _shrunk(size: Floats, voxels: int) -> Floats:
    """Take from the longest axes until there are no more voxels than these."""
    size = size.copy()
    while size.prod() > voxels:
        longest = size >= size.max() - 1e-9
        size[longest] = max(size.max() - 1, _LEAST)
    return size


def _levels(
    size: Floats, spacing: Sequence[float]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Halve axes, level by level, those that are finest first, while 4 are left: strides, and kernels."""
    size, mm = size.copy(), np.asarray(spacing, np.float64).copy()
    strides = [(1,) * len(mm)]
    kernels = [tuple(3 if one else 1 for one in mm < 2 * mm.min())]
    while len(strides) < _MOST_LEVELS:
        # an axis is as fine as the finest that can still be halved, or nearly so
        can = size >= 2 * _LEAST
        if not can.any() and len(strides) >= _FEWEST_LEVELS:
            break
        can |= not can.any()  # of small images all axes, which are filled up
        halved = can & (mm < 2 * mm[can].min())
        stride = np.where(halved, 2, 1)
        size, mm = size / stride, mm * stride
        strides.append(tuple(stride.tolist()))
        kernels.append(tuple(3 if one else 1 for one in mm < 2 * mm.min()))
    return tuple(strides), tuple(kernels)
