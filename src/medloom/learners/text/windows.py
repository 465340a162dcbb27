"""Notes as an encoder reads them: words cut into tokens, in windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medloom.learners.text.encoders import Vocabulary
from medloom.learners.text.words import Ranges, shape_of, words_of

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Note:
    """A text, cut.

    Attributes:
        text: of it.
        words: (n, 2) where each begins and ends.
        tokens: of each word, its numbers in the vocabulary.
        shapes: (n,) how each word is written.
    """

    text: str
    words: Ranges
    tokens: list[list[int]]
    shapes: Numbers

    @classmethod
    def of(cls, text: str, vocabulary: Vocabulary) -> Note:
        """Cut a text."""
        words = words_of(text)
        said = [text[start:end] for start, end in words.tolist()]
        return cls(text, words, vocabulary.cut(said), np.array([shape_of(one) for one in said], np.int64))


@dataclass(frozen=True)
class Window:
    """Some words of a note, as an encoder reads them at once.

    Attributes:
        first: word of the note.
        last: the word behind it.
        ids: (t,) tokens, with those that begin and end it.
        heads: (words,) where each word's first token stands among them.
        shapes: (t,) how the word of each token is written, from 1 on; 0: of none.
    """

    first: int
    last: int
    ids: Numbers
    heads: Numbers
    shapes: Numbers


@dataclass(frozen=True)
class Windowing:
    """How notes are read in pieces.

    Attributes:
        size: tokens of a window at most.
        overlap: tokens that a window shares with the next at least, where the note goes on.
    """

    size: int = 256
    overlap: int = 64

    def of(self, note: Note, vocabulary: Vocabulary) -> list[Window]:
        """Cut a note into windows; an empty note has none."""
        room, found = self.size - 2, []
        lengths = np.array([min(len(one), room) for one in note.tokens], np.int64)
        ends = np.cumsum(lengths)
        first = 0
        while first < len(lengths):
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + room, "right"))
            found.append(_window(note, vocabulary, first, last, room))
            if last == len(lengths):
                break
            following = int(np.searchsorted(ends, int(ends[last - 1]) - self.overlap, "right"))
            first = max(first + 1, min(following, last))
        return found


def _window(note: Note, vocabulary: Vocabulary, first: int, last: int, room: int) -> Window:
    ids, heads, shapes = [vocabulary.begin], [], [0]
    for place in range(first, last):
        heads.append(len(ids))
        cut = note.tokens[place][:room]
        ids += cut
        shapes += [1 + int(note.shapes[place])] * len(cut)
    arrays = (np.array(one, np.int64) for one in ([*ids, vocabulary.end], heads, [*shapes, 0]))
    return Window(first, last, *arrays)


def merged(windows: Sequence[Window], scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Put what was said of each window's words (words, k) together: (n, k).

    Of a word in several windows counts the one in which it stands furthest from an edge.
    """
    total = windows[-1].last
    found = np.zeros((total, scores[0].shape[1]))
    depth = np.full(total, -1)
    for window, said in zip(windows, scores, strict=True):
        places = np.arange(window.first, window.last)
        own = np.minimum(
            np.where(window.first == 0, total, places - window.first),
            np.where(window.last == total, total, window.last - 1 - places),
        )
        better = own > depth[places]
        found[places[better]] = said[better]
        depth[places[better]] = own[better]
    return found
