"""Patient and Encounter: who it is about, and when they were in care."""

from __future__ import annotations

from typing import Any, Final

from medloom.knowledge import systems
from medloom.record.importers.fhir import problems
from medloom.record.importers.fhir.reading import Fact, Json, Reading
from medloom.record.schema import BIRTH, DEATH

_GROUPS: Final = {"us-core-race": "RACE", "us-core-ethnicity": "ETHNICITY"}

# MIMIC on FHIR writes the urgency of the admission in `class`; which kind of stay it is, the
# identifier's system tells (Bennett et al., doi 10.13026/c2f9-3y63).
_MIMIC_IDENTIFIERS: Final = {
    "http://mimic.mit.edu/fhir/mimic/identifier/encounter-hosp": "inpatient",
    "http://mimic.mit.edu/fhir/mimic/identifier/encounter-ed": "emergency",
    "http://mimic.mit.edu/fhir/mimic/identifier/encounter-icu": "icu",
}


def patient(resource: Json, reading: Reading) -> None:
    """Read birth, death, and what does not change: `GENDER//F`, `RACE//…`, `LANGUAGE//en` …"""
    reading.patient = resource.get("id")
    facts = reading.facts
    describe = reading.codes.describe
    if gender := resource.get("gender"):
        facts.append(_static(f"GENDER//{systems.gender(gender) or 'unknown'}"))
    if birth := resource.get("birthDate"):
        facts.append((birth, BIRTH, None, None, None, None, "demographic", None))
    if death := resource.get("deceasedDateTime"):
        facts.append((death, DEATH, None, None, None, None, "demographic", None))
    elif resource.get("deceasedBoolean"):
        facts.append((None, DEATH, None, None, None, None, "demographic", problems.DEATH_WITHOUT_DATE))
    for extension in resource.get("extension") or ():
        group = _GROUPS.get(extension.get("url", "").rpartition("/")[2])
        if group:
            for value, words in _extension_values(extension):
                facts.append(_static(describe(f"{group}//{value}", words)))
    if language := _language(resource):
        facts.append(_static(describe(f"LANGUAGE//{language[0]}", language[1])))
    if marital := _plain(resource.get("maritalStatus")):
        facts.append(_static(describe(f"MARITAL//{marital[0]}", marital[1])))


def encounter(resource: Json, reading: Reading) -> None:
    """Read `ENCOUNTER//class//START` and `//END`, and how it ended as `DISCHARGE//…`, known at its end."""
    status = resource.get("status")
    if status == "cancelled":
        reading.notes[problems.CANCELLED] += 1
        return
    reading.encounter = resource.get("id")
    facts = reading.facts
    period = resource.get("period") or {}
    start, end = period.get("start"), period.get("end")
    kind = _class(resource)
    if status == "planned":
        problem = None if start else problems.NO_PERIOD_START
        facts.append(
            (start, f"PLANNED//ENCOUNTER//{kind}//START", None, None, None, None, "encounter", problem)
        )
        return
    problem = None if start else problems.NO_PERIOD_START
    facts.append((start, f"ENCOUNTER//{kind}//START", None, None, None, None, "encounter", problem))
    if not end:
        return
    facts.append((end, f"ENCOUNTER//{kind}//END", None, None, None, None, "encounter", None))
    hospitalization = resource.get("hospitalization")
    if hospitalization and (disposition := _plain(hospitalization.get("dischargeDisposition"))):
        code = reading.codes.describe(f"DISCHARGE//{disposition[0]}", disposition[1])
        facts.append((end, code, None, None, None, None, "encounter", None))


def _class(resource: Json) -> str:
    for identifier in resource.get("identifier") or ():
        known = _MIMIC_IDENTIFIERS.get(identifier.get("system"))
        if known:
            return known
    return systems.encounter_class((resource.get("class") or {}).get("code") or "")


def _static(code: str) -> Fact:
    return (None, code, None, None, None, None, "demographic", None)


def _extension_values(extension: Json) -> list[tuple[str, str | None]]:
    """Give the categories of a US Core race or ethnicity: (code, display), or its text if it has no code."""
    values: list[tuple[str, str | None]] = []
    text = None
    for part in extension.get("extension") or ():
        coding = part.get("valueCoding")
        if part.get("url") == "ombCategory" and coding and coding.get("code"):
            values.append((coding["code"], coding.get("display")))
        elif part.get("url") == "text":
            text = part.get("valueString")
    if not values and text:
        values.append((" ".join(text.split())[:60], None))
    return values


def _language(resource: Json) -> tuple[str, str | None] | None:
    spoken = resource.get("communication") or []
    first = next((entry for entry in spoken if entry.get("preferred")), spoken[0] if spoken else {})
    return _plain(first.get("language"))


def _plain(concept: Any) -> tuple[str, str | None] | None:
    """Give the first code of a concept as it stands, with its display; else its text."""
    if not concept:
        return None
    text = concept.get("text")
    for coding in concept.get("coding") or ():
        if code := coding.get("code"):
            return code, coding.get("display") or text
    return (" ".join(text.split())[:60], text) if text else None
