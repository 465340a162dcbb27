"""Weights shared out among processes that train together, so that none of them holds all of them for long (FSDP)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def share_out(network: nn.Module, mesh: DeviceMesh) -> None:
    """Leave each process a share of a network's weights, and of what belongs to them.

    Layers of a list are put together one by one when their turn comes, and what is beside them with the network. All
    processes go through the same layers, or they would wait for each other forever.
    """
    for module in reversed(list(network.modules())):
        if isinstance(module, nn.ModuleList):
            for layer in module:
                fully_shard(layer, mesh=mesh)
    # one process may use what another has no use for
    fully_shard(network, mesh=mesh).set_reduce_scatter_unused_params(True)


def whole(value: Tensor) -> Tensor:
    """Put a tensor together; all processes must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def shared_as(value: Tensor, like: Tensor) -> Tensor:
    """Take of a whole tensor the share that this process has of another one of its shape."""
    if not isinstance(like, DTensor) or isinstance(value, DTensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
