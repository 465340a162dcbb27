"""What the concepts that steer an import mean, for sources that come without their vocabulary.

Identifiers from the OHDSI standardized vocabularies (Athena): Race, Ethnicity, Meas Value Operator,
Type Concept and its predecessors Drug Type, Condition Type and Procedure Type. Genders and visits
are in `knowledge.systems`.
"""

from __future__ import annotations

from typing import Final, Literal

GROUPS: Final[dict[int, str]] = {
    8515: "Asian",
    8516: "Black or African American",
    8527: "White",
    8557: "Native Hawaiian or Other Pacific Islander",
    8657: "American Indian or Alaska Native",
    38003563: "Hispanic or Latino",
    38003564: "Not Hispanic or Latino",
}

OPERATORS: Final[dict[int, str]] = {4172704: ">", 4171756: "<", 4171755: ">=", 4171754: "<="}

DrugRole = Literal["administration", "dispense", "order", "statement"]

DRUG_TYPES: Final[dict[int, DrugRole]] = {
    38000175: "dispense",  # prescription dispensed in pharmacy
    38000176: "dispense",  # … through mail order
    581452: "dispense",  # dispensed in outpatient office
    32825: "dispense",  # EHR dispensing record
    32857: "dispense",  # mail order record
    32869: "dispense",  # pharmacy claim
    38000177: "order",  # prescription written
    32833: "order",  # EHR order
    32838: "order",  # EHR prescription
    32839: "order",  # EHR prescription issue record
    32837: "order",  # EHR planned dispensing record
    38000179: "administration",  # physician administered drug, identified as procedure
    38000180: "administration",  # inpatient administration
    43542356: "administration",
    43542357: "administration",
    43542358: "administration",
    581373: "administration",
    32818: "administration",  # EHR administration record
}

CLAIM_TYPES: Final[frozenset[int]] = frozenset(
    {32810, 32811, 32812, 32816, 32821, 32844, 32845, 32846, 32853, 32854, 32855, 32859, 32860, 32861}
    | {32869, 32871, 32872, 32873, 32886}
    | set(
        range(38000183, 38000245)
    )  # Condition Type: inpatient and outpatient, detail and header, by position
    | set(range(38000248, 38000275))  # Procedure Type: the same
)


def drug_role(concept: int, name: str | None) -> DrugRole:
    """Tell from a drug type what happened: ordered is not given.

    >>> drug_role(38000177, None), drug_role(1, "Pharmacy claim"), drug_role(0, None)
    ('order', 'dispense', 'statement')
    """
    if concept in DRUG_TYPES:
        return DRUG_TYPES[concept]
    words = (name or "").lower()
    if "administ" in words:
        return "administration"
    if "planned" in words:
        return "order"
    if "dispens" in words or "pharmacy" in words or "mail order" in words:
        return "dispense"
    if "prescri" in words or "order" in words:
        return "order"
    return "statement"


def is_claim(concept: int, name: str | None) -> bool:
    """Tell whether a type says that the row was coded for billing.

    >>> is_claim(32855, None), is_claim(1, "Professional claim"), is_claim(32817, "EHR")
    (True, True, False)
    """
    words = (name or "").lower()
    return concept in CLAIM_TYPES or "claim" in words or "billing" in words
