"""Networks over text: an encoder, told how words are written, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from medloom.learners.text.windows import Window
from medloom.learners.text.words import SHAPES
from medloom.training.adaptation import Places

# as Transformers names them: BERT and RoBERTa, DistilBERT, others
_ASKING: Final = frozenset(
    {"query", "value", "q_lin", "v_lin", "q_proj", "v_proj", "query_proj", "value_proj"}
)
_ENDS: Final = ("output.dense", "out_lin", "lin2", "o_proj", "out_proj", "down_proj")


class WindowBatch(NamedTuple):
    """Windows of about the same length.

    Attributes:
        ids: (b, t) tokens, filled up.
        real: (b, t) whether a token is one.
        shapes: (b, t) how its word is written.
        heads: (b, w) where words begin, filled up with 0.
        words: (b, w) whether there is a word.
    """

    ids: Tensor
    real: Tensor
    shapes: Tensor
    heads: Tensor
    words: Tensor

    @classmethod
    def of(cls, windows: Sequence[Window], fill: int) -> WindowBatch:
        """Put windows side by side."""
        lengths = np.array([len(one.ids) for one in windows])
        counts = np.array([len(one.heads) for one in windows])
        ids = np.full((len(windows), lengths.max()), fill, np.int64)
        shapes = np.zeros_like(ids)
        heads = np.zeros((len(windows), counts.max()), np.int64)
        for row, one in enumerate(windows):
            ids[row, : lengths[row]] = one.ids
            shapes[row, : lengths[row]] = one.shapes
            heads[row, : counts[row]] = one.heads
        real = np.arange(ids.shape[1]) < lengths[:, None]
        words = np.arange(heads.shape[1]) < counts[:, None]
        return cls(*(torch.from_numpy(one) for one in (ids, real, shapes, heads, words)))


class TextBody(nn.Module):
    """An encoder of Transformers, told how each word is written: an encoder without cases does not see it."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.width = int(encoder.config.hidden_size)
        self.shapes = nn.Embedding(len(SHAPES) + 1, self.width)
        nn.init.zeros_(self.shapes.weight)

    @property
    def embedding(self) -> nn.Embedding:
        """Give what each token goes in as."""
        found: nn.Embedding = self.encoder.get_input_embeddings()
        return found

    def forward(self, batch: WindowBatch) -> Tensor:
        """Read windows: (b, t, width)."""
        return self.reached(self.embedding(batch.ids), batch)

    def reached(self, known: Tensor, batch: WindowBatch) -> Tensor:
        """Read windows whose tokens go in as `known` (b, t, width): (b, t, width)."""
        said: Tensor = self.encoder(
            inputs_embeds=known + self.shapes(batch.shapes), attention_mask=batch.real.long()
        ).last_hidden_state
        return said

    def whole(self, ids: Tensor, shapes: Tensor) -> Tensor:
        """Read windows without filling, all of one length (b, t), as graphs do: (b, t, width)."""
        known = self.embedding(ids) + self.shapes(shapes)
        said: Tensor = self.encoder(inputs_embeds=known, attention_mask=None).last_hidden_state
        return said


def on_device_of(network: nn.Module, batch: WindowBatch) -> WindowBatch:
    """Bring windows to where a network is."""
    device = next(network.parameters()).device
    return WindowBatch(*(one.to(device) for one in batch))


def of_words(reached: Tensor, batch: WindowBatch) -> Tensor:
    """Give what was reached of words: of tokens (b, t, width) → (b, w, width)."""
    places = batch.heads.unsqueeze(-1).expand(-1, -1, reached.shape[-1])
    return reached.gather(1, places)


def places_in(body: nn.Module) -> Places:
    """Tell where an encoder can be adapted: beside its questions and values, and behind each half of a block."""
    linear = [name for name, part in body.named_modules() if isinstance(part, nn.Linear)]
    return Places(
        tuple(name for name in linear if name.rpartition(".")[2] in _ASKING),
        tuple(name for name in linear if name.endswith(_ENDS)),
    )
