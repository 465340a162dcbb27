"""From what is scored of the words of windows to the places of a note, and how sure a tagger is of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloom.learners.text.tagging.chains import Chain, Floats, best_row, chances
from medloom.learners.text.tagging.parts import joined
from medloom.learners.text.windows import Note, Window, merged
from medloom.tasks.tagging import Tagged


def together(said: Sequence[tuple[Window, Sequence[Floats]]], sizes: Sequence[int]) -> list[Floats]:
    """Put the scores of a note's windows together: of each chain (words, tags).

    Args:
        said: windows in any order, each with its scores, of each chain (words of the window, tags).
        sizes: of chains, their tags: a note without words has no windows.
    """
    if not said:
        return [np.zeros((0, size)) for size in sizes]
    ordered = sorted(said, key=lambda one: one[0].first)
    windows = [window for window, _ in ordered]
    return [merged(windows, [scores[chain] for _, scores in ordered]) for chain in range(len(sizes))]


def tagged(
    note: Note, chains: Sequence[Chain], scores: Sequence[Floats], moves: Sequence[Floats]
) -> tuple[Tagged, ...]:
    """Name the places of a note by the best row of tags of each chain.

    How sure it is of a place is the least chance of the tags of its words.

    Args:
        note: cut into words.
        chains: names that are tagged together.
        scores: of each chain (words, tags).
        moves: of each chain (tags + 1, tags + 1), as of `best_row`.
    """
    found: list[Tagged] = []
    for chain, own, after in zip(chains, scores, moves, strict=True):
        row = best_row(own, after)
        spans = chain.spans(note.words, row)
        sure = chances(own, after)[np.arange(len(row)), row] if spans else np.zeros(0)
        found += [Tagged(one, float(sure[first:last].min())) for one, first, last in spans]
    return tuple(sorted(joined(note.text, found), key=lambda one: one.span))
