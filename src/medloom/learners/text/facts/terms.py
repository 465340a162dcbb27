"""A dictionary of terms, looked for in texts: the longest that begins at a word, in time linear in the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from medloom.learners.text.facts.folding import folded, tokens
from medloom.learners.text.facts.mentions import Kind

LONGEST = 14
"""Words of a term at most: what is longer is a definition that no note says."""


class Term(NamedTuple):
    """What a name means.

    Attributes:
        code: `SYSTEM//code`.
        kind: of thing.
        confidence: that who writes the name means this, from 0 to 1.
        capital: whether the name means this only where it begins with a capital letter.
    """

    code: str
    kind: Kind
    confidence: float
    capital: bool = False


@dataclass(frozen=True)
class Found:
    """A term in a text: what it may mean, and where it stands."""

    meanings: tuple[Term, ...]
    start: int
    end: int


class Terms:
    """Names and what they mean; of a name said of several things of one kind, what was added first counts.

    >>> terms = Terms([("diabetes", Term("ICD10CM//E11.9", "problem", 0.9)),
    ...                ("diabetes insipidus", Term("ICD10CM//E23.2", "problem", 0.9))])
    >>> [(one.meanings[0].code, one.start, one.end) for one in terms.find("Diabetes insipidus; diabetes")]
    [('ICD10CM//E23.2', 0, 18), ('ICD10CM//E11.9', 20, 28)]
    """

    def __init__(self, names: Iterable[tuple[str, Term]]) -> None:
        self._meanings: dict[str, tuple[Term, ...]] = {}
        lengths: dict[tuple[str, str], set[int]] = {}
        for name, term in names:
            words = [word for word, _, _ in tokens(folded(name)) if word]
            if not words or len(words) > LONGEST:
                continue
            key = " ".join(words)
            known = self._meanings.get(key, ())
            if any(one.kind == term.kind for one in known):
                continue
            self._meanings[key] = (*known, term)
            if len(words) > 1:
                lengths.setdefault((words[0], words[1]), set()).add(len(words))
        self._lengths = {pair: (*sorted(some, reverse=True), 1) for pair, some in lengths.items()}

    def __len__(self) -> int:
        return len(self._meanings)

    def meanings(self, name: str) -> tuple[Term, ...]:
        """Give what a name means; nothing: it is unknown."""
        return self._meanings.get(" ".join(word for word, _, _ in tokens(folded(name)) if word), ())

    def find(self, text: str) -> Iterator[Found]:
        """Find terms from left to right, none inside another one."""
        words = [*tokens(folded(text)), _LAST]
        at, total = 0, len(words) - 1
        while at < total:
            for length in self._lengths.get((words[at][0], words[at + 1][0]), _ALONE):
                last = at + length
                if last > total:
                    continue
                meanings = self._meanings.get(" ".join([word for word, _, _ in words[at:last]]))
                if meanings is not None and meanings[0].capital:
                    first = text[words[at][1]]
                    meanings = tuple(one for one in meanings if not one.capital or first.lower() != first)
                if meanings:
                    yield Found(meanings, words[at][1], words[last - 1][2])
                    at = last
                    break
            else:
                at += 1


_ALONE: Final = (1,)
_LAST: Final = ("", 0, 0)
