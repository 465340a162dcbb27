"""DiagnosticReport and DocumentReference: the texts people wrote, as notes."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from medloom.record.importers.fhir import problems
from medloom.record.importers.fhir.reading import Json, Reading
from medloom.record.notes.html import plain_text

_PLAIN: Final = frozenset(("text/plain", "text/markdown"))
_HTML: Final = frozenset(("text/html", "application/xhtml+xml"))


def diagnostic_report(resource: Json, reading: Reading) -> None:
    """Read a report's own words: its attached text, else its conclusion, else its narrative.

    A report that only lists results says nothing that its Observations do not. It is
    known from `issued`, or when the period it covers is over.
    """
    if resource.get("status") == "cancelled":
        reading.notes[problems.CANCELLED] += 1
        return
    text, problem = _attached(resource.get("presentedForm") or ())
    if conclusion := resource.get("conclusion"):
        text = f"{text}\n\n{conclusion}" if text and conclusion not in text else text or conclusion
    if text is None and problem is None and not resource.get("result"):
        text = plain_text((resource.get("text") or {}).get("div") or "") or None
    if text is None and problem is None:
        return
    issued = known = resource.get("issued")
    time = resource.get("effectiveDateTime")
    if time is None and (period := resource.get("effectivePeriod")):
        time = period.get("start") or period.get("end")
        known = issued or period.get("end")
    code = reading.codes.concept(resource.get("code"))
    reading.facts.append((time or issued, code, None, text, None, known, "note", problem))


def document_reference(resource: Json, reading: Reading) -> None:
    """Read a document that carries its text; `content` repeats one document in several formats."""
    context = resource.get("context") or {}
    encounters = context.get("encounter")
    if encounters:
        reading.encounter_of(encounters[0])
    if resource.get("docStatus") == "entered-in-error":
        reading.retracted = True
    text, problem = _attached([content.get("attachment") or {} for content in resource.get("content") or ()])
    if text is None and problem is None and not reading.retracted:
        reading.notes[problems.NO_TEXT] += 1
        return
    written = resource.get("date")
    period = context.get("period") or {}
    time = written or period.get("end") or period.get("start")
    code = reading.codes.concept(resource.get("type")) or "TEXT//document"
    reading.facts.append((time, code, None, text, None, written, "note", problem))


def _attached(attachments: Any) -> tuple[str | None, str | None]:
    """Give the first readable text of the attachments, plain before HTML; or what is wrong with it."""
    found: list[tuple[bool, str | None]] = []
    for attachment in attachments:
        kind, _, parameters = (attachment.get("contentType") or "").lower().partition(";")
        data = attachment.get("data")
        marked = kind.strip() in _HTML
        if data and (marked or kind.strip() in _PLAIN):
            text = _decoded(data, parameters)
            found.append((marked, plain_text(text) if marked and text is not None else text))
    if not found:
        return None, None
    readable = sorted(
        ((marked, text) for marked, text in found if text is not None), key=lambda pair: pair[0]
    )
    return (readable[0][1] or None, None) if readable else (None, problems.UNREADABLE_TEXT)


def _decoded(data: str, parameters: str) -> str | None:
    _, _, charset = parameters.partition("charset=")
    try:
        return base64.b64decode(data, validate=False).decode(charset.strip(' "') or "utf-8-sig")
    except (binascii.Error, LookupError, UnicodeDecodeError):
        return None
