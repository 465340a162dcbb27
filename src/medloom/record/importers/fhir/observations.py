"""Observation: measurements, laboratory results, answers; a panel's components each a fact."""

from __future__ import annotations

from medloom.record.importers.fhir import problems
from medloom.record.importers.fhir.reading import Json, Reading
from medloom.record.importers.fhir.values import NOTHING, value_of


def observation(resource: Json, reading: Reading) -> None:
    """Read an observation when it was made; known from `issued`, or when the period it covers is over.

    One without a value (`dataAbsentReason`) is a fact without a value. A panel
    that has components but no value of its own is only its components; `hasMember`
    names observations that stand for themselves.
    """
    if resource.get("status") == "cancelled":
        reading.notes[problems.CANCELLED] += 1
        return
    issued = known = resource.get("issued")
    time = resource.get("effectiveDateTime")
    if time is None:
        time = resource.get("effectiveInstant")
        if period := resource.get("effectivePeriod"):
            time = period.get("start") or period.get("end")
            known = issued or period.get("end")
        elif timing := resource.get("effectiveTiming"):
            events = timing.get("event")
            time = events[0] if events else None
        if time is None:
            time = issued
    concept = reading.codes.concept
    components = resource.get("component")
    value = value_of(resource)
    if value is not None or not components:
        number, text, unit = value or NOTHING
        reading.facts.append(
            (time, concept(resource.get("code")), number, text, unit, known, "observation", None)
        )
    for component in components or ():
        number, text, unit = value_of(component) or NOTHING
        reading.facts.append(
            (time, concept(component.get("code")), number, text, unit, known, "observation", None)
        )
