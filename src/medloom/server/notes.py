"""The notes of one patient: their text, what was taken from each, by whom, and what still waits for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import polars as pl

from medloom.care.notes.facts import is_note, source_of
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.hashing import digest, sha256_bytes
from medloom.knowledge import systems
from medloom.learners.text.facts.mentions import parts_of, words_at
from medloom.loop import note_readings
from medloom.loop.note_readings import Mark
from medloom.record.catalogue import CodeCatalogue
from medloom.record.doubtful import Doubtful
from medloom.record.schema import visible_time
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.note_kinds import EntityKind, kind_of
from medloom.tasks.relations import BETWEEN

NOTE: Final = "NOTE//"
NOT: Final = "NOT//"
REJECTED: Final = f"{systems.REJECTED}//"
READ: Final = "REVIEW//note"
"""Says of a note that a person has read it to its end: what is not named in it is not there."""

_MARK: Final = 16  # characters
_SPAN: Final = r"^\d+:\d+(;\d+:\d+)*$"


@dataclass(frozen=True)
class PatientNote:
    """A note of a patient.

    Attributes:
        subject_id: of whom.
        number: its place among the patient's notes, by time, from 1.
        code: `NOTE//TYPE`.
        time: when it was written; `visible`: when it came to be known.
        source: its file, or the digest of its text: what facts of it are derived from.
        text: of it.
    """

    subject_id: int
    number: int
    code: str
    time: datetime
    visible: datetime
    source: str = field(repr=False)
    text: str = field(repr=False)

    @property
    def address(self) -> str:
        """Give where its page is."""
        return f"/patients/{self.subject_id}/notes/{self.number}"

    @property
    def kind(self) -> str:
        """Name what kind of note it is, as it is coded.

        >>> day = datetime(2020, 1, 1)
        >>> PatientNote(1, 1, "NOTE//Discharge summary", day, day, "", "").kind
        'Discharge summary'
        """
        return " ".join(self.code.removeprefix(NOTE).split("//"))

    @property
    def mark(self) -> str:
        """Give a short word of its content: a form carries it back, so that what is said is said of this note."""
        return sha256_bytes(self.source.encode())[:_MARK]


@dataclass(frozen=True)
class Entity:
    """Something that a note names, as somebody says.

    Attributes:
        code: with its prefix; None: whoever says it knows no code.
        span: where, `12:24`, or `12:24;30:35`.
        words: of the note, there.
        kind: what sort of thing it is.
        model: who says it; None: a person.
        confidence: of the model.
        value, unit, details: what else the fact tells.
        doubtful: its number among the facts that wait for a person; None: it stands in the record.
        reasons: why it waits.
        by: which persons said so, as far as that is known.
        time: of the fact.
        role: of the fact.
        label: how a model that knows no code calls it.
    """

    code: str | None
    span: str
    words: str = field(repr=False)
    kind: EntityKind
    model: str | None = None
    confidence: float | None = None
    value: float | None = None
    unit: str | None = None
    details: str | None = field(default=None, repr=False)
    doubtful: int | None = None
    reasons: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    time: datetime | None = None
    role: str | None = None
    label: str | None = None

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Give its ranges of characters, in order."""
        return parts_of(self.span)

    @property
    def start(self) -> int:
        """Give where it begins."""
        return self.parts[0][0]

    @property
    def end(self) -> int:
        """Give where its last part ends."""
        return self.parts[-1][1]

    @property
    def assertion(self) -> str | None:
        """Give what the note says of it: `NOT POSSIBLE FAMILY HISTORY PLANNED`; None: that it is so."""
        return None if self.code is None else systems.split(self.code)[0]

    @property
    def bare(self) -> str | None:
        """Give its code without a prefix."""
        return None if self.code is None else bare(self.code)

    @property
    def id(self) -> str:
        """Name it on its page: what a form names no longer is there when somebody else has decided."""
        return "e" + digest([self.code, self.span, self.model, self.doubtful])[:12]


@dataclass(frozen=True)
class Said:
    """What stands of a note in a person's eyes.

    Attributes:
        entities: in the order of the text.
        rejected: what people took back, to be put back.
        blind: whether what other people said is hidden.
        alone: whether they read it for themselves: it is hidden, or nobody else has said anything.
        unread: the numbers, among the facts that wait, that say that nothing is taken from the note's language.
    """

    entities: tuple[Entity, ...]
    rejected: tuple[Entity, ...]
    blind: bool
    alone: bool
    unread: tuple[int, ...] = ()

    def entity(self, id: str) -> Entity:
        """Find one by its name on the page.

        Raises:
            InputError: it is not there, or no longer.
        """
        for one in (*self.entities, *self.rejected):
            if one.id == id:
                return one
        raise InputError("somebody has decided about this place meanwhile; nothing was kept")


@dataclass(frozen=True)
class Notebook:
    """The notes of a patient that are known now, and all facts of them."""

    notes: tuple[PatientNote, ...]
    facts: pl.DataFrame = field(repr=False)
    events: pl.DataFrame = field(repr=False)
    related: pl.DataFrame = field(repr=False)

    def note(self, number: int) -> PatientNote:
        """Find a note by its number.

        Raises:
            NotFoundError: there is none.
        """
        for note in self.notes:
            if note.number == number:
                return note
        raise NotFoundError("this patient has no note {number}", number=number)


def notebook_of(backend: Backend, subject_id: int) -> Notebook:
    """Give the notes of a patient that are known now.

    Raises:
        NotFoundError: there is no such patient.
    """
    events = backend.site.record.events([subject_id])
    if not events.height:
        raise NotFoundError("there is no subject {subject}", subject=subject_id)
    return notebook_in(backend, events)


def notebook_in(backend: Backend, events: pl.DataFrame) -> Notebook:
    """Give the notes among one patient's events that are known now."""
    now = backend.now()
    told = events.with_columns(pl.col("code", "role").cast(pl.String), visible=visible_time())
    known = told.filter(pl.col("visible") <= now, (pl.col("known_until") > now).fill_null(value=True))
    notes = known.filter(is_note()).sort("time", "visible", "code")
    made = tuple(
        PatientNote(
            row["subject_id"],
            number,
            row["code"],
            row["time"],
            row["visible"],
            source_of(row),
            row["text_value"],
        )
        for number, row in enumerate(notes.iter_rows(named=True), 1)
    )
    placed = known.filter(
        pl.col("derived_from").is_not_null() & (pl.col("role").fill_null("") != "image")
    ).sort("visible", maintain_order=True)
    facts = placed.filter(pl.col("span").str.contains(_SPAN))
    return Notebook(made, facts, told, placed.filter(pl.col("span").str.contains(BETWEEN, literal=True)))


def said_of(backend: Backend, person: Person | None, book: Notebook, note: PatientNote) -> Said:
    """Tell what stands of a note: of people the last word, of models what nobody has decided yet.

    Who has not read a note to its end that somebody else has, reads it for themselves: what others said is hidden, and
    what models said of it stands as they had found it.
    """
    marks = note_readings.marks_of(backend.database, note.subject_id, note.source)
    with backend.site.record.doubtful() as queue:
        waiting = [one for one in queue.facts("open", note.subject_id) if one.derived_from == note.source]
    login = None if person is None else person.login
    readers = {
        one.reviewer for one in note_readings.readings_of(backend.database, note.subject_id, note.source)
    }
    looked = any(one.deed == "looked" and one.reviewer == login for one in marks)
    blind = bool(readers) and login is not None and login not in readers and not looked
    alone = blind or all(one.reviewer == login for one in marks)
    units = backend.site.record.catalogue.units()
    facts = [
        _entity(note, row, units.get(row["code"]))
        for row in book.facts.filter(pl.col("derived_from") == note.source).iter_rows(named=True)
        if is_in(note, row["span"])
    ]
    by_people = [one for one in facts if one.model is None]
    by_models = [one for one in facts if one.model is not None]
    if blind:
        own = [one for one in marks if one.reviewer == login]
        others = [one for one in marks if one.reviewer != login]
        told = {place for one in others for place in _said_by(one)} - {
            place for one in own for place in _said_by(one)
        }
        by_people = [one for one in by_people if (one.code, one.span) not in told]
        by_models += _as_found(note, others, by_models)
        marks = own
    standing, taken = _last_words(by_people, marks)
    decided = _Decided([*standing, *(one for one, _ in taken)])
    rejected = [one for one, deed in taken if deed == "rejected"]
    unread = tuple(one.id for one in waiting if "language" in one.reasons)
    by_models += [
        _doubtful(note, one) for one in waiting if one.id not in unread and is_in(note, one.fact.get("span"))
    ]
    standing += [one for one in _first(by_models) if not decided.about(one)]
    order = sorted(standing, key=lambda one: (one.start, -one.end, one.code or ""))
    return Said(tuple(order), tuple(sorted(rejected, key=lambda one: one.start)), blind, alone, unread)


def has_notes(catalogue: CodeCatalogue) -> bool:
    """Tell whether a record knows of notes."""
    return bool(catalogue.frame["code"].str.starts_with(NOTE).any())


def bare(code: str) -> str:
    """Give a code without its prefixes.

    >>> bare("NOT//ICD10CM//I10"), bare("REJECTED//POSSIBLE//ICD10CM//I10"), bare("ICD10CM//I10")
    ('ICD10CM//I10', 'ICD10CM//I10', 'ICD10CM//I10')
    """
    code = code.removeprefix(REJECTED)
    prefix = systems.split(code)[0]
    return code if prefix is None else code.removeprefix(f"{prefix}//")


def taken_back(code: str) -> str:
    """Give the code that says that no fact is there, neither this nor its denial.

    >>> taken_back("ICD10CM//I10"), taken_back("NOT//ICD10CM//I10"), taken_back("REJECTED//ICD10CM//I10")
    ('REJECTED//ICD10CM//I10', 'REJECTED//NOT//ICD10CM//I10', 'REJECTED//ICD10CM//I10')
    """
    return code if code.startswith(REJECTED) else REJECTED + code


def judged(code: str) -> str:
    """Give what a code says something of: that it is there, or denied, or neither; the last word counts.

    >>> judged("ICD10CM//I10"), judged("NOT//ICD10CM//I10"), judged("REJECTED//NOT//ICD10CM//I10")
    ('ICD10CM//I10', 'ICD10CM//I10', 'ICD10CM//I10')
    """
    return code.removeprefix(REJECTED).removeprefix(NOT)


def check_mark(note: PatientNote, mark: str) -> None:
    """Refuse what was said of another note: numbers change where earlier notes come in.

    Raises:
        InputError: the mark is not this note's.
    """
    if mark != note.mark:
        raise InputError("the notes of this patient changed meanwhile; load the page again and repeat")


def is_in(note: PatientNote, span: str | None) -> bool:
    """Tell whether a span is a place in a note."""
    if span is None:
        return False
    try:
        parts = parts_of(span)
    except ValueError:
        return False
    return is_place(parts, len(note.text))


def is_place(parts: Sequence[tuple[int, int]], length: int) -> bool:
    """Tell whether ranges stand one behind the other in a text of some characters.

    >>> is_place([(5, 7), (7, 10)], 12), is_place([(5, 7), (6, 10)], 12), is_place([(5, 5)], 12), is_place([], 12)
    (True, False, False, False)
    """
    flat = [edge for part in parts for edge in part]
    ordered = flat == sorted(flat) and all(start < end for start, end in parts)
    return bool(flat) and ordered and flat[0] >= 0 and flat[-1] <= length


def _entity(note: PatientNote, row: dict[str, object], unit: str | None) -> Entity:
    code, span, value = str(row["code"]), str(row["span"]), row["numeric_value"]
    role = None if row["role"] is None else str(row["role"])
    return Entity(
        code,
        span,
        words_at(note.text, parts_of(span)),
        kind_of(code.removeprefix(REJECTED), role, value is not None),
        row["model"],  # type: ignore[arg-type]
        row["confidence"],  # type: ignore[arg-type]
        value,  # type: ignore[arg-type]
        unit if value is not None else None,
        row["text_value"],  # type: ignore[arg-type]
        time=row["time"],  # type: ignore[arg-type]
        role=role,
    )


def _doubtful(note: PatientNote, one: Doubtful) -> Entity:
    fact = one.fact
    span, code, value = str(fact["span"]), fact.get("code"), fact.get("numeric_value")
    return Entity(
        code,
        span,
        words_at(note.text, parts_of(span)),
        kind_of(code or "", fact.get("role"), value is not None),
        one.model,
        fact.get("confidence"),
        value,
        fact.get("unit"),
        fact.get("text_value"),
        one.id,
        one.reasons,
        time=fact.get("time"),
        role=fact.get("role"),
        label=fact.get("label"),
    )


def _said_by(mark: Mark) -> list[tuple[str | None, str | None]]:
    """Give the facts that a mark wrote: what it says is there, and what it took back."""
    said: list[tuple[str | None, str | None]] = []
    if mark.code is not None:
        said.append((mark.code, mark.span))
    if mark.deed in ("rejected", "corrected") and mark.was_code is not None:
        said.append((taken_back(mark.was_code), mark.was_span))
    return said


def _as_found(note: PatientNote, marks: Sequence[Mark], known: Sequence[Entity]) -> list[Entity]:
    """Give what models had said where other people have decided since."""
    there = {(one.code, one.span, one.model) for one in known}
    found = {}
    for one in marks:
        place = (one.was_code, one.was_span, one.was_model)
        if one.was_model is None or one.was_span is None or place in there or not is_in(note, one.was_span):
            continue
        words = words_at(note.text, parts_of(one.was_span))
        kind = kind_of(one.was_code or "", None, has_value=False)
        found[place] = Entity(one.was_code, one.was_span, words, kind, one.was_model, one.was_confidence)
    return list(found.values())


def _last_words(
    by_people: Iterable[Entity], marks: Sequence[Mark]
) -> tuple[list[Entity], list[tuple[Entity, str]]]:
    """Give what people say is there, and what they took back, by which deed: of a code at a place the last counts."""
    last: dict[tuple[str, str], Entity] = {}
    for one in by_people:
        last[judged(one.code or ""), one.span] = one
    told: dict[tuple[str, str | None], list[Mark]] = {}
    for mark in marks:
        for place in set(_about(mark)):
            told.setdefault(place, []).append(mark)
    standing, taken = list[Entity](), list[tuple[Entity, str]]()
    for (code, span), one in last.items():
        about = told.get((code, span), [])
        names = tuple(dict.fromkeys(mark.reviewer for mark in about))
        if one.code is not None and one.code.startswith(REJECTED):
            was = replace(one, code=one.code.removeprefix(REJECTED), by=names)
            taken.append((was, about[-1].deed if about else "rejected"))
        else:
            standing.append(replace(one, by=names))
    return standing, taken


def _about(mark: Mark) -> list[tuple[str, str | None]]:
    both = ((mark.code, mark.span), (mark.was_code, mark.was_span))
    return [(judged(code), span) for code, span in both if code is not None]


def _first(entities: Iterable[Entity]) -> list[Entity]:
    """Keep of what several models say of one place with one code the surest."""
    best: dict[tuple[str | None, str], Entity] = {}
    for one in entities:
        known = best.get((one.code, one.span))
        if known is None or _weight(one) > _weight(known):
            best[one.code, one.span] = one
    return list(best.values())


def _weight(one: Entity) -> tuple[bool, float]:
    """Tell what counts more: what stands in the record, then what is surer."""
    return one.doubtful is None, one.confidence or 0.0


class _Decided:
    """Where people have decided, by place and by code."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self._spans: set[str] = set()
        self._parts: dict[str | None, list[tuple[int, int]]] = {}
        for one in entities:
            self._spans.add(one.span)
            self._parts.setdefault(one.bare, []).extend(one.parts)

    def about(self, one: Entity) -> bool:
        """Tell whether they decided about this very place, or about the same thing at one that overlaps."""
        if one.span in self._spans:
            return True
        return any(a < d and c < b for a, b in one.parts for c, d in self._parts.get(one.bare, ()))
