"""Numbers that notes write in words, in English and Chinese."""

from __future__ import annotations

from typing import Final

NUMERALS: Final = {
    **{word: n for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)},
    **{word: n for n, word in enumerate("一二三四五六七八九十", 1)},
    "a": 1,
    "an": 1,
    "两": 2,
}
"""Whole numbers from one to ten."""
