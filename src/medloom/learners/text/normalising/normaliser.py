"""Which code of a code system words of a note mean: names looked up, candidates ranked, none where none is near."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.files import write_text
from medloom.learners.text.normalising.dictionary import Dictionary
from medloom.learners.text.normalising.evidence import Asked, Seen, evidence

if TYPE_CHECKING:
    import lightgbm

CANDIDATES: Final = 10
_NAMES, _SETTINGS, _RANKER = "names.npz", "normaliser.json", "ranker.txt"


@dataclass(frozen=True)
class Candidate:
    """A code that words may mean.

    Attributes:
        code: of the code system.
        name: of the code, the nearest.
        score: 0 to 1; of a normaliser that was taught, how likely it is.
    """

    code: str
    name: str
    score: float


@dataclass(frozen=True)
class Answer:
    """What words mean.

    Attributes:
        code: the best; none where none is near enough.
        score: of the best candidate, also where it is not near enough.
        candidates: the best first.
    """

    code: str | None
    score: float
    candidates: tuple[Candidate, ...]


class Normaliser:
    """Tells which code words mean, by the names of a code system and, once taught, by annotated texts.

    Untaught, names of the same key count before names that are alike; of two codes with the same name, the one whose
    preferred name it is comes first, then the one given first. `teaching.taught` makes one that has learned.

    Args:
        names: pairs of name and code, from anywhere; the first name of a code is its preferred one.
        threshold: the score below which words mean no code.

    Raises:
        InputError: there is no name, or one is empty; a threshold is not between 0 and 1.

    >>> known = Normaliser([("Hypertension", "I10"), ("Hypotension", "I95.9"), ("高血压", "I10")])
    >>> [one.code for one in known.normalise(["HTN", "hypotensions", "高血压病", "fracture"], "hypertension (HTN)")]
    ['I10', 'I95.9', 'I10', None]
    """

    def __init__(self, names: Iterable[tuple[str, str]], threshold: float = 0.6) -> None:
        _check_threshold(threshold)
        self.dictionary = Dictionary(names)
        self.threshold = threshold
        self.seen: Seen | None = None
        self.ranker: lightgbm.Booster | None = None

    def normalise(self, mentions: Sequence[str], document: str = "") -> list[Answer]:
        """Tell what each of some words means.

        Args:
            mentions: words as they stand in the document; all of a document together, for they explain each other.
            document: its text, in which short forms are explained.
        """
        asked = evidence(self.dictionary, self.seen, mentions, document, CANDIDATES)
        scores = self.scores(list(asked.values()))
        answers = {
            one.mention: _answer(one, those, self.threshold)
            for one, those in zip(asked.values(), scores, strict=True)
        }
        return [answers.get(one, Answer(None, 0.0, ())) for one in mentions]

    def scores(self, asked: Sequence[Asked]) -> list[NDArray[np.float64]]:
        """Give the score of each code of each."""
        if self.ranker is None:
            return [one.plain for one in asked]
        rows = [one.x for one in asked if len(one.codes)]
        if not rows:
            return [np.zeros(0) for _ in asked]
        said = np.asarray(self.ranker.predict(np.vstack(rows)), np.float64)
        ends = np.cumsum([len(one.codes) for one in asked])
        return np.split(said, ends[:-1])

    def save(self, folder: Path) -> None:
        """Write it: names as arrays, what was taught as text; nothing in it is run when it is read."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / _NAMES, **self.dictionary.to_arrays())  # type: ignore[arg-type]
        seen = sorted(self.seen.counts.items()) if self.seen else []
        told = {"threshold": self.threshold, "seen": [[*pair, count] for pair, count in seen]}
        write_text(folder / _SETTINGS, json.dumps(told, ensure_ascii=False) + "\n")
        if self.ranker is not None:
            write_text(folder / _RANKER, self.ranker.model_to_string())

    @classmethod
    def load(cls, folder: Path) -> Normaliser:
        """Read what `save` wrote.

        Raises:
            InputError: a file of it is not there.
        """
        if not ((folder / _NAMES).is_file() and (folder / _SETTINGS).is_file()):
            raise InputError("{path} holds no normaliser", path=folder)
        told = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        one = cls.__new__(cls)
        with np.load(folder / _NAMES, allow_pickle=False) as arrays:
            one.dictionary = Dictionary.from_arrays({name: arrays[name] for name in arrays.files})
        one.threshold = float(told["threshold"])
        one.seen = (
            Seen(Counter({(name, code): n for name, code, n in told["seen"]})) if told["seen"] else None
        )
        one.ranker = None
        if (folder / _RANKER).is_file():
            import lightgbm

            one.ranker = lightgbm.Booster(model_str=(folder / _RANKER).read_text(encoding="utf-8"))
        return one

    def with_learned(
        self, seen: Seen | None, ranker: lightgbm.Booster | None, threshold: float
    ) -> Normaliser:
        """Give one of the same names that has learned."""
        _check_threshold(threshold)
        one = type(self).__new__(type(self))
        one.dictionary, one.threshold, one.seen, one.ranker = self.dictionary, threshold, seen, ranker
        return one


def _answer(asked: Asked, scores: NDArray[np.float64], threshold: float) -> Answer:
    order = np.argsort(-np.round(scores, 6), kind="stable")[:CANDIDATES]
    best = tuple(Candidate(asked.codes[at], asked.names[at], float(scores[at])) for at in order.tolist())
    if not best:
        return Answer(None, 0.0, ())
    return Answer(best[0].code if best[0].score >= threshold else None, best[0].score, best)


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise InputError("a threshold lies between 0 and 1, not {value}", value=threshold)
