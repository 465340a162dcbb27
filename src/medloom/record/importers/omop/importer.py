"""`OmopImporter`: the tables of a CDM, one after the other, as bounded batches of facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import polars as pl
import pyarrow as pa

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.record.importers.omop import rows
from medloom.record.importers.omop.facts import Codes, Sense, facts_of, unmapped
from medloom.record.importers.omop.source import Cdm, Relation, find_files, opened, reading, rejects
from medloom.record.importers.omop.tables import PERSON, TABLES, VISIT_OCCURRENCE, Table
from medloom.record.importers.omop.vocabulary import Vocabulary, as_concept, load
from medloom.record.importing import Batch, CodeInfo, ImportContext, Importer

if TYPE_CHECKING:
    import duckdb

UNREADABLE_LINE = "the line does not have the columns of its table"
UNREADABLE_TEXT = "the line is not UTF-8"


@dataclass
class OmopImporter(Importer):
    """Reads an OMOP CDM 5.3 or 5.4: a DuckDB file, or a folder with one Parquet or CSV file a table.

    Codes: the standard concept's, as `VOCABULARY_ID//concept_code`; where CONCEPT does not know it
    (or it is 0) the source concept's, else `OMOP//TABLE//SOURCE_VALUE`. With `codes="both"` a row
    whose source concept differs from the standard one and is in CONCEPT gives two facts of one key,
    so that a task finds it by either code, and the same patient has the same codes by FHIR (which
    carries the source's) and by OMOP. `"source"` prefers the source concept and gives one fact.

    Times: naive wall clock. A date, and a datetime of midnight exactly, is a day without a time, and
    known at its end. A condition or procedure whose type says that it was coded for a claim is known
    when its visit has ended, whatever its date. An undated row keeps its visit, and takes the
    visit's end. The end of an observation period is known when it has come.

    A row whose number occurs twice in its table has no key: its content identifies it. An observation
    period of a person who is not in PERSON is passed over; any other such row is a fact.

    Args:
        path: the file or folder.
        system: namespace of the persons' numbers; the same for all imports that number persons alike.
        codes: which codes to write: "standard", "source" or "both".
    """

    path: Path
    system: str = ""
    codes: Codes = "both"

    name: ClassVar[str] = "omop"

    def __post_init__(self) -> None:
        self.path = Path(self.path)

    def sources(self) -> list[Path]:
        """List the files that will be read.

        Raises:
            InputError: there is no CDM; the message says what was looked for.
        """
        return find_files(self.path)

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield the facts of each table, persons first.

        Raises:
            InputError: a file cannot be read, or a table lacks a column that the CDM requires.
        """
        if self.codes not in ("standard", "source", "both"):
            raise InputError(
                'codes {codes!r} is unknown; choose "standard", "source" or "both"', codes=self.codes
            )
        with opened(self.path) as cdm:
            readable = [
                (relation, table) for table in TABLES if (relation := cdm.read(table.name)) is not None
            ]
            _prepare(cdm, context.time_zone)
            vocabulary = load(cdm)
            notes = {
                f"{name}: a line cannot be read": count for name, count in vocabulary.unread.items() if count
            }
            if notes:
                yield Batch(pl.DataFrame(), 0, notes=notes)
            told: set[str] = set()
            for relation, table in readable:
                with progress(tr("Reading {table}", table=table.name), _height(cdm, relation)) as advance:
                    for batch in self._table(cdm, relation, table, vocabulary, context.time_zone):
                        yield replace(batch, codes=_new_codes(batch.facts, vocabulary, told))
                        advance(batch.records)

    def _table(
        self, cdm: Cdm, relation: Relation, table: Table, vocabulary: Vocabulary, zone: str
    ) -> Iterator[Batch]:
        cursor = cdm.connection.cursor()
        repeated = f"repeated_{table.name}"
        number = rows.identifier(relation.column(table.identifier))
        with reading(relation.path):
            cursor.execute(
                f"CREATE TABLE {repeated} AS SELECT id FROM (SELECT {number} AS id {relation.sql}) "
                "WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1"
            )
        sense = Sense(vocabulary, self.codes, _types(cursor, relation, table, vocabulary))
        statement = rows.query(relation, table, zone, repeated, "people", "visits")
        with reading(relation.path):
            for frame in _frames(cursor, statement, table.batch_rows):
                yield _batch(frame, relation, table, sense)
            yield from _rejected(cursor, relation)
        cursor.close()


def _prepare(cdm: Cdm, zone: str) -> None:
    """Make the small tables that every query asks: who there is, and which visits ended when."""
    cursor = cdm.connection.cursor()
    person = cdm.read(PERSON.name)
    visit = cdm.read(VISIT_OCCURRENCE.name)
    assert person is not None  # `opened` has refused a CDM without PERSON
    with reading(person.path):
        patient = rows.identifier(person.column("person_id"))
        cursor.execute(f"CREATE TABLE people AS SELECT DISTINCT {patient} AS patient {person.sql}")
        cursor.execute("DELETE FROM people WHERE patient IS NULL")
    if visit is None:
        cursor.execute("CREATE TABLE visits (visit VARCHAR, ended TIMESTAMP)")
        return
    with reading(visit.path):
        cursor.execute(f"CREATE TABLE visits AS {rows.visit_ends(visit, zone)}")


def _types(
    cursor: duckdb.DuckDBPyConnection, relation: Relation, table: Table, vocabulary: Vocabulary
) -> dict[int, str | None]:
    if table.shape != "clinical" or not (table.billed or table.name == "drug_exposure"):
        return {}
    kind = as_concept(
        relation.column(*next(column.sources for column in table.columns if column.name == "type"))
    )
    with reading(relation.path):
        found = cursor.execute(
            f"SELECT DISTINCT kind FROM (SELECT {kind} AS kind {relation.sql}) WHERE kind IS NOT NULL"
        )
        return {number: vocabulary.name(number) for (number,) in found.fetchall()}


def _frames(cursor: duckdb.DuckDBPyConnection, statement: str, size: int) -> Iterator[pl.DataFrame]:
    """Run a query and yield its rows, `size` at a time, in order."""
    reader = cursor.sql(statement).to_arrow_reader(size)
    waiting: list[pa.RecordBatch] = []
    height = 0
    for piece in reader:
        waiting.append(piece)
        height += piece.num_rows
        if height >= size:
            yield _frame(waiting)
            waiting, height = [], 0
    if height:
        yield _frame(waiting)


def _frame(pieces: list[pa.RecordBatch]) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_batches(pieces))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _batch(frame: pl.DataFrame, relation: Relation, table: Table, sense: Sense) -> Batch:
    records = frame.height
    passed_over: dict[str, int] = {}
    if table.shape == "period":
        # it says how long somebody was followed of whom nothing is known
        strangers = int(frame["stranger"].sum())
        if strangers:
            passed_over[f"{table.name}: person not in PERSON"] = strangers
            frame = frame.filter(~pl.col("stranger"))
    counts = {
        f"{table.name}: unmapped concept": unmapped(frame, table, sense),
        f"{table.name}: number not unique": int(frame["repeated"].sum()),
        f"{table.name}: visit not in VISIT_OCCURRENCE": int(frame["visit_unknown"].sum()),
        f"{table.name}: person not in PERSON": int(frame["stranger"].sum()),
    }
    facts = facts_of(frame, table, sense).with_columns(pl.lit(relation.file, pl.Int32).alias("file"))
    return Batch(facts, records, passed_over, notes={note: count for note, count in counts.items() if count})


def _rejected(cursor: duckdb.DuckDBPyConnection, relation: Relation) -> Iterator[Batch]:
    """Yield, as facts for quarantine, the lines of a CSV file that could not be split into columns."""
    facts = rejects(cursor, relation).select(
        pl.col("line").alias("row"),
        pl.lit(relation.file, pl.Int32).alias("file"),
        pl.when("encoding").then(pl.lit(UNREADABLE_TEXT)).otherwise(pl.lit(UNREADABLE_LINE)).alias("problem"),
    )
    for piece in facts.iter_slices(50_000):
        yield Batch(piece, piece.height)


def _new_codes(facts: pl.DataFrame, vocabulary: Vocabulary, told: set[str]) -> dict[str, CodeInfo]:
    if "code" not in facts.columns:
        return {}
    new = [code for code in facts["code"].drop_nulls().unique().to_list() if code not in told]
    told.update(new)
    return {code: info for code in sorted(new) if (info := vocabulary.info(code)) is not None}


def _height(cdm: Cdm, relation: Relation) -> float | None:
    """Count the rows where that costs nothing: not in CSV."""
    if relation.rejects:
        return None
    with reading(relation.path):
        found = cdm.connection.cursor().execute(f"SELECT count(*) {relation.sql}").fetchone()
    return float(found[0]) if found else None
