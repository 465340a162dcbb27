"""Relations between what a note names, as the record has them."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from medloom.learners.text.facts.mentions import parts_of, words_at
from medloom.server.notes import NOT, REJECTED, Notebook, PatientNote, is_in, judged
from medloom.tasks.relations import BETWEEN


@dataclass(frozen=True)
class NoteRelation:
    """That two things in a note stand in a relation, as somebody says.

    Attributes:
        code: of the relation, with its prefix.
        head, tail: where they stand; `head_words`, `tail_words`: the words there.
        model: who says it; None: a person.
        confidence: of the model.
    """

    code: str
    head: str
    tail: str
    head_words: str = field(repr=False)
    tail_words: str = field(repr=False)
    model: str | None
    confidence: float | None


def relations_of(book: Notebook, note: PatientNote) -> list[NoteRelation]:
    """List the relations that the record has of a note, in the order of their first words; of people the last word."""
    last: dict[tuple[str, str], NoteRelation] = {}
    rows = book.related.filter(pl.col("derived_from") == note.source)
    for code, span, model, sure in rows.select("code", "span", "model", "confidence").iter_rows():
        head, _, tail = span.partition(BETWEEN)
        if not (is_in(note, head) and is_in(note, tail)):
            continue
        first, second = (words_at(note.text, parts_of(one)) for one in (head, tail))
        key = judged(code), span
        known = last.get(key)
        if known is None or model is None or known.model is not None:
            last[key] = NoteRelation(code, head, tail, first, second, model, sure)
    standing = [
        one for one in last.values() if one.model is not None or not one.code.startswith((NOT, REJECTED))
    ]
    return sorted(standing, key=lambda one: (parts_of(one.head), parts_of(one.tail), one.code))
