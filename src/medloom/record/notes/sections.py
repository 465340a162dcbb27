"""Sections of a note, by their headings in English and Chinese."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Section:
    """A part of a note: its name in English, and from where to where it goes (its heading included)."""

    name: str
    start: int
    end: int


def sections(text: str) -> tuple[Section, ...]:
    """Find a note's sections; what stands before the first heading is `other`.

    >>> [(one.name, one.start) for one in sections("主诉：咳嗽\\n既往史：高血压")]
    [('chief_complaint', 0), ('past_history', 6)]
    """
    starts = [(match.start(), _NAME_OF[_spelled(match["heading"])]) for match in _HEADING.finditer(text)]
    if not starts or starts[0][0] > 0:
        starts.insert(0, (0, "other"))
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return tuple(
        Section(name, start, end) for (start, name), end in zip(starts, ends, strict=True) if end > start
    )


def _spelled(heading: str) -> str:
    return " ".join(heading.lower().split())


_HEADINGS: Final = {
    "chief_complaint": "chief complaint|cc|reason for visit|主诉",
    "history": "history of present illness|hpi|present illness|interval history|现病史",
    "past_history": "past medical history|past history|pmh|pmhx|past surgical history|psh|medical history|"
    "既往史|手术史",
    "medications": "medications|current medications|home medications|discharge medications|meds|"
    "用药史|目前用药|用药|出院带药",
    "allergies": "allergies|allergy|drug allergies|过敏史|药物过敏史",
    "family_history": "family history|fh|fhx|家族史",
    "social_history": "social history|sh|habits|个人史",
    "examination": "physical examination|physical exam|exam|examination|vital signs|vitals|体格检查|查体|专科检查",
    "results": "labs|laboratory|laboratory data|results|imaging|辅助检查|实验室检查|检查结果|化验",
    "assessment": "assessment|a/p|a&p|assessment & plan|impression|diagnosis|diagnoses|assessment and plan|"
    "discharge diagnosis|诊断|初步诊断|入院诊断|"
    "出院诊断",
    "plan": "plan|recommendations|follow-up|follow up|处理|治疗计划|诊疗计划|出院医嘱|处置",
}
_NAME_OF: Final = {word: name for name, words in _HEADINGS.items() for word in words.split("|")}
_BEFORE: Final = (
    r"(?:^[ \t#*]*+(?:[0-9]{1,2}[.)、]|[一二三四五六七八九十]{1,3}、)?[ \t]*+[【\[]?|(?<=[。；;])[ \t]*+)"
)
"""What a heading stands behind: the beginning of a line, with a number or not; or the end of a sentence.

Spaces are never given back: a line of thousands would be tried in every way.
"""
_HEADING: Final = re.compile(
    _BEFORE
    + r"(?P<heading>"
    + "|".join(re.escape(word).replace(r"\ ", r"\s") for word in sorted(_NAME_OF, key=len, reverse=True))
    + r")[ \t*]*+(?:[】\]][ \t]*[:：]?|[:：]|$)",
    re.IGNORECASE | re.MULTILINE,
)
