"""How far those agree who read the same notes to their end, each for themselves."""

from __future__ import annotations

from medloom.care.notes.facts import note_texts
from medloom.database.engine import Database
from medloom.evidence.annotators import MarkedNote, PairAgreement, annotator_agreement
from medloom.evidence.intervals import REPLICATES
from medloom.learners.text.words import words_of
from medloom.loop.note_readings import readings_of
from medloom.record.record import Record
from medloom.tasks.spans import Span, parts_of


def reader_agreement(
    record: Record, database: Database, replicates: int = REPLICATES, seed: int = 0
) -> list[PairAgreement]:
    """Estimate how far each two readers agree, by what each had marked when they first finished a note.

    The name of a place is its code, with what the note says of it: who says *denied* and who says *possible* differ.
    Who had seen what others said when they finished does not count.
    """
    alone = [one for one in readings_of(database, first=True) if one.blind]
    texts = note_texts(record, sorted({one.subject_id for one in alone}))
    marked: dict[tuple[int, str], dict[str, list[Span]]] = {}
    for one in alone:
        spans = [Span(parts_of(place), code) for place, code in one.places]
        marked.setdefault((one.subject_id, one.note), {})[one.reviewer] = spans
    notes = [
        MarkedNote(key[0], [(int(a), int(b)) for a, b in words_of(texts[key])], by)
        for key, by in marked.items()
        if len(by) > 1 and key in texts
    ]
    return annotator_agreement(notes, replicates, seed)
