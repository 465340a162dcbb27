"""What is put around layers of a pretrained network: few weights that are learned, while its own stay as they are.

The network's own weights can be shared by many that differ in their additions alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medloom.foundation.errors import InputError


class Addition(nn.Module):
    """A linear layer, `layer`, and what was added to it; nothing is changed at first."""

    kind: ClassVar[str]
    rank: int
    layer: nn.Linear


class LowRank(Addition):
    """Beside the layer, the product of two narrow matrices (LoRA; Hu et al., ICLR 2022, equation 3).

    down: (rank, inputs); up: (outputs, rank).
    """

    kind = "low-rank"

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer, self.rank = layer, rank
        self.down = nn.Parameter(layer.weight.new_zeros(rank, layer.in_features))
        self.up = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))

    @property
    def in_features(self) -> int:
        """Count the inputs, as linear layers do."""
        return int(self.layer.in_features)

    @property
    def out_features(self) -> int:
        """Count the outputs, as linear layers do."""
        return int(self.layer.out_features)

    @property
    def bias(self) -> Tensor | None:
        """Give the bias of the layer."""
        return self.layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map: (…, inputs) → (…, outputs)."""
        mapped: Tensor = self.layer(x) + F.linear(F.linear(x, self.down), self.up)
        return mapped


class Bottleneck(Addition):
    """Behind the layer, a narrow one whose answer is added (Houlsby et al., ICML 2019, section 2.1).

    narrow: outputs → rank; widen: rank → outputs.
    """

    kind = "bottleneck"

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer, self.rank = layer, rank
        like = {"device": layer.weight.device, "dtype": layer.weight.dtype}
        self.narrow = nn.Linear(layer.out_features, rank, **like)
        self.widen = nn.Linear(rank, layer.out_features, **like)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map: (…, inputs) → (…, outputs)."""
        mapped = self.layer(x)
        changed: Tensor = mapped + self.widen(F.silu(self.narrow(mapped)))
        return changed


_KINDS: Final[dict[str, type[LowRank] | type[Bottleneck]]] = {one.kind: one for one in (LowRank, Bottleneck)}


def additions(network: nn.Module) -> dict[str, Addition]:
    """Give what was added to a network, by the names of the layers."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Addition)}


def described(network: nn.Module) -> list[list[Any]]:
    """Say what was added, as plain JSON values: name of the layer, kind, rank."""
    return [[name, one.kind, one.rank] for name, one in additions(network).items()]


def added_weights(network: nn.Module) -> dict[str, Tensor]:
    """Give the weights that were added, by name; none of the network's own."""
    return {
        f"{name}.{weight}": value
        for name, one in additions(network).items()
        for weight, value in one.state_dict().items()
        if not weight.startswith("layer.")
    }


def folded(network: nn.Module) -> None:
    """Make, in place, one matrix of each layer and the product beside it; what lies behind a layer stays."""
    for name, one in additions(network).items():
        if isinstance(one, LowRank):
            layer = one.layer
            made = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
            made.weight = nn.Parameter(layer.weight + one.up @ one.down, layer.weight.requires_grad)
            made.bias = layer.bias
            network.set_submodule(name, made)


def put_in(
    network: nn.Module, what: Iterable[Sequence[Any]], weights: Mapping[str, Tensor] | None = None
) -> None:
    """Add to a network, in place, what `described` said, with the weights that `added_weights` gave.

    Raises:
        InputError: the network has no such layers, or the weights do not fit them.
    """
    for name, kind, rank in what:
        put_around(network, name, kind, rank)
    if weights is None:
        return
    own = added_weights(network)
    if {name: one.shape for name, one in own.items()} != {name: one.shape for name, one in weights.items()}:
        raise InputError("what was learned does not fit this network; it was learned on another one")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])


def put_around(network: nn.Module, name: str, kind: str, rank: int) -> LowRank | Bottleneck:
    """Add to one layer of a network, in place.

    Raises:
        InputError: the network has no linear layer of that name.
    """
    layer = dict(network.named_modules()).get(name)
    if not isinstance(layer, nn.Linear):
        raise InputError(
            "the network has no linear layer {name!r} that something could be added to", name=name
        )
    made = _KINDS[kind](layer, rank)
    network.set_submodule(name, made)
    return made
