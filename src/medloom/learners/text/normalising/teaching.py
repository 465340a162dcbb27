"""Teaching a normaliser: names of annotated texts, and which evidence is to be believed, learned by boosted trees.

Evidence of a text is gathered with the names of other texts alone (texts in folds), so that no text teaches by its own
names; where words mean no code is told on folds, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.seeds import generator
from medloom.learners.text.normalising.evidence import Asked, Seen, evidence
from medloom.learners.text.normalising.normaliser import CANDIDATES, Normaliser

if TYPE_CHECKING:
    import lightgbm

_ROUNDS: Final = 250
_TREES: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Annotated:
    """A text with what some of its words mean.

    Attributes:
        text: of it.
        meant: pairs of words and their code; no code where the code system has none.
    """

    text: str
    meant: tuple[tuple[str, str | None], ...]


def taught(
    normaliser: Normaliser,
    texts: Sequence[Annotated],
    *,
    names: Sequence[tuple[str, str]] = (),
    folds: int = 5,
    seed: int = 0,
) -> Normaliser:
    """Give a normaliser that has learned from annotated texts.

    Args:
        normaliser: with the names of a code system.
        texts: annotated.
        names: of other annotated texts, pairs of name and code, counted as seen; no more is learned from them.
        folds: that texts are put in.
        seed: of folds and trees.

    Raises:
        InputError: there are fewer texts than folds, or they mean no code.
    """
    if len(texts) < folds or folds < 2 or not any(code for one in texts for _, code in one.meant):
        raise InputError("{n} annotated texts, in {folds} folds, teach nothing", n=len(texts), folds=folds)
    fold = generator(seed, "normalising").permutation(np.arange(len(texts)) % folds)
    lessons: list[_Lesson] = []
    for at in range(folds):
        others = [one for one, where in zip(texts, fold, strict=True) if where != at]
        seen = _seen(others, names)
        for number in np.flatnonzero(fold == at).tolist():
            lessons += _lessons(normaliser, seen, texts[number], at)
    threshold = _threshold(lessons, folds, seed)
    return normaliser.with_learned(_seen(texts, names), _ranker(lessons, seed), threshold)


@dataclass(frozen=True)
class _Lesson:
    asked: Asked
    code: str | None
    often: int
    fold: int

    @property
    def y(self) -> NDArray[np.bool_]:
        return np.array([code == self.code for code in self.asked.codes], bool)


def _lessons(normaliser: Normaliser, seen: Seen | None, text: Annotated, fold: int) -> Iterator[_Lesson]:
    found = evidence(normaliser.dictionary, seen, [words for words, _ in text.meant], text.text, CANDIDATES)
    for (words, code), often in Counter(text.meant).items():
        if words in found and found[words].codes:
            yield _Lesson(found[words], code, often, fold)


def _seen(texts: Sequence[Annotated], names: Sequence[tuple[str, str]]) -> Seen | None:
    counts = Counter((words, code) for one in texts for words, code in one.meant if code and words.strip())
    counts.update(names)
    return Seen(counts) if counts else None


def _ranker(lessons: Sequence[_Lesson], seed: int) -> lightgbm.Booster:
    import lightgbm

    x = np.vstack([one.asked.x for one in lessons])
    y = np.concatenate([one.y for one in lessons])
    weight = np.repeat([np.sqrt(one.often) for one in lessons], [len(one.asked.codes) for one in lessons])
    data = lightgbm.Dataset(x, y.astype(np.float32), weight=weight, params={"verbosity": -1})
    return lightgbm.train({**_TREES, "seed": seed}, data, _ROUNDS)


def _threshold(lessons: Sequence[_Lesson], folds: int, seed: int) -> float:
    """Find the score below which no code is right more often than the best code, each fold ranked by the others."""
    best, right, none, often = [], [], [], []
    for at in range(folds):
        ranker = _ranker([one for one in lessons if one.fold != at], seed)
        for one in (lesson for lesson in lessons if lesson.fold == at):
            scores = np.asarray(ranker.predict(one.asked.x), np.float64)
            top = int(np.argmax(scores))
            best.append(float(scores[top]))
            right.append(one.asked.codes[top] == one.code)
            none.append(one.code is None)
            often.append(one.often)
    order = np.argsort(best)
    gained = np.where(np.array(none)[order], 1, 0) - np.where(np.array(right)[order], 1, 0)
    total = np.concatenate([[0], np.cumsum(gained * np.array(often)[order])])
    cut = int(np.argmax(total))
    scores = np.array(best)[order]
    return float(scores[cut]) if cut < len(scores) else 1.0
