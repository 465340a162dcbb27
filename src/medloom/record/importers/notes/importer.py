"""The importer of notes: each file an event on its patient's timeline, its text beside the file itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError
from medloom.record.assets import Assets
from medloom.record.importers.notes import problems
from medloom.record.importing import Batch, ImportContext, Importer
from medloom.record.notes.languages import language
from medloom.record.notes.reading import (
    EMPTY,
    LARGEST,
    TOO_LARGE,
    ReadNote,
    UnreadableError,
    as_plain,
    read_note,
)
from medloom.record.schema import BATCH_SCHEMA

_AT_ONCE: Final = 200
_USUAL: Final = "note"


@dataclass(frozen=True)
class _Listed:
    """One note: a file or a text, and what is told of it."""

    name: str
    path: Path | None
    text: str
    patient: str
    time: str
    kind: str
    row: int
    label: str = ""


class NotesImporter(Importer):
    """Reads notes (TXT, HTML, PDF with a text layer, DOCX): a folder, or a table that names files or holds texts.

    What kind a file is, and how its characters are written, is told by its content. The text stands in the record, the
    file beside it, so that whoever reads a fact can look up its words.

    Args:
        path: a folder, or a CSV table with a column `file` or `text`, and as wanted `patient`, `time`, `type` and
            `label`: what somebody said of the note, a fact `FINDING//label` derived from it.
        patient: pattern whose groups, found in a file's name from the folder on, name its patient; empty: each note is
            taken for a patient of its own.
        type: of notes, where a table does not tell; it stands in the code, `NOTE//Discharge summary`.
        date: of notes without one: 2020-01-31.
        system: namespace of the patients' identifiers.
    """

    name: ClassVar[str] = "notes"

    def __init__(
        self, path: str | Path, *, patient: str = "", type: str = _USUAL, date: str = "", system: str = ""
    ) -> None:
        self.path = path
        self.patient = patient
        self.type = type
        self.date = date
        self.system = system

    def sources(self) -> list[Path]:
        """List the files, by name; of a table the table alone.

        Raises:
            NotFoundError: there is no such folder or table.
            InputError: the folder is empty, or `patient` is no pattern.
        """
        path = Path(self.path)
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise NotFoundError("there is no folder or table {path!r}", path=str(path))
        files = sorted(
            one for one in path.rglob("*") if one.is_file() and not _is_hidden(one.relative_to(path))
        )
        if not files:
            raise InputError("there is no file in {path!r}", path=str(path))
        self._pattern()
        return files

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield some 200 notes a batch.

        Raises:
            InputError: there is no place to keep files, `date` is no date, or the table has neither files nor texts.
        """
        if context.assets is None:
            raise InputError("notes need a site to be kept in; make one with: medloom init FOLDER")
        usual = _moment(self.date) if self.date else None
        if self.date and usual is None:
            raise InputError("date={date!r} is no date; write it as 2020-01-31", date=self.date)
        listed = self._in_table() if Path(self.path).is_file() else self._in_folder()
        while part := list(islice(listed, _AT_ONCE)):
            yield self._batch(part, context.assets, usual)

    def _in_folder(self) -> Iterator[_Listed]:
        root, pattern = Path(self.path), self._pattern()
        for row, path in enumerate(self.sources(), 1):
            name = path.relative_to(root).as_posix()
            found = pattern.search(name) if pattern else None
            groups = [one for one in found.groups() if one] if found else []
            patient = ("/".join(groups) or found.group()) if found else ""
            yield _Listed(name, path, "", patient, "", self.type, row)

    def _in_table(self) -> Iterator[_Listed]:
        table = Path(self.path)
        try:
            frame = pl.read_csv(table, infer_schema=False, encoding="utf8-lossy")
        except (pl.exceptions.PolarsError, OSError):
            raise InputError("{path!r} cannot be read as CSV with a header", path=str(table)) from None
        frame = frame.rename({name: name.strip() for name in frame.columns}).fill_null("")
        if "file" not in frame.columns and "text" not in frame.columns:
            raise InputError(
                "{path!r} has neither a column `file` nor a column `text`; it has: {columns}",
                path=table.name,
                columns=frame.columns,
            )
        for row, cells in enumerate(frame.iter_rows(named=True), 1):
            told = {
                name: str(cells.get(name, "")).strip()
                for name in ("file", "patient", "time", "type", "label")
            }
            name = told["file"] or f"row {row}"
            path = table.parent / told["file"] if told["file"] else None
            text = str(cells.get("text", ""))
            kind = told["type"] or self.type
            yield _Listed(name, path, text, told["patient"], told["time"], kind, row, told["label"])

    def _pattern(self) -> re.Pattern[str] | None:
        try:
            return re.compile(self.patient) if self.patient else None
        except re.error:
            raise InputError(
                "patient={pattern!r} is no regular expression; write one such as (person[0-9]+)",
                pattern=self.patient,
            ) from None

    def _batch(self, part: list[_Listed], assets: Assets, usual: datetime | None) -> Batch:
        by_table = Path(self.path).is_file()
        notes: Counter[str] = Counter()
        facts = []
        for one in part:
            made = self._fact(one, assets, usual, notes)
            if not one.patient and "problem" not in made:
                notes[problems.ALONE] += 1
            place = {"file": 0 if by_table else one.row - 1, "row": one.row if by_table else 1}
            who = one.patient or f"note {one.name}"
            about = {"patient": who, "key": f"{self.name}:{one.name}", **place}
            facts.append({**about, "part": 0, **made})
            if one.label and "problem" not in made:
                said = {"code": f"FINDING//{one.label}", "role": "observation", "derived_from": made["asset"]}
                facts.append({**about, "part": 1, "time": made["time"], **said})
        named = {name for fact in facts for name in fact}
        frame = pl.DataFrame(
            facts, schema={name: kind for name, kind in BATCH_SCHEMA.items() if name in named}
        )
        return Batch(frame, len(part), notes=notes)

    def _fact(
        self, one: _Listed, assets: Assets, usual: datetime | None, notes: Counter[str]
    ) -> dict[str, Any]:
        """Give what is known of a note."""
        moment = _moment(one.time) if one.time else usual
        if moment is None:
            return {"problem": problems.NO_DATE if one.time else problems.UNDATED}
        try:
            read, content = _read(one)
        except UnreadableError as error:
            return {"time": moment, "problem": error.problem}
        if read.mixed:
            notes[problems.MIXED] += 1
        if language(read.text) == "other":
            notes[problems.FOREIGN] += 1
        return {
            "time": moment,
            "code": f"NOTE//{one.kind.strip() or _USUAL}",
            "role": "note",
            "text_value": read.text,
            "asset": assets.put(content),
        }


def _read(one: _Listed) -> tuple[ReadNote, bytes]:
    """Read a note: its text, and the file that is kept.

    Raises:
        UnreadableError: there is no such file, or it is no note.
    """
    if one.path is not None:
        if not one.path.is_file():
            raise UnreadableError(problems.ABSENT)
        if one.path.stat().st_size > LARGEST:
            raise UnreadableError(TOO_LARGE)
        content = one.path.read_bytes()
        return read_note(content), content
    text = as_plain(one.text)
    if not text.strip():
        raise UnreadableError(EMPTY)
    return ReadNote(text, "txt"), text.encode()


def _is_hidden(within: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in within.parts)


def _moment(text: str) -> datetime | None:
    """Read a moment; a day without a time is its noon.

    >>> _moment("2020-01-31"), _moment("soon")
    (datetime.datetime(2020, 1, 31, 12, 0), None)
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.combine(found.date(), time(12)) if len(text) <= 10 else found.replace(tzinfo=None)
