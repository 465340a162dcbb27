"""The body of timeline models: a transformer over steps of facts, each with its values and its time.

Blocks as in LLaMA (Touvron et al., 2023: RMSNorm, SwiGLU, rotary positions), where half of each head turns with the
place of a step and half with its hour, so that what is near in time is near, whatever was recorded between. Linear
layers see rows one behind the other; only attention puts them side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from medloom.features.token_vocabulary import PIECES, QUANTILES, TokenVocabulary
from medloom.foundation.errors import InputError
from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.chart import Chart
from medloom.learners.timeline.charting import MOST_CHARTED

_SHORTEST, _LONGEST = 2.0, 24.0 * 365 * 20  # hours of one turn
_CODE_HIDDEN: Final = (
    0.1  # of training facts known by their description alone, so that strangers are understood
)
_TIMES: Final = 8
_SPREAD: Final = 0.3  # of embeddings at first


@dataclass(frozen=True)
class Size:
    """How large a body is.

    Attributes:
        width: of each step.
        layers: blocks.
        heads: of attention; each at least 8 wide.
        dropout: share of units left out at random in training; 0: nothing is random.
    """

    width: int
    layers: int
    heads: int
    dropout: float = 0.1


SIZES: Final = {
    "nano": Size(64, 2, 4),
    "micro": Size(128, 3, 4),
    "mini": Size(256, 4, 8),
    "small": Size(512, 8, 8),
    "base": Size(768, 12, 12),
    "large": Size(1024, 24, 16),
    "xl": Size(2048, 24, 16),
}


def size_named(name: str) -> Size:
    """Find a size.

    Raises:
        InputError: there is none of that name.
    """
    if name not in SIZES:
        raise InputError("there is no size {name!r}; there are: {names}", name=name, names=list(SIZES))
    return SIZES[name]


@dataclass(frozen=True)
class BodyConfig:
    """What a body is made from; plain values, so that it travels in a package.

    Attributes:
        size: how large.
        codes: of the vocabulary.
        ancestors: of the vocabulary.
        causal: whether a step sees only those before it.
        charted: codes that a row's chart has, when it is asked.
        kept: of each block, heads of attention and hidden units that are left; empty: all of them.
    """

    size: Size
    codes: int
    ancestors: int
    causal: bool = True
    charted: int = 0
    kept: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, size: Size, vocabulary: TokenVocabulary, *, causal: bool = True) -> Self:
        """Make a body for a vocabulary."""
        charted = min(len(vocabulary), MOST_CHARTED)
        return cls(size, len(vocabulary), len(vocabulary.ancestors), causal, charted)

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read back what `to_json` gave."""
        kept = tuple((heads, units) for heads, units in content.get("kept", ()))
        return replace(cls(**content), size=Size(**content["size"]), kept=kept)

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Give heads and hidden units of each block."""
        whole = (self.size.heads, 8 * round(self.size.width / 3))
        return self.kept or (whole,) * self.size.layers


class FactEmbedding(nn.Module):
    """Facts as vectors: of the code, what is above it, what its description says, and the value; summed a step.

    What is the same for all facts of a code, or of a tenth of its values, is worked out once a batch.
    """

    def __init__(self, config: BodyConfig) -> None:
        super().__init__()
        width = config.size.width
        self.code = nn.Embedding(config.codes + 1, width, padding_idx=0)
        self.slope = nn.Embedding(config.codes + 1, width, padding_idx=0)
        self.above = nn.EmbeddingBag(config.ancestors + 1, width, mode="mean")
        self.pieces = nn.EmbeddingBag(PIECES, width, mode="mean")
        self.tenth = nn.Embedding(QUANTILES + 1, width)
        self.bent = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.hidden = _CODE_HIDDEN if config.size.dropout else 0.0
        with torch.no_grad():
            for module in (self.code, self.slope, self.above, self.pieces, self.tenth):
                module.weight.normal_(std=_SPREAD)
            self.code.weight[0] = self.slope.weight[0] = 0

    def codes(self, batch: TimelineBatch) -> Tensor:
        """Embed the different codes of a batch: (u, width)."""
        own = self.code(batch.kinds)
        if self.training and self.hidden:
            shown = torch.rand(len(own), 1, device=own.device) >= self.hidden
            own = own * shown.to(own.dtype)
        described = self.pieces(batch.pieces, batch.pieces_of) + self.above(
            batch.ancestors, batch.ancestors_of
        )
        embedded: Tensor = own + described
        return embedded

    def measured(self, coded: Tensor, tenth: Tensor) -> Tensor:
        """Add to codes (m, width) the tenths (m,) in which their values lie: (m, width)."""
        told = self.tenth(tenth)
        has = (tenth > 0).to(coded.dtype)[:, None]
        return coded + has * (told + self.bent(coded * told))

    def forward(self, batch: TimelineBatch, weights: Tensor) -> Tensor:
        """Sum the facts of each step, each by its weight (n,): (s, width)."""
        of_pairs = self.measured(self.codes(batch)[batch.pair_kind], batch.pair_tenth)
        summed = F.embedding_bag(
            batch.pair, of_pairs, batch.first, mode="sum", per_sample_weights=weights
        ) + F.embedding_bag(
            batch.kind,
            self.slope(batch.kinds),
            batch.first,
            mode="sum",
            per_sample_weights=weights * batch.value,
        )
        return summed


class TimelineBody(nn.Module):
    """Steps of facts → what is known at each step: (s, width).

    Attributes:
        recomputing: whether what blocks made of a step is worked out again on the way back, instead of kept (Chen et
            al., 2016): less memory, more time, the same numbers.
    """

    recomputing = False

    def __init__(self, config: BodyConfig) -> None:
        super().__init__()
        self.config = config
        width = config.size.width
        self.facts = FactEmbedding(config)
        self.times = nn.Linear(_TIMES, width)
        self.ask = nn.Parameter(torch.randn(width) * _SPREAD)
        self.masked = nn.Parameter(torch.randn(width) * _SPREAD)
        self.chart = Chart(config.charted, width, config.size.dropout) if config.charted else None
        self.mixed = nn.RMSNorm(width)
        self.blocks = nn.ModuleList(_Block(config, heads, units) for heads, units in config.blocks)
        self.norm = nn.RMSNorm(width)

    @property
    def width(self) -> int:
        """Tell how wide what it gives is."""
        return self.config.size.width

    def forward(
        self, batch: TimelineBatch, weights: Tensor | None = None, masked: Tensor | None = None
    ) -> Tensor:
        """Read a batch: (s, width).

        Args:
            batch: the timelines.
            weights: (n,) how much each fact counts, from 0 to 1; None: all of them wholly.
            masked: (n,) bool, facts that are hidden, though it is told that there are some; None: none.
        """
        side = Side(batch, self.config.size)
        return self.through(self.steps(batch, weights, masked), [side] * len(self.blocks))

    def steps(
        self, batch: TimelineBatch, weights: Tensor | None = None, masked: Tensor | None = None
    ) -> Tensor:
        """Embed the steps of a batch, each by itself: (s, width); arguments as `forward`."""
        shown = torch.ones_like(batch.value) if weights is None else weights
        hidden = None
        if masked is not None:
            hidden = torch.zeros(len(batch.row), dtype=shown.dtype, device=shown.device)
            hidden = hidden.index_add(0, batch.step, masked.to(shown.dtype))
            shown = shown * (~masked).to(shown.dtype)
        facts = self.facts(batch, shown)
        held = torch.bincount(batch.step, minlength=len(batch.row)).to(facts.dtype)
        x = facts / held.clamp(min=1).sqrt()[:, None] + self.times(_times(batch, held))
        if hidden is not None:
            x = x + hidden.log1p()[:, None] * self.masked
        x = x.index_add(0, batch.ask, self.ask.to(x.dtype).expand(batch.rows, -1))
        if self.chart is not None:
            x = x.index_add(0, batch.ask, self.chart(batch, shown).to(x.dtype))
        embedded: Tensor = self.mixed(x)
        return embedded

    def through(self, x: Tensor, sides: Sequence[Attention]) -> Tensor:
        """Send steps (s, width) through the blocks, each of which attends by its own: (s, width)."""
        for block, side in zip(self.blocks, sides, strict=True):
            x = checkpoint(block, x, side, use_reentrant=False) if self.recomputing else block(x, side)
        read: Tensor = self.norm(x)
        return read

    def represent(self, batch: TimelineBatch, weights: Tensor | None = None) -> Tensor:
        """Read a batch, and give what is known of each row when it is asked: (b, width)."""
        side = Side(batch, self.config.size)
        *others, last = self.blocks
        x = self.steps(batch, weights)
        for block in others:
            x = block(x, side)
        asked: Tensor = self.norm(last.asked(x, side, batch.ask))
        return asked


class Attention(Protocol):
    """Lets steps look at each other."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        """Give what each step saw: three of (s, heads, d) → (s, heads * d)."""
        ...


def turning(size: Size, like: Tensor) -> tuple[Tensor, Tensor]:
    """Give what the place of a step is divided by, and hours of one turn, for each pair of numbers of a head: (h,)."""
    half = size.width // size.heads // 4
    steps = torch.arange(half, device=like.device, dtype=like.dtype)
    turns = _SHORTEST * (_LONGEST / _SHORTEST) ** (steps / max(half - 1, 1))
    return 10_000 ** (steps / max(half, 1)), turns


class Turning:
    """How far heads turn: half of each with the place of a step, half with its hour."""

    def __init__(self, place: Tensor, hours: Tensor, size: Size) -> None:
        places, turns = turning(size, hours)
        by_place = place.to(hours.dtype)[:, None] / places
        by_hour = -hours[:, None] * (2 * math.pi / turns)
        angle = torch.cat([by_place, by_hour], 1)
        self.cos, self.sin = angle.cos()[:, None], angle.sin()[:, None]

    def turned(self, x: Tensor, at: Tensor | None = None) -> Tensor:
        """Turn heads (s, heads, d) by place and hour; `at`: of the steps (s,) alone that they are of."""
        turning = self.cos.shape[-1]
        one, two, rest = x.split([turning, turning, x.shape[-1] - 2 * turning], -1)
        cos, sin = (each.to(x.dtype) if at is None else each[at].to(x.dtype) for each in (self.cos, self.sin))
        return torch.cat([one * cos - two * sin, one * sin + two * cos, rest], -1)


class Side(Turning):
    """Where steps stand when rows are put side by side; each looks at those of its row."""

    def __init__(self, batch: TimelineBatch, size: Size) -> None:
        super().__init__(batch.place, batch.hours, size)
        self.rows = batch.rows
        self.longest = int(batch.place.max()) + 1
        self.where = batch.row * self.longest + batch.place

    def beside(self, x: Tensor) -> Tensor:
        """Put rows side by side: (s, heads, d) → (b, heads, longest, d)."""
        flat = x.new_zeros(self.rows * self.longest, *x.shape[1:])
        return flat.index_copy(0, self.where, x).view(self.rows, self.longest, *x.shape[1:]).transpose(1, 2)

    def behind(self, x: Tensor) -> Tensor:
        """Put rows one behind the other again."""
        return x.transpose(1, 2).reshape(self.rows * self.longest, -1)[self.where]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        """Let each step of a row look at those before it, or at all of them: (s, heads, d) → (s, heads * d)."""
        attended = F.scaled_dot_product_attention(
            self.beside(self.turned(query)),
            self.beside(self.turned(key)),
            self.beside(value),
            # rows are filled up at their ends, which nothing before them sees
            attn_mask=None if causal else self.mask(),
            is_causal=causal,  # no dropout here: with it, processors fall back to whole matrices
        )
        return self.behind(attended)

    def look(self, query: Tensor, key: Tensor, value: Tensor, ask: Tensor) -> Tensor:
        """Let the last step of each row, which `ask` (b,) names, look at all of it: (b, heads, d) → (b, heads * d)."""
        seen = F.scaled_dot_product_attention(
            self.turned(query, ask)[:, :, None],
            self.beside(self.turned(key)),
            self.beside(value),
            attn_mask=self.mask(),
        )
        return seen.flatten(1)

    def mask(self) -> Tensor:
        """Tell which places hold a step: (b, 1, 1, longest)."""
        held = torch.zeros(self.rows * self.longest, dtype=torch.bool, device=self.where.device)
        held[self.where] = True
        return held.view(self.rows, 1, 1, self.longest)


class _Block(nn.Module):
    def __init__(self, config: BodyConfig, heads: int, inner: int) -> None:
        super().__init__()
        size, width = config.size, config.size.width
        self.heads, self.causal = heads, config.causal
        attended = heads * (width // size.heads)
        self.before = nn.RMSNorm(width)
        self.query = nn.Linear(width, attended, bias=False)
        self.key = nn.Linear(width, attended, bias=False)
        self.value = nn.Linear(width, attended, bias=False)
        self.out = nn.Linear(attended, width, bias=False)
        self.between = nn.RMSNorm(width)
        self.up = nn.Linear(width, inner, bias=False)
        self.gate = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)
        self.left_out = nn.Dropout(size.dropout)

    def forward(self, x: Tensor, side: Attention) -> Tensor:
        normed = self.before(x)
        query, key, value = (self._heads(layer, normed) for layer in (self.query, self.key, self.value))
        return self._fed(x + self.left_out(self.out(side.attend(query, key, value, self.causal))))

    def asked(self, x: Tensor, side: Side, ask: Tensor) -> Tensor:
        """Read on at the steps `ask` (b,) alone, as the last block may: (b, width)."""
        normed = self.before(x)
        key, value = (self._heads(layer, normed) for layer in (self.key, self.value))
        query = self._heads(self.query, normed[ask])
        return self._fed(x[ask] + self.left_out(self.out(side.look(query, key, value, ask))))

    def _heads(self, layer: nn.Module, x: Tensor) -> Tensor:
        heads: Tensor = layer(x).view(len(x), self.heads, -1)
        return heads

    def _fed(self, x: Tensor) -> Tensor:
        normed = self.between(x)
        fed: Tensor = x + self.left_out(self.down(F.silu(self.gate(normed)) * self.up(normed)))
        return fed


def _times(batch: TimelineBatch, held: Tensor) -> Tensor:
    """Describe when each step is, and how much it holds: (s, 8)."""
    asked = torch.zeros_like(batch.hours)
    asked[batch.ask] = 1
    return told_times(batch.gap, batch.since, batch.age[batch.row], batch.static, asked, held)


def told_times(
    gap: Tensor, since: Tensor, age: Tensor, static: Tensor, asked: Tensor, held: Tensor
) -> Tensor:
    """Describe when steps are, what they are, and how many facts they hold: (s,) each → (s, 8)."""
    at = torch.where(torch.isnan(age), torch.zeros_like(age), age / 50 - 1)
    return torch.stack(
        [
            torch.log1p(gap) / 4,
            torch.log1p(since) / 8,
            torch.log1p(gap / 24) / 4,
            at,
            torch.isnan(age).to(at.dtype),
            static.to(at.dtype),
            asked,
            held.to(at.dtype).log1p() / 3,
        ],
        1,
    )
