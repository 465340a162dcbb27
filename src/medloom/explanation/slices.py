"""Slices of images as people look at them, and where structures end on them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medloom.record.imaging.image import Image

Floats = NDArray[np.float32]

_DARKEST, _BRIGHTEST = 0.5, 99.5  # percentiles, where nobody says how to show it
_LINE: Final = 2  # px


def shown(image: Image, number: int) -> Floats:
    """Give a slice as it is looked at, 0 black and 1 white: (height, width), of colours (height, width, 3).

    Its maker's window counts (PS3.3 section C.11.2.1.2); where there is none, 8 bits are shown as they are, and other
    images between the 0.5th and the 99.5th percentile of all pixels.

    >>> shown(Image(np.array([[[-160, 40, 240]]]), window=(40.0, 400.0)), 0).tolist()
    [[0.0, 0.5, 1.0]]
    """
    pixels = image.pixels if image.dimensions == 2 else image.pixels[:, number]
    low, high = _ends(image)
    values = np.clip((pixels.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    grey: Floats = np.moveaxis(values, 0, -1) if len(pixels) == 3 else values[0]
    return grey


def size_of(image: Image, side: int) -> tuple[int, int]:
    """Give the (height, width) a slice is drawn in: not smaller than it is, its longer side `side` px, pixels square.

    >>> size_of(Image(np.zeros((1, 9, 24, 32)), spacing=(5.0, 0.5, 0.75)), 512)
    (256, 512)
    """
    height, width = image.shape[-2:]
    down, across = image.spacing[-2:] if image.spacing is not None else (1.0, 1.0)
    unit = min(down, across)
    tall, wide = height * down / unit, width * across / unit
    larger = max(1.0, side / max(tall, wide))
    return max(1, round(tall * larger)), max(1, round(wide * larger))


def resized(values: Floats, size: tuple[int, int]) -> Floats:
    """Interpolate (height, width) or (height, width, 3) linearly."""
    from PIL import Image as Pillow

    planes = values[..., None] if values.ndim == 2 else values
    made = [
        np.asarray(
            Pillow.fromarray(np.ascontiguousarray(planes[..., at])).resize(
                size[::-1], Pillow.Resampling.BILINEAR
            )
        )
        for at in range(planes.shape[-1])
    ]
    return made[0] if values.ndim == 2 else np.stack(made, -1)


def edges(labels: NDArray[Any], size: tuple[int, int], line: int = _LINE) -> dict[int, NDArray[np.bool_]]:
    """Find where each structure of a slice ends, inside of it: number → (height, width) of `size`.

    >>> edges(np.array([[0, 1], [0, 1]]), (4, 4), line=1)[1].astype(int).tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    rows, columns = (
        np.minimum((np.arange(want) + 0.5) * there / want, there - 1).astype(int)
        for want, there in zip(size, labels.shape, strict=True)
    )
    wide = labels[rows][:, columns]
    found = {}
    for number in np.unique(wide[wide > 0]).tolist():
        mask = wide == number
        found[int(number)] = mask & ~ndimage.binary_erosion(mask, iterations=line)
    return found


def _ends(image: Image) -> tuple[float, float]:
    if image.window is not None and image.channels == 1:
        centre, width = image.window
        return centre - width / 2, centre + width / 2
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    finite = image.pixels[np.isfinite(image.pixels)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(finite, (_DARKEST, _BRIGHTEST)))
    return (low, high) if high > low else (float(finite.min()), float(finite.max()))
