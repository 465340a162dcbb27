"""A released model as a Device: software whose version is the digest of its package."""

from __future__ import annotations

from collections.abc import Iterable

from medloom.foundation.messages import tr
from medloom.knowledge.fhir_terms import OWN, Json, device_id, extension
from medloom.loop.releases import Release


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
