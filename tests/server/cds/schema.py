"""The answers of CDS Hooks 2.0 as JSON Schema: what is required, what may stand there, and nothing else."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string", "minLength": 1}
UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
URL = {"type": "string", "pattern": "^https?://[^ ]+$"}


def exactly(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def several(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1}


CODING = exactly({"code": TEXT}, {"system": TEXT, "display": TEXT})
REASON = exactly({"code": TEXT, "display": TEXT}, {"system": TEXT})
ACTION = {
    **exactly(
        {"type": {"enum": ["create", "update", "delete"]}, "description": TEXT},
        {"resource": {"type": "object"}, "resourceId": TEXT},
    ),
    "if": {"properties": {"type": {"enum": ["create", "update"]}}},
    "then": {"required": ["resource"]},
}
LINK = exactly({"label": TEXT, "url": URL, "type": {"enum": ["absolute", "smart"]}}, {"appContext": TEXT})
SUGGESTION = exactly(
    {"label": TEXT}, {"uuid": UUID, "isRecommended": {"type": "boolean"}, "actions": several(ACTION)}
)
CARD = {
    **exactly(
        {
            "summary": {"type": "string", "minLength": 1, "maxLength": 139},
            "indicator": {"enum": ["info", "warning", "critical"]},
            "source": exactly({"label": TEXT}, {"url": URL, "icon": URL, "topic": CODING}),
        },
        {
            "uuid": UUID,
            "detail": TEXT,
            "suggestions": several(SUGGESTION),
            "selectionBehavior": {"enum": ["at-most-one", "any"]},
            "overrideReasons": several(REASON),
            "links": several(LINK),
        },
    ),
    "dependentRequired": {"suggestions": ["selectionBehavior"]},
}
ANSWER = exactly({"cards": {"type": "array", "items": CARD}}, {"systemActions": several(ACTION)})
"""What a service answers (section "CDS Service Response")."""

SERVICE = exactly(
    {"hook": TEXT, "description": TEXT, "id": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}},
    {
        "title": TEXT,
        "usageRequirements": TEXT,
        "prefetch": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "string",
                "pattern": r"^[A-Z][A-Za-z]+(/|\?patient=)\{\{context\.patientId\}\}(&[^ ]+)?$",
            },
        },
    },
)
DISCOVERY = exactly({"services": {"type": "array", "items": SERVICE}})
"""What discovery answers (section "Discovery")."""
