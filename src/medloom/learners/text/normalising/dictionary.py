"""A dictionary of a code system: names with their codes, found by key and by likeness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.learners.text.normalising.keys import LEVELS, grams, keys

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LONGEST = 60  # characters; longer names are found by key alone
_FEATURES = 1 << 18
_BLOCK = 4096  # names hashed at once
_ASKED = 64  # names compared at once


@dataclass(frozen=True)
class Found:
    """A name of the dictionary.

    Attributes:
        place: of it, in the order given.
        name: as it was given.
        code: that it stands for.
        preferred: whether it is the first name given for its code.
    """

    place: int
    name: str
    code: str
    preferred: bool


class Dictionary:
    """Names with their codes.

    Args:
        names: pairs of name and code; the first name of a code is its preferred one. A pair twice counts once.

    Raises:
        InputError: there is none, or a name or a code is empty.

    >>> found = Dictionary([("Hypertension", "I10"), ("High blood pressure", "I10"), ("Hypotension", "I95")])
    >>> [one.code for one in found.exact("pressures, high blood")[1]]
    ['I10']
    >>> [(one.code, round(like, 2)) for one, like in found.near(["hypertensive"], 1)[0]]
    [('I10', 0.65)]
    """

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        pairs = list(dict.fromkeys((name.strip(), code) for name, code in names))
        if not pairs or any(not name or not code or "\n" in name + code for name, code in pairs):
            raise InputError("a dictionary needs names and codes, of one line each, none of them empty")
        self.names = [name for name, _ in pairs]
        numbers: dict[str, int] = {}
        self._coded = np.array([numbers.setdefault(code, len(numbers)) for _, code in pairs], np.int32)
        self.codes = list(numbers)
        told = np.zeros((LEVELS, len(pairs)), np.uint64)
        for place, name in enumerate(self.names):
            told[:, place] = [_digest(key) for key in keys(name)]
        self._order = np.stack([np.argsort(row, kind="stable") for row in told]).astype(np.int32)
        self._told = np.stack([row[order] for row, order in zip(told, self._order, strict=True)])
        self._short = np.flatnonzero([len(name) <= LONGEST for name in self.names]).astype(np.int32)
        self._ready()
        counted = self._counted([self.names[place] for place in self._short.tolist()])
        seen = np.asarray((counted > 0).sum(axis=0)).ravel()
        self._weights = (np.log((1 + len(self._short)) / (1 + seen)) + 1).astype(np.float32)
        self._like = self._weighted(counted).T.tocsr()

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Dictionary:
        """Make it again from what `to_arrays` gave."""
        from scipy.sparse import csr_matrix

        one = cls.__new__(cls)
        one.names = arrays["names"].tobytes().decode().split("\n")
        one.codes = arrays["codes"].tobytes().decode().split("\n")
        one._coded, one._order, one._told = arrays["coded"], arrays["order"], arrays["told"]
        one._short, one._weights = arrays["short"], arrays["weights"]
        one._like = csr_matrix(
            (arrays["like_data"], arrays["like_indices"], arrays["like_indptr"]),
            shape=(_FEATURES, len(one._short)),
        )
        one._ready()
        return one

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything as arrays, for one file."""
        return {
            "names": np.frombuffer("\n".join(self.names).encode(), np.uint8),
            "codes": np.frombuffer("\n".join(self.codes).encode(), np.uint8),
            "coded": self._coded,
            "order": self._order,
            "told": self._told,
            "short": self._short,
            "weights": self._weights,
            "like_data": self._like.data,
            "like_indices": self._like.indices,
            "like_indptr": self._like.indptr,
        }

    def at(self, place: int) -> Found:
        """Give the name at a place."""
        number = int(self._coded[place])
        return Found(place, self.names[place], self.codes[number], bool(self._preferred[place]))

    def exact(self, name: str) -> list[list[Found]]:
        """Give the names of the same key, at each level, preferred ones first, then in the order given."""
        found: list[list[Found]] = []
        for level, key in enumerate(keys(name)):
            if not key:
                found.append([])
                continue
            digest = np.uint64(_digest(key))
            first = int(np.searchsorted(self._told[level], digest, "left"))
            last = int(np.searchsorted(self._told[level], digest, "right"))
            those = [self.at(place) for place in self._order[level, first:last].tolist()]
            found.append(sorted(those, key=lambda one: (not one.preferred, one.place)))
        return found

    def near(self, names: Sequence[str], count: int) -> list[list[tuple[Found, float]]]:
        """Give the names of each that are most alike, one a code, with the cosine of their pieces, best first."""
        found: list[list[tuple[Found, float]]] = []
        for start in range(0, len(names), _ASKED):
            asked = self._weighted(self._counted(names[start : start + _ASKED]))
            like = (asked @ self._like).tocsr()
            for row in range(like.shape[0]):
                ends = slice(like.indptr[row], like.indptr[row + 1])
                found.append(self._best(like.indices[ends], like.data[ends], count))
        return found

    def likeness(self, name: str, others: Sequence[str]) -> NDArray[np.float32]:
        """Give the cosines of the pieces of a name and of others: (n,)."""
        asked = self._weighted(self._counted([name, *others]))
        return np.asarray((asked[1:] @ asked[0].T).todense(), np.float32).ravel()

    def _best(
        self, places: NDArray[np.int32], values: NDArray[np.float32], count: int
    ) -> list[tuple[Found, float]]:
        keep = min(8 * count, len(values))
        best = np.argpartition(-values, keep - 1)[:keep] if keep < len(values) else np.arange(len(values))
        those = [(self.at(int(self._short[places[one]])), float(values[one])) for one in best.tolist()]
        those.sort(key=lambda one: (-round(one[1], 5), not one[0].preferred, one[0].place))
        first: dict[str, tuple[Found, float]] = {}
        for found, value in those:
            first.setdefault(found.code, (found, value))
        return list(first.values())[:count]

    def _ready(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._hashing = HashingVectorizer(
            analyzer=grams, n_features=_FEATURES, norm=None, alternate_sign=False, dtype=np.float32
        )
        _, first = np.unique(self._coded, return_index=True)
        self._preferred = np.zeros(len(self._coded), bool)
        self._preferred[first] = True

    def _counted(self, names: Sequence[str]) -> csr_matrix:
        from scipy.sparse import csr_matrix, vstack

        blocks = [
            self._hashing.transform(names[start : start + _BLOCK]) for start in range(0, len(names), _BLOCK)
        ]
        return vstack(blocks, "csr") if blocks else csr_matrix((0, _FEATURES), dtype=np.float32)

    def _weighted(self, counted: csr_matrix) -> csr_matrix:
        from sklearn.preprocessing import normalize

        found = counted.copy()
        found.data = found.data * self._weights[found.indices]
        return normalize(found, copy=False)


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
