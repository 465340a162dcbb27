"""What released models name in notes: of one, or of all, so that people read first what a model is unsure of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from medloom.care.notes.facts import is_note, source_of
from medloom.database.engine import Database
from medloom.foundation.progress import track
from medloom.knowledge import systems, vocabularies
from medloom.learners.text.facts.dictionary import dictionary
from medloom.loop import note_readings
from medloom.loop.note_readings import NoteAnswer
from medloom.loop.serving import Served, Serving
from medloom.places import tagging_by
from medloom.record.record import Record
from medloom.record.schema import visible_time
from medloom.site import Site
from medloom.tasks.spans import Span
from medloom.tasks.tagging import Tagged
from medloom.tasks.task import Task
from medloom.tasks.task_codes import matching


def ask_of_all(site: Site, serving: Serving, database: Database, now: datetime) -> dict[str, int]:
    """Let released models read all notes that they have not read, so that people read first what they are unsure of.

    How many places each names and how sure it is of the least sure one is kept; the places themselves are asked for
    when somebody opens the note.
    """
    counts: dict[str, int] = {}
    for served in serving.taggers:
        model = str(served.name)
        known = {(one.subject_id, one.note) for one in note_readings.answers_of(database, model)}
        codes = sorted(matching(site.record.catalogue, served.asker.task.prediction_time.event))
        counts[model] = 0
        for part in track(list(site.record.parts()), model):
            notes = _unread(site.record, part.tolist(), codes, known, now)
            for some in (notes[at : at + _AT_ONCE] for at in range(0, len(notes), _AT_ONCE)):
                tagged = places_in(served, [text for _, _, text in some])
                found = [
                    answer_of(subject, note, one)
                    for (subject, note, _), one in zip(some, tagged, strict=True)
                ]
                note_readings.keep_answers(database, model, found)
                counts[model] += len(found)
    return counts


def places_in(served: Served, texts: Sequence[str]) -> list[tuple[Tagged, ...]]:
    """Let a released model name places in texts, in the order of each."""
    return tagging_by(served.model).tag(texts)


def answer_of(subject_id: int, note: str, tagged: Sequence[Tagged]) -> NoteAnswer:
    """Tell how sure a model is of a note."""
    return NoteAnswer(subject_id, note, len(tagged), min((one.confidence for one in tagged), default=None))


def code_of(task: Task, span: Span, words: str) -> str | None:
    """Give the code of what a model names: the one its task asks for, else what our dictionary knows of the words.

    Of a pattern in a code system of the site's own, the name itself is the code. None: the words are not known.

    >>> from medloom.tasks.spans import span
    >>> from medloom.tasks.task import Task
    >>> task = Task.model_validate({
    ...     "name": "drugs", "kind": "tagging", "title": {"en": "Drugs", "zh": "药物"},
    ...     "prediction_time": {"event": ["NOTE//*"], "which": "every"},
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


_AT_ONCE: Final = 32  # notes


def _unread(
    record: Record, subjects: Sequence[int], codes: Sequence[str], known: set[tuple[int, str]], now: datetime
) -> list[tuple[int, str, str]]:
    events = pl.DataFrame(record.read(_READ, subjects)).with_columns(
        pl.col("code", "role").cast(pl.String), visible=visible_time()
    )
    notes = events.filter(is_note() & pl.col("code").is_in(codes) & (pl.col("visible") <= now))
    found = [(row["subject_id"], source_of(row), row["text_value"]) for row in notes.iter_rows(named=True)]
    return [(subject, note, text) for subject, note, text in found if (subject, note) not in known]


_READ: Final = (
    "subject_id",
    "time",
    "known_time",
    "known_until",
    "code",
    "role",
    "text_value",
    "asset",
    "derived_from",
)
