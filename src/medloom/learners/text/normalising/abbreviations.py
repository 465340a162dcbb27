"""Short forms that a text explains: `hypertension (HT)` (Schwartz and Hearst, Pac Symp Biocomput 2003:451-462)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final


def abbreviations(text: str) -> dict[str, str]:
    """Give what the short forms of a text stand for, the first explanation of each.

    >>> abbreviations("Heparin-induced thrombocytopenia (HIT) is rare; DOX (doxorubicin) is not.")
    {'HIT': 'Heparin-induced thrombocytopenia', 'DOX': 'doxorubicin'}
    >>> abbreviations("Ten patients (three women) were seen.")
    {}
    """
    found: dict[str, str] = {}
    for match in _BRACKETS.finditer(text):
        inside = _ASIDE.split(match[1])[0].strip()
        before = _SENTENCE.split(text[max(0, match.start() - 200) : match.start()])[-1].strip()
        if _is_short(inside):
            count = min(len(inside) + 5, 2 * len(inside))
            explained = _explained(inside, " ".join(before.split()[-count:]))
            if explained:
                found.setdefault(inside, explained)
        elif before and _is_short(short := before.split()[-1]):
            explained = _explained(short, inside)
            if explained == inside:
                found.setdefault(short, inside)
    return found


def set_beside(text: str, mentions: Sequence[str]) -> dict[str, str]:
    """Give which mentions stand in brackets behind another, whose letters need not be its own.

    Only what is written as names of substances and short forms are counts: with a digit or a capital within.

    >>> set_beside("A lesion of 6-hydroxydopamine (6-OHDA, 8 mg) was set.", ["6-hydroxydopamine", "6-OHDA"])
    {'6-OHDA': '6-hydroxydopamine'}
    """
    found: dict[str, str] = {}
    longest = sorted(set(mentions), key=lambda one: (-len(one), one))
    for match in _BRACKETS.finditer(text):
        inside = _ASIDE.split(match[1])[0].strip()
        before = text[max(0, match.start() - 200) : match.start()].rstrip()
        if inside not in longest or not _SHORT.search(inside):
            continue
        other = next((one for one in longest if len(one) > len(inside) and before.endswith(one)), "")
        if other and not before[: -len(other)][-1:].isalnum():
            found.setdefault(inside, other)
    return found


def expanded(name: str, known: dict[str, str]) -> str:
    """Write a name with its short forms explained; as it is where none is known.

    >>> expanded("HIT type II", {"HIT": "heparin-induced thrombocytopenia"})
    'heparin-induced thrombocytopenia type II'
    """
    if name in known:
        return known[name]
    if name.endswith("s") and name[:-1] in known:
        return known[name[:-1]]
    parts = _PIECES.split(name)
    return "".join(known.get(one, one) for one in parts) if len(parts) > 1 else name


def _is_short(said: str) -> bool:
    return (
        1 <= len(said) <= 10
        and len(said.split()) <= 2
        and said[0].isalnum()
        and any(one.isupper() for one in said)
        and any(one.isalpha() for one in said)
    )


def _explained(short: str, long: str) -> str:
    """Find the words that a short form is made of, its letters from the last to the first; none: nothing."""
    at = len(long) - 1
    for place in range(len(short) - 1, -1, -1):
        letter = short[place].lower()
        if not letter.isalnum():
            continue
        while at >= 0 and (long[at].lower() != letter or (place == 0 and at > 0 and long[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return ""
        at -= 1
    start = long.rfind(" ", 0, at + 2) + 1
    found = long[start:].strip()
    shorter = len(found) <= len(short)
    return "" if shorter or short in found.split() or found.count("(") != found.count(")") else found


_BRACKETS: Final = re.compile(r"[(\[]([^()\[\]]{1,120})[)\]]")
_ASIDE: Final = re.compile(r"[;,:=]\s|\s(?:or|and)\s")
_SHORT: Final = re.compile(r"\d|^[A-Z]|\w[A-Z]")
_SENTENCE: Final = re.compile(r"(?<=[.;?!])\s")
_PIECES: Final = re.compile(r"([\s/-])")
