"""What stands in the place of identifiers: the same for the same words of a patient, and never the words themselves.

A surrogate is drawn by a keyed hash (HMAC-SHA-256) of patient, kind and words: without the key nobody finds it again,
and with it all notes of a patient agree. The names are common ones, put together anew.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from itertools import count
from typing import Final

from medloom.record.deidentify.kinds import Kind

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
            return _chinese_name(number, len(words)) if chinese else _name(number, len(words.split()))
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
        return self._alike(drawn, words)

    def _alike(self, kind: str, words: str) -> str:
        """Put another digit for each digit, and another letter for each letter."""
        found = []
        for place, one in enumerate(words):
            drawn = self._drawn(f"{kind}/{place}", words)
            if one.isdigit():
                found.append(str(drawn % 10))
            elif one.isalpha():
                letter = "ABCDEFGHJKLMNPQRSTUVWXYZ"[drawn % 24]
                found.append(letter.lower() if one.islower() else letter)
            else:
                found.append(one)
        return "".join(found)

    def _drawn(self, kind: str, words: str) -> int:
        said = f"{self.patient}\x1f{kind}\x1f{' '.join(words.lower().split())}"
        return int.from_bytes(hmac.digest(self.key, said.encode(), hashlib.sha256)[:8], "big")


def _name(number: int, words: int) -> str:
    last = _pick(_LAST, number // 1009)
    return last if words == 1 else f"{_pick(_FIRST, number)} {last}"


def _chinese_name(number: int, characters: int) -> str:
    given = [_GIVEN[number // 31**place % len(_GIVEN)] for place in range(1, max(1, min(characters, 3)))]
    return _SURNAMES[number % len(_SURNAMES)] + "".join(given)


def _pick(those: list[str], number: int) -> str:
    return those[number % len(those)]
