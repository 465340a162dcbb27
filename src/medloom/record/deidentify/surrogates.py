"""What stands in the place of identifiers: the same for the same words of a patient, and never the words themselves.

A surrogate is drawn by a keyed hash (HMAC-SHA-256) of patient, kind and words: without the key nobody finds it again,
and with it all notes of a patient agree. The names are common ones, put together anew.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Final

from medloom.record.deidentify.checking import (
    citizen_check,
    is_card,
    is_citizen_number,
    is_vehicle,
    luhn_check,
    vehicle_check,
)
from medloom.record.deidentify.chinese_people import DOUBLE
from medloom.record.deidentify.kinds import Kind
from medloom.record.deidentify.words import GIVEN

_FIRST: Final = (
    "Alex Blair Casey Dana Ellis Frankie Glenn Harper Jamie Jordan Kelly Lee Morgan Noel Parker Quinn Robin Sam "
    "Taylor Val".split()
)
_LAST: Final = (
    "Adams Baker Clark Davis Evans Foster Green Hill Irwin Jones King Lewis Mills Nelson Owens Price Reed Scott "
    "Turner Ward".split()
)
_SURNAMES: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗"
_GIVEN: Final = "安宁文华平乐康清远明志春海云玉林松竹新月"
_PLACES: Final = "Maple Oak Cedar Elm Pine Birch Willow Spruce Aspen Laurel".split()
_ROADS: Final = "人民路 建设路 解放路 和平路 中山路 新华路 文化路 幸福路 光明路 胜利路".split()
_HOSPITALS: Final = "Riverside Lakeview Hillcrest Parkside Northgate Southfield Eastbrook Westmont".split()
_CLINICS: Final = "第一 第二 第三 城东 城西 城南 城北 中心".split()
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_FIRMS: Final = "恒通 新和 安达 华远 宏业 永丰 天成 广源".split()
_PLATES: Final = "京津沪渝冀豫云辽黑湘皖鲁苏浙赣鄂甘晋陕吉闽贵粤青川"
_MOST_DAYS: Final = 365


@dataclass(frozen=True)
class Surrogates:
    """Draws surrogates for one patient.

    Attributes:
        key: secret, 16 bytes or more.
        patient: whose notes; the same words of another patient get another surrogate.

    >>> drawn = Surrogates(bytes(32), "P1")
    >>> drawn.of("name", "Ann Lee") == drawn.of("name", "ann  lee") != "Ann Lee"
    True
    >>> len(drawn.of("phone", "412-555-0199")), drawn.of("phone", "412-555-0199")[3]
    (12, '-')
    """

    key: bytes
    patient: str

    @property
    def days(self) -> int:
        """Give the days by which all dates of the patient move: backward, up to a year, and never 0."""
        return -1 - self._drawn("date", "") % _MOST_DAYS

    @property
    def pseudonym(self) -> str:
        """Name the patient without saying who it is: 12 letters and digits."""
        return f"{self._drawn('pseudonym', ''):016x}"[:12]

    def of(self, kind: Kind, words: str) -> str:
        """Give what stands in the place of words."""
        if not any(one.isalnum() for one in words):
            return "#" * len(words)
        return next(
            made for turn in count() if (made := self._made(kind, words, turn)).lower() != words.lower()
        )

    def _made(self, kind: Kind, words: str, turn: int) -> str:
        drawn = kind + "'" * turn  # what was drawn before was the words themselves
        number = self._drawn(drawn, words)
        chinese = _HAN.search(words) is not None
        if kind == "name":
            return self._chinese_name(drawn, "".join(words.split())) if chinese else self._name(drawn, words)
        if kind == "organisation":
            return f"{_pick(_FIRMS, number)}公司" if chinese else f"{_pick(_HOSPITALS, number)} Company"
        if kind == "hospital":
            return f"{_pick(_CLINICS, number)}医院" if chinese else f"{_pick(_HOSPITALS, number)} Hospital"
        if kind == "address":
            house = 1 + number // 97 % 900
            return (
                f"{_pick(_ROADS, number)}{house}号" if chinese else f"{house} {_pick(_PLACES, number)} Street"
            )
        if kind == "email":
            return f"person{number % 100_000}@example.org"
        if kind == "url":
            return f"https://example.org/{number % 100_000}"
        if kind == "ip":
            return f"192.0.2.{number % 256}"  # kept for documentation: RFC 5737
        return self._numbered(kind, drawn, words)

    def _name(self, drawn: str, words: str) -> str:
        """Draw parts by parts: Ann Lee, Lee, and Lee, Ann are one person still."""
        before, comma, behind = (part.strip() for part in words.partition(","))
        parts = [
            one
            for one in (f"{behind} {before}" if comma and behind else before).split()
            if len(one.strip(".")) > 1
        ]
        last = parts[-1] if parts else words
        alone = len(parts) < 2
        if alone and last.lower() in GIVEN:
            made = _pick(_FIRST, self._drawn(f"{drawn}/first", last))
        else:
            made = _pick(_LAST, self._drawn(f"{drawn}/last", last))
            first = "" if alone else _pick(_FIRST, self._drawn(f"{drawn}/first", parts[0]))
            made = f"{made}, {first}" if comma and first else f"{first} {made}".strip()
        return made.upper() if words.isupper() else made

    def _chinese_name(self, drawn: str, words: str) -> str:
        """Draw the surname by the surname, so that 李 of 李主任 and of 李建国 are one still."""
        double = words[:2] in DOUBLE and len(words) > 1
        surname, given = (words[:2], words[2:]) if double else (words[:1], words[1:])
        number = self._drawn(f"{drawn}/given", given)
        made = [_GIVEN[number // 31**place % len(_GIVEN)] for place in range(min(len(given), 2))]
        return _SURNAMES[self._drawn(f"{drawn}/surname", surname) % len(_SURNAMES)] + "".join(made)

    def _numbered(self, kind: Kind, drawn: str, words: str) -> str:
        """Draw a number that has a right check where the words have, and a form that its kind has."""
        made, digits = self._alike(drawn, words), re.sub(r"\D", "", words)
        if is_citizen_number(words):
            born = date(1940, 1, 1) + timedelta(self._drawn(f"{drawn}/born", words) % 25_000)
            number = f"{made[:6].replace(made[0], '1', 1)}{born:%Y%m%d}{made[14:17]}"
            return number + citizen_check(number)
        if kind == "account" and is_card(words):
            return _filled(words, (inner := re.sub(r"\D", "", made)[:-1]) + luhn_check(inner))
        if is_vehicle(words):
            made = made.translate(str.maketrans("IOQioq", "JPRjpr"))
            return made[:8] + (vehicle_check(made) or "0") + made[9:]
        if (
            len(digits) == 10 == len(words) and luhn_check(f"80840{digits[:-1]}") == digits[-1]
        ):  # a prescriber's, NPI
            return "1" + made[1:9] + luhn_check(f"808401{made[1:9]}")
        if kind == "social_security" and len(digits) == 9:  # none begins with 9
            return _filled(words, "9" + re.sub(r"\D", "", made)[1:])
        if kind in ("phone", "fax"):
            return _filled(words, _telephone(digits, re.sub(r"\D", "", made)))
        return made

    def _alike(self, kind: str, words: str) -> str:
        """Put another digit for each digit, and another letter for each letter."""
        found = []
        for place, one in enumerate(words):
            drawn = self._drawn(f"{kind}/{place}", words)
            if one.isdigit():
                found.append(str(drawn % 10))
            elif kind.startswith("vehicle") and _HAN.match(one):
                found.append(_PLATES[drawn % len(_PLATES)])
            elif one.isalpha():
                letter = "ABCDEFGHJKLMNPQRSTUVWXYZ"[drawn % 24]
                found.append(letter.lower() if one.islower() else letter)
            else:
                found.append(one)
        return "".join(found)

    def _drawn(self, kind: str, words: str) -> int:
        said = f"{self.patient}\x1f{kind}\x1f{' '.join(words.lower().split())}"
        return int.from_bytes(hmac.digest(self.key, said.encode(), hashlib.sha256)[:8], "big")


def _telephone(digits: str, made: str) -> str:
    """Give a mobile number of China for one, and of North America one that nobody has (555-01XX)."""
    if re.match(r"(?:86)?1[3-9]\d{9}$", digits):
        country = digits[:-11]
        return country + "1" + "3456789"[int(made[-10]) % 7] + made[-9:]
    if re.match(r"1?[2-9]\d{2}[2-9]\d{6}$", digits):
        first = digits[:-10]
        return (
            first
            + "23456789"[int(made[len(first)]) % 8]
            + made[len(first) + 1 : len(first) + 3]
            + "55501"
            + made[-2:]
        )
    return "0" + made[1:] if digits.startswith("0") else made


def _filled(words: str, digits: str) -> str:
    """Put other digits into words, each in the place of one."""
    those = iter(digits)
    return "".join(next(those) if one.isdigit() else one for one in words)


def _pick(those: list[str], number: int) -> str:
    return those[number % len(those)]
