"""What a relation between two entities of a text is known by: clues, by name, in any language.

Words between and beside mentions in the same sentence, the words of the entities, how far apart and how often they are
named, and who else is (as Zhou et al., Database 2016;baw048, and Gu et al., Database 2017;bax024, describe pairs).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from medloom.learners.text.words import words_of
from medloom.record.notes.sentences import sentences
from medloom.tasks.relations import Entity

Clues = dict[str, float]
Rule = tuple[str, str, str]
"""A relation's name, and the names of what it is from and to."""

_REACH: Final = 12  # sentences between the nearest mentions at most
_CLOSE: Final = 12  # words between, up to which they count one by one and in pairs
_WHOLE: Final = 4  # up to which they count as a whole


@dataclass(frozen=True)
class Pair:
    """Two entities that relations may hold between.

    Attributes:
        head: its place among the entities.
        tail: its place.
        rules: numbers of the relations that may hold.
        clues: by name.
    """

    head: int
    tail: int
    rules: tuple[int, ...]
    clues: Clues


def pairs_of(text: str, entities: Sequence[Entity], rules: Sequence[Rule]) -> Iterator[Pair]:
    """Give the pairs of entities that relations may hold between; those further apart than 12 sentences are left out.

    >>> from medloom.tasks.spans import span
    >>> drug, rash = Entity((span(0, 7, "drug"),)), Entity((span(15, 19, "effect"),))
    >>> (one,) = pairs_of("Aspirin caused rash.", [drug, rash], [("causes", "drug", "effect")])
    >>> one.clues["between> caused"], one.clues["words apart"] == math.log1p(1)
    (1.0, True)
    """
    if len(entities) < 2:
        return
    read = _Text(text, entities)
    allowed: dict[tuple[str, str], list[int]] = {}
    for number, (_, head, tail) in enumerate(rules):
        allowed.setdefault((head, tail), []).append(number)
    for (head, tail), numbers in allowed.items():
        for one in read.named(head):
            for other in read.near(one, tail):
                yield Pair(one, other, tuple(numbers), read.clues(one, other))


@dataclass(frozen=True, order=True)
class _Mention:
    """A place in words: the first, the one behind the last, and its sentence."""

    first: int
    last: int
    sentence: int


class _Text:
    """A text with entities, cut into words and sentences."""

    def __init__(self, text: str, entities: Sequence[Entity]) -> None:
        words = words_of(text)
        cut = sentences(text)
        ends = [end for _, end in cut]
        self._low = [text[start:end].lower() for start, end in words.tolist()]
        self._said = [*self._low]
        self._names = [one.name for one in entities]
        self._mentions: list[list[_Mention]] = []
        for entity in entities:
            own = []
            for mention in entity.mentions:
                first = int(np.searchsorted(words[:, 1], mention.start, "right"))
                last = max(first + 1, int(np.searchsorted(words[:, 0], mention.end, "left")))
                own.append(_Mention(first, last, bisect_right(ends, mention.start)))
                for place in range(first, min(last, len(self._said))):
                    self._said[place] = f"<{entity.name}>"
            self._mentions.append(sorted(own))
        self._sentences = len(cut)
        self._by_name: dict[str, list[int]] = {}
        for number, name in enumerate(self._names):
            self._by_name.setdefault(name, []).append(number)
        self._rank: dict[int, int] = {}
        self._often: dict[str, int] = {}
        self._placed: dict[str, list[tuple[int, int]]] = {}
        for name, numbers in self._by_name.items():
            ordered = sorted(numbers, key=lambda one: (-len(self._mentions[one]), self._mentions[one][0]))
            self._rank |= {one: rank for rank, one in enumerate(ordered)}
            self._often[name] = sum(len(self._mentions[one]) for one in numbers)
            self._placed[name] = sorted(
                (mention.sentence, one) for one in numbers for mention in self._mentions[one]
            )

    def named(self, name: str) -> list[int]:
        """Give the entities of a name."""
        return self._by_name.get(name, [])

    def near(self, head: int, tail: str) -> list[int]:
        """Give the entities of a name that stand near enough to another, but it."""
        placed = self._placed.get(tail, [])
        found: set[int] = set()
        for sentence in {one.sentence for one in self._mentions[head]}:
            first = bisect_left(placed, (sentence - _REACH, 0))
            last = bisect_left(placed, (sentence + _REACH + 1, 0))
            found.update(one for _, one in placed[first:last])
        return sorted(found - {head})

    def clues(self, head: int, tail: int) -> Clues:
        """Tell the clues of two entities."""
        found: Clues = {}
        mine, theirs = self._mentions[head], self._mentions[tail]
        by_sentence: dict[int, list[_Mention]] = {}
        for other in theirs:
            by_sentence.setdefault(other.sentence, []).append(other)
        together = [(one, other) for one in mine for other in by_sentence.get(one.sentence, ())]
        for one, other in together:
            self._between(one, other, found)
        apart, words, forward = self._nearest(mine, theirs)
        found["sentences apart"] = apart
        found["words apart"] = math.log1p(words)
        found["head first"] = float(forward)
        found["together"] = len(together)
        found["in a sentence"] = float(bool(together))
        for side, number, own in (("head", head, mine), ("tail", tail, theirs)):
            self._about(side, number, own, found)
        found["rivals"] = self._rivals(head, {other.sentence for other in theirs})
        return found

    def _between(self, one: _Mention, other: _Mention, found: Clues) -> None:
        low, high = (one, other) if one < other else (other, one)
        way = ">" if one < other else "<"
        words = self._said[low.last : high.first]
        if len(words) <= _CLOSE:
            for word in words:
                found[f"between{way} {word}"] = 1.0
            for word, after in pairwise(words):
                found[f"between{way} {word} {after}"] = 1.0
            if len(words) <= _WHOLE:
                found[f"all{way} {' '.join(words)}"] = 1.0
        else:
            for word in words:
                found[f"far{way} {word}"] = 1.0
        for word in self._said[max(0, low.first - 3) : low.first]:
            found[f"before{way} {word}"] = 1.0
        end = max(low.last, high.last)
        for word in self._said[end : end + 3]:
            found[f"behind{way} {word}"] = 1.0

    def _about(self, side: str, number: int, own: Sequence[_Mention], found: Clues) -> None:
        before, behind = (2, 3) if side == "head" else (3, 2)
        for one in own:
            for word in self._said[max(0, one.first - before) : one.first]:
                name = f"{side} after {word}"
                found[name] = found.get(name, 0.0) + 1.0
            for word in self._said[one.last : one.last + behind]:
                name = f"{side} then {word}"
                found[name] = found.get(name, 0.0) + 1.0
            for word in self._low[one.first : one.last]:
                found[f"{side} is {word}"] = 1.0
        name = self._names[number]
        found[f"{side} mentions"] = len(own)
        found[f"{side} rank"] = self._rank[number]
        found[f"{side} others"] = len(self._by_name[name])
        found[f"{side} share"] = len(own) / self._often[name]
        found[f"{side} in the first sentence"] = float(own[0].sentence == 0)
        found[f"{side} in the last sentences"] = float(own[-1].sentence >= self._sentences - 2)
        found[f"{side} begins"] = own[0].first / max(1, len(self._low))

    def _nearest(self, mine: Sequence[_Mention], theirs: Sequence[_Mention]) -> tuple[int, int, bool]:
        """Give sentences and words between the nearest mentions, and whether the head's stands first."""
        best: tuple[int, int, bool] | None = None
        for one in mine:
            place = bisect_left(theirs, one)
            for other in theirs[max(0, place - 1) : place + 1]:
                words = other.first - one.last if one < other else one.first - other.last
                told = (abs(one.sentence - other.sentence), max(0, words), one < other)
                best = told if best is None or told[:2] < best[:2] else best
        assert best is not None
        return best

    def _rivals(self, head: int, within: set[int]) -> int:
        """Count the other entities of the head's name that stand in some sentences."""
        placed = self._placed[self._names[head]]
        found: set[int] = set()
        for sentence in within:
            first, last = bisect_left(placed, (sentence, 0)), bisect_left(placed, (sentence + 1, 0))
            found.update(one for _, one in placed[first:last])
        return len(found - {head})
