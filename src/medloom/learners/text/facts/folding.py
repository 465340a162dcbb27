"""Texts as dictionaries read them: widths and cases folded character by character, so that places stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: 0x20,
    0x00A0: 0x20,
    0x2019: 0x27,
    0x2018: 0x27,
    0x2010: 0x2D,
    0x2011: 0x2D,
    0x2013: 0x2D,
    0x2212: 0x2D,
    0x00B5: 0x75,
    0x03BC: 0x75,
}
_IDEOGRAPHS: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN: Final = re.compile(
    rf"(?P<word>[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+(?:'s\b)?)|(?P<stop>\n\s*\n|[^\w\s'-]|_|(?<!\w)-|-(?!\w))"
)
_BRITISH: Final = (("ae", "e"), ("oe", "e"), ("our", "or"), ("phil", "fil"))


def folded(text: str) -> str:
    """Fold full-width forms, typographic marks and cases; of the same length as the text.

    >>> folded("ＣＲＰ　１２．５ İ")
    'crp 12.5 İ'
    """
    plain = text.translate(_WIDE)
    lower = plain.lower()
    if len(lower) == len(plain):
        return lower
    return "".join(one if len(one.lower()) != 1 else one.lower() for one in plain)


def tokens(low: str) -> Iterator[tuple[str, int, int]]:
    """Cut a folded text into words in their basic spelling, each with its place; "" is a mark that parts words.

    Of Chinese each character is a word. Hyphens inside words part nothing.

    >>> [word for word, _, _ in tokens("crohn's disease, beta-blockers; 糖尿")]
    ['crohn', 'disease', '', 'beta', 'blocker', '', '糖', '尿']
    """
    for match in _TOKEN.finditer(low):
        word = match.group("word")
        yield ("" if word is None else basic(word)), match.start(), match.end()


@lru_cache(maxsize=65_536)
def basic(word: str) -> str:
    """Spell a word in the American way, in the singular.

    >>> [basic(word) for word in ("anaemia", "tumours", "biopsies", "diabetes", "pus", "abscess")]
    ['anemia', 'tumor', 'biopsy', 'diabete', 'pus', 'abscess']
    """
    if word.endswith("'s"):
        word = word[:-2]
    if len(word) < 4 or not word.isalpha() or not word.isascii():
        return word
    for british, american in _BRITISH:
        word = word.replace(british, american)
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
