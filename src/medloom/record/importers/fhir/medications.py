"""Medication resources that others refer to: one file of them may serve a whole export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from medloom.record.importers.fhir.codings import Codings
from medloom.record.importers.fhir.references import bare

Json = Mapping[str, Any]

_DEEPEST: Final = 8  # an ingredient that is a Medication of ingredients …; a circle ends here


class Medications:
    """Knows the codes of Medications: those of the current Bundle, and those of the whole source.

    A Medication that has no code stands for its ingredients (MIMIC's mixes). A
    reference to one that has not been met sets off a single search through
    the rest of the source, so that only sources in need of it are read twice.
    """

    def __init__(self, search: Callable[[], Iterator[Json]]) -> None:
        self._search: Callable[[], Iterator[Json]] | None = search
        self._known: dict[str, _Entry] = {}
        self._local: dict[str, _Entry] = {}

    def add(self, medication: Json, codes: Codings) -> None:
        """Remember a Medication for the whole source."""
        if identifier := medication.get("id"):
            self._known[identifier] = _entry(medication, codes)

    def enter_bundle(self) -> None:
        """Forget the last Bundle's Medications."""
        self._local = {}

    def add_local(self, medication: Json, codes: Codings, address: str | None) -> None:
        """Remember a Medication for the current Bundle, by its id and by its fullUrl."""
        entry = _entry(medication, codes)
        for name in (medication.get("id"), address):
            if name:
                self._local[name] = entry

    def codes_of(self, reference: str, within: Json, codes: Codings) -> tuple[str, ...]:
        """Give the codes of the Medication referred to, several for a mix; none if it is not in the source.

        `within` is the resource that refers: its contained Medications count.
        """
        if reference.startswith("#"):
            for contained in within.get("contained") or ():
                if contained.get("id") == reference[1:]:
                    return self._flat(_entry(contained, codes), codes, _DEEPEST)
            return ()
        entry = self._find(reference, codes)
        return self._flat(entry, codes, _DEEPEST) if entry is not None else ()

    def _find(self, reference: str, codes: Codings) -> _Entry | None:
        identifier = bare(reference, "Medication", {})
        if not identifier:
            return None
        entry = self._local.get(reference) or self._local.get(identifier) or self._known.get(identifier)
        if entry is None and self._search is not None:
            search, self._search = self._search, None
            for medication in search():
                with suppress(AttributeError, TypeError):  # it is a problem where it is read in its turn
                    self.add(medication, codes)
            entry = self._known.get(identifier)
        return entry

    def _flat(self, entry: _Entry, codes: Codings, depth: int) -> tuple[str, ...]:
        code, ingredients = entry
        if code is not None:
            return (code,)
        found: list[str] = []
        for own, reference in ingredients:
            if own is not None:
                found.append(own)
            elif reference is not None and depth:
                other = self._find(reference, codes)
                if other is not None:
                    found += self._flat(other, codes, depth - 1)
        return tuple(dict.fromkeys(found))


# code; and the ingredients, each with its code or with a reference to another Medication
_Entry = tuple[str | None, tuple[tuple[str | None, str | None], ...]]


def _entry(medication: Json, codes: Codings) -> _Entry:
    code = codes.concept(medication.get("code"))
    if code is not None:
        for identifier in medication.get("identifier") or ():
            if str(identifier.get("system", "")).endswith(
                "-medication-name"
            ):  # where MIMIC has the name of an NDC
                codes.describe(code, identifier.get("value"))
        return code, ()
    ingredients = []
    for ingredient in medication.get("ingredient") or ():
        own = codes.concept(ingredient.get("itemCodeableConcept"))
        ingredients.append((own, (ingredient.get("itemReference") or {}).get("reference")))
    return None, tuple(ingredients)
