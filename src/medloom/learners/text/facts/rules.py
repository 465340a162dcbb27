"""The finder that needs no model: dictionaries, and rules for what stands behind their words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from medloom.learners.text.facts.dictionary import ALLERGEN, dictionary, measured
from medloom.learners.text.facts.dosing import Dosing, dosing_after, dosing_before
from medloom.learners.text.facts.folding import folded
from medloom.learners.text.facts.habits import habits
from medloom.learners.text.facts.measuring import measurement, pressures
from medloom.learners.text.facts.mentions import Kind, Mention
from medloom.learners.text.facts.terms import Found, Term

RULES: Final = "facts-rules"
"""Under which the facts of rules stand in the record."""

GENERAL: Final = frozenset(f"{ALLERGEN}//{one}" for one in ("any", "drug", "food"))
"""Allergies as such: a note tells something by them only where it denies them."""


@dataclass(frozen=True)
class RuleFinder:
    """Finds what dictionaries name, with doses and values, in time linear in the text.

    Attributes:
        vocabularies: beside our own words: of `icd10cm`, `hpo`, `drugbank`, the one to be preferred first.
        name: under which its facts stand in the record.

    >>> [(one.code, one.value, one.unit) for one in RuleFinder().find("Metformin 500 mg b.i.d. BP 130/80.")]
    [('ATC//A10BA02', 500.0, 'mg'), ('LOINC//8480-6', 130.0, 'mm[Hg]'), ('LOINC//8462-4', 80.0, 'mm[Hg]')]
    """

    vocabularies: tuple[str, ...] = ()
    name: str = RULES

    def find(self, text: str) -> list[Mention]:
        """Find what a text names, in its order.

        Raises:
            InputError: what carries a vocabulary is not installed.
        """
        found: list[Mention] = []
        for start, end in _pieces(text):
            found += (_moved(one, start) for one in _found(text[start:end], self.vocabularies))
        return found


_PIECE: Final = 20_000
"""Characters that are read at once: memory does not grow with a note of megabytes."""
_BREAK: Final = re.compile(r"\n\s*\n|\n|[。！？]|[.!?;]\s|\s")


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at the end of a paragraph, else of a line, a sentence or a word."""
    start = 0
    while len(text) - start > _PIECE:
        last = start + _PIECE
        ends = [match.end() for match in re.finditer(r"\n", text[last - 2000 : last])]
        ends = ends or [match.end() for match in _BREAK.finditer(text[last - 2000 : last])]
        cut = last - 2000 + ends[-1] if ends else last
        yield start, cut
        start = cut
    if start < len(text):
        yield start, len(text)


def _moved(one: Mention, by: int) -> Mention:
    return replace(one, parts=tuple((start + by, end + by) for start, end in one.parts)) if by else one


def _found(text: str, vocabularies: tuple[str, ...]) -> list[Mention]:
    low, terms = folded(text), list(dictionary(vocabularies).find(text))
    taken = [*pressures(text, low), *habits(low)]
    taken += _measurements(text, low, terms)
    terms = _beside(terms, taken, len(text))
    given = drugs_of(low, terms)
    named = _named(low, _beside(terms, given, len(text)))
    return sorted([*taken, *given, *named], key=lambda one: (one.start, one.parts))


def _beside(terms: Sequence[Found], taken: Sequence[Mention], length: int) -> list[Found]:
    """Leave out terms that stand in what was read already."""
    covered = bytearray(length)
    for one in taken:
        for start, end in one.parts:
            covered[start:end] = b"\1" * (end - start)
    return [one for one in terms if not any(covered[one.start : one.end])]


def _meaning(one: Found, *kinds: Kind) -> Term | None:
    return next((term for term in one.meanings if term.kind in kinds), None)


def _measurements(text: str, low: str, terms: Sequence[Found]) -> list[Mention]:
    named = [(one, term) for one in terms if (term := _meaning(one, "measurement")) is not None]
    found: list[Mention] = []
    for place, (one, term) in enumerate(named):
        near = named[max(0, place - 1) : place + 2]
        beside = any(
            other is not one
            and "\n" not in text[min(one.end, other.end) : max(one.start, other.start)]
            and max(one.start, other.start) - min(one.end, other.end) < _NEAR
            for other, _ in near
        )
        beside = beside or _PRESSURE_NEAR.search(low, max(0, one.start - _NEAR), one.end + _NEAR) is not None
        read = measurement(text, low, (one.start, one.end), measured(term), beside)
        if read is not None and (not found or read.start >= found[-1].end):
            found.append(read)
    return found


_NEAR: Final = 40
_PRESSURE_NEAR: Final = re.compile(r"\bbp\b|血压")


def drugs_of(low: str, terms: Sequence[Found]) -> list[Mention]:
    """Read drugs with how they are given, and those that somebody is allergic to.

    Args:
        low: the text, folded.
        terms: in it, in its order; those that are no drugs and no allergens are left out.
    """
    named = [(one, term) for one in terms if (term := _meaning(one, "drug", "allergy")) is not None]
    limits = [one.start for one, _ in named[1:]] + [len(low)] * bool(named)
    found: list[Mention] = []
    for (one, term), limit in zip(named, limits, strict=True):
        if _is_allergy(low, one):
            found.append(Mention("allergy", ((one.start, one.end),), term.code, term.confidence))
        elif term.kind == "drug":
            found.append(_given(low, one, term, limit, found[-1].end if found else 0))
        elif term.code in GENERAL:
            found.append(Mention("allergy", ((one.start, one.end),), term.code, term.confidence))
    return found


def _given(low: str, one: Found, term: Term, limit: int, floor: int) -> Mention:
    after = dosing_after(low, one.end, _short_of_a_dose(low, one.end, limit))
    start, before = one.start, None
    if after.value is None and (before := dosing_before(low, one.start)) is not None and before[0] >= floor:
        start, value, unit = before
        after = Dosing(after.end, value, unit, {"dose": f"{value:g} {unit}"} | after.details)
    return Mention(
        "drug",
        ((start, after.end),),
        term.code,
        term.confidence,
        after.value,
        after.unit,
        details=after.details,
    )


def _short_of_a_dose(low: str, end: int, limit: int) -> int:
    """Leave the dose that stands before the next drug to it, where none stands behind that one."""
    before = dosing_before(low, limit)
    if before is None or before[0] <= end or low[end : before[0]].strip(" :=-") == "":
        return limit
    return before[0] if dosing_after(low, limit + len(_word_at(low, limit))).value is None else limit


def _word_at(low: str, at: int) -> str:
    match = re.compile(r"[^\W\d_]+").match(low, at)
    return "" if match is None else match.group()


def _is_allergy(low: str, one: Found) -> bool:
    """Tell whether a drug or another thing is named as what somebody is allergic to."""
    before, after = low[max(0, one.start - _NEAR) : one.start], low[one.end : one.end + 2 * _NEAR]
    if _ALLERGIC_TO.search(before) is not None or _ALLERGY.match(after) is not None:
        return True
    return _TO.search(before) is not None and _IS_ALLERGIC.match(after) is not None


_ALLERGIC_TO: Final = re.compile(
    r"(?:\ballerg(?:ic|y|ies) to|\bintoleran(?:t|ce) (?:to|of)|\ballergies\s*:|\breaction to|"
    r"过敏药物[:为]?|过敏原[:为]?)"
    r"(?:[^.;:。；\n]{0,30}(?:,|and|or|、|及|和)\s*|\s*)(?:the |any )?$"
)
_ALLERGY: Final = re.compile(
    r"(?:(?:,|\s+and|\s+or|/)\s*[a-z-]{3,20}){0,3}[\s-]*allerg(?:y|ies|ic)\b|[\s-]*anaphylaxis\b|"
    r"(?:[、及和与][^、。；;，,:\s]{1,10}){0,4}(?:等)?(?:类)?(?:药物)?(?:有)?过敏|皮试阳性"
)
_TO: Final = re.compile(r"对[^。；;，,\n]{0,30}$")
_IS_ALLERGIC: Final = re.compile(r"[^。；;，,\n]{0,30}过敏")


def _named(low: str, terms: Sequence[Found]) -> list[Mention]:
    """Read problems, procedures and parts of the body; a part beside a problem tells where it is."""
    found: list[Mention] = []
    for one in terms:
        term = _meaning(one, "problem", "procedure", "anatomy")
        if term is not None:
            found.append(Mention(term.kind, ((one.start, one.end),), term.code, term.confidence))
    found += [
        Mention("allergy", (match.span(),), f"{ALLERGEN}//drug", 0.9, details={"denied": "yes"})
        for match in _NO_DRUG_ALLERGY.finditer(low)
    ]
    found.sort(key=lambda one: one.start)
    around = zip(found, [None, *found], [*found[1:], None], strict=False)
    return [_placed(one, before, after, low) for one, before, after in around]


_NO_DRUG_ALLERGY: Final = re.compile(r"\bnkd?a\b")


def _placed(one: Mention, before: Mention | None, after: Mention | None, low: str) -> Mention:
    """Note where a problem is, by the part of the body that stands beside it."""
    for other in (before, after) if one.kind == "problem" else ():
        if other is None or other.kind != "anatomy":
            continue
        between = low[one.end : other.start] if other.start >= one.end else low[other.end : one.start]
        if len(between) <= _BETWEEN_MOST and _BETWEEN.fullmatch(between):
            return replace(one, details={"site": (other.code or "").partition("//")[2]})
    return one


_BETWEEN_MOST: Final = 20
_BETWEEN: Final = re.compile(r"\s*(?:in|of|at)?\s*(?:the|his|her|both)?\s*(?:left|right|bilateral)?\s*")
