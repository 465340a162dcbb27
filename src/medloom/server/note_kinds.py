"""What sorts of things notes name, and how pages say what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from medloom.foundation.messages import Text2, text2
from medloom.knowledge import systems

EntityKind = Literal["problem", "drug", "measurement", "procedure", "allergy", "social", "anatomy", "other"]

KINDS: Final[tuple[EntityKind, ...]] = (
    "problem",
    "drug",
    "measurement",
    "procedure",
    "allergy",
    "social",
    "anatomy",
    "other",
)
ASSERTIONS: Final = ("", *systems.ASSERTION_PREFIXES)


def kind_of(code: str, role: str | None, has_value: bool) -> EntityKind:
    """Tell what sort of thing a fact names: by its role, else by its code system.

    >>> kind_of("ICD10CM//I10", "condition", False), kind_of("NOT//ATC//A10BA02", None, False)
    ('problem', 'drug')
    >>> kind_of("LOINC//8480-6", "observation", True), kind_of("LOINC//72166-2", "observation", False)
    ('measurement', 'social')
    """
    system = systems.split(code)[1] if code else ""
    if role in _BY_ROLE:
        return _BY_ROLE[role]
    if role == "observation" and system == "LOINC" and not has_value:
        return "social"
    return _BY_SYSTEM.get(system, "measurement" if has_value else "other")


def role_of(kind: EntityKind) -> str:
    """Give the role in the record of what a person adds."""
    return _ROLES.get(kind, "observation")


def kind_name(kind: EntityKind) -> Text2:
    """Name a sort of thing, shortly."""
    return {
        "problem": text2("problem"),
        "drug": text2("drug"),
        "measurement": text2("measured"),
        "procedure": text2("procedure"),
        "allergy": text2("allergy"),
        "social": text2("habit"),
        "anatomy": text2("body part"),
        "other": text2("named"),
    }[kind]


def assertion_name(prefix: str | None) -> Text2:
    """Say what a note says of something, shortly."""
    return {
        "": text2("is so"),
        "NOT": text2("denied"),
        "POSSIBLE": text2("possible"),
        "FAMILY": text2("family"),
        "HISTORY": text2("in the past"),
        "PLANNED": text2("planned"),
    }[prefix or ""]


def reason_name(reason: str) -> Text2:
    """Say why a fact waits for a person; one that is not known here stays as it is."""
    names = {
        "unsure": text2("the finder is not sure"),
        "ambiguous": text2("the words mean several things"),
        "conflict": text2("the note both says and denies it"),
        "language": text2("the note is in a third language"),
        "no code": text2("no code is known for it"),
        "injection": text2("the sentence speaks to whoever processes the note"),
        "suggested": text2("a released model suggests it"),
    }
    return names.get(reason, Text2(reason, reason))


_BY_ROLE: Final[Mapping[str | None, EntityKind]] = {
    "condition": "problem",
    "statement": "drug",
    "order": "drug",
    "administration": "drug",
    "dispense": "drug",
    "procedure": "procedure",
    "allergy": "allergy",
}
_BY_SYSTEM: Final[Mapping[str, EntityKind]] = {
    "ICD10CM": "problem",
    "ICD10": "problem",
    "ICD10CN": "problem",
    "ICD9CM": "problem",
    "HPO": "problem",
    "SNOMED": "problem",
    "ATC": "drug",
    "RxNorm": "drug",
    "DRUGBANK": "drug",
    "DRUG": "drug",
    "DrugBank": "drug",
    "LOINC": "measurement",
    "ICD9Proc": "procedure",
    "ICD10PCS": "procedure",
    "CPT4": "procedure",
    "ALLERGEN": "allergy",
    "ANATOMY": "anatomy",
}
_ROLES: Final[Mapping[EntityKind, str]] = {
    "problem": "condition",
    "drug": "statement",
    "procedure": "procedure",
    "allergy": "allergy",
}
