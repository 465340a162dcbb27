"""What speaks for a code: numbers about the words of a note, their document, and the names of a code.

Words are looked up as they stand and, where the document explains a short form in them, as it is explained.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.learners.text.normalising.abbreviations import abbreviations, expanded, set_beside
from medloom.learners.text.normalising.dictionary import Dictionary, Found
from medloom.learners.text.normalising.keys import LEVELS, is_short_form, words

_EXACT: Final = 40  # names of one key that are looked at
_BY_KEY: Final = (1.0, 0.98, 0.9)  # what a key is worth where nothing was taught, by its level
_BY_LIKENESS: Final = 0.85


class Seen:
    """Names as annotated texts carry them, with how often each stood for a code.

    Args:
        counts: of pairs of name and code, at least one.
    """

    def __init__(self, counts: Counter[tuple[str, str]]) -> None:
        self.counts = Counter({(name.strip(), code): count for (name, code), count in counts.items()})
        self.dictionary = Dictionary(self.counts)
        self.codes: Counter[str] = Counter()
        for (_, code), count in self.counts.items():
            self.codes[code] += count

    def shares(self, name: str) -> list[dict[str, tuple[int, float]]]:
        """Give, at each level of keys, how often each code was meant, and its share."""
        found = []
        for those in self.dictionary.exact(name):
            meant: Counter[str] = Counter()
            for one in those:
                meant[one.code] += self.counts[one.name, one.code]
            found.append({code: (count, count / meant.total()) for code, count in meant.items()})
        return found


@dataclass(frozen=True)
class Asked:
    """Words of a note, and what speaks for each code that they may mean.

    Attributes:
        mention: the words.
        codes: that they may mean.
        names: the name of each code that is nearest.
        x: (codes, features).
        plain: (codes,) how far names alone speak for each, 0 to 1.
    """

    mention: str
    codes: list[str]
    names: list[str]
    x: NDArray[np.float32]
    plain: NDArray[np.float64]


def evidence(
    known: Dictionary, seen: Seen | None, mentions: Sequence[str], document: str, count: int
) -> dict[str, Asked]:
    """Gather what speaks for which codes, of each different mention of a document.

    Args:
        known: names of the code system.
        seen: names of annotated texts.
        mentions: words of the document.
        document: all of its text.
        count: codes that are taken by likeness.
    """
    explained = {**set_beside(document, mentions), **abbreviations(document)}
    asked = sorted({one for one in mentions if one.strip()})
    views = [(one, expanded(one, explained)) for one in asked]
    said = sorted({view for pair in views for view in pair})
    looked = _looked(known, seen, said, count)
    sure = {one: _sure(one, pair, looked) for one, pair in zip(asked, views, strict=True)}
    parts = {one: frozenset(words(pair[1])) for one, pair in zip(asked, views, strict=True)}
    repeated = Counter(mentions)
    return {
        one: _asked(one, pair, looked, _Around(one, sure, parts, repeated), seen)
        for one, pair in zip(asked, views, strict=True)
    }


@dataclass
class _Looked:
    """What was found for words as they were looked up."""

    said: str
    exact: list[dict[str, Found]]
    near: dict[str, tuple[Found, float]]
    shares: list[dict[str, tuple[int, float]]]
    near_seen: dict[str, tuple[Found, float]]
    words: frozenset[str]
    last: str


def _looked(known: Dictionary, seen: Seen | None, said: list[str], count: int) -> dict[str, _Looked]:
    near = known.near(said, count)
    near_seen = seen.dictionary.near(said, count) if seen else [[] for _ in said]
    found = {}
    for one, those, taught in zip(said, near, near_seen, strict=True):
        exact = []
        for level in known.exact(one):
            first: dict[str, Found] = {}
            for name in level[:_EXACT]:
                first.setdefault(name.code, name)
            exact.append(first)
        shares = seen.shares(one) if seen else [{} for _ in range(LEVELS)]
        parts = words(one)
        found[one] = _Looked(
            one,
            exact,
            {name.code: (name, like) for name, like in those},
            shares,
            {name.code: (name, like) for name, like in taught},
            frozenset(parts),
            parts[-1] if parts else "",
        )
    return found


def _sure(mention: str, pair: tuple[str, str], looked: dict[str, _Looked]) -> dict[str, float]:
    """Give the codes that words have by their key alone, and how far each is the only one."""
    found: dict[str, float] = {}
    for view in dict.fromkeys(pair):
        one = looked[view]
        for told in (one.exact[0] or one.exact[1], one.shares[0] or one.shares[1]):
            for code in told:
                found[code] = max(found.get(code, 0.0), 1 / len(told))
    return found


class _Around:
    """What the other mentions of a document say of a code."""

    def __init__(
        self,
        mention: str,
        sure: dict[str, dict[str, float]],
        parts: dict[str, frozenset[str]],
        repeated: Counter[str],
    ) -> None:
        self.said: dict[str, float] = defaultdict(float)
        self.within: dict[str, float] = defaultdict(float)
        self.around: dict[str, float] = defaultdict(float)
        mine = parts[mention]
        for other, codes in sure.items():
            if other == mention:
                continue
            for code, share in codes.items():
                self.said[code] += share * repeated[other]
                if mine < parts[other]:
                    self.within[code] = max(self.within[code], share)
                if parts[other] and parts[other] < mine:
                    self.around[code] = max(self.around[code], share)
        self.repeated = repeated[mention]


def _asked(
    mention: str,
    pair: tuple[str, str],
    looked: dict[str, _Looked],
    around: _Around,
    seen: Seen | None,
) -> Asked:
    views = [looked[view] for view in pair]
    codes: dict[str, None] = {}
    for view in dict.fromkeys(pair):
        one = looked[view]
        for level in range(LEVELS):
            codes.update(dict.fromkeys([*one.exact[level], *one.shares[level]]))
        codes.update(dict.fromkeys([*one.near, *one.near_seen]))
    codes.update(dict.fromkeys(around.within))
    about = _of_words(mention, pair, views)
    rows, names, plain = [], [], []
    for code in codes:
        name, worth = _nearest(code, views)
        names.append(name)
        plain.append(worth)
        rows.append(
            [
                *(value for one in views for value in _of_view(code, one)),
                *_of_code(code, name, views, around, seen),
                *about,
            ]
        )
    width = len(rows[0]) if rows else 0
    x = np.array(rows, np.float32).reshape(len(rows), width)
    return Asked(mention, list(codes), names, _compared(x), np.array(plain, np.float64))


def _of_words(mention: str, pair: tuple[str, str], views: list[_Looked]) -> list[float]:
    return [
        len(mention),
        len(views[0].words),
        float(is_short_form(mention)),
        float(pair[0] != pair[1]),
        float(any(one.isdigit() for one in mention)),
        *(len(level) for one in views for level in one.exact[:2]),
        *(len(level) for one in views for level in one.shares[:2]),
        max((like for _, like in views[1].near.values()), default=0.0),
        max((like for _, like in views[1].near_seen.values()), default=0.0),
    ]


def _of_view(code: str, one: _Looked) -> list[float]:
    level = next((at for at in range(LEVELS) if code in one.exact[at]), LEVELS)
    named = one.exact[level].get(code) if level < LEVELS else None
    taught = next((at for at in range(LEVELS) if code in one.shares[at]), LEVELS)
    count, share = one.shares[taught][code] if taught < LEVELS else (0, 0.0)
    return [
        level,
        float(named is not None and named.preferred),
        len(one.exact[level]) if level < LEVELS else 0,
        one.near[code][1] if code in one.near else 0.0,
        float(code in one.near and one.near[code][0].preferred),
        taught,
        float(np.log1p(count)),
        share,
        one.near_seen[code][1] if code in one.near_seen else 0.0,
    ]


def _of_code(code: str, name: str, views: list[_Looked], around: _Around, seen: Seen | None) -> list[float]:
    parts = words(name)
    mine, theirs = views[1].words, frozenset(parts)
    shared = len(mine & theirs)
    return [
        shared / max(len(mine | theirs), 1),
        shared / max(len(mine), 1),
        shared / max(len(theirs), 1),
        float(bool(parts) and parts[-1] == views[1].last),
        len(theirs) - len(mine),
        float(np.log1p(seen.codes[code])) if seen else 0.0,
        ord(code[0]),
        around.said.get(code, 0.0),
        around.within.get(code, 0.0),
        around.around.get(code, 0.0),
        around.repeated,
    ]


def _nearest(code: str, views: list[_Looked]) -> tuple[str, float]:
    """Give the nearest name of a code, and what it is worth where nothing was taught."""
    best, worth = "", 0.0
    for one in views:
        for level, told in enumerate(one.exact):
            if code in told and worth < _BY_KEY[level]:
                best, worth = told[code].name, _BY_KEY[level]
        for level, shares in enumerate(one.shares):
            if code in shares and worth < _BY_KEY[level] * shares[code][1]:
                best, worth = best or one.said, _BY_KEY[level] * shares[code][1]
        for alike in (one.near, one.near_seen):
            if code in alike and worth < _BY_LIKENESS * alike[code][1]:
                best, worth = alike[code][0].name, _BY_LIKENESS * alike[code][1]
    return best, min(worth, 1.0)


def _compared(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add how each column compares with the best of all codes."""
    if not len(x):
        return x
    columns = np.array(_COMPARED)
    return np.hstack([x, x[:, columns].max(axis=0) - x[:, columns], [[len(x)]] * len(x)]).astype(np.float32)


_COMPARED: Final = (3, 6, 7, 8, 12, 15, 16, 17, 18, 23, 25)
