"""Where the sentences of a note begin and end, in English and Chinese."""

from __future__ import annotations

import re
from typing import Final

LINE_END: Final = (
    r"\n(?!(?<=[,，、]\n)|(?<=[,，、] \n)|(?<=\b(?:of|or|no)\n)|(?<=\b(?:and|nor|not|any|the)\n)|(?<=\bwith\n)|"
    r"(?<=\bdenies\n)|(?<=\bwithout\n)|[ \t]*(?:or|and|nor)\b|(?<=[^\n]{50}\n)[a-z])"
)
"""The end of a line that ends a sentence (a pattern): not where a long line, or one after a comma or `of`, goes on."""
_END: Final = re.compile(rf"[.!?](?=\s|$)|[。！？；;]|{LINE_END}")
_ABBREVIATED: Final = re.compile(
    r"\b(?:dr|mr|mrs|ms|prof|vs|e\.g|i\.e|approx|st|p\.o|b\.i\.d|t\.i\.d|q\.i\.d|q\.d|p\.r\.n|q\.h\.s|i\.v|i\.m|"
    r"s\.c|no|pts?|wt|ht|cf|fig)\.$",
    re.IGNORECASE,
)
_OF_DAY: Final = re.compile(r"\b[ap]\.m\.$", re.IGNORECASE)
_GOES_ON: Final = re.compile(r"[ \t]+[a-z\d(]")
_NUMBER: Final = re.compile(r"\s*\d{1,2}\.$")
"""The number of a list's item, which belongs to what follows."""


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Give the character ranges of a text's sentences, without the space around them.

    A line that is only broken to fit a page goes on in the next one.

    >>> text = "Take 5 mg p.o. daily. 无发热。咳嗽"
    >>> [text[start:end] for start, end in sentences(text)]
    ['Take 5 mg p.o. daily.', '无发热。', '咳嗽']
    """
    found, start = [], 0
    for match in _END.finditer(text):
        before, end = max(0, match.start() - 8), match.end()
        if _ABBREVIATED.search(text, before, end) or _NUMBER.fullmatch(text, start, end):
            continue
        if _OF_DAY.search(text, before, end) and _GOES_ON.match(text, end):
            continue
        found.append((start, match.end()))
        start = match.end()
    found.append((start, len(text)))
    return tuple(trimmed for one in found if (trimmed := _trimmed(text, *one)) is not None)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    said = text[start:end]
    bare = said.strip()
    first = start + len(said) - len(said.lstrip())
    return (first, first + len(bare)) if bare else None
