"""Networks that read images into maps: what every learner of this room puts a layer of answers on.

A body has `width` and `maps(x)`: (b, channels, *size) of numbers between 0 and 1 → (b, width, *smaller). A mean over
the maps' places is what the body knows of an image. `spacing` tells where the middles of places lie: strides and
what is padded decide it, not equal blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from medloom.explanation.image_places import Spacing

_CONV: Final = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM: Final = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_CENTRE, _SPREAD = 0.5, 0.25  # of what is shown


class PlainCnn(nn.Module):
    """Pairs of convolutions, each pair on half the size of the one before; in 2 or 3 dimensions."""

    def __init__(self, dimensions: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for number, after in enumerate(widths):
            for stride in (1 if number == 0 else 2, 1):
                layers += [
                    _CONV[dimensions](before, after, 3, stride, 1, bias=False),
                    _NORM[dimensions](after),
                    nn.ReLU(inplace=True),
                ]
                before = after
        self.layers = nn.Sequential(*layers)
        self.width = before
        self.spacing = Spacing(0.0, 2.0 ** (len(widths) - 1))

    def maps(self, x: Tensor) -> Tensor:
        """Read images into maps."""
        read: Tensor = self.layers(_centred(x))
        return read


class DenseNetBody(nn.Module):
    """DenseNet-121 (Huang et al., CVPR 2017), as MONAI builds it."""

    def __init__(self, dimensions: int, channels: int) -> None:
        from monai.networks.nets.densenet import DenseNet121

        super().__init__()
        self.features = DenseNet121(dimensions, channels, 1).features
        self.width = 1024
        self.spacing = Spacing(
            14.0, 32.0
        )  # means of two, at strides 4, 8 and 16, each move it by half a stride

    def maps(self, x: Tensor) -> Tensor:
        """Read images into maps."""
        return torch.relu(self.features(_centred(x)))


class ResNetBody(nn.Module):
    """A residual network (He et al., CVPR 2016) of 18, 34 or 50 layers, as MONAI builds it."""

    def __init__(self, dimensions: int, channels: int, layers: int) -> None:
        from monai.networks.nets import resnet

        super().__init__()
        network: Any = getattr(resnet, f"resnet{layers}")(
            pretrained=False, spatial_dims=dimensions, n_input_channels=channels, feed_forward=False,
            conv1_t_stride=2, shortcut_type="B",
        )  # fmt: skip
        self.begin = nn.Sequential(network.conv1, network.bn1, nn.ReLU(inplace=True), network.maxpool)
        self.stages = nn.Sequential(network.layer1, network.layer2, network.layer3, network.layer4)
        self.width = int(network.in_planes)
        self.spacing = Spacing(0.0, 32.0)

    def maps(self, x: Tensor) -> Tensor:
        """Read images into maps."""
        read: Tensor = self.stages(self.begin(_centred(x)))
        return read


class VisionTransformer(nn.Module):
    """Patches that look at each other (Dosovitskiy et al., ICLR 2021); its maps are its patches.

    Blocks, each of a normed attention and a normed pair of layers (Xiong et al., ICML 2020), have plain linear layers,
    so that LoRA can go beside them.
    """

    def __init__(
        self, size: Sequence[int], channels: int, patch: int, width: int, blocks: int, heads: int
    ) -> None:
        super().__init__()
        self.grid = tuple(n // patch for n in size)
        self.patches = _CONV[len(size)](channels, width, patch, patch)
        self.places = nn.Parameter(torch.zeros(1, width, *self.grid))
        nn.init.normal_(self.places, std=0.02)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.width = width
        self.spacing = Spacing((patch - 1) / 2, float(patch))

    def maps(self, x: Tensor) -> Tensor:
        """Read images into maps."""
        return self.read(self.tokens(x)).transpose(1, 2).unflatten(2, self.grid)

    def tokens(self, x: Tensor) -> Tensor:
        """Cut images into patches that know their places: (b, n, width)."""
        cut: Tensor = self.patches(_centred(x)) + self.places
        return cut.flatten(2).transpose(1, 2)

    def read(self, tokens: Tensor) -> Tensor:
        """Let patches (b, n, width), all or some, look at each other."""
        for block in self.blocks:
            tokens = block(tokens)
        read: Tensor = self.norm(tokens)
        return read


class Block(nn.Module):
    """Patches (b, n, width) look at each other, then each thinks for itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries, self.keys, self.values = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm_1(x)
        q, k, v = (
            layer(normed).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.queries, self.keys, self.values)
        )
        looked = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(looked)
        out: Tensor = x + self.narrow(nn.functional.gelu(self.wide(self.norm_2(x))))
        return out


def _centred(x: Tensor) -> Tensor:
    return (x - _CENTRE) / _SPREAD
