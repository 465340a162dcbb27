"""From rows of text to facts, as one table of a mapping says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping as PyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from medloom.foundation.errors import InputError
from medloom.record.importers.table import problems
from medloom.record.importers.table.conditions import parse_condition
from medloom.record.importers.table.mapping import FILE, SUBJECT, Event, Item, Mapping, Moment, Table
from medloom.record.importers.table.moments import read_dates, read_duration, read_offsets
from medloom.record.importers.table.numbers import read_numbers
from medloom.record.importers.table.reading import Rows
from medloom.record.importers.table.sources import matches
from medloom.record.importing import CodeInfo
from medloom.record.schema import BATCH_SCHEMA, EARLIEST, LATEST, end_of_day

# Columns of the row that its facts share; the others belong to the single fact.
_CONTEXT = ("patient", "encounter", "key", "file", "row")
_FACT = (
    *_CONTEXT,
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
)
_SHAPE = {name: BATCH_SCHEMA[name] for name in _FACT}
# What cannot be told apart by its text: 0, 0.0 and 0.00 mean the same coded cell.
_CANONICAL = r"^(-?\d+)\.0+$"


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
        self, mapping: Mapping, table: Table, zone: str, root_name: str, lookups: Sequence[Lookup] = ()
    ) -> None:
        self.mapping, self.table, self.zone, self.root_name = mapping, table, zone, root_name
        self.lookups = tuple(lookups)
        self.missing = list(mapping.missing if table.missing is None else table.missing)
        long_items = list(table.long.codes.items()) if table.long else []
        self.items: list[tuple[str, Item]] = [*long_items, *table.columns.items()]
        self.first_column = len(long_items)
        self._subject_of: dict[str, str | None] = {}  # file -> its last subject row
        self._met: set[int] = set()  # static facts, by hash
        self._given: dict[str, set[str]] = {}  # facts of a set of files -> who has them
        self._started: set[str] = set()  # subjects that have had their once-a-subject events

    def columns(self, header: Sequence[str], label: str) -> list[str]:
        """Choose the columns to read.

        Raises:
            InputError: the mapping names a column that is not there.
        """
        joined = {c for lookup in self.lookups for c in lookup.frame.columns if c not in lookup.on}
        wanted = [c for c in _columns_named(self.table) if c not in joined and c not in (SUBJECT, FILE)]
        absent = [c for c in wanted if c not in header]
        if absent:
            raise InputError(
                "{label} has no column {names}; it has: {header}; mend the mapping",
                label=label,
                names=", ".join(map(repr, absent)),
                header=", ".join(header),
            )
        return wanted or list(header[:1])

    def codes(self) -> dict[str, CodeInfo]:
        """Give the descriptions in the mapping."""
        described = [
            (item.code, item.description)
            for _, item in self.items
            if item.code and "{value}" not in item.code
        ]
        described += [(event.code, event.description) for event in self.table.events]
        return {self._full(code): CodeInfo(text) for code, text in described if text}

    def extract(self, rows: Rows) -> Extract:
        """Turn rows into facts."""
        extract = Extract(_malformed(rows), rows.frame.height + len(rows.malformed))
        if rows.empty:
            extract.notes[problems.EMPTY_FILE] += rows.empty
        if not rows.frame.height:
            return extract
        frame = self._prepared(rows, extract)
        parts = [
            self._cells(frame, extract),
            *(self._event(frame, n, e) for n, e in enumerate(self.table.events)),
        ]
        parts += self._facts_of_files(frame, rows)
        facts = self._once(pl.concat([part.select("_i", *_FACT) for part in parts]), extract)
        self._count_silent(frame, facts, extract)
        extract.facts = pl.concat([facts.drop("_i"), extract.facts])
        return extract

    def _prepared(self, rows: Rows, extract: Extract) -> pl.DataFrame:
        """Trim cells, mark missing ones, join, and find each row's subject, encounter and key."""
        table = self.table
        names = np.array([file.name for file in rows.files], dtype=object)
        frame = rows.frame.select(pl.all().str.strip_chars()).with_columns(
            pl.Series("_i", np.arange(rows.frame.height, dtype=np.uint32)),
            pl.Series("_place", rows.place),
            pl.Series(FILE, names).gather(rows.place.astype(np.uint32)),
            pl.Series("file", np.array([f.ordinal for f in rows.files], np.int32)[rows.place]),
            pl.Series("row", rows.row),
        )
        # NA is a code (sodium) and may be an identifier, but it is no value.
        verbatim = {
            "_i",
            "_place",
            FILE,
            "file",
            "row",
            table.subject.column,
            table.long.code if table.long else None,
        }
        for lookup in self.lookups:
            verbatim.update(lookup.on)
        values = [c for c in frame.columns if c not in verbatim]
        frame = frame.with_columns(
            *(
                pl.when(pl.col(c).is_in(self.missing)).then(None).otherwise(pl.col(c)).alias(c)
                for c in values
            ),
            *(
                pl.when(pl.col(c) != "").then(pl.col(c)).alias(c)
                for c in frame.columns
                if c in verbatim - {"_i", "_place", "file", "row"}
            ),
        )
        for lookup in self.lookups:
            frame = frame.join(
                lookup.frame.with_columns(_found=True), on=lookup.on, how="left", maintain_order="left"
            )
            if unfound := frame["_found"].null_count():
                extract.notes[problems.UNJOINED] += unfound
            frame = frame.drop("_found")
        frame = frame.with_columns(self._subject(frame, rows).alias(SUBJECT))
        return frame.with_columns(
            pl.col(SUBJECT).alias("patient"),
            (pl.col(table.encounter) if table.encounter else pl.lit(None, dtype=pl.String)).alias(
                "encounter"
            ),
            (pl.col(table.key) if table.key else pl.lit(None, dtype=pl.String)).alias("key"),
        )

    def _subject(self, frame: pl.DataFrame, rows: Rows) -> pl.Series:
        subject = self.table.subject
        if subject.column is not None:
            return frame[subject.column]
        if subject.file is not None:
            found = [re.search(subject.file, file.name) for file in rows.files]
            named = pl.Series([m.group(1) if m else None for m in found], dtype=pl.String)
            return named.gather(rows.place.astype(np.uint32))
        long = self.table.long
        assert long is not None and long.value is not None  # the mapping's validation
        marks = frame.select(
            pl.col("_place"),
            who=pl.when(pl.col(long.code) == subject.row).then(pl.col(long.value)),
            first=pl.col("_place").is_first_distinct(),
        )
        carried = pl.Series([self._subject_of.get(file.name) for file in rows.files], dtype=pl.String)
        who = marks.with_columns(carried=carried.gather(rows.place.astype(np.uint32))).select(
            "_place",
            who=pl.when("first")
            .then(pl.coalesce("who", "carried"))
            .otherwise("who")
            .forward_fill()
            .over("_place"),
        )
        # only the last file can go on in the next piece
        self._subject_of = {rows.files[rows.place[-1]].name: who["who"][-1]}
        return who["who"]

    def _cells(self, frame: pl.DataFrame, extract: Extract) -> pl.DataFrame:
        """Facts of `long` and `columns`: one path, for a column is a code with a name of its own."""
        cells = self._passed(pl.concat([*self._long_cells(frame), *self._column_cells(frame)]), frame)
        read = read_numbers(cells["cell"], self.table.decimal, self.table.thousands)
        doubtful = int((read["doubtful"] & ~cells["as_text"]).sum())
        if doubtful:
            extract.notes[problems.DOUBTFUL] += doubtful
        cells = cells.with_columns(read.select("number", "text"))
        cells = self._with_listed_values(cells, extract)
        verbatim = pl.col("mapped").is_not_null() | pl.col("template")
        cells = cells.with_columns(
            code=pl.coalesce(
                "mapped",
                pl.when("template").then(_inserted(pl.col("code"), pl.col("cell"))).otherwise("code"),
                pl.when(pl.col("source").str.contains("//", literal=True))
                .then("source")
                .otherwise(pl.concat_str(pl.lit(self.mapping.code_system + "//"), "source")),
            ),
            numeric_value=pl.when(~verbatim & ~pl.col("as_text")).then("number"),
            text_value=pl.when(~verbatim).then(
                pl.coalesce(pl.when("as_text").then("cell").otherwise("text"), "companion")
            ),
            unit=pl.when(~verbatim).then(pl.coalesce("row_unit", "unit")),
        )
        times = self._row_times(frame)
        facts = pl.concat(
            [cells, *(f[cells["_i"]] for f in (frame.select(_CONTEXT), times))], how="horizontal"
        )
        timeless = pl.col("static")
        return facts.with_columns(
            time=pl.when(~timeless).then("time"),
            known_time=pl.when(~timeless).then("known_time"),
            part=pl.when(pl.col("key").is_not_null()).then("part"),
            problem=pl.coalesce(
                pl.when(pl.col("patient").is_null()).then(pl.lit(problems.NO_SUBJECT)),
                pl.when(pl.col("code").is_null()).then(pl.lit(problems.NO_CODE)),
                pl.when(~timeless).then("problem"),
            ),
        )

    def _long_cells(self, frame: pl.DataFrame) -> list[pl.DataFrame]:
        long = self.table.long
        if long is None:
            return []
        names = [name for name, _ in self.items[: self.first_column]]
        item = pl.col(long.code).replace_strict(
            names, range(len(names)), default=None, return_dtype=pl.UInt32
        )
        nothing = pl.lit(None, dtype=pl.String)
        cells = frame.select(
            "_i",
            item=item if names else pl.lit(None, dtype=pl.UInt32),
            source=pl.col(long.code),
            cell=pl.col(long.value) if long.value else nothing,
            row_unit=pl.col(long.unit) if long.unit else nothing,
            companion=pl.col(long.text) if long.text else nothing,
            part=pl.lit(0, dtype=pl.Int32),
        )
        if not long.keep_empty and (long.value or long.text):
            cells = cells.filter(pl.col("cell").is_not_null() | pl.col("companion").is_not_null())
        if long.others == "ignore":
            cells = cells.filter(pl.col("item").is_not_null())
        if self.table.subject.row is not None:
            cells = cells.filter(pl.col("source").ne_missing(self.table.subject.row))
        return [cells]

    def _column_cells(self, frame: pl.DataFrame) -> list[pl.DataFrame]:
        names = [name for name, item in self.items[self.first_column :] if not item.ignore]
        if not names:
            return []
        order = {name: n for n, (name, _) in enumerate(self.items[self.first_column :], self.first_column)}
        # A column may have any name, also one of ours: give them numbers first.
        numbered = frame.select("_i", *(pl.col(name).alias(str(order[name])) for name in names))
        cells = numbered.unpivot(index="_i", variable_name="item", value_name="cell").drop_nulls("cell")
        item = pl.col("item").cast(pl.UInt32)
        return [
            cells.select(
                "_i",
                item=item,
                source=item.replace_strict(
                    list(order.values()), list(order), default=None, return_dtype=pl.String
                ),
                cell="cell",
                row_unit=pl.lit(None, dtype=pl.String),
                companion=pl.lit(None, dtype=pl.String),
                part=item.cast(pl.Int32) - self.first_column + 1,
            )
        ]

    def _passed(self, cells: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
        """Leave out what the items ignore, call missing, or set conditions for; add what they say."""
        properties = pl.DataFrame(
            {
                "item": range(len(self.items)),
                "code": [None if i.code is None else self._full(i.code) for _, i in self.items],
                "template": ["{value}" in (i.code or "") for _, i in self.items],
                "unit": [i.unit for _, i in self.items],
                "role": [i.role or ("demographic" if i.static else self.table.role) for _, i in self.items],
                "static": [i.static for _, i in self.items],
                "as_text": [i.text for _, i in self.items],
                "ignore": [i.ignore for _, i in self.items],
            },
            schema={
                "item": pl.UInt32(), "code": pl.String(), "template": pl.Boolean(), "unit": pl.String(),

                    "role": pl.String(),
                    "static": pl.Boolean(),
                    "as_text": pl.Boolean(),
                    "ignore": pl.Boolean()
                ,
            },
        )
        cells = self._without_missing(cells)
        said = properties.select(pl.exclude("item").gather(cells["item"]))
        cells = pl.concat([cells, said], how="horizontal").with_columns(
            pl.col("template", "static", "as_text", "ignore").fill_null(False),
            pl.col("role").fill_null(self.table.role),
        )
        cells = cells.filter(~pl.col("ignore"))
        for n, (_, item) in enumerate(self.items):
            if item.when:
                met = frame.select(_all(item.when)).to_series()
                cells = cells.filter((pl.col("item") != n).fill_null(True) | met[cells["_i"]])
        return cells

    def _without_missing(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Leave out the cells that an item of its own calls missing."""
        absent = [(n, _canonical(mark)) for n, (_, item) in enumerate(self.items) for mark in item.missing]
        found = self._listed(cells, absent, dict.fromkeys(absent, True), pl.Boolean())
        return cells if found is None else cells.filter(found.is_null())

    def _with_listed_values(self, cells: pl.DataFrame, extract: Extract) -> pl.DataFrame:
        """Add `mapped`: the code that an item lists for the cell."""
        listed = {
            (n, _canonical(cell)): self._full(code)
            for n, (_, item) in enumerate(self.items)
            for cell, code in item.values.items()
        }
        mapped = self._listed(cells, list(listed), listed, pl.String())
        if mapped is None:
            return cells.with_columns(mapped=pl.lit(None, dtype=pl.String))
        with_list = [n for n, (_, item) in enumerate(self.items) if item.values]
        if lacking := int((cells["item"].is_in(with_list) & mapped.is_null()).sum()):
            extract.notes[problems.UNMAPPED] += lacking
        return cells.with_columns(mapped=mapped)

    def _listed(
        self,
        cells: pl.DataFrame,
        keys: Sequence[tuple[int, str]],
        found: PyMapping[tuple[int, str], object],
        kind: pl.DataType,
    ) -> pl.Series | None:
        """Look cells up in a list of (item, cell); null where it is not listed, None if there is nothing to find."""
        if not keys:
            return None
        # few items have such lists: look only at their cells
        places = cells["item"].is_in(list({n for n, _ in keys})).fill_null(False).arg_true()
        table = pl.DataFrame(
            {
                "item": [n for n, _ in keys],
                "cell": [cell for _, cell in keys],
                "found": [found[key] for key in keys],
            },
            schema={"item": pl.UInt32(), "cell": pl.String(), "found": kind},
        ).unique(["item", "cell"], keep="first")
        asked = cells[places].select("item", pl.col("cell").str.replace(_CANONICAL, "$1"))
        answers = asked.join(table, on=["item", "cell"], how="left", maintain_order="left")["found"]
        return pl.Series([None], dtype=kind).new_from_index(0, cells.height).scatter(places, answers)

    def _event(self, frame: pl.DataFrame, number: int, event: Event) -> pl.DataFrame:
        table = self.table
        chosen = frame.filter(_all(event.when)) if event.when else frame
        if event.each == "subject":
            chosen = _first_rows(chosen).unique("patient", keep="first", maintain_order=True)
            new = [patient not in self._started for patient in chosen["patient"]]
            chosen = chosen.filter(pl.Series(new, dtype=pl.Boolean))
        if event.static:
            times = pl.DataFrame(
                schema={"time": pl.Datetime("us"), "known_time": pl.Datetime("us"), "problem": pl.String}
            )
            times = times.clear(chosen.height)
        elif event.at is None:
            times = self._row_times(chosen)
        else:
            times = self._times(chosen, event.at, event.known)
        chosen = pl.concat([chosen, times], how="horizontal")
        if event.at is not None and event.at.column is not None:
            chosen = chosen.filter(pl.col(event.at.column).is_not_null())
        if event.value is not None:
            read = read_numbers(chosen[event.value], table.decimal, table.thousands)
        else:
            read = pl.DataFrame(schema={"number": pl.Float64, "text": pl.String}).clear(chosen.height)
        role = event.role or ("encounter" if event.code.startswith("ENCOUNTER//") else table.role)
        facts = chosen.select(
            "_i",
            *_CONTEXT,
            "time",
            "known_time",
            code=pl.lit(self._full(event.code)),
            numeric_value=read["number"],
            text_value=read["text"],
            unit=pl.lit(event.unit, dtype=pl.String),
            role=pl.lit("demographic" if event.static and event.role is None else role),
            static=pl.lit(event.static),
            part=pl.when(pl.col("key").is_not_null()).then(
                pl.lit(len(table.columns) + 1 + number, dtype=pl.Int32)
            ),
            problem=pl.coalesce(
                pl.when(pl.col("patient").is_null()).then(pl.lit(problems.NO_SUBJECT)), "problem"
            ),
        )
        return facts.cast(_SHAPE)

    def _facts_of_files(self, frame: pl.DataFrame, rows: Rows) -> list[pl.DataFrame]:
        """Static facts that a set of files gives its subjects, and who has now had their events."""
        parts = []
        sets = [s for s in self.table.files if s.facts]
        first = _first_rows(frame)
        self._started.update(first["patient"].to_list())
        for chosen in sets:
            inside = [
                n for n, file in enumerate(rows.files) if matches(file.name, self.root_name, [chosen.glob])
            ]
            theirs = first.filter(pl.col("_place").is_in(inside))
            for code in chosen.facts:
                given = self._given.setdefault(code, set())
                theirs = theirs.filter(
                    pl.Series([p not in given for p in theirs["patient"]], dtype=pl.Boolean)
                )
                given.update(theirs["patient"])
                nothing = [
                    pl.lit(None, dtype=_SHAPE[c]).alias(c)
                    for c in _FACT
                    if c not in (*_CONTEXT, "code", "role", "static")
                ]
                parts.append(
                    theirs.select(
                        *("_i", *_CONTEXT),
                        *nothing,
                        code=pl.lit(self._full(code)),
                        role=pl.lit("demographic"),
                        static=pl.lit(True),
                    ).with_columns(key=pl.lit(None, dtype=pl.String))
                )
        return parts

    def _once(self, facts: pl.DataFrame, extract: Extract) -> pl.DataFrame:
        """Keep the first of equal static facts of a subject: tables repeat them in every row."""
        static = facts.filter(pl.col("static") & pl.col("problem").is_null())
        if not static.height:
            return facts
        content = static.select("patient", "code", "numeric_value", "text_value")
        hashes = pl.Series(content.hash_rows())
        first = hashes.is_first_distinct()
        new = pl.Series(
            [first_ and h not in self._met for first_, h in zip(first, hashes, strict=True)], dtype=pl.Boolean
        )
        self._met.update(hashes.filter(new).to_list())
        if repeated := int((~new).sum()):
            extract.notes[problems.REPEATED] += repeated
        others = facts.filter(~(pl.col("static") & pl.col("problem").is_null()))
        return pl.concat([static.filter(new), others])

    def _count_silent(self, frame: pl.DataFrame, facts: pl.DataFrame, extract: Extract) -> None:
        """Count the rows without a fact, by the reason that is told first."""
        if not self.table.long and self._met:
            return  # a row that only repeats a static fact has been noted as such
        silent = frame.filter(~pl.col("_i").is_in(facts["_i"].unique().implode()))
        if not silent.height:
            return
        long = self.table.long
        ignored = pl.lit(False)
        unmet = pl.lit(False)
        if long is not None:
            names = {name: item for name, item in self.items[: self.first_column]}
            passed = [name for name, item in names.items() if item.ignore]
            passed += [self.table.subject.row] if self.table.subject.row else []
            ignored = pl.col(long.code).is_in(passed)
            if long.others == "ignore":
                ignored = ignored | ~pl.col(long.code).is_in(list(names))
            for name, item in names.items():
                if item.when:
                    unmet = unmet | ((pl.col(long.code) == name) & ~_all(item.when))
        reason = (
            pl.when(ignored)
            .then(pl.lit(problems.IGNORED))
            .when(unmet)
            .then(pl.lit(problems.UNMET))
            .otherwise(pl.lit(problems.NO_VALUE))
        )
        for name, count in silent.select(reason=reason).to_series().value_counts().iter_rows():
            extract.passed_over[name] += count

    def _row_times(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give `time`, `known_time`, `problem` of the rows' own facts."""
        if self.table.time is None:
            empty = pl.DataFrame(
                schema={"time": pl.Datetime("us"), "known_time": pl.Datetime("us"), "problem": pl.String}
            )
            times = empty.clear(frame.height)
        else:
            times = self._times(frame, self.table.time, self.table.known)
        # without a time of its own a fact takes the end of its encounter, if it has one
        undated = times["time"].is_null() & frame["encounter"].is_null() & times["problem"].is_null()
        return times.with_columns(
            problem=pl.when(undated).then(pl.lit(problems.NO_TIME)).otherwise("problem")
        )

    def _times(self, frame: pl.DataFrame, at: Moment, known: Moment | None) -> pl.DataFrame:
        times = self._moment(frame, at)
        if known is None:
            when_known = pl.when("day_only").then(end_of_day(pl.col("time")))
            return times.select("time", when_known.alias("known_time"), "problem")
        later = self._moment(frame, known).select(
            known_time=pl.when("day_only").then(end_of_day(pl.col("time"))).otherwise("time"),
            unknown="problem",
        )
        return pl.concat([times, later], how="horizontal").select(
            "time",
            "known_time",
            problem=pl.coalesce(
                "problem", pl.when(pl.col("unknown").is_not_null()).then(pl.lit(problems.KNOWN_UNREADABLE))
            ),
        )

    def _moment(self, frame: pl.DataFrame, moment: Moment) -> pl.DataFrame:
        """Read a moment of each row: `time`, `day_only`, `problem`."""
        if not moment.relative:
            assert moment.column is not None  # the mapping's validation
            found = read_dates(frame[moment.column], moment.format, self.zone)
        else:
            found = self._relative(frame, moment)
        if moment.end_of_day:
            found = found.with_columns(time=end_of_day(pl.col("time")), day_only=pl.lit(False))
        return found

    def _relative(self, frame: pl.DataFrame, moment: Moment) -> pl.DataFrame:
        base = self.table.base
        assert base is not None  # the mapping's validation
        if base.at is not None:
            start = pl.DataFrame(
                {"time": [base.at], "problem": [None]},
                schema={"time": pl.Datetime("us"), "problem": pl.String},
            )
            start = start[[0] * frame.height]
        else:
            assert base.column is not None
            start = read_dates(frame[base.column], base.format, self.zone)
        if moment.after is not None:
            offset = pl.DataFrame(
                {"offset": [read_duration(moment.after)], "wrong": [None]},
                schema={"offset": pl.Duration("us"), "wrong": pl.String},
            )[[0] * frame.height]
        else:
            assert moment.column is not None and moment.offset is not None
            offset = read_offsets(frame[moment.column], moment.offset).rename({"problem": "wrong"})
        together = pl.concat([start.select(base="time", unread="problem"), offset], how="horizontal")
        time = pl.col("base") + pl.col("offset")
        inside = time.is_between(EARLIEST, LATEST)
        baseless = pl.col("base").is_null() & pl.col("offset").is_not_null()
        return together.select(
            time=pl.when(inside).then(time),
            day_only=pl.lit(False),
            problem=pl.coalesce(
                "wrong",
                "unread",
                pl.when(baseless).then(pl.lit(problems.NO_BASE)).when(~inside).then(pl.lit(problems.OUTSIDE)),
            ),
        )

    def _full(self, code: str) -> str:
        """Put the code system before a code that has none; MEDS' own stand alone."""
        return code if "//" in code or code.startswith("MEDS_") else f"{self.mapping.code_system}//{code}"


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


def _malformed(rows: Rows) -> pl.DataFrame:
    """Turn lines of the wrong length into facts for quarantine, with their text."""
    return pl.DataFrame(
        [(bad.file, bad.row, bad.text, problems.WRONG_LENGTH) for bad in rows.malformed],
        schema={"file": pl.Int32, "row": pl.Int64, "text_value": pl.String, "problem": pl.String},
        orient="row",
    ).select(
        (pl.col(c) if c in ("file", "row", "text_value", "problem") else pl.lit(None, dtype=_SHAPE[c])).alias(
            c
        )
        for c in _FACT
    )


def _all(conditions: Sequence[str]) -> pl.Expr:
    return pl.all_horizontal(parse_condition(text).expression() for text in conditions)


def _first_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Take a row of each subject in each file: the first of every run of rows."""
    new = pl.col("patient").ne_missing(pl.col("patient").shift()) | pl.col("_place").ne_missing(
        pl.col("_place").shift()
    )
    runs = frame.filter((new | (pl.col("_i") == 0)) & pl.col("patient").is_not_null())
    return runs.unique(["_place", "patient"], keep="first", maintain_order=True)


def _inserted(template: pl.Expr, cell: pl.Expr) -> pl.Expr:
    before = template.str.split("{value}").list.get(0)
    after = template.str.split("{value}").list.get(1, null_on_oob=True).fill_null("")
    return pl.concat_str(before, cell, after)


def _canonical(cell: str) -> str:
    return re.sub(_CANONICAL, r"\1", cell)
