"""Numbers that name a person: told by their form, by their check, or by the words before them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from medloom.record.deidentify.checking import is_card, is_citizen_number, is_vehicle
from medloom.record.deidentify.kinds import Identifier, Kind
from medloom.record.deidentify.labels import kind_of_number

_TOKEN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{0,16}[_-]?\d[A-Za-z0-9]*(?:[-_./:·][A-Za-z0-9]+)*", re.ASCII
)
_FEWEST: Final = 4
_UNIT: Final = re.compile(
    r"[ ]?(?:mg|mcg|ug|μg|ml|mmhg|mmol|g|kg|iu|units?|u|cm|mm|m|l|kcal|cal|ng|pg|%|×|x10|bpm|"
    r"/min)(?![a-z])|(?:次|天|年|岁|元|级|分钟)"
)
_BLOB: Final = re.compile(r"[\d() .+-]{7,}(?:(?:x|ext\.?|extension|EXT\.?|X)[ ]?\d{1,6})?")
_LETTERED: Final = re.compile(r"[A-Za-z]")

_IN_BLOBS: Final[tuple[tuple[Kind, re.Pattern[str], Callable[[str], bool] | None], ...]] = (
    ("social_security", re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"), None),
    ("phone", re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), None),
    (
        "phone",
        re.compile(
            r"(?<![\d.-])(?:\+?1[-. ]?)?(?:\(\d{3}\)[ ]{0,2}|\d{3}(?:[-.]|[ ]{1,2}))\d{3}(?:[-.]|[ ]{1,2})\d{4}"
            r"(?:[ ]?(?:x|ext\.?|extension|EXT\.?|X)[ ]?\d{1,6})?(?![\d-])"
        ),
        None,
    ),
    ("phone", re.compile(r"(?<![\d-])\(?0(?:10|2\d|[3-9]\d{2})(?:\)|-|[ ])?[ ]?\d{7,8}(?!\d)"), None),
    ("phone", re.compile(r"(?<![\d.-])[2-9]\d{2}[2-9]\d{6}(?![\d-])"), None),
    ("phone", re.compile(r"(?<![\d+])\+\d{1,3}[ -]?\(?\d[\d() -]{5,14}\d(?!\d)"), None),
    ("phone", re.compile(r"(?<![\d-])[48]00-\d{3,4}-\d{3,4}(?![\d-])"), None),
    ("account", re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"), is_card),
    (
        "ip",
        re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)"),
        None,
    ),
)
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}$", re.ASCII)
_HOST: Final = re.compile(r"@[ ]?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}")
_URL: Final = re.compile(r"(?:https?://|www\.)[^\s，。；、）)>\"'|\u4e00-\u9fff]+", re.IGNORECASE)
_HEX: Final = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
_COLONS: Final = re.compile(r":[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:")
_IP6: Final = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![0-9A-Fa-f:])")
_COLONED: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (("ip", _IP6), ("device", _HEX))
_UDI: Final = re.compile(r"\(01\)\d{14}(?:\(\d{2}\)[A-Za-z0-9]{1,20})*")
_ZH_PLATE: Final = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Za-z][·• ]?(?=[A-Za-z]{0,"
    r"4}\d)[A-Za-z0-9]{5,6}"
    r"(?![A-Za-z0-9])"
)
_PLATE: Final = re.compile(
    r"\b(?:(?:licen[cs]e|number|registration) plate|plate)(?: number| no\.?| #)?[ ]?[:#|]?\s{0,3}"
    r"(?P<it>[a-z]{1,4}[ -]\d{2,5}|\d{1,4}[ -][a-z]{1,4})\b"
)
_NETWORKS: Final = ("微", "qq", "wechat", "whatsapp", "skype", "twitter", "instagram", "telegram")
_HANDLE: Final = re.compile(
    r"(?:微\s?信(?:号|id)?|wechat|qq(?:号|群)?|whatsapp|skype|twitter|instagram|telegram)(?: ?id| ?name)?\s*[:|]?\s*"
    r"(?P<it>@?[a-z0-9][\w.-]{4,30})"
)
_POSTCODE: Final = re.compile(
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|"
    r"P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|"
    r"W[AIVY])(?<![A-Za-z]..)[ ]{1,2}(?P<it>\d{5}(?:-\d{4})?)(?![\d-])"
)


def numbers(text: str, low: str) -> Iterator[Identifier]:
    """Find them.

    Args:
        text: in the usual characters.
        low: the same in lower case.
    """
    yield from _by_form(text, low)
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        said = match.group()
        if said.endswith("."):
            end -= 1
        digits = sum(map(str.isdigit, said))
        if digits < 2 or (digits < _FEWEST and sum(map(str.isalnum, said)) < _FEWEST):
            continue
        if end - start == 18 and is_citizen_number(said):
            yield Identifier(start, end, "citizen_number")
        elif end - start == 17 and is_vehicle(said):
            yield Identifier(start, end, "vehicle")
        elif (
            kind := kind_of_number(low, start, digits > (5 if said[0].isdigit() else 3))
        ) is not None and not _UNIT.match(low, end):
            yield Identifier(start, end, kind)


def _by_form(text: str, low: str) -> Iterator[Identifier]:
    for blob in _BLOB.finditer(text):
        words, first = blob.group(), blob.start()
        if sum(map(str.isdigit, words)) < 7:
            continue
        for kind, pattern, holds in _IN_BLOBS:
            for match in pattern.finditer(words):
                if holds is not None and not holds(match.group()):
                    continue
                start, end = first + match.start(), first + match.end()
                if _lettered(text, start, end):
                    continue
                fax = kind == "phone" and kind_of_number(low, start) == "fax"
                yield Identifier(start, end, "fax" if fax else kind)
    at = text.find("@")
    while at >= 0:
        before, behind = _EMAIL.search(text, max(0, at - 65), at), _HOST.match(text, at)
        if before and behind:
            yield Identifier(before.start(), behind.end(), "email")
        at = text.find("@", at + 1)
    if "://" in low or "www." in low:
        for match in _URL.finditer(text):
            yield Identifier(match.start(), match.start() + len(match.group().rstrip(".,;:")), "url")
    if "(01)" in text:
        for match in _UDI.finditer(text):
            yield Identifier(match.start(), match.end(), "device")
    if "plate" in low:
        for match in _PLATE.finditer(low):
            yield Identifier(match.start("it"), match.end("it"), "vehicle")
    if _COLONS.search(text):
        for kind, pattern in _COLONED:
            for match in pattern.finditer(text):
                yield Identifier(match.start(), match.end(), kind)
    if not text.isascii():
        for match in _ZH_PLATE.finditer(text):
            yield Identifier(match.start(), match.end(), "vehicle")
    if any(one in low for one in _NETWORKS):
        for match in _HANDLE.finditer(low):
            yield Identifier(match.start("it"), match.end("it"), "handle")
    for match in _POSTCODE.finditer(text):
        yield Identifier(match.start("it"), match.end("it"), "postcode")


def _lettered(text: str, start: int, end: int) -> bool:
    """Tell whether a number goes on in letters, as those of devices do."""
    before, behind = text[max(0, start - 1) : start], text[end : end + 1]
    return bool(_LETTERED.match(before) or _LETTERED.match(behind))
