"""Pictures of nobody: chests that are drawn, some with an opacity; for demonstrations, examples and tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.seeds import generator
from medloom.record.imaging.pictures import as_png

_LUNGS = ((0.30, 0.13), (0.70, 0.13))  # middle and half width of each, as shares of the side


def chest(ill: bool, seed: int, side: int = 128) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a chest: the picture (1, side, side), and where its opacity is (side, side), 0 or 1.

    >>> picture, opacity = chest(ill=True, seed=1)
    >>> picture.shape, bool(opacity.any())
    ((1, 128, 128), True)
    """
    rng = generator(seed, "chest")
    rows, columns = np.mgrid[:side, :side] / side
    grey = 0.62 + 0.1 * np.cos((columns - 0.5) * np.pi)
    for middle, half in _LUNGS:
        wide, high = half * rng.uniform(0.95, 1.15), 0.3 * rng.uniform(0.95, 1.1)
        lung = ((columns - middle) / wide) ** 2 + ((rows - 0.5) / high) ** 2
        grey -= 0.42 / (1 + np.exp((lung - 1) * 9))
        for rib in range(6):
            curve = rows - (0.24 + 0.1 * rib + 0.25 * (columns - middle) ** 2)
            grey += 0.05 * np.exp(-((curve / 0.012) ** 2)) * (lung < 1)
    opacity = np.zeros((side, side), np.uint8)
    if ill:
        middle, half = _LUNGS[int(rng.integers(2))]
        at = (0.5 + rng.uniform(-0.12, 0.14), middle + rng.uniform(-0.3, 0.3) * half)
        size = rng.uniform(0.06, 0.1)
        away = np.hypot(rows - at[0], (columns - at[1]) * rng.uniform(0.8, 1.2)) / size
        grey += (
            rng.uniform(0.25, 0.35)
            * np.exp(-(away**2))
            * (1 + 0.3 * np.sin(20 * rows) * np.sin(23 * columns))
        )
        opacity[away < 1] = 1
    noisy = (grey + rng.normal(0, 0.035, grey.shape)) * rng.uniform(0.9, 1.1) * 255
    return np.clip(noisy, 0, 255).astype(np.uint8)[None], opacity


def write_chests(folder: str | Path, n: int = 200, side: int = 128, outlines: bool = False) -> Path:
    """Write n chests into `ill` and `well`, and if wanted outlines of opacities into `outlines`; gives `folder`."""
    folder = Path(folder)
    for number in range(n):
        ill = number % 2 == 0
        picture, opacity = chest(ill, number, side)
        drawn = [("ill" if ill else "well", picture), *([("outlines", opacity[None])] if outlines else [])]
        for part, pixels in drawn:
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / f"patient{number:04d}.png").write_bytes(as_png(pixels))
    return folder
