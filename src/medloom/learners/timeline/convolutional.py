"""A temporal convolutional body: each layer sees twice as far back as the one before.

Bai, Kolter and Koltun, arXiv:1803.01271, section 3; https://github.com/locuslab/TCN
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.grid import StepInputs


class ConvolutionalBody(nn.Module):
    """Causal dilated convolutions over a grid."""

    def __init__(
        self, vocabulary: TokenVocabulary, hidden: int, layers: int, kernel: int, dropout: float
    ) -> None:
        super().__init__()
        self.width = hidden
        self.inputs = StepInputs(vocabulary, hidden, dropout)
        self.blocks = nn.Sequential(*(_Block(hidden, kernel, 2**layer, dropout) for layer in range(layers)))

    def represent(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Read a batch, and give what is known of each row when it is asked: (b, width)."""
        steps, grid = self.inputs(batch, weights)
        read = self.blocks(steps.permute(1, 2, 0))
        return grid.asked(read.permute(2, 0, 1))


class _Block(nn.Module):
    """Two convolutions that see nothing later, and what goes past them: (b, width, t) → (b, width, t)."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.back = (kernel - 1) * dilation
        self.first, self.second = (
            weight_norm(nn.Conv1d(width, width, kernel, dilation=dilation)) for _ in range(2)
        )
        self.left_out = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        for convolution in (self.first, self.second):
            inner = self.left_out(F.relu(convolution(F.pad(inner, (self.back, 0)))))
        return torch.relu(x + inner)
