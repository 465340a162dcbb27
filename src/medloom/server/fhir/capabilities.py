"""What this interface can do: CapabilityStatement and the definition of `$evaluate-risk`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from medloom.foundation.messages import tr
from medloom.knowledge.fhir_terms import Json
from medloom.server.fhir.finding import parameters
from medloom.server.fhir.kinds import KINDS
from medloom.server.fhir.stored import ADVICE_PARAMETERS, AUDIT_PARAMETERS, PROVENANCE_PARAMETERS

_DATE: Final = "2026-11-22"  # when what it says last changed
PATIENT_PARAMETERS: Final = frozenset({"_id", "identifier"})
DEVICE_PARAMETERS: Final = frozenset({"_id", "device-name", "status"})
_TYPES: Final = {
    "date": "date onset-date recorded-date authoredon authored effective-time effective whenhandedover onset recorded"
    " _lastUpdated",
    "reference": "patient subject encounter context target performer",
    "string": "agent-name device-name",
}
_KINDS_OF: Final = {name: kind for kind, names in _TYPES.items() for name in names.split()}


def capability_statement(base: str) -> Json:
    """Say what can be read, searched and asked at `base`."""
    record = {kind: parameters(kind) - {"_sort"} for kind in ["Encounter", *KINDS]}
    searched = {
        "Patient": PATIENT_PARAMETERS,
        **record,
        "RiskAssessment": ADVICE_PARAMETERS,
        "Provenance": PROVENANCE_PARAMETERS,
        "Device": DEVICE_PARAMETERS,
        "AuditEvent": AUDIT_PARAMETERS,
    }
    resources = [_resource(kind, names) for kind, names in searched.items()]
    resources[0]["operation"] = [
        {"name": "evaluate-risk", "definition": f"{base}/OperationDefinition/evaluate-risk"}
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Medloom", "version": version("medloom")},
        "implementation": {
            "description": tr("Medloom: a hospital's record, and advice of its released models"),
            "url": base,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": tr(
                    "Resources are made from the record as it is known now. A search names its patient, but for"
                    " Patient, Device and AuditEvent. What the record does not keep, such as whether a result is"
                    " final, has status unknown."
                ),
                "security": {
                    "cors": False,
                    "service": [{"text": tr("token of an account, as Authorization: Bearer")}],
                    "description": tr(
                        "Only patients of one's care team; every reading is noted in the audit log."
                    ),
                },
                "resource": resources,
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def evaluate_risk(base: str) -> Json:
    """Define the operation."""
    return {
        "resourceType": "OperationDefinition",
        "id": "evaluate-risk",
        "url": f"{base}/OperationDefinition/evaluate-risk",
        "name": "EvaluateRisk",
        "title": tr("Ask a released model about a patient"),
        "status": "active",
        "kind": "operation",
        "date": _DATE,
        "affectsState": True,
        "code": "evaluate-risk",
        "resource": ["Patient"],
        "system": False,
        "type": False,
        "instance": True,
        "parameter": [
            _parameter(
                "model",
                "in",
                0,
                "string",
                tr("TASK.LEARNER@N, or its task; without it, every model that asks now"),
            ),
            _parameter(
                "at", "in", 0, "dateTime", tr("moment to ask about; without it, the latest of the task")
            ),
            _parameter("explain", "in", 0, "boolean", tr("whether to say why; true unless told otherwise")),
            _parameter(
                "assessment",
                "out",
                0,
                "RiskAssessment",
                tr("the answer; it is stored, and can be read again"),
            ),
            _parameter("provenance", "out", 0, "Provenance", tr("how the answer came about")),
        ],
    }


def _resource(kind: str, names: Iterable[str]) -> Json:
    return {
        "type": kind,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "searchParam": [{"name": name, "type": _KINDS_OF.get(name, "token")} for name in sorted(names)],
    }


def _parameter(name: str, use: str, least: int, kind: str, words: str) -> Json:
    most = "1" if use == "in" else "*"
    return {"name": name, "use": use, "min": least, "max": most, "documentation": words, "type": kind}
