"""The finder that asks a learned tagger: what it names, with the code that a dictionary has for the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from medloom.foundation.errors import InputError
from medloom.knowledge import systems
from medloom.learners.text.facts.dictionary import dictionary
from medloom.learners.text.facts.folding import folded
from medloom.learners.text.facts.mentions import KINDS, Kind, Mention
from medloom.learners.text.facts.rules import drugs_of
from medloom.learners.text.facts.terms import Found, Term
from medloom.learners.text.normalising.normaliser import Normaliser
from medloom.tasks.tagging import Tagged, Tagging

TAGGED: Final[tuple[Kind, ...]] = ("problem", "drug", "procedure", "allergy")
"""Kinds of facts that a place alone tells; a measurement is none without its value."""

_INSIDE: Final = 0.6  # of the confidence is left where words inside a place, and not all of it, have a code


@dataclass(frozen=True)
class Meant:
    """What places of a name mean.

    Attributes:
        kind: of fact.
        systems: of codes, those to be preferred.
        code: that all of them have; None: their words tell.
    """

    kind: Kind
    systems: tuple[str, ...] = ()
    code: str | None = None


@dataclass(frozen=True)
class TaggerFinder:
    """Finds what a learned tagger names. How sure it is: that the place is right, and that the words mean the code.

    A place whose words have no code is a mention without one; one of which only words inside have a code gets that
    code, and little confidence: both are for a person to decide.

    Attributes:
        name: under which its facts stand in the record.
        tagger: names places.
        meant: what they mean, by their names; others are left out.
        vocabularies: beside our own words: of `icd10cm`, `hpo`, `drugbank`, the one to be preferred first.
        normaliser: tells codes, `SYSTEM//code`, of words that no dictionary has; None: nothing does.
    """

    name: str
    tagger: Tagging = field(repr=False)
    meant: Mapping[str, Meant]
    vocabularies: tuple[str, ...] = ()
    normaliser: Normaliser | None = field(default=None, repr=False)

    def find(self, text: str) -> list[Mention]:
        """Find what a text names, in its order; drugs with how they are given.

        Raises:
            InputError: what carries a vocabulary is not installed.
        """
        tagged = [one for one in self.tagger.tag([text])[0] if one.span.name in self.meant]
        codes = self._codes([one.span.words(text) for one in tagged], tagged, text)
        found, drugs = [], []
        for one, (code, sure) in zip(tagged, codes, strict=True):
            kind, sure = self.meant[one.span.name].kind, sure * one.confidence
            if kind == "drug":
                drugs.append(Found((Term(code or "", kind, sure),), one.span.start, one.span.end))
            else:
                found.append(Mention(kind, one.span.parts, code, sure))
        given = [_coded(one) for one in drugs_of(folded(text), drugs)]
        return sorted([*found, *given], key=lambda one: (one.start, one.parts))

    def _codes(
        self, words: Sequence[str], tagged: Sequence[Tagged], text: str
    ) -> list[tuple[str | None, float]]:
        """Tell the code of each place, and how sure that is."""
        meant = [self.meant[one.span.name] for one in tagged]
        found = [self._known(said, one) for said, one in zip(words, meant, strict=True)]
        unknown = [place for place, one in enumerate(found) if one is None]
        if self.normaliser is not None and unknown:
            answers = self.normaliser.normalise([words[place] for place in unknown], text)
            for place, answer in zip(unknown, answers, strict=True):
                found[place] = None if answer.code is None else (answer.code, answer.score)
        return [one or self._inside(said, mean) for one, said, mean in zip(found, words, meant, strict=True)]

    def _known(self, words: str, meant: Meant) -> tuple[str, float] | None:
        """Look words up as a whole."""
        if meant.code is not None:
            return meant.code, 1.0
        term = _preferred(dictionary(self.vocabularies).meanings(words), meant)
        return None if term is None else (term.code, term.confidence)

    def _inside(self, words: str, meant: Meant) -> tuple[str | None, float]:
        """Look up what stands inside of words; what comes last is what they are about."""
        inside = dictionary(self.vocabularies).find(words)
        known = [term for one in inside if (term := _preferred(one.meanings, meant)) is not None]
        return (known[-1].code, known[-1].confidence * _INSIDE) if known else (None, 1.0)


def meant_by(
    patterns: Mapping[str, Sequence[str]], kinds: Mapping[str, str] | None = None
) -> dict[str, Meant]:
    """Tell what the places of a task mean, by the codes that it asks after, and by their names.

    Args:
        patterns: of each name, as below `predict: {spans: …}` of the task.
        kinds: of facts, by name, where they are not to be told so.

    Raises:
        InputError: neither codes nor name tell a kind, or there is no such kind or name.

    >>> found = meant_by({"drug": ["DRUG//*"], "finding": ["ICD10CM//*", "HPO//*"], "smoker": ["SNOMED//77176002"]},
    ...                  {"smoker": "problem"})
    >>> [(one.kind, one.systems, one.code) for one in found.values()][1:]
    [('problem', ('ICD10CM', 'HPO'), None), ('problem', ('SNOMED',), 'SNOMED//77176002')]
    """
    given = dict(kinds or {})
    for name, kind in given.items():
        if name not in patterns or kind not in TAGGED:
            raise InputError(
                "{name}={kind} names no place and kind; places are {names}, kinds {kinds}",
                name=name,
                kind=kind,
                names=list(patterns),
                kinds=TAGGED,
            )
    return {name: _meant(name, those, given.get(name)) for name, those in patterns.items()}


def _meant(name: str, patterns: Sequence[str], kind: str | None) -> Meant:
    found = tuple(dict.fromkeys(systems.split(one)[1] for one in patterns))
    said = [
        told
        for told in (kind, *(_OF_SYSTEMS.get(one) for one in found), _OF_NAMES.get(name.lower()))
        if told is not None
    ]
    if not said:
        raise InputError(
            "what kind of fact places called {name!r} are is not told by their codes; say it: --kind {name}=problem",
            name=name,
        )
    only = patterns[0] if len(patterns) == 1 and "*" not in patterns[0] else None
    return Meant(next(one for one in KINDS if one == said[0]), found, only)


def _preferred(meanings: Sequence[Term], meant: Meant) -> Term | None:
    """Choose among meanings of the kind: one of a preferred code system, else the first."""
    fitting = [one for one in meanings if one.kind == meant.kind]
    own = [one for one in fitting if systems.split(one.code)[1] in meant.systems]
    return next(iter([*own, *fitting]), None)


def _coded(one: Mention) -> Mention:
    return one if one.code else replace(one, code=None)


_OF_SYSTEMS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("ICD10CM", "ICD10", "ICD9CM", "ICD10CN", "HPO", "MONDO", "ORPHANET"), "problem"),
    **dict.fromkeys(("ATC", "RxNorm", "NDC", "DrugBank"), "drug"),
    **dict.fromkeys(("ICD9Proc", "ICD10PCS", "CPT4", "HCPCS"), "procedure"),
}
_OF_NAMES: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(
        (
            "problem",
            "disease",
            "disorder",
            "diagnosis",
            "condition",
            "finding",
            "symptom",
            "sign",
            "phenotype",
        ),
        "problem",
    ),
    **dict.fromkeys(("疾病", "诊断", "症状", "体征", "所见"), "problem"),
    **dict.fromkeys(("drug", "medication", "medicine", "chemical", "药物", "药品"), "drug"),
    **dict.fromkeys(("procedure", "operation", "surgery", "手术", "操作"), "procedure"),
    **dict.fromkeys(("allergy", "allergen", "过敏", "过敏原"), "allergy"),
}
