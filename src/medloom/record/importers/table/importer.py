"""The importer of tables: files, rows and facts, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from medloom.foundation.errors import InputError
from medloom.record.importers.table.facts import Lookup, TableFacts, check_columns
from medloom.record.importers.table.mapping import Join, Mapping, load_mapping
from medloom.record.importers.table.reading import Dialect, Rows, read_rows
from medloom.record.importers.table.sources import SourceFile, Sources
from medloom.record.importing import Batch, ImportContext, Importer

FACTS_A_BATCH = 150_000  # one call of Polars costs as much as some 5,000 rows


class TableImporter(Importer):
    """Reads CSV, TSV and Parquet files, or a folder or archive of them, as a mapping says.

    Args:
        path: a file (gzip or not), a folder, or a .tar, .tar.gz, .tar.xz of many files.
        mapping: a YAML file (see `mapping.py`), or the name of a mapping that is shipped: physionet2012.
        system: namespace of the patients' identifiers.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "hr.csv").write_text("patient,when,hr\\nA,2020-01-01 08:00,72\\n")
    >>> _ = (folder / "hr.yaml").write_text('''
    ... tables:
    ...   - files: [{glob: "*.csv"}]
    ...     subject: {column: patient}
    ...     time: {column: when}
    ...     columns:
    ...       hr: {code: LOINC//8867-4, unit: /min}
    ... ''')
    >>> batch = next(TableImporter(folder / "hr.csv", folder / "hr.yaml").batches(ImportContext()))
    >>> batch.facts.select("patient", "code", "numeric_value", "unit").row(0)
    ('A', 'LOINC//8867-4', 72.0, '/min')
    """

    name: ClassVar[str] = "table"

    def __init__(self, path: str | Path, mapping: str | Path, system: str = "") -> None:
        self.path = path
        self.mapping = mapping
        self.system = system

    def sources(self) -> list[Path]:
        """List the files that the mapping's tables and joins name, by name; an archive counts as one file.

        Raises:
            NotFoundError: the path or the mapping does not exist.
            InputError: no file there fits, or the mapping is not valid.
        """
        return self._sources(load_mapping(self.mapping), Sources(Path(self.path)))

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield facts, some 150,000 at most a batch; small files are read some 250 at a time."""
        mapping = load_mapping(self.mapping)
        sources = Sources(Path(self.path))
        ordinals = {path: n for n, path in enumerate(self._sources(mapping, sources))}
        records = 0
        through = _Through()
        for table in mapping.tables:
            dialect = Dialect(table.encoding, table.delimiter, table.quote, table.header, table.format)
            missing = mapping.missing_in(table)
            lookups = [_lookup(sources, join, dialect, missing, ordinals) for join in table.join]
            facts = TableFacts(mapping, table, context.time_zone, sources.root.name, lookups)
            codes = facts.codes()
            events = sum(event.each == "row" for event in table.events)
            slots = max(1, len(table.columns) + events + (table.long is not None))
            files = sources.files([chosen.glob for chosen in table.files], ordinals)
            read = read_rows(files, dialect, facts.columns)
            for rows in map(through.numbered, read) if sources.archive else read:
                for piece in _pieces(rows, FACTS_A_BATCH // slots):
                    extract = facts.extract(piece)
                    records += extract.records
                    yield Batch(
                        extract.facts, extract.records, extract.passed_over, codes, notes=extract.notes
                    )
                    codes = {}
        if not records:
            raise InputError("there is not one row in {path!r}; is it the right file?", path=str(self.path))

    def _sources(self, mapping: Mapping, sources: Sources) -> list[Path]:
        sources.check()
        found: set[Path] = set()
        for n, table in enumerate(mapping.tables, 1):
            patterns = [chosen.glob for chosen in table.files]
            paths = sources.paths(patterns)
            found.update(paths)
            for join in table.join if paths else ():
                if not (joined := sources.paths([join.glob])):
                    raise InputError(
                        "table {n} of the mapping joins {glob!r}, and there is no such file in {path!r}",
                        n=n,
                        glob=join.glob,
                        path=str(self.path),
                    )
                found.update(joined)
        if not found:
            patterns = [chosen.glob for table in mapping.tables for chosen in table.files]
            raise InputError(
                "no file in {path!r} fits the mapping, which reads {patterns}; mend the path or `files`",
                path=str(self.path),
                patterns=patterns,
            )
        return sorted(found)


class _Through:
    """Counts the rows of an archive through all its members, so that a number names one row."""

    def __init__(self) -> None:
        self._before = self._reached = 0
        self._last: SourceFile | None = None

    def numbered(self, rows: Rows) -> Rows:
        """Number rows on from where those of the last member ended."""
        heights = np.zeros(len(rows.files), np.int64)
        np.maximum.at(heights, rows.place, rows.row)
        for bad in rows.malformed:
            heights[bad.place] = max(heights[bad.place], bad.row)
        starts = np.zeros(len(rows.files), np.int64)
        for n, file in enumerate(rows.files):
            if file is not self._last:
                self._before, self._last = self._reached, file
            starts[n] = self._before
            self._reached = max(self._reached, self._before + int(heights[n]))
        malformed = tuple(replace(bad, row=bad.row + int(starts[bad.place])) for bad in rows.malformed)
        return replace(rows, row=rows.row + starts[rows.place], malformed=malformed)


def _pieces(rows: Rows, most: int) -> Iterator[Rows]:
    """Cut rows into pieces of about equal size, at most `most` rows each."""
    height = rows.frame.height
    if height <= most:
        yield rows
        return
    edges = np.linspace(0, height, math.ceil(height / most) + 1).astype(int)
    for n, (start, stop) in enumerate(pairwise(edges)):
        frame = rows.frame.slice(start, stop - start)
        yield Rows(
            frame, rows.place[start:stop], rows.row[start:stop], rows.files, rows.malformed if n == 0 else ()
        )


def _lookup(
    sources: Sources, join: Join, dialect: Dialect, missing: Sequence[str], ordinals: dict[Path, int]
) -> Lookup:
    """Read a joined file into memory.

    Raises:
        InputError: a column is missing, or a key stands twice in it.
    """

    def columns(header: Sequence[str], label: str) -> list[str]:
        wanted = [*join.on, *join.columns]
        check_columns(wanted, header, label)
        return wanted

    files: Iterator[SourceFile] = sources.files([join.glob], ordinals)
    plain = Dialect(dialect.encoding, dialect.delimiter, dialect.quote)
    parts = [
        rows.frame.select(pl.all().str.strip_chars())
        for rows in read_rows(files, plain, columns)
        if rows.frame.width
    ]
    frame = (
        pl.concat(parts)
        if parts
        else pl.DataFrame(schema=dict.fromkeys([*join.on, *join.columns], pl.String))
    )
    frame = frame.with_columns(
        pl.when(pl.col(c).is_in(missing)).then(None).otherwise(pl.col(c)).alias(c) for c in join.columns
    ).unique(maintain_order=True)
    if frame.select(pl.struct(*join.on).is_duplicated().any()).item():
        raise InputError(
            "{glob!r} has several rows with the same {on}; a join needs one",
            glob=join.glob,
            on=join.on,
        )
    return Lookup(join.on, frame)
