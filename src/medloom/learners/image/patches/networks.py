"""Networks that answer place by place: U-Net, folded, with residual blocks, or with gates; of MONAI's parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from medloom.features.image_recipe import Recipe
from medloom.learners.image.layout import network_in_fast_order

_LEAST: Final = 3  # levels that MONAI's network has at least


def built(kind: str, recipe: Recipe, outputs: int) -> nn.Module:
    """Build a network that has not learned yet, from PyTorch's seed.

    Args:
        kind: `unet` (Ronneberger et al. 2015, as nnU-Net has it), `folded` (see `FoldedUnet`; `unet` where
            images are too small), `residual` (of residual blocks) or `attention` (Oktay et al. 2018).
        recipe: of levels, kernels and channels.
        outputs: maps that it gives.
    """
    if kind == "attention":
        from monai.networks.nets import AttentionUnet  # here: MONAI takes seconds to load

        network: Any = AttentionUnet(
            spatial_dims=len(recipe.patch),
            in_channels=recipe.channels,
            out_channels=outputs,
            channels=recipe.filters,
            strides=recipe.strides[1:],
        )
    elif kind == "folded" and len(recipe.strides) > _LEAST:
        network = FoldedUnet(recipe, outputs)
    else:
        network = _unet(recipe, recipe.channels, outputs, residual=kind == "residual")
    return network_in_fast_order(network, len(recipe.patch))


class FoldedUnet(nn.Module):
    """A U-Net that begins at the second level: neighbouring voxels are folded into channels, and unfolded at the end.

    Most of a U-Net's time is spent at full resolution, on few channels; this one has there a single convolution, over
    what the body says and the image itself. It learns and answers twice as fast.
    """

    def __init__(self, recipe: Recipe, outputs: int) -> None:
        super().__init__()
        fold, axes = recipe.strides[1], len(recipe.patch)
        deeper = replace(
            recipe,
            strides=((1,) * axes, *recipe.strides[2:]),
            kernels=recipe.kernels[1:],
            filters=recipe.filters[1:],
        )
        fine, coarse = max(8, recipe.filters[0] // 2), recipe.filters[1]
        self.fold = fold
        self.body = _unet(deeper, recipe.channels * math.prod(fold), coarse, residual=False)
        up, convolution, norm = (
            (nn.ConvTranspose3d, nn.Conv3d, nn.InstanceNorm3d)
            if axes == 3
            else (nn.ConvTranspose2d, nn.Conv2d, nn.InstanceNorm2d)
        )
        kernel = recipe.kernels[0]
        self.unfold = up(coarse, fine, fold, fold)
        self.head = nn.Sequential(
            convolution(fine + recipe.channels, fine, kernel, padding=tuple(one // 2 for one in kernel)),
            norm(fine, affine=True),
            nn.LeakyReLU(0.01),
            convolution(fine, outputs, 1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Score each voxel: (b, channels, *space) → (b, outputs, *space)."""
        said: Tensor = self.head(torch.cat([self.unfold(self.body(folded(pixels, self.fold))), pixels], 1))
        return said


def folded(pixels: Tensor, by: Sequence[int]) -> Tensor:
    """Lay neighbouring voxels into channels: (b, channels, *space) → (b, channels × of a block, *space / by).

    >>> folded(torch.arange(4.0).view(1, 1, 2, 2), (2, 2)).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    b, channels, *space = pixels.shape
    n = len(space)
    parts = [one for size, fold in zip(space, by, strict=True) for one in (size // fold, fold)]
    order = [0, 1, *range(3, 3 + 2 * n, 2), *range(2, 2 + 2 * n, 2)]
    coarse = [size // fold for size, fold in zip(space, by, strict=True)]
    return pixels.reshape(b, channels, *parts).permute(order).reshape(b, channels * math.prod(by), *coarse)


def _unet(recipe: Recipe, inputs: int, outputs: int, *, residual: bool) -> nn.Module:
    from monai.networks.nets import DynUNet

    network: nn.Module = DynUNet(
        spatial_dims=len(recipe.patch),
        in_channels=inputs,
        out_channels=outputs,
        kernel_size=recipe.kernels,
        strides=recipe.strides,
        upsample_kernel_size=recipe.strides[1:],
        filters=recipe.filters,
        norm_name=("INSTANCE", {"affine": True}),
        res_block=residual,
    )
    return network


def faster_precision() -> str:
    """Name the precision that convolutions are faster in on this machine.

    On a processor with 16-bit products (AVX-512 BF16, AMX) a U-Net of 16 to 128 channels learns twice as fast in 16
    bits, and outlines two and a half times as fast.
    """
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "32"
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bf16" if known() or torch.cpu._is_amx_tile_supported() else "32"
