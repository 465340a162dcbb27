"""AdaLoRA: each layer gets as much rank as it proves to need (Zhang et al., ICLR 2023).

What is added to a weight is P Λ Q. Triplets of P, Λ and Q that matter least, by how sensitive the loss is to them, are
cut off while training goes on, until on average the wanted rank is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from peft import AdaLoraConfig
from peft.tuners.adalora import AdaLoraModel
from torch import Tensor, nn

_WIDER: Final = 1.5  # at first, as in the paper's experiments
_LOUDER: Final = 2.0
_FIRST_CUT: Final = 0.1  # share of the steps
_LAST_CUT: Final = 0.5
_ORTHOGONAL: Final = 0.1  # weight of the penalty; the paper's γ


class RankBudget:
    """Puts P Λ Q beside layers of a network, in place, and cuts them back while they are learned."""

    def __init__(self, network: nn.Module, layers: Sequence[str], rank: int, name: str) -> None:
        first = max(rank + 1, round(_WIDER * rank))
        self._config = AdaLoraConfig(
            init_r=first,
            target_r=rank,
            lora_alpha=_LOUDER * first,
            target_modules=list(layers),
            total_step=1,
        )
        self._model = AdaLoraModel(network, self._config, name)
        marked = (f"lora_A.{name}", f"lora_B.{name}")
        self._factors = [
            (value, at.endswith(marked[1])) for at, value in network.named_parameters() if at.endswith(marked)
        ]

    def spend(self, _network: nn.Module, step: int, steps: int) -> None:
        """Judge the triplets by the step that was taken, and cut off what the budget no longer holds."""
        config = self._config
        last = max(2, round(_LAST_CUT * steps))
        config.total_step, config.tfinal = steps, steps - last
        config.tinit = min(int(_FIRST_CUT * steps), last - 1)
        self._model.update_and_allocate(step)

    def penalty(self) -> Tensor:
        """Tell how far P and Q are from orthogonal: mean of ‖P'P − I‖ and ‖QQ' − I‖ (equation 4)."""
        far = []
        for factor, in_columns in self._factors:
            square = factor.T @ factor if in_columns else factor @ factor.T
            far.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=square.device)))
        return _ORTHOGONAL * torch.stack(far).mean()
