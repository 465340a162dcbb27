"""Weights of networks in a package: safetensors, 32 bits each; nothing that is read could run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medloom.training.compression.pruning import packed, unpacked

if TYPE_CHECKING:
    from torch import Tensor, nn


def write_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights, 32 bits each; the same weights give the same bytes."""
    write_tensors(path, network.state_dict())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, 32 bits each; the same tensors give the same bytes."""
    from safetensors.torch import save

    path.write_bytes(
        save(packed({name: value.detach().float().contiguous() for name, value in tensors.items()}))
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read back what `write_weights` wrote."""
    from safetensors.torch import load_file

    return unpacked(load_file(path))
