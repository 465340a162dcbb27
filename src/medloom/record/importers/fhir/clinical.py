"""What was found and what was done: conditions, allergies, procedures, vaccinations, orders."""

from __future__ import annotations

from typing import Any, Final

from medloom.record.importers.fhir.reading import Json, Reading

# condition-ver-status and allergyintolerance-verification: what they make of the code
_VERIFICATION: Final = {
    "refuted": "NOT//",
    "unconfirmed": "POSSIBLE//",
    "presumed": "POSSIBLE//",
    "provisional": "POSSIBLE//",
    "differential": "POSSIBLE//",
}
_PLANNED_INTENTS: Final = frozenset(("proposal", "plan", "option"))
_PLANNED_STATUS: Final = frozenset(("draft", "on-hold"))
_EVENT_STATUS: Final = {"not-done": "NOT//", "preparation": "PLANNED//"}


def condition(resource: Json, reading: Reading) -> None:
    """Read a diagnosis or problem: since when, and from `recordedDate` on known."""
    code = reading.codes.concept(resource.get("code"))
    prefix = _verified(resource, reading)
    recorded = resource.get("recordedDate")
    time = _onset(resource) or recorded
    if prefix and code:
        code = prefix + code
    reading.facts.append((time, code, None, None, None, recorded, "condition", None))


def allergy(resource: Json, reading: Reading) -> None:
    """Read an allergy or intolerance, by its code or else by the substances that set it off."""
    prefix = _verified(resource, reading)
    recorded = resource.get("recordedDate")
    time = _onset(resource) or recorded
    code = reading.codes.concept(resource.get("code"))
    found: list[str | None] = [code] if code else []
    if not found:
        substances = (reading.codes.concept(r.get("substance")) for r in resource.get("reaction") or ())
        found = list(dict.fromkeys(filter(None, substances)))
    for each in found or [None]:
        code = prefix + each if each else None
        reading.facts.append((time, code, None, None, None, recorded, "allergy", None))


def procedure(resource: Json, reading: Reading) -> None:
    """Read a procedure at its start."""
    code = reading.codes.concept(resource.get("code"))
    time = resource.get("performedDateTime")
    if time is None and (period := resource.get("performedPeriod")):
        time = period.get("start") or period.get("end")
    prefix = _EVENT_STATUS.get(resource.get("status", ""))
    if prefix and code:
        code = prefix + code
    reading.facts.append((time, code, None, None, None, None, "procedure", None))


def immunization(resource: Json, reading: Reading) -> None:
    """Read a vaccination; one that was reported later is known from `recorded` on."""
    code = reading.codes.concept(resource.get("vaccineCode"))
    recorded = resource.get("recorded")
    time = resource.get("occurrenceDateTime") or recorded
    prefix = _EVENT_STATUS.get(resource.get("status", ""))
    if prefix and code:
        code = prefix + code
    dose = resource.get("doseQuantity") or {}
    reading.facts.append(
        (
            time,
            code,
            dose.get("value"),
            None,
            dose.get("code") or dose.get("unit"),
            recorded,
            "immunization",
            None,
        )
    )


def service_request(resource: Json, reading: Reading) -> None:
    """Read an order of a test, a procedure or a referral: ordered, not done."""
    code = reading.codes.concept(resource.get("code"))
    if code:
        code = request_prefix(resource) + code
    reading.facts.append((resource.get("authoredOn"), code, None, None, None, None, "order", None))


def request_prefix(resource: Json) -> str:
    """Tell orders from plans and prohibitions.

    >>> request_prefix({"intent": "order", "status": "stopped"}), request_prefix({"intent": "plan"})
    ('', 'PLANNED//')
    """
    if resource.get("doNotPerform"):
        return "NOT//"
    planned = resource.get("intent") in _PLANNED_INTENTS or resource.get("status") in _PLANNED_STATUS
    return "PLANNED//" if planned else ""


def _verified(resource: Json, reading: Reading) -> str:
    """Give the prefix that the verification status asks for; entered in error retracts."""
    prefix = ""
    for coding in (resource.get("verificationStatus") or {}).get("coding") or ():
        status = coding.get("code")
        if status == "entered-in-error":
            reading.retracted = True
        prefix = prefix or _VERIFICATION.get(status, "")
    return prefix


def _onset(resource: Json) -> Any:
    time = resource.get("onsetDateTime")
    if time is None and (period := resource.get("onsetPeriod")):
        time = period.get("start")
    return time
