"""The mapping: what a table's columns mean.

A mapping is a YAML file. It lists `tables`; each says which files it reads,
whose they are (`subject`), when (`time`), and what a row holds: one code and
value a row (`long`), a column a code (`columns`), something that happens once
a row (`events`); all three may stand together. A table of laboratory results,
one result a row, with the sex of the patient repeated in every row:

>>> from medloom.record.importers.table.mapping import parse_mapping
>>> mapping = parse_mapping('''
... code_system: LAB                     # codes without a system become LAB//...
... tables:
...   - files: [{glob: "*.csv"}]
...     subject: {column: patient}
...     time: {column: taken, format: "%d.%m.%Y %H:%M"}
...     long:
...       code: test
...       value: result
...       unit: unit
...       codes:                         # optional: better codes for some of the tests
...         creatinine: {code: LOINC//2160-0, unit: mg/dL}
...     columns:
...       sex: {code: SEX, static: true, values: {f: GENDER//F, m: GENDER//M}}
... ''')
>>> mapping.tables[0].long.codes["creatinine"].code
'LOINC//2160-0'

Every scalar is read as text (`no`, `0` and `1.0` mean what they say). Two
columns exist in every table: `$subject`, the subject's identifier, and
`$file`, the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Mapped
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.yaml import parse_yaml
from medloom.record.importers.table.conditions import parse_condition
from medloom.record.schema import ROLES

# Never a value, whatever a mapping says: nothing at all, and the zero with which databases fill a date.
BLANK = ("", "0000-00-00", "0000-00-00 00:00", "0000-00-00 00:00:00", "0000-00-00T00:00:00")
MISSING = (*BLANK, "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "\\N", "未查", "未检", "未做")
SUBJECT = "$subject"
FILE = "$file"


def _role(value: str) -> str:
    if value not in ROLES:
        raise ValueError(f"{value!r} is not a role; choose one of {', '.join(sorted(ROLES))}")
    return value


def _format(value: str) -> str:
    sample = datetime(2001, 2, 13, 14, 5, 6)
    written = pl.Series([sample.strftime(value)])
    try:
        understood = written.str.to_datetime(value, strict=False, exact=True).is_not_null().all()
    except pl.exceptions.PolarsError:
        understood = False
    if not understood:
        try:
            understood = written.str.to_date(value, strict=False, exact=True).is_not_null().all()
        except pl.exceptions.PolarsError:
            understood = False
    if "%" not in value or not understood:
        raise ValueError(f"{value!r} is not a date format; write one like %Y-%m-%d %H:%M or %d.%m.%Y")
    return value


def _duration(value: str) -> str:
    if not re.fullmatch(r"-?\d+(\.\d+)?(d|h|m|s)", value):
        raise ValueError(f"{value!r} is not a duration; write one like 24h, 2d or 30m")
    return value


def _condition(value: str) -> str:
    parse_condition(value)
    return value


Role = Annotated[str, AfterValidator(_role)]
Format = Annotated[str, AfterValidator(_format)]
Duration = Annotated[str, AfterValidator(_duration)]
Condition = Annotated[str, AfterValidator(_condition)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileSet(_Part):
    """Some of the files, named by a pattern."""

    glob: str = Field(
        description="Pattern of file names below the imported folder or archive, with / between folders: "
        "`labs.csv`, `set-a/*.txt`, `**/*.csv.gz`."
    )
    facts: tuple[str, ...] = Field(
        (), description="Codes of static facts given to every subject of these files, such as SET//a."
    )


class Subject(_Part):
    """Whose a row is; exactly one of the three."""

    column: str | None = Field(None, description="Column that holds the subject's identifier.")
    file: str | None = Field(
        None,
        description=r"Regular expression on the file's path; its first group is whose it is: `(\d+)\.csv`.",
    )
    row: str | None = Field(
        None,
        description="Code of the row (of a `long` table) whose value is the identifier of the rows from "
        "there to the end of the file, such as RecordID.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(x is not None for x in (self.column, self.file, self.row)) != 1:
            raise ValueError("give exactly one of column, file, row")
        return self


class Base(_Part):
    """What offsets count from: one moment for everybody, or a column."""

    at: datetime | None = Field(None, description="One moment for every row: 2012-01-01T00:00.")
    column: str | None = Field(None, description="Column with the moment; it may come from a join.")
    format: tuple[Format, ...] = Field((), description="As in `time`.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.at is None) == (self.column is None):
            raise ValueError("give exactly one of at, column")
        return self


class Moment(_Part):
    """A moment: a column with dates, a column with offsets from the base, or a fixed offset."""

    column: str | None = Field(None, description="Column that holds the moment.")
    format: tuple[Format, ...] = Field(
        (),
        description="Formats of the dates, tried in order, in strptime's letters: [%d.%m.%Y %H:%M]. "
        "Without it ISO 8601, 2021/3/5 8:00, 2021年3月5日 8时 and 05.03.2021 8:00 are read; "
        "03/04/2021 is ambiguous and needs a format.",
    )
    offset: Literal["HH:MM", "days", "hours", "minutes", "seconds"] | None = Field(
        None, description="The column counts from `base`, in this unit."
    )
    after: Duration | None = Field(None, description="Fixed offset from `base`: 24h, 2d, 30m.")
    end_of_day: bool = Field(
        False, description="The source knows only the day: take the last microsecond of it."
    )

    @model_validator(mode="before")
    @classmethod
    def _formats(cls, data: object) -> object:
        return _listed(data, "format")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.column is None) == (self.after is None):
            raise ValueError("give exactly one of column, after")
        if self.offset is not None and (self.column is None or self.format):
            raise ValueError("offset goes with column, and not with format")
        return self

    @property
    def relative(self) -> bool:
        """Whether a base is needed."""
        return self.offset is not None or self.after is not None


class Item(_Part):
    """What a code of the source, or a column, becomes."""

    code: str | None = Field(
        None,
        description="Code of the fact, SYSTEM//code. `{value}` in it is replaced by the cell, which then is "
        "no value: GENDER//{value}. Without a code: the source's own name under `code_system`.",
    )
    unit: str | None = Field(
        None, description="Unit, where the table has no unit column or an empty cell in it."
    )
    role: Role | None = Field(None, description="Role of the fact; by default the table's.")
    static: bool = Field(False, description="True for what holds always (sex): the fact has no time.")
    text: bool = Field(False, description="Keep the cell as text even if it looks like a number.")
    values: dict[str, str] = Field(
        default_factory=dict,
        description="Cell -> code, for coded cells: {0: GENDER//F, 1: GENDER//M}. "
        "Other cells keep `code` and value.",
    )
    missing: tuple[str, ...] = Field(
        (), description="Cells that mean `not measured` here, besides the general ones."
    )
    when: tuple[Condition, ...] = Field(
        (), description="Conditions on the row, all of which must hold: `Value > 0`, `status != cancelled`."
    )
    ignore: bool = Field(False, description="Not a fact; counted and passed over.")
    description: str | None = Field(None, description="What the code means, for people.")

    @model_validator(mode="before")
    @classmethod
    def _conditions(cls, data: object) -> object:
        return _listed(data, "when")


class Long(_Part):
    """One code and value a row."""

    code: str = Field(description="Column that holds the code or name of what was measured.")
    value: str | None = Field(None, description="Column that holds the value, a number or a text.")
    unit: str | None = Field(None, description="Column that holds the unit.")
    text: str | None = Field(None, description="Column whose text accompanies the value.")
    codes: dict[str, Item] = Field(
        default_factory=dict, description="What single codes of the source become."
    )
    others: Literal["keep", "ignore"] = Field(
        "keep",
        description="What is done with codes not in `codes`: kept under `code_system`, or passed over.",
    )
    keep_empty: bool = Field(
        False,
        description="A row without a value is a fact all the same (something happened); usually it is not.",
    )


class Event(_Part):
    """A fact that a row stands for, or the first row of a stay or subject that tells of it."""

    code: str = Field(description="Code of the fact: ENCOUNTER//icu//START, MEDS_DEATH.")
    at: Moment | None = Field(
        None, description="When it happened; by default the row's time. An empty cell: never."
    )
    known: Moment | None = Field(None, description="When it entered the record.")
    when: tuple[Condition, ...] = Field((), description="Conditions on the row, all of which must hold.")
    each: Literal["row", "encounter", "subject"] = Field(
        "row",
        description="Once a row, once a stay, or once a subject: by the first row that meets the conditions "
        "and has a time (and a value). Of a table that repeats in every row when the stay began: encounter.",
    )
    value: str | None = Field(None, description="Column that holds the fact's value.")
    unit: str | None = Field(None, description="Unit of the value.")
    role: Role | None = Field(
        None, description="Role; for ENCOUNTER codes `encounter`, otherwise the table's."
    )
    static: bool = Field(False, description="True for what holds always: the fact has no time.")
    description: str | None = Field(None, description="What the code means, for people.")

    @model_validator(mode="before")
    @classmethod
    def _conditions(cls, data: object) -> object:
        return _listed(data, "when")


class Join(_Part):
    """Columns of another file, looked up for each row; that file is held in memory."""

    glob: str = Field(description="Pattern of the other file or files.")
    on: tuple[str, ...] = Field(
        description="Column or columns that both share and that identify a row there."
    )
    columns: tuple[str, ...] = Field(description="Columns taken over.")

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, data: object) -> object:
        return _listed(_listed(data, "on"), "columns")


class Table(_Part):
    """Files of one shape, and what their rows mean."""

    files: tuple[FileSet, ...] = Field(min_length=1, description="The files, as [{glob: ...}, ...].")
    format: Literal["auto", "csv", "parquet"] = Field(
        "auto", description="auto: by the file's name, which ends in .parquet or does not."
    )
    encoding: str = Field(
        "auto",
        description="auto tells UTF-8, UTF-16 with mark and GB18030 apart; otherwise a name, as latin-1.",
    )
    delimiter: str = Field("auto", description="auto: the commonest of , ; tab | in the header.")
    quote: str = Field('"', max_length=1, description="Character around cells; empty for none.")
    header: tuple[str, ...] = Field((), description="Names of the columns, if the files have no header line.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark.")
    thousands: Literal["", ",", ".", " ", "'"] = Field("", description="Mark between groups of three digits.")
    missing: tuple[str, ...] = Field((), description="Cells that mean `not there`, besides the mapping's.")
    join: tuple[Join, ...] = Field((), description="Columns looked up in other files, before anything else.")
    subject: Subject = Field(description="Whose a row is.")
    base: Base | None = Field(None, description="What offsets count from.")
    time: Moment | None = Field(None, description="When the rows' facts happened.")
    known: Moment | None = Field(
        None,
        description="When they entered the record (result or storage time). Without it the time counts; "
        "a date without a time of day is known at the end of that day.",
    )
    encounter: str | None = Field(
        None, description="Column with the encounter's identifier; `$subject`: one a subject."
    )
    key: str | None = Field(
        None,
        description="Column that identifies a row of this table for ever, so that a later import replaces "
        "it; in a `long` table together with the code, as one order may have many.",
    )
    repeats: Literal["once", "keep"] = Field(
        "once",
        description="Rows without a `key` that say the same (subject, time, code, value, unit, stay): once, "
        "the others counted as duplicates; or keep, where each of them counts, as two equal doses do.",
    )
    role: Role = Field("observation", description="Role of the facts.")
    long: Long | None = Field(None, description="One code and value a row.")
    columns: dict[str, Item] = Field(default_factory=dict, description="Column -> what it becomes.")
    events: tuple[Event, ...] = Field((), description="Facts that each row, or each subject, stands for.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.long is None and not self.columns and not self.events:
            raise ValueError("nothing to import: give long, columns or events")
        if self.subject.row is not None and (self.long is None or self.long.value is None):
            raise ValueError("subject.row needs long.code and long.value")
        moments = [self.time, self.known, *(e.at for e in self.events), *(e.known for e in self.events)]
        if self.base is None and any(m is not None and m.relative for m in moments):
            raise ValueError(
                "an offset needs a base: add base: {at: 2000-01-01T00:00} or base: {column: ...}"
            )
        items = [*self.columns.values(), *(self.long.codes.values() if self.long else ())]
        timed = any(not (i.static or i.ignore) for i in items) or (
            self.long is not None and self.long.others == "keep"
        )
        if self.time is None and self.encounter is None and timed:
            raise ValueError("facts that are not static need time: {column: ...}")
        if self.time is None and any(e.at is None and not e.static for e in self.events):
            raise ValueError("an event needs at: {column: ...} or at: {after: 0h}, or the table a time")
        if self.encounter is None and any(e.each == "encounter" for e in self.events):
            raise ValueError("each: encounter needs the table's encounter: name the column of the stay")
        return self


class Mapping(_Part):
    """What the columns of one source's tables mean."""

    name: str = Field("", description="Name of the mapping, for people.")
    description: str = Field("", description="What it is for; decisions a reader should know.")
    code_system: str = Field(
        "LOCAL",
        pattern=r"^[A-Za-z0-9_.\-]+$",
        description="System of codes that name none: the site's or source's name.",
    )
    missing: tuple[str, ...] = Field(
        MISSING,
        description="Cells that mean `not there`, in every table, instead of the known ones; an empty cell "
        "and 0000-00-00 always do.",
    )
    tables: tuple[Table, ...] = Field(min_length=1, description="The tables.")

    def missing_in(self, table: Table) -> list[str]:
        """List the cells that mean `not there` in a table."""
        return list(dict.fromkeys((*BLANK, *self.missing, *table.missing)))


def load_mapping(named: str | Path) -> Mapping:
    """Read the mapping in a YAML file, or the shipped one of that name.

    Raises:
        NotFoundError: there is no such file and no such name.
        InputError: it is not valid; the message has the line and the remedy.

    >>> load_mapping("physionet2012").code_system
    'PHYSIONET2012'
    """
    path = Path(named)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise NotFoundError("there is no mapping file {path!r}", path=str(path))
        try:
            return parse_mapping(path.read_text(encoding="utf-8-sig"), name=path.name)
        except UnicodeDecodeError as error:
            raise InputError("mapping {name!r} is not UTF-8; save it as UTF-8", name=path.name) from error
    shipped = shipped_mappings()
    if str(named) not in shipped:
        raise NotFoundError(
            "no mapping is called {name!r}; there are: {names}; or name a .yaml file",
            name=str(named),
            names=list(shipped),
        )
    return parse_mapping(shipped[str(named)], name=str(named))


def shipped_mappings() -> Mapped[str, str]:
    """Give the text of every mapping that comes with Medloom, by name.

    >>> "physionet2012" in shipped_mappings()
    True
    """
    folder = files("medloom.record.importers.table") / "mappings"
    entries = sorted((e for e in folder.iterdir() if e.name.endswith(".yaml")), key=lambda e: e.name)
    return {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in entries}


def parse_mapping(text: str, name: str = "mapping") -> Mapping:
    """Read a mapping from YAML text.

    Raises:
        InputError: it is not valid; the message has the line and the remedy.
    """
    return parse_yaml(text, Mapping, "mapping", name)


def _listed(data: object, key: str) -> object:
    """Let one text stand for a list of one."""
    if isinstance(data, dict) and isinstance(data.get(key), str):
        return {**data, key: [data[key]]}
    return data
