"""What a measurement can be in a living person, and what is usual in adults."""

from __future__ import annotations

from dataclasses import dataclass

from medloom.knowledge.loinc import observable


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one measurement, all in `unit` (UCUM).

    Outside `low`..`high` a value is an error of entry, unit or device;
    outside `reference_low`..`reference_high` it is unusual for an adult
    (None: no usual bound on that side). For a person to look at, not for diagnosis.
    """

    low: float
    high: float
    unit: str
    reference_low: float | None = None
    reference_high: float | None = None


def limits(code: str) -> Limits | None:
    """Give the limits of a code, or None where none are known.

    Sources: see `knowledge.loinc` (Harutyunyan 2019 for what is possible;
    Kratz, N Engl J Med 2004 and Tietz for what is usual).

    >>> limits("LOINC//2823-3")
    Limits(low=0.5, high=15, unit='mmol/L', reference_low=3.5, reference_high=5.0)
    >>> limits("ICD10CM//I10") is None
    True
    """
    row = observable(code)
    if row is None:
        return None
    return Limits(row.low, row.high, row.unit, row.normal_low, row.normal_high)
