"""From rows of text to facts, as one table of a mapping says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from medloom.foundation.errors import InputError
from medloom.record.importers.table import problems
from medloom.record.importers.table.cells import Cells, full_code
from medloom.record.importers.table.conditions import all_of, parse_condition
from medloom.record.importers.table.mapping import FILE, SUBJECT, Event, Mapping, Table
from medloom.record.importers.table.numbers import read_numbers
from medloom.record.importers.table.reading import Rows, looks_like_data, no_header
from medloom.record.importers.table.sources import matches
from medloom.record.importers.table.timing import TIMES, moment_times, row_times
from medloom.record.importing import CodeInfo
from medloom.record.quarantine import SHAPED
from medloom.record.schema import BATCH_SCHEMA, ONCE

# What the facts of a row share, and all that is said of a fact.
_CONTEXT = ("patient", "encounter", "key", "file", "row")
_FACT = (
    *_CONTEXT,
    *(
        "time",
        "known_time",
        "code",
        "numeric_value",
        "text_value",
        "unit",
        "role",
        "static",
        "part",
        "problem",
    ),
)
_TOLD_SHAPES = 5  # of unreadable times, told in the reasons of an import
_SHAPE = pl.Schema({name: BATCH_SCHEMA[name] for name in _FACT})


@dataclass
class Extract:
    """Facts of some rows, and what became of the rows that hold none."""

    facts: pl.DataFrame
    records: int
    passed_over: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Lookup:
    """A joined file, held in memory: one row a key."""

    on: tuple[str, ...]
    frame: pl.DataFrame


class TableFacts:
    """Turns rows of one table into facts; remembers what holds once a subject."""

    def __init__(
        self, mapping: Mapping, table: Table, zone: str, root: str, lookups: Sequence[Lookup] = ()
    ) -> None:
        self.mapping, self.table, self.zone, self.root = mapping, table, zone, root
        self.lookups = tuple(lookups)
        self.missing = mapping.missing_in(table)
        self._cells = Cells(mapping, table)
        self._name = _name(mapping, table)
        self._subject_of: dict[str, str | None] = {}  # file -> its last subject row
        self._met: set[int] = set()  # static facts, by hash
        self._given: dict[str, set[str]] = {}  # fact of a set of files -> who has it
        # of each event what has had it once, and the cell that said when
        self._had: list[dict[tuple[str | None, ...], str | None]] = [{} for _ in table.events]
        self._shapes: set[str] = set()  # of unreadable times, the first few

    def columns(self, header: Sequence[str], label: str) -> list[str]:
        """Choose the columns to read.

        Raises:
            InputError: the mapping names a column that is not there.
        """
        joined = {c for lookup in self.lookups for c in lookup.frame.columns if c not in lookup.on}
        wanted = [c for c in _columns_named(self.table) if c not in joined and c not in (SUBJECT, FILE)]
        check_columns(wanted, header, label)
        return wanted or list(header[:1])

    def codes(self) -> dict[str, CodeInfo]:
        """Give the descriptions in the mapping."""
        described = [(item.code or name, item.description) for name, item in self._cells.items]
        described = [(code, text) for code, text in described if "{value}" not in code]
        described += [(event.code, event.description) for event in self.table.events]
        return {full_code(self.mapping, code): CodeInfo(text) for code, text in described if text}

    def extract(self, rows: Rows) -> Extract:
        """Turn rows into facts."""
        extract = Extract(_malformed(rows), rows.frame.height + len(rows.malformed))
        if rows.empty:
            extract.notes[problems.EMPTY_FILE] += rows.empty
        if not rows.frame.height:
            return extract
        frame = self._prepared(rows, extract.notes)
        parts = [self._event(frame, n, event, extract.notes) for n, event in enumerate(self.table.events)]
        if self._cells.items or self.table.long:
            parts.insert(0, self._of_cells(frame, extract.notes))
        parts += self._of_files(frame, rows)
        stated = pl.concat([part.select("_i", *_FACT) for part in parts])
        facts = self._once(stated, extract.notes)
        self._count_silent(frame, stated["_i"], extract.passed_over)
        extract.facts = self._with_few_shapes(pl.concat([facts.drop("_i"), extract.facts]))
        return extract

    def _prepared(self, rows: Rows, notes: Counter[str]) -> pl.DataFrame:
        """Trim cells, mark missing ones, join, and find each row's subject, encounter and key."""
        table, place = self.table, pl.Series(rows.place, dtype=pl.UInt32)
        # NA is a code (sodium) and may be an identifier, but it is no value.
        names = {table.subject.column, table.long.code if table.long else None}
        names.update(column for lookup in self.lookups for column in lookup.on)
        frame = rows.frame.select(pl.all().str.strip_chars()).with_columns(
            pl.when(pl.col(c).is_in([""] if c in names else self.missing))
            .then(None)
            .otherwise(pl.col(c))
            .alias(c)
            for c in rows.frame.columns
        )
        frame = frame.with_columns(
            pl.Series("_i", np.arange(frame.height, dtype=np.uint32)),
            place.alias("_place"),
            pl.Series(FILE, [file.name for file in rows.files]).gather(place),
            pl.Series("file", [file.ordinal for file in rows.files], dtype=pl.Int32).gather(place),
            pl.Series("row", rows.row),
        )
        for lookup in self.lookups:
            counterpart = lookup.frame.with_columns(_found=True)
            frame = frame.join(counterpart, on=lookup.on, how="left", maintain_order="left")
            if unfound := frame["_found"].null_count():
                notes[problems.UNJOINED] += unfound
            frame = frame.drop("_found")
        frame = frame.with_columns(self._subject(frame, rows).alias(SUBJECT))
        nothing = pl.lit(None, dtype=pl.String)
        frame = frame.with_columns(
            pl.col(SUBJECT).alias("patient"),
            (pl.col(table.encounter) if table.encounter else nothing).alias("encounter"),
            self._key().alias("key"),
        )
        if table.key:
            again = pl.struct("patient", "key").is_first_distinct().not_() & pl.col("key").is_not_null()
            if repeated := int(frame.select(again.sum()).item()):
                notes[problems.KEY_REPEATED] += repeated
        return frame

    def _key(self) -> pl.Expr:
        """Name each row for ever: its table, its key, and its code where one key may have many codes."""
        table = self.table
        if table.key is None:
            return pl.lit(None, dtype=pl.String)
        key = pl.format("{}/{}", pl.lit(self._name), pl.col(table.key))
        return key if table.long is None else pl.format("{}/{}", key, pl.col(table.long.code).fill_null(""))

    def _subject(self, frame: pl.DataFrame, rows: Rows) -> pl.Series:
        subject, long = self.table.subject, self.table.long
        place = pl.Series(rows.place, dtype=pl.UInt32)
        if subject.column is not None:
            return frame[subject.column]
        if subject.file is not None:
            found = [re.search(subject.file, file.name) for file in rows.files]
            return pl.Series([m.group(1) if m else None for m in found], dtype=pl.String).gather(place)
        assert long is not None  # the mapping's validation
        assert long.value is not None
        last = pl.Series([self._subject_of.get(file.name) for file in rows.files], dtype=pl.String)
        told = pl.when(pl.col(long.code) == subject.row).then(pl.col(long.value))
        carried = pl.when(pl.col("_place").is_first_distinct()).then(last.gather(place))
        who = frame.select("_place", who=pl.coalesce(told, carried))
        who = who.select(pl.col("who").forward_fill().over("_place"))
        # only the last file can go on in the next piece
        self._subject_of = {rows.files[rows.place[-1]].name: who["who"][-1]}
        return who["who"]

    def _of_cells(self, frame: pl.DataFrame, notes: Counter[str]) -> pl.DataFrame:
        """Facts of `long` and `columns`."""
        cells = self._cells.take(frame, notes)
        of_row = frame.select(_CONTEXT).hstack(row_times(frame, self.table, self.zone))
        said = [name for name in of_row.columns if of_row[name].null_count() < of_row.height]
        unsaid = {name: pl.lit(None, dtype=kind) for name, kind in of_row.schema.items() if name not in said}
        timed = ~pl.col("static")
        cells = cells.hstack(of_row.select(said)[cells["_i"]]).with_columns(**unsaid)
        return cells.with_columns(
            time=pl.when(timed).then("time"),
            known_time=pl.when(timed).then("known_time"),
            part=self._part(pl.col("part")),
            problem=pl.coalesce(
                pl.when(pl.col("patient").is_null()).then(pl.lit(problems.NO_SUBJECT)),
                pl.when(pl.col("code").is_null()).then(pl.lit(problems.NO_CODE)),
                pl.when(timed).then("problem"),
            ),
        )

    def _part(self, place: pl.Expr) -> pl.Expr:
        """Place a fact in its row; without a key say whether equal facts are several."""
        unnamed = pl.lit(None if self.table.repeats == "keep" else ONCE, dtype=pl.Int32)
        return pl.when(pl.col("key").is_not_null()).then(place).otherwise(unnamed)

    def _event(self, frame: pl.DataFrame, number: int, event: Event, notes: Counter[str]) -> pl.DataFrame:
        chosen = frame.filter(all_of(event.when)) if event.when else frame
        if event.at is not None and event.at.column is not None:
            chosen = chosen.filter(pl.col(event.at.column).is_not_null())
        if event.value is not None:
            chosen = chosen.filter(pl.col(event.value).is_not_null())
        if event.each != "row":
            chosen = self._first_tellers(chosen, number, event, notes)
        if event.static:
            times = TIMES.to_frame().clear(chosen.height)
        elif event.at is None:
            times = row_times(chosen, self.table, self.zone)
        else:
            times = moment_times(chosen, self.table, event.at, event.known, self.zone)
        cells = pl.Series([None], dtype=pl.String).new_from_index(0, chosen.height)
        read = read_numbers(
            chosen[event.value] if event.value else cells, self.table.decimal, self.table.thousands
        )
        usual = "encounter" if event.code.startswith("ENCOUNTER//") else self.table.role
        part = pl.lit(len(self.table.columns) + 1 + number, dtype=pl.Int32)
        return (
            chosen.select("_i", *_CONTEXT)
            .hstack(times)
            .with_columns(
                pl.lit(full_code(self.mapping, event.code)).alias("code"),
                read["number"].alias("numeric_value"),
                read["text"].alias("text_value"),
                pl.lit(event.unit, dtype=pl.String).alias("unit"),
                pl.lit(event.role or ("demographic" if event.static else usual)).alias("role"),
                pl.lit(event.static).alias("static"),
                self._part(part).alias("part"),
                pl.coalesce(
                    pl.when(pl.col("patient").is_null()).then(pl.lit(problems.NO_SUBJECT)), "problem"
                ).alias("problem"),
            )
        )

    def _first_tellers(
        self, chosen: pl.DataFrame, number: int, event: Event, notes: Counter[str]
    ) -> pl.DataFrame:
        """Take of each subject or stay the first row that tells of an event, unless an earlier piece had one."""
        whose = ["patient"] if event.each == "subject" else ["patient", "encounter"]
        at = event.at.column if event.at is not None else None
        told = chosen.select(
            *whose, at=pl.col(at) if at else pl.lit(None, dtype=pl.String), n=pl.int_range(pl.len())
        )
        told = told.filter(pl.col(whose[-1]).is_not_null()).unique([*whose, "at"], maintain_order=True)
        had, places = self._had[number], []
        for *who, cell, place in told.iter_rows():
            if tuple(who) not in had:
                had[tuple(who)] = cell
                places.append(place)
            elif had[tuple(who)] != cell:
                notes[problems.TOLD_OTHERWISE] += 1
        # without a stay to belong to each row speaks for itself
        alone = (
            chosen["encounter"].is_null().arg_true()
            if event.each == "encounter"
            else pl.Series([], dtype=pl.UInt32)
        )
        chosen = chosen[sorted([*places, *alone])]
        if self.table.key is None or event.each == "subject":
            return chosen
        # which row tells of a stay first differs from export to export: the stay names the fact, not the row
        stay = pl.format("{}/{}/{}", "patient", "encounter", pl.lit(f"once{number}"))
        return chosen.with_columns(key=pl.coalesce(pl.format("{}/{}", pl.lit(self._name), stay), "key"))

    def _of_files(self, frame: pl.DataFrame, rows: Rows) -> list[pl.DataFrame]:
        """Static facts that a set of files gives its subjects."""
        if not any(chosen.facts for chosen in self.table.files):
            return []
        parts: list[pl.DataFrame] = []
        first = _first_rows(frame)
        for chosen in self.table.files:
            if not chosen.facts:
                continue
            inside = [n for n, file in enumerate(rows.files) if matches(file.name, self.root, [chosen.glob])]
            theirs = first.filter(pl.col("_place").is_in(inside)).unique("patient", maintain_order=True)
            for code in chosen.facts:
                given = self._given.setdefault(code, set())
                new = theirs.filter(pl.Series([p not in given for p in theirs["patient"]], dtype=pl.Boolean))
                given.update(new["patient"])
                said = {"code": pl.lit(full_code(self.mapping, code)), "role": pl.lit("demographic")}
                said |= {name: pl.col(name) for name in ("patient", "encounter", "file", "row")}
                said |= {"static": pl.lit(True)}
                blank = {name: pl.lit(None, dtype=kind) for name, kind in _SHAPE.items()}
                parts.append(new.select("_i", **(blank | said)))
        return parts

    def _once(self, facts: pl.DataFrame, notes: Counter[str]) -> pl.DataFrame:
        """Keep the first of equal static facts of a subject: tables repeat them in every row."""
        of_subject = pl.col("static") & pl.col("problem").is_null()
        places = facts.select(of_subject).to_series().arg_true()
        static = facts[places]
        hashes = static.select("patient", "code", "numeric_value", "text_value").hash_rows()
        first = hashes.is_first_distinct()
        new = [is_first and h not in self._met for is_first, h in zip(first, hashes, strict=True)]
        self._met.update(hashes)
        if all(new):
            return facts
        notes[problems.REPEATED] += new.count(False)
        kept = np.ones(facts.height, dtype=bool)
        kept[places.to_numpy()] = new
        return facts.filter(pl.Series(kept))

    def _with_few_shapes(self, facts: pl.DataFrame) -> pl.DataFrame:
        """Keep of unreadable times the first few shapes: a column of free text has as many as rows."""
        shaped = facts["problem"].unique(maintain_order=True).drop_nulls()
        shaped = shaped.filter(shaped.str.contains(SHAPED))
        for problem in shaped:
            if len(self._shapes) < _TOLD_SHAPES:
                self._shapes.add(problem)
        many = [problem for problem in shaped if problem not in self._shapes]
        if not many:
            return facts
        plain = pl.col("problem").str.replace(SHAPED, "")
        return facts.with_columns(
            problem=pl.when(pl.col("problem").is_in(many)).then(plain).otherwise("problem")
        )

    def _count_silent(self, frame: pl.DataFrame, stated: pl.Series, passed_over: Counter[str]) -> None:
        """Count the rows without a fact, by reason; `stated`: rows that have one, be it a repeated one."""
        spoken = np.zeros(frame.height, dtype=bool)
        spoken[stated.to_numpy()] = True
        silent = frame.filter(~pl.Series(spoken))
        if not silent.height:
            return
        ignored, unmet = pl.lit(False), pl.lit(False)
        if (long := self.table.long) is not None:
            code = pl.col(long.code)
            ignored = code.is_in([name for name, item in long.codes.items() if item.ignore])
            ignored |= code == (self.table.subject.row or "")
            if long.others == "ignore":
                ignored |= ~code.is_in(list(long.codes))
            for name, item in long.codes.items():
                if item.when:
                    unmet |= (code == name) & ~all_of(item.when)
        reason = pl.when(ignored).then(pl.lit(problems.IGNORED)).when(unmet).then(pl.lit(problems.UNMET))
        reasons = silent.select(reason.otherwise(pl.lit(problems.NO_VALUE))).to_series()
        for name, count in reasons.value_counts().iter_rows():
            passed_over[name] += count


def check_columns(wanted: Sequence[str], header: Sequence[str], label: str) -> None:
    """Check that a file has the columns a mapping names.

    Raises:
        InputError: it has not; the message lists those it has, unless they may be a patient's row.
    """
    if absent := [column for column in wanted if column not in header]:
        if looks_like_data(header):
            raise no_header(label)
        raise InputError(
            "{label} has no column {names}; it has: {header}; mend the mapping",
            label=label,
            names=list(map(repr, absent)),
            header=list(header),
        )


def _columns_named(table: Table) -> list[str]:
    """List the columns a table of the mapping speaks of, each once."""
    named: list[str | None] = [table.subject.column, table.encounter, table.key]
    named += [table.base.column] if table.base else []
    moments = [table.time, table.known, *(m for event in table.events for m in (event.at, event.known))]
    named += [moment.column for moment in moments if moment is not None]
    if table.long:
        named += [table.long.code, table.long.value, table.long.unit, table.long.text]
    named += [name for name, item in table.columns.items() if not item.ignore]
    named += [event.value for event in table.events]
    items = [*table.columns.values(), *(table.long.codes.values() if table.long else ())]
    conditions = [text for part in (*items, *table.events) for text in part.when]
    named += [parse_condition(text).column for text in conditions]
    named += [column for join in table.join for column in join.on]
    return list(dict.fromkeys(name for name in named if name is not None))


def _name(mapping: Mapping, table: Table) -> str:
    """Name a table within its mapping by the files it reads, and by a number where another reads the same."""
    alike = [other for other in mapping.tables if _globs(other) == _globs(table)]
    number = next(n for n, other in enumerate(alike) if other is table)
    return "|".join(_globs(table)) + (f"#{number}" if number else "")


def _globs(table: Table) -> list[str]:
    return [chosen.glob for chosen in table.files]


def _malformed(rows: Rows) -> pl.DataFrame:
    """Turn lines of the wrong length into facts for quarantine; not their text, which may name anybody."""
    told = pl.DataFrame(
        [
            (
                rows.files[bad.place].ordinal,
                bad.row,
                f"{bad.found} cells, {bad.expected} expected",
                problems.WRONG_LENGTH,
            )
            for bad in rows.malformed
        ],
        schema={"file": pl.Int32, "row": pl.Int64, "text_value": pl.String, "problem": pl.String},
        orient="row",
    )
    return told.select(
        (pl.col(name) if name in told.columns else pl.lit(None, dtype=kind)).alias(name)
        for name, kind in _SHAPE.items()
    )


def _first_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Take a row of each subject in each file: the first of every run of rows."""
    patient, place = pl.col("patient"), pl.col("_place")
    new = patient.ne_missing(patient.shift()) | place.ne_missing(place.shift())
    runs = frame.filter((new | pl.int_range(pl.len()).eq(0)) & patient.is_not_null())
    return runs.unique(["_place", "patient"], keep="first", maintain_order=True)
