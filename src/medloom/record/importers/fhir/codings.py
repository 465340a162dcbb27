"""CodeableConcepts as `SYSTEM//code`: which of several codings counts, and what a mere text becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from medloom.foundation.errors import InputError
from medloom.knowledge import systems
from medloom.record.importing import CodeInfo

# Of several codings of one thing the first in this order counts; after these any other, as the resource
# orders them. Terminologies of meaning come before classifications, those before lists of products and bills.
PREFERENCE: Final = (
    "SNOMED",
    "LOINC",
    "RxNorm",
    "CVX",
    *("ICD10CM", "ICD10", "ICD10CN", "ICD10GM", "ICD9CM", "ICD10PCS", "ICD9Proc", "ICD11"),
    *("HPO", "CPT4", "HCPCS", "ATC", "NDC"),
)
NO_SYSTEM: Final = "LOCAL"
TEXT: Final = "TEXT"
_TEXT_LENGTH: Final = 60
_CACHED: Final = 50_000

_RANK: Final = {name: rank for rank, name in enumerate(PREFERENCE)}

Json = Mapping[str, Any]


class Codings:
    """Turns concepts into codes; remembers what it has seen and which descriptions are new.

    >>> codings = Codings()
    >>> house, loinc = {"system": "urn:x:list", "code": "7"}, {"system": "http://loinc.org", "code": "2160-0"}
    >>> codings.concept({"coding": [house, loinc], "text": "Creatinine"})
    'LOINC//2160-0'
    >>> codings.concept({"text": "Fast heart"}), codings.taken()["LOINC//2160-0"].description
    ('TEXT//Fast heart', 'Creatinine')
    """

    def __init__(self) -> None:
        self._cache: dict[object, str | None] = {}
        self._described: dict[str, bool] = {}
        self._new: dict[str, CodeInfo] = {}

    def concept(self, concept: Json | None) -> str | None:
        """Give the code of a CodeableConcept, or None if it has neither code nor text."""
        if not concept:
            return None
        codings = concept.get("coding")
        text = concept.get("text")
        key: object
        if codings and len(codings) == 1:
            coding = codings[0]
            key = (coding.get("system"), coding.get("code"), coding.get("display"), text)
        else:
            key = (text, *[(c.get("system"), c.get("code"), c.get("display")) for c in codings or ()])
        try:
            return self._cache[key]
        except KeyError:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            code = self._cache[key] = self._choose(codings or (), text)
            return code

    def describe(self, code: str, description: object) -> str:
        """Note the description of a code, unless it has one; what is no text describes nothing."""
        if not self._described.get(code, False):
            said = description if isinstance(description, str) else None
            self._described[code] = said is not None
            self._new[code] = CodeInfo(said)
        return code

    def taken(self) -> dict[str, CodeInfo]:
        """Give what was met since the last call."""
        new, self._new = self._new, {}
        return new

    def _choose(self, codings: Any, text: str | None) -> str | None:
        best: tuple[int, str, str | None] | None = None
        for coding in codings:
            try:
                code = systems.code(coding.get("system") or NO_SYSTEM, coding.get("code") or "")
            except InputError:
                continue  # an empty code, or a system without a name: the next coding may have both
            rank = _RANK.get(code.partition("//")[0], len(_RANK))
            if best is None or rank < best[0]:
                best = (rank, code, coding.get("display"))
        if best is not None:
            return self.describe(best[1], best[2] or text)
        words = " ".join((text or "").split()) or next(
            (c["display"] for c in codings if c.get("display")), ""
        )
        return self.describe(f"{TEXT}//{words[:_TEXT_LENGTH].rstrip()}", words) if words else None


def wording(concept: Json) -> str | None:
    """Say a CodeableConcept in words, for a value: its display, text or code.

    >>> wording({"coding": [{"code": "S", "display": "Susceptible"}]}), wording({"text": "阳性"})
    ('Susceptible', '阳性')
    """
    codings = concept.get("coding") or ()
    for coding in codings:
        if display := coding.get("display"):
            return str(display)
    text = concept.get("text")
    return str(text) if text else next((str(c["code"]) for c in codings if c.get("code")), None)
