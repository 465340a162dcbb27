"""Notes and tables of a folder, written anew without what could name a person; with a report that names nobody."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.foundation.files import write_bytes, write_text
from medloom.foundation.messages import tr
from medloom.foundation.progress import track
from medloom.record.deidentify.doubts import Doubt, Reason, doubts
from medloom.record.deidentify.kinds import Identifier, Kind
from medloom.record.deidentify.replacing import Finder, Mode, Replaced, Way, replaced
from medloom.record.deidentify.risk import Risk, risk
from medloom.record.deidentify.surrogates import Surrogates
from medloom.record.deidentify.tables import is_value, kind_of_column
from medloom.record.notes.reading import DAMAGED, UnreadableError, read_note

REPORT: Final = "report.json"

_MOST_DOUBTFUL: Final = 1000
_MOST_PLACES: Final = 50
_TABLES: Final = (".csv", ".parquet")


@dataclass(frozen=True)
class Settings:
    """How it is done.

    Attributes:
        mode: what becomes of dates.
        way: tags, or surrogates.
        patient: pattern whose group names the patient in a file's name; of tables a column, whose cells become
            pseudonyms.
        texts: columns of free text; empty: all columns of text.
        identifiers: columns that name a person; they are left out.
        quasi: columns that others may know too.
        sensitive: columns that nobody should learn.
    """

    mode: Mode = "safe-harbor"
    way: Way = "tags"
    patient: str = ""
    texts: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    quasi: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()


@dataclass
class Deidentified:
    """What was done; names nobody.

    Attributes:
        settings: how.
        files: written.
        texts: read: notes, and cells of tables.
        counts: of identifiers by kind.
        risks: of tables, by their number in the order of names.
        problems: why files were left out, counted.
        doubtful: places in new files that may name somebody still, for a person to look at: start, end, why.
        doubts: of them, by why; all, where there are more than are listed.
    """

    settings: Settings
    files: int = 0
    texts: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    risks: dict[str, Risk] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    doubtful: dict[str, list[tuple[int, int, Reason]]] = field(default_factory=dict)
    doubts: Counter[Reason] = field(default_factory=Counter)

    def look_at(self, where: str, made: Replaced) -> None:
        """Note where in a new text a person should look: places alone, for the words may name somebody."""
        new = [place for _, place in made.pieces]
        ends = [end for _, end in new]

        def is_new(one: Doubt) -> bool:
            at = bisect_right(ends, one.start)  # the first new place that ends behind its beginning
            return at < len(new) and new[at][0] < one.end

        found = [one for one in doubts(made.text) if not is_new(one)]
        self.doubts.update(one.reason for one in found)
        if found and len(self.doubtful) < _MOST_DOUBTFUL:
            self.doubtful[where] = [(one.start, one.end, one.reason) for one in found[:_MOST_PLACES]]

    def to_json(self) -> dict[str, Any]:
        """Answer the report."""
        return {
            "mode": self.settings.mode,
            "replace": self.settings.way,
            "files": self.files,
            "texts": self.texts,
            "identifiers": dict(self.counts.most_common()),
            "risk": {name: one.to_json() for name, one in self.risks.items()},
            "left_out": dict(self.problems),
            "doubts": dict(self.doubts.most_common()),
            "look_at": self.doubtful,
        }


def deidentify_folder(
    source: Path, out: Path, settings: Settings, key: bytes, finders: Sequence[Finder] = ()
) -> Deidentified:
    """Write what stands in a folder, or one file, anew; files get numbers for names, as names may name patients.

    Args:
        source: notes as `read_note` takes them, and tables (CSV, Parquet).
        out: a folder that is new or empty.
        settings: how.
        key: of surrogates, secret.
        finders: of identifiers, beside the rules.

    Raises:
        InputError: `out` is not empty, lies in the source, or a table has no such column.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError("{path!r} is not empty; name a new folder", path=str(out))
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise InputError("{path!r} lies in the source; name a folder elsewhere", path=str(out))
    done = Deidentified(settings)
    pattern = _pattern(settings.patient)
    out.mkdir(parents=True, exist_ok=True)
    files = [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
    for number, path in enumerate(track(files, tr("Replacing identifiers"), len(files)), 1):
        name = path.name if source.is_file() else path.relative_to(source).as_posix()
        try:
            if path.suffix.lower() in _TABLES:
                _table(path, out / f"{number:06d}{path.suffix.lower()}", settings, key, finders, done, number)
            else:
                text = read_note(path.read_bytes()).text
                patient = _patient(pattern, name)
                made = replaced(text, Surrogates(key, patient), settings.mode, settings.way, finders)
                write_text(out / f"{number:06d}.txt", made.text)
                done.texts += 1
                done.counts.update(made.counts)
                done.look_at(f"{number:06d}.txt", made)
            done.files += 1
        except UnreadableError as error:
            done.problems[error.problem] += 1
    write_text(out / REPORT, json.dumps(done.to_json(), indent=1, ensure_ascii=False) + "\n")
    return done


def _table(
    path: Path,
    out: Path,
    settings: Settings,
    key: bytes,
    finders: Sequence[Finder],
    done: Deidentified,
    number: int,
) -> None:
    try:
        frame = pl.read_csv(path, infer_schema=False) if out.suffix == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError):
        raise UnreadableError(DAMAGED) from None
    missing = [one for one in (*settings.texts, *settings.identifiers) if one not in frame.columns]
    if missing:
        raise InputError(
            "the table has no column {missing}; it has: {columns}", missing=missing, columns=frame.columns
        )
    whose = (
        frame[settings.patient].cast(pl.String).fill_null("") if settings.patient in frame.columns else None
    )
    kept, also = _as_texts(frame.drop(settings.identifiers))
    strings = [name for name, kind in kept.schema.items() if kind == pl.String]
    named = [*settings.texts, *also] if settings.texts else strings
    named = [name for name in dict.fromkeys(named) if name != settings.patient]
    if whose is not None and settings.patient in kept.columns:
        drawn_names = [Surrogates(key, one).pseudonym for one in whose]
        kept = kept.with_columns(pl.Series(settings.patient, drawn_names, dtype=pl.String))
    for name in named:
        cells: list[str | None] = []
        for row, cell in enumerate(kept[name].cast(pl.String)):
            if cell is None:
                cells.append(None)
                continue
            drawn = Surrogates(key, whose[row] if whose is not None else f"{number}/{row}")
            told = (*finders, partial(_column, kind_of_column(name)))
            made = replaced(cell, drawn, settings.mode, settings.way, told)
            done.texts += 1
            done.counts.update(made.counts)
            cells.append(made.text)
            done.look_at(f"{out.name}/{name}/{row}", made)
        kept = kept.with_columns(pl.Series(name, cells, dtype=pl.String))
    if settings.quasi:
        done.risks[f"table {number}"] = risk(kept, settings.quasi, settings.sensitive)
    if out.suffix == ".csv":
        write_text(out, kept.write_csv())
    else:
        write_bytes(out, _parquet(kept))


def _as_texts(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Write categories, dates and numbers that name a person as texts, to be read so; give the dates and numbers.

    Raises:
        InputError: a column holds what is not read.
    """
    kinds = frame.schema.items()
    closed = [name for name, kind in kinds if kind.is_nested() or kind in (pl.Binary, pl.Object)]
    if closed:
        raise InputError(
            "columns {columns} hold lists, structures or bytes, which are not read; leave them out with --identifier",
            columns=closed,
        )
    dated = [name for name, kind in kinds if kind in (pl.Date, pl.Datetime)]
    chosen = [name for name, kind in kinds if kind in (pl.Categorical, pl.Enum)]
    numbers = [name for name, kind in kinds if kind.is_numeric() and _is_told(frame[name])]
    texts = [
        pl.col(numbers).cast(pl.String),
        pl.col(dated).dt.strftime("%Y-%m-%d"),
        pl.col(chosen).cast(pl.String),
    ]
    return frame.with_columns(texts), [*dated, *numbers]


def _is_told(column: pl.Series) -> bool:
    """Tell whether a column of numbers is called what could name a person, and holds such: `mrn`, an age over 89."""
    kind = kind_of_column(column.name)
    return kind is not None and any(is_value(str(one), kind) for one in column.drop_nulls().unique())


def _column(kind: Kind | None, text: str) -> list[Identifier]:
    """Find all of a cell, where its column tells what it is."""
    return [Identifier(0, len(text), kind)] if kind is not None and is_value(text, kind) else []


def _parquet(frame: pl.DataFrame) -> bytes:
    import io

    written = io.BytesIO()
    frame.write_parquet(written)
    return written.getvalue()


def _pattern(patient: str) -> re.Pattern[str] | None:
    try:
        return re.compile(patient) if patient else None
    except re.error:
        raise InputError(
            "patient={pattern!r} is no regular expression; write one such as (person[0-9]+)", pattern=patient
        ) from None


def _patient(pattern: re.Pattern[str] | None, name: str) -> str:
    """Name the patient of a file; without a pattern each file is of another."""
    found = pattern.search(name) if pattern else None
    if found is None:
        return name
    return "/".join(one for one in found.groups() if one) or found.group()
