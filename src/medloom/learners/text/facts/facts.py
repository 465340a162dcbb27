"""Facts of a note: what finders name, with what the note says of it, and what there is to doubt."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from medloom.knowledge import systems
from medloom.learners.text.assertion_rules import Assertion, assertion_of
from medloom.learners.text.facts.mentions import Finder, Mention
from medloom.learners.text.facts.onset import onset_of
from medloom.learners.text.facts.rules import GENERAL
from medloom.record.notes.languages import language
from medloom.record.notes.sections import Section, sections
from medloom.record.notes.sentences import sentences

Prefix = Literal["NOT", "POSSIBLE", "FAMILY", "HISTORY", "PLANNED"]
Doubt = Literal["unsure", "ambiguous", "conflict", "language", "no code"]

SURE_ENOUGH: Final = 0.7
"""Confidence from which on a fact is taken without a person's review."""


@dataclass(frozen=True)
class Fact:
    """What a note says of its patient.

    Attributes:
        mention: of it, with its places.
        prefix: what is not true of the patient now; None: it is.
        finder: who found it.
        section: of the note it stands in; None: in none.
        doubts: why a person must see it before it counts.
    """

    mention: Mention
    prefix: Prefix | None
    finder: str
    section: str | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def code(self) -> str | None:
        """Give the code as the record has it, with its prefix; None: no code is known."""
        return None if self.mention.code is None else systems.asserted(self.prefix, self.mention.code)


def facts_of(text: str, finders: Sequence[Finder], sure_enough: float = SURE_ENOUGH) -> list[Fact]:
    """Read a note's facts, in its order; words are data here, whatever they ask for.

    What a note says only in case of something (`return if fever`), and what relatives do not have, is no fact.
    Parts of the body are none either: they tell where a problem is. A note in a language that is neither English nor
    Chinese has none: what dictionaries would find in it, they would guess (`language` tells).

    Args:
        text: of the note.
        finders: of mentions; of two that overlap, the earlier finder's counts.
        sure_enough: confidence below which a fact is unsure.

    >>> from medloom.learners.text.facts.rules import RuleFinder
    >>> said = "Denies chest pain. Mother had diabetes. Started metformin 500 mg p.o. b.i.d."
    >>> [one.code for one in facts_of(said, [RuleFinder()])]
    ['NOT//ICD10CM//R07.9', 'FAMILY//ICD10CM//E11.9', 'ATC//A10BA02']
    """
    if not text.strip() or language(text) == "other":
        return []
    parts, ends = sections(text), _Sentences(text)
    starts = [one.start for one in parts]
    found: list[Fact] = []
    for name, one in _mentions(text, finders):
        fact = _fact(text, one, name, _section_at(parts, starts, one.start), ends)
        if fact is None:
            continue
        if fact.section == "allergies" and one.kind == "problem":  # what the allergy does
            _react(text, found, fact)
        else:
            found.append(replace(fact, doubts=_doubts(fact, sure_enough)))
    return _with_conflicts(_once(found))


class _Sentences:
    """The sentences of a text, by place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ranges = sentences(text)
        self._starts = [start for start, _ in self._ranges]

    def around(self, start: int, end: int) -> tuple[int, int]:
        """Give the sentence that words stand in, and of a long one what may reach them."""
        place = bisect_right(self._starts, start) - 1
        first, last = self._ranges[place] if place >= 0 else (start, end)
        if self._text[last - 1] in "?？" and place + 1 < len(self._ranges):  # the answer may stand behind
            last = self._ranges[place + 1][1]
        return max(first, start - _REACH), max(end, min(last, end + _REACH))


_REACH: Final = 300
"""Characters around words in which something may be said of them; beyond, no rule of assertion reaches."""


def _mentions(text: str, finders: Sequence[Finder]) -> list[tuple[str, Mention]]:
    taken: list[tuple[str, Mention]] = []
    covered = bytearray(len(text))  # by finders before
    for finder in finders:
        found = [
            one
            for one in finder.find(text)
            if one.kind != "anatomy" and not any(any(covered[start:end]) for start, end in one.parts)
        ]
        for one in found:
            for start, end in one.parts:
                covered[start:end] = b"\1" * (end - start)
        taken += ((finder.name, one) for one in found)
    return sorted(taken, key=lambda pair: (pair[1].start, pair[1].parts))


def _section_at(parts: Sequence[Section], starts: Sequence[int], at: int) -> Section | None:
    place = bisect_right(starts, at) - 1
    return parts[place] if place >= 0 and at < parts[place].end else None


def _react(text: str, found: list[Fact], reaction: Fact) -> None:
    """Note what an allergy does, with the allergy named before in the same line."""
    if not found or found[-1].mention.kind != "allergy" or reaction.prefix is not None:
        return
    cause = found[-1].mention
    if "\n" not in text[cause.end : reaction.mention.start]:
        details = cause.details | {"reaction": reaction.mention.code or ""}
        found[-1] = replace(found[-1], mention=replace(cause, details=details))


def _body(text: str, part: Section) -> int:
    """Tell where a section begins behind its heading, which says nothing of what follows: it is no `history of`."""
    match = _HEAD.match(text, part.start, min(part.end, part.start + 60))
    return part.start if match is None else match.end()


def _fact(text: str, one: Mention, finder: str, part: Section | None, ends: _Sentences) -> Fact | None:
    section = None if part is None else part.name
    first, last = ends.around(one.start, one.end)
    if part is not None and section != "other":
        first = min(max(first, _body(text, part)), one.start)
    sentence = text[first:last]
    if section == "allergies" and one.kind == "drug":
        one = replace(one, kind="allergy")
    before, after = sentence[: one.start - first].lower(), sentence[one.end - first :].lower()
    if one.kind == "measurement":
        return None if _is_not_measured(one, before, after) else Fact(one, None, finder, section)
    said = assertion_of(sentence, one.start - first, one.end - first)
    if one.kind == "social":
        habit = _habit(one, said, before, sentence[one.start - first :].lower())
        return None if habit is None else Fact(habit, None, finder, section)
    if _UNTICKED.search(before) or (one.kind == "problem" and _NO_MORE.search(before[-40:])):
        return None
    if one.kind == "drug" and _AVOIDED.search(before[-40:]):
        return None
    if section == "family_history":
        said = replace(said, family=True)
    if one.kind == "allergy":
        return _allergy(one, said, finder, section, sentence)
    if (said.conditional and not (said.negated or said.historical)) or (said.family and said.negated):
        return None
    prefix: Prefix | None = None
    if said.family:
        prefix, one = "FAMILY", _with_relation(one, sentence, one.start - first)
    elif said.negated and not (one.kind == "drug" and _GIVEN.search(before[-40:])):
        prefix = "NOT"
    elif said.possible and one.kind == "problem":
        prefix = "POSSIBLE"
    elif one.kind == "drug" and _is_former(before, after):
        prefix = "HISTORY"
    elif one.kind in ("drug", "procedure") and _PLANNED.search(before[-40:]):
        prefix = "PLANNED"
    elif one.kind == "drug":  # `hypertension for 10 years, takes amlodipine` is said in a past history too
        prefix = None
    elif said.historical or section == "past_history":
        prefix = "HISTORY"
    if one.kind in ("problem", "procedure") and prefix in (None, "POSSIBLE", "HISTORY"):
        onset = onset_of(sentence, one.start - first, one.end - first)
        one = one if onset is None else replace(one, details=one.details | {"onset": onset})
    return Fact(one, prefix, finder, section)


def _allergy(one: Mention, said: Assertion, finder: str, section: str | None, sentence: str) -> Fact | None:
    """Read an allergy; of allergies as such only that there are none, of relatives' nothing."""
    denied = said.negated or "denied" in one.details
    if said.family or (one.code in GENERAL and not denied):
        return None
    one = replace(one, details={name: told for name, told in one.details.items() if name != "denied"})
    return Fact(one, "NOT" if denied else "POSSIBLE" if said.possible else None, finder, section)


def _with_relation(one: Mention, sentence: str, at: int) -> Mention:
    """Note whose it is: the last relative named before, else the first behind."""
    low = sentence.lower()
    before = list(_RELATIVE.finditer(low, 0, at))
    match = before[-1] if before else _RELATIVE.search(low, at)
    if match is None:
        return one
    return replace(one, details=one.details | {"relation": _RELATION_OF[match.group()]})


def _is_not_measured(one: Mention, before: str, after: str) -> bool:
    """Tell whether a value is a goal, a condition, or a relative's: none was measured of the patient."""
    before = before[-60:]
    return (
        _GOAL.search(before) is not None
        or _OF_RELATIVE.search(before) is not None
        or _IF.search(before) is not None
        or (one.comparator is not None and (before.endswith("for ") or after.lstrip().startswith("时")))
    )


def _habit(one: Mention, said: Assertion, before: str, words: str) -> Mention | None:
    """Read a habit: a relative's is none, and what is denied by the words around is `never`."""
    if _OF_RELATIVE.search(before[-60:]) and not _WITH_RELATIVE.search(before):
        return None
    if said.negated and one.details.get("status") == "current" and _HABIT.match(words):
        return replace(one, details=one.details | {"status": "never"})
    return one


def _is_former(before: str, after: str) -> bool:
    """Tell whether a drug was taken, and is no more."""
    if _HELD_IF.search(before[-12:]) and _UNDER_CONDITION.match(after):
        return False
    return _FORMER.search(before[-45:]) is not None or _STOPPED.match(after) is not None


def _doubts(fact: Fact, sure_enough: float) -> tuple[Doubt, ...]:
    if fact.mention.code is None:
        return ("no code",)
    return ("unsure",) if fact.mention.confidence < sure_enough else ()


def _once(found: Sequence[Fact]) -> list[Fact]:
    """Leave out what is said again, but keep where each is said: repeated words are one fact a place."""
    seen, kept = set[tuple[object, ...]](), []
    for one in found:
        key = (one.code, one.mention.parts)
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept


def _with_conflicts(found: Sequence[Fact]) -> list[Fact]:
    """Doubt a problem, drug or allergy that the note both tells and denies."""
    told: dict[tuple[str, str], set[Prefix | None]] = {}
    for one in found:
        if one.mention.code is not None and one.mention.kind in ("problem", "allergy"):
            told.setdefault((one.mention.kind, one.mention.code), set()).add(one.prefix)
    both = {what for what, prefixes in told.items() if {None, "NOT"} <= prefixes}
    return [
        replace(one, doubts=(*one.doubts, "conflict"))
        if one.prefix in (None, "NOT") and (one.mention.kind, one.mention.code or "") in both
        else one
        for one in found
    ]


_PLANNED: Final = re.compile(
    r"(?:\bplan(?:ned|s)?(?: to| for| is)?\b|\bwill (?:start|begin|undergo|need|get|be started on)\b|"
    r"\bscheduled for\b|"
    r"\bconsider(?:ing)?\b|\brecommend(?:ed|s)?\b|\bto start\b|\bto undergo\b|\bawaiting\b|拟行?|择期行?|"
    r"建议行?|计划|预约|待行|准备行)"
    r"[^.;。；]{0,25}$"
)
_FORMER: Final = re.compile(
    r"(?:\bpreviously\b|\bformerly\b|\bused to (?:take|be on)\b|\bin the past\b|\bwas on\b|"
    r"(?<!not )(?<!n't )(?<!never )\b(?:discontinued?|stop(?:ped)?|hold|held|d/c(?:'d|ed)?)(?!\w)|"
    r"曾|停用|已停|停服|停止服用)"
    r"(?:(?!\b(?:start|begin|continu|resum|tak|switch)|改|换|加用|予)[^.,;。，；\n]){0,25}$"
    r"|\b(?:switched|changed|converted) from\s+$"
)
_STOPPED: Final = re.compile(
    r"[^.,;。，；\n]{0,30}?(?:\b(?:was|were|is|has been|have been|had been)\s+(?:stopped|discontinued|held|d/c'd|"
    r"withdrawn)\b|已停)"
)
_HELD_IF: Final = re.compile(r"\bhold\s+$")
_UNDER_CONDITION: Final = re.compile(r"[^.;,]{0,20}\b(?:if|for|unless)\b")
_AVOIDED: Final = re.compile(
    r"(?:\bavoid(?:ing)?\s+(?:any |all |use of )?|(?:禁用|忌用|慎用|勿用|避免使用))$"
)
_GIVEN: Final = re.compile(
    r"(?<!not )(?<!n't )(?<!never )\b(?:continued?|continues|starte?d?|resumed?|given|takes|receive[sd]|prescribed|"
    r"on)\s+(?:\w+\s+){0,1}$|(?:not|n't|never) (?:stop|discontinue|hold)\s+$"
)
"""What is said of a drug by these words is not denied by a `no` before: `no wheezing, continue albuterol`."""
_NO_MORE: Final = re.compile(r"\b(?:no new|without (?:any )?(?:new|further))\s+(?:\w+\s+){0,2}$")
"""Of a problem this says neither that it is there nor that it is not."""
_UNTICKED: Final = re.compile(r"(?:\[ *\]|[☐□])\s*$")
_GOAL: Final = re.compile(
    r"(?:\b(?:goals?|targets?|keep|maintain)\b[^.;,]{0,20}|(?:目标|控制在|维持在)[^。；，]{0,12})$"
)
_IF: Final = re.compile(
    r"(?:\b(?:if|whenever|unless|until)\b[^.;,]{0,30}|(?:若|如果|如|一旦|当)[^。；，]{0,12})$"
)
_HABIT: Final = re.compile(r"smoker|alcohol use|etoh use|吸烟|抽烟|饮酒|喝酒")
_WITH_RELATIVE: Final = re.compile(r"\b(?:lives?|living|married|stays?) (?:with|to)\b")
_HEAD: Final = re.compile(r"[^\n:：]{0,50}[:：]\s*|[^\n:：]{0,50}\n\s*")
_RELATIVES: Final = {
    "mother": "mother|mom|maternal mother|母亲|母|妈妈",
    "father": "father|dad|父亲|父|爸爸",
    "brother": "brother|brothers|哥哥|弟弟|兄弟|兄|弟",
    "sister": "sister|sisters|姐姐|妹妹|姐|妹",
    "sibling": "sibling|siblings",
    "grandmother": "grandmother|祖母|外祖母|奶奶|外婆",
    "grandfather": "grandfather|祖父|外祖父|爷爷|外公",
    "aunt": "aunt|姑姑|姨妈",
    "uncle": "uncle|叔叔|舅舅",
    "son": "son|儿子",
    "daughter": "daughter|女儿",
    "cousin": "cousin",
    "parents": "parents|父母",
}
_RELATION_OF: Final = {word: name for name, words in _RELATIVES.items() for word in words.split("|")}
_RELATIVE: Final = re.compile(
    "|".join(
        rf"\b{word}\b" if word.isascii() else word for word in sorted(_RELATION_OF, key=len, reverse=True)
    )
)
_OF_RELATIVE: Final = re.compile(
    rf"(?:{_RELATIVE.pattern}|\b(?:wife|husband)\b|丈夫|妻子)[^.,;。，；\n]{{0,25}}$"
)
