"""A network that tells which relations hold between entities of a text.

The encoder is told which words are named, and how (markers, here as embeddings: Zhong & Chen, NAACL 2021). An entity is
the smooth maximum of its mentions (Zhou et al., AAAI 2021, equation 2), a mention the maximum of its words, and what
is around a pair is what the pair attends to among all words.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from medloom.learners.text.network import TextBody, of_words
from medloom.learners.text.relating.pairs import PairBatch

_HEADS: Final = 4
_FAR: Final = (1, 2, 4, 8, 16, 32, 64)  # words apart, where a class of distance ends


class PairNetwork(nn.Module):
    """Scores of relations for pairs of entities.

    Args:
        body: reads windows.
        names: how many names of places there are.
        relations: how many relations there are.
        dropout: share of what was reached that is left out at random.
    """

    def __init__(self, body: TextBody, names: int, relations: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = body
        width = body.width
        self.marks = nn.Embedding(names + 1, width)
        nn.init.zeros_(self.marks.weight)
        self.asking = nn.Linear(2 * width, width)
        self.around = nn.MultiheadAttention(width, _HEADS, batch_first=True)
        self.apart = nn.Embedding(2 * (len(_FAR) + 1), width)
        nn.init.zeros_(self.apart.weight)
        self.joined = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, relations)
        self.register_buffer("far", torch.tensor(_FAR), persistent=False)

    def forward(self, given: PairBatch) -> Tensor:
        """Score relations: (p, relations)."""
        windows = given.windows
        known = self.body.embedding(windows.ids) + self.marks(given.marks)
        words = of_words(self.body.reached(known, windows), windows).float()
        entities = self._entities(words.flatten(0, 1), given)
        head, tail = entities[given.pairs[:, 0]], entities[given.pairs[:, 1]]
        asked = self.asking(torch.cat([head, tail], 1))
        around = self._around(asked, words, given)
        away = given.first[given.pairs[:, 1]] - given.first[given.pairs[:, 0]]
        far: Tensor = self.far
        apart = torch.bucketize(away.abs(), far) * 2 + (away > 0)
        joined = self.joined(torch.cat([head, tail, head * tail, around], 1)) + self.apart(apart)
        scores: Tensor = self.head(self.dropout(nn.functional.gelu(joined)))
        return scores

    def _entities(self, words: Tensor, given: PairBatch) -> Tensor:
        """Give what is known of entities: (e, width); words are (b · w, width)."""
        mentions = words[given.words].masked_fill(~given.filled.unsqueeze(-1), -1e4).amax(1)
        placed = mentions[given.mentions].masked_fill(~given.named.unsqueeze(-1), -1e4)
        return torch.logsumexp(placed, 1)

    def _around(self, asked: Tensor, words: Tensor, given: PairBatch) -> Tensor:
        """Give what pairs (p, width) attend to among the words of their windows: (p, width)."""
        order = torch.arange(len(asked), device=asked.device)
        counts = torch.bincount(given.rows, minlength=len(words))
        place = order - (counts.cumsum(0) - counts)[given.rows]
        questions = asked.new_zeros(len(words), int(counts.max()), asked.shape[1])
        questions[given.rows, place] = asked
        attended, _ = self.around(
            questions, words, words, key_padding_mask=~given.windows.words, need_weights=False
        )
        found: Tensor = attended[given.rows, place]
        return found
