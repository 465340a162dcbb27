"""A body that reads images, and the layer that answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.explanation.image_places import Spacing
from medloom.features.images import Pixels
from medloom.training.answer_heads import Emphasis, Targets

Rows = NDArray[np.int64]

_AT_ONCE = 32  # images judged together
_PLAIN = Emphasis()


class Body(Protocol):
    """Reads images into maps."""

    width: int
    spacing: Spacing

    def maps(self, x: Tensor) -> Tensor:
        """Read (b, channels, *size) of numbers between 0 and 1 into (b, width, *smaller)."""
        ...


class ImageNetwork(nn.Module):
    """A body, and a linear layer of answers on the mean of its maps.

    As that layer is linear, each place of the maps has its own share of the answer: `shares`.
    """

    def __init__(self, body: nn.Module, k: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.body = body
        self.left_out = nn.Dropout(dropout)
        self.head = nn.Linear(int(body.width), k)
        nn.init.normal_(self.head.weight, std=0.02)

    def train(self, mode: bool = True) -> Self:
        """Learn from now on, or answer; norms that are not learned go on by what they came with."""
        super().train(mode)
        for part in self.body.modules():
            if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d) and not part.weight.requires_grad:
                part.eval()
        return self

    def level(self, level: NDArray[np.float64]) -> None:
        """Begin with answers (k,) that suit what is usual."""
        with torch.no_grad():
            self.head.bias.copy_(torch.from_numpy(level))

    def forward(self, x: Tensor) -> Tensor:
        """Score: (b, k)."""
        scores: Tensor = self.head(self.left_out(self.represent(x)))
        return scores

    def represent(self, x: Tensor) -> Tensor:
        """Give what is known of each image: (b, width)."""
        return self.maps(x).flatten(2).mean(2)

    def maps(self, x: Tensor) -> Tensor:
        """Read images into maps: (b, width, *smaller)."""
        maps: Tensor = self.body.maps(x)
        return maps

    def shares(self, maps: Tensor) -> Tensor:
        """Divide the scores, without what is answered of nothing, between the places of maps: (b, k, *smaller)."""
        places = maps[0, 0].numel()
        shares: Tensor = torch.einsum("bc...,kc->bk...", maps, self.head.weight) / places
        return shares


def views_of(x: Tensor, views: int, mirrored: bool = False) -> Iterator[Tensor]:
    """Give an image as it is, then a little closer, and moved: what test-time augmentation asks about.

    Args:
        x: (b, channels, *size).
        views: 1 … 6.
        mirrored: whether the mirror image of each view follows it, left and right having changed places.
    """
    for view in _moved(x, views):
        yield view
        if mirrored:
            yield view.flip(-1)


def _moved(x: Tensor, views: int) -> Iterator[Tensor]:
    yield x
    dimensions = x.ndim - 2
    closer = 0.92
    shifts = (0.0, -1.0, 1.0, -1.0, 1.0)
    for number in range(views - 1):
        theta = torch.zeros(len(x), dimensions, dimensions + 1, dtype=x.dtype)
        for axis in range(dimensions):
            theta[:, axis, axis] = closer
        theta[:, 0, -1] = shifts[number] * (1 - closer)
        theta[:, 1, -1] = (shifts[number] if number < 3 else -shifts[number]) * (1 - closer)
        grid = nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
        yield nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def scores_of(network: ImageNetwork, x: Tensor, views: int, mirrored: bool = False) -> Tensor:
    """Score images, the mean of several views of each: (b, k)."""
    with torch.inference_mode():
        return torch.stack([network(view) for view in views_of(x, views, mirrored)]).mean(0)


def represented(
    network: ImageNetwork, pixels: Pixels, views: int = 1, mirrored: bool = False
) -> NDArray[np.float32]:
    """Give what is known of images (n, channels, *size) of 8 bits, the mean of several views of each: (n, width)."""
    network.eval()
    parts = []
    with torch.inference_mode():
        for first in range(0, len(pixels), _AT_ONCE):
            x = torch.from_numpy(np.asarray(pixels[first : first + _AT_ONCE])).float() / 255
            parts.append(
                torch.stack([network.represent(one) for one in views_of(x, views, mirrored)]).mean(0)
            )
    known: NDArray[np.float32] = torch.cat(parts).numpy()
    return known


def mean_loss(network: nn.Module, pixels: Pixels, targets: Targets, emphasis: Emphasis = _PLAIN) -> float:
    """Give the mean loss of a network on images (n, channels, *size) of 8 bits."""
    total = 0.0
    device = next(network.parameters()).device
    for first in range(0, len(pixels), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(pixels)))
        x = torch.from_numpy(pixels[rows]).to(device).float() / 255
        total += float(targets.losses(network(x), rows, emphasis).sum())
    return total / max(len(pixels), 1)
