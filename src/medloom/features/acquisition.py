"""Images as another machine, or another hand, would have taken them: what models of images are tried with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.record.imaging.image import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shift:
    """One way in which an image could have been taken otherwise.

    Attributes:
        name: of it.
        strength: how much of it.
        change: of numbers between 0 and 1, (channels, *size), and a generator of random numbers: as they would be.
        degrees: by which it turns what is seen; what was drawn on the image must turn with it, see `turned`.
    """

    name: Text2
    strength: float
    change: Callable[[Floats, np.random.Generator], Floats]
    degrees: float = 0.0

    def __call__(self, image: Image) -> Image:
        """Change an image, on its own scale; the same image is changed alike each time."""
        pixels = image.pixels.astype(np.float32)
        low, high = _ends(image, pixels)
        unit = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
        drawn = generator(int(abs(float(pixels.sum())) % 2**31), "acquisition")
        changed = np.clip(self.change(unit, drawn), 0, 1) * (high - low) + low
        if image.pixels.dtype.kind in "iu":
            changed = np.round(changed)
        return replace(image, pixels=changed.astype(image.pixels.dtype))

    def turned(self, labels: NDArray[np.integer]) -> NDArray[np.integer]:
        """Turn what was drawn on an image as its pixels are, each number staying one: (*size)."""
        if not self.degrees:
            return labels
        turned: NDArray[np.integer] = _rotated(labels, self.degrees, 0)
        return turned


def shifts() -> tuple[Shift, ...]:
    """Give all shifts that are tried, the weaker of each before the stronger."""
    return (
        *(Shift(text2("darker: gamma {gamma:g}", gamma=g), g, _gamma(g)) for g in (1.3, 1.7)),
        *(Shift(text2("lighter: gamma {gamma:g}", gamma=g), g, _gamma(g)) for g in (0.77, 0.59)),
        *(Shift(text2("{share:.0%} of the contrast", share=c), c, _contrast(c)) for c in (0.75, 0.5)),
        *(
            Shift(text2("blurred over {share:g} % of the width", share=100 * b), b, _blurred(b))
            for b in (0.01, 0.02)
        ),
        *(
            Shift(text2("noise of {share:.0%} of the brightness", share=n), n, _noisy(n))
            for n in (0.04, 0.08)
        ),
        *(Shift(text2("turned by {degrees:g}°", degrees=d), d, _turned(d), d) for d in (5.0, 15.0)),
        *(Shift(text2("{share:.0%} of the resolution", share=r), r, _coarse(r)) for r in (0.5, 0.25)),
    )


def _ends(image: Image, pixels: Floats) -> tuple[float, float]:
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    finite = pixels[np.isfinite(pixels)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _gamma(power: float) -> Callable[[Floats, Any], Floats]:
    return lambda x, _: x ** np.float32(power)


def _contrast(share: float) -> Callable[[Floats, Any], Floats]:
    return lambda x, _: (x - 0.5) * np.float32(share) + np.float32(0.5)


def _blurred(share: float) -> Callable[[Floats, Any], Floats]:
    def change(x: Floats, _: Any) -> Floats:
        width = share * x.shape[-1]
        changed: Floats = ndimage.gaussian_filter(x, (0.0, *([width] * (x.ndim - 1))))
        return changed

    return change


def _noisy(size: float) -> Callable[[Floats, Any], Floats]:
    def change(x: Floats, rng: np.random.Generator) -> Floats:
        return x + np.float32(size) * rng.standard_normal(x.shape, dtype=np.float32)

    return change


def _turned(degrees: float) -> Callable[[Floats, Any], Floats]:
    def change(x: Floats, _: Any) -> Floats:
        changed: Floats = _rotated(x, degrees, 1)
        return changed

    return change


def _rotated(x: NDArray[Any], degrees: float, order: int) -> NDArray[Any]:
    """Turn every slice about its middle; what comes in from outside is 0."""
    turned: NDArray[Any] = ndimage.rotate(
        x, degrees, axes=(x.ndim - 1, x.ndim - 2), reshape=False, order=order
    )
    return turned


def _coarse(share: float) -> Callable[[Floats, Any], Floats]:
    def change(x: Floats, _: Any) -> Floats:
        small = ndimage.zoom(x, (1.0, *([share] * (x.ndim - 1))), order=1, grid_mode=True, mode="nearest")
        back = [n / m for n, m in zip(x.shape, small.shape, strict=True)]
        changed: Floats = ndimage.zoom(small, back, order=1, grid_mode=True, mode="nearest")
        return changed

    return change
