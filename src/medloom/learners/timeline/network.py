"""A body that reads timelines, and the layer that answers: what every neural learner of timelines trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.learners.timeline.batches import TimelineBatch, Timelines
from medloom.training.answer_heads import Targets

Rows = NDArray[np.int64]

_AT_ONCE = 64  # rows read together
_STEPS_AT_ONCE = 32_768
_FACTS_AT_ONCE = 500_000


class Body(Protocol):
    """Reads timelines."""

    width: int

    def represent(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Give what is known of each row when it is asked: (b, width); `weights` (n,) say how much each fact counts."""
        ...


class TimelineNetwork(nn.Module):
    """A body, and a linear layer of answers."""

    def __init__(self, body: nn.Module, k: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = body
        self.left_out = nn.Dropout(dropout)
        self.head = nn.Linear(int(body.width), k)
        nn.init.normal_(self.head.weight, std=0.02)

    def level(self, level: NDArray[np.float64]) -> None:
        """Begin with answers (k,) that suit what is usual."""
        with torch.no_grad():
            self.head.bias.copy_(torch.from_numpy(level))

    def forward(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Score: (b, k)."""
        scores: Tensor = self.head(self.left_out(self.body.represent(batch, weights)))
        return scores


def batches(timelines: Timelines) -> Iterator[TimelineBatch]:
    """Give all samples, in order, so many at a time as fit."""
    facts = timelines.lengths
    steps = np.minimum(facts, timelines.gathering.most)
    first = 0
    while first < len(timelines):
        longest = np.maximum.accumulate(steps[first : first + _AT_ONCE])
        filled = longest * np.arange(1, len(longest) + 1)
        fits = (filled <= _STEPS_AT_ONCE) & (facts[first : first + _AT_ONCE].cumsum() <= _FACTS_AT_ONCE)
        many = max(1, int(fits.sum()))
        yield timelines.batch(np.arange(first, min(first + many, len(timelines))))
        first += many


def scores_of(network: nn.Module, timelines: Timelines) -> NDArray[np.float64]:
    """Score all samples: (m, k).

    A network of 64 bits gives each sample the same numbers alone as among others, up to their twelfth digit.
    """
    exact = next(network.parameters()).dtype == torch.float64
    network.eval()
    with torch.inference_mode():
        parts = [
            network(batch.as_double() if exact else batch).double().numpy() for batch in batches(timelines)
        ]
    k = int(network.head.out_features)
    return np.concatenate(parts) if parts else np.empty((0, k))


def represented(body: nn.Module, timelines: Timelines) -> NDArray[np.float64]:
    """Give what a body knows of all samples: (m, width); as exact as its own numbers are."""
    exact = next(body.parameters()).dtype == torch.float64
    body.eval()
    with torch.inference_mode():
        parts = [
            body.represent(batch.as_double() if exact else batch).double().numpy()
            for batch in batches(timelines)
        ]
    return np.concatenate(parts) if parts else np.empty((0, int(body.width)))


def mean_loss(network: nn.Module, timelines: Timelines, targets: Targets) -> float:
    """Give the mean loss of a network on samples."""
    total, first = 0.0, 0
    device = next(network.parameters()).device
    for batch in batches(timelines):
        rows = np.arange(first, first + batch.rows)
        total += float(targets.losses(network(batch.to(device)), rows).sum())
        first += batch.rows
    return total / max(first, 1)
