"""A released model as a Device: software whose version is the digest of its package."""

from __future__ import annotations

from collections.abc import Iterable

from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.loop.releases import Release
from medloom.server.fhir.terms import OWN, Json, extension

_LONGEST_ID = 64


def device_id(model: str) -> str:
    """Name a model as FHIR takes it: letters, digits, dots and hyphens.

    >>> device_id("aki-48h.gbdt@3")
    'aki-48h.gbdt-v3'
    """
    name = model.replace("@", "-v")
    legal = len(name) <= _LONGEST_ID and all(c.isascii() and (c.isalnum() or c in "-.") for c in name)
    return name if legal else digest(model)[:32]


def device(releases: Iterable[Release]) -> Json:
    """Give a model by all its releases, the newest first: one that was taken back and signed again is one Device."""
    listed = list(releases)
    newest = listed[0]
    active = any(one.state == "active" for one in listed)
    made: Json = {
        "resourceType": "Device",
        "id": device_id(newest.model),
        "meta": {"lastUpdated": max(one.ended or one.signed or one.proposed for one in listed)},
    }
    thresholds = [one.threshold for one in listed if one.state == "active" and one.threshold is not None]
    if thresholds:
        made["extension"] = [extension("alert-threshold", valueDecimal=thresholds[0])]
    return made | {
        "identifier": [{"system": f"{OWN}model", "value": newest.model}],
        "status": "active" if active else "inactive",
        "deviceName": [{"name": newest.model, "type": "model-name"}],
        "type": {"text": tr("statistical model for decision support")},
        "version": [
            {"type": {"text": "SHA-256"}, "value": value}
            for value in dict.fromkeys(one.package for one in listed)
        ],
    }


def by_model(releases: Iterable[Release]) -> dict[str, list[Release]]:
    """Sort releases by the Device they are, leaving out what was never signed."""
    found: dict[str, list[Release]] = {}
    for one in releases:
        if one.state in ("active", "retired"):
            found.setdefault(device_id(one.model), []).append(one)
    return found
