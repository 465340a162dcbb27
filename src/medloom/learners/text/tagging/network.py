"""A network that tags words, and the loss of its rows of tags.

What may follow what is learned with the network (linear-chain conditional random field: Lafferty et al., ICML 2001;
over an encoder as Lample et al., NAACL 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medloom.learners.text.network import TextBody, WindowBatch, of_words
from medloom.learners.text.tagging.chains import FORBIDDEN, Chain, Floats


class TagNetwork(nn.Module):
    """Scores of tags for each word, a row for each chain.

    Args:
        body: reads windows.
        chains: names that are tagged together.
        dropout: share of what was reached that is left out at random.
    """

    def __init__(self, body: TextBody, chains: Sequence[Chain], dropout: float = 0.1) -> None:
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.sizes = [one.tags for one in chains]
        self.head = nn.Linear(body.width, sum(self.sizes))
        self.free = nn.ParameterList(nn.Parameter(torch.zeros(one.tags + 1, one.tags + 1)) for one in chains)
        for place, one in enumerate(chains):
            self.register_buffer(f"allowed{place}", torch.from_numpy(one.allowed()), persistent=False)

    def forward(self, batch: WindowBatch) -> tuple[Tensor, ...]:
        """Score tags: of each chain (b, w, tags)."""
        said = self.head(self.dropout(of_words(self.body(batch), batch)))
        return tuple(said.float().split(self.sizes, dim=-1))

    def moves(self, chain: int) -> Tensor:
        """Give scores of each tag behind another: (tags + 1, tags + 1), the last is the edge."""
        allowed: Tensor = getattr(self, f"allowed{chain}")
        return torch.where(allowed, self.free[chain], FORBIDDEN)

    def all_moves(self) -> list[Floats]:
        """Give `moves` of each chain, as arrays."""
        return [self.moves(place).detach().double().cpu().numpy() for place in range(len(self.sizes))]

    def losses(self, batch: WindowBatch, tags: Sequence[Tensor]) -> Tensor:
        """Give by how much each window's tags, of each chain (b, w), are less likely than certain, a word: (b,)."""
        n = batch.words.sum(1).clamp(min=1)
        lost = [
            row_losses(scores, self.moves(place), aim, batch.words)
            for place, (scores, aim) in enumerate(zip(self(batch), tags, strict=True))
        ]
        return torch.stack(lost).sum(0) / n


def row_losses(scores: Tensor, moves: Tensor, tags: Tensor, real: Tensor) -> Tensor:
    """Give the negative logarithm of the chance of rows of tags: (b,).

    Args:
        scores: (b, w, k).
        moves: (k + 1, k + 1).
        tags: (b, w).
        real: (b, w) which words are there: the first ones of each row, and at least one.
    """
    k = scores.shape[-1]
    inner, begins, ends = moves[:k, :k], moves[k, :k], moves[:k, k]
    picked = scores.gather(2, tags.unsqueeze(-1)).squeeze(-1)
    steps = moves[tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, real.sum(1, keepdim=True) - 1).squeeze(1)
    right = (picked * real).sum(1) + (steps * real[:, 1:]).sum(1) + begins[tags[:, 0]] + ends[last]
    reached = scores[:, 0] + begins
    for place in range(1, scores.shape[1]):
        onward = torch.logsumexp(reached.unsqueeze(2) + inner, dim=1) + scores[:, place]
        reached = torch.where(real[:, place, None], onward, reached)
    return torch.logsumexp(reached + ends, dim=1) - right
