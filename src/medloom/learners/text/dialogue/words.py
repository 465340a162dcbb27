"""Which words of a conversation its note would have, and in which section a statement would stand: learned from pairs.

For each word of a conversation and each k up to how often it is said, the chance that the note has it at least k times:
a logistic regression of few numbers, most of all how often the notes of others have it. What one conversation's own
note says of its words is left out while it is learned from.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from medloom.learners.text.dialogue.headings import HEADINGS, note_sections
from medloom.learners.text.dialogue.telling import Statement

MOST: Final = 40  # times that a word is counted in one note
FEWEST_NOTES: Final = 2  # that a word must stand in to be kept: what only one note says may be a name


def words(text: str) -> list[str]:
    """Divide a text into words of letters and digits, in lower case.

    >>> words("He takes 20 mg, doesn't he?")
    ['he', 'takes', '20', 'mg', 'doesn', 't', 'he']
    """
    return re.findall(r"[a-z0-9]+", text.lower())


@dataclass(frozen=True)
class WordChances:
    """How likely a note has each word of its conversation.

    Attributes:
        notes: that it was learned from.
        in_notes: word -> how many notes have it at least once, twice, …
        in_conversations: word -> how many conversations say it.
        weights: of the regression, the last one alone.
    """

    notes: int
    in_notes: Mapping[str, Sequence[int]]
    in_conversations: Mapping[str, int]
    weights: Sequence[float]

    @classmethod
    def learned(cls, told: Sequence[Sequence[Statement]], notes: Sequence[str]) -> WordChances:
        """Learn from conversations, told as statements, and their notes."""
        counted = [Counter(words(note)) for note in notes]
        in_notes: dict[str, list[int]] = {}
        for note in counted:
            for word, times in note.items():
                counts = in_notes.setdefault(word, [])
                counts.extend([0] * (min(times, MOST) - len(counts)))
                for k in range(min(times, MOST)):
                    counts[k] += 1
        said = [_Said.of(one) for one in told]
        in_conversations = Counter(word for one in said for word in one.times)
        rows: list[list[float]] = []
        truth: list[bool] = []
        for one, note in zip(said, counted, strict=True):
            for word, k in one.asked():
                has = note[word] >= k
                in_others = _at(in_notes, word, k) - has
                rows.append(one.numbers(word, k, in_others, in_conversations[word] - 1, len(notes) - 1))
                truth.append(has)
        values = np.array(rows)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        spread[spread == 0] = 1.0
        fitted = LogisticRegression(max_iter=500).fit((values - mean) / spread, np.array(truth))
        slopes = fitted.coef_[0] / spread
        return cls(
            len(notes),
            {word: counts for word, counts in in_notes.items() if counts[0] >= FEWEST_NOTES},
            {word: times for word, times in in_conversations.items() if times >= FEWEST_NOTES},
            [*map(float, slopes), float(fitted.intercept_[0] - slopes @ mean)],
        )

    def of(self, told: Sequence[Statement]) -> dict[tuple[str, int], float]:
        """Give the chance of each word k times, (word, k) -> chance."""
        said = _Said.of(told)
        asked = [*said.asked()]
        if not asked:
            return {}
        values = np.array(
            [
                said.numbers(
                    word, k, _at(self.in_notes, word, k), self.in_conversations.get(word, 0), self.notes
                )
                for word, k in asked
            ]
        )
        chances = 1 / (1 + np.exp(-(values @ np.array(self.weights[:-1]) + self.weights[-1])))
        return dict(zip(asked, map(float, chances), strict=True))


@dataclass(frozen=True)
class SectionWords:
    """In which section a statement would stand: naive Bayes over its words, its speaker and when it was said."""

    counts: Mapping[str, Mapping[str, int]]

    @classmethod
    def learned(cls, told: Sequence[Sequence[Statement]], notes: Sequence[str]) -> SectionWords:
        """Learn from statements, each in the section of the note that has most of its rare words."""
        in_notes = Counter(word for note in notes for word in set(words(note)))
        counts: dict[str, Counter[str]] = {key: Counter() for key in HEADINGS}
        for one, note in zip(told, notes, strict=True):
            below = [(part.key, set(words(note[part.start : part.end]))) for part in note_sections(note)]
            for statement in one:
                shared = [
                    (sum(1 / in_notes[word] for word in {*words(statement.text)} & part), key)
                    for key, part in below
                ]
                if shared and max(shared)[0] >= _ALIKE:
                    counts[max(shared)[1]].update({*_marks(statement)})
        spread = Counter(word for of in counts.values() for word in of)
        told_by = Counter(word for one in told for word in {mark for said in one for mark in _marks(said)})
        return cls(
            {
                key: {
                    word: times
                    for word, times in of.items()
                    if spread[word] and told_by[word] >= FEWEST_NOTES
                }
                for key, of in counts.items()
            }
        )

    def of(self, told: Sequence[Statement]) -> list[str]:
        """Give the key of the likeliest section of each; what is said before and after a statement counts by half."""
        keys = [key for key in self.counts if self.counts[key]]
        if not keys:
            return ["history"] * len(told)
        vocabulary = len({word for of in self.counts.values() for word in of})
        whole = sum(of.get(_EACH, 0) for of in self.counts.values())
        heres = {key: sum(self.counts[key].values()) + 0.3 * vocabulary for key in keys}
        alone = np.array(
            [
                [
                    math.log((self.counts[key].get(_EACH, 0) + 0.5) / (whole + 1))
                    + sum(
                        math.log((self.counts[key].get(mark, 0) + 0.3) / heres[key]) for mark in _marks(one)
                    )
                    for key in keys
                ]
                for one in told
            ]
        ).reshape(len(told), len(keys))
        beside = np.zeros_like(alone)
        beside[1:] += alone[:-1] / 2
        beside[:-1] += alone[1:] / 2
        return [keys[index] for index in (alone + beside).argmax(axis=1)]


_ALIKE: Final = 0.25  # of shared words, each counted by how few notes have it
_EACH: Final = "<statement>"  # no word: it has no letters alone


@dataclass(frozen=True)
class _Said:
    """How often each word is said in a conversation: in all, by whom, early and late."""

    times: Counter[str]
    by_doctor: Counter[str]
    by_others: Counter[str]
    early: Counter[str]
    late: Counter[str]

    @classmethod
    def of(cls, told: Sequence[Statement]) -> _Said:
        counted = [(one, words(one.text)) for one in told]

        def those(which: Iterable[list[str]]) -> Counter[str]:
            return Counter(word for said in which for word in said)

        return cls(
            those(said for _, said in counted),
            those(said for one, said in counted if one.speaker == "doctor"),
            those(said for one, said in counted if one.speaker != "doctor"),
            those(said for one, said in counted if one.place < 0.15),
            those(said for one, said in counted if one.place > 0.6),
        )

    def asked(self) -> Iterable[tuple[str, int]]:
        for word, times in self.times.items():
            for k in range(1, min(times, MOST) + 1):
                yield word, k

    def numbers(self, word: str, k: int, in_notes: int, in_conversations: int, notes: int) -> list[float]:
        share = (in_notes + 0.3) / (notes + 1)
        return [
            math.log(share / (1 - share)),
            math.log((in_notes + 0.3) / (in_conversations + 1.3)),
            math.log1p(10 * in_conversations / max(notes, 1)),
            math.log1p(self.times[word]),
            math.log1p(self.by_doctor[word]),
            math.log1p(self.by_others[word]),
            math.log1p(self.early[word]),
            math.log1p(self.late[word]),
            math.log(k),
            k / self.times[word],
            float(word.isdigit()),
            float(len(word)),
            math.log(self.times.total()),
        ]


def _at(counts: Mapping[str, Sequence[int]], word: str, k: int) -> int:
    of = counts.get(word, ())
    return of[k - 1] if k <= len(of) else 0


def _marks(statement: Statement) -> Iterable[str]:
    yield _EACH
    yield f"<{statement.speaker}>"
    yield f"<{int(statement.place * 8)} of 8>"
    if len(statement.spans) > 1:
        yield "<answer>"
    yield from words(statement.text)
