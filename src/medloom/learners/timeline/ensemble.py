"""Several networks that answer as one: the mean of their scores (Lakshminarayanan et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.network import TimelineNetwork


class Ensemble(nn.Module):
    """Bodies side by side: together they know what each of them knows."""

    def __init__(self, bodies: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(bodies)
        self.width = sum(int(body.width) for body in bodies)

    def represent(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Give what is known of each row: (b, sum of widths)."""
        return torch.cat([body.represent(batch, weights) for body in self.each], 1)


def averaged(networks: Sequence[TimelineNetwork]) -> TimelineNetwork:
    """Make one network whose scores are the mean of those of several."""
    together = TimelineNetwork(Ensemble([one.body for one in networks]), networks[0].head.out_features)
    with torch.no_grad():
        together.head.weight.copy_(torch.cat([one.head.weight for one in networks], 1) / len(networks))
        together.head.bias.copy_(torch.stack([one.head.bias for one in networks]).mean(0))
    return together
