"""Futures sampled from timelines: what may come next, fact by fact, each with its gap, its code and its value.

A gap is drawn among the pieces of time that the encoder foresees, and within the piece as gaps were spread in
training; the first one is longer than what has passed since the last fact. A code is drawn given the gap's piece, and a
value among tenths of its code's values, as in Renc et al., npj Digit Med 2024;7:256, and within the tenth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medloom.features.token_vocabulary import QUANTILES, TokenVocabulary
from medloom.features.tokens import Tokens
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.foundation.ranges import ranges
from medloom.foundation.seeds import generator
from medloom.learners.timeline.batches import TimelineBatch, Timelines
from medloom.learners.timeline.memory import Memory
from medloom.learners.timeline.objectives import NextEvent
from medloom.record.schema import DEATH
from medloom.tasks.encoders import foresees

if TYPE_CHECKING:
    from medloom.learners.timeline.pretraining import Encoder

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_AT_ONCE: Final = 64_000_000  # numbers in memory
_LONGEST: Final = 4096  # facts of a future, whatever the horizon
_ANY: Final = -1.0  # hours; every gap is longer


@dataclass(frozen=True)
class Futures:
    """Facts sampled after b timelines, n in all, in some futures of each; by timeline, future and time.

    Attributes:
        row: (n,) of the timeline.
        future: (n,) which of its futures.
        code: (n,) numbers of the vocabulary.
        hours: (n,) after the prediction time.
        value: (n,) in the code's unit; NaN: none.
        until: (b, futures) hours after the prediction time until which each future is known.
    """

    row: Integers
    future: Integers
    code: Integers
    hours: Floats
    value: Floats
    until: Floats

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Sampling:
    """How futures are sampled.

    Attributes:
        futures: of each timeline.
        temperature: 1: as likely as the encoder says; below: the likelier rather; above: the unlikelier too.
        ends: codes after whose moment nothing more is sampled, beside death.
        never: codes that are not sampled, such as those without a time.
        seed: of what is drawn.
    """

    futures: int = 100
    temperature: float = 1.0
    ends: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    seed: int = 0


def check_foresees(encoder: Encoder) -> None:
    """Refuse an encoder that does not foresee fact after fact.

    Raises:
        InputError: it does not; with how one is pretrained that does.
    """
    if not foresees(encoder.objectives, encoder.reading.gathering.step):
        raise InputError(
            "this encoder cannot sample futures; pretrain one that reads fact by fact and foresees the next: "
            "medloom pretrain --objective next-event --step fact"
        )


def sample_futures(
    encoder: Encoder, timelines: Timelines, hours: Floats, names: Sequence[str], how: Sampling = Sampling()
) -> Futures:
    """Sample what may follow timelines.

    The same name and seed give the same futures in any company, but for rounding in 32 bits, by which a choice
    may very rarely turn. Half of the steps that the encoder reads at most are of the history, the latest; a longer
    future goes on from its own latest facts.

    Args:
        encoder: pretrained by next-event, fact by fact.
        timelines: b of them, each with a fact, as the encoder reads them.
        hours: (b,) after the prediction time until which is sampled.
        names: (b,) of the timelines, for the seed.
        how: how many, and when they end.

    Raises:
        InputError: the encoder does not foresee fact after fact, a timeline is empty, or a setting makes no sense.
    """
    check_foresees(encoder)
    if how.futures < 1 or how.temperature <= 0:
        raise InputError("there must be at least 1 future, and the temperature must be above 0")
    empty = int((timelines.lengths == 0).sum())
    if empty:
        raise InputError(
            "nothing is known of {n} patients at the time of prediction, so that no future of theirs can be sampled; "
            "leave them out",
            n=empty,
        )
    sampler = _Sampler(encoder, timelines, how)
    b, m = len(timelines), how.futures
    limit = np.repeat(np.asarray(hours, np.float64), m).reshape(b, m)
    this = _Round(timelines.tokens, limit, tuple(names), np.arange(b), np.tile(np.arange(m), (b, 1)))
    until, found = limit.copy(), [_Drawn.none()]
    with progress(tr("Sampling futures"), total=b * m) as advance:
        for number in range(max(1, _LONGEST // sampler.room)):
            drawn, limit, going, last = sampler.sampled(this, number)
            found.append(this.owned(drawn))
            until[this.row[:, None], this.future] = np.where(going, last, limit)
            advance(int((~going).sum()))
            if not going.any():
                break
            this = this.rest(drawn, limit, going, encoder.reading.vocabulary)
    every = _Drawn.joined(found)
    order = np.lexsort((every.future, every.row))  # stable: rounds follow each other in time
    return Futures(
        every.row[order],
        every.future[order],
        every.code[order],
        every.hours[order],
        every.value[order],
        until,
    )


@dataclass(frozen=True)
class _Drawn:
    """Facts as `Futures` holds them."""

    row: Integers
    future: Integers
    code: Integers
    hours: Floats
    value: Floats

    @classmethod
    def none(cls) -> _Drawn:
        whole, broken = np.empty(0, np.int64), np.empty(0)
        return cls(whole, whole, whole, broken, broken)

    @classmethod
    def joined(cls, parts: Sequence[_Drawn]) -> _Drawn:
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))


@dataclass(frozen=True)
class _Round:
    """Timelines from which futures are sampled at once.

    Attributes:
        tokens: of r timelines.
        limit: (r, m) hours after the prediction time until which is sampled.
        names: (r,) for the seed.
        row: (r,) of the timelines that were asked about.
        future: (r, m) of these.
    """

    tokens: Tokens
    limit: Floats
    names: tuple[str, ...]
    row: Integers
    future: Integers

    def owned(self, drawn: _Drawn) -> _Drawn:
        """Say of which timelines and futures facts are that were drawn here."""
        return replace(drawn, row=self.row[drawn.row], future=self.future[drawn.row, drawn.future])

    def rest(
        self, drawn: _Drawn, limit: Floats, going: NDArray[np.bool_], vocabulary: TokenVocabulary
    ) -> _Round:
        """Put facts drawn behind the timelines of futures that are not over; each is now a timeline of its own."""
        rows, futures = np.nonzero(going)
        place, wanted = (
            row * going.shape[1] + of for row, of in ((drawn.row, drawn.future), (rows, futures))
        )
        order = np.argsort(place, kind="stable")
        first, last = (np.searchsorted(place[order], wanted, side) for side in ("left", "right"))
        before, after = self.tokens.lengths[rows], last - first
        offsets = np.append(0, np.cumsum(before + after))
        code, value = drawn.code.astype(np.int32), drawn.value.astype(np.float32)
        distance, tenth = vocabulary.standardised(code, value)
        old, new = ranges(self.tokens.offsets[rows], before), order[ranges(first, after)]

        def joined(kept: NDArray[Any], added: NDArray[Any]) -> NDArray[Any]:
            column = np.empty(offsets[-1], kept.dtype)
            column[ranges(offsets[:-1], before)] = kept[old]
            column[ranges(offsets[:-1] + before, after)] = added[new]
            return column

        tokens = self.tokens
        longer = Tokens(
            offsets,
            joined(tokens.code, code),
            joined(tokens.value, distance),
            joined(tokens.tenth, tenth),
            joined(tokens.hours, -drawn.hours),
            tokens.age[rows],
            tokens.strangers,
        )
        names = tuple(f"{self.names[row]}/{future}" for row, future in zip(rows, futures, strict=True))
        return _Round(
            longer,
            limit[rows, futures][:, None],
            names,
            self.row[rows],
            self.future[rows, futures][:, None],
        )


class _Sampler:
    """Samples with one encoder."""

    def __init__(self, encoder: Encoder, timelines: Timelines, how: Sampling) -> None:
        self.timelines, self.how = timelines, how
        self.vocabulary = encoder.reading.vocabulary
        self.body = encoder.network.body
        self.head = cast(NextEvent, encoder.network.heads["next_event"])
        self.half = encoder.reading.gathering.most // 2
        self.room = encoder.reading.gathering.most - self.half - 1
        self.spread = cast(Tensor, self.head.spread)
        numbers = self.vocabulary.numbers
        ends = {numbers[code] for code in {*how.ends, DEATH} if code in numbers}
        self.ends = np.isin(np.arange(len(self.vocabulary) + 1), list(ends))
        barred = {0, *(number for code, number in numbers.items() if code.split("=")[0] in how.never)}
        self.barred = torch.from_numpy(np.isin(np.arange(len(self.vocabulary) + 1), list(barred)))
        self.coded = self._coded()

    def sampled(self, this: _Round, number: int) -> tuple[_Drawn, Floats, NDArray[np.bool_], Floats]:
        """Sample until all futures are over, or full: facts, limits, which are not over, times of last facts."""
        timelines = replace(self.timelines, tokens=this.tokens)
        limit, going, last = (
            this.limit.copy(),
            np.zeros(this.limit.shape, np.bool_),
            np.zeros(this.limit.shape),
        )
        found = []
        with torch.inference_mode():
            for rows in self._parts(this):
                batch = timelines.batch(rows, most=self.half + 1)
                rngs = [generator(self.how.seed, "futures", this.names[row], str(number)) for row in rows]
                drawn, limit[rows], going[rows], last[rows] = self._sampled(batch, limit[rows], rngs)
                found.append(replace(drawn, row=rows[drawn.row]))
        return _Drawn.joined([_Drawn.none(), *found]), limit, going, last

    def _coded(self) -> Tensor:
        """Embed all codes: (codes + 1, width)."""
        vocabulary = self.vocabulary
        every = Tokens(
            np.array([0, len(vocabulary)]),
            np.arange(1, len(vocabulary) + 1, dtype=np.int32),
            np.zeros(len(vocabulary), np.float32),
            np.zeros(len(vocabulary), np.uint8),
            np.zeros(len(vocabulary), np.float32),
            np.full(1, np.nan, np.float32),
        )
        batch = replace(self.timelines, tokens=every).batch(np.zeros(1, np.int64), most=len(vocabulary) + 2)
        with torch.inference_mode():
            coded: Tensor = self.body.facts.codes(batch)
        return torch.cat([torch.zeros_like(coded[:1]), coded])

    def _parts(self, this: _Round) -> Iterator[Integers]:
        """Cut rows into parts that fit into memory."""
        config, m = self.body.config, this.limit.shape[1]
        kept = 2 * config.size.width * config.size.layers
        each = kept * self.half + m * (kept * self.room + 3 * (len(self.vocabulary) + self.half))
        rows = len(this.names)
        yield from np.array_split(np.arange(rows), max(1, -(-rows * each // _AT_ONCE))) if rows else []

    def _sampled(
        self, batch: TimelineBatch, limit: Floats, rngs: Sequence[np.random.Generator]
    ) -> tuple[_Drawn, Floats, NDArray[np.bool_], Floats]:
        """Sample the futures (k, m) of some timelines."""
        (k, m), limit = limit.shape, limit.copy()
        memory = Memory(self.body, batch, m, self.room)
        latest = batch.ask - (batch.place[batch.ask] > 0).long()
        when = np.repeat(-batch.hours[latest].double().numpy()[:, None], m, 1)  # after the prediction time
        free = batch.static[latest].numpy()[:, None] | (when > 0)
        longer = np.where(free, _ANY, -when)
        read = memory.last.repeat_interleave(m, 0)
        going, kept, found = np.ones((k, m), np.bool_), np.arange(k), []
        last = np.zeros((k, m))
        for _ in range(self.room):
            draws = np.stack([rngs[int(row)].random((m, 4)) for row in kept])
            hours, piece = self._gaps(read, longer.ravel(), draws)
            gap = hours.reshape(-1, m)
            longer = np.full_like(gap, _ANY)
            then = self.head.then(read, torch.from_numpy(piece))
            code = self._codes(then, draws)
            value = self._values(then, code, draws)
            when = when + gap
            going[kept] &= when <= limit[kept]
            code_of, value_of = code.reshape(-1, m), value.reshape(-1, m)
            row, future = np.nonzero(going[kept])
            facts = (code_of[row, future], when[row, future], value_of[row, future].astype(np.float64))
            found.append(_Drawn(kept[row], future, *facts))
            last[kept[row], future] = when[row, future]
            ended = going[kept] & self.ends[code_of]
            limit[kept] = np.where(ended, when, limit[kept])
            alive = going[kept].any(1)
            if not alive.any():
                break
            if not alive.all():
                places = np.flatnonzero(alive)
                memory.keep(torch.from_numpy(places))
                kept, when, gap, longer = kept[places], when[places], gap[places], longer[places]
                code, value = code_of[places].ravel(), value_of[places].ravel()
            read = self._read_on(memory, code, value, when.ravel(), gap.ravel())
        return _Drawn.joined([_Drawn.none(), *found]), limit, going, last

    def _gaps(self, read: Tensor, longer: Floats, draws: Floats) -> tuple[Floats, Integers]:
        """Draw hours until the next fact, longer than given, and their pieces of time: (n,), (n,).

        Where none that long is known, they are infinite.
        """
        chances = (self.head.gap(read) / self.how.temperature).softmax(1).double().numpy()
        spread = self.spread.double().numpy()
        share = np.ones_like(chances)
        bound = np.flatnonzero(longer > _ANY)
        share[bound] = (spread[None] > longer[bound, None, None]).mean(2)
        chances = chances * share
        total = chances.sum(1)
        piece = _drawn(chances, draws[..., 0].ravel())
        each = np.arange(len(piece))
        place = (1 - share[each, piece] * (1 - draws[..., 1].ravel())) * (spread.shape[1] - 1)
        below = np.minimum(place.astype(np.int64), spread.shape[1] - 2)
        gap = spread[piece, below] + (place - below) * (spread[piece, below + 1] - spread[piece, below])
        return np.where(total > 0, np.maximum(gap, longer), np.inf), piece

    def _codes(self, then: Tensor, draws: Floats) -> Integers:
        scores = self.head.code(then).masked_fill(self.barred, -torch.inf)
        return _drawn((scores / self.how.temperature).softmax(1).numpy(), draws[..., 2].ravel())

    def _values(self, then: Tensor, code: Integers, draws: Floats) -> NDArray[np.float32]:
        """Draw values, in the codes' units: (n,); NaN: the code has none."""
        said = self.head.value(then, torch.from_numpy(code))[:, :QUANTILES]
        share = draws[..., 3].ravel()
        chances = (said / self.how.temperature).softmax(1).double().numpy()
        tenth, within = _drawn_within(chances, share)
        return self.vocabulary.within(code.astype(np.int32), (tenth + 1).astype(np.uint8), within)

    def _read_on(
        self, memory: Memory, code: Integers, value: NDArray[np.float32], when: Floats, gap: Floats
    ) -> Tensor:
        distance, tenth = self.vocabulary.standardised(code.astype(np.int32), value)
        put = torch.from_numpy
        of = put(code)
        slope = self.body.facts.slope(of) * put(distance)[:, None]
        # of futures that are over nothing is used any more
        hours, since = (np.where(np.isfinite(one), one, 0).astype(np.float32) for one in (when, gap))
        return memory.read_on(self.coded[of], put(tenth.astype(np.int64)), slope, put(hours), put(since))


def _drawn(chances: NDArray[np.floating], share: Floats) -> Integers:
    """Draw one of k by chances (n, k), which need not sum to 1, and shares (n,) drawn evenly: (n,)."""
    return _drawn_within(chances, share)[0]


def _drawn_within(chances: NDArray[np.floating], share: Floats) -> tuple[Integers, Floats]:
    """Draw one of k, and say how far into its chance the share lay, from 0 to 1: (n,), (n,)."""
    reached = np.cumsum(chances, 1, dtype=np.float64)
    wanted = share * reached[:, -1]
    place = np.minimum((reached <= wanted[:, None]).sum(1), chances.shape[1] - 1)
    each = np.arange(len(place))
    chance = chances[each, place]
    into = (wanted - (reached[each, place] - chance)) / np.where(chance > 0, chance, 1)
    return place.astype(np.int64), np.clip(into, 0, 1)
