"""Lines that were broken to fit a width, joined again, so that a name or a number in two parts is one."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

_NARROW: Final = {0xFF01 + place: 0x21 + place for place in range(94)} | {0x3000: 0x20, 0xA0: 0x20}
"""Of characters of full width the usual ones; none gets longer."""

_SHORTEST: Final = 24
_NEAR: Final = 0.75
_ENDS: Final = tuple(".。;；!！?？:：|")
_LABEL: Final = re.compile(
    r"[ \t]*(?:[A-Za-z][A-Za-z /'#.-]{0,30}|[^\s:：|，。；、()\d]{1,8})[ ]?[:|#]|[ \t]*(?:[-*•] |"
    r"\d{1,2}[.)、](?!\d))|[ \t]*$"
)
_SHORTENED: Final = re.compile(
    r"(?:\b[A-Za-z]|\b(?:ext|apt|no|dr|mr|mrs|ms|st|ave|jr|sr|jan|feb|aug|sept?|oct|nov|dec))\.$",
    re.IGNORECASE,
)
_EXACT: Final = 0.95
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Joined:
    """A text without line breaks that only fit a width, in the usual characters.

    Attributes:
        text: of it.
        removed: where in it a break was taken out, ascending.
        numbers: whether digits met there, which may be two numbers or one.
    """

    text: str
    removed: tuple[int, ...] = ()
    numbers: bool = False

    def place(self, at: int) -> int:
        """Tell where a character of it stands in the text as it was."""
        return at + bisect_right(self.removed, at)

    def end(self, at: int) -> int:
        """Tell where a place that ends here ends in the text as it was."""
        return self.place(at - 1) + 1


def joined(text: str, apart: bool = False) -> Joined:
    """Join lines; a break between English words becomes a space, one between Chinese characters or digits goes.

    A line was broken to fit where it is nearly as long as the longest and ends no sentence, and the next begins
    with no label. `apart`: digits are not joined to digits.

    >>> joined("患者姓名张伟，因反复上腹痛三年入院，联系电话１３８\\n１２３４５６７８").text[-11:]
    '13812345678'
    """
    plain = text.translate(_NARROW) if not text.isascii() else text
    lines = plain.split("\n")
    if len(lines) == 1:
        return Joined(plain)
    lengths = sorted(map(len, lines), reverse=True)
    longest = lengths[min(len(lines) // 20, len(lines) - 1)]
    least = max(_SHORTEST, _NEAR * longest)
    made, removed, at = [], [], 0
    numbers = False
    for number, line in enumerate(lines):
        made.append(line)
        at += len(line)
        if number + 1 == len(lines):
            break
        next_one = lines[number + 1]
        if (
            len(line) < least
            or len(line) > 2 * longest
            or _ends(line, next_one, len(line) >= _EXACT * longest)
        ):
            made.append("\n")
            at += 1
        elif _HAN.search(line[-3:]) or _HAN.search(next_one[:3]) or _HAN.search(line):
            digits = line[-1:].isdigit() and next_one[:1].isdigit()
            numbers |= digits
            if digits and apart:
                made.append("\n")
                at += 1
            else:
                removed.append(at)
        else:
            made.append(" ")
            at += 1
    return Joined("".join(made), tuple(removed), numbers)


def _ends(line: str, next_one: str, full: bool) -> bool:
    """Tell whether a line ends by itself; what is broken at one width, as Chinese is, may go on with any word."""
    if not next_one.strip():
        return True
    if full and _HAN.search(line):
        return False
    if line.strip().count("   ") > 1 or "\t" in line or "|" in line:  # a row of a table
        return True
    said = line.rstrip()
    return (said.endswith(_ENDS) and not _SHORTENED.search(said)) or _LABEL.match(next_one) is not None
