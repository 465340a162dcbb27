"""What of a word, and of those around it, tells a linear tagger what it is: clues, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medloom.learners.text.words import SHAPES, Ranges, shape_of

_AROUND: Final = 2  # words on each side
_ENDS: Final = 4  # letters of beginnings and endings


def clues_of(text: str, words: Ranges) -> list[list[str]]:
    """Tell the clues of each word of a text.

    >>> text = "Takes aspirin."
    >>> from medloom.learners.text.words import words_of
    >>> [one for one in clues_of(text, words_of(text))[1] if one.startswith(("w=", "-1", "e3"))]
    ['w=aspirin', 'e3=rin', '-1=takes', '-1:s=title', '-1:e=kes', '-1|0=takes|aspirin']
    """
    said = [text[start:end] for start, end in words.tolist()]
    low = [one.lower() for one in said]
    shapes = [SHAPES[shape_of(one)] for one in said]
    joined = [bool(place) and words[place, 0] == words[place - 1, 1] for place in range(len(said))]
    return [_clues(place, low, shapes, joined) for place in range(len(said))]


def _clues(place: int, low: Sequence[str], shapes: Sequence[str], joined: Sequence[bool]) -> list[str]:
    word = low[place]
    found = ["always", f"w={word}", f"s={shapes[place]}", f"n={min(len(word), 12)}"]
    if joined[place]:
        found.append("joined")
    for size in range(1, min(_ENDS, len(word) - 1) + 1):
        found += [f"b{size}={word[:size]}", f"e{size}={word[-size:]}"]
    found += [f"t={word[at : at + 3]}" for at in range(len(word) - 2)]
    for step in range(-_AROUND, _AROUND + 1):
        at = place + step
        if step and 0 <= at < len(low):
            found += [f"{step:+d}={low[at]}", f"{step:+d}:s={shapes[at]}"]
            if len(low[at]) > 3:
                found.append(f"{step:+d}:e={low[at][-3:]}")
        elif step:
            found.append(f"{step:+d}=edge")
    if place:
        found.append(f"-1|0={low[place - 1]}|{word}")
    if place + 1 < len(low):
        found.append(f"0|+1={word}|{low[place + 1]}")
    return found
