"""What released models name in a note, when somebody asks: each place waits until a person accepts or rejects it."""

from __future__ import annotations

from typing import Any, Final

from medloom.care.notes.tagging import answer_of, code_of, places_in
from medloom.foundation.errors import InputError
from medloom.knowledge import systems
from medloom.loop import note_readings
from medloom.loop.serving import Served
from medloom.server.backend import Backend
from medloom.server.note_kinds import kind_of, role_of
from medloom.server.notes import Notebook, PatientNote, said_of
from medloom.tasks.tagging import Tagged
from medloom.tasks.task import Task
from medloom.tasks.task_codes import matching

SUGGESTED: Final = "suggested"
"""Why a place waits that a released model names."""


def asked_about(backend: Backend, note: PatientNote) -> list[Served]:
    """List the released models that name places in notes of this kind, by task."""
    catalogue = backend.site.record.catalogue
    return [
        one
        for one in backend.serving.taggers
        if note.code in matching(catalogue, one.asker.task.prediction_time.event)
    ]


def ask(backend: Backend, book: Notebook, note: PatientNote, model: str) -> int:
    """Let a model name places in a note; gives how many it names that nobody has decided about.

    Raises:
        InputError: no such model is released, or it does not answer about this note.
    """
    served = next((one for one in asked_about(backend, note) if str(one.name) == model), None)
    if served is None:
        raise InputError("no released model {model!r} answers about this note", model=model)
    (tagged,) = places_in(served, [note.text])
    note_readings.keep_answers(backend.database, model, [answer_of(note.subject_id, note.source, tagged)])
    said = said_of(backend, None, book, note)
    decided = {one.span for one in said.entities if one.model is None} | {one.span for one in said.rejected}
    rows = [_row(note, served.asker.task, one) for one in tagged if one.span.place not in decided]
    standing = {(one.code, one.span) for one in said.entities if one.doubtful is None}
    rows = [row for row in rows if (row["code"], row["span"]) not in standing]
    with backend.site.record.doubtful() as queue:
        queue.put(note.subject_id, note.source, model, rows)
    return len(rows)


def _row(note: PatientNote, task: Task, one: Tagged) -> dict[str, Any]:
    code = code_of(task, one.span, one.span.words(note.text))
    patterns = (task.predict.spans or {}).get(one.span.name, ())
    system = systems.split(patterns[0])[1] if patterns else ""
    return {
        "time": note.time,
        "known_time": note.visible,
        "code": code,
        "role": role_of(kind_of(code or f"{system}//", None, has_value=False)),
        "derived_from": note.source,
        "span": one.span.place,
        "confidence": one.confidence,
        "label": one.span.name,
        "reasons": [SUGGESTED] if code is not None else [SUGGESTED, "no code"],
    }
