"""What released models name in a note, when somebody asks: each place waits until a person accepts or rejects it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from medloom.foundation.errors import InputError
from medloom.knowledge import systems, vocabularies
from medloom.learners.text.facts.dictionary import dictionary
from medloom.loop import note_readings
from medloom.loop.note_readings import NoteAnswer
from medloom.loop.serving import Served
from medloom.server.backend import Backend
from medloom.server.note_kinds import kind_of, role_of
from medloom.server.notes import Notebook, PatientNote, said_of
from medloom.tasks.spans import Span
from medloom.tasks.tagging import Tagged, Tagging
from medloom.tasks.task import Task
from medloom.tasks.task_codes import matching
from medloom.training.wrapping import innermost

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
    rows = [
        _row(note, served.asker.task, one)
        for one in tagged
        if one.span.place not in decided
    ]
    standing = {(one.code, one.span) for one in said.entities if one.doubtful is None}
    rows = [row for row in rows if (row["code"], row["span"]) not in standing]
    with backend.site.record.doubtful() as queue:
        queue.put(note.subject_id, note.source, model, rows)
    return len(rows)


def places_in(served: Served, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
    """Let a released model name places in texts, in the order of each."""
    return cast(Tagging, innermost(served.model)).tag(texts)


def answer_of(subject_id: int, note: str, tagged: Sequence[Tagged]) -> NoteAnswer:
    """Tell how sure a model is of a note."""
    return NoteAnswer(subject_id, note, len(tagged), min((one.confidence for one in tagged), default=None))


def code_of(task: Task, span: Span, words: str) -> str | None:
    """Give the code of what a model names: the one its task asks for, else what our dictionary knows of the words.

    Of a pattern in a code system of the site's own, the name itself is the code. None: the words are not known.

    >>> from medloom.tasks.spans import span
    >>> from medloom.tasks.task import Task
    >>> task = Task.model_validate({
    ...     "name": "drugs", "kind": "tagging", "prediction_time": {"event": ["NOTE//*"], "which": "every"},
    ...     "predict": {"of": "note", "spans": {"drug": ["ATC//*"], "finding": ["FINDING//*"]}}})
    >>> code_of(task, span(0, 9, "drug"), "metformin"), code_of(task, span(0, 9, "finding"), "cold feet")
    ('ATC//A10BA02', 'FINDING//finding')
    """
    patterns = (task.predict.spans or {}).get(span.name, ())
    plain = next((one for one in patterns if not one.endswith("*")), None)
    if plain is not None:
        return plain
    starts = tuple(one.removesuffix("*") for one in patterns)
    known = (term.code.split("|")[0] for term in dictionary().meanings(words))
    found = next((code for code in known if code.startswith(starts)), None)
    if found is not None or not patterns:
        return found
    own = vocabularies.squeezed(systems.split(patterns[0])[1]) not in vocabularies.by_name()
    return f"{starts[0]}{span.name}" if own else None


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
