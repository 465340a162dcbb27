"""Pairs of entities that a relation may hold between, in the windows of a note that is cut into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medloom.learners.text.network import WindowBatch
from medloom.learners.text.windows import Note, Window
from medloom.tasks.relations import Entity

Rows = NDArray[np.int64]
Rule = tuple[str, str, str]
"""A relation's name, and the names of what it is from and to."""


@dataclass(frozen=True)
class Naming:
    """What can be named.

    Attributes:
        places: names of places.
        relations: each with the names of places that it is from and to.
    """

    places: tuple[str, ...]
    relations: tuple[Rule, ...]

    def between(self, head: str, tail: str) -> list[int]:
        """Give the numbers of the relations that may hold from one name to another."""
        return [
            number for number, (_, one, other) in enumerate(self.relations) if (one, other) == (head, tail)
        ]


@dataclass(frozen=True)
class PairWindow:
    """A window of a note, with the entities in it and the pairs of them that are asked about.

    Attributes:
        window: as the encoder reads it.
        marks: (words,) of each word, 1 + which name its place has; 0: none.
        mentions: (m, 3) first word in the window, the one behind the last, and its entity of the window.
        pairs: (p, 2) head and tail, as entities of the window.
        asked: (p, relations) whether it may hold.
        whose: (p, 2) the same as entities of the note.
    """

    window: Window
    marks: Rows
    mentions: Rows
    pairs: Rows
    asked: NDArray[np.bool_]
    whose: Rows


def pair_windows(
    note: Note, windows: Sequence[Window], entities: Sequence[Entity], naming: Naming
) -> Iterator[PairWindow]:
    """Find the pairs of entities in each window that has any."""
    placed = [
        (number, naming.places.index(one.name), *_words(note, mention.start, mention.end))
        for number, one in enumerate(entities)
        for mention in one.mentions
        if one.name in naming.places
    ]
    for window in windows:
        here = [
            (number, name, first - window.first, last - window.first)
            for number, name, first, last in placed
            if window.first <= first < last <= window.last
        ]
        inside = sorted({number for number, *_ in here})
        pairs = [
            (head, tail, numbers)
            for head in inside
            for tail in inside
            if head != tail and (numbers := naming.between(entities[head].name, entities[tail].name))
        ]
        if not pairs:
            continue
        own = {number: place for place, number in enumerate(inside)}
        marks = np.zeros(window.last - window.first, np.int64)
        for _, name, first, last in here:
            marks[first:last] = 1 + name
        asked = np.zeros((len(pairs), len(naming.relations)), np.bool_)
        for place, (_, _, numbers) in enumerate(pairs):
            asked[place, numbers] = True
        whose = np.array([(head, tail) for head, tail, _ in pairs], np.int64)
        mentions = np.array([(first, last, own[number]) for number, _, first, last in here], np.int64)
        among = np.array([(own[head], own[tail]) for head, tail, _ in pairs], np.int64)
        yield PairWindow(window, marks, mentions, among, asked, whose)


class PairBatch(NamedTuple):
    """Windows with pairs of entities.

    Attributes:
        windows: (b, t) as the encoder reads them.
        marks: (b, t) of each token, 1 + which name its word's place has; 0: none.
        words: (m, l) words of each mention, as places among all words (b · w), filled up with 0.
        filled: (m, l) whether there is a word.
        mentions: (e, k) mentions of each entity of the batch, filled up with 0.
        named: (e, k) whether there is a mention.
        first: (e,) its first word in its window.
        pairs: (p, 2) head and tail, as entities of the batch.
        rows: (p,) the window that each is in.
        asked: (p, relations) whether it may hold.
    """

    windows: WindowBatch
    marks: Tensor
    words: Tensor
    filled: Tensor
    mentions: Tensor
    named: Tensor
    first: Tensor
    pairs: Tensor
    rows: Tensor
    asked: Tensor

    @classmethod
    def of(cls, some: Sequence[PairWindow], fill: int) -> PairBatch:
        """Put windows side by side."""
        windows = WindowBatch.of([one.window for one in some], fill)
        width = windows.heads.shape[1]
        marks = np.zeros(tuple(windows.ids.shape), np.int64)
        words: list[list[int]] = []
        mentions: list[list[int]] = []
        first: list[int] = []
        pairs, rows, asked = [], [], []
        for row, one in enumerate(some):
            heads = one.window.heads
            lengths = np.diff([*heads, len(one.window.ids) - 1])
            marks[row, heads[0] : heads[0] + lengths.sum()] = np.repeat(one.marks, lengths)
            base = len(mentions)
            count = int(one.mentions[:, 2].max()) + 1
            mentions += [[] for _ in range(count)]
            first += [width] * count
            for start, end, entity in one.mentions.tolist():
                mentions[base + entity].append(len(words))
                first[base + entity] = min(first[base + entity], start)
                words.append([row * width + place for place in range(start, end)])
            pairs.append(one.pairs + base)
            rows += [row] * len(one.pairs)
            asked.append(one.asked)
        padded, filled = _padded(words)
        grouped, named = _padded(mentions)
        arrays = (marks, padded, filled, grouped, named, np.array(first, np.int64))
        told = (np.concatenate(pairs), np.array(rows, np.int64), np.concatenate(asked))
        return cls(windows, *(torch.from_numpy(one) for one in (*arrays, *told)))

    def to(self, device: torch.device) -> PairBatch:
        """Bring it to a device."""
        windows = WindowBatch(*(one.to(device) for one in self.windows))
        return PairBatch(windows, *(one.to(device) for one in self[1:]))


def _words(note: Note, start: int, end: int) -> tuple[int, int]:
    """Give the first word that a place touches, and the one behind the last."""
    first = int(np.searchsorted(note.words[:, 1], start, "right"))
    return first, int(np.searchsorted(note.words[:, 0], end, "left"))


def _padded(lists: Sequence[Sequence[int]]) -> tuple[Rows, NDArray[np.bool_]]:
    longest = max(map(len, lists))
    values = np.array([[*one, *[0] * (longest - len(one))] for one in lists], np.int64)
    return values, np.arange(longest) < np.array([[len(one)] for one in lists])
