"""Images as they might also have been taken: turned, moved, brighter, blurred, noisier. A learner sees
them anew each time.

Everything is drawn from a NumPy generator, so that a training that goes on draws what it would have drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed; 0 everywhere: not at all.

    Attributes:
        turn: degrees, either way.
        zoom: share, either way.
        shift: share of the size, either way.
        flip: whether left and right may change places.
        bright: how far brightness and contrast go, as a share; and gamma, as a power.
        blur: share of images that are blurred, or made coarser.
        noise: highest standard deviation of what is added.
        erase: share of images that lose a patch (Zhong et al., AAAI 2020).
    """

    turn: float = 10.0
    zoom: float = 0.15
    shift: float = 0.08
    flip: bool = False
    bright: float = 0.25
    blur: float = 0.2
    noise: float = 0.03
    erase: float = 0.25

    @classmethod
    def of(cls, strength: float, flip: bool) -> Augmentation:
        """Give the usual changes, so many times as strong."""
        usual = cls()
        scaled = {
            name: value * strength
            for name, value in vars(usual).items()
            if name not in ("flip", "blur", "erase")
        }
        shares = {name: min(1.0, getattr(usual, name) * strength) for name in ("blur", "erase")}
        return cls(**scaled, **shares, flip=flip)

    def changed(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Change images (b, channels, *size) of numbers between 0 and 1, each its own way."""
        x = self._moved(x, rng)
        x = self._lit(x, rng)
        x = self._coarser(x, rng)
        return self._erased(x, rng)

    def _moved(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        if not (self.turn or self.zoom or self.shift or self.flip):
            return x
        n, dimensions = len(x), x.ndim - 2
        angle = np.radians(rng.uniform(-self.turn, self.turn, n))
        scale = np.exp(rng.uniform(-self.zoom, self.zoom, (n, dimensions)) * 0.5)
        scale *= np.exp(rng.uniform(-self.zoom, self.zoom, n) * 0.5)[:, None]
        mirror = np.where(rng.random(n) < 0.5, -1.0, 1.0) if self.flip else np.ones(n)
        theta = np.zeros((n, dimensions, dimensions + 1))
        for axis in range(dimensions):
            theta[:, axis, axis] = scale[:, axis]
        # axes of grids count from the last: 0 is across, 1 down
        theta[:, 0, 0], theta[:, 0, 1] = scale[:, 0] * np.cos(angle), -scale[:, 0] * np.sin(angle)
        theta[:, 1, 0], theta[:, 1, 1] = scale[:, 1] * np.sin(angle), scale[:, 1] * np.cos(angle)
        theta[:, :, -1] = 2 * rng.uniform(-self.shift, self.shift, (n, dimensions))
        theta[:, 0] *= mirror[:, None]
        grid = F.affine_grid(_as(theta, x), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)

    def _lit(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        n = len(x)
        if self.bright:
            gamma = np.exp(rng.uniform(-self.bright, self.bright, n) * 1.5)
            contrast = np.exp(rng.uniform(-self.bright, self.bright, n))
            brightness = rng.uniform(-self.bright, self.bright, n) * 0.4
            x = x.clamp_min(1e-4) ** _each(gamma, x)
            x = (x - 0.5) * _each(contrast, x) + 0.5 + _each(brightness, x)
        if self.noise:
            # drawn small and fast; the seed of the step is PyTorch's
            x = x + torch.randn_like(x) * _each(rng.uniform(0, self.noise, n), x)
        return x.clamp(0, 1)

    def _coarser(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        chosen = np.flatnonzero(rng.random(len(x)) < self.blur)
        if not len(chosen):
            return x
        share = float(rng.uniform(0.4, 0.9))
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        small = F.interpolate(x[chosen], scale_factor=share, mode=mode, align_corners=False)
        x = x.clone()
        x[chosen] = F.interpolate(small, list(x.shape[2:]), mode=mode, align_corners=False)
        return x

    def _erased(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        chosen = np.flatnonzero(rng.random(len(x)) < self.erase)
        if not len(chosen):
            return x
        x = x.clone()
        for row in chosen:
            share = rng.uniform(0.15, 0.35)
            place: list[Any] = [int(row), slice(None)]
            for n in x.shape[2:]:
                side = max(1, math.floor(n * share))
                start = int(rng.integers(0, n - side + 1))
                place.append(slice(start, start + side))
            x[tuple(place)] = float(rng.random())
        return x


def _as(values: NDArray[Any], like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)


def _each(values: NDArray[Any], like: Tensor) -> Tensor:
    return _as(values, like).view(-1, *[1] * (like.ndim - 1))
