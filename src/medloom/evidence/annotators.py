"""How far people agree who marked places in the same notes, each for themselves.

Of places F1 between two persons, which needs no count of what both left unmarked (Hripcsak and Rothschild, J Am Med
Inform Assoc 2005;12:296-298): strict, where place and name are the same to the character; and touching, where it is
enough that places of one name overlap. Of words Cohen's kappa (Educ Psychol Meas 1960;20:37-46), the category of a word
being all names of the places that cover it, or none. Intervals are percentiles over resampled subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.agreement import meaning
from medloom.evidence.estimate import Estimate
from medloom.evidence.intervals import REPLICATES, bootstrap, estimate
from medloom.evidence.metrics import FEWEST_SUBJECTS
from medloom.evidence.tally import Floats, ratio
from medloom.foundation.messages import Text2, text2
from medloom.tasks.spans import Span

_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class MarkedNote:
    """A note that several persons marked.

    Attributes:
        subject: whose it is.
        words: (start, end) of its words, in characters.
        marked: the places that each person marked, with their names.
    """

    subject: int
    words: Sequence[tuple[int, int]] = field(repr=False)
    marked: Mapping[str, Collection[Span]] = field(repr=False)


@dataclass(frozen=True)
class PairAgreement:
    """How far two persons agree.

    Attributes:
        first, second: who.
        notes, subjects: that both marked.
        places: that the first and the second marked in them.
        strict: F1 of places that are the same to the character, with their names.
        touching: F1 of places of one name that overlap.
        kappa: Cohen's, of words.
    """

    first: str
    second: str
    notes: int
    subjects: int
    places: tuple[int, int]
    strict: Estimate
    touching: Estimate
    kappa: Estimate

    @property
    def meaning(self) -> Text2:
        """Say in plain words what the kappa means."""
        return meaning(self.kappa)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "readers": [self.first, self.second],
            "notes": self.notes,
            "subjects": self.subjects,
            "places": list(self.places),
            "strict_f1": self.strict.to_json(),
            "touching_f1": self.touching.to_json(),
            "kappa": self.kappa.to_json(),
        }


def annotator_agreement(
    notes: Sequence[MarkedNote], replicates: int = REPLICATES, seed: int = 0
) -> list[PairAgreement]:
    """Estimate how far each two persons agree in the notes that both marked, by their names.

    Of fewer subjects than an interval needs, values are told without one.

    >>> from medloom.tasks.spans import span
    >>> words = [(0, 5), (6, 10), (11, 15), (16, 24)]  # "chest pain and headache"
    >>> first = [span(0, 10, "problem"), span(16, 24, "problem")]
    >>> second = [span(6, 10, "problem"), span(16, 24, "problem")]
    >>> (pair,) = annotator_agreement([MarkedNote(1, words, {"ann": first, "bert": second})])
    >>> pair.strict.value, pair.touching.value, pair.kappa.value
    (0.5, 1.0, 0.5)
    """
    readers = sorted({reader for note in notes for reader in note.marked})
    found = []
    for first, second in combinations(readers, 2):
        shared = [note for note in notes if first in note.marked and second in note.marked]
        if shared:
            found.append(_pair(first, second, shared, replicates, seed))
    return found


def _pair(first: str, second: str, notes: Sequence[MarkedNote], replicates: int, seed: int) -> PairAgreement:
    subjects = np.unique([note.subject for note in notes], return_inverse=True)[1].astype(np.intp)
    both = [(set(note.marked[first]), set(note.marked[second])) for note in notes]
    strict = np.array([[2 * len(one & other), len(one) + len(other)] for one, other in both], float)
    touching = np.array(
        [[_touched(one, other) + _touched(other, one), len(one) + len(other)] for one, other in both], float
    )
    words = _Words.of(notes, both)

    def f1(counts: Floats) -> Callable[[Floats], Floats]:
        return lambda weight: ratio(weight @ counts[:, 0], weight @ counts[:, 1])

    def told(measure: Callable[[Floats], Floats], reason: Text2) -> Estimate:
        value = float(measure(np.ones(len(notes))))
        if not np.isfinite(value):
            return Estimate(None, reason=reason)
        if int(subjects.max()) + 1 < FEWEST_SUBJECTS:
            few = text2(
                "too few subjects for an interval; at least {least} are needed", least=FEWEST_SUBJECTS
            )
            return Estimate(value, reason=few)
        drawn = bootstrap(lambda weight: {"value": measure(weight)}, subjects, replicates, seed, "annotators")
        return estimate(value, drawn.get("value"))

    nothing = text2("neither of them marked anything")
    one_category = text2("all words are of one category, so that chance alone would make them agree")
    return PairAgreement(
        first,
        second,
        len(notes),
        int(subjects.max()) + 1,
        (sum(len(one) for one, _ in both), sum(len(other) for _, other in both)),
        told(f1(strict), nothing),
        told(f1(touching), nothing),
        told(words.kappa, one_category),
    )


def _touched(places: Collection[Span], others: Collection[Span]) -> int:
    """Count the places that one of the same name in others overlaps."""
    by_name: dict[str, list[tuple[int, int]]] = {}
    for one in others:
        by_name.setdefault(one.name, []).extend(one.parts)
    return sum(
        any(a < d and c < b for a, b in one.parts for c, d in by_name.get(one.name, ())) for one in places
    )


@dataclass(frozen=True)
class _Words:
    """How often two persons put words of each note (n) into each category (k)."""

    alike: NDArray[np.float64]  # (n,)
    total: NDArray[np.float64]  # (n,)
    first: NDArray[np.float64]  # (n, k)
    second: NDArray[np.float64]  # (n, k)

    @classmethod
    def of(cls, notes: Sequence[MarkedNote], both: Sequence[tuple[set[Span], set[Span]]]) -> _Words:
        categories: dict[tuple[str, ...], int] = {}
        alike, total, counted = [], [], []
        for note, pair in zip(notes, both, strict=True):
            said = [_categories(note.words, spans) for spans in pair]
            alike.append(sum(one == other for one, other in zip(*said, strict=True)))
            total.append(len(note.words))
            counted.append([[categories.setdefault(one, len(categories)) for one in some] for some in said])
        tables = [np.zeros((len(notes), max(len(categories), 1))) for _ in range(2)]
        for place, some in enumerate(counted):
            for table, numbers in zip(tables, some, strict=True):
                np.add.at(table[place], numbers, 1.0)
        return cls(np.array(alike, float), np.array(total, float), *tables)

    def kappa(self, weight: Floats) -> Floats:
        words = weight @ self.total
        observed = ratio(weight @ self.alike, words)
        by_chance = ratio(((weight @ self.first) * (weight @ self.second)).sum(axis=-1), words**2)
        left = np.where(1 - by_chance > _ROUNDING, 1 - by_chance, 0.0)
        return 1 - ratio(1 - observed, left)


def _categories(words: Sequence[tuple[int, int]], spans: Collection[Span]) -> list[tuple[str, ...]]:
    """Give the names of the places that cover each word, of any of its characters."""
    names: list[set[str]] = [set() for _ in words]
    starts = np.array([start for start, _ in words], np.int64)
    ends = np.array([end for _, end in words], np.int64)
    for one in spans:
        for start, end in one.parts:
            for place in range(int(np.searchsorted(ends, start, "right")), int(np.searchsorted(starts, end))):
                names[place].add(one.name)
    return [tuple(sorted(one)) for one in names]
