"""Clues of notes written in lines, such as forms and letterheads: where a word stands, and below what label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from medloom.learners.text.words import Ranges

_FURTHEST: Final = 6  # words of a line, and behind a label, that are counted
_LABEL: Final = 3  # words of a label at most
_LONGEST: Final = 20  # letters of what is written without spaces
_LOWER: Final = re.compile(r"[^\W\d_A-ZÀ-Þ]+")
_UPPER: Final = re.compile(r"[A-ZÀ-Þ]")
_DIGIT: Final = re.compile(r"\d")


def begins_of_lines(text: str, words: Ranges) -> list[int]:
    """Give the words that begin lines, in order.

    >>> from medloom.learners.text.words import words_of
    >>> text = "Name: Ann\\nAge: 40"
    >>> begins_of_lines(text, words_of(text))
    [0, 3]
    """
    behind = [0, *words[:-1, 1].tolist()]
    starts = words[:, 0].tolist()
    return [at for at in range(len(starts)) if not at or "\n" in text[behind[at] : starts[at]]]


def layout_clues(text: str, words: Ranges) -> list[list[str]]:
    """Tell the clues of each word (n,) that lines give, and the forms of numbers.

    >>> from medloom.learners.text.words import words_of
    >>> text = "Name: Ann\\nAge: 40"
    >>> [one for one in layout_clues(text, words_of(text))[-1] if one.startswith(("label", "form"))]
    ['form=00', 'label=age', 'label=age|0', 'label=age|00']
    """
    said = [text[start:end] for start, end in words.tolist()]
    low = [one.lower() for one in said]
    forms = [_form(one) for one in said]
    written = _written(text, words)
    begins = frozenset(begins_of_lines(text, words))
    found: list[list[str]] = []
    first = labelled = 0
    label = ""
    for place, word in enumerate(said):
        if place in begins:
            first = labelled = place
            label = ""
        clues = [
            f"in={min(place - first, _FURTHEST)}",
            f"line={' '.join(low[first : min(place, first + 2)])}",
            f"written={word}",
            f"form={forms[place]}",
            *_around(place, low, forms),
        ]
        if word in ":：":
            label = " ".join(low[max(labelled, place - _LABEL) : place])
            labelled = place + 1
        elif label:
            clues += [
                f"label={label}",
                f"label={label}|{min(place - labelled, _FURTHEST)}",
                f"label={label}|{forms[place]}",
            ]
        if written[place] != word:
            clues.append(f"run={_form(written[place])[:_LONGEST]}")
        found.append(clues)
    return found


def _around(place: int, low: Sequence[str], forms: Sequence[str]) -> list[str]:
    found = [f"{step:+d}:f={forms[place + step]}" for step in (-2, -1, 1, 2) if 0 <= place + step < len(low)]
    for side, steps in (("before", (-4, -3)), ("behind", (3, 4))):
        found += [f"{side}={low[place + step]}" for step in steps if 0 <= place + step < len(low)]
    if place + 2 < len(low):
        found.append(f"+1|+2={low[place + 1]}|{low[place + 2]}")
    if place > 1:
        found.append(f"-2|-1={low[place - 2]}|{low[place - 1]}")
    return found


def _written(text: str, words: Ranges) -> list[str]:
    """Give of each word what is written together with it, without spaces, such as a whole date."""
    found: list[str] = []
    first, n = 0, len(words)
    for place in range(n):
        if place + 1 == n or words[place, 1] != words[place + 1, 0]:
            found += [text[words[first, 0] : words[place, 1]]] * (place + 1 - first)
            first = place + 1
    return found


def _form(word: str) -> str:
    """Write how a word is formed: `0` for digits, `A` for capitals, `a` for other letters that follow each other."""
    return _DIGIT.sub("0", _LOWER.sub("a", _UPPER.sub("A", word)))
