"""Facts of notes in the record: each told from which words it comes, and by whom; doubtful ones wait for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.messages import tr
from medloom.foundation.progress import track
from medloom.knowledge import units
from medloom.learners.text.facts.dictionary import name_of
from medloom.learners.text.facts.facts import SURE_ENOUGH, Fact, facts_of
from medloom.learners.text.facts.mentions import Finder, Kind, Mention, parts_of, span_of
from medloom.record.importing import Batch, CodeInfo, ImportContext, Importer
from medloom.record.ingest import ImportReport
from medloom.record.notes.languages import language
from medloom.record.record import Record
from medloom.record.schema import BATCH_SCHEMA

ROLES: Final[Mapping[Kind, str]] = {
    "problem": "condition",
    "drug": "statement",
    "measurement": "observation",
    "procedure": "procedure",
    "allergy": "allergy",
    "social": "observation",
    "anatomy": "observation",
}
"""The role in the record of each kind of fact."""


@dataclass
class Extraction:
    """What was taken from notes.

    Attributes:
        notes: that were read.
        languages: of them, counted: `en`, `zh`, `other`.
        facts: certain ones, by kind, counted.
        doubtful: new ones that wait for a person, by reason, counted.
        reports: of what the record took in, one a namespace of patients.
    """

    notes: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    doubtful: Counter[str] = field(default_factory=Counter)
    reports: list[ImportReport] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Give it as plain values."""
        return {
            "notes": self.notes,
            "languages": dict(self.languages),
            "facts": dict(self.facts),
            "doubtful": dict(self.doubtful),
            "written": sum(one.written for one in self.reports),
            "duplicates": sum(one.duplicates for one in self.reports),
            "superseded": sum(one.superseded for one in self.reports),
            "quarantined": sum(one.quarantined for one in self.reports),
        }


def keep_facts(
    record: Record,
    finders: Sequence[Finder],
    sure_enough: float = SURE_ENOUGH,
    now: datetime | None = None,
) -> Extraction:
    """Take the facts of all notes into the record, all or nothing; the same notes again change nothing.

    A fact happened when its note was written, and is known when the note is. What the same finder said of a note before
    and says no more is ended. A place that a person labelled is left to that person. Doubtful facts go into
    `record.doubtful()`, and a note in a third language as a whole.

    Args:
        record: of a site.
        finders: of mentions; of two that overlap, the earlier finder's counts.
        sure_enough: confidence below which a fact is doubtful.
        now: of the import; None: the clock's.

    Raises:
        InputError: the record is in memory, or what a finder needs is not installed.
        LockedError: another import is running.
    """
    told, waiting = Extraction(), list[tuple[int, str, str, list[dict[str, Any]]]]()
    for system, patients in _namespaces(record).items():
        importer = NoteFacts(record, finders, system, patients, sure_enough, told, waiting)
        told.reports.append(record.add(importer, now))
    with record.doubtful() as queue:
        for subject, note, model, rows in waiting:
            fresh = queue.put(subject, note, model, rows)
            told.doubtful.update(reason for row in fresh for reason in row["reasons"])
    return told


def note_texts(record: Record, subjects: Sequence[int]) -> dict[tuple[int, str], str]:
    """Give the texts of subjects' notes, by subject and by what facts of theirs are derived from."""
    if not subjects:
        return {}
    events = pl.DataFrame(record.read(_READ, list(subjects))).cast({"role": pl.String})
    return {
        (note["subject_id"], source_of(note)): note["text_value"]
        for note in events.filter(is_note()).iter_rows(named=True)
    }


class NoteFacts(Importer):
    """Reads the notes of a record, of the patients of one namespace, as a source of facts."""

    name: ClassVar[str] = "note-facts"

    def __init__(
        self,
        record: Record,
        finders: Sequence[Finder],
        system: str,
        patients: Mapping[int, str],
        sure_enough: float,
        told: Extraction,
        waiting: list[tuple[int, str, str, list[dict[str, Any]]]],
    ) -> None:
        self.record = record
        self.finders = finders
        self.system = system
        self.patients = patients
        self.sure_enough = sure_enough
        self.told = told
        self.waiting = waiting

    def sources(self) -> list[Path]:
        """List nothing: the notes stand in the record."""
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield the certain facts of each note; doubtful ones are kept apart."""
        described = set[str]()
        rows: list[dict[str, Any]] = []
        read = 0
        for part in self.record.parts():
            subjects = [one for one in part.tolist() if one in self.patients]
            if not subjects:
                continue
            events = pl.DataFrame(self.record.read(_READ, subjects)).cast({"role": pl.String})
            said = SaidOfNotes(events)
            notes = events.filter(is_note()).iter_rows(named=True)
            for note in track(list(notes), tr("Reading notes")):
                rows += self._note(note, said)
                read += 1
                if len(rows) >= _BATCH:
                    yield _batch(rows, read, described)
                    rows, read = [], 0
        if rows or read:
            yield _batch(rows, read, described)

    def _note(self, note: dict[str, Any], said: SaidOfNotes) -> list[dict[str, Any]]:
        subject, text = note["subject_id"], note["text_value"]
        source = source_of(note)
        tongue = language(text) if text.strip() else "en"
        self.told.notes += 1
        self.told.languages[tongue] += 1
        facts = facts_of(text, self.finders, self.sure_enough)
        taken = said.by_people(subject, source)
        kept: list[dict[str, Any]] = []
        for finder in self.finders:
            own = [one for one in facts if one.finder == finder.name and not _is_taken(one, taken)]
            rows = [_event(one, note, source) for one in own]
            certain = [row for row, one in zip(rows, own, strict=True) if not one.doubts]
            doubtful = [
                row | {"reasons": list(one.doubts)} for row, one in zip(rows, own, strict=True) if one.doubts
            ]
            if tongue == "other":
                doubtful.append(_whole(note, source, finder.name) | {"reasons": ["language"]})
            self.told.facts.update(one.mention.kind for one in own if not one.doubts)
            self.waiting.append((subject, source, finder.name, doubtful))
            before = said.by_model(subject, source, finder.name, note["time"])
            now = {(row["code"], row["span"]) for row in certain}
            certain += [row for row in before.rows if (row["code"], row["span"]) not in now]
            kept += [row | {"patient": self.patients[subject], "key": before.key(row)} for row in certain]
        return kept


_BATCH: Final = 20_000
_READ: Final = (
    "subject_id",
    "time",
    "code",
    "known_time",
    "known_until",
    "role",
    "text_value",
    "asset",
    "derived_from",
    "span",
    "confidence",
    "model",
)


class SaidOfNotes:
    """What was said of notes before: by people, and by models."""

    def __init__(self, events: pl.DataFrame) -> None:
        facts = events.filter(pl.col("derived_from").is_not_null() & pl.col("span").is_not_null())
        self._of: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for row in facts.drop("text_value").iter_rows(named=True):
            self._of.setdefault((row["subject_id"], row["derived_from"]), []).append(row)

    def by_people(self, subject: int, note: str) -> list[tuple[int, int]]:
        """Give the places of a note that people labelled."""
        rows = [row for row in self._of.get((subject, note), ()) if row["model"] is None]
        return [part for row in rows if row["known_until"] is None for part in _places(row["span"])]

    def taken_back(self, subject: int, note: str, fact: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Give what ends a model's fact of a note (`model`, `time`, `code`, `span`): rows of a batch."""
        before = self.by_model(subject, note, fact["model"], fact["time"])
        same = [row for row in before.rows if (row["code"], row["span"]) == (fact["code"], fact["span"])]
        return [row | {"key": before.key(row)} for row in same[:1]]

    def by_model(self, subject: int, note: str, model: str, time: datetime) -> _Before:
        """Give what a model said of a note."""
        rows = [
            row for row in self._of.get((subject, note), ()) if row["model"] == model and row["time"] == time
        ]
        standing = [row for row in rows if row["known_until"] is None]
        return _Before(
            f"facts:{model}:{note}:{time}",
            [{name: row[name] for name in _TAKEN_BACK} | {"retracted": True} for row in standing],
            Counter((row["code"], row["span"]) for row in rows if row["confidence"] is None),
        )


_TAKEN_BACK: Final = ("time", "known_time", "code", "role", "derived_from", "span", "model")


@dataclass(frozen=True)
class _Before:
    """What a model said of a note before.

    Attributes:
        note: its name for the note.
        rows: what still stands, as it is to be taken back: without a confidence, by which that is told later.
        taken_back: how often each was, by code and span: said again, it is another fact.
    """

    note: str
    rows: list[dict[str, Any]]
    taken_back: Counter[tuple[str, str]]

    def key(self, row: Mapping[str, Any]) -> str:
        """Name a fact for good: the same words mean the same at each extraction."""
        what = row["code"], row["span"]
        return f"{self.note}:{what[0]}:{what[1]}:{self.taken_back[what]}"


def source_of(note: Mapping[str, Any]) -> str:
    """Name a note: its file, or, where none was kept, the digest of its text."""
    return note["asset"] or f"sha256:{sha256_bytes(note['text_value'].encode('utf-8', 'surrogatepass'))}"


def _places(span: str) -> tuple[tuple[int, int], ...]:
    try:
        return parts_of(span)
    except ValueError:  # a region of an image, or samples of a signal
        return ()


def is_note() -> pl.Expr:
    text = pl.col("text_value").is_not_null()
    return (
        (pl.col("role") == "note")
        & text
        & pl.col("time").is_not_null()
        & pl.col("known_until").is_null()
        & pl.col("derived_from").is_null()
    )


def _is_taken(one: Fact, taken: Sequence[tuple[int, int]]) -> bool:
    return any(start < last and first < end for first, last in taken for start, end in one.mention.parts)


def _event(one: Fact, note: Mapping[str, Any], source: str) -> dict[str, Any]:
    mention = one.mention
    return _whole(note, source, one.finder) | {
        "code": one.code,
        "numeric_value": mention.value if _has_a_number(mention) else None,
        "unit": mention.unit if _has_a_number(mention) else None,
        "text_value": told(one),
        "role": ROLES[mention.kind],
        "span": span_of(mention.parts),
        "confidence": mention.confidence,
    }


def _has_a_number(mention: Mention) -> bool:
    """Tell whether the value is the record's: a code has one unit there, and a dose in tablets none that mg become."""
    unit = mention.unit or ""
    return mention.kind != "drug" or unit == "U" or units.factor(unit, "mg") is not None


def _whole(note: Mapping[str, Any], source: str, model: str) -> dict[str, Any]:
    return {
        "time": note["time"],
        "known_time": note["known_time"],
        "code": None,
        "derived_from": source,
        "span": f"0:{len(note['text_value'])}",
        "model": model,
    }


def told(one: Fact) -> str | None:
    """Write what a fact tells beside its number, as the record has it; `details_of` reads it.

    >>> from medloom.learners.text.facts.mentions import Mention
    >>> given = {"dose": "500 mg", "route": "oral", "frequency": "2 /d"}
    >>> told(Fact(Mention("drug", ((0, 9),), "ATC//A10BA02", 0.9, 500, "mg", details=given), None, "rules"))
    'dose 500 mg; route oral; frequency 2 /d'
    """
    if one.mention.comparator is not None and one.mention.value is not None:
        return f"{one.mention.comparator}{one.mention.value:g}"
    if one.mention.kind == "social" and "status" in one.mention.details:
        return one.mention.details["status"]
    return "; ".join(f"{name} {value}" for name, value in one.mention.details.items()) or None


def details_of(text: str | None) -> dict[str, str]:
    """Read what `told` wrote.

    >>> details_of("dose 500 mg; route oral")
    {'dose': '500 mg', 'route': 'oral'}

    A unit that the record put behind, since a number was not in the code's own, is left out.

    >>> details_of("dose 81 mg; frequency 1 /d mg")
    {'dose': '81 mg', 'frequency': '1 /d'}
    """
    pairs = (one.partition(" ") for one in (text or "").split("; "))
    return {
        name: " ".join(value.split()[: 2 if name in _AMOUNTS else 1]) for name, _, value in pairs if value
    }


_AMOUNTS: Final = frozenset(("dose", "frequency", "duration"))


def _batch(rows: Sequence[Mapping[str, Any]], read: int, described: set[str]) -> Batch:
    facts = pl.DataFrame(list(rows), schema={name: BATCH_SCHEMA[name] for name in _GIVEN})
    facts = facts.with_columns(row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    fresh = [code for code in facts["code"].unique().drop_nulls() if code not in described]
    described.update(fresh)
    infos = {code: CodeInfo(name) for code in fresh if (name := name_of(code)) is not None}
    return Batch(facts, read, codes=infos)


_GIVEN: Final = (
    "patient time code numeric_value text_value unit known_time role derived_from span confidence model key retracted"
).split()


def _namespaces(record: Record) -> dict[str, dict[int, str]]:
    """Give the patients by the namespace of the first identifier each is known by."""
    found: dict[str, dict[int, str]] = {}
    subjects = record.subject_ids.tolist()
    if not subjects:
        raise InputError("the record is empty; bring notes into it first: medloom import notes FOLDER")
    for subject, known in record.identifiers(subjects).items():
        if known:
            system, patient = known[0]
            found.setdefault(system, {})[subject] = patient
    return found
