"""Drugs ordered, handed out, given, said to be taken: four resources, none stands for another."""

from __future__ import annotations

from typing import Any, Final

from medloom.record.importers.fhir import problems
from medloom.record.importers.fhir.clinical import request_prefix
from medloom.record.importers.fhir.reading import Json, Reading, Text

_ADMINISTRATION_STATUS: Final = {"not-done": "NOT//"}
_DISPENSE_STATUS: Final = {
    "cancelled": "NOT//",
    "declined": "NOT//",
    "preparation": "PLANNED//",
    "on-hold": "PLANNED//",
}
_STATEMENT_STATUS: Final = {"not-taken": "NOT//", "intended": "PLANNED//"}


def medication_request(resource: Json, reading: Reading) -> None:
    """Read a prescription when it was written. That it was stopped or cancelled later does not undo it."""
    dose = _instructed(resource.get("dosageInstruction"))
    _add(resource, reading, request_prefix(resource), resource.get("authoredOn"), None, "order", dose)


def medication_administration(resource: Json, reading: Reading) -> None:
    """Read what was given, when it began; a dose given over a period is known when that is over."""
    time, known = resource.get("effectiveDateTime"), None
    dosage = resource.get("dosage")
    dose = dosage.get("dose") if dosage else None
    if time is None and (period := resource.get("effectivePeriod")):
        time = period.get("start") or period.get("end")
        if dose:
            known = period.get("end")
    prefix = _ADMINISTRATION_STATUS.get(resource.get("status", ""), "")
    _add(resource, reading, prefix, time, known, "administration", dose)


def medication_dispense(resource: Json, reading: Reading) -> None:
    """Read what was handed out, when."""
    time = resource.get("whenHandedOver") or resource.get("whenPrepared")
    prefix = _DISPENSE_STATUS.get(resource.get("status", ""), "")
    _add(resource, reading, prefix, time, None, "dispense", _instructed(resource.get("dosageInstruction")))


def medication_statement(resource: Json, reading: Reading) -> None:
    """Read what somebody says the patient takes; known from `dateAsserted`."""
    asserted = resource.get("dateAsserted")
    time = resource.get("effectiveDateTime")
    if time is None and (period := resource.get("effectivePeriod")):
        time = period.get("start")
    prefix = _STATEMENT_STATUS.get(resource.get("status", ""), "")
    dose = _instructed(resource.get("dosage"))
    _add(resource, reading, prefix, time or asserted, asserted, "statement", dose)


def _instructed(instructions: Any) -> Json | None:
    """Give the dose of the first instruction, if it is one quantity and not a range."""
    if instructions and (doses := instructions[0].get("doseAndRate")):
        dose: Json | None = doses[0].get("doseQuantity")
        return dose
    return None


def _add(
    resource: Json, reading: Reading, prefix: str, time: Text, known: Text, role: str, dose: Json | None
) -> None:
    concept = resource.get("medicationCodeableConcept")
    if concept is not None:
        code = reading.codes.concept(concept)
    else:
        reference = resource.get("medicationReference") or {}
        address = reference.get("reference")
        codes = reading.medications.codes_of(address, resource, reading.codes) if address else ()
        if len(codes) > 1:
            # the dose is that of the mix: whose part is how much, nobody says
            reading.facts += [(time, prefix + each, None, None, None, known, role, None) for each in codes]
            return
        code = codes[0] if codes else reading.codes.concept({"text": reference.get("display")})
        if code is None and address:
            reading.facts.append((time, None, None, None, None, known, role, problems.MEDICATION_NOT_FOUND))
            return
    if prefix and code:
        code = prefix + code
    if dose:
        unit = dose.get("code") or dose.get("unit")
        reading.facts.append((time, code, dose.get("value"), None, unit, known, role, None))
    else:
        reading.facts.append((time, code, None, None, None, known, role, None))
