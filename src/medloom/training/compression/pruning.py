"""Which weights, or groups of them, stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

_WORTH_IT: Final = 0.25  # zeros of a tensor from which places and values take less than the tensor
_HELD, _VALUES, _SHAPE = "|held", "|values", "|shape"


def masks_of(matrices: Sequence[nn.Parameter], share: float) -> list[tuple[nn.Parameter, Tensor]]:
    """Choose for each matrix the weights that stay: all but the share that is nearest to nothing.

    Han et al., NeurIPS 2015.
    """
    chosen = []
    for one in matrices:
        sizes = one.detach().abs()
        away = max(1, round(share * sizes.numel()))
        chosen.append((one, sizes > sizes.flatten().kthvalue(away).values))
    return chosen


def kept_only(masks: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Set the weights that do not stay to nothing, in place."""
    for one, stays in masks:
        one.data.mul_(stays.to(one.dtype))


def heaviest(weighed: Tensor, share: float, together: int = 1) -> Tensor:
    """Choose what stays of things of some weight (n,): their places, in order; a multiple of `together` of them.

    >>> import torch
    >>> heaviest(torch.tensor([3.0, 1.0, 2.0, 9.0]), 0.5).tolist()
    [0, 3]
    """
    many = max(1, round((1 - share) * len(weighed) / together)) * together
    left: Tensor = weighed.topk(min(many, len(weighed))).indices.sort().values
    return left


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Write tensors with many zeros as places, a bit each, and values; all others as they are."""
    import torch

    told: dict[str, Tensor] = {}
    for name, one in tensors.items():
        held = one != 0
        if one.ndim < 2 or float(held.float().mean()) > 1 - _WORTH_IT:
            told[name] = one
            continue
        told[name + _HELD] = torch.from_numpy(np.packbits(held.numpy().ravel()))
        told[name + _VALUES] = one[held]
        told[name + _SHAPE] = torch.tensor(one.shape)
    return told


def unpacked(told: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read back what `packed` gave."""
    import torch

    tensors: dict[str, Tensor] = {}
    for name, one in told.items():
        whole, mark, part = name.partition("|")
        if not mark:
            tensors[name] = one
        elif mark + part == _HELD:
            shape, values = told[whole + _SHAPE], told[whole + _VALUES]
            held = np.unpackbits(one.numpy(), count=int(shape.prod())).astype(bool)
            made = torch.zeros(len(held), dtype=values.dtype)
            made[torch.from_numpy(held)] = values
            tensors[whole] = made.view(*shape.tolist())
    return tensors
