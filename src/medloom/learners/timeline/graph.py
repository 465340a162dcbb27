"""A timeline network as a graph of one row: what is the same for every patient is worked out when it is written.

Embeddings of codes with their descriptions are summed, norms and the scale of attention are folded into the products
after them, and the last block reads the step alone at which the row is asked. All of it gives the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.foundation.errors import InputError
from medloom.learners.timeline.body import TimelineBody, turning
from medloom.learners.timeline.network import TimelineNetwork
from medloom.learners.timeline.rows import ASKED, RowForm

_EPSILON: Final = float(torch.finfo(torch.float32).eps)  # as RMSNorm has it

OUTPUTS: Final = ("scores", "known")
FREE: Final[Mapping[str, Mapping[int, str]]] = {
    "kinds": {0: "kinds"},
    "described": {0: "kinds"},
    "pair_kind": {0: "pairs"},
    "pair_tenth": {0: "pairs"},
    "counts": {0: "steps", 1: "pairs"},
    "values": {0: "steps", 1: "kinds"},
    "times": {0: "steps"},
    "cos": {0: "steps"},
    "sin": {0: "steps"},
    "mask": {0: "steps", 1: "steps"},
}


class RowGraph(nn.Module):
    """A body and its layer of answers, for one row, of the arrays that `RowForm.arrays` gives."""

    def __init__(self, network: TimelineNetwork, vocabulary: TokenVocabulary) -> None:
        super().__init__()
        body = body_of(network)
        facts = body.facts
        self.table = _kept(_table(body, vocabulary))
        self.slope = _kept(facts.slope.weight)
        self.tenth = _kept(facts.tenth.weight)
        self.bend, self.bent = _Product.of(facts.bent[0]), _Product.of(facts.bent[2])
        self.times = _Product.of(body.times)
        with torch.no_grad():
            self.times.weight[ASKED] += body.ask
        chart = body.chart
        self.chart = None if chart is None else _Product.of(chart.bend)
        self.charted = None if chart is None else _Product.of(chart.bent)
        self.mixed = _kept(body.mixed.weight)
        *others, last = body.blocks
        self.blocks = nn.ModuleList(_RowBlock(block) for block in others)
        self.last = _RowBlock(last)
        self.norm = _kept(body.norm.weight)
        self.head = _Product(_weight(network.head) * self.norm[:, None], network.head.bias)

    def forward(
        self,
        kinds: Tensor,
        described: Tensor,
        pair_kind: Tensor,
        pair_tenth: Tensor,
        counts: Tensor,
        values: Tensor,
        times: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor,
        chart: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Score: (1, k); and give what the body knows of the row: (1, width)."""
        codes = self.table[kinds] + described
        pairs, tenth = codes[pair_kind], self.tenth[pair_tenth]
        has = (pair_tenth > 0).to(pairs.dtype)[:, None]
        pairs = pairs + has * (tenth + self.bent(F.silu(self.bend(pairs * tenth))))
        x = counts @ pairs + values @ self.slope[kinds] + self.times(times)
        if self.chart is not None and self.charted is not None:
            x = torch.cat([x[:-1], x[-1:] + self.charted(F.silu(self.chart(chart)))])
        x = _levelled(x) * self.mixed
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        known = _levelled(self.last.asked(x, cos, sin))
        return self.head(known), known * self.norm


class _RowBlock(nn.Module):
    def __init__(self, block: Any) -> None:
        super().__init__()
        self.heads = block.heads
        query, key, value = (_weight(layer) for layer in (block.query, block.key, block.value))
        before = block.before.weight[:, None]
        query = query / math.sqrt(query.shape[1] // self.heads)
        self.query, self.rest = _Product(before * query), _Product(before * torch.cat([key, value], 1))
        self.out = _Product(_weight(block.out))
        between = block.between.weight[:, None]
        self.wide = _Product(between * torch.cat([_weight(block.gate), _weight(block.up)], 1))
        self.down = _Product(_weight(block.down))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Read all steps: (s, width)."""
        return self._read(x, x, cos, sin, cos, sin, mask)

    def asked(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Read all steps, for the last of them: (1, width)."""
        return self._read(x, x[-1:], cos, sin, cos[-1:], sin[-1:], None)

    def _read(
        self,
        x: Tensor,
        for_: Tensor,
        cos: Tensor,
        sin: Tensor,
        own_cos: Tensor,
        own_sin: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        levelled = _levelled(x)
        query = self.query(levelled if mask is not None else levelled[-1:])
        key, value = self.rest(levelled).chunk(2, 1)
        shape = (-1, self.heads, query.shape[1] // self.heads)
        query = _turned(query.view(shape), own_cos, own_sin).transpose(0, 1)
        key = _turned(key.view(shape), cos, sin).permute(1, 2, 0)
        near = query @ key
        if mask is not None:
            near = near + mask
        attended = (torch.softmax(near, -1) @ value.view(shape).transpose(0, 1)).transpose(0, 1)
        x = for_ + self.out(attended.reshape(-1, self.out.weight.shape[0]))
        gate, up = self.wide(_levelled(x)).chunk(2, 1)
        read: Tensor = x + self.down(F.silu(gate) * up)
        return read


class _Product(nn.Module):
    """x @ weight + bias, as graphs have it."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = _kept(weight)
        self.bias = None if bias is None else _kept(bias)

    @classmethod
    def of(cls, layer: nn.Module) -> _Product:
        return cls(_weight(layer), layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        product = x @ self.weight
        return product if self.bias is None else product + self.bias


def body_of(network: TimelineNetwork) -> TimelineBody:
    """Give a network's transformer.

    Raises:
        InputError: it has another body.
    """
    if not isinstance(network.body, TimelineBody):
        raise InputError(
            "only a single transformer over timelines can be written as a graph or pruned so far"
        )
    return network.body


def row_form(body: TimelineBody) -> RowForm:
    """Tell what arrays of a row a body's graph reads."""
    places, turns = turning(body.config.size, torch.zeros(0, dtype=torch.float64))
    facts = body.facts
    return RowForm(
        body.config.causal,
        places.numpy(),
        turns.numpy(),
        facts.pieces.weight.detach().numpy().astype(np.float16),
        facts.above.weight.detach().numpy().astype(np.float16),
        body.config.charted,
    )


def _table(body: TimelineBody, vocabulary: TokenVocabulary) -> Tensor:
    """Embed each code of the vocabulary with its description: (codes + 1, width); none for strangers."""
    facts = body.facts
    made = facts.code.weight.clone()
    for place, (above, pieces) in enumerate(zip(vocabulary.parents, vocabulary.pieces, strict=True)):
        for rows, table in ((above, facts.above.weight), (pieces, facts.pieces.weight)):
            if len(rows):
                made[place + 1] += table[torch.as_tensor(np.asarray(rows))].mean(0)
    return made


def _weight(layer: nn.Module) -> Tensor:
    """Give what a linear layer multiplies with, whatever it is put together from: (in, out)."""
    kind = next(layer.parameters()).dtype
    unit = torch.eye(int(layer.in_features), dtype=kind)
    with torch.no_grad():
        bias = layer(torch.zeros_like(unit[:1]))
        weight: Tensor = layer(unit) - bias
    return weight


def _levelled(x: Tensor) -> Tensor:
    """Divide rows by their root mean square."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + _EPSILON)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn heads (s, heads, d) by cos and sin (s, 1, turning)."""
    turning = cos.shape[-1]
    one, two, rest = x.split([turning, turning, x.shape[-1] - 2 * turning], -1)
    parts = [one * cos - two * sin, one * sin + two * cos]
    return torch.cat([*parts, rest] if rest.shape[-1] else parts, -1)


def _kept(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone().float().contiguous(), requires_grad=False)
