"""What the audit log tells of, in words."""

from __future__ import annotations

import json
from typing import Any, Final

from medloom.foundation.messages import Text2, here, text2, tr
from medloom.loop.reviews import reason_name
from medloom.server.access import ROLES, role_name

_SHOWN: Final = 10  # pseudonyms of a list


def action_name(action: str) -> Text2:
    """Name an action; one that is not known here stays as it is."""
    names = {
        "access.refused": text2("tried what the role does not permit"),
        "account.changed": text2("account changed"),
        "account.created": text2("account made"),
        "account.password": text2("password set"),
        "account.unlocked": text2("account unlocked"),
        "advice.accepted": text2("advice accepted"),
        "advice.given": text2("advice given"),
        "advice.overridden": text2("advice overridden"),
        "advice.reproduced": text2("advice made again"),
        "advice.seen": text2("advice seen"),
        "ask-notes.asked": text2("models read notes: asked for"),
        "ask-notes.cancelled": text2("models read notes: cancelled"),
        "ask-notes.done": text2("models read notes: done"),
        "ask-notes.failed": text2("models read notes: failed"),
        "audit.exported": text2("audit log exported"),
        "audit.seen": text2("audit log seen"),
        "audit.verified": text2("audit log verified"),
        "card.seen": text2("model card seen"),
        "care-team.set": text2("care team set"),
        "case.read": text2("case read"),
        "case.result_seen": text2("result of a case seen"),
        "case.seen": text2("case seen"),
        "case.skipped": text2("case skipped"),
        "cases.drawn": text2("cases drawn"),
        "cds.called": text2("asked by CDS Hooks"),
        "cds.refused": text2("CDS Hooks refused"),
        "compact.asked": text2("live facts into the record: asked for"),
        "compact.cancelled": text2("live facts into the record: cancelled"),
        "compact.done": text2("live facts into the record: done"),
        "compact.failed": text2("live facts into the record: failed"),
        "evaluate.asked": text2("evaluation: asked for"),
        "evaluate.cancelled": text2("evaluation: cancelled"),
        "evaluate.done": text2("evaluation: done"),
        "evaluate.failed": text2("evaluation: failed"),
        "events.sent": text2("facts sent"),
        "events.written": text2("facts written"),
        "fhir.read": text2("read by FHIR"),
        "fhir.searched": text2("searched by FHIR"),
        "glass.broken": text2("opened a patient of others"),
        "identifiers.seen": text2("identifiers seen"),
        "image.accepted": text2("outline accepted by an expert"),
        "image.labelled": text2("image answered by an expert"),
        "image.exported": text2("what a model said of an image exported"),
        "image.outlined": text2("image outlined by an expert"),
        "image.read": text2("image read"),
        "image.seen": text2("image seen"),
        "note.accepted": text2("fact of a note accepted"),
        "note.added": text2("fact of a note added"),
        "note.asked": text2("model asked about a note"),
        "note.corrected": text2("fact of a note corrected"),
        "note.read_through": text2("note read to its end"),
        "note.rejected": text2("fact of a note rejected"),
        "note.seen": text2("note seen"),
        "note.unblinded": text2("what others said of a note seen"),
        "notes.seen": text2("list of notes seen"),
        "images.seen": text2("list of images seen"),
        "import.asked": text2("import: asked for"),
        "import.cancelled": text2("import: cancelled"),
        "import.done": text2("import: done"),
        "import.failed": text2("import: failed"),
        "job.cancelled": text2("work cancelled"),
        "labels.exported": text2("labels exported"),
        "model.asked": text2("model asked"),
        "patient.refused": text2("patient refused"),
        "patient.seen": text2("patient seen"),
        "patient.sought": text2("patient searched for"),
        "patients.listed": text2("patients listed"),
        "quality.asked": text2("quality report: asked for"),
        "quality.cancelled": text2("quality report: cancelled"),
        "quality.done": text2("quality report: done"),
        "quality.failed": text2("quality report: failed"),
        "quality.seen": text2("quality report seen"),
        "release.proposed": text2("model proposed"),
        "release.refused": text2("model refused"),
        "release.retired": text2("model retired"),
        "release.rolled_back": text2("model rolled back"),
        "release.signed": text2("model signed"),
        "report.seen": text2("evidence report seen"),
        "sign-in": text2("sign-in"),
        "sign-out": text2("sign-out"),
        "similar.seen": text2("similar patients seen"),
        "timeline.seen": text2("timeline seen"),
        "token.created": text2("token made"),
        "token.revoked": text2("token revoked"),
        "worklist.exported": text2("worklist exported"),
        "worklist.seen": text2("worklist seen"),
    }
    return names.get(action, Text2(action, action))


def reason_in_words(action: str, reason: str) -> str:
    """Say why: the words of a coded reason of an override, else what the actor wrote."""
    return here(reason_name(reason)) if action == "advice.overridden" else reason


def detail_in_words(detail: str) -> list[str]:
    """Say what else is known of an entry, in the reader's language: a line each.

    Args:
        detail: a JSON object, as the log keeps it.
    """
    known: dict[str, Any] = json.loads(detail or "{}")
    names = _names()
    return [
        tr("{name}: {value}", name=here(names.get(name, Text2(name, name))), value=_said(name, value))
        for name, value in known.items()
        if value not in (None, "", [])
    ]


def _said(name: str, value: object) -> str:
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if isinstance(value, list):
        shown = tr(", ").join(str(one) for one in value[:_SHOWN])
        more = len(value) - _SHOWN
        return tr("{shown} and {n:,} more", shown=shown, n=more) if more > 0 else shown
    if name == "role" and value in ROLES:
        return here(role_name(str(value)))
    words = _values().get((name, str(value)))
    return str(value) if words is None else here(words)


def _names() -> dict[str, Text2]:
    return {
        "absorbed": text2("merged into it"),
        "cards": text2("cards"),
        "cases": text2("cases"),
        "disabled": text2("disabled"),
        "display": text2("shown as"),
        "duplicates": text2("duplicates"),
        "facts": text2("facts"),
        "hook_instance": text2("call"),
        "identifiers": text2("identifiers seen"),
        "labels": text2("labels"),
        "language": text2("language"),
        "patients": text2("patients"),
        "rejected": text2("rejected"),
        "review": text2("review"),
        "role": text2("role"),
        "same": text2("the same answer"),
        "scopes": text2("permissions"),
        "seed": text2("seed"),
        "sees_all": text2("sees all patients"),
        "source": text2("data"),
        "stage": text2("reading"),
        "state": text2("state"),
        "supersedes": text2("replaces review"),
        "supposed": text2("inputs supposed"),
        "to": text2("to"),
        "user": text2("user"),
        "via": text2("by way of"),
        "written": text2("written"),
    }


def _values() -> dict[tuple[str, str], Text2]:
    return {
        ("language", "en"): Text2("English", "English"),
        ("language", "zh"): Text2("简体中文", "简体中文"),
        ("source", "record"): text2("from the record"),
        ("source", "sent"): text2("sent with the call"),
        ("stage", "adjudication"): text2("third reader"),
        ("stage", "first"): text2("first reader"),
        ("stage", "second"): text2("second reader"),
        ("state", "adjudicate"): text2("waiting for the third reader"),
        ("state", "agreed"): text2("agreed"),
        ("state", "decided"): text2("decided"),
        ("state", "second"): text2("waiting for the second reader"),
        ("via", "api"): Text2("API", "API"),
        ("via", "cds-hooks"): Text2("CDS Hooks", "CDS Hooks"),
        ("via", "fhir"): Text2("FHIR", "FHIR"),
        ("via", "workbench"): text2("the workbench"),
    }
