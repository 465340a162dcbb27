"""Teaching a network to tag: windows of notes as rows of the engine, and how well it is judged to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.learners.text.network import WindowBatch, on_device_of
from medloom.learners.text.tagging.chains import Chain, Floats, best_row, closed
from medloom.learners.text.tagging.network import TagNetwork
from medloom.learners.text.tagging.parts import joined
from medloom.learners.text.tagging.places import together
from medloom.learners.text.windows import Note, Window, Windowing
from medloom.tasks.spans import Span
from medloom.tasks.tagging import Tagged

if TYPE_CHECKING:
    from medloom.learners.text.encoders import Vocabulary

Rows = NDArray[np.int64]
TagBatch = tuple[WindowBatch, list[Tensor]]
"""Windows, and of each chain the tags of their words, (b, w)."""

_TOGETHER = 32  # windows that are read at once


@dataclass(frozen=True)
class Taught:
    """Notes to learn from, or to be judged by.

    Attributes:
        notes: cut into words.
        spans: of each note.
    """

    notes: tuple[Note, ...]
    spans: tuple[tuple[Span, ...], ...]


class TagRows:
    """Windows of notes, with the tags of their words.

    Args:
        taught: notes and their spans.
        chains: names that are tagged together.
        vocabulary: of the encoder.
        windowing: how notes are cut.
    """

    def __init__(
        self, taught: Taught, chains: Sequence[Chain], vocabulary: Vocabulary, windowing: Windowing
    ) -> None:
        self._fill = vocabulary.fill
        self._windows: list[Window] = []
        self._tags: list[list[Rows]] = []
        for note, spans in zip(taught.notes, taught.spans, strict=True):
            whole = [chain.tagged(note.words, spans) for chain in chains]
            for window in windowing.of(note, vocabulary):
                self._windows.append(window)
                self._tags.append([closed(one[window.first : window.last]) for one in whole])
        self._lengths = np.array([len(one.ids) for one in self._windows], np.int64)

    @property
    def lengths(self) -> Rows:
        return self._lengths

    def batch(self, rows: Rows, rng: np.random.Generator) -> TagBatch:
        del rng
        batch = WindowBatch.of([self._windows[row] for row in rows], self._fill)
        tags = []
        for chain in range(len(self._tags[0])):
            filled = np.zeros(tuple(batch.words.shape), np.int64)
            for place, row in enumerate(rows):
                one = self._tags[row][chain]
                filled[place, : len(one)] = one
            tags.append(torch.from_numpy(filled))
        return batch, tags


def tag_losses(network: nn.Module, given: TagBatch) -> Tensor:
    """Give the loss of each window: (b,)."""
    assert isinstance(network, TagNetwork)
    return network.losses(*given)


def scores_of(
    network: TagNetwork, notes: Sequence[Note], vocabulary: Vocabulary, windowing: Windowing
) -> list[list[Floats]]:
    """Score the tags of notes: of each note, of each chain, (words, tags)."""
    cut = [windowing.of(note, vocabulary) for note in notes]
    windows = [(number, window) for number, some in enumerate(cut) for window in some]
    windows.sort(key=lambda one: len(one[1].ids))
    said: list[list[tuple[Window, list[Floats]]]] = [[] for _ in notes]
    with torch.inference_mode():
        for first in range(0, len(windows), _TOGETHER):
            some = windows[first : first + _TOGETHER]
            batch = WindowBatch.of([window for _, window in some], vocabulary.fill)
            scores = network(on_device_of(network, batch))
            for row, (number, window) in enumerate(some):
                own = [one[row, : len(window.heads)].double().cpu().numpy() for one in scores]
                said[number].append((window, own))
    return [together(some, network.sizes) for some in said]


def judged_by(
    taught: Taught, chains: Sequence[Chain], vocabulary: Vocabulary, windowing: Windowing
) -> _Judge:
    """Give what judges a network: the share of spans, right in place and name, that is missing to all (1 - F1)."""
    return _Judge(taught, tuple(chains), vocabulary, windowing)


@dataclass(frozen=True)
class _Judge:
    taught: Taught
    chains: tuple[Chain, ...]
    vocabulary: Vocabulary
    windowing: Windowing

    def __call__(self, network: nn.Module) -> float:
        assert isinstance(network, TagNetwork)
        said = scores_of(network, self.taught.notes, self.vocabulary, self.windowing)
        moves = network.all_moves()
        names = {name for chain in self.chains for name in chain.names}
        right = found = there = 0
        for note, scores, spans in zip(self.taught.notes, said, self.taught.spans, strict=True):
            known = {span for span in spans if span.name in names}
            named = [
                Tagged(span, 1.0)
                for chain, own, one in zip(self.chains, scores, moves, strict=True)
                for span, _, _ in chain.spans(note.words, best_row(own, one))
            ]
            made = {one.span for one in joined(note.text, named)}
            right += len(known & made)
            found += len(made)
            there += len(known)
        return 1.0 - 2 * right / max(1, found + there)
