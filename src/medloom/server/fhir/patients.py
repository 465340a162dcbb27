"""Patient and Encounter: who it is about, and when they were in care."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from medloom.foundation.clock import Precision
from medloom.knowledge.fhir_terms import HL7, OWN, Json, coding
from medloom.server.fhir.chart import Chart, Stay

_GENDERS: Final = {"M": "male", "F": "female", "other": "other", "unknown": "unknown"}
_AGED: Final = 90  # years from which a year of birth may tell who somebody is
_CLASSES: Final = {
    "inpatient": ("IMP", "inpatient encounter"),
    "emergency": ("EMER", "emergency"),
    "outpatient": ("AMB", "ambulatory"),
    "home": ("HH", "home health"),
    "virtual": ("VR", "virtual"),
}


def patient(chart: Chart) -> Json:
    """Tell who the patient is; names are nowhere in the record.

    Who may not see identifiers sees the year of birth, unless somebody is or becomes 90 this year, and of a death only
    that it was; the resource is marked pseudonymised.
    """
    made: Json = {"resourceType": "Patient", "id": str(chart.subject_id), "meta": {}}
    if (changed := chart.seen_since()) is not None and changed > datetime.min:
        made["meta"]["lastUpdated"] = chart.clock.written(changed)
    open_to_reader = chart.identifiers is not None
    if chart.identifiers is not None:
        named = [_identifier(system, value) for system, value in chart.identifiers]
        if named:
            made["identifier"] = named
    else:
        made["meta"]["security"] = [coding(HL7 + "v3-ObservationValue", "PSEUDED", "pseudonymized")]
    if gender := chart.static("GENDER"):
        made["gender"] = _GENDERS.get(gender.partition("//")[2], "unknown")
    if (born := chart.born()) is not None:
        time, precision = born
        if open_to_reader:
            made["birthDate"] = _date(time, precision)
        elif chart.now.year - time.year < _AGED:
            made["birthDate"] = f"{time.year:04d}"
    if (died := chart.died()) is not None:
        if open_to_reader:
            made["deceasedDateTime"] = chart.clock.written(*died)
        else:
            made["deceasedBoolean"] = True
    if not made["meta"]:
        del made["meta"]
    return made


def encounter(stay: Stay, chart: Chart) -> Json:
    """Tell of one stay or visit; intensive care has no class in HL7's v3 ActCode, so it has one of ours."""
    code, display = _CLASSES.get(stay.kind, (None, None))
    period: Json = {"start": chart.clock.written(stay.start, stay.start_precision)}
    if stay.end is not None:
        period["end"] = chart.clock.written(stay.end, stay.end_precision)
    made: Json = {
        "resourceType": "Encounter",
        "id": stay.id,
        "meta": {"lastUpdated": chart.clock.written(stay.visible)},
        "status": stay.status,
        "class": (
            coding(HL7 + "v3-ActCode", code, display) if code else coding(f"{OWN}encounter-class", stay.kind)
        ),
        "subject": {"reference": f"Patient/{chart.subject_id}"},
        "period": period,
    }
    if stay.discharge:
        value = stay.discharge.partition("//")[2]
        display = chart.descriptions.get(stay.discharge)
        disposition = {"code": value} | ({"display": display} if display else {})
        made["hospitalization"] = {"dischargeDisposition": {"coding": [disposition]}}
    return made


def _identifier(system: str, value: str) -> Json:
    if not system:
        return {"use": "usual", "value": value}
    is_uri = ":" in system and " " not in system
    return {"use": "usual", "system": system if is_uri else f"{OWN}identifiers:{system}", "value": value}


def _date(time: datetime, precision: Precision | Any) -> str:
    length = {"year": 4, "month": 7}.get(precision, 10)
    return time.date().isoformat()[:length]
