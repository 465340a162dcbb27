"""Images of any size, depth and number of colours, as arrays of one shape."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import track
from medloom.record.imaging.image import Image
from medloom.record.imaging.reading import read_image
from medloom.tasks.samples import Samples

Pixels = NDArray[Any]

_MOST_IN_MEMORY: Final = 4 << 30  # bytes; beyond it, arrays lie in a file
_LOOKED_AT: Final = 50  # images that tell what is usual
_DARKEST, _BRIGHTEST = 0.5, 99.5  # percentiles
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Framing:
    """How images become arrays (channels, *size) of numbers between 0 and 1; plain values, for a package.

    Attributes:
        size: (height, width), or (depth, height, width) of volumes.
        channels: 1: colours become grey; 3: grey becomes three equal colours.
        low, high: in `unit`: what becomes 0 and 1, in every image alike; None: 8 bits by their range, and other images
            each by its own 0.5th and 99.5th percentile.
        unit: of images that are brightened alike, such as `HU`.
        keep_shape: whether what is too long one way is filled up with black, rather than squeezed.
    """

    size: tuple[int, ...]
    channels: int = 1
    low: float | None = None
    high: float | None = None
    unit: str = ""
    keep_shape: bool = True

    @classmethod
    def of(cls, samples: Samples, size: tuple[int, ...], channels: int = 1) -> Framing:
        """Look at some training images, and choose the brightness of those that have a unit.

        Raises:
            InputError: they have not as many axes as `size`, or some have a unit and others none.
        """
        places = np.unique(np.linspace(0, len(samples) - 1, min(len(samples), _LOOKED_AT)).astype(int))
        seen = [image_of(samples, int(place)) for place in places]
        made = cls(size, channels)
        for image in seen:
            made.check(image)
        units = {image.unit for image in seen}
        if len(units) > 1:
            raise InputError(
                "images to learn from have different units ({units}); ask about one modality, such as IMAGE//CT*",
                units=sorted(one or "none" for one in units),
            )
        unit = units.pop()
        if not unit:
            return made
        ends = np.median([np.percentile(image.pixels, (_DARKEST, _BRIGHTEST)) for image in seen], axis=0)
        return replace(made, low=float(ends[0]), high=float(ends[1]), unit=unit)

    def check(self, image: Image) -> None:
        """Refuse an image with other axes.

        Raises:
            InputError: it is a volume where pictures are read, or the other way round.
        """
        flat = image.dimensions == 3 and image.shape[0] == 1
        if image.dimensions != len(self.size) and not (flat and len(self.size) == 2):
            raise InputError(
                "an image has {found} axes in space where {expected} are read; ask about images of one kind",
                found=image.dimensions,
                expected=len(self.size),
            )

    def framed(self, image: Image) -> NDArray[np.float32]:
        """Give an image as numbers between 0 and 1: (channels, *size).

        Raises:
            InputError: as `check`, or the image has another unit.
        """
        self.check(image)
        if self.unit and image.unit != self.unit:
            raise InputError(
                "an image in {found} came where images in {expected} are read",
                found=image.unit or tr("no unit"),
                expected=self.unit,
            )
        pixels = image.pixels[:, 0] if image.dimensions > len(self.size) else image.pixels
        return self._with_channels(self._filled(self._scaled(pixels, *self._ends(pixels, image))))

    def unframed(self, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Take what was said of places of a framed image back to the image.

        Args:
            values: one number a place, of any grid over `size`, such as a map of where a network looked.
            shape: of the image in space.

        >>> Framing((4, 4)).unframed(np.array([[0.0, 0.0], [1.0, 1.0]]), (2, 4))[:, 0].round(2).tolist()
        [0.25, 0.75]
        """
        wide = values.astype(np.float32)[None]
        for axis, n in enumerate(self.size, 1):
            wide = _along(wide, axis, n)
        whole = shape if len(shape) == len(self.size) else shape[1:]
        place = tuple(
            slice((want - there) // 2, (want - there) // 2 + there)
            for want, there in zip(self.size, self._inner(whole), strict=True)
        )
        wide = wide[(slice(None), *place)]
        for axis, n in enumerate(whole, 1):
            wide = _along(wide, axis, n)
        back: NDArray[np.float32] = wide[0].reshape(shape)
        return back

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {**vars(self), "size": list(self.size)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave."""
        return cls(**{**content, "size": tuple(content["size"])})

    def _ends(self, pixels: Pixels, image: Image) -> tuple[float, float]:
        """Give what becomes 0 and 1."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        if image.pixels.dtype == np.uint8:
            return 0.0, 255.0
        finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
        if not finite.size:
            return 0.0, 1.0
        low, high = (float(end) for end in np.percentile(finite, (_DARKEST, _BRIGHTEST)))
        # hardly anything on black
        return (low, high) if high > low else (float(finite.min()), float(finite.max()))

    def _scaled(self, pixels: Pixels, low: float, high: float) -> NDArray[np.float32]:
        """Brighten and scale, a volume slice by slice, so that no second volume of its size comes to be."""
        inner = self._inner(pixels.shape[1:])
        if len(inner) == 2:
            return _finer(_finer(_brightened(pixels, low, high), 1, inner[0]), 2, inner[1])
        flat = np.empty((pixels.shape[0], pixels.shape[1], *inner[1:]), np.float32)
        for number in range(pixels.shape[1]):
            slice_ = _brightened(pixels[:, number], low, high)
            flat[:, number] = _finer(_finer(slice_, 1, inner[1]), 2, inner[2])
        return _finer(flat, 1, inner[0])

    def _inner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Give the size that an image is scaled to before it is filled up."""
        if not self.keep_shape:
            return self.size
        share = min(want / there for want, there in zip(self.size, shape, strict=True))
        return tuple(min(want, max(1, round(n * share))) for want, n in zip(self.size, shape, strict=True))

    def _filled(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill up evenly with black where the shape is another than `size`."""
        if pixels.shape[1:] == self.size:
            return pixels
        filled = np.zeros((pixels.shape[0], *self.size), np.float32)
        place = tuple(
            slice((want - there) // 2, (want - there) // 2 + there)
            for want, there in zip(self.size, pixels.shape[1:], strict=True)
        )
        filled[(slice(None), *place)] = pixels
        return filled

    def _with_channels(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        there = pixels.shape[0]
        if there == self.channels:
            return pixels
        if self.channels == 1:
            if there == 3:
                grey: NDArray[np.float32] = np.tensordot(_LUMA, pixels, 1)[None]
                return grey
            mean: NDArray[np.float32] = pixels.mean(0, keepdims=True)
            return mean
        if there == 1:
            return np.repeat(pixels, self.channels, 0)
        raise InputError(
            "an image has {found} channels where {expected} are read", found=there, expected=self.channels
        )


def _brightened(pixels: Pixels, low: float, high: float) -> NDArray[np.float32]:
    clean = np.nan_to_num(pixels.astype(np.float32), nan=low, posinf=high, neginf=low)
    unit: NDArray[np.float32] = np.clip((clean - low) / max(high - low, 1e-6), 0, 1, dtype=np.float32)
    return unit


def _along(pixels: NDArray[np.float32], axis: int, n: int) -> NDArray[np.float32]:
    """Scale along one axis to n places, by weights that fall linearly and are as wide as what a place stands for."""
    return _weighted(pixels, axis, n, lambda away: np.clip(1 - away, 0, None))


def _finer(pixels: NDArray[np.float32], axis: int, n: int) -> NDArray[np.float32]:
    """Scale along one axis; to more places by cubic convolution, which keeps edges (Keys, 1981), as numbers 0 … 1."""
    if n <= pixels.shape[axis]:
        return _along(pixels, axis, n)
    return np.clip(_weighted(pixels, axis, n, _cubic), 0, 1)


def _cubic(away: NDArray[np.float64]) -> NDArray[np.float64]:
    near = (1.5 * away - 2.5) * away**2 + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    weights: NDArray[np.float64] = np.select([away < 1, away < 2], [near, far], 0.0)
    return weights


def _weighted(
    pixels: NDArray[np.float32],
    axis: int,
    n: int,
    kernel: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float32]:
    """Scale along one axis to n places, by what a kernel gives for distances in places of the coarser of both."""
    there = pixels.shape[axis]
    if there == n:
        return pixels
    wide = max(1.0, there / n)
    middles = (np.arange(n) + 0.5) * there / n - 0.5
    weights = kernel(np.abs(middles[:, None] - np.arange(there)) / wide)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    moved = np.moveaxis(pixels, axis, -1) @ weights.T
    return np.ascontiguousarray(np.moveaxis(moved, -1, axis))


def image_of(samples: Samples, place: int) -> Image:
    """Read the image that a sample, by its place, is about.

    Raises:
        InputError: the sample is about no file, or the file is damaged.
    """
    with samples.open_item(place) as file:
        return samples.changed(read_image(file))


def framed_each(samples: Samples, framing: Framing) -> Iterator[NDArray[np.float32]]:
    """Read and frame the images of samples, in order, one after another: (channels, *size) each."""
    for place in range(len(samples)):
        yield framing.framed(image_of(samples, place))


def framed_together(samples: Samples, framing: Framing) -> Pixels:
    """Read and frame all images of samples: (n, channels, *size), 8 bits, a file where memory would not hold them.

    Divided by 255 they are what `framed` gives, to within 0.002.
    """
    shape = (len(samples), framing.channels, *framing.size)
    made: Pixels
    if prod(shape) <= _MOST_IN_MEMORY:
        made = np.empty(shape, np.uint8)
    else:
        folder = tempfile.TemporaryDirectory(prefix="medloom-images-")
        made = _Kept.opened(Path(folder.name) / "pixels", shape, folder)

    def frame(place: int) -> None:
        made[place] = np.round(framing.framed(image_of(samples, place)) * 255)

    with ThreadPoolExecutor(2) as pool:
        for _ in track(pool.map(frame, range(len(samples))), tr("Reading images"), len(samples)):
            pass
    return made


class _Kept(np.memmap):
    """An array in a file that goes with it."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def opened(cls, path: Path, shape: tuple[int, ...], folder: tempfile.TemporaryDirectory[str]) -> _Kept:
        made = cls(path, np.uint8, "w+", shape=shape)
        made.folder = folder
        return made
