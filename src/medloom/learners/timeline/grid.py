"""Timelines as a grid: a row of numbers a step, one for each measured code, and one for each other that is common.

What networks read that were made for series (recurrent ones, convolutions). A code that is not measured in a step has
its last value and how long ago that was; what has no value (diagnoses, drugs) is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.learners.timeline.batches import TimelineBatch

MOST_MEASURED: Final = 256  # codes with a place of their own, the most frequent
MOST_COUNTED: Final = 256
TIMES: Final = 4
_NONE: Final = -1


@dataclass(frozen=True)
class Grid:
    """b rows side by side, filled up at their ends to t steps; m measured codes, c others.

    Attributes:
        value: (t, b, m) mean value of each step, times how much of it is shown; 0: none, or an ordinary one.
        shown: (t, b, m) how much of it is shown, from 0 (not measured) to 1.
        count: (t, b, c) logarithm of 1 + how often; the first is of all codes that have no place.
        hours: (t, b) since the step before.
        times: (t, b, 4) what is told of each step itself.
        still: (b, 2 m + c + 2) what has no time: values, whether shown, counts; and age.
        ask: (b,) the step at which each row is asked.
    """

    value: Tensor
    shown: Tensor
    count: Tensor
    hours: Tensor
    times: Tensor
    still: Tensor
    ask: Tensor

    def asked(self, read: Tensor) -> Tensor:
        """Take of what is known at each step (t, b, w) what is known when each row is asked: (b, w)."""
        return read[self.ask, torch.arange(len(self.ask), device=read.device)]


class GridReader(nn.Module):
    """Puts the facts of a batch into a grid; learns nothing."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        super().__init__()
        numbers = np.arange(1, len(vocabulary) + 1)
        measured = numbers[vocabulary.measured][:MOST_MEASURED]
        counted = numbers[~vocabulary.measured][:MOST_COUNTED]
        self.m, self.c = len(measured), len(counted) + 1
        self.still = 2 * self.m + self.c + 2
        places, others = np.full(len(vocabulary) + 1, _NONE), np.zeros(len(vocabulary) + 1, np.int64)
        places[measured], others[counted] = np.arange(self.m), np.arange(1, self.c)
        self.register_buffer("place", torch.from_numpy(places), persistent=False)
        self.register_buffer("other", torch.from_numpy(others), persistent=False)

    def forward(self, batch: TimelineBatch, weights: Tensor | None = None) -> Grid:
        """Read a batch; `weights` (n,) say how much each fact counts, from 0 to 1."""
        b, t = batch.rows, int(batch.place.max()) + 1
        cell = batch.place * b + batch.row
        number = batch.kinds[batch.kind]
        column = self.place[number]
        valued = (column != _NONE) & (batch.pair_tenth > 0)[batch.pair]
        weight = torch.ones_like(batch.value) if weights is None else weights
        size = t * b * self.m
        where = cell[batch.step[valued]] * self.m + column[valued]
        many = torch.bincount(where, minlength=size).clamp(min=1).to(weight.dtype)
        value = weight.new_zeros(size).index_add(0, where, weight[valued] * batch.value[valued]) / many
        shown = weight.new_zeros(size).index_add(0, where, weight[valued]) / many
        where = cell[batch.step[~valued]] * self.c + self.other[number[~valued]]
        count = weight.new_zeros(t * b * self.c).index_add(0, where, weight[~valued]).log1p()
        value, shown, count = (one.view(t, b, -1) for one in (value, shown, count))
        hours = _filled(batch.gap, cell, t, b)
        static = _filled(batch.static.to(weight.dtype), cell, t, b)
        asked = torch.zeros_like(batch.gap)
        asked[batch.ask] = 1
        times = torch.stack(
            [hours.log1p() / 4, (hours / 24).log1p() / 4, static, _filled(asked, cell, t, b)], -1
        )
        unknown = torch.isnan(batch.age)
        age = torch.where(unknown, torch.zeros_like(batch.age), batch.age / 50 - 1)
        still = (torch.cat([value, shown, count], -1) * static[..., None]).sum(0)
        return Grid(
            value,
            shown,
            count,
            hours,
            times,
            torch.cat([still, torch.stack([age, unknown.to(age.dtype)], 1)], 1),
            batch.place[batch.ask],
        )


def carried(grid: Grid) -> tuple[Tensor, Tensor]:
    """Give at each step the last value of each code, this step's included, and the hours since the one before.

    Returns:
        last: (t, b, m) 0 where there was none yet.
        since: (t, b, m) hours since the code was measured before this step, or since the first step.
    """
    last, since = torch.zeros_like(grid.value[0]), torch.zeros_like(grid.value[0])
    lasts, sinces = [], []
    missing = 1 - grid.shown
    lacking = torch.ones_like(missing[0])  # how much of each code the step before lacked
    for value, hours, lacks in zip(grid.value, grid.hours[..., None], missing, strict=True):
        since = hours + lacking * since
        last = value + lacks * last
        lacking = lacks
        lasts.append(last)
        sinces.append(since)
    return torch.stack(lasts), torch.stack(sinces)


class StepInputs(nn.Module):
    """Describes each step of a grid by a vector: last values, what was measured, how long ago, counts, times."""

    def __init__(self, vocabulary: TokenVocabulary, width: int, dropout: float) -> None:
        super().__init__()
        self.read = GridReader(vocabulary)
        self.of_steps = nn.Linear(3 * self.read.m + self.read.c + TIMES, width)
        self.of_row = nn.Linear(self.read.still, width, bias=False)
        self.left_out = nn.Dropout(dropout)

    def forward(self, batch: TimelineBatch, weights: Tensor | None = None) -> tuple[Tensor, Grid]:
        """Describe a batch: (t, b, width), and its grid."""
        grid = self.read(batch, weights)
        last, since = carried(grid)
        each = torch.cat([last, grid.shown, since.log1p() / 4, grid.count, grid.times], -1)
        described: Tensor = self.left_out(self.of_steps(each) + self.of_row(grid.still))
        return described, grid


def _filled(each: Tensor, cell: Tensor, t: int, b: int) -> Tensor:
    """Put one number a step (s,) side by side: (t, b)."""
    return each.new_zeros(t * b).index_copy(0, cell, each).view(t, b)
