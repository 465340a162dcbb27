"""What was found once in a note, found wherever else it stands there: a name behind a title stands alone later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from medloom.record.deidentify.kinds import Identifier, Kind

_REPEATED: Final[frozenset[Kind]] = frozenset(
    (
        "name", "hospital", "organisation", "address", "phone", "fax", "email", "citizen_number", "social_security",
        "record_number", "health_plan", "account", "licence", "vehicle", "device", "passport", "handle", "biometric",
    )
)  # fmt: skip
_WORD: Final = re.compile(r"[A-ZÀ-Þ][A-Za-zÀ-ÿ'’-]+")
_ORDINARY: Final = frozenset(
    "Hospital Clinic Center Centre Medical Dear Mother Father Patient Street Avenue".split()
)
_LATIN: Final = re.compile(r"[A-Za-z0-9]+")
_EPONYM: Final = re.compile(
    r"['’]?s?[ ](?:disease|syndrome|sign|test|catheter|criteria|score|procedure|operation|reflex|cyst|lymphoma|palsy|"
    r"fracture|node|nodes|hernia|thyroiditis|esophagus|ulcer|clamp|drain|scale|stain|tube|classification)",
    re.IGNORECASE,
)
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")


def repeated(text: str, found: Iterable[Identifier]) -> Iterator[Identifier]:
    """Find the words of what was found wherever else they stand, in time proportional to the text.

    Of a person's name the parts of more than three letters stand for it too. One Chinese character is never enough,
    nor are three letters.
    """
    words: dict[str, Kind] = {}
    known: set[tuple[int, int]] = set()
    for one in found:
        known.add((one.start, one.end))
        if one.kind in _REPEATED:
            said = text[one.start : one.end]
            words[said] = one.kind
            if one.kind == "name":
                parts = (part for part in _WORD.findall(said) if len(part) > 3 and part not in _ORDINARY)
                words |= dict.fromkeys(parts, one.kind)
    latin: dict[str, list[str]] = {}
    han: dict[str, list[str]] = {}
    for said in words:
        if len(said) > 1 and _HAN.match(said):
            han.setdefault(said[:2], []).append(said)
        elif len(said) > 3 and (first := _LATIN.match(said)):
            latin.setdefault(first.group(), []).append(said)
    if latin:
        for match in _LATIN.finditer(text):
            for said in latin.get(match.group(), ()):
                end = match.start() + len(said)
                if (match.start(), end) in known or not text.startswith(said, match.start()):
                    continue
                if not (_LATIN.match(text, end) or _EPONYM.match(text, end)):
                    yield Identifier(match.start(), end, words[said])
    if han:
        beginnings = re.compile(f"[{''.join({one[0] for one in han})}]")
        for match in beginnings.finditer(text):
            for said in han.get(text[match.start() : match.start() + 2], ()):
                end = match.start() + len(said)
                if text.startswith(said, match.start()) and (match.start(), end) not in known:
                    yield Identifier(match.start(), end, words[said])
