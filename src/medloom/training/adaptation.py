"""Fine-tuning a pretrained network: all of its weights, none, or few that are added to its layers.

lora      two narrow matrices beside each layer (Hu et al., ICLR 2022)
adalora   the same in three factors, of which the least important are cut off while it learns (Zhang et al., ICLR 2023)
adapter   narrow layers behind each half of a block (Houlsby et al., ICML 2019; Pfeiffer et al., EACL 2021: section 3.1)

LoRA and AdaLoRA are learned with PEFT. What was learned is kept without it, as `additions`: loading a model does not
take the seconds that PEFT needs to be imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from medloom.foundation.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

WAYS: Final = ("full", "head", "lora", "adalora", "adapter")

_NAME: Final = "learned"  # of the adapter, for PEFT
_LOUDER: Final = 2.0  # what LoRA adds counts so much: alpha / rank


@dataclass(frozen=True)
class Places:
    """Where a network can be adapted.

    Attributes:
        linear: names of its linear layers that LoRA and AdaLoRA go beside.
        ends: names of the last layers of its blocks' halves, behind which adapters go.
    """

    linear: tuple[str, ...]
    ends: tuple[str, ...]


@dataclass(frozen=True)
class Adapting:
    """What training an adapted network needs beside its loss.

    Attributes:
        on_step: to be called with the network trained, the step done, and the number of steps; None: nothing.
        penalty: to be added to the loss; None: nothing.
    """

    on_step: Callable[[nn.Module, int, int], None] | None = None
    penalty: Callable[[], Tensor] | None = None


def adapt(network: nn.Module, places: Places, way: str, rank: int) -> Adapting:
    """Make ready, in place, what is to be learned of a network: those of its parameters want a gradient then.

    Args:
        network: pretrained; a head of answers, which is always learned, is not part of it.
        places: where it can be adapted.
        way: `full`, `head` (nothing of it), `lora`, `adalora` or `adapter`.
        rank: how narrow what is added is; of AdaLoRA, on average.

    Raises:
        InputError: there is no such way.
    """
    if way not in WAYS:
        raise InputError("there is no way {way!r} to adapt a network; there are: {ways}", way=way, ways=WAYS)
    if way == "full":
        return Adapting()
    network.requires_grad_(False)
    if way == "lora":
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(r=rank, lora_alpha=_LOUDER * rank, target_modules=list(places.linear))
        inject_adapter_in_model(config, network, _NAME)
    elif way == "adalora":
        from medloom.training.rank_budget import RankBudget

        budget = RankBudget(network, places.linear, rank, _NAME)
        return Adapting(budget.spend, budget.penalty)
    elif way == "adapter":
        from medloom.training.additions import Bottleneck, put_around

        for name in places.ends:
            put_around(network, name, Bottleneck.kind, rank)
    return Adapting()


def settle(network: nn.Module) -> None:
    """Put `additions`, in place, where PEFT's layers are; what they add stays the same. All is frozen then."""
    import torch
    from peft.tuners.adalora.layer import SVDLinear
    from peft.tuners.lora.layer import Linear

    from medloom.training.additions import LowRank

    for name, layer in list(network.named_modules()):
        if not isinstance(layer, SVDLinear | Linear):
            continue
        down, up = _factors(layer)
        rank = len(down)
        settled: Any = layer.get_base_layer()
        if rank:
            settled = LowRank(settled, rank)
            with torch.no_grad():
                settled.down.copy_(down)
                settled.up.copy_(up)
        network.set_submodule(name, settled)
    network.requires_grad_(False)


def _factors(layer: Any) -> tuple[Tensor, Tensor]:
    """Give what a layer of PEFT adds as a product: down (rank, inputs), up (outputs, rank)."""
    scaling, down, up = layer.scaling[_NAME], layer.lora_A[_NAME], layer.lora_B[_NAME]
    if hasattr(layer, "lora_E"):
        strength = layer.lora_E[_NAME].detach()
        left = strength[:, 0] != 0
        size = scaling / (layer.ranknum[_NAME].detach() + 1e-5)  # as PEFT divides
        return (down * strength).detach()[left], (up.detach() * size)[:, left]
    return down.weight.detach(), up.weight.detach() * scaling
