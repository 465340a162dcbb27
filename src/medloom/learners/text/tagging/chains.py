"""Tags of words in a row, and the spans that they mean: what may follow what, the best row, and how sure it is.

Tags are those of BIOES: a span of one word is S, others begin with B, go on with I and end with E; O is outside.
Best row: Viterbi; how sure: forward and backward sums (Rabiner, Proc. IEEE 1989;77:257-286, section III).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.text.words import Ranges
from medloom.tasks.spans import Span, span

Floats = NDArray[np.float64]
Tags = NDArray[np.int64]

PART: Final = "…"
"""What ends the name of one part of a place that has several."""

FORBIDDEN: Final = -1e4
"""Score of what may not be."""

_LEAST: Final = -300.0  # logarithm; the product of two such odds is still a number


@dataclass(frozen=True)
class Chain:
    """Names whose spans do not overlap, tagged in one row.

    Attributes:
        names: of spans.
    """

    names: tuple[str, ...]

    @property
    def tags(self) -> int:
        """Count the tags: outside, and four of each name."""
        return 1 + 4 * len(self.names)

    def allowed(self) -> NDArray[np.bool_]:
        """Tell what may follow what: (tags + 1, tags + 1), from row to column; the last is the text's edge.

        >>> [row.astype(int).tolist() for row in Chain(("drug",)).allowed()[:2]]
        [[1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]]
        """
        kinds = np.array([*"O", *("BIES" * len(self.names)), "#"])
        whose = np.array([0, *np.repeat(np.arange(len(self.names)), 4), 0])
        inside = np.isin(kinds, ["B", "I"])
        goes_on = np.isin(kinds, ["I", "E"])
        found: NDArray[np.bool_] = np.where(
            inside[:, None], goes_on[None] & (whose[:, None] == whose[None]), ~goes_on[None]
        )
        return found

    def tagged(self, words: Ranges, spans: Sequence[Span]) -> Tags:
        """Give the tags (n,) of words that spans mean.

        A span means every word that it touches; of spans that overlap the longest counts. Of a span of several parts
        each is tagged where parts have a name here, else the first part alone.

        >>> words = np.array([[0, 5], [6, 9], [10, 14]])
        >>> Chain(("drug",)).tagged(words, [span(0, 5, "drug"), span(6, 14, "drug")]).tolist()
        [4, 1, 3]
        """
        tags = np.zeros(len(words), np.int64)
        known = {name: 1 + 4 * place for place, name in enumerate(self.names)}
        parts = [
            (part, known[one.name + PART])
            for one in spans
            if len(one.parts) > 1 and one.name + PART in known
            for part in one.parts
        ]
        parts += [
            (one.parts[0], known[one.name])
            for one in spans
            if one.name in known and (len(one.parts) == 1 or one.name + PART not in known)
        ]
        for (start, end), base in sorted(parts, key=lambda one: one[0][0] - one[0][1]):
            first = int(np.searchsorted(words[:, 1], start, "right"))
            last = int(np.searchsorted(words[:, 0], end, "left"))
            if first >= last or tags[first:last].any():
                continue
            if last - first == 1:
                tags[first] = base + 3
            else:
                tags[first], tags[first + 1 : last - 1], tags[last - 1] = base, base + 1, base + 2
        return tags

    def spans(self, words: Ranges, tags: Tags) -> list[tuple[Span, int, int]]:
        """Give the spans that tags (n,) mean, each with its first word and the one behind its last."""
        found, first = [], 0
        for place, tag in enumerate(tags.tolist()):
            if not tag:
                continue
            name, kind = self.names[(tag - 1) // 4], "BIES"[(tag - 1) % 4]
            if kind in "BS":
                first = place
            if kind in "ES":
                found.append((span(int(words[first, 0]), int(words[place, 1]), name), first, place + 1))
        return found


def closed(tags: Tags) -> Tags:
    """Close the spans that the edges of some words (n,) in a row cut through.

    >>> closed(np.array([2, 3, 0, 1, 2])).tolist()
    [1, 3, 0, 1, 3]
    """
    cut = tags.copy()
    if len(cut) and cut[0] and (cut[0] - 1) % 4 in (1, 2):  # goes on from before
        cut[0] += -1 if (cut[0] - 1) % 4 == 1 else 1
    if len(cut) and cut[-1] and (cut[-1] - 1) % 4 in (0, 1):  # goes on behind
        cut[-1] += 3 if (cut[-1] - 1) % 4 == 0 else 1
    return cut


def best_row(scores: Floats, moves: Floats) -> Tags:
    """Find the row of tags (n,) that scores highest.

    Args:
        scores: (n, tags) of each word.
        moves: (tags + 1, tags + 1) of each tag behind another; the last is the text's edge.
    """
    n, k = scores.shape
    if not n:
        return np.zeros(0, np.int64)
    inner, back = moves[:k, :k], np.zeros((n, k), np.int64)
    reached = scores[0] + moves[k, :k]
    for place in range(1, n):
        ways = reached[:, None] + inner
        back[place] = ways.argmax(0)
        reached = ways[back[place], np.arange(k)] + scores[place]
    row = np.zeros(n, np.int64)
    row[-1] = int((reached + moves[:k, k]).argmax())
    for place in range(n - 1, 0, -1):
        row[place - 1] = back[place, row[place]]
    return row


def chances(scores: Floats, moves: Floats) -> Floats:
    """Give the chance of each tag of each word: (n, tags); arguments as of `best_row`."""
    n, k = scores.shape
    if not n:
        return np.zeros((0, k))
    step, first, ends = _odds(moves[:k, :k]), _odds(moves[k, :k]), _odds(moves[:k, k])
    said = np.exp(np.maximum(scores - scores.max(1, keepdims=True), _LEAST))
    forward, backward = np.empty((n, k)), np.empty((n, k))
    reached = said[0] * first
    forward[0] = reached / reached.sum()
    for place in range(1, n):
        reached = (forward[place - 1] @ step) * said[place]
        forward[place] = reached / reached.sum()
    backward[-1] = ends / ends.sum()
    for place in range(n - 2, -1, -1):
        reached = step @ (said[place + 1] * backward[place + 1])
        backward[place] = reached / reached.sum()
    both = forward * backward
    found: Floats = both / np.maximum(both.sum(1, keepdims=True), np.finfo(np.float64).tiny)
    return found


def _odds(moves: Floats) -> Floats:
    """Give e to the power of moves; of what may not be, 0."""
    odds: Floats = np.where(moves > FORBIDDEN, np.exp(np.maximum(moves, _LEAST)), 0.0)
    return odds
