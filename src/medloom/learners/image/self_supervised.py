"""Learning from images without labels: what a body is taught by before anybody says what is on them.

distilled   a student says of one view what its slow teacher says of another ("DINO": Caron et al., ICCV 2021)
masked      three quarters of the patches are hidden, and drawn again from the rest ("MAE": He et al., CVPR 2022)
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medloom.features.images import Pixels
from medloom.learners.image.augmentation import Augmentation
from medloom.learners.image.bodies import Block, VisionTransformer
from medloom.learners.image.network import Body

Rows = NDArray[np.int64]

_PROTOTYPES: Final = 512
_WARM, _COOL = 0.1, 0.04  # temperatures of student and teacher
_SLOW: Final = 0.99
_CENTRING: Final = 0.9
_HIDDEN: Final = 0.75
_DRAWING: Final = 96  # width of what draws the hidden patches again


class TwoViews:
    """Images as rows of the engine, each in two views (b, 2, channels, *size)."""

    def __init__(self, pixels: Pixels, augmentation: Augmentation) -> None:
        self._pixels, self._augmentation = pixels, augmentation

    @property
    def lengths(self) -> Rows:
        return np.ones(len(self._pixels), np.int64)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Tensor:
        x = torch.from_numpy(np.asarray(self._pixels[rows])).float() / 255
        return torch.stack([self._augmentation.changed(x, rng) for _ in range(2)], 1)


class Distilling(nn.Module):
    """A student and its teacher, which is the slow average of it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        width = int(body.width)
        self.body = body
        self.head = nn.Sequential(nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 64))
        self.prototypes = nn.Parameter(F.normalize(torch.randn(_PROTOTYPES, 64), dim=1))
        self.teacher = deepcopy(nn.ModuleDict({"body": body, "head": self.head})).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(_PROTOTYPES))

    def forward(self, views: Tensor) -> Tensor:
        """Give the loss of each image: (b, 2, channels, *size) → (b,)."""
        first, second = views[:, 0], views[:, 1]
        said = [self._said(self.body, self.head, one) / _WARM for one in (first, second)]
        with torch.no_grad():
            taught = [self._said(self.teacher["body"], self.teacher["head"], one) for one in (first, second)]
            aims = [torch.softmax((one - self.centre) / _COOL, 1) for one in taught]
            if self.training:
                self.centre.mul_(_CENTRING).add_(torch.cat(taught).mean(0), alpha=1 - _CENTRING)
        losses = [
            -(aim * F.log_softmax(other, 1)).sum(1) for aim, other in zip(aims, reversed(said), strict=True)
        ]
        return torch.stack(losses).mean(0)

    def follow(self, step: int, steps: int) -> None:
        """Let the teacher follow the student, ever more slowly."""
        keep = 1 - (1 - _SLOW) * (math.cos(math.pi * step / max(steps, 1)) + 1) / 2
        pairs = ((self.teacher["body"], self.body), (self.teacher["head"], self.head))
        with torch.no_grad():
            for slow, fast in pairs:
                for mine, its in zip(slow.state_dict().values(), fast.state_dict().values(), strict=True):
                    if mine.dtype.is_floating_point:
                        mine.lerp_(its, 1 - keep)
                    else:
                        mine.copy_(its)

    def _said(self, body: Body, head: nn.Module, x: Tensor) -> Tensor:
        known = F.normalize(head(body.maps(x).flatten(2).mean(2)), dim=1)
        return known @ F.normalize(self.prototypes, dim=1).T


class Masking(nn.Module):
    """A vision transformer that sees a quarter of the patches, and a small one that draws the others."""

    def __init__(self, body: VisionTransformer) -> None:
        super().__init__()
        self.body = body
        patches = body.patches
        self.patch = tuple(int(n) for n in patches.kernel_size)
        self.begin = nn.Linear(body.width, _DRAWING)
        self.hidden = nn.Parameter(torch.zeros(1, 1, _DRAWING))
        self.places = nn.Parameter(torch.randn(1, math.prod(body.grid), _DRAWING) * 0.02)
        self.blocks = nn.Sequential(Block(_DRAWING, 3), Block(_DRAWING, 3))
        self.draw = nn.Linear(_DRAWING, int(patches.in_channels) * math.prod(self.patch))

    def forward(self, views: Tensor) -> Tensor:
        """Give the loss of each image: (b, 2, channels, *size), of which the first view is read → (b,)."""
        x = views[:, 0]
        tokens = self.body.tokens(x)
        b, n, width = tokens.shape
        kept = max(1, round(n * (1 - _HIDDEN)))
        order = torch.rand(b, n, device=x.device).argsort(1)
        shown, back = order[:, :kept], order.argsort(1)
        read = self.body.read(tokens.gather(1, shown[..., None].expand(-1, -1, width)))
        known = torch.cat([self.begin(read), self.hidden.expand(b, n - kept, -1)], 1)
        drawn = self.draw(
            self.blocks(known.gather(1, back[..., None].expand(-1, -1, _DRAWING)) + self.places)
        )
        aim = self._patches(x)
        aim = (aim - aim.mean(2, keepdim=True)) / (aim.var(2, keepdim=True) + 1e-4).sqrt()
        unseen = torch.ones(b, n, device=x.device).scatter(1, shown, 0.0)
        return (((drawn - aim) ** 2).mean(2) * unseen).sum(1) / unseen.sum(1)

    def _patches(self, x: Tensor) -> Tensor:
        """Cut images into patches: (b, n, channels · pixels)."""
        for axis, side in enumerate(self.patch):
            x = x.unfold(axis + 2, side, side)
        dimensions = len(self.patch)
        inside = (1, *range(2 + dimensions, 2 + 2 * dimensions))
        return x.permute(0, *range(2, 2 + dimensions), *inside).flatten(1 + dimensions).flatten(1, dimensions)
