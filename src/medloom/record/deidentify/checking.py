"""Numbers that carry their own check: citizens' numbers, cards, vehicles, prescribers."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_WORTH: Final = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", [*range(1, 9), 1, 2, 3, 4, 5, 7, 9, *range(2, 10)], strict=True)
) | {str(one): one for one in range(10)}
_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def is_citizen_number(number: str) -> bool:
    """Tell whether a number of 18 characters is a citizen's of China (GB 11643-1999): a date in it, and its check.

    >>> is_citizen_number("11010519491231002X"), is_citizen_number("110105194912310021")
    (True, False)
    """
    if re.fullmatch(r"\d{17}[\dXx]", number) is None or not _is_day(number[6:14]):
        return False
    return citizen_check(number[:17]) == number[17].upper()


def citizen_check(number: str) -> str:
    """Give the last character of a citizen's number by the 17 digits before it.

    >>> citizen_check("11010519491231002")
    'X'
    """
    return "10X98765432"[sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(number)) % 11]


def luhn_check(number: str) -> str:
    """Give the last digit of a card's number by those before it (ISO/IEC 7812-1 Annex B).

    >>> luhn_check("7992739871")
    '3'
    """
    doubled = [int(one) * (2 - place % 2) for place, one in enumerate(reversed(number))]
    return str(-sum(one - 9 if one > 9 else one for one in doubled) % 10)


def is_card(number: str) -> bool:
    """Tell whether digits, maybe with blanks or strokes, are a card's number: 13 to 19 of them, and their check.

    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = re.sub(r"[ -]", "", number)
    return digits.isdigit() and 12 < len(digits) < 20 and luhn_check(digits[:-1]) == digits[-1]


def vehicle_check(number: str) -> str | None:
    """Give the ninth character of a vehicle's 17 (49 CFR 565.15(c)); None: it has other characters.

    >>> vehicle_check("1M8GDM9AXKP042788")
    'X'
    """
    try:
        rest = sum(_WORTH[one] * weight for one, weight in zip(number.upper(), _WEIGHTS, strict=True)) % 11
    except (KeyError, ValueError):
        return None
    return "X" if rest == 10 else str(rest)


def is_vehicle(number: str) -> bool:
    """Tell whether 17 characters are a vehicle's number with its check.

    >>> is_vehicle("1M8GDM9AXKP042788"), is_vehicle("1M8GDM9A1KP042788")
    (True, False)
    """
    return len(number) == 17 and vehicle_check(number) == number[8].upper()


def _is_day(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True
