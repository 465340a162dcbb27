"""What was found and done: Condition, Observation, DiagnosticReport, Procedure, AllergyIntolerance, Immunization."""

from __future__ import annotations

import base64
import re
from typing import Final

from medloom.foundation.messages import tr
from medloom.knowledge import units
from medloom.knowledge.fhir_terms import HL7, Json, coding, concept, quantity, said
from medloom.knowledge.limits import limits
from medloom.knowledge.loinc import group_of
from medloom.server.fhir.chart import Chart, Fact
from medloom.server.showing import HIDDEN

_COMPARED: Final = re.compile(r"(<=|>=|<|>)\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?")
_NUMBER: Final = re.compile(r"[<>=~≤≥≈\s]*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*")
_BOOLEANS: Final = {"true": 1.0, "false": 0.0}
_CATEGORIES: Final = {
    "vitals": ("vital-signs", "Vital Signs"),
    "laboratory": ("laboratory", "Laboratory"),
}
CATEGORY_SYSTEM: Final = HL7 + "observation-category"
_ADULT: Final = 18  # years
_VERIFIED: Final = {"NOT": "refuted", "POSSIBLE": "unconfirmed", "HISTORY": "confirmed"}


def begun(fact: Fact, chart: Chart) -> Json:
    """Begin a resource: type, id, and since when the fact is visible."""
    return {
        "resourceType": fact.type,
        "id": fact.id,
        "meta": {"lastUpdated": chart.clock.written(fact.visible)},
    }


def placed(fact: Fact, chart: Chart, subject: str = "subject", encounter: str = "encounter") -> Json:
    """Say of whom a fact is, and of which encounter."""
    made: Json = {subject: {"reference": f"Patient/{chart.subject_id}"}}
    if fact.encounter:
        made[encounter] = {"reference": f"Encounter/{fact.encounter}"}
    return made


def notes(fact: Fact, more: str | None = None) -> Json:
    """Say, as a note, that a program read the fact out of another one, and what else there is to say."""
    texts = [more] if more else []
    if fact.model:
        texts.append(
            tr("Read out of another document by {model}, not entered by a person.", model=fact.model)
        )
    return {"note": [{"text": text} for text in texts]} if texts else {}


def condition(fact: Fact, chart: Chart) -> Json:
    """Tell a diagnosis or problem. What the record does not know, whether it is active and verified, is not said.

    What was refuted or is possible says so in `verificationStatus`; what is history is inactive.
    """
    made = begun(fact, chart)
    if fact.assertion == "HISTORY":
        made["clinicalStatus"] = {"coding": [coding(HL7 + "condition-clinical", "inactive", "Inactive")]}
    if fact.assertion:
        code = _VERIFIED[fact.assertion]
        made["verificationStatus"] = {
            "coding": [coding(HL7 + "condition-ver-status", code, code.capitalize())]
        }
    made |= {"code": concept(fact.code, chart.descriptions), **placed(fact, chart)}
    if fact.known != fact.time:  # a problem without an onset stands at the time it was recorded
        made["onsetDateTime"] = chart.clock.written(fact.time, fact.precision)
        recorded = chart.clock.recorded(fact.time, fact.known)
    else:
        recorded = chart.clock.written(fact.time)
    return made | ({"recordedDate": recorded} if recorded else {}) | notes(fact)


def observation(fact: Fact, chart: Chart) -> Json:
    """Tell a measurement or finding, in the canonical unit of its code.

    Whether it is final the record does not say. The reference range is that of adults, and is left out for a
    child; a laboratory's own ranges are not in the record.
    """
    made = begun(fact, chart) | {"status": "unknown"}
    if (group := group_of(fact.code)) is not None:
        made["category"] = [{"coding": [coding(CATEGORY_SYSTEM, *_CATEGORIES[group])]}]
    made |= {
        "code": concept(fact.code, chart.descriptions),
        **placed(fact, chart),
        "effectiveDateTime": chart.clock.written(fact.time, fact.precision),
    }
    recorded = chart.clock.recorded(fact.time, fact.known)
    if recorded and "T" in recorded:
        made["issued"] = recorded
    unit = chart.unit_of(fact)
    made |= _value(fact, unit)
    if fact.value is not None and "valueQuantity" in made:
        made |= _reference_range(fact, chart, unit)
    return made


def report(fact: Fact, chart: Chart) -> Json:
    """Tell a note or report: its text, as it was written."""
    made = begun(fact, chart) | {
        "status": "unknown",
        "code": concept(fact.code, chart.descriptions),
        **placed(fact, chart),
        "effectiveDateTime": chart.clock.written(fact.time, fact.precision),
    }
    recorded = chart.clock.recorded(fact.time, fact.known)
    if recorded and "T" in recorded:
        made["issued"] = recorded
    form = {"contentType": "text/plain; charset=utf-8"}
    if fact.text_hidden:
        form["title"] = said(HIDDEN)
    else:
        form["data"] = base64.b64encode((fact.text or "").encode()).decode()
    return made | {"presentedForm": [form]}


def procedure(fact: Fact, chart: Chart) -> Json:
    """Tell what was done, was not done, or is prepared."""
    status = {"NOT": "not-done", "PLANNED": "preparation"}.get(fact.assertion or "", "completed")
    return begun(fact, chart) | {
        "status": status,
        "code": concept(fact.code, chart.descriptions),
        **placed(fact, chart),
        "performedDateTime": chart.clock.written(fact.time, fact.precision),
        **notes(fact),
    }


def allergy(fact: Fact, chart: Chart) -> Json:
    """Tell an allergy or intolerance."""
    made = begun(fact, chart)
    if fact.assertion:
        code = _VERIFIED[fact.assertion]
        system = HL7 + "allergyintolerance-verification"
        made["verificationStatus"] = {"coding": [coding(system, code, code.capitalize())]}
    made |= {"code": concept(fact.code, chart.descriptions), **placed(fact, chart, "patient")}
    if fact.known != fact.time:
        made["onsetDateTime"] = chart.clock.written(fact.time, fact.precision)
        recorded = chart.clock.recorded(fact.time, fact.known)
    else:
        recorded = chart.clock.written(fact.time)
    return made | ({"recordedDate": recorded} if recorded else {}) | notes(fact)


def immunization(fact: Fact, chart: Chart) -> Json:
    """Tell a vaccination that was given, or was not."""
    made = begun(fact, chart) | {
        "status": "not-done" if fact.assertion == "NOT" else "completed",
        "vaccineCode": concept(fact.code, chart.descriptions),
        **placed(fact, chart, "patient"),
        "occurrenceDateTime": chart.clock.written(fact.time, fact.precision),
    }
    if recorded := chart.clock.recorded(fact.time, fact.known):
        made["recorded"] = recorded
    if fact.value is not None:
        made["doseQuantity"] = quantity(fact.value, chart.unit_of(fact))
    return made | notes(fact)


def _value(fact: Fact, unit: str | None) -> Json:
    text = fact.text
    if fact.value is None:
        if text is not None:
            return {"valueString": text} | notes(fact)
        why = ("masked", "Masked") if fact.text_hidden else ("unknown", "Unknown")
        absent = coding(HL7 + "data-absent-reason", *why)
        return {"dataAbsentReason": {"coding": [absent]}} | notes(fact)
    if text is None:
        hidden = said(HIDDEN) if fact.text_hidden else None
        return {"valueQuantity": quantity(fact.value, unit)} | notes(fact, hidden)
    if _BOOLEANS.get(text) == fact.value and unit is None:
        return {"valueBoolean": text == "true"} | notes(fact)
    compared = _COMPARED.fullmatch(text.strip())
    amount = quantity(fact.value, unit, compared[1] if compared else None)
    return {"valueQuantity": amount} | notes(fact, None if compared or _NUMBER.fullmatch(text) else text)


def _reference_range(fact: Fact, chart: Chart, unit: str | None) -> Json:
    known = limits(fact.code)
    age = chart.age(fact.time)
    if known is None or unit is None or (age is not None and age < _ADULT):
        return {}
    factor = units.factor(known.unit, unit, fact.code)
    if factor is None:
        return {}
    scale, offset = factor
    made: Json = {}
    if known.reference_low is not None:
        made["low"] = quantity(known.reference_low * scale + offset, unit)
    if known.reference_high is not None:
        made["high"] = quantity(known.reference_high * scale + offset, unit)
    if not made:
        return {}
    made["type"] = {"coding": [coding(HL7 + "referencerange-meaning", "normal", "Normal Range")]}
    made["text"] = tr("usual in adults, from textbooks; not this laboratory's own range")
    return {"referenceRange": [made]}
