"""Draft the note of a conversation without a language model: learned from conversations and their notes.

Every sentence of a draft is a statement that somebody made in this very conversation, told in the third person. What
was learned chooses which statements a note would have, in which section, and, from the most alike conversation, what
the headings are called. No sentence of another patient's note is ever taken over.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medloom.foundation.errors import InputError, IntegrityError
from medloom.foundation.files import write_bytes
from medloom.learners.text.dialogue.draft import Draft, DraftSection, DraftSentence
from medloom.learners.text.dialogue.headings import HEADINGS, note_sections
from medloom.learners.text.dialogue.telling import Statement, statements
from medloom.learners.text.dialogue.words import FEWEST_NOTES, SectionWords, WordChances, words

FEWEST_PAIRS: Final = 5
LONGEST: Final = 100_000  # characters of a conversation: some two hours of talk


class Known(BaseModel):
    """A conversation that was learned from: weighed words, and what the headings of its note are called."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: dict[str, float]
    headings: dict[str, str]


@dataclass(frozen=True)
class DialogueNotes:
    """What was learned; `draft` makes a draft of another conversation.

    Attributes:
        chances: of words of a conversation to be in its note.
        places: of statements in sections.
        known: conversations learned from: weighed words that others say too, and what their notes call sections.
        length: words of a note, on average.
    """

    chances: WordChances
    places: SectionWords
    known: tuple[Known, ...]
    length: float

    @classmethod
    def learned(cls, pairs: Sequence[tuple[str, str]]) -> Self:
        """Learn from conversations and their notes, `(conversation, note)`.

        Words and headings that only one note or conversation has are not kept: they may be names.

        Raises:
            InputError: there are fewer than five pairs, a note is empty, or a conversation is not of two speakers.
        """
        if len(pairs) < FEWEST_PAIRS:
            raise InputError(
                "a draft is learned from {least} conversations with notes or more; here are {count}",
                least=FEWEST_PAIRS,
                count=len(pairs),
            )
        if any(not note.strip() for _, note in pairs):
            raise InputError("a conversation has an empty note; leave it out")
        notes = [note for _, note in pairs]
        told = [statements(_usable(dialogue)) for dialogue, _ in pairs]
        said_by = Counter(word for dialogue, _ in pairs for word in set(words(dialogue)))
        headings = Counter(part.heading for note in notes for part in note_sections(note))
        known = []
        for dialogue, note in pairs:
            below: dict[str, str] = {}
            for part in note_sections(note):
                if headings[part.heading] >= FEWEST_NOTES:
                    below.setdefault(part.key, part.heading)
            weighed = {
                word: times * math.log(len(pairs) / said_by[word])
                for word, times in Counter(words(dialogue)).items()
                if said_by[word] >= FEWEST_NOTES
            }
            known.append(Known(words=weighed, headings=below))
        return cls(
            WordChances.learned(told, notes),
            SectionWords.learned(told, notes),
            tuple(known),
            sum(len(words(note)) for note in notes) / len(notes),
        )

    def draft(self, dialogue: str) -> Draft:
        """Draft a note of a conversation in English.

        Raises:
            InputError: the conversation is empty, names fewer than two speakers, is longer than 100,000
                characters or is not in English.
        """
        told = statements(_usable(dialogue))
        chosen = self._chosen(told)
        headings = {**HEADINGS, **self._most_alike(dialogue)}
        below: dict[str, list[DraftSentence]] = {key: [] for key in HEADINGS}
        places = self.places.of(told)
        below["chief_complaint"] = _complaint(told)
        for index in chosen:
            below[places[index]].append(DraftSentence(told[index].text, told[index].spans))
        return Draft(
            tuple(DraftSection(key, headings[key], tuple(said)) for key, said in below.items() if said),
            left_out=len(told) - len(chosen),
        )

    def save(self, path: Path) -> None:
        """Write what was learned as JSON."""
        write_bytes(
            path,
            orjson.dumps(
                _File(
                    version=VERSION,
                    notes=self.chances.notes,
                    in_notes={word: [*counts] for word, counts in self.chances.in_notes.items()},
                    in_conversations=dict(self.chances.in_conversations),
                    weights=[*self.chances.weights],
                    sections={key: dict(of) for key, of in self.places.counts.items()},
                    known=self.known,
                    length=self.length,
                ).model_dump(),
                option=orjson.OPT_SORT_KEYS,
            ),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            IntegrityError: the file is something else, or damaged.
        """
        try:
            read = _File.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise IntegrityError("{path!r} holds nothing that drafts notes", path=path.name) from error
        return cls(
            WordChances(read.notes, read.in_notes, read.in_conversations, read.weights),
            SectionWords(read.sections),
            read.known,
            read.length,
        )

    def _chosen(self, told: Sequence[Statement]) -> list[int]:
        """Choose statements, one by one, as long as the expected overlap with the note grows (unigram F1)."""
        chances = self.chances.of(told)
        counted = [Counter(words(one.text)) for one in told]
        left, taken = set(range(len(told))), Counter[str]()
        shared = length = best = 0.0
        while left:
            gains = {index: _gain(counted[index], taken, chances) for index in left}
            scores = {
                index: 2 * (shared + gain) / (length + counted[index].total() + self.length)
                for index, gain in gains.items()
            }
            index = max(sorted(left), key=scores.__getitem__)
            if scores[index] <= best:
                break
            best, shared = scores[index], shared + gains[index]
            length += counted[index].total()
            taken += counted[index]
            left.remove(index)
        return sorted(set(range(len(told))) - left)

    def _most_alike(self, dialogue: str) -> Mapping[str, str]:
        """Give what the headings are called in the note of the conversation that is most alike (cosine of tf-idf)."""
        times = Counter(words(dialogue))

        def alike(one: Known) -> float:
            norm = math.sqrt(sum(value * value for value in one.words.values())) or 1.0
            return sum(times[word] * value for word, value in one.words.items()) / norm

        return max(self.known, key=alike).headings


VERSION: Final = 1


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1, le=VERSION)
    notes: int = Field(ge=1)
    in_notes: dict[str, list[int]]
    in_conversations: dict[str, int]
    weights: list[float] = Field(min_length=14, max_length=14)
    sections: dict[str, dict[str, int]]
    known: tuple[Known, ...] = Field(min_length=1)
    length: float = Field(gt=0)


def _usable(dialogue: str) -> str:
    """Give the conversation back; refuse what is too long, or in another language than English."""
    if len(dialogue) > LONGEST:
        raise InputError(
            "the conversation has more than {most} characters; draft its parts one by one", most=LONGEST
        )
    letters = [one for one in dialogue if one.isalpha()]
    if letters and sum(one.isascii() for one in letters) < 0.9 * len(letters):
        raise InputError(
            "without a language model, drafts are made of conversations in English only;"
            " name a language model in site.toml for others"
        )
    return dialogue


def _gain(counts: Counter[str], taken: Counter[str], chances: Mapping[tuple[str, int], float]) -> float:
    return sum(
        chances.get((word, k), 0.0)
        for word, times in counts.items()
        for k in range(taken[word] + 1, taken[word] + times + 1)
    )


_COMES_FOR: Final = re.compile(
    r"\b(?:presents?|here|comes? in|came in|come in|in)(?: today)?(?: here)? (?:for|with|because of)"
    r" (?:an? (?:evaluation|follow[- ]up) of )?(?P<what>[^.,]{3,80})"
)


def _complaint(told: Sequence[Statement]) -> list[DraftSentence]:
    """Give why the patient came, as the doctor says it at the beginning."""
    for one in told:
        if one.place < _BEGINNING and one.speaker == "doctor" and (match := _COMES_FOR.search(one.text)):
            what = match["what"].strip()
            return [DraftSentence(f"{what[:1].upper()}{what[1:]}.", one.spans)]
    return []


_BEGINNING: Final = 0.2  # of a conversation
