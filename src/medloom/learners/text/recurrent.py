"""A recurrent network that reads texts, and the vocabulary it takes from the notes it learns from.

Long short-term memory in both directions (Graves and Schmidhuber, Neural Networks 2005;18:602-610). Words are cut into
pieces that the notes themselves suggest (WordPiece: Schuster and Nakajima, ICASSP 2012); Chinese is read by characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

from torch import Tensor, nn

from medloom.foundation.errors import InputError
from medloom.learners.text.encoders import CONFIGURATION, RECURRENT, VOCABULARY
from medloom.learners.text.words import words_of

_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LEFT_OUT: Final = 0.3  # of what goes in and comes out, while it learns


class RecurrentEncoder(nn.Module):
    """Reads tokens in both directions, with the face of an encoder of Transformers.

    Args:
        told: `vocab_size`, `hidden_size` (of both directions together) and `num_hidden_layers`.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__()
        width, layers = int(told["hidden_size"]), int(told["num_hidden_layers"])
        self.config = SimpleNamespace(hidden_size=width)
        self.embedding = nn.Embedding(int(told["vocab_size"]), width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.left_out = nn.Dropout(_LEFT_OUT)
        self.read = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True)

    def get_input_embeddings(self) -> nn.Embedding:
        """Give what tokens go in as."""
        return self.embedding

    def forward(self, inputs_embeds: Tensor, attention_mask: Tensor | None) -> SimpleNamespace:
        """Read: (b, t, width) and (b, t) → `last_hidden_state` (b, t, width); no mask: nothing is filled up."""
        if attention_mask is None:
            return SimpleNamespace(
                last_hidden_state=self.left_out(self.read(self.left_out(inputs_embeds))[0])
            )
        lengths = attention_mask.sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.left_out(inputs_embeds), lengths, batch_first=True, enforce_sorted=False
        )
        said, _ = nn.utils.rnn.pad_packed_sequence(
            self.read(packed)[0], batch_first=True, total_length=inputs_embeds.shape[1]
        )
        return SimpleNamespace(last_hidden_state=self.left_out(said))


def files_for(texts: Sequence[str], size: int, width: int, layers: int) -> dict[str, str]:
    """Write configuration and vocabulary for a network that is to learn from some texts.

    Args:
        texts: of training patients alone: what many of them share becomes a piece.
        size: pieces at most.
        width: of the network.
        layers: of it.

    Raises:
        InputError: there is no word in them.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    said = [" ".join(text[start:end] for start, end in words_of(text).tolist()) for text in texts]
    if not any(said):
        raise InputError("all notes to learn from are empty")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=list(_SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(said, trainer)
    told = {
        "model_type": RECURRENT,
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": width,
        "num_hidden_layers": layers,
    }
    return {CONFIGURATION: json.dumps(told, sort_keys=True), VOCABULARY: tokenizer.to_str()}
