"""Orders and drugs: asked for, handed out, given, said to be taken; none stands for another."""

from __future__ import annotations

from typing import Final

from medloom.knowledge.fhir_terms import Json, concept, quantity
from medloom.server.fhir.chart import Chart, Fact
from medloom.server.fhir.clinical import begun, notes, placed

_DISPENSED: Final = {"NOT": "cancelled", "PLANNED": "preparation"}
_TAKEN: Final = {"NOT": "not-taken", "PLANNED": "intended"}


def medication_request(fact: Fact, chart: Chart) -> Json:
    """Tell a prescription; whether it still holds the record does not say."""
    return _request(fact, chart, "medicationCodeableConcept") | _instruction(fact, chart, "dosageInstruction")


def service_request(fact: Fact, chart: Chart) -> Json:
    """Tell an order of a test, a procedure or a referral."""
    return _request(fact, chart, "code")


def administration(fact: Fact, chart: Chart) -> Json:
    """Tell what was given, or was not."""
    made = begun(fact, chart) | {
        "status": "not-done" if fact.assertion == "NOT" else "completed",
        "medicationCodeableConcept": concept(fact.code, chart.descriptions),
        **placed(fact, chart, encounter="context"),
        "effectiveDateTime": chart.clock.written(fact.time, fact.precision),
        **notes(fact),
    }
    if fact.value is not None:
        made["dosage"] = {"dose": quantity(fact.value, chart.unit_of(fact))}
    return made


def dispense(fact: Fact, chart: Chart) -> Json:
    """Tell what was handed out, was not, or is prepared."""
    made = begun(fact, chart) | {
        "status": _DISPENSED.get(fact.assertion or "", "completed"),
        "medicationCodeableConcept": concept(fact.code, chart.descriptions),
        **placed(fact, chart, encounter="context"),
        "whenHandedOver": chart.clock.written(fact.time, fact.precision),
        **notes(fact),
    }
    if fact.assertion:  # nothing was handed over
        made["whenPrepared"] = made.pop("whenHandedOver")
    return made | _instruction(fact, chart, "dosageInstruction")


def statement(fact: Fact, chart: Chart) -> Json:
    """Tell what somebody says the patient takes."""
    made = begun(fact, chart) | {
        "status": _TAKEN.get(fact.assertion or "", "unknown"),
        "medicationCodeableConcept": concept(fact.code, chart.descriptions),
        **placed(fact, chart, encounter="context"),
        "effectiveDateTime": chart.clock.written(fact.time, fact.precision),
        **notes(fact),
    }
    if asserted := chart.clock.recorded(fact.time, fact.known):
        made["dateAsserted"] = asserted
    return made | _instruction(fact, chart, "dosage")


def _request(fact: Fact, chart: Chart, name: str) -> Json:
    made = begun(fact, chart) | {
        "status": "unknown",
        "intent": "plan" if fact.assertion == "PLANNED" else "order",
        name: concept(fact.code, chart.descriptions),
        **placed(fact, chart),
        "authoredOn": chart.clock.written(fact.time, fact.precision),
        **notes(fact),
    }
    return made | ({"doNotPerform": True} if fact.assertion == "NOT" else {})


def _instruction(fact: Fact, chart: Chart, name: str) -> Json:
    if fact.value is None:
        return {}
    dose = quantity(fact.value, chart.unit_of(fact))
    return {name: [{"doseAndRate": [{"doseQuantity": dose}]}]}
