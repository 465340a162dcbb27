"""The words that rules look for: our own in English and Chinese, and whole vocabularies behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from medloom.knowledge import systems
from medloom.learners.text.facts.mentions import Kind
from medloom.learners.text.facts.terms import Term, Terms
from medloom.learners.text.facts.vocabularies import names_of

ALLERGEN: Final = "ALLERGEN"
"""Code system, of our own, of what sets off an allergy and is no drug."""
ANATOMY: Final = "ANATOMY"
"""Code system, of our own, of parts of the body."""


@cache
def dictionary(vocabularies: tuple[str, ...] = ()) -> Terms:
    """Put words together: ours first, as they were chosen, then those of whole vocabularies.

    Args:
        vocabularies: of `icd10cm`, `hpo`, `drugbank`, the one to be preferred first.

    Raises:
        InputError: there is none of this name, or what carries it is not installed.

    >>> [term.code for term in dictionary().meanings("心房颤动")]
    ['ICD10CM//I48.91']
    """
    return Terms(_all(vocabularies))


def measured(term: Term) -> tuple[str, ...]:
    """Give the LOINC codes that a term of a measurement may mean, by unit: the likeliest first."""
    return tuple(f"LOINC//{one}" for one in term.code.removeprefix("LOINC//").split("|"))


def name_of(code: str, *, chinese: bool = False) -> str | None:
    """Give the name under which our own words have a code, whatever is said of it; None: they have it not.

    >>> name_of("NOT//ICD10CM//I48.91"), name_of("ICD10CM//I48.91", chinese=True), name_of("ICD10CM//Z99")
    ('atrial fibrillation', '心房颤动', None)
    """
    prefix, _, _ = systems.split(code)
    return _names(chinese).get(code if prefix is None else code.removeprefix(f"{prefix}//"))


@cache
def _names(chinese: bool) -> dict[str, str]:
    told = reversed([*_all(())])
    return {
        code: name
        for name, term in told
        if not chinese or any("\u4e00" <= letter <= "\u9fff" for letter in name)
        for code in _codes(term)
    }


def _codes(term: Term) -> tuple[str, ...]:
    return measured(term) if term.kind == "measurement" else (term.code,)


def _all(vocabularies: Sequence[str]) -> Iterator[tuple[str, Term]]:
    for name, kind in _OWN.items():
        system = "LOINC//" if kind == "measurement" else ""
        for line in files(__package__).joinpath("words", f"{name}.tsv").read_text("utf-8").splitlines():
            code, _, names = line.partition("\t")
            for one in names.split("; "):
                word = one.removeprefix("!")
                yield word, Term(system + code, kind, _OWN_CONFIDENCE, capital=word != one)
    for vocabulary in vocabularies:
        yield from names_of(vocabulary)


_OWN: Final[dict[str, Kind]] = {
    "problems": "problem",
    "drugs": "drug",
    "measurements": "measurement",
    "procedures": "procedure",
    "anatomy": "anatomy",
    "allergens": "allergy",
}
"""Files in `words/`; a name behind `!` counts only as it is written there: `CAP` is no cap."""
_OWN_CONFIDENCE: Final = 0.9
