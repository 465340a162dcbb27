"""Words of a text, with where they stand: what taggers name, in any language."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ranges = NDArray[np.int64]

_IDEOGRAPHS: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef"
_WORD: Final = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+|[^\w\s]|_")


def words_of(text: str) -> Ranges:
    """Find words: runs of letters and digits, marks one by one, and of Chinese each character.

    Returns:
        (n, 2) where each begins and ends.

    >>> text = "5-HT1A, 头痛"
    >>> [text[start:end] for start, end in words_of(text)]
    ['5', '-', 'HT1A', ',', '头', '痛']
    """
    found = [match.span() for match in _WORD.finditer(text)]
    return np.array(found, np.int64).reshape(-1, 2)


def shape_of(word: str) -> int:
    """Tell how a word is written: its place among `SHAPES`.

    >>> [SHAPES[shape_of(word)] for word in ("aspirin", "Aspirin", "NSAID", "mRNA", "B12", "12", "α", ",")]
    ['lower', 'title', 'upper', 'mixed', 'digits and letters', 'digits', 'lower', 'mark']
    """
    digits = any(one.isdigit() for one in word)
    letters = any(one.isalpha() for one in word)
    if digits:
        return SHAPES.index("digits and letters" if letters else "digits")
    if not letters:
        return SHAPES.index("mark")
    if word.isupper():
        return SHAPES.index("upper" if len(word) > 1 else "capital")
    if word.islower():
        return SHAPES.index("lower")
    if word[0].isupper() and word[1:].islower():
        return SHAPES.index("title")
    return SHAPES.index("mixed" if word.lower() != word.upper() else "unicase")


SHAPES: Final = (
    "lower",
    "title",
    "upper",
    "mixed",
    "digits and letters",
    "digits",
    "mark",
    "capital",
    "unicase",
)
"""How words are written: `capital` is a single letter, `unicase` a script without cases."""
