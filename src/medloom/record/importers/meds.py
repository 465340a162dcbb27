"""`MedsImporter`: a MEDS dataset, anybody's or our own, as bounded batches of facts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from meds.schema import (
    DataSchema,
    code_metadata_filepath,
    data_subdirectory,
    subject_splits_filepath,
)

from medloom.foundation.errors import InputError
from medloom.foundation.files import storage_errors
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.record.importing import Batch, CodeInfo, ImportContext, Importer
from medloom.record.schema import BATCH_SCHEMA, BIRTH, DEATH, wall_clock

BATCH_ROWS: Final = 50_000

_REQUIRED: Final = ("subject_id", "time", "code")
_RENAMED: Final = {"patient_id": "subject_id"}  # before MEDS 0.3.3
# Columns of our record that a batch has too; `encounter` and `key` are numbers there and texts here.
_OURS: Final = (
    "known_time",
    "role",
    "encounter",
    "asset",
    "derived_from",
    "span",
    "confidence",
    "model",
    "key",
    "part",
    "unit",
)
# Columns of our record that say how it came about; the import writes its own.
_REPLACED: Final = ("source", "known_until")
# MEDS writes `VOCABULARY/CODE` for a parent (its schema's example); a record writes `VOCABULARY//CODE`.
_SINGLE_SLASH: Final = re.compile(r"^([^/]+)/([^/].*)$")


@dataclass
class MedsImporter(Importer):
    """Reads a MEDS 0.3 or 0.4 dataset: a folder with `data/**/*.parquet` and perhaps `metadata/`.

    Rows without a time are static. Times are naive wall clock; a column with a zone is turned into
    the site's. Descriptions, parents and units come from `metadata/codes.parquet`, splits from
    `metadata/subject_splits.parquet`. Columns that MEDS does not have are dropped, with a note,
    except those of a Medloom record, so that a record that is exported and imported is the same.
    Rows that a newer version had superseded there are passed over.

    Args:
        path: the dataset's folder, which holds `data/`.
        system: namespace of the subjects' numbers; the same for all imports that number subjects alike.
    """

    path: Path
    system: str = ""

    name: ClassVar[str] = "meds"

    def __post_init__(self) -> None:
        self.path = Path(self.path)

    def sources(self) -> list[Path]:
        """List the dataset's shards, by path.

        Raises:
            InputError: there is no MEDS dataset; the message says what was looked for.
        """
        data = self.path / data_subdirectory
        with storage_errors(self.path):
            files = sorted(data.rglob("*.parquet")) if data.is_dir() else []
        if not files:
            raise InputError(
                "{path!r} holds no MEDS dataset: looked for data/**/*.parquet "
                "(name the folder that holds data/)",
                path=self.path.name or str(self.path),
            )
        return files

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        """Yield the facts of each shard; a subject is never divided between two batches.

        Raises:
            InputError: a file cannot be read, or lacks a column that MEDS requires.
        """
        files = self.sources()
        heights = [_checked(path, self.path) for path in files]
        codes = _Codes.read(self.path)
        splits = _splits(self.path)
        with progress(tr("Reading {table}", table=self.path.name), float(sum(heights))) as advance:
            for ordinal, path in enumerate(files):
                for frame in _by_subject(_frames(path, self.path)):
                    batch = _batch(frame, ordinal, context.time_zone, codes, splits)
                    yield batch
                    advance(batch.records)


@dataclass
class _Codes:
    """`metadata/codes.parquet`: what it says of each code, and which codes have been told."""

    infos: dict[str, CodeInfo]
    units: pl.DataFrame  # code, unit_of_code
    dated: frozenset[str]  # codes it says are not static
    told: set[str]

    @classmethod
    def read(cls, folder: Path) -> _Codes:
        path = folder / code_metadata_filepath
        empty = pl.DataFrame(schema={"code": pl.String, "unit_of_code": pl.String})
        if not path.is_file():
            return cls({}, empty, frozenset(), set())
        frame = _decoded(_table(path, folder))
        if "code" not in frame.columns:
            raise _missing(path, folder, ["code"])
        frame = frame.filter(pl.col("code").is_not_null()).unique("code", keep="first", maintain_order=True)
        parents: dict[str, list[str]] = {}
        if isinstance(frame.schema.get("parent_codes"), pl.List):
            spelled = frame.select("code", pl.col("parent_codes").cast(pl.List(pl.String)))
            parents = {
                code: [_spelled(parent) for parent in above or () if parent]
                for code, above in spelled.iter_rows()
            }
        described = (
            frame["description"].cast(pl.String).to_list()
            if "description" in frame.columns
            else [None] * frame.height
        )
        infos = {
            code: CodeInfo(description or None, _ancestors(code, parents))
            for code, description in zip(frame["code"].to_list(), described, strict=True)
        }
        units = empty
        if "unit" in frame.columns:
            units = frame.select("code", pl.col("unit").cast(pl.String).alias("unit_of_code")).drop_nulls()
        dated: frozenset[str] = frozenset()
        if frame.schema.get("static") == pl.Boolean:
            dated = frozenset(frame.filter(~pl.col("static"))["code"])
        return cls(infos, units, dated, set())

    def new(self, codes: pl.Series) -> dict[str, CodeInfo]:
        """Describe the codes that have not been told yet."""
        new = [code for code in codes.drop_nulls().unique().sort().to_list() if code not in self.told]
        self.told.update(new)
        return {code: self.infos[code] for code in new if code in self.infos}


def _spelled(parent: str) -> str:
    """Spell a parent as codes are spelled.

    >>> _spelled("LOINC/8480-6"), _spelled("LOINC//8480-6")
    ('LOINC//8480-6', 'LOINC//8480-6')
    """
    return _SINGLE_SLASH.sub(r"\1//\2", parent)


def _ancestors(code: str, parents: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Follow the parents upward: all ancestors, sorted; a circle ends where it began."""
    found: set[str] = set()
    waiting = list(parents.get(code, ()))
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent != code:
            found.add(parent)
            waiting += parents.get(parent, ())
    return tuple(sorted(found))


def _splits(folder: Path) -> pl.DataFrame:
    """Read `metadata/subject_splits.parquet`: patient, split."""
    path = folder / subject_splits_filepath
    if not path.is_file():
        return pl.DataFrame(schema={"patient": pl.String, "split": pl.String})
    frame = _decoded(_table(path, folder)).rename(_RENAMED, strict=False)
    if missing := [name for name in ("subject_id", "split") if name not in frame.columns]:
        raise _missing(path, folder, missing)
    split = frame.select(
        pl.col("subject_id").cast(pl.String).alias("patient"), pl.col("split").cast(pl.String)
    ).drop_nulls()
    return split.unique("patient", keep="first", maintain_order=True)


def _checked(path: Path, folder: Path) -> int:
    """Check a shard's columns against MEDS' own schema; give its rows.

    Raises:
        InputError: a column is missing, or of a type that MEDS' type cannot be made of.
    """
    with _reading(path, folder):
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
    names = [_RENAMED.get(name, name) if "subject_id" not in schema.names else name for name in schema.names]
    if missing := [name for name in _REQUIRED if name not in names]:
        raise _missing(path, folder, missing)
    fields = [pa.field(name, _plain(field.type)) for name, field in zip(names, schema, strict=True)]
    wrong = [
        field.name for field in fields if field.name in _EXPECTED and not _EXPECTED[field.name](field.type)
    ]
    if wrong:
        raise InputError(
            "{file!r}: column {column!r} is of type {kind}; MEDS wants {wanted}",
            file=_shown(path, folder),
            column=wrong[0],
            kind=str(fields[names.index(wrong[0])].type),
            wanted=_WANTED[wrong[0]],
        )
    try:
        DataSchema.align(pa.schema([field for field in fields if field.name in _EXPECTED]).empty_table())
    except Exception as error:
        raise InputError(
            "{file!r} is no MEDS data: {reason}", file=_shown(path, folder), reason=type(error).__name__
        ) from error
    return int(metadata.num_rows)


def _number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    )


def _text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


_EXPECTED: Final[dict[str, Any]] = {
    "subject_id": pa.types.is_integer,
    "time": lambda kind: pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind),
    "code": _text,
    "numeric_value": _number,
    "text_value": lambda kind: _text(kind) or pa.types.is_null(kind),
}
_WANTED: Final = {
    "subject_id": "int64",
    "time": "timestamp[us]",
    "code": "string",
    "numeric_value": "float32",
    "text_value": "large_string",
}


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _frames(path: Path, folder: Path) -> Iterator[pl.DataFrame]:
    """Read a shard piece by piece, with `row` from 1 in the shard."""
    first = 1
    with _reading(path, folder), pq.ParquetFile(path) as file:
        for piece in file.iter_batches(BATCH_ROWS):
            frame = _decoded(pa.Table.from_batches([piece]))
            if "subject_id" not in frame.columns:
                frame = frame.rename(_RENAMED, strict=False)
            rows = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True)
            first += frame.height
            if frame.height:
                yield frame.with_columns(rows.alias("row"))


def _by_subject(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Divide a shard between subjects only: one resource's facts may be years apart, but have one subject."""
    held: list[pl.DataFrame] = []  # the last subject met, which may go on in the next piece
    for frame in frames:
        subject = frame["subject_id"]
        if held and held[-1]["subject_id"][-1] != subject[0]:
            yield pl.concat(held)
            held = []
        others = subject.ne_missing(subject[-1]).arg_true()
        stop = int(others[-1]) + 1 if len(others) else 0
        if stop:
            yield pl.concat([*held, frame[:stop]])
            held = []
        held.append(frame[stop:])
    if held:
        yield pl.concat(held)


def _batch(frame: pl.DataFrame, ordinal: int, zone: str, codes: _Codes, splits: pl.DataFrame) -> Batch:
    records = frame.height
    passed_over: Counter[str] = Counter()
    if "known_until" in frame.columns:
        ended = int(frame["known_until"].is_not_null().sum())
        if ended:
            passed_over["superseded by a newer version in the dataset"] = ended
            frame = frame.filter(pl.col("known_until").is_null())
    kept = {"subject_id", "row", *DataSchema.schema().names, *_OURS, *_REPLACED}
    notes = {f"column not kept: {name}": records for name in frame.columns if name not in kept}
    if "key" in frame.columns:
        # parts of one resource stand where they happened; for an import they are one record of the source
        first = pl.col("row").min().over("subject_id", "key")
        frame = frame.with_columns(pl.when(pl.col("key").is_null()).then("row").otherwise(first).alias("row"))
    frame = frame.join(codes.units, on="code", how="left", maintain_order="left")
    time = _moment(frame, "time", zone)
    facts = frame.select(
        pl.col("subject_id").cast(pl.String).alias("patient"),
        time.alias("time"),
        "code",
        _value(frame, "numeric_value").alias("numeric_value"),
        _value(frame, "text_value").replace("", None).alias("text_value"),
        pl.coalesce(_value(frame, "unit"), "unit_of_code").alias("unit"),
        _moment(frame, "known_time", zone).alias("known_time"),
        pl.coalesce(_value(frame, "role"), _demographic()).alias("role"),
        (time.is_null() & ~pl.col("code").is_in(list(codes.dated))).fill_null(False).alias("static"),
        *(
            _value(frame, name).alias(name)
            for name in ("encounter", "asset", "derived_from", "span", "confidence", "model")
        ),
        *(_value(frame, name).alias(name) for name in ("key", "part")),
        pl.lit(ordinal, pl.Int32).alias("file"),
        "row",
        _problem().alias("problem"),
    )
    fixed = facts.select("patient").unique().join(splits, on="patient")
    return Batch(facts, records, passed_over, codes.new(facts["code"]), dict(fixed.iter_rows()), notes)


def _value(frame: pl.DataFrame, name: str) -> pl.Expr:
    kind = BATCH_SCHEMA[name]
    if name not in frame.columns:
        return pl.lit(None, kind)
    value = pl.col(name).cast(kind, strict=False)
    return pl.when(value.is_finite()).then(value) if kind.is_float() else value


def _moment(frame: pl.DataFrame, name: str, zone: str) -> pl.Expr:
    kind = frame.schema.get(name)
    if not isinstance(kind, pl.Datetime | pl.Date):
        return pl.lit(None, pl.Datetime("us"))
    return wall_clock(name, kind, zone)


def _demographic() -> pl.Expr:
    told = pl.col("code").is_in([BIRTH, DEATH]) | pl.col("code").str.starts_with("GENDER//")
    return pl.when(told).then(pl.lit("demographic"))


def _problem() -> pl.Expr:
    return (
        pl.when(pl.col("subject_id").is_null())
        .then(pl.lit("no patient"))
        .when(pl.col("code").is_null() | (pl.col("code") == ""))
        .then(pl.lit("no code"))
    )


def _table(path: Path, folder: Path) -> pa.Table:
    with _reading(path, folder):
        return pq.read_table(path, partitioning=None)


def _decoded(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    coded = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Categorical | pl.Enum)]
    return frame.with_columns(pl.col(coded).cast(pl.String))


@contextmanager
def _reading(path: Path, folder: Path) -> Iterator[None]:
    """Turn Arrow's refusals inside the block into an `InputError` that names the file."""
    try:
        with storage_errors(path.parent):
            yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            "{file!r} cannot be read ({reason}); it is damaged, not complete, or not what its name says",
            file=_shown(path, folder),
            reason=type(error).__name__,
        ) from error


def _missing(path: Path, folder: Path, columns: list[str]) -> InputError:
    return InputError(
        "{file!r} has no column {columns}; MEDS requires it",
        file=_shown(path, folder),
        columns=columns,
    )


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
