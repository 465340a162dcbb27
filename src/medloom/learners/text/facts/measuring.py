"""Values behind the names of laboratory tests and vital signs: number, bound and unit, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medloom.knowledge import units
from medloom.knowledge.loinc import group_of, observable
from medloom.learners.text.facts.mentions import Mention

SYSTOLIC: Final = "LOINC//8480-6"
DIASTOLIC: Final = "LOINC//8462-4"


@dataclass(frozen=True)
class Reading:
    """A value as it is written.

    Attributes:
        value: of it.
        unit: UCUM; None: none is written.
        comparator: `<`, `<=`, `>` or `>=`; None: the value itself.
        start: of the number, or of its comparator.
        end: of the value with its unit.
        ranged: whether it is the lower end of a range.
    """

    value: float
    unit: str | None
    comparator: str | None
    start: int
    end: int
    ranged: bool


def measurement(
    text: str, low: str, name: tuple[int, int], codes: Sequence[str], beside: bool = False
) -> Mention | None:
    """Read the value behind the name of a measurement; None: there is none.

    The unit tells which of the codes is meant. Where none is written, it is clear only of measurements that the whole
    world takes in one; and a single letter is a name only beside others.

    Args:
        text: as it stands.
        low: the text, folded.
        name: where the name stands.
        codes: in LOINC, the likeliest first.
        beside: whether other measurements stand in the same line.

    >>> said = "Cr 1.2 mg/dL, SpO2 98%"
    >>> measurement(said, said.lower(), (0, 2), ("LOINC//2160-0", "LOINC//14682-9"))
    Mention(kind='measurement', parts=((0, 12),), code='LOINC//2160-0', confidence=0.95, value=1.2, unit='mg/dL',
     comparator=None, details={})
    """
    read = _reading(text, low, name[1], codes)
    if read is None:
        return None
    code, unit, sure = _meant(read, codes)
    if name[1] - name[0] == 1 and text[name[0]].isascii() and read.unit is None and not beside:
        sure = min(sure, _UNSURE)
    row = observable(code)
    value = _converted(read.value, unit, row.unit, code) if row is not None and unit is not None else None
    if read.ranged or (row is not None and (value is None or not row.low <= value <= row.high)):
        sure = min(sure, _UNSURE)
    return Mention("measurement", ((name[0], read.end),), code, sure, read.value, unit, read.comparator)


def pressures(text: str, low: str) -> list[Mention]:
    """Read blood pressures, `BP 120/80 mmHg`: two facts each, of which each has the name and its own number.

    >>> [(one.code, one.parts, one.value) for one in pressures("血压 135/85mmHg", "血压 135/85mmhg")]
    [('LOINC//8480-6', ((0, 2), (3, 6)), 135.0), ('LOINC//8462-4', ((0, 2), (7, 9)), 85.0)]
    """
    found = []
    for match in _PRESSURE.finditer(low):
        systolic, diastolic = float(match.group("systolic")), float(match.group("diastolic"))
        kilo = (match.group("unit") or "").strip() == "kpa"
        factor = 7.50062 if kilo else 1.0
        plausible = 40 <= systolic * factor <= 300 and 15 <= diastolic * factor < systolic * factor
        sure = _SURE if plausible else _UNSURE
        unit = "kPa" if kilo else "mm[Hg]"
        for code, part, value in ((SYSTOLIC, "systolic", systolic), (DIASTOLIC, "diastolic", diastolic)):
            parts = (match.span("name"), match.span(part))
            found.append(Mention("measurement", parts, code, sure, value, unit))
    return found


_SURE: Final = 0.95
_UNWRITTEN: Final = 0.8
_UNSURE: Final = 0.5

_PRESSURE: Final = re.compile(
    r"(?P<name>(?<![a-z0-9])(?:bp|blood pressure)(?![a-z])|血压)\s*(?:is|was|of|at|为|约|[:=])*\s*"
    r"(?P<systolic>\d{2,3}(?:\.\d)?)\s*/\s*(?P<diastolic>\d{2,3}(?:\.\d)?)(?![\d/])(?P<unit>\s*(?:mm\s?hg|"
    r"kpa))?"
)
_JOINING: Final = re.compile(
    r"(?:\s*\([^()\n]{0,24}\))?(?:[ \t]|\bis\b|\bwas\b|\bof\b|\bat\b|\bto\b|\blevels?\b|\bcounts?\b|"
    r"\bvalue\b|\bresult\b|"
    r"\bof about\b|\babout\b|\bapprox\.?|\bup\b|\bdown\b|\bnow\b|\belevated\b|\bmeasured\b|\bfound\b|"
    r"[:=↑↓~]|为|是|约|示|达|"
    r"升至|降至|水平|最高|值|计数|结果|测得|在)*"
)
_VALUE: Final = re.compile(
    r"(?P<comparator><=|>=|≤|≥|<|>|less than |greater than |more than |小于|大于|低于|高于)?\s*"
    r"(?P<number>[+-]?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d{1,7}(?:\.\d{1,5})?))"
    r"(?!\d|/\s?\d|\.\d|-\d{1,2}-|年|月\d)(?P<range>\s*[-~]\s*\d+(?:\.\d+)?)?"
)
_COMPARATORS: Final = {
    "≤": "<=",
    "≥": ">=",
    "less than": "<",
    "小于": "<",
    "低于": "<",
    "greater than": ">",
    "more than": ">",
    "大于": ">",
    "高于": ">",
}
_UNIT: Final = re.compile(
    r"[x×*]?\s?10\s?[\^*]?\s?(?:\d{1,2}|[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})\s?/\s?[a-zμu㎕]{1,3}|"
    r"(?:次|个|万|千)?\s?/?\s?(?:分钟|分|min\b)|℃|°\s?[cf]|摄氏度|[%‰]|"
    r"[a-z%°μµ][a-z0-9%μµ]{0,7}(?:\s?/\s?[a-z0-9.^_²]{1,12}){0,2}|(?:千克|公斤|厘米|毫米汞柱|毫克|毫摩尔|"
    r"毫升|克|米)(?:/[升分]+)?|/\s?u?l|分"
)


def _reading(text: str, low: str, end: int, codes: Sequence[str]) -> Reading | None:
    joined = _JOINING.match(low, end, end + 60)
    at = end if joined is None else joined.end()
    match = _VALUE.match(low, at, at + 40)
    if match is None or (at == end and text[end - 1].isascii() and low[end : end + 1].isdigit()):
        return None
    spelled = (match.group("comparator") or "").strip()
    value = float(match.group("number").replace(",", ""))
    unit, last = _written_unit(text, low, match.end(), codes)
    return Reading(
        value,
        unit,
        _COMPARATORS.get(spelled, spelled) or None,
        match.start(),
        last,
        match.group("range") is not None,
    )


def _written_unit(text: str, low: str, at: int, codes: Sequence[str]) -> tuple[str | None, int]:
    """Read a unit in which one of the codes can be measured, and where it ends."""
    gap = at + len(low[at : at + 2]) - len(low[at : at + 2].lstrip(" "))
    match = _UNIT.match(low, gap, gap + 30)
    if match is None:
        return None, at
    whole = match.group().rstrip(".")  # the sentence may end here
    for stop in (gap + len(whole), *(gap + one.end() for one in re.finditer(r"[a-z%μµ]+", whole))):
        unit = units.canonical(text[gap:stop].replace("㎕", "uL"))
        if unit is not None and any(_converts(unit, code) for code in codes):
            return unit, stop
    return None, at


def _converts(unit: str, code: str) -> bool:
    row = observable(code)
    return row is not None and units.factor(unit, row.unit, code) is not None


def _meant(read: Reading, codes: Sequence[str]) -> tuple[str, str | None, float]:
    """Tell which code a value is of, in what unit, and how sure that is."""
    rows = {code: row for code in codes if (row := observable(code)) is not None}
    if read.unit is not None:
        for code, row in rows.items():  # the code that is kept in such a unit
            if units.factor(read.unit, row.unit) is not None:
                return code, read.unit, _SURE
        return next(code for code in rows if _converts(read.unit, code)), read.unit, _SURE
    first = next(iter(rows), codes[0])
    if first == _TEMPERATURE:
        return first, "[degF]" if read.value > 60 else "Cel", _UNWRITTEN
    row = rows.get(first)
    usual = len(rows) == 1 and (group_of(first) == "vitals" or first in _ONE_UNIT)
    return first, None if row is None else row.unit, _UNWRITTEN if usual else _UNSURE


_TEMPERATURE: Final = "LOINC//8310-5"
_ONE_UNIT: Final = frozenset(
    f"LOINC//{code}"
    for code in "2951-2 2823-3 2075-0 1963-8 2028-9 33037-3 1742-6 1920-8 6768-6 2324-2 2532-0 6690-2 "
    "789-8 777-3 787-2 "
    "4544-3 770-8 736-9 6301-6 2744-1 4548-4 98979-8 2524-7 4537-7 30934-4 33762-6".split()
)
"""Laboratory tests whose unit goes without saying: they are given in one everywhere, or in two that are equal."""


def _converted(value: float, unit: str, target: str, code: str) -> float | None:
    found = units.factor(unit, target, code)
    return None if found is None else value * found[0] + found[1]
