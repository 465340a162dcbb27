"""Entries of the audit log as AuditEvent (R4 § 6.4; DICOM PS3.15 Annex A.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from medloom.knowledge.fhir_terms import HL7, OWN, Json, coding, extension

_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_OUTCOMES: Final = {"done": "0", "refused": "4", "failed": "8"}
# The last word of an action says what was done; what is not listed was executed.
_VERBS: Final = {
    "R": "seen read refused called searched skipped",
    "C": "created added given drawn proposed imported written sent",
    "U": "changed accepted overridden signed retired rolled-back password merged",
    "D": "removed revoked erased",
}
_ACTIONS: Final = {word: code for code, words in _VERBS.items() for word in words.split()}


def audit_event(row: Mapping[str, Any], site: str) -> Json:
    """Give an entry, a row of the table `audit`, as an AuditEvent; `site` names who noted it."""
    subject, action = row["subject_id"], row["action"]
    kind = ("110110", "Patient Record") if subject is not None else ("110100", "Application Activity")
    if action in ("sign-in", "sign-out"):
        kind = ("110114", "User Authentication")
    made: Json = {
        "resourceType": "AuditEvent",
        "id": str(row["number"]),
        "meta": {"lastUpdated": row["time"]},
        "extension": [extension("seal", valueString=row["digest"])],
        "type": coding(_DICOM, *kind),
        "subtype": [coding(f"{OWN}action", action)],
        "action": _ACTIONS.get(action.rpartition(".")[2], "E"),
        "recorded": row["time"],
        "outcome": _OUTCOMES[row["outcome"]],
        "agent": [
            {
                "role": [{"coding": [coding(f"{OWN}role", row["role"])]}],
                "who": {"identifier": {"system": f"{OWN}account", "value": row["actor"]}},
                "name": row["actor"],
                "requestor": True,
            }
        ],
        "source": {
            "observer": {"display": site},
            "type": [coding(HL7 + "security-source-type", "4", "Application Server")],
        },
    }
    if row["reason"]:
        made["purposeOfEvent"] = [{"text": row["reason"]}]
    entities = []
    if subject is not None:
        entities.append(
            {
                "what": {"reference": f"Patient/{subject}"},
                "type": coding(HL7 + "audit-entity-type", "1", "Person"),
                "role": coding(HL7 + "object-role", "1", "Patient"),
            }
        )
    if row["target"] or row["detail"] not in ("", "{}"):
        target: Json = {"type": coding(HL7 + "audit-entity-type", "2", "System Object")}
        if row["target"]:
            target["name"] = row["target"]
        detail = json.loads(row["detail"] or "{}")
        if detail:
            target["detail"] = [
                {
                    "type": name,
                    "valueString": value if isinstance(value, str) and value else json.dumps(value),
                }
                for name, value in detail.items()
            ]
        entities.append(target)
    return made | ({"entity": entities} if entities else {})
