"""Where the tables of a CDM are: a DuckDB file, or a folder with one Parquet or CSV file a table."""

from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.foundation.files import storage_errors
from medloom.record.importers.omop.tables import REQUIRED, TABLES, VOCABULARY

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT: Final = "1GB"
_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
_SAMPLE: Final = 1 << 16
_DELIMITERS: Final = "\t,;|"
_UNNAMED: Final = re.compile(r"column_?\d+")


@dataclass(frozen=True)
class Relation:
    """One table as DuckDB can read it."""

    table: str
    file: int  # ordinal in the importer's sources
    path: Path
    sql: str  # FROM clause and condition
    columns: Mapping[str, tuple[str, str]]  # our lower-case name → (quoted name in the source, DuckDB type)
    rejects: bool  # CSV: lines that could not be split into columns are kept aside

    def column(self, *names: str) -> tuple[str, str] | None:
        """Find the first column present among `names`."""
        return next((self.columns[name] for name in names if name in self.columns), None)


@dataclass(frozen=True)
class Cdm:
    """An open CDM; `connection` is a database in memory that reads the source and never writes to it."""

    connection: duckdb.DuckDBPyConnection
    relations: Mapping[str, Relation]

    def read(self, table: str) -> Relation | None:
        """Find a table by its CDM name.

        Raises:
            InputError: it is there, but lacks a column that the CDM requires.
        """
        relation = self.relations.get(table)
        if relation is None:
            return None
        missing = [name for name in REQUIRED[table] if name not in relation.columns]
        if missing:
            raise InputError(
                "table {table!r} in {file!r} has no column {columns}; the OMOP CDM requires it",
                table=table,
                file=relation.path.name,
                columns=missing,
            )
        return relation


def find_files(path: Path) -> list[Path]:
    """List the files of the CDM at `path`, those we read and no others.

    Raises:
        InputError: there is no CDM; the message says what was looked for.
    """
    if path.is_file():
        if not _is_duckdb(path):
            raise InputError(
                "{path!r} is no DuckDB file; the omop importer reads a DuckDB file, "
                "or a folder with one file a table (person.parquet, person.csv, …)",
                path=path.name,
            )
        return [path]
    if not path.is_dir():
        raise InputError(
            "{path!r} does not exist; name a DuckDB file, or a folder with one file a table", path=str(path)
        )
    files = _table_files(path)
    if "person" not in files:
        raise InputError(
            "{path!r} holds no OMOP CDM: looked for person with one of {suffixes}, in any case",
            path=path.name,
            suffixes=_SUFFIXES,
        )
    return [files[table] for table in sorted(files)]


@contextmanager
def opened(path: Path) -> Iterator[Cdm]:
    """Open the CDM at `path`, read-only, with bounded memory; what does not fit spills to a temporary folder.

    Raises:
        InputError: there is no CDM, or a file of it cannot be read.
    """
    import duckdb

    files = find_files(path)
    with tempfile.TemporaryDirectory(prefix="medloom-omop-") as spill:
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": spill,
                # nothing is fetched from the network behind the user's back
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        try:
            with reading(path):
                found = (
                    _from_database(connection, path) if path.is_file() else _from_folder(connection, files)
                )
            yield Cdm(connection, {relation.table: relation for relation in found})
        finally:
            connection.close()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn DuckDB's refusals inside the block into an `InputError` that names the file, not its content."""
    import duckdb

    try:
        with storage_errors(path.parent):
            yield
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise InputError(
            "{file!r} needs more memory or temporary disk space than there is; free some and repeat",
            file=path.name,
        ) from error
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise  # our query, not the user's file
    except duckdb.Error as error:
        # the text of the error may quote a line of the file, and with it a patient
        if "state machine" in str(error):
            raise InputError(
                "{file!r} mixes line ends (\\n and \\r\\n) or has a stray quotation mark; "
                "write it again with one kind of line end",
                file=path.name,
            ) from None
        raise InputError(
            "{file!r} cannot be read ({reason}); it is damaged, not complete, or not what its name says",
            file=path.name,
            reason=type(error).__name__,
        ) from None


def rejects(cursor: duckdb.DuckDBPyConnection, relation: Relation) -> pl.DataFrame:
    """Give the lines that the cursor's last reading of a CSV file had to leave out: `line`, `encoding`."""
    if not relation.rejects:
        return pl.DataFrame(schema={"line": pl.Int64(), "encoding": pl.Boolean()})
    found = cursor.execute(
        "SELECT line::BIGINT AS line, bool_or(error_type = 'INVALID ENCODING') AS encoding "
        "FROM reject_errors WHERE scan_id = (SELECT max(scan_id) FROM reject_scans) "
        "GROUP BY line ORDER BY line"
    ).fetchall()
    return pl.DataFrame(found, schema={"line": pl.Int64(), "encoding": pl.Boolean()}, orient="row")


def quoted(name: str) -> str:
    """Quote an identifier for SQL.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL.

    >>> literal("O'Neill")
    "'O''Neill'"
    """
    return "'" + text.replace("'", "''") + "'"


def _is_duckdb(path: Path) -> bool:
    with storage_errors(path.parent), path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _wanted() -> list[str]:
    return [*(table.name for table in TABLES), *VOCABULARY]


def _table_files(folder: Path) -> dict[str, Path]:
    """Map table → file, for the tables we read."""
    wanted = set(_wanted())
    found: dict[str, Path] = {}
    with storage_errors(folder):
        entries = sorted(folder.iterdir())
    for entry in entries:
        name = entry.name.lower()
        suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), None)
        table = name.removesuffix(suffix) if suffix else ""
        if table not in wanted or not entry.is_file():
            continue
        if table in found:
            raise InputError(
                "table {table!r} is there twice: {first!r} and {second!r}; leave one in the folder",
                table=table,
                first=found[table].name,
                second=entry.name,
            )
        found[table] = entry
    return found


def _from_database(connection: duckdb.DuckDBPyConnection, path: Path) -> list[Relation]:
    connection.execute(f"ATTACH {literal(str(path))} AS cdm (READ_ONLY)")
    rows = connection.execute(
        "SELECT schema_name, table_name FROM "
        "(SELECT database_name, schema_name, table_name FROM duckdb_tables() UNION ALL "
        "SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal) "
        "WHERE database_name = 'cdm' ORDER BY schema_name <> 'main', schema_name, table_name"
    ).fetchall()
    places: dict[str, list[tuple[str, str]]] = {}
    for schema, table in rows:
        places.setdefault(table.lower(), []).append((schema, table))
    if "person" not in places:
        raise InputError(
            "{path!r} holds no OMOP CDM: looked for a table called person in any schema", path=path.name
        )
    home = places["person"][0][0]
    relations = []
    for table in _wanted():
        # the vocabulary often has a schema of its own
        here = sorted(places.get(table, []), key=lambda place: place[0] != home)
        if here:
            schema, name = here[0]
            source = f"FROM cdm.{quoted(schema)}.{quoted(name)}"
            relations.append(_relation(connection, table, 0, path, source))
    return relations


def _from_folder(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> list[Relation]:
    relations = []
    for ordinal, path in enumerate(files):
        table = path.name.lower().partition(".")[0]
        with reading(path):
            if path.name.lower().endswith(".parquet"):
                relations.append(
                    _relation(connection, table, ordinal, path, f"FROM read_parquet({literal(str(path))})")
                )
            elif source := _csv_source(table, path):
                relations.append(_relation(connection, table, ordinal, path, source, rejects=True))
    return relations


def _relation(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    file: int,
    path: Path,
    source: str,
    rejects: bool = False,
) -> Relation:
    described = connection.execute(f"DESCRIBE SELECT * {source}").fetchall()
    columns = {name.strip().lower(): (quoted(name), kind) for name, kind, *_ in described}
    if all(_UNNAMED.fullmatch(name) for name in columns):
        # written by a tool that took the header of an empty CSV for its first row
        first = connection.execute(f"SELECT * {source} LIMIT 1").fetchone() or ()
        names = [value.strip().lower() if isinstance(value, str) else "" for value in first]
        if set(REQUIRED[table]) <= set(names):
            kept = list(columns.values())
            header = " AND ".join(
                f"{place} IS NOT DISTINCT FROM {literal(value) if isinstance(value, str) else 'NULL'}"
                for (place, _), value in zip(kept, first, strict=True)
            )
            columns = {name: place for name, place in zip(names, kept, strict=True) if name}
            source = f"{source} WHERE NOT ({header})"
    return Relation(table, file, path, source, columns, rejects)


def _csv_source(table: str, path: Path) -> str | None:
    """Describe a CSV file to DuckDB, every column as text; None for an empty file.

    Raises:
        InputError: the file is not UTF-8.
    """
    sample = _sample(path)
    if not sample.strip():
        return None
    line = sample.splitlines()[0]
    delimiter = max(_DELIMITERS, key=line.count)
    # Athena writes its vocabularies tab-separated and without quotes, with quotes in the names
    quote = "" if delimiter == "\t" and table in VOCABULARY else '"'
    header = next(
        csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE)
    )
    names: list[str] = []
    for position, name in enumerate(header):
        text = name.strip().strip('"') or f"unnamed_{position}"
        names.append(text if text.lower() not in {known.lower() for known in names} else f"{text}_{position}")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"FROM read_csv({literal(str(path))}, auto_detect = false, header = true, "
        f"delim = {literal(delimiter)}, quote = {literal(quote)}, escape = {literal(quote)}, "
        f"columns = {{{columns}}}, nullstr = '', ignore_errors = true, store_rejects = true)"
    )


def _sample(path: Path) -> str:
    """Read the beginning of a CSV file, its byte order mark removed."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            sample = file.read(_SAMPLE)
    except (gzip.BadGzipFile, EOFError) as error:
        raise InputError(
            "{file!r} cannot be read ({reason}); it is damaged, not complete, or not what its name says",
            file=path.name,
            reason=type(error).__name__,
        ) from error
    encoding = _encoding(sample)
    if encoding != "utf-8":
        raise InputError(
            "{file!r} is written in {encoding}, and UTF-8 is read; convert it with: "
            "iconv -f {encoding} -t UTF-8 {file} > new.csv",
            file=path.name,
            encoding=encoding,
        )
    return io.TextIOWrapper(io.BytesIO(sample), encoding="utf-8-sig", errors="ignore").read()


def _encoding(sample: bytes) -> str:
    """Name the encoding of a text from its beginning.

    >>> _encoding("性别".encode("gbk")), _encoding("a,b".encode("utf-16")), _encoding("性别".encode()[:-1])
    ('GB18030', 'UTF-16', 'utf-8')
    """
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in sample:
        return "UTF-16"
    for encoding, name in (("utf-8", "utf-8"), ("gb18030", "GB18030")):
        try:
            sample.decode(encoding)
        except UnicodeDecodeError as error:
            if error.reason in ("unexpected end of data", "incomplete multibyte sequence"):
                return name  # the sample ends within a character
        else:
            return name
    return "ISO-8859-1"
