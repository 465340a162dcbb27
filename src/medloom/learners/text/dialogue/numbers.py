"""Numbers that are spoken as words, written as digits before what they count; where that is not sure, left as said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final


def in_digits(text: str) -> str:
    """Write numbers before units as digits, whole numbers below a thousand.

    >>> in_digits("twenty five milligrams for two weeks")
    '25 milligrams for 2 weeks'
    >>> in_digits("six hundred and fifty mg, one twenty mg, two of them")
    '650 mg, one twenty mg, two of them'
    """
    return _COUNTED.sub(lambda match: _digits(match[1].lower().split()) or match[1], text)


_ONES: Final = {
    word: number for number, word in enumerate("one two three four five six seven eight nine".split(), 1)
}
_TEENS: Final = {
    word: number
    for number, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), 10
    )
}
_TENS: Final = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
NUMBER_WORDS: Final = "|".join((*_ONES, *_TEENS, *_TENS, "hundred", "thousand", "point", "zero"))
_COUNTED: Final = re.compile(
    rf"\b((?:{NUMBER_WORDS})(?:[ ](?:and[ ](?=(?:{NUMBER_WORDS})\b))?(?:{NUMBER_WORDS})\b)*)(?=[ ](?:mg|mcg|kg|ml"
    r"|milligrams?|micrograms?|kilograms?|milliliters?|days?|weeks?|months?|years?|hours?|minutes?|times|out of|pounds?"
    r"|centimeters?|mm|inches|pills?|tablets?|cups?|packs?|drinks?|units?|percent)\b)",
    re.IGNORECASE,
)


def _digits(said: Sequence[str]) -> str:
    """Give a number's digits; empty: it is not said as whole numbers below a thousand are."""
    rest = [word for word in said if word != "and"]
    value = 0
    if len(rest) > 1 and rest[1] == "hundred" and rest[0] in _ONES:
        value, rest = 100 * _ONES[rest[0]], rest[2:]
    if rest and rest[0] in _TENS:
        value, rest = value + _TENS[rest[0]], rest[1:]
        if rest and rest[0] in _ONES:
            value, rest = value + _ONES[rest[0]], rest[1:]
    elif rest and (rest[0] in _TEENS or rest[0] in _ONES):
        value, rest = value + {**_ONES, **_TEENS}[rest[0]], rest[1:]
    return "" if rest else str(value)
