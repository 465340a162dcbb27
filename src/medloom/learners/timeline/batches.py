"""Timelines put together for a network: facts gathered into steps, rows one behind the other, nothing filled up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.token_vocabulary import QUANTILES, TokenVocabulary
from medloom.features.tokens import Tokens
from medloom.foundation.ranges import ranges
from medloom.record.catalogue import CodeCatalogue
from medloom.tasks.history import HOURS_PER_YEAR

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Rows = NDArray[np.int64]

_TENTHS: Final = QUANTILES + 1
_STATIC: Final = np.float32(np.inf)  # before any hour


@dataclass(frozen=True)
class Gathering:
    """How facts become steps of a network, and how many of them it reads.

    Attributes:
        step: hours whose facts are one step; 0: those of one moment; None: each fact is a step.
        most: steps of a row at most; the latest count, and what is static.
    """

    step: float | None = 0.0
    most: int = 512


@dataclass
class TimelineBatch:
    """b rows of n facts in s steps; each row ends with a step that has no fact, at which it is asked.

    Attributes:
        kinds: (u,) long, numbers of the different codes, 0: a stranger.
        ancestors, ancestors_of: (a,), (u,) long: numbers of what is above each kind, and where each kind's begin.
        pieces, pieces_of: (p,), (u,) long: the same of the pieces of their descriptions.
        kind: (n,) long, into `kinds`.
        pair_kind, pair_tenth: (p,) long, the different pairs of a kind and a tenth of its values.
        pair: (n,) long, into the pairs.
        value: (n,) float.
        step: (n,) long, into the steps; first: (s,) long, where the facts of each step begin.
        row: (s,) long; place: (s,) long, of the step in its row.
        hours: (s,) float, before the prediction time; gap: (s,) float, hours since the step before.
        since: (s,) float, hours since the row's first step.
        static: (s,) bool, whether the step holds what has no time.
        ask: (b,) long, the last step of each row.
        age: (b,) float, years; NaN: unknown.
        fact: (n,) where each fact stands among the tokens; on the processor.
        samples: (b,) which they are; on the processor.
    """

    kinds: Tensor
    ancestors: Tensor
    ancestors_of: Tensor
    pieces: Tensor
    pieces_of: Tensor
    kind: Tensor
    pair_kind: Tensor
    pair_tenth: Tensor
    pair: Tensor
    value: Tensor
    step: Tensor
    first: Tensor
    row: Tensor
    place: Tensor
    hours: Tensor
    gap: Tensor
    since: Tensor
    static: Tensor
    ask: Tensor
    age: Tensor
    fact: NDArray[np.int64] = field(repr=False)
    samples: Rows = field(repr=False)

    @property
    def rows(self) -> int:
        """Count the rows."""
        return len(self.ask)

    def to(self, device: torch.device | str, *_more: Any, **_other: Any) -> TimelineBatch:
        """Move to a device, as Lightning does with a batch."""
        import torch

        moved = {
            one.name: value.to(device)
            if isinstance(value := getattr(self, one.name), torch.Tensor)
            else value
            for one in fields(self)
        }
        return TimelineBatch(**moved)

    def as_double(self) -> TimelineBatch:
        """Give the same with numbers of 64 bits."""
        import torch

        exact = {
            one.name: value.double()
            if isinstance(value := getattr(self, one.name), torch.Tensor) and value.dtype == torch.float32
            else value
            for one in fields(self)
        }
        return TimelineBatch(**exact)


@dataclass(frozen=True)
class Timelines:
    """The tokens of samples, from which batches are made.

    Attributes:
        tokens: of all samples.
        vocabulary: of their codes.
        gathering: of facts into steps.
        catalogue: says what codes are that the vocabulary does not have.
    """

    tokens: Tokens
    vocabulary: TokenVocabulary
    gathering: Gathering
    catalogue: CodeCatalogue = field(default_factory=CodeCatalogue.empty)
    _strangers: list[tuple[tuple[int, ...], Rows]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # once, and before processes are forked, in which Polars would wait for threads that are not there
        described = self.vocabulary.strangers(self.tokens.strangers, self.catalogue)
        object.__setattr__(self, "_strangers", described)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Rows:
        """Count the facts of each sample: (m,)."""
        return self.tokens.lengths

    def batch(
        self,
        samples: Rows,
        stops: Rows | None = None,
        most: int | None = None,
        kept: Callable[[Rows], NDArray[np.bool_]] | None = None,
    ) -> TimelineBatch:
        """Put some samples together; arguments as `arrays`."""
        import torch

        made = self.arrays(samples, stops, most, kept)
        rest = {name: made.pop(name) for name in ("fact", "samples")}
        return TimelineBatch(**{name: torch.from_numpy(one) for name, one in made.items()}, **rest)

    def arrays(
        self,
        samples: Rows,
        stops: Rows | None = None,
        most: int | None = None,
        kept: Callable[[Rows], NDArray[np.bool_]] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Put some samples together, without PyTorch: the arrays of a `TimelineBatch` by name.

        Args:
            samples: (b,) which.
            stops: (b,) so many facts of each, from its first; the row then ends, and is asked, at the last of them.
                None: all facts, asked at the prediction time.
            most: steps of a row at most; None: as the gathering says.
            kept: tells which of some facts, by their places in the tokens, count; None: all.
        """
        tokens, offsets = self.tokens, self.tokens.offsets
        starts = offsets[samples]
        lengths = (offsets[samples + 1] - starts) if stops is None else stops
        facts = ranges(starts, lengths)
        if kept is not None:
            inside = kept(facts)
            edges = np.append(0, np.cumsum(lengths))
            lengths = np.diff(np.append(0, np.cumsum(inside))[edges])
            facts = facts[inside]
        row = np.repeat(np.arange(len(samples)), lengths)
        hours = tokens.hours[facts]
        static = np.isnan(hours)
        age = tokens.age[samples]
        if stops is not None:
            now = _last_hours(hours, lengths)
            hours = hours - now[row]
            age = age - now / np.float32(HOURS_PER_YEAR)
        begins, place = self._steps(row, hours, static)
        longest = (most or self.gathering.most) - 1
        if len(facts) and place.max(initial=0) >= longest:
            facts, row, hours, static = self._latest(facts, row, hours, static, begins, place, longest)
            begins, place = self._steps(row, hours, static)
        return self._put_together(samples, facts, row, hours, static, age, begins)

    def _steps(
        self, row: Rows, hours: NDArray[np.float32], static: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], Rows]:
        """Tell at which facts a step begins, and the place of each fact's step in its row."""
        begins = np.ones(len(row), np.bool_)
        if self.gathering.step is not None:
            length = self.gathering.step
            when = np.where(static, _STATIC, np.floor(hours / length) if length else hours)
            begins[1:] = (row[1:] != row[:-1]) | (when[1:] != when[:-1])
        number = np.cumsum(begins) - 1
        first = np.ones(len(row), np.bool_)
        first[1:] = row[1:] != row[:-1]
        return begins, number - np.maximum.accumulate(np.where(first, number, 0)) if len(row) else number

    def _latest(
        self,
        facts: Rows,
        row: Rows,
        hours: NDArray[np.float32],
        static: NDArray[np.bool_],
        begins: NDArray[np.bool_],
        place: Rows,
        longest: int,
    ) -> tuple[Rows, Rows, NDArray[np.float32], NDArray[np.bool_]]:
        """Leave out the oldest steps of rows that are too long; what is static stays, up to half of the row."""
        steps = np.zeros(row[-1] + 1, np.int64)
        np.maximum.at(steps, row, place + 1)
        still = np.zeros(row[-1] + 1, np.int64)
        np.add.at(still, row[begins & static], 1)
        still = np.minimum(still, longest // 2)
        kept = (place < still[row]) | (place >= (steps - longest + still)[row])
        return facts[kept], row[kept], hours[kept], static[kept]

    def _put_together(
        self,
        samples: Rows,
        facts: Rows,
        row: Rows,
        hours: NDArray[np.float32],
        static: NDArray[np.bool_],
        age: NDArray[np.float32],
        begins: NDArray[np.bool_],
    ) -> dict[str, NDArray[Any]]:
        tokens, b = self.tokens, len(samples)
        step = np.cumsum(begins) - 1 + row  # each row before has a last step without facts
        s = int(begins.sum()) + b
        first = np.flatnonzero(begins)
        row_of, when, still = np.empty(s, np.int64), np.zeros(s, np.float32), np.zeros(s, np.bool_)
        asked = np.cumsum(np.bincount(row[first], minlength=b) + 1) - 1
        row_of[step[first]], row_of[asked] = row[first], np.arange(b)
        final = np.append(first[1:], len(row)) - 1 if len(first) else first
        when[step[first]], still[step[first]] = hours[final], static[first]
        starts = np.append(0, asked[:-1] + 1)
        place = np.arange(s) - starts[row_of]
        # what is static stands at the time of the row's first fact
        dated = np.where(still, np.nan, when)
        oldest = np.fmax.reduceat(dated, starts)
        when = np.where(still, oldest[row_of], when).astype(np.float32)
        gap = np.where(place > 0, np.append(0, when[:-1]) - when, 0).astype(np.float32)
        code = tokens.code[facts]
        kinds, kind = np.unique(code, return_inverse=True)
        pairs, pair = np.unique(kind * _TENTHS + tokens.tenth[facts], return_inverse=True)
        known, above, above_of, pieces, pieces_of = self._described(kinds)
        return {
            "kinds": known,
            "ancestors": above,
            "ancestors_of": above_of,
            "pieces": pieces,
            "pieces_of": pieces_of,
            "kind": kind.astype(np.int64),
            "pair_kind": pairs // _TENTHS,
            "pair_tenth": pairs % _TENTHS,
            "pair": pair.astype(np.int64),
            "value": np.ascontiguousarray(tokens.value[facts]),
            "step": step,
            "first": np.searchsorted(step, np.arange(s)),
            "row": row_of,
            "place": place,
            "hours": when,
            "gap": np.maximum(gap, 0),
            "since": (oldest[row_of] - when).astype(np.float32),
            "static": still,
            "ask": asked,
            "age": np.asarray(age, np.float32),
            "fact": facts,
            "samples": samples,
        }

    def _described(self, kinds: NDArray[np.int32]) -> tuple[Rows, Rows, Rows, Rows, Rows]:
        """Give of each code its number, what is above it, and the pieces of its description."""
        size = len(self.vocabulary)
        above: list[Sequence[int]] = []
        pieces: list[NDArray[np.int64]] = []
        for number in kinds:
            if number > size:
                parents, cut = self._strangers[number - size - 1]
            else:
                parents, cut = self.vocabulary.parents[number - 1], self.vocabulary.pieces[number - 1]
            above.append(parents)
            pieces.append(cut)
        known = np.where(kinds > size, 0, kinds).astype(np.int64)
        return known, *_joined(above), *_joined(pieces)


def _last_hours(hours: NDArray[np.float32], lengths: Rows) -> NDArray[np.float32]:
    """Give the hours of each row's last fact: (b,); 0 where it has none that has a time."""
    last = np.zeros(len(lengths), np.float32)
    filled = lengths > 0
    last[filled] = hours[np.cumsum(lengths)[filled] - 1]
    return np.nan_to_num(last)


def _joined(each: Sequence[Sequence[int] | Rows]) -> tuple[Rows, Rows]:
    """Put lists one behind the other, with where each begins."""
    lengths = np.fromiter((len(one) for one in each), np.int64, len(each))
    joined = (
        np.concatenate([np.asarray(one, np.int64) for one in each]) if len(each) else np.empty(0, np.int64)
    )
    return joined, np.cumsum(lengths) - lengths
