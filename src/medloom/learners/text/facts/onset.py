"""When something began or was done, as a note tells it: a date, or how long before the note, in English and Chinese.

Told as TIMEX3 tells it (ISO 24617-1:2012): a date as precise as the words (`2015`, `2015-03`, `2015-03-04`), or, where
it counts from the note, how long before it (`-P3D`, `-P10Y`). Of a day and a month in figures, `3/4/2015`, the year
alone is read: which is which differs by country.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from medloom.learners.text.facts.numerals import NUMERALS


def onset_of(sentence: str, start: int, end: int) -> str | None:
    """Tell when what stands at `sentence[start:end]` began, or was done; None: the sentence does not say.

    The nearest time counts of those in the same part of the sentence, else one that the sentence begins with.

    >>> said = "Hypertension since March 2015, cough for 3 days."
    >>> onset_of(said, 0, 12), onset_of(said, 31, 36)
    ('2015-03', '-P3D')
    >>> onset_of("10-year history of asthma", 19, 25), onset_of("发现高血压病史10余年", 2, 5)
    ('-P10Y', '-P10Y')
    >>> onset_of("Pneumonia treated with amoxicillin for 2 weeks", 0, 9)
    """
    low = sentence.lower()
    if len(low) != len(sentence):
        return None
    cuts = [match.span() for match in _PART.finditer(low)]
    before = low[max((last for _, last in cuts if last <= start), default=0) : start]
    behind = low[end : min((first for first, _ in cuts if first >= end), default=len(low))]
    found = [(len(before) - last, told) for _, last, told in _times(before, _LENGTHS_BEFORE)]
    found += [(first, told) for first, _, told in _times(behind, _LENGTHS_BEHIND)]
    near = [one for one in found if one[0] <= _NEAR]
    if not near:  # `In 2015, she had …`; 3天前，…
        near = [(first, told) for first, _, told in _times(low[:start], _LENGTHS_AGO) if first <= _BEGINNING]
    return min(near, default=(0, None))[1]


def began(onset: str, noted: date) -> str:
    """Give the date that an onset means in a note of a day, as precise as it was told.

    >>> began("2015-03", date(2024, 5, 1)), began("-P3D", date(2024, 5, 1)), began("-P10Y", date(2024, 5, 1))
    ('2015-03', '2024-04-28', '2014')
    """
    if not onset.startswith("-P"):
        return onset
    number, unit = int(onset[2:-1]), onset[-1]
    if unit == "Y":
        return f"{noted.year - number:04d}"
    if unit == "M":
        year, month = divmod(noted.year * 12 + noted.month - 1 - number, 12)
        return f"{year:04d}-{month + 1:02d}"
    return (noted - timedelta(days=number * (7 if unit == "W" else 1))).isoformat()


def _times(words: str, lengths: Sequence[re.Pattern[str]]) -> Iterator[tuple[int, int, str]]:
    """Give the times that words tell: where each begins and ends, and what it is."""
    for pattern in _DATES:
        for match in pattern.finditer(words):
            if (told := _dated(match.groupdict())) is not None:
                yield match.start(), match.end(), told
    for pattern in lengths:
        for match in pattern.finditer(words):
            if (number := _number(match["n"])) is not None:
                yield match.start("n"), match.end("unit"), f"-P{number}{_UNITS[match['unit']]}"
    for match in _WORDS.finditer(words):
        yield match.start(), match.end(), f"-P{_DAYS[match.group()]}D"


def _dated(told: dict[str, str | None]) -> str | None:
    """Write a date as far as it is told; None: there is no such day."""
    year, month, day = told["year"] or "", told.get("month"), told.get("day")
    if name := told.get("name"):
        month = str(1 + _MONTHS.index(name[:3]))
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return "-".join([year, *(f"{int(one):02d}" for one in (month, day) if one)])


def _number(words: str) -> int | None:
    """Read a number, in figures or words; None: it is none, or 0."""
    if words.isdecimal():
        return int(words) or None
    tens, ten, ones = words.partition("十")
    if ten and len(words) > 1:
        return 10 * NUMERALS.get(tens, 1) + NUMERALS.get(ones, 0)
    return NUMERALS.get(words)


_NEAR: Final = 30  # characters between words and a time
_BEGINNING: Final = 4  # characters before a time that a sentence begins with
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_UNITS: Final = {
    **dict.fromkeys(("day", "d", "天", "日"), "D"),
    **dict.fromkeys(("week", "wk", "周", "星期"), "W"),
    **dict.fromkeys(("month", "mo", "个月", "月余"), "M"),
    **dict.fromkeys(("year", "yr", "y", "年"), "Y"),
}
_DAYS: Final = {"yesterday": 1, "昨日": 1, "昨天": 1, "昨晚": 1, "前天": 2, "前日": 2}
_WORDS: Final = re.compile("|".join(_DAYS))
_PART: Final = re.compile(
    r"[;；。\n]|[,，](?=\s*[^\d\s])|\b(?:but|however|treated|treatment|given|started|completed)\b|但|予"
)
"""What begins another thought, of which a time does not tell."""
_YEAR: Final = r"(?P<year>(?:19|20)\d{2})"
_DATES: Final = (
    re.compile(
        r"(?:\b(?:since|in|from|circa|on|during|of)\s+(?:(?:early|late|mid)[ -]?)?"
        rf"(?:(?P<name>(?:{'|'.join(_MONTHS)})[a-z]{{0,6}})\.?,?\s+)?(?:\d{{1,2}}[/.]){{0,2}}|\(\s*)"
        rf"{_YEAR}(?![\d/-]|\s*(?:mg|ml|g|u|iu|units)\b)"
    ),
    re.compile(
        rf"{_YEAR}\s*年(?:\s*(?P<month>1[0-2]|0?[1-9])\s*月(?:\s*(?P<day>3[01]|[12]\d|0?[1-9])\s*[日号])?)?"
    ),
    re.compile(rf"(?<![\d-]){_YEAR}-(?P<month>1[0-2]|0?[1-9])(?:-(?P<day>3[01]|[12]\d|0?[1-9]))?(?![\d-])"),
)
_LENGTH: Final = (
    r"\b(?P<n>\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten)[ -]?"
    r"(?P<unit>day|week|month|year|wk|yr|mo|d|y)s?\b\.?"
)
_ZH_LENGTH: Final = (
    r"(?<![\d月年每第./])(?P<n>\d{1,3}|[一二三四五六七八九十两]{1,3})\s*(?:余|多)?\s*"
    r"(?P<unit>天|日|周|星期|个月|月余|年)(?!后|内|一次|[\d月])"
)
_LENGTHS_AGO: Final = (
    re.compile(rf"{_LENGTH}\s*(?:ago|prior|earlier)\b"),
    re.compile(rf"{_ZH_LENGTH}(?:余|多)?(?:前|来)"),
)
_LENGTHS_BEFORE: Final = (
    *_LENGTHS_AGO,
    re.compile(rf"{_LENGTH}\s*(?:(?:history|hx|h/o)(?: of)?|of)\b"),
)
_LENGTHS_BEHIND: Final = (
    re.compile(rf"{_LENGTH}\s*(?:ago|prior|earlier|before)\b"),
    re.compile(rf"(?:\bfor|\bx|×|\bsince)\s*(?:(?:the|past|last|about|over|nearly|more than)\s+)*{_LENGTH}"),
    re.compile(_ZH_LENGTH),
)
