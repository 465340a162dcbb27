"""GRU-D: what was measured, and what is remembered, fades with the time since.

Che et al., Sci Rep 2018;8:6085, equations 3 to 12.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.grid import TIMES, GridReader, carried


class DecayingBody(nn.Module):
    """A GRU whose missing inputs fade from the last value to the usual one, and whose state fades too.

    The usual value of a code is its median in training, which is 0 in a vocabulary's units. All that does not depend
    on the state is worked out for all steps at once.
    """

    def __init__(self, vocabulary: TokenVocabulary, hidden: int, dropout: float) -> None:
        super().__init__()
        self.width = hidden
        self.read = GridReader(vocabulary)
        m = self.read.m
        self.fading = nn.Parameter(torch.full((m,), 0.05))  # of inputs, an hour
        self.fading_from = nn.Parameter(torch.zeros(m))
        self.state_fading = nn.Linear(m, hidden)
        self.of_values = nn.Linear(m, 3 * hidden)
        self.of_masks = nn.Linear(m, 3 * hidden, bias=False)
        self.of_counts = nn.Linear(self.read.c + TIMES, 3 * hidden, bias=False)
        self.of_row = nn.Linear(self.read.still, 3 * hidden, bias=False)
        self.gates = nn.Linear(hidden, 2 * hidden, bias=False)
        self.candidate = nn.Linear(hidden, hidden, bias=False)
        self.dropout = dropout
        self.left_out = nn.Dropout(dropout)
        nn.init.uniform_(self.state_fading.weight, 0, 0.1 / max(m, 1))
        for square in (*self.gates.weight.data.split(hidden), self.candidate.weight.data):
            nn.init.orthogonal_(square)

    def represent(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Read a batch, and give what is known of each row when it is asked: (b, width)."""
        grid = self.read(batch, weights)
        last, since = carried(grid)
        before = torch.cat([torch.zeros_like(last[:1]), last[:-1]])
        kept = torch.exp(-torch.relu(self.fading * since + self.fading_from))
        value = self.left_out(grid.value + (1 - grid.shown) * kept * before)
        told = (
            self.of_values(value)
            + self.of_masks(grid.shown)
            + self.of_counts(torch.cat([grid.count, grid.times], -1))
            + self.of_row(grid.still)
        )
        faded = torch.exp(-torch.relu(self.state_fading(since)))
        known: Tensor = self.left_out(grid.asked(self._recurred(told, faded)))
        return known

    def _recurred(self, told: Tensor, faded: Tensor) -> Tensor:
        """Carry the state from step to step: told (t, b, 3 h), faded (t, b, h) → (t, b, h)."""
        h = self.width
        gates, candidate = self.gates.weight.t(), self.candidate.weight.t()
        state = torch.zeros_like(faded[0])
        left = torch.ones_like(state)
        if self.training:
            # the same units at all steps (Gal and Ghahramani, NeurIPS 2016)
            left = torch.bernoulli(left * (1 - self.dropout)) / (1 - self.dropout)
        states = []
        of_gates, of_candidate = told[..., : 2 * h], told[..., 2 * h :]
        for to_gates, to_candidate, fading in zip(of_gates, of_candidate, faded, strict=True):
            state = fading * state
            seen = state * left
            update, reset = torch.sigmoid(torch.addmm(to_gates, seen, gates)).split(h, 1)
            new = torch.tanh(torch.addmm(to_candidate, reset * seen, candidate))
            state = torch.lerp(state, new, update)
            states.append(state)
        return torch.stack(states)
