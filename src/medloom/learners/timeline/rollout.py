"""Attention rollout: how much of what is known at the end flows there from each step, through all blocks.

Abnar and Zuidema, ACL 2020, section 3: what a block looks at, averaged over its heads, and itself, half each; followed
from the last step back to the first block. It tells where a body looks, not which way that moves its answer, and
nothing of what it reads off its chart (`chart`), which no attention brings to the last step.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.body import Side, TimelineBody

METHOD = "attention rollout (Abnar and Zuidema, ACL 2020)"


class _Watched(Side):
    """Attends as a `Side` of one row, and keeps what its steps looked at: (s, s), the mean of the heads."""

    seen: Tensor

    def attend(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        sought, offered = self.beside(self.turned(query)), self.beside(self.turned(key))
        likeness = sought @ offered.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if causal:
            later = torch.ones(likeness.shape[-2:], dtype=torch.bool).triu(1)
            likeness = likeness.masked_fill(later, -math.inf)
        looked = likeness.softmax(-1)
        self.seen = looked[0].mean(0)
        return self.behind(looked @ self.beside(value))


def rolled_out(body: TimelineBody, batch: TimelineBatch) -> NDArray[np.float64]:
    """Follow what is known when one row is asked back to its facts: (n,), together with the rest of the row 1.

    The facts of a step share what flows from it evenly, for attention tells steps apart and not their facts. What flows
    from the last step, which holds none but what the chart sums up of all, is nobody's.

    Args:
        body: whose blocks attend.
        batch: of one row.
    """
    watched = [_Watched(batch, body.config.size) for _ in body.blocks]
    with torch.inference_mode():
        body.through(body.steps(batch), watched)
        flows = torch.zeros(len(batch.row), dtype=batch.value.dtype)
        flows[batch.ask] = 1
        for side in reversed(watched):
            flows = (flows + flows @ side.seen) / 2
        held = torch.bincount(batch.step, minlength=len(batch.row)).clamp(min=1)
        shares: NDArray[np.float64] = (flows / held)[batch.step].numpy()
    return shares
