"""A network that answers about whole notes, by the mean of what it reads in all their windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.learners.text.encoders import Vocabulary
from medloom.learners.text.network import TextBody, WindowBatch, on_device_of
from medloom.learners.text.windows import Note, Window, Windowing

Floats = NDArray[np.float64]

_TOGETHER = 16  # windows that are read at once


class NoteBatch(NamedTuple):
    """Windows of some notes.

    Attributes:
        windows: as the encoder reads them.
        whose: (windows,) the place of each one's note in the batch.
        rows: (notes,) which notes, as rows.
    """

    windows: WindowBatch
    whose: Tensor
    rows: Tensor


class AnswerNetwork(nn.Module):
    """A body, and a linear layer of answers on the mean of what it reached.

    Args:
        body: reads windows.
        k: scores a note.
        dropout: share of the mean that is left out at random.
    """

    def __init__(self, body: TextBody, k: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(body.width, k)
        nn.init.normal_(self.head.weight, std=0.02)

    def level(self, level: Floats) -> None:
        """Begin with answers (k,) that suit what is usual."""
        with torch.no_grad():
            self.head.bias.copy_(torch.from_numpy(level))

    def summed(self, windows: WindowBatch) -> tuple[Tensor, Tensor]:
        """Sum what is reached of each window: (b, width), and count its tokens: (b,)."""
        real = windows.real.unsqueeze(-1)
        reached = self.body(windows).float() * real
        return reached.sum(1), windows.real.sum(1).float()

    def forward(self, given: NoteBatch) -> Tensor:
        """Score notes: (notes, k)."""
        sums, counts = self.summed(given.windows)
        n = len(given.rows)
        total = sums.new_zeros(n, sums.shape[1]).index_add(0, given.whose, sums)
        count = counts.new_zeros(n).index_add(0, given.whose, counts)
        scores: Tensor = self.head(self.dropout(total / count.clamp(min=1).unsqueeze(-1)))
        return scores


def scores_of(
    network: AnswerNetwork, notes: Sequence[Note], vocabulary: Vocabulary, windowing: Windowing
) -> Floats:
    """Score notes, of any length: (n, k); an empty one is scored by what is usual."""
    return _scored(network, represented(network, notes, vocabulary, windowing))


def represented(
    network: AnswerNetwork, notes: Sequence[Note], vocabulary: Vocabulary, windowing: Windowing
) -> NDArray[np.float32]:
    """Give what the network knows of each note: (n, width)."""
    width = network.body.width
    sums, counts = np.zeros((len(notes), width)), np.zeros(len(notes))
    cut = [(number, one) for number, note in enumerate(notes) for one in windowing.of(note, vocabulary)]
    cut.sort(key=lambda one: len(one[1].ids))
    with torch.inference_mode():
        for first in range(0, len(cut), _TOGETHER):
            some = cut[first : first + _TOGETHER]
            batch = WindowBatch.of([window for _, window in some], vocabulary.fill)
            one, n = network.summed(on_device_of(network, batch))
            whose = [number for number, _ in some]
            np.add.at(sums, whose, one.double().cpu().numpy())
            np.add.at(counts, whose, n.double().cpu().numpy())
    found: NDArray[np.float32] = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return found


def _scored(network: AnswerNetwork, known: NDArray[np.float32]) -> Floats:
    weight = network.head.weight.detach().double().cpu().numpy()
    bias = network.head.bias.detach().double().cpu().numpy()
    scores: Floats = known.astype(np.float64) @ weight.T + bias
    return scores


def note_batch(windows: Sequence[Sequence[Window]], rows: NDArray[np.int64], fill: int) -> NoteBatch:
    """Put the windows of some notes side by side."""
    flat = [one for some in windows for one in some]
    whose = np.repeat(np.arange(len(windows)), [len(some) for some in windows])
    return NoteBatch(WindowBatch.of(flat, fill), torch.from_numpy(whose), torch.from_numpy(rows))
