"""How networks of images and batches lie in memory: with channels last, convolutions on processors are faster."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

_FORMATS: Final = {2: torch.channels_last, 3: torch.channels_last_3d}  # by axes in space


def in_fast_order(pixels: Tensor) -> Tensor:
    """Lay a batch (b, channels, *space) out with its channels last."""
    return pixels.to(memory_format=_FORMATS[pixels.ndim - 2])


def network_in_fast_order(network: nn.Module, axes: int) -> nn.Module:
    """Lay out a network, in place, that reads images of so many axes in space."""
    return network.to(memory_format=_FORMATS[axes])


def network_as_saved(network: nn.Module) -> nn.Module:
    """Lay a network out, in place, as one is that was loaded: both answer the same to the bit."""
    return network.to(memory_format=torch.contiguous_format)
