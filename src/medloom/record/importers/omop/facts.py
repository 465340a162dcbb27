"""From rows of a CDM table, read in our terms (`rows.query`), to facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from medloom.knowledge import systems
from medloom.record.importers.omop import meanings
from medloom.record.importers.omop.tables import Shape, Table
from medloom.record.importers.omop.vocabulary import Vocabulary
from medloom.record.schema import BIRTH, DEATH, end_of_day

Codes = Literal["standard", "source", "both"]

NO_DATE: Final = "the date cannot be read"
NO_CODE: Final = "no concept and no source value"

_OPTIONAL: Final[dict[str, pl.DataType]] = {
    "number": pl.Float64(),
    "number_text": pl.String(),
    "operator": pl.Int64(),
    "value_concept": pl.Int64(),
    "value_string": pl.String(),
    "value_source": pl.String(),
    "unit_concept": pl.Int64(),
    "unit_source": pl.String(),
}


@dataclass(frozen=True)
class Sense:
    """What it takes to make sense of a table's rows.

    `types`: names of the type concepts that occur in the table (None where the vocabulary has no name).
    """

    vocabulary: Vocabulary
    codes: Codes
    types: Mapping[int, str | None]


def facts_of(rows: pl.DataFrame, table: Table, sense: Sense) -> pl.DataFrame:
    """Turn rows into facts with columns of `BATCH_SCHEMA`, in the order of the rows.

    A row whose number is not unique in its table gets no key: its content identifies it.
    """
    key = pl.when(~pl.col("repeated")).then(pl.format("{}/{}", pl.lit(table.name), "id"))
    rows = rows.with_columns(key.alias("key"))
    return _SHAPES[table.shape](rows, table, sense).sort("row", "part", maintain_order=True)


def unmapped(rows: pl.DataFrame, table: Table, sense: Sense) -> int:
    """Count the rows without a standard concept that the vocabulary knows."""
    if table.shape != "clinical":
        return 0
    known = sense.vocabulary.concepts["concept_id"].implode()
    return int(rows.select((~pl.col("concept").is_in(known).fill_null(False)).sum()).item())


def _person(rows: pl.DataFrame, table: Table, sense: Sense) -> pl.DataFrame:
    birth = _birth()
    rows = rows.with_columns(
        pl.coalesce(
            _mapped("gender_concept", lambda value: systems.gender(str(value)), pl.String()),
            _mapped("gender_source", lambda value: systems.gender(str(value)), pl.String()),
        ).alias("gender"),
        _group("race", sense).alias("race"),
        _group("ethnicity", sense).alias("ethnicity"),
        birth.alias("born"),
        # a birth that is there and cannot be read; a missing one is no fault of the row
        (birth.is_null() & (pl.col("birth_bad") | pl.col("year_text").is_not_null())).alias("born_bad"),
    )
    parts = [
        _static(rows.filter(pl.col(name).is_not_null()), pl.format(f"{prefix}//{{}}", name), table, part)
        for part, name, prefix in (
            (0, "gender", "GENDER"),
            (2, "race", "RACE"),
            (3, "ethnicity", "ETHNICITY"),
        )
    ]
    born = rows.filter(pl.col("born").is_not_null() | pl.col("born_bad"))
    # no known_time: whoever cares for a child knows that it is born
    parts.append(
        _fact(
            born,
            table,
            1,
            code=pl.lit(BIRTH),
            time=pl.col("born"),
            problem=pl.when("born_bad").then(pl.lit(NO_DATE)),
        )
    )
    return pl.concat(parts)


def _birth() -> pl.Expr:
    """Give the birth: its moment, else year, month and day.

    A missing month is January and a missing day the first: no event of a newborn then comes before its birth,
    and the age is too high by less than a year.
    """
    year, month, day = (pl.col(name) for name in ("year", "month", "day"))
    possible = year.is_between(1, 9999) & (month.is_null() | month.is_between(1, 12))
    first = pl.date(year.cast(pl.Int32), month.fill_null(1).cast(pl.Int8), 1)
    within = day.fill_null(1).clip(1, 31).cast(pl.Int64)
    whole = pl.when(possible).then(first + pl.duration(days=within - 1))
    return pl.coalesce("birth", whole.cast(pl.Datetime("us")))


def _group(name: str, sense: Sense) -> pl.Expr:
    """Give race or ethnicity: the concept's name, else what the source says."""
    names = _mapped(
        f"{name}_concept",
        lambda value: sense.vocabulary.name(int(str(value))) or meanings.GROUPS.get(int(str(value))),
        pl.String(),
    )
    return pl.coalesce(names, f"{name}_source")


def _period(rows: pl.DataFrame, table: Table, _sense: Sense) -> pl.DataFrame:
    """Give start and end of follow-up. The end is known when it is over, not before."""
    parts = []
    for part, (name, word) in enumerate((("date", "START"), ("end_date", "END"))):
        there = rows.filter(pl.col(name).is_not_null() | pl.col(f"{name}_bad") | pl.lit(part == 0))
        parts.append(_dated(there, table, part, (name,), code=pl.lit(f"OBSERVATION_PERIOD//{word}")))
    return pl.concat(parts)


def _visit(rows: pl.DataFrame, table: Table, sense: Sense) -> pl.DataFrame:
    def sort(concept: object) -> str:
        sorted_by_id = systems.encounter_class(str(concept))
        name = sense.vocabulary.name(int(str(concept)))
        return systems.encounter_class(name) if sorted_by_id == "other" and name else sorted_by_id

    prefix = "visit" if table.name == "visit_occurrence" else "detail"
    rows = rows.with_columns(
        _mapped("concept", sort, pl.String()).fill_null("other").alias("class"),
        pl.format("{}/{}", pl.lit(prefix), "id").alias("encounter"),
    )
    parts = []
    for part, (stem, word) in enumerate((("", "START"), ("end_", "END"))):
        names = (f"{stem}datetime", f"{stem}date")
        there = pl.any_horizontal(*(pl.col(name).is_not_null() | pl.col(f"{name}_bad") for name in names))
        parts.append(
            _dated(
                rows.filter(there | pl.lit(part == 0)),
                table,
                part,
                names,
                code=pl.format("ENCOUNTER//{}//{}", "class", pl.lit(word)),
                encounter=pl.col("encounter"),
            )
        )
    return pl.concat(parts)


def _clinical(rows: pl.DataFrame, table: Table, sense: Sense) -> pl.DataFrame:
    rows = rows.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items() if name not in rows.columns
    )
    for column in ("concept", "source_concept", "value_concept", "unit_concept"):
        rows = _with_concept(rows, column, sense.vocabulary)
    standard, source = pl.col("concept_code"), pl.col("source_concept_code")
    local = pl.coalesce(
        pl.format("OMOP//{}//{}", pl.lit(table.name), "source_value"),
        pl.format("OMOP//concept//{}", "concept"),
    )
    first, second = (source, standard) if sense.codes == "source" else (standard, source)
    rows = rows.with_columns(
        pl.coalesce(first, second, local).alias("code"),
        _numeric(table).alias("numeric"),
        _text_value().alias("text"),
        pl.when(pl.col("unit_concept_vocabulary") == "UCUM").then("unit_concept_value").alias("ucum"),
        _role(table, sense).alias("role"),
    )
    claims = (
        [kind for kind, name in sense.types.items() if meanings.is_claim(kind, name)] if table.billed else []
    )
    known_later = pl.when(pl.col("type").is_in(claims)).then("visit_ended") if claims else None

    def part(rows: pl.DataFrame, number: int, code: pl.Expr) -> pl.DataFrame:
        return _dated(
            rows,
            table,
            number,
            ("datetime", "date"),
            known_later=known_later,
            code=code,
            numeric_value=pl.col("numeric"),
            text_value=pl.col("text"),
            unit=pl.coalesce("ucum", "unit_source", "unit_concept_value"),
            role=pl.col("role"),
            encounter=_encounter(),
            problem=pl.when(pl.col("code").is_null()).then(pl.lit(NO_CODE)),
        )

    parts = [part(rows, 0, pl.col("code"))]
    if sense.codes == "both":
        parts.append(
            part(rows.filter(standard.is_not_null() & source.is_not_null() & (standard != source)), 1, source)
        )
    return pl.concat(parts)


def _numeric(table: Table) -> pl.Expr:
    number = pl.col("number")
    # a quantity of 0 is how an ETL writes that it has none
    return pl.when(number > 0).then(number) if table.name in ("drug_exposure", "device_exposure") else number


def _text_value() -> pl.Expr:
    """Give what stands beside or instead of a number: `>5`, the value's name, or the source's own words."""
    number = pl.col("number").cast(pl.String).str.strip_suffix(".0")
    operator = pl.col("operator").replace_strict(
        list(meanings.OPERATORS), list(meanings.OPERATORS.values()), default=None, return_dtype=pl.String
    )
    return pl.coalesce(
        operator + number,
        "number_text",
        "value_concept_name",
        "value_string",
        pl.when(pl.col("number").is_null()).then("value_source"),
    )


def _role(table: Table, sense: Sense) -> pl.Expr:
    if table.name != "drug_exposure":
        return pl.lit(table.role)
    return _mapped(
        "type",
        lambda value: meanings.drug_role(int(str(value)), sense.types.get(int(str(value)))),
        pl.String(),
    ).fill_null(pl.lit(meanings.drug_role(0, None)))


def _death(rows: pl.DataFrame, table: Table, _sense: Sense) -> pl.DataFrame:
    return _dated(rows, table, 0, ("datetime", "date"), code=pl.lit(DEATH))


def _note(rows: pl.DataFrame, table: Table, sense: Sense) -> pl.DataFrame:
    rows = _with_concept(_with_concept(rows, "class_concept", sense.vocabulary), "type", sense.vocabulary)
    kind = pl.coalesce("class_concept_name", "type_name", "source_value", pl.lit("note"))
    return _dated(
        rows,
        table,
        0,
        ("datetime", "date"),
        code=pl.format("NOTE//{}", kind),
        text_value=pl.concat_str("title", "text", separator="\n", ignore_nulls=True).replace("", None),
        encounter=_encounter(),
    )


_SHAPES: Final[dict[Shape, Callable[[pl.DataFrame, Table, Sense], pl.DataFrame]]] = {
    "person": _person,
    "period": _period,
    "visit": _visit,
    "clinical": _clinical,
    "death": _death,
    "note": _note,
}


def _dated(
    rows: pl.DataFrame,
    table: Table,
    part: int,
    names: tuple[str, ...],
    *,
    known_later: pl.Expr | None = None,
    problem: pl.Expr | None = None,
    **values: pl.Expr,
) -> pl.DataFrame:
    """Make facts that happened at the first of `names` that can be read.

    Midnight exactly is a date without a time, which is known at the end of that day.
    """
    at = pl.coalesce(*names)
    bad = at.is_null() & pl.any_horizontal(*(pl.col(f"{name}_bad") for name in names))
    known = pl.when(at == at.dt.truncate("1d")).then(end_of_day(at))
    problems = [pl.when(bad).then(pl.lit(NO_DATE))] + ([problem] if problem is not None else [])
    return _fact(
        rows,
        table,
        part,
        time=at,
        known_time=known if known_later is None else pl.max_horizontal(known, known_later),
        problem=pl.coalesce(*problems),
        **values,
    )


def _static(rows: pl.DataFrame, code: pl.Expr, table: Table, part: int) -> pl.DataFrame:
    return _fact(rows, table, part, code=code, static=pl.lit(True))


_COLUMNS: Final[dict[str, pl.DataType]] = {
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float64(),
    "text_value": pl.String(),
    "unit": pl.String(),
    "known_time": pl.Datetime("us"),
    "role": pl.String(),
    "static": pl.Boolean(),
    "encounter": pl.String(),
    "problem": pl.String(),
}


def _fact(rows: pl.DataFrame, table: Table, part: int, **values: pl.Expr) -> pl.DataFrame:
    values = {"role": pl.lit(table.role), "static": pl.lit(False)} | values
    return rows.select(
        "patient",
        "key",
        pl.lit(part, pl.Int32).alias("part"),
        "row",
        *(values.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in _COLUMNS.items()),
    )


def _encounter() -> pl.Expr:
    return pl.coalesce(pl.format("visit/{}", "visit"), pl.format("detail/{}", "detail"))


def _with_concept(rows: pl.DataFrame, column: str, vocabulary: Vocabulary) -> pl.DataFrame:
    """Join what the vocabulary says of the concept in `column`: COLUMN_code, _name, _value, _vocabulary."""
    concepts = vocabulary.concepts.rename(
        {name: f"{column}_{name}" for name in vocabulary.concepts.columns if name != "concept_id"}
    )
    return rows.join(concepts, left_on=column, right_on="concept_id", how="left", maintain_order="left")


def _mapped(column: str, function: Callable[[object], str | None], kind: pl.DataType) -> pl.Expr:
    """Apply a function to the distinct values of a column that has few of them; null stays null."""

    def apply(values: pl.Series) -> pl.Series:
        distinct = values.drop_nulls().unique()
        if distinct.is_empty():
            return pl.Series(values.name, [None] * len(values), dtype=kind)
        return values.replace_strict(
            distinct, [function(value) for value in distinct], default=None, return_dtype=kind
        )

    return pl.col(column).map_batches(apply, return_dtype=kind)
