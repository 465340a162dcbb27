"""Digests that are the same on every machine and in every version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray


def sha256_file(path: Path) -> str:
    """Digest a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """Digest bytes, as hex.

    >>> sha256_bytes(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def digest(value: object) -> str:
    """Digest a JSON-like value by its canonical form (sorted keys, no spaces), as hex.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    options = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return sha256_bytes(orjson.dumps(value, option=options))


def hash64(text: str, key: bytes = b"") -> int:
    """Hash a text to 64 bits, keyed (BLAKE2b); unkeyed it hides nothing.

    >>> hash64("a") == hash64("a"), hash64("a") == hash64("a", b"k")
    (True, False)
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "little")


def hash64_all(texts: Iterable[str], key: bytes = b"") -> NDArray[np.uint64]:
    """Hash many texts to 64 bits each: (n,) uint64."""
    blake2b = hashlib.blake2b
    joined = b"".join(blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def mix64(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Combine two hashes into one, elementwise and order-dependent (splitmix64 finaliser).

    >>> a, b = np.array([1], np.uint64), np.array([2], np.uint64)
    >>> bool(mix64(a, b)[0] == mix64(b, a)[0])
    False
    """
    with np.errstate(over="ignore"):
        x = left * np.uint64(0x9E3779B97F4A7C15) + right
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
