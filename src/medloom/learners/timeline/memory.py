"""What a body remembers of timelines it has read, so that it reads on fact by fact, in many futures of each at once.

Keys and values of a history are kept once, whatever the number of its futures; each future adds its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.body import Side, Size, TimelineBody, Turning, told_times


class Memory:
    """The histories of b patients, each with the same number of futures.

    Attributes:
        last: (b, width) what was known at each history's last fact; of one without facts, where it is asked.
    """

    def __init__(self, body: TimelineBody, batch: TimelineBatch, futures: int, room: int) -> None:
        """Read histories.

        Args:
            body: causal.
            batch: the histories; each fact is a step.
            futures: of each history.
            room: facts that each future may add.
        """
        self._body, self._futures = body, futures
        sides = [_Kept(batch, body.config.size) for _ in body.blocks]
        read = body.through(body.steps(batch), sides)
        asked = batch.place[batch.ask]
        self.last = read[batch.ask - (asked > 0).long()]
        held = torch.arange(int(asked.max()) + 1)[None] < asked[:, None].clamp(min=1)
        self._layers = [_Layer(side, held, futures, room) for side in sides]
        self._place, self._age = asked, batch.age
        first = batch.ask - asked
        self._oldest = batch.hours[first]
        self._read = 0

    def keep(self, patients: Tensor) -> None:
        """Forget all but some patients (k,), places among those that are still kept."""
        for layer in self._layers:
            layer.keep(patients)
        self._place, self._age, self._oldest = (
            one[patients] for one in (self._place, self._age, self._oldest)
        )

    def read_on(self, coded: Tensor, tenth: Tensor, slope: Tensor, hours: Tensor, gap: Tensor) -> Tensor:
        """Read one more fact in each future: (b * futures, width).

        Args:
            coded: (b * futures, width) embedded codes.
            tenth: (b * futures,) of the codes' values.
            slope: (b * futures, width) what values add.
            hours: (b * futures,) after the prediction time.
            gap: (b * futures,) hours since the fact before.
        """
        body, m = self._body, self._futures
        oldest, age, place = (
            one.repeat_interleave(m) for one in (self._oldest, self._age, self._place + self._read)
        )
        nothing, once = torch.zeros_like(hours), torch.ones_like(hours)
        times = told_times(gap, (oldest + hours).clamp(min=0), age, nothing, nothing, once)
        x = body.mixed(body.facts.measured(coded, tenth) + slope + body.times(times))
        turning = Turning(place, -hours, body.config.size)
        self._read += 1
        for layer in self._layers:
            layer.turning = turning
        return body.through(x, self._layers)


class _Kept(Side):
    """Attends as usual, and keeps keys and values: (b, heads, longest, d)."""

    def __init__(self, batch: TimelineBatch, size: Size) -> None:
        super().__init__(batch, size)
        self.key = self.value = torch.empty(0)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        self.key, self.value = self.beside(self.turned(key)), self.beside(value)
        return super().attend(query, key, value, causal)


class _Layer:
    """Keys and values of one block: of histories (b, heads, l, d), and of futures (b, heads, m, room, d)."""

    turning: Turning

    def __init__(self, kept: _Kept, held: Tensor, futures: int, room: int) -> None:
        self._key, self._value = kept.key, kept.value
        self._unheld = ~held[:, None, None, :]
        b, heads, _, d = self._key.shape
        self._own_key = self._key.new_empty(b, heads, futures, room, d)
        self._own_value = torch.empty_like(self._own_key)
        self._read = 0

    def keep(self, patients: Tensor) -> None:
        self._key, self._value, self._unheld = (
            one[patients] for one in (self._key, self._value, self._unheld)
        )
        self._own_key, self._own_value = self._own_key[patients], self._own_value[patients]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        """Let the fact just read look at its history, at the facts before it in its future, and at itself."""
        b, heads, m, _, d = self._own_key.shape

        def by_patient(x: Tensor) -> Tensor:
            return x.view(b, m, heads, d).transpose(1, 2)

        asked = by_patient(self.turning.turned(query)) / math.sqrt(d)
        self._own_key[:, :, :, self._read] = by_patient(self.turning.turned(key))
        self._own_value[:, :, :, self._read] = by_patient(value)
        self._read += 1
        own_key, own_value = (one[:, :, :, : self._read] for one in (self._own_key, self._own_value))
        before = (asked @ self._key.transpose(2, 3)).masked_fill(self._unheld, -torch.inf)
        since = (own_key @ asked[..., None])[..., 0]
        weights = torch.cat([before, since], -1).softmax(-1)
        length = before.shape[-1]
        seen = weights[..., :length] @ self._value
        seen = seen + (weights[..., None, length:] @ own_value)[..., 0, :]
        return seen.transpose(1, 2).reshape(b * m, heads * d)
