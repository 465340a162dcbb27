"""What a row holds of each common code when it is asked, at one glance: how often, last, highest, how long ago.

Boosted trees over windows are hard to beat in intensive care because they see such numbers at once, which attention
would have to gather over hours. Facts with a weight of 0 are as if they had not been.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.charting import COLUMNS, LEAST_SPREAD, RECENT

_LEFT_OUT: Final = 3.0  # times as much as elsewhere: a chart is wide, and known by heart soon


class Chart(nn.Module):
    """Reads the chart of each row: (b, width)."""

    def __init__(self, codes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.codes = codes
        self.left_out = nn.Dropout(min(_LEFT_OUT * dropout, 0.5))
        self.bend = nn.Linear(COLUMNS * codes, width)
        self.bent = nn.Linear(width, width)

    def forward(self, batch: TimelineBatch, weights: Tensor) -> Tensor:
        """Read a batch whose facts count by their weights (n,), from 0 to 1."""
        bent = torch.nn.functional.silu(self.bend(charted(batch, weights, self.codes)))
        read: Tensor = self.bent(self.left_out(bent))
        return read


def charted(batch: TimelineBatch, weights: Tensor, codes: int) -> Tensor:
    """Give what each row holds of codes 1 to `codes`: (b, 8 codes), by column, then by code.

    All of it grows evenly with the weights of the facts that are held, from nothing to what they say wholly, so that
    what is divided between facts by slopes along this way adds up.
    """
    number = batch.kinds[batch.kind]
    held = torch.nonzero((number > 0) & (number <= codes) & (weights > 0)).squeeze(1)
    step, weight, value = batch.step[held], weights[held], batch.value[held]  # 0 of a code without values
    place, size = batch.row[step] * codes + number[held] - 1, batch.rows * codes
    nothing = weight.new_zeros(size)
    many = nothing.index_add(0, place, torch.ones_like(weight))
    share = nothing.index_add(0, place, weight) / many.clamp(min=1)
    each = weight * value
    mean = nothing.index_add(0, place, each) / many.clamp(min=1)
    usual = nothing.index_add(0, place, value) / many.clamp(min=1)
    square = nothing.index_add(0, place, value.square()) / many.clamp(min=1)
    spread = (square - usual.square()).clamp(min=0).add(LEAST_SPREAD**2).sqrt() - LEAST_SPREAD
    lowest, highest = (
        nothing.scatter_reduce(0, place, each, way, include_self=False) for way in ("amin", "amax")
    )
    order = torch.arange(1, len(held) + 1, device=held.device)
    never = torch.zeros(size, dtype=order.dtype, device=held.device)
    last = never.scatter_reduce(0, place, order, "amax")
    first = never.scatter_reduce(0, place, order, "amin", include_self=False)
    each = torch.cat([nothing[:1], each])
    ago = batch.hours[step].clamp(min=0)
    recent = torch.cat([nothing[:1], weight / (1 + ago / RECENT)])
    columns = [
        share * many.log1p(),
        mean,
        lowest,
        highest,
        each[first],
        each[last],
        share * spread,
        recent[last],
    ]
    return torch.stack(columns).view(COLUMNS, batch.rows, codes).transpose(0, 1).flatten(1)
