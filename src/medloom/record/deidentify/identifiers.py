"""What in a note could name a person, found by rules: numbers with their checks, dates, labels, titles and places.

The kinds are those of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)) that can be told by their form or by what stands
beside them, and China's: the citizen's number with its check (GB 11643-1999), mobile numbers, social security cards,
record numbers, names, addresses and hospitals. A name that nothing beside it tells is not found by rules: that is for
a learned tagger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from medloom.record.deidentify.chinese_people import chinese_people
from medloom.record.deidentify.chinese_places import chinese_places
from medloom.record.deidentify.dated import ages, dates
from medloom.record.deidentify.kinds import KINDS, Identifier
from medloom.record.deidentify.lines import Joined, joined
from medloom.record.deidentify.numbered import numbers
from medloom.record.deidentify.people import people, style_of
from medloom.record.deidentify.places import places_named
from medloom.record.deidentify.tables import cells
from medloom.record.deidentify.words import spots

_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_ENGLISH: Final = re.compile(r"[A-Za-z]{2,24}[ .:,][ ]?[A-Za-z]{2}")
_RANK: Final = {kind: place for place, kind in enumerate(KINDS)}


def identifiers(text: str) -> tuple[Identifier, ...]:
    """Find identifiers by rules, in order; where several overlap, the longest, and what it leaves of the others.

    Digits and letters of full width are read as the usual ones, and lines that were broken to fit as one.

    >>> text = "患者张伟，电话13812345678，2024年3月5日入院。"
    >>> [(one.kind, text[one.start : one.end]) for one in identifiers(text)]
    [('name', '张伟'), ('phone', '13812345678'), ('date', '2024年3月5日')]
    """
    read = joined(text)
    places = set(_placed(read, _all(read.text)))
    if read.numbers:
        apart = joined(text, apart=True)
        places |= set(_placed(apart, _numbers(apart.text, _lower(apart.text))))
    kept: list[Identifier] = []
    taken = bytearray(len(text))
    for one in sorted(places, key=lambda one: (one.start - one.end, one.start, _RANK[one.kind])):
        start, end = one.start, one.end
        while start < end and (taken[start] or not text[start].isalnum()) and any(taken[start:end]):
            start += 1
        while start < end and (taken[end - 1] or not text[end - 1].isalnum()) and any(taken[start:end]):
            end -= 1
        if start < end and not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            kept.append(Identifier(start, end, one.kind))
    return tuple(sorted(kept, key=lambda one: one.start))


def _placed(read: Joined, found: Iterable[Identifier]) -> Iterator[Identifier]:
    return (Identifier(read.place(one.start), read.end(one.end), one.kind) for one in found)


def _lower(text: str) -> str:
    """Write in lower case what does not get longer by it."""
    low = text.lower()
    if len(low) == len(text):
        return low
    return "".join(one if len(lowered := one.lower()) != 1 else lowered for one in text)


def _numbers(text: str, low: str) -> Iterator[Identifier]:
    yield from numbers(text, low)
    yield from dates(text, low, spots(low))


def _all(text: str) -> Iterator[Identifier]:
    low = _lower(text)
    yield from numbers(text, low)
    where = spots(low)
    yield from dates(text, low, where)
    yield from ages(low)
    yield from cells(text, low)
    if _ENGLISH.search(text):
        style = style_of(text)
        yield from people(text, low, where, style)
        yield from places_named(text, low, where, style)
    if _HAN.search(text):
        yield from chinese_people(text)
        yield from chinese_places(text)
