"""Facts of notes as FHIR R4: Condition, MedicationStatement, Observation and others, each with where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from medloom.care.notes.facts import details_of
from medloom.foundation.clock import Clock
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.knowledge import systems
from medloom.knowledge.fhir_terms import HL7, OWN, Json, coding, concept, device_id, extension, quantity
from medloom.learners.text.facts.dictionary import name_of
from medloom.learners.text.facts.onset import began

Row = Mapping[str, Any]


def bundle(facts: pl.DataFrame, clock: Clock, made: datetime) -> Json:
    """Give facts of notes as a collection: a resource each, then a Provenance for each note and who read it.

    Patients are told by their pseudonyms. A resource names the characters of the note it comes from in an extension
    `span`; the note itself is named by its digest, its words are not in the bundle.

    Args:
        facts: as `facts_where` gives them.
        clock: of the site.
        made: when the bundle is made, wall clock.
    """
    rows = list(facts.iter_rows(named=True))
    resources = [resource(row, clock) for row in rows]
    sources: dict[tuple[str, str | None], list[Json]] = {}
    for row, one in zip(rows, resources, strict=True):
        sources.setdefault((row["derived_from"], row["model"]), []).append(one)
    provenances = [provenance(note, model, made, clock, of) for (note, model), of in sources.items()]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": clock.written(made),
        "entry": [
            {"fullUrl": f"{OWN}{one['resourceType']}:{one['id']}", "resource": one}
            for one in (*resources, *provenances)
        ],
    }


def resource(row: Row, clock: Clock) -> Json:
    """Give one fact as the resource that holds its kind."""
    prefix, _, _ = systems.split(row["code"])
    if prefix == "FAMILY":
        return _family(row, clock)
    return _MAKERS.get(row["role"], _observation)(row, clock)


def provenance(note: str, model: str | None, made: datetime, clock: Clock, of: list[Json]) -> Json:
    """Tell what resources were taken from a note, and by whom: a program, or a person where no model is named."""
    who = (
        {"display": tr("a person")}
        if model is None
        else {"reference": f"Device/{device_id(model)}", "display": model}
    )
    return {
        "resourceType": "Provenance",
        "id": _id("provenance", note, model, *(one["id"] for one in of)),
        "target": [{"reference": f"{one['resourceType']}/{one['id']}"} for one in of],
        "recorded": clock.written(made),
        "activity": {"coding": [coding(HL7 + "v3-DataOperation", "DERIVE", "derive")]},
        "agent": [
            {"type": {"coding": [coding(HL7 + "provenance-participant-type", "assembler")]}, "who": who}
        ],
        "entity": [
            {"role": "source", "what": {"identifier": {"system": OWN + "asset", "value": note}}},
        ],
    }


def _condition(row: Row, clock: Clock) -> Json:
    prefix, code = _split(row)
    made = _begun("Condition", row) | {
        "clinicalStatus": _status("condition-clinical", "inactive" if prefix == "HISTORY" else "active"),
        "verificationStatus": _status("condition-ver-status", _VERIFIED.get(prefix or "", "provisional")),
        "code": _concept(code),
        "subject": _subject(row),
        "recordedDate": clock.written(row["time"]),
    }
    if site := details_of(row["text_value"]).get("site"):
        made["bodySite"] = [{"text": site.replace("-", " ")}]
    if (onset := _onset(row)) is not None:
        made["onsetDateTime"] = onset
    return made


def _medication(row: Row, clock: Clock) -> Json:
    prefix, code = _split(row)
    made = _begun("MedicationStatement", row) | {
        "status": {"NOT": "not-taken", "PLANNED": "intended", "HISTORY": "completed"}.get(
            prefix or "", "active"
        ),
        "medicationCodeableConcept": _concept(code),
        "subject": _subject(row),
        "dateAsserted": clock.written(row["time"]),
    }
    if (dosage := _dosage(details_of(row["text_value"]))) is not None:
        made["dosage"] = [dosage]
    return made


def _dosage(told: Mapping[str, str]) -> Json | None:
    made: Json = {}
    if "route" in told:
        made["route"] = {"text": told["route"]}
    if "as_needed" in told:
        made["asNeededBoolean"] = True
    if (dose := _amount(told.get("dose"))) is not None:
        made["doseAndRate"] = [{"doseQuantity": dose}]
    repeat: Json = {}
    if (times := _amount(told.get("frequency"))) is not None:
        often = float(times["value"])
        whole = often >= 1 and often == int(often)
        repeat = {
            "frequency": int(often) if whole else 1,
            "period": 1 if whole else round(1 / often, 2),
            "periodUnit": "d",
        }
    if (duration := _amount(told.get("duration"))) is not None:
        repeat["boundsDuration"] = duration
    if repeat:
        made["timing"] = {"repeat": repeat}
    return ({"text": ", ".join(f"{name} {value}" for name, value in told.items())} | made) if made else None


def _amount(text: str | None) -> Json | None:
    number, _, unit = (text or "").partition(" ")
    try:
        return quantity(float(number), unit or None)
    except ValueError:
        return None


def _observation(row: Row, clock: Clock) -> Json:
    _, code = _split(row)
    made = _begun("Observation", row) | {
        "status": "preliminary",
        "code": _concept(code),
        "subject": _subject(row),
        "effectiveDateTime": clock.written(row["time"]),
    }
    said = row["text_value"]
    if row["numeric_value"] is not None:
        bound = (said or "").rstrip("0123456789.+-e") if said else None
        made["valueQuantity"] = quantity(
            row["numeric_value"], row["unit"], bound if bound in _COMPARATORS else None
        )
    elif said is not None:
        made["valueString"] = said
    return made


def _procedure(row: Row, clock: Clock) -> Json:
    prefix, code = _split(row)
    made = _begun("Procedure", row) | {
        "status": {"NOT": "not-done", "PLANNED": "preparation", "POSSIBLE": "unknown"}.get(
            prefix or "", "completed"
        ),
        "code": _concept(code),
        "subject": _subject(row),
    }
    if (done := _onset(row)) is not None:
        made["performedDateTime"] = done
    elif prefix is None:
        made["performedDateTime"] = clock.written(row["time"])
    return made


def _onset(row: Row) -> str | None:
    """Give the date from which on it is, or on which it was done, where the note tells it."""
    told = details_of(row["text_value"]).get("onset")
    return None if told is None else began(told, row["time"].date())


def _allergy(row: Row, clock: Clock) -> Json:
    prefix, code = _split(row)
    refuted = prefix == "NOT"
    made = _begun("AllergyIntolerance", row) | {
        "clinicalStatus": _status("allergyintolerance-clinical", "inactive" if refuted else "active"),
        "verificationStatus": _status(
            "allergyintolerance-verification", "refuted" if refuted else "unconfirmed"
        ),
        "code": _concept(code),
        "patient": _subject(row),
        "recordedDate": clock.written(row["time"]),
    }
    if reaction := details_of(row["text_value"]).get("reaction"):
        made["reaction"] = [{"manifestation": [_concept(reaction)]}]
    return made


def _family(row: Row, clock: Clock) -> Json:
    _, code = _split(row)
    relation = details_of(row["text_value"]).get("relation", "")
    relative, display = _RELATIVES.get(relation, ("FAMMEMB", "family member"))
    return _begun("FamilyMemberHistory", row) | {
        "status": "partial",
        "patient": _subject(row),
        "date": clock.written(row["time"]),
        "relationship": {"coding": [coding(HL7 + "v3-RoleCode", relative, display)]},
        "condition": [{"code": _concept(code)}],
    }


def _begun(kind: str, row: Row) -> Json:
    made: Json = {
        "resourceType": kind,
        "id": _id(row["subject_id"], row["time"], row["code"], row["derived_from"], row["span"]),
        "extension": [extension("span", valueString=row["span"])],
    }
    if row["confidence"] is not None:
        made["extension"].append(extension("confidence", valueDecimal=round(float(row["confidence"]), 4)))
    return made


def _split(row: Row) -> tuple[str | None, str]:
    prefix, system, value = systems.split(row["code"])
    return prefix, f"{system}//{value}" if value else system


def _concept(code: str) -> Json:
    name = name_of(code)
    return concept(code, {} if name is None else {code: name})


def _status(system: str, code: str) -> Json:
    return {"coding": [coding(HL7 + system, code)]}


def _subject(row: Row) -> Json:
    return {"reference": f"Patient/{row['subject_id']}"}


def _id(*what: object) -> str:
    return digest([str(one) for one in what])[:32]


_VERIFIED: Final = {"NOT": "refuted", "POSSIBLE": "unconfirmed"}
_COMPARATORS: Final = frozenset(("<", "<=", ">", ">="))
_RELATIVES: Final = {
    "mother": ("MTH", "mother"),
    "father": ("FTH", "father"),
    "brother": ("BRO", "brother"),
    "sister": ("SIS", "sister"),
    "sibling": ("SIB", "sibling"),
    "grandmother": ("GRMTH", "grandmother"),
    "grandfather": ("GRFTH", "grandfather"),
    "aunt": ("AUNT", "aunt"),
    "uncle": ("UNCLE", "uncle"),
    "son": ("SONC", "son"),
    "daughter": ("DAUC", "daughter"),
    "cousin": ("COUSN", "cousin"),
    "parents": ("PRN", "parent"),
}
_MAKERS: Final[Mapping[str, Callable[[Row, Clock], Json]]] = {
    "condition": _condition,
    "statement": _medication,
    "procedure": _procedure,
    "allergy": _allergy,
}
"""How the facts of each role are told; of all others as an Observation."""
