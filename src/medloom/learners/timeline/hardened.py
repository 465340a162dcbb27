"""The loss of a timeline network that is made robust while it is trained.

Values are moved, not the tenths of a code's values in which they lie. Patients are mixed as the body represents them:
timelines of two patients have no common grid on which they could be averaged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.network import TimelineNetwork
from medloom.training.answer_heads import Emphasis, Targets
from medloom.training.robust import Hardening, mixed, moved

Rows = NDArray[np.int64]


def losses_of(
    network: TimelineNetwork,
    given: tuple[TimelineBatch, Tensor | None, Rows],
    targets: Targets,
    emphasis: Emphasis,
    hardening: Hardening,
) -> Tensor:
    """Give the loss of each row of a batch: (b,)."""
    batch, shown, rows = given

    def plain(values: Tensor) -> Tensor:
        return targets.losses(network(replace(batch, value=values), shown), rows, emphasis)

    def learned(values: Tensor) -> Tensor:
        if not hardening.mixup:
            return plain(values)
        read = network.body.represent(replace(batch, value=values), shown)
        between, order, share = mixed(read, hardening.mixup)
        scores = network.head(network.left_out(between))
        one, other = (targets.losses(scores, each, emphasis) for each in (rows, rows[order.cpu().numpy()]))
        return share * one + (1 - share) * other

    if hardening.attack == "none":
        return learned(batch.value)
    has_value = batch.pair_tenth[batch.pair] > 0
    worse = moved(plain, batch.value, has_value, hardening.attack, hardening.radius)
    return (learned(batch.value) + learned(worse)) / 2
