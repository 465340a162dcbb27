"""How the linear tagger reads a note: in rows of words with their clues, and the tags that it learns of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medloom.learners.text.tagging.chains import Tags
from medloom.learners.text.tagging.clues import clues_of
from medloom.learners.text.tagging.layout import begins_of_lines, layout_clues
from medloom.learners.text.words import Ranges

_LONGEST: Final = 400  # words of a row at most
_ENDS: Final = frozenset(".。!！?？;；")


@dataclass(frozen=True)
class Reading:
    """How notes are read.

    Attributes:
        lines: whether a line is a row, and its layout gives clues; else a sentence is.
        ends: whether the last word of a span has a tag of its own (BIOES), or is like those before it (BIO).
    """

    lines: bool = False
    ends: bool = True

    def pieces(self, text: str, words: Ranges) -> list[tuple[int, int, list[list[str]]]]:
        """Cut a text into rows: first word, the one behind the last, and the clues of each word."""
        clues = clues_of(text, words)
        cuts = frozenset(begins_of_lines(text, words)) if self.lines else frozenset()
        if self.lines:
            for one, more in zip(clues, layout_clues(text, words), strict=True):
                one += more
        found, first = [], 0
        for place, (start, end) in enumerate(words.tolist(), 1):
            if self.lines:
                ended = place in cuts
            else:
                alone = place == len(words) or words[place, 0] > end or ord(text[start]) > 127
                ended = text[start:end] in _ENDS and alone
            if ended or place - first == _LONGEST or place == len(words):
                found.append((first, place, clues[first:place]))
                first = place
        return found

    def learned(self, tags: Tags) -> list[str]:
        """Name the tags (n,) of a row as they are learned."""
        return [str(tag) for tag in (tags if self.ends else _opened(tags))]

    def tags(self, said: Sequence[str]) -> Tags:
        """Give the tags (n,) that are meant by those said of a row; what goes on from nothing is outside.

        >>> Reading(ends=False).tags(["1", "2", "0", "1", "2", "2", "6"]).tolist()
        [1, 3, 0, 1, 2, 3, 0]
        """
        tags = np.array([int(one) for one in said], np.int64)
        if self.ends:
            return tags
        before = 0
        for place, tag in enumerate(tags.tolist()):
            if _is_inside(tag) and before not in (tag - 1, tag):
                tags[place] = 0
            before = int(tags[place])
        for place, tag in enumerate(tags.tolist()):
            following = tags[place + 1] if place + 1 < len(tags) else 0
            if tag and following != (tag if _is_inside(tag) else tag + 1):
                tags[place] += 1 if _is_inside(tag) else 3
        return tags


def _is_inside(tag: int) -> bool:
    return tag > 0 and (tag - 1) % 4 == 1


def _opened(tags: Tags) -> Tags:
    """Write BIOES as BIO."""
    kinds = np.where(tags > 0, (tags - 1) % 4, -1)
    opened: Tags = tags - np.where(kinds == 2, 1, 0) - np.where(kinds == 3, 3, 0)
    return opened
