"""Dates, but for the year, and ages over 89, wherever they stand in a note."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from medloom.record.deidentify.kinds import Identifier
from medloom.record.deidentify.words import Spots, matches

_YEAR: Final = r"(?:19|20)\d{2}"
_M: Final = r"(?:0?[1-9]|1[0-2])"
_D: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_UNIT: Final = r"(?![ ]?(?:mg|mcg|ml|g|kg|mm|cm|tabs?|tablets?|units?|%)\b)"
_NUMERIC: Final = re.compile(
    rf"(?<![\d/.])(?:"
    rf"{_YEAR}[-/.]{_M}[-/.]{_D}|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?![A-Za-z])|"
    rf"{_D}/{_D}/(?:\d{{4}}|\d{{2}})|{_D}([-.]){_D}\1{_YEAR}|[0-3]\d-[0-3]\d-\d{{2}}{_UNIT}|"
    rf"{_YEAR}[-/.](?:0[1-9]|1[0-2])(?!-\d)|{_M}/{_YEAR})(?![\d/-]|\.\d)"
)
_SHORT: Final = re.compile(
    rf"(?:on|since|until|dated?:?|dos:?|as of)[ ]+(?P<it>{_M}/{_D})(?![\d/])(?![ ]*(?:of|strength|pain)\b)"
)
_TOKEN: Final = re.compile(r"\d[\d/.-]{4,}")
_MONTHS: Final = (
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_AFTER: Final = re.compile(
    rf"\.?(?:[ ]{{0,2}}-?\s?(?P<day>{_D})(?:st|nd|rd|th)?(?![\d.:/]\d|\d)(?:(?:,|"
    rf"\s?-)?\s{{1,2}}(?:of )?(?P<year>{_YEAR})|-(?:{_YEAR}|\d\d)(?!\d))?"
    rf"|(?:,| of)?[ -]{{1,2}}(?P<only>{_YEAR}))(?!\d)"
)
_BEFORE: Final = re.compile(rf"(?<![\d.:/-]){_D}(?:st|nd|rd|th)?(?:\s{{1,2}}of\s{{1,2}}|[ -]{{0,2}})$")
_BEHIND: Final = re.compile(rf"\.?(?:,?\s{{1,2}}(?:of )?{_YEAR}|[ -](?:{_YEAR}|\d\d)|(?:{_YEAR}|\d\d))(?!\d)")
_PLAUSIBLE: Final = re.compile(
    r"(?:\b(?:on|in|of|since|until|from|to|by|before|after|and|date|dated|between):?\s{1,2})$"
)
_ZH: Final = "〇○零一二三四五六七八九十"
_CHINESE: Final = re.compile(
    rf"(?:(?:(?:19|20)?\d{{2}}\s?年\s?)?(?<!\d)\d{{1,2}}\s?月(?:\s?\d{{1,2}}\s?[日号](?!楼))|"
    rf"(?:19|20)\d{{2}}\s?年\s?\d{{1,2}}\s?月(?!\s?\d{{1,2}}\s?[日号])|"
    rf"[{_ZH}]{{4}}年[{_ZH}]{{1,2}}月(?:[{_ZH}]{{1,3}}[日号])?|[{_ZH}]{{1,2}}月[{_ZH}]{{1,3}}[日号])"
)
_TENS: Final = (
    r"ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:a|one)[ -]hundred(?: and \w+| \w+)?"
)
_OLD: Final = re.compile(r"(?:9\d|1[0-4]\d)(?![\d./%])")
_YEARS: Final = re.compile(r"\s{0,2}-?\s{0,2}(?:years?|yrs?\b|y\.?\s?/?o\b|y\.o|yo\b|周?岁)")
_AGED: Final = re.compile(r"(?:\b(?:aged?|age is|is now|turned|turning)|年\s{0,2}龄)\s{0,2}[:|]?\s{0,2}$")
_TOLD: Final = re.compile(
    rf"\b(?:{_TENS})(?=[ -]years?[ -]old)|(?:九十[一二三四五六七八九]?|一百[{_ZH}]{{0,3}})(?=[余多]?周?岁)"
)


_BORN: Final = re.compile(
    r"\b(?:born|dob|year of birth|birth year|birthyear)[ ]?:?\s{0,2}(?:in\s)?(?P<en>1[89]\d\d)(?!\d|[/.-]\d)|"
    r"(?:生于|出生年份?)[ ]?:?\s{0,2}(?P<zh>1[89]\d{2})(?!年?\s?\d)|(?<!\d)(?P<of>1[89]\d{2})(?=年出?生)"
)


def dates(text: str, low: str, where: Spots) -> Iterator[Identifier]:
    """Find dates that tell more than the year, and years of birth.

    >>> from medloom.record.deidentify.words import spots
    >>> text = "Seen 5th of March, 2024; again 05-APR-24, 2024年6月；may take 5 tablets"
    >>> [text[one.start : one.end] for one in dates(text, text.lower(), spots(text.lower()))]
    ['5th of March, 2024', '05-APR-24', '2024年6月']
    """
    for token in _TOKEN.finditer(text):
        for match in _NUMERIC.finditer(text, token.start(), token.end() + 5):
            if match.start() < token.end():
                yield Identifier(match.start(), match.end(), "date")
    for match in matches(_SHORT, ("on", "since", "until", "date", "dated", "dos", "as"), low, where):
        yield Identifier(match.start("it"), match.end("it"), "date")
    for month in _MONTHS:
        for start in where.get(month, ()):
            found = _named(low, start, start + len(month))
            if found is not None:
                yield Identifier(*found, "date")
    if "born" in where or "birth" in where or "dob" in where or "生" in text:
        for match in _BORN.finditer(low):  # a year alone tells an age over 89, if it is long ago
            group = match.lastgroup or 0
            yield Identifier(match.start(group), match.end(group), "date")
    if "月" in text:
        for match in _CHINESE.finditer(text):
            yield Identifier(match.start(), match.end(), "date")


def ages(low: str) -> Iterator[Identifier]:
    """Find ages over 89.

    >>> text = "a 92-year-old man, 89 years old"
    >>> [text[one.start : one.end] for one in ages(text)]
    ['92']
    """
    for match in _OLD.finditer(low):
        start, end = match.span()
        if start and (low[start - 1].isdigit() or low[start - 1] == "."):
            continue
        if _YEARS.match(low, end) or _AGED.search(low, max(0, start - 14), start):
            yield Identifier(start, end, "age")
    if "ninety" in low or "hundred" in low or "九十" in low or "一百" in low:
        for match in _TOLD.finditer(low):
            yield Identifier(match.start(), match.end(), "age")


def _named(low: str, start: int, end: int) -> tuple[int, int] | None:
    """Give where a date with the name of a month begins and ends; None: it is none."""
    before = _BEFORE.search(low, max(0, start - 12), start)
    if before:
        behind = _BEHIND.match(low, end)
        if behind:
            return before.start(), behind.end()
        if low[start:end] not in ("may", "mar") or _plain(low, before.start()) or _CLOSED.match(low, end):
            return before.start(), end
    after = _AFTER.match(low, end)
    if after is None:
        return None
    if after["year"] or after["only"] or low[start:end] not in ("may", "march", "mar"):
        return start, after.end()
    if _PLAUSIBLE.search(low, max(0, start - 12), start) or _plain(low, start, after.end()):
        return start, after.end()
    return None


_CLOSED: Final = re.compile(
    r"(?:st|nd|rd|th)?\s{0,2}(?:[.,;:)\n]|$|and\b|to\b|he\b|she\b|the\b|at\b|for\b|with\b|showed\b)"
)


def _plain(low: str, start: int, end: int | None = None) -> bool:
    """Tell whether `may 5` is closed off as a date is, and not followed by what is taken."""
    if end is None:
        return _PLAUSIBLE.search(low, max(0, start - 12), start) is not None
    return low[end - 2 : end] in ("st", "nd", "rd", "th") or _CLOSED.match(low, end) is not None
