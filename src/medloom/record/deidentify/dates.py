"""Dates as notes write them, in English and Chinese: moved by some days and written alike, or reduced to the year."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)
_MIDDLE: Final = 15  # stands for a day that is not written
_DIGITS: Final = "〇一二三四五六七八九"
_HAN_NUMBER: Final = re.compile("[〇○零一二三四五六七八九十]+")
_HAN_DATE: Final = re.compile(
    rf"(?:{_HAN_NUMBER.pattern}年)?{_HAN_NUMBER.pattern}月(?:{_HAN_NUMBER.pattern}[日号])?"
)
_LEAP: Final = 2000  # stands for a year that is not written
_NAMED: Final = r"(?P<month>[A-Za-z]{3,9})(?P<dot>\.?)"
_DAY: Final = r"(?P<day>\d{1,2})(?P<th>st|nd|rd|th)?"
_NARROW: Final = {0xFF01 + place: 0x21 + place for place in range(94)}

_FORMS: Final = (
    re.compile(r"(?P<year>\d{4})(?P<gap>[-/.])(?P<number>\d{1,2})[-/.](?P<day>\d{1,2})"),
    re.compile(r"(?P<year>\d{4})(?P<number>\d{2})(?P<day>\d{2})"),
    re.compile(r"(?P<number>\d{1,2})(?P<gap>[/-])(?P<day>\d{1,2})(?P=gap)(?P<year>\d{4}|\d{2})"),
    re.compile(r"(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})"),
    re.compile(rf"{_NAMED}\s*{_DAY}(?:,?\s+(?:of\s+)?(?P<year>\d{{4}}))?"),
    re.compile(rf"{_DAY}(?:\s+of\s+|[\s-]*){_NAMED}(?:,?(?:\s+of)?[\s-]*(?P<year>\d{{4}}|\d{{2}}))?"),
    re.compile(rf"{_NAMED}(?:,|\s+of)?[\s-]+(?P<year>\d{{4}})"),
    re.compile(r"(?P<number>\d{1,2})/(?P<year>\d{4})"),
    re.compile(r"(?P<number>\d{1,2})/(?P<day>\d{1,2})"),
    re.compile(r"(?P<year>\d{4})[-/.](?P<number>\d{2})"),
    re.compile(
        r"(?:(?P<year>\d{2,4})\s*年\s*)?(?P<number>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*(?P<mark>[日号])"
    ),
    re.compile(r"(?P<year>\d{4})\s*年\s*(?P<number>\d{1,2})\s*月"),
)


def shifted(written: str, days: int) -> str | None:
    """Move a date by some days, and write it as it was; None: it cannot be read.

    A date without a year is moved as one of a leap year. Of `3/5/2024` the month comes first, unless it cannot.

    >>> [shifted(one, 10) for one in ("2024-03-05", "3/5/2024", "March 25, 2024", "5 May", "2024年12月30日", "3月5日")]
    ['2024-03-15', '3/15/2024', 'April 4, 2024', '15 May', '2025年1月9日', '3月15日']
    >>> shifted("二〇二四年三月五日", 10), shifted("05-MAR-24", 10), shifted("March of 2024", 20)
    ('二〇二四年三月十五日', '15-MAR-24', 'April of 2024')
    """
    if _HAN_DATE.fullmatch(written):
        moved = shifted(_HAN_NUMBER.sub(lambda found: str(_number(found.group())), written), days)
        return moved and re.sub(r"\d+", lambda found: _numeral(found.group()), moved)
    read = _read(written.translate(_NARROW).strip())
    if read is None:
        return None
    moment, write = read
    try:
        return write(moment + timedelta(days=days))
    except OverflowError:
        return None


def year_of(written: str) -> str | None:
    """Give the year of a date in four digits; None: it is not written so.

    >>> year_of("3/5/2024"), year_of("5 May")
    ('2024', None)
    """
    plain = _HAN_NUMBER.sub(lambda found: str(_number(found.group())), written.translate(_NARROW))
    found = re.search(r"(?<!\d)(?:19|20)\d{2}(?!\d)|^(?:19|20)\d{2}(?=\d{4}$)", plain)
    return found.group() if found else None


def _read(written: str) -> tuple[date, Callable[[date], str]] | None:
    match = next((found for form in _FORMS if (found := form.fullmatch(written))), None)
    if match is None:
        return None
    told = match.groupdict()
    month = int(told["number"]) if told.get("number") else _month(told.get("month") or "")
    day = int(told.get("day") or _MIDDLE)
    turned = month > 12 >= day
    if turned:
        month, day = day, month
    try:
        moment = date(_full(told.get("year")), month, day)
    except ValueError:
        return None
    return moment, lambda moved: _written(moved, match, turned)


def _number(numeral: str) -> int:
    """Read a Chinese numeral up to 99, or the digits of a year."""
    said = numeral.replace("○", "〇").replace("零", "〇")
    if "十" not in said:
        return int("".join(str(_DIGITS.index(one)) for one in said))
    tens, _, ones = said.partition("十")
    return 10 * (_DIGITS.index(tens) if tens else 1) + (_DIGITS.index(ones) if ones else 0)


def _numeral(digits: str) -> str:
    """Write a number up to 99 as a Chinese numeral, and a year by its digits."""
    if len(digits) > 2:
        return "".join(_DIGITS[int(one)] for one in digits)
    tens, ones = divmod(int(digits), 10)
    return (
        ("" if tens < 2 else _DIGITS[tens])
        + ("十" if tens else "")
        + (_DIGITS[ones] if ones or not tens else "")
    )


def _full(year: str | None) -> int:
    if year is None:
        return _LEAP
    return int(year) if len(year) == 4 else (1900 if int(year) > 50 else 2000) + int(year[-2:])


def _month(name: str) -> int:
    """Give the number of a month by its name or its beginning; 0: it is none."""
    start = "sep" if name.lower() == "sept" else name.lower()
    fitting = (place for place, one in enumerate(_MONTHS, 1) if one.lower().startswith(start))
    return next(fitting, 0) if len(start) > 2 else 0


def _written(moved: date, match: re.Match[str], turned: bool) -> str:
    """Write a date as another one was written."""
    told = match.groupdict()
    first, second = (moved.day, moved.month) if turned else (moved.month, moved.day)
    year = told.get("year")
    pair = [one for one in (told.get("number"), told.get("day")) if one]
    padded = (
        any(one.startswith("0") for one in pair)
        or match.group().isdigit()
        or (match.group()[4:5] in ("-", "/", ".") and all(len(one) == 2 for one in pair))
    )
    parts = {
        "year": None if year is None else f"{moved.year:04d}"[-len(year) :],
        "number": _padded(first, told.get("number"), padded),
        "day": _padded(second, told.get("day"), padded),
        "month": _named(moved.month, told.get("month")),
        "th": _ordinal(moved.day) if told.get("th") else None,
    }
    text, found, at = match.group(), [], 0
    places = sorted((*match.span(name), value) for name, value in parts.items() if value is not None)
    for start, end, value in places:
        found += [text[at:start], value]
        at = end
    return "".join([*found, text[at:]])


def _padded(number: int, like: str | None, padded: bool) -> str | None:
    return None if like is None else f"{number:02d}" if padded else str(number)


def _named(month: int, like: str | None) -> str | None:
    if like is None:
        return None
    whole = like.lower() in map(str.lower, _MONTHS)
    name = _MONTHS[month - 1] if whole else _MONTHS[month - 1][:3]
    return name.upper() if like.isupper() else name


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
