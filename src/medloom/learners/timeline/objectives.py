"""What a body is pretrained to do without labels; each objective adds a head of its own to the same body.

next-event     which facts the next step holds, their values, and when it comes (ETHOS, Renc et al., npj Digit Med
               2024;7:256; CEHR-GPT, Pang et al. 2024)
masked         facts that were hidden, from all others (BEHRT, Li et al., Sci Rep 2020;10:7155)
time-to-event  for thousands of codes, when each comes next, with hazards by pieces of time (MOTOR, Steinberg et al.,
               ICLR 2024), and the values that will then be measured (STraTS, Tipirneni and Reddy, TKDD 2022)
contrastive    which two windows are of the same patient (SimCLR, Chen et al., ICML 2020)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from medloom.features.token_vocabulary import QUANTILES
from medloom.foundation.errors import InputError
from medloom.foundation.ranges import ranges
from medloom.learners.timeline.batches import TimelineBatch, Timelines
from medloom.learners.timeline.body import TimelineBody

Rows = NDArray[np.int64]

GAPS: Final = 24  # pieces of the time until the next step
_SHORTEST_GAP, _LONGEST_GAP = 1 / 60, 24.0 * 365 * 5  # hours
_VALUES: Final = 64  # facts a row whose values are asked for
_HIDDEN: Final = 0.25
_FORESEEN: Final = 1000  # codes, the most frequent
_PIECES_A_HORIZON: Final = 6
_AHEAD: Final = 24.0  # hours over which values are averaged
_HIGHEST: Final = 5.0  # logarithm of a hazard an hour, so that no step of learning ends in infinity
_LEAST_SHOWN: Final = 0.2
_WARMTH: Final = 0.1
_LOOKED_AT: Final = 2000  # timelines, to tell how long they are
_LOOKED_AT_CLOSELY: Final = 500  # timelines, to tell how gaps are spread
_SHARES: Final = 17
_SCORES_AT_ONCE: Final = 32_000_000  # of codes at steps


@dataclass
class Shown:
    """What objectives look at.

    Attributes:
        batch: rows that end where the future begins.
        other: other windows of the same rows; None where no objective asks for them.
        future: facts after each row's end, as far as they are known.
    """

    batch: TimelineBatch
    other: TimelineBatch | None
    future: Future

    def to(self, device: torch.device | str, *_more: object, **_other: object) -> Shown:
        """Move to a device."""
        other = None if self.other is None else self.other.to(device)
        return Shown(self.batch.to(device), other, self.future.to(device))


@dataclass
class Future:
    """Facts after the end of rows: row (m,), code (m,) numbers, hours (m,) after the end, value (m,), measured (m,).

    `followed`: (b,) hours over which each row's future is known.
    """

    row: Tensor
    code: Tensor
    hours: Tensor
    value: Tensor
    measured: Tensor
    followed: Tensor

    def to(self, device: torch.device | str) -> Future:
        """Move to a device."""
        return Future(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Objective(nn.Module, ABC):
    """A head, and the loss of each row: (b,)."""

    @abstractmethod
    def forward(self, body: TimelineBody, shown: Shown, read: Tensor) -> Tensor:
        """Give the loss of each row; `read` (s, width) is what the body made of the batch."""


class NextEvent(Objective):
    """From each step, when the next one comes and what it holds.

    Where facts are read one by one, so that futures can be sampled, a code is foreseen given when it comes, for death
    seldom follows in no time. Whole rows alone count, and each fact alike: what ends a timeline would else come too
    seldom, or what is in short ones too often. The end of a row is a time that is cut off: after it, not at it, there
    may be more.
    """

    def __init__(self, body: TimelineBody, timelines: Timelines) -> None:
        super().__init__()
        width, gathering = body.width, timelines.gathering
        self.samples = gathering.step is None
        self.usual = float(np.minimum(timelines.lengths, gathering.most).mean())
        self.code = nn.Linear(width, len(timelines.vocabulary) + 1)
        self.value = ValueHead(width, len(timelines.vocabulary))
        self.gap = nn.Linear(width, GAPS)
        self.after: nn.Embedding | None = None  # what a gap says of what comes after it
        if self.samples:
            self.after = nn.Embedding(GAPS, width)
            nn.init.zeros_(self.after.weight)
        self.register_buffer("spread", torch.from_numpy(_gap_spread(timelines)))
        counts = np.array([1, *timelines.vocabulary.facts], np.float64)
        with torch.no_grad():
            self.code.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def forward(self, body: TimelineBody, shown: Shown, read: Tensor) -> Tensor:
        batch = shown.batch
        after = torch.ones(len(batch.row), dtype=torch.bool, device=read.device)
        after[batch.ask] = False  # nothing follows
        target = batch.step  # each fact is foreseen from the step before its own
        seen_from = target - 1
        has = (batch.place[target] > 0) & ~batch.static[target]
        if self.samples:
            whole = torch.bincount(shown.future.row, minlength=batch.rows) == 0
            has &= whole[batch.row[target]]
            after &= whole[batch.row]
        known, row, rows = batch.kinds[batch.kind], batch.row[target], batch.rows
        came = torch.nonzero((batch.place > 0) & ~batch.static).squeeze(1)
        pieces = torch.zeros_like(batch.row)
        pieces[came - 1] = gap_piece(batch.gap[came])
        then = self.then(read, pieces)
        facts = torch.nonzero(has).squeeze(1)
        codes = self._by_row(_code_losses(self.code, then, seen_from[facts], known[facts]), row[facts], rows)
        asked = _some(facts[batch.pair_tenth[batch.pair[facts]] > 0], rows * _VALUES)
        said = self.value(then[seen_from[asked]], known[asked])
        values = self.value.loss(said, batch.pair_tenth[batch.pair[asked]], batch.value[asked])
        values = _mean_by_row(values, row[asked], rows)
        came = came[after[came]]  # the step at which a row is asked ends it; it is no event
        gaps = F.cross_entropy(self.gap(read[came - 1]), pieces[came - 1], reduction="none")
        gaps = self._by_row(gaps, batch.row[came], rows)
        if self.samples:
            ends = batch.ask[whole & (batch.place[batch.ask] > 0)]
            gaps = gaps + self._by_row(self._nothing_at_once(read[ends - 1]), batch.row[ends], rows)
        return codes + values + gaps

    def _nothing_at_once(self, read: Tensor) -> Tensor:
        """Give the loss of the last gaps of timelines: (n,); of them no more is known than that they were some."""
        later: Tensor = torch.log_softmax(self.gap(read), 1)[:, 1:].logsumexp(1)
        return -later

    def then(self, read: Tensor, pieces: Tensor) -> Tensor:
        """Give what is known (n, width) of what comes next once it is known after which piece of time (n,)."""
        return read if self.after is None else read + self.after(pieces)

    def _by_row(self, each: Tensor, row: Tensor, rows: int) -> Tensor:
        if not self.samples:
            return _mean_by_row(each, row, rows)
        return torch.zeros(rows, dtype=each.dtype, device=each.device).index_add(0, row, each) / self.usual


class ValueHead(nn.Module):
    """The tenth in which a code's value lies, and its distance from the code's median."""

    def __init__(self, width: int, codes: int) -> None:
        super().__init__()
        self.code = nn.Embedding(codes + 1, width)
        self.tenth = nn.Linear(width, QUANTILES)
        self.distance = nn.Linear(width, 1)
        nn.init.normal_(self.code.weight, mean=1.0, std=0.2)

    def forward(self, read: Tensor, code: Tensor) -> Tensor:
        """Give scores of tenths and the distance: (m, 11)."""
        mixed = read * self.code(code)
        return torch.cat([self.tenth(mixed), self.distance(mixed)], 1)

    def loss(self, said: Tensor, tenth: Tensor, value: Tensor) -> Tensor:
        """Give the loss of each: (m,)."""
        right = F.cross_entropy(said[:, :QUANTILES], (tenth - 1).clamp(min=0), reduction="none")
        return right + F.smooth_l1_loss(said[:, QUANTILES], value, reduction="none")


class Masked(Objective):
    """Facts that were hidden."""

    def __init__(self, body: TimelineBody, timelines: Timelines) -> None:
        super().__init__()
        self.code = nn.Linear(body.width, len(timelines.vocabulary) + 1)
        self.value = ValueHead(body.width, len(timelines.vocabulary))

    def forward(self, body: TimelineBody, shown: Shown, read: Tensor) -> Tensor:
        batch = shown.batch
        hidden = torch.rand(len(batch.value), device=read.device) < _HIDDEN
        read = body(batch, masked=hidden)
        facts = torch.nonzero(hidden).squeeze(1)
        step, known = batch.step[facts], batch.kinds[batch.kind[facts]]
        codes = _mean_by_row(_code_losses(self.code, read, step, known), batch.row[step], batch.rows)
        asked = _some(
            torch.nonzero(hidden & (batch.pair_tenth[batch.pair] > 0)).squeeze(1), batch.rows * _VALUES
        )
        step, known = batch.step[asked], batch.kinds[batch.kind[asked]]
        values = self.value.loss(
            self.value(read[step], known), batch.pair_tenth[batch.pair[asked]], batch.value[asked]
        )
        return codes + _mean_by_row(values, batch.row[step], batch.rows)


class TimeToEvent(Objective):
    """From where a row ends: when each code comes next, and what will be measured in the next day."""

    def __init__(self, body: TimelineBody, timelines: Timelines) -> None:
        super().__init__()
        codes = min(len(timelines.vocabulary), _FORESEEN)
        self.codes = codes
        self.register_buffer("cuts", torch.from_numpy(_horizon_cuts(timelines)))
        pieces = len(cast(Tensor, self.cuts))
        rank = min(body.width, 64)
        self.pieces = nn.Linear(body.width, rank * pieces)
        self.code = nn.Linear(rank, codes)
        with torch.no_grad():
            self.code.bias.copy_(torch.from_numpy(_usual_log_hazards(timelines, codes)))
        self.values = nn.Linear(body.width, codes)

    def forward(self, body: TimelineBody, shown: Shown, read: Tensor) -> Tensor:
        future, batch = shown.future, shown.batch
        asked = read[batch.ask]
        b, cuts = len(asked), cast(Tensor, self.cuts)
        pieces = self.pieces(asked).view(b, len(cuts), -1)
        log_hazard = _HIGHEST - F.softplus(_HIGHEST - self.code(pieces))  # an hour, (b, pieces, codes)
        kept = (future.code > 0) & (future.code <= self.codes)
        place = future.row[kept] * self.codes + future.code[kept] - 1
        first = torch.full((b * self.codes,), torch.inf, device=asked.device)
        first = first.scatter_reduce(0, place, future.hours[kept], "amin").view(b, 1, self.codes)
        starts = F.pad(cuts[:-1], (1, 0))[None, :, None]
        until = torch.minimum(first, future.followed[:, None, None])
        lived = (until - starts).clamp(min=0).minimum(cuts[None, :, None] - starts)
        happened = (
            (first <= future.followed[:, None, None]) & (first > starts) & (first <= cuts[None, :, None])
        )
        happened[:, 0] |= first[:, 0] <= 0
        hazards = (log_hazard.exp() * lived - log_hazard * happened).sum(1).mean(1)
        return hazards + self._foreseen(asked, future)

    def _foreseen(self, asked: Tensor, future: Future) -> Tensor:
        b = len(asked)
        near = future.measured & (future.hours <= _AHEAD) & (future.code > 0) & (future.code <= self.codes)
        place = future.row[near] * self.codes + future.code[near] - 1
        count = torch.bincount(place, minlength=b * self.codes).to(asked.dtype)
        total = torch.zeros_like(count).index_add(0, place, future.value[near].to(asked.dtype))
        met = torch.nonzero(count).squeeze(1)
        row, code = met // self.codes, met % self.codes
        off = F.smooth_l1_loss(self.values(asked)[row, code], total[met] / count[met], reduction="none")
        return _mean_by_row(off, row, b)


class Contrastive(Objective):
    """Which of the other windows in a batch is of the same patient."""

    def __init__(self, body: TimelineBody, timelines: Timelines) -> None:
        super().__init__()
        self.seen = nn.Linear(body.width, min(body.width, 128))

    def forward(self, body: TimelineBody, shown: Shown, read: Tensor) -> Tensor:
        assert shown.other is not None
        one = F.normalize(self.seen(read[shown.batch.ask]), dim=1)
        two = F.normalize(self.seen(body.represent(shown.other)), dim=1)
        alike = one @ two.T / _WARMTH
        own = torch.arange(len(one), device=one.device)
        there = F.cross_entropy(alike, own, reduction="none")
        back = F.cross_entropy(alike.T, own, reduction="none")
        return (there + back) / 2


OBJECTIVES: Final[dict[str, type[Objective]]] = {
    "next-event": NextEvent,
    "masked": Masked,
    "time-to-event": TimeToEvent,
    "contrastive": Contrastive,
}


def objectives_named(names: str) -> tuple[str, ...]:
    """Read names joined by `+`.

    Raises:
        InputError: there is no such objective.

    >>> objectives_named("next-event+time-to-event")
    ('next-event', 'time-to-event')
    """
    wanted = tuple(names.split("+"))
    unknown = [name for name in wanted if name not in OBJECTIVES]
    if unknown or len(set(wanted)) < len(wanted):
        raise InputError(
            "there is no objective {name!r}; name one, or several joined by +, of: {names}",
            name=", ".join(unknown) or names,
            names=", ".join(OBJECTIVES),
        )
    return wanted


class PretrainingRows:
    """Timelines as rows to pretrain on: each ends anywhere, and what comes after is its future."""

    def __init__(self, timelines: Timelines, objectives: tuple[str, ...]) -> None:
        self._timelines = timelines
        self._pairs = "contrastive" in objectives
        self._filled = np.flatnonzero(timelines.lengths > 0)
        self._whole = 0.0  # share of rows that end where their timelines do
        if "next-event" in objectives and timelines.gathering.step is None:
            self._whole = 1 / len(objectives)

    @property
    def lengths(self) -> Rows:
        """Tell how many facts each row has: (n,)."""
        return self._timelines.lengths[self._filled]

    def batch(self, rows: Rows, rng: np.random.Generator) -> Shown:
        """Make a batch; where rows end is drawn."""
        samples = self._filled[rows]
        stops = self._stops(samples, rng)
        other = None
        if self._pairs:
            stop = self._stops(samples, rng)
            other = self._timelines.batch(samples, stop, kept=lambda facts: rng.random(len(facts)) < 0.5)
        return Shown(self._timelines.batch(samples, stops), other, self._future(samples, stops))

    def _stops(self, samples: Rows, rng: np.random.Generator) -> Rows:
        lengths = self._timelines.lengths[samples]
        share = rng.uniform(_LEAST_SHOWN, 1, len(samples))
        if self._whole:
            share[rng.random(len(samples)) < self._whole] = 1
        return np.maximum(1, np.ceil(share * lengths)).astype(np.int64)

    def _future(self, samples: Rows, stops: Rows) -> Future:
        tokens, vocabulary = self._timelines.tokens, self._timelines.vocabulary
        starts = tokens.offsets[samples] + stops
        lengths = tokens.offsets[samples + 1] - starts
        facts, row = ranges(starts, lengths), np.repeat(np.arange(len(samples)), lengths)
        now = np.nan_to_num(tokens.hours[starts - 1])
        code = tokens.code[facts]
        put = torch.from_numpy
        return Future(
            put(row),
            put(np.where(code <= len(vocabulary), code, 0).astype(np.int64)),
            put(np.maximum(now[row] - np.nan_to_num(tokens.hours[facts]), 0).astype(np.float32)),
            put(np.ascontiguousarray(tokens.value[facts])),
            put(tokens.tenth[facts] > 0),
            put(now.astype(np.float32)),
        )


def gap_piece(hours: Tensor) -> Tensor:
    """Give the piece of time in which gaps lie: (m,) hours → (m,) from 0, at one moment, to 23."""
    share = torch.log(hours.clamp(min=_SHORTEST_GAP) / _SHORTEST_GAP) / np.log(_LONGEST_GAP / _SHORTEST_GAP)
    piece = 1 + (share * (GAPS - 1)).long().clamp(0, GAPS - 2)
    return torch.where(hours <= 0, torch.zeros_like(piece), piece)


def _gap_spread(timelines: Timelines) -> NDArray[np.float32]:
    """Tell how gaps of training are spread within each piece: hours (24, 17) at equal shares, for sampling."""
    shares = np.linspace(0, 1, _SHARES)
    evenly = [low * (high / low) ** shares for low, high in pairwise(gap_ends())]
    spread = np.vstack([np.zeros(_SHARES), *evenly])
    rows = np.flatnonzero(timelines.lengths > 0)[:_LOOKED_AT_CLOSELY]
    if len(rows):
        batch = timelines.batch(rows)
        came = (batch.place > 0) & ~batch.static
        came[batch.ask] = False
        gaps = batch.gap[came]
        pieces, hours = gap_piece(gaps).numpy(), gaps.numpy()
        for piece in range(1, GAPS):
            inside = hours[pieces == piece]
            if len(inside) >= _SHARES:
                spread[piece] = np.quantile(inside, shares)
    return spread.astype(np.float32)


def gap_ends() -> NDArray[np.float64]:
    """Give the hours at which pieces of gaps begin and end: (24,) of pieces 1 to 23."""
    return _SHORTEST_GAP * (_LONGEST_GAP / _SHORTEST_GAP) ** (np.arange(GAPS) / (GAPS - 1))


def _horizon_cuts(timelines: Timelines) -> NDArray[np.float32]:
    """Divide what lies ahead into pieces that suit how long timelines are: ends in hours."""
    tokens = timelines.tokens
    first = tokens.offsets[:-1][tokens.lengths > 0][:_LOOKED_AT]
    until = tokens.offsets[1:][tokens.lengths > 0][:_LOOKED_AT]
    spans = [np.nanmax(tokens.hours[start:end], initial=0.0) for start, end in zip(first, until, strict=True)]
    typical = float(np.quantile(spans, 0.8)) if len(spans) else 24.0
    longest = max(typical, 1.0)
    return (longest / 2.0 ** np.arange(_PIECES_A_HORIZON)[::-1]).astype(np.float32)


def _usual_log_hazards(timelines: Timelines, codes: int) -> NDArray[np.float32]:
    """Tell how often each code occurs an hour, as a logarithm: (codes,)."""
    hours = float(_spans(timelines).mean() if len(timelines) else 1.0) * max(len(timelines), 1)
    facts = np.array(timelines.vocabulary.facts[:codes], np.float64)
    return np.log((facts + 1) / (hours + 1)).astype(np.float32)


def _spans(timelines: Timelines) -> NDArray[np.float64]:
    """Tell over how many hours some of the timelines go."""
    tokens = timelines.tokens
    first = tokens.offsets[:-1][tokens.lengths > 0][:_LOOKED_AT]
    until = tokens.offsets[1:][tokens.lengths > 0][:_LOOKED_AT]
    found = [np.nanmax(tokens.hours[start:end], initial=0.0) for start, end in zip(first, until, strict=True)]
    return np.array(found, np.float64) if found else np.zeros(1)


def _code_losses(head: nn.Module, read: Tensor, step: Tensor, known: Tensor) -> Tensor:
    """Give how unlikely codes (m,) were held at steps (m,), which are in order, of read (s, width): (m,)."""

    def losses(read: Tensor, step: Tensor, known: Tensor) -> Tensor:
        return -torch.log_softmax(head(read), 1)[step, known]

    codes = int(cast(nn.Linear, head).out_features)
    if len(read) * codes <= _SCORES_AT_ONCE:
        return losses(read, step, known)
    # worked out again in the way back, a part at a time, so that memory suffices for many codes
    many = max(1, _SCORES_AT_ONCE // codes)
    firsts = torch.arange(0, len(read), many, device=read.device)
    places = [*torch.searchsorted(step, firsts).tolist(), len(step)]
    found = [
        checkpoint(losses, part, step[start:stop] - first, known[start:stop], use_reentrant=False)
        for part, first, (start, stop) in zip(
            read.split(many), firsts.tolist(), pairwise(places), strict=True
        )
    ]
    return torch.cat(found)


def _mean_by_row(each: Tensor, row: Tensor, rows: int) -> Tensor:
    """Average what belongs to each row: (b,); 0 where nothing does."""
    total = torch.zeros(rows, dtype=each.dtype, device=each.device).index_add(0, row, each)
    return total / torch.bincount(row, minlength=rows).clamp(min=1)


def _some(places: Tensor, most: int) -> Tensor:
    """Draw at most so many."""
    if len(places) <= most:
        return places
    return places[torch.randperm(len(places), device=places.device)[:most]]
