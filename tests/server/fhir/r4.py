"""Checks resources against FHIR R4 (4.0.1): the generated models of fhirclient, and required value sets by hand."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from fhirclient.models.fhirabstractbase import FHIRValidationError

# Codes of the required bindings (hl7.org/fhir/R4) of elements we fill: models check names and types, not these.
REQUIRED = {
    ("Patient", "gender"): "male female other unknown",
    (
        "Encounter",
        "status",
    ): "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown",
    (
        "Observation",
        "status",
    ): "registered preliminary final amended corrected cancelled entered-in-error unknown",
    (
        "DiagnosticReport",
        "status",
    ): "registered partial preliminary final amended corrected appended cancelled entered-in-error unknown",
    (
        "MedicationRequest",
        "status",
    ): "active on-hold cancelled completed entered-in-error stopped draft unknown",
    (
        "MedicationRequest",
        "intent",
    ): "proposal plan order original-order reflex-order filler-order instance-order option",
    ("ServiceRequest", "status"): "draft active on-hold revoked completed entered-in-error unknown",
    ("ServiceRequest", "intent"): "proposal plan directive order original-order reflex-order filler-order "
    "instance-order option",
    (
        "MedicationAdministration",
        "status",
    ): "in-progress not-done on-hold completed entered-in-error stopped unknown",
    (
        "MedicationStatement",
        "status",
    ): "active completed entered-in-error intended stopped on-hold unknown not-taken",
    (
        "MedicationDispense",
        "status",
    ): "preparation in-progress cancelled on-hold completed entered-in-error stopped declined unknown",
    (
        "Procedure",
        "status",
    ): "preparation in-progress not-done on-hold stopped completed entered-in-error unknown",
    ("Immunization", "status"): "completed entered-in-error not-done",
    (
        "RiskAssessment",
        "status",
    ): "registered preliminary final amended corrected cancelled entered-in-error unknown",
    ("AuditEvent", "action"): "C R U D E",
    ("AuditEvent", "outcome"): "0 4 8 12",
    ("Device", "status"): "active inactive entered-in-error unknown",
    (
        "Bundle",
        "type",
    ): "document message transaction transaction-response batch batch-response history searchset collection",
    ("CapabilityStatement", "status"): "draft active retired unknown",
    ("CapabilityStatement", "kind"): "instance capability requirements",
}
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_MOMENT = re.compile(
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?"
)
_MOMENTS = re.compile(r"(DateTime|On|recordedDate|issued|lastUpdated|recorded|birthDate|start|end|date)$")


def check(resource: dict[str, Any]) -> dict[str, Any]:
    """Fail unless the resource is R4; gives it back."""
    kind = resource["resourceType"]
    model = getattr(import_module(f"fhirclient.models.{kind.lower()}"), kind)
    try:
        model(resource, strict=True)
    except FHIRValidationError as error:
        raise AssertionError(f"{kind}: {error}") from None
    _check_codes(resource)
    _check_values(resource)
    if kind == "Observation":  # obs-6
        assert not ("dataAbsentReason" in resource and any(name.startswith("value") for name in resource))
    for entry in resource.get("entry", ()) if kind == "Bundle" else ():
        if "resource" in entry:
            check(entry["resource"])
    return resource


def _check_codes(resource: dict[str, Any]) -> None:
    if "id" in resource:
        assert _ID.fullmatch(resource["id"]), resource["id"]
    for (kind, element), codes in REQUIRED.items():
        if resource["resourceType"] == kind and element in resource:
            assert resource[element] in codes.split(), (kind, element, resource[element])


def _check_values(value: Any, name: str = "") -> None:
    """Refuse what JSON of FHIR never holds (R4 § 2.6.2), and dates that are none."""
    assert value is not None and value != "" and value != [] and value != {}, name
    if isinstance(value, dict):
        for inner, content in value.items():
            _check_values(content, inner)
    elif isinstance(value, list):
        for content in value:
            _check_values(content, name)
    elif isinstance(value, str) and _MOMENTS.search(name):
        assert _MOMENT.fullmatch(value), (name, value)
