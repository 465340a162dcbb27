"""The painter, which makes images of a class from noise, and the judge, which tells how real they look.

Residual blocks, class-conditional normalisation, and a judge that projects on classes under spectral norm: Miyato and
Koyama, ICLR 2018; Miyato et al., ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

SMALLEST, LARGEST = 16, 128  # pixels a side that are painted
_FIRST: Final = 4
_CENTRE, _SPREAD = 0.5, 0.25  # of what is shown
_NARROWEST: Final = 8  # channels


@dataclass(frozen=True)
class Canvas:
    """What both networks are built from; plain values, for a package.

    Attributes:
        size: (height, width) of what is painted and judged.
        channels: 1, or 3 of colour.
        classes: how many.
        width: channels of the finest layers; each coarser one has twice as many, up to eight times.
        noise: numbers from which an image is made.
    """

    size: tuple[int, int]
    channels: int
    classes: int
    width: int = 32
    noise: int = 64

    @property
    def doublings(self) -> int:
        """Count how often the size is doubled.

        >>> Canvas((28, 28), 1, 2).doublings, Canvas((128, 100), 1, 2).doublings
        (2, 5)
        """
        return max(2, (max(self.size) // _FIRST).bit_length() - 1)

    @property
    def first(self) -> tuple[int, int]:
        """Give the size that is doubled, so that the middle of what comes out has the size that is painted.

        >>> Canvas((28, 28), 1, 2).first, Canvas((100, 100), 1, 2).first
        ((7, 7), (7, 7))
        """
        height, width = (-(-n // 2**self.doublings) for n in self.size)
        return height, width

    def widths(self) -> list[int]:
        """List the channels, from the coarsest layer to the finest."""
        return [max(_NARROWEST, self.width * min(8, 2**n)) for n in reversed(range(self.doublings + 1))]


class Painter(nn.Module):
    """Noise (b, noise) and classes (b,) → images (b, channels, height, width) of numbers between 0 and 1."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__()
        widths = canvas.widths()
        self.size, self.first = canvas.size, canvas.first
        self.begin = nn.Linear(canvas.noise, widths[0] * self.first[0] * self.first[1])
        self.blocks = nn.ModuleList(
            _Finer(before, after, canvas.classes) for before, after in pairwise(widths)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = nn.Conv2d(widths[-1], canvas.channels, 3, 1, 1)

    def forward(self, noise: Tensor, classes: Tensor) -> Tensor:
        x = self.begin(noise).view(len(noise), -1, *self.first)
        for block in self.blocks:
            x = block(x, classes)
        painted = torch.sigmoid(self.last(F.relu(self.norm(x))))
        # cut, not scaled: what is scaled is blurred, and a judge sees that
        top, left = ((there - want) // 2 for there, want in zip(x.shape[2:], self.size, strict=True))
        return painted[:, :, top : top + self.size[0], left : left + self.size[1]]


class Judge(nn.Module):
    """Images (b, channels, height, width) of numbers between 0 and 1, and classes (b,) → how real they look (b,)."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__()
        widths = canvas.widths()[::-1]
        self.begin = _bounded(nn.Conv2d(canvas.channels, widths[0], 3, 1, 1))
        self.blocks = nn.ModuleList(_Coarser(before, after) for before, after in pairwise(widths))
        self.together = _bounded(nn.Conv2d(widths[-1] + 1, widths[-1], 3, 1, 1))
        self.answer = _bounded(nn.Linear(widths[-1], 1))
        self.of_class = spectral_norm(nn.Embedding(canvas.classes, widths[-1]))

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        x = self.begin((x - _CENTRE) / _SPREAD)
        for block in self.blocks:
            x = block(x)
        # how images of a batch differ tells a painter that always paints the same (Karras et al., ICLR 2018)
        spread = x.std(0, unbiased=False).mean().expand(len(x), 1, *x.shape[2:])
        x = self.together(torch.cat([F.relu(x), spread], 1))
        seen = F.relu(x).sum((2, 3))
        judged: Tensor = self.answer(seen)[:, 0] + (self.of_class(classes) * seen).sum(1)
        return judged


def scaled(x: Tensor, size: Sequence[int]) -> Tensor:
    """Scale images (b, channels, height, width), without steps where they become smaller."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, list(size), mode="bilinear", align_corners=False, antialias=True)


class _Conditional(nn.Module):
    """Norm over the batch, then a scale and a shift of each class's own."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed * self.scale(classes)[..., None, None] + self.shift(classes)[..., None, None]


class _Finer(nn.Module):
    """Twice the size."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = _Conditional(before, classes), _Conditional(after, classes)
        self.conv_1, self.conv_2 = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.past = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        # before it is doubled, which costs a quarter
        inside = self.conv_1(F.relu(self.norm_1(x, classes)))
        inside = self.conv_2(_doubled(F.relu(self.norm_2(inside, classes))))
        out: Tensor = inside + _doubled(self.past(x))
        return out


class _Coarser(nn.Module):
    """Half the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv_1 = _bounded(nn.Conv2d(before, before, 3, 1, 1))
        self.conv_2 = _bounded(nn.Conv2d(before, after, 3, 1, 1))
        self.past = _bounded(nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        inside = self.conv_2(F.avg_pool2d(F.relu(self.conv_1(F.relu(x))), 2))
        out: Tensor = inside + self.past(F.avg_pool2d(x, 2))
        return out


def _bounded(layer: nn.Module) -> nn.Module:
    bounded: nn.Module = spectral_norm(layer)
    return bounded


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
