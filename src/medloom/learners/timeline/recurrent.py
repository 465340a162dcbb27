"""Recurrent bodies: what is known is carried from step to step by gates."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.grid import StepInputs

CELLS: Final = {"lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentBody(nn.Module):
    """An LSTM (Hochreiter and Schmidhuber, Neural Comput 1997) or a GRU (Cho et al., EMNLP 2014) over a grid."""

    def __init__(
        self, vocabulary: TokenVocabulary, cell: str, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.width = hidden
        self.inputs = StepInputs(vocabulary, hidden, dropout)
        between = dropout if layers > 1 else 0.0
        self.cell = CELLS[cell](hidden, hidden, layers, dropout=between)
        self.left_out = nn.Dropout(dropout)

    def represent(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Read a batch, and give what is known of each row when it is asked: (b, width)."""
        steps, grid = self.inputs(batch, weights)
        read, _ = self.cell(torch.tanh(steps))
        known: Tensor = self.left_out(grid.asked(read))
        return known
