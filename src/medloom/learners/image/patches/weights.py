"""Weights of networks that answer place by place, in files."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from medloom.foundation.errors import IntegrityError


def write_weights(network: nn.Module, path: Path) -> None:
    """Write what a network learned, in 32 bits."""
    from safetensors.torch import save

    tensors = {name: one.detach().float().contiguous() for name, one in _learned(network).items()}
    path.write_bytes(save(tensors))


def read_weights(network: nn.Module, path: Path) -> None:
    """Read into a network what one of its kind learned; it answers then, and learns no more.

    Raises:
        IntegrityError: the weights are another network's.
    """
    from safetensors.torch import load_file

    found = load_file(path)
    if found.keys() != _learned(network).keys():
        raise IntegrityError("the package's weights are not those of its network; restore it from a copy")
    network.load_state_dict(found, strict=False)
    network.float().eval().requires_grad_(False)


def _learned(network: nn.Module) -> dict[str, Tensor]:
    """Name what was learned once each; MONAI's network has parts that are known by two names."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}
