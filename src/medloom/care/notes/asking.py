"""Questions about facts of notes in SQL: an expression behind WHERE, and nothing else."""

from __future__ import annotations

from typing import Any, Final

import orjson
import polars as pl

from medloom.care.notes.facts import note_texts
from medloom.foundation.errors import InputError
from medloom.knowledge import systems
from medloom.learners.text.facts.mentions import parts_of, words_at
from medloom.record.record import Record

COLUMNS: Final = (
    "subject_id",
    "time",
    "code",
    "numeric_value",
    "unit",
    "text_value",
    "role",
    "derived_from",
    "span",
    "confidence",
    "model",
    "known_time",
)
"""What can be asked about; `words`, the note's own, are in the answer only."""


def facts_where(record: Record, where: str | None = None) -> pl.DataFrame:
    """Give the facts of notes for which an expression holds: `COLUMNS`, and the `words` they come from.

    What a note denies has another code, `NOT//…`: asking for `ICD10CM//E11%` does not find it.

    Args:
        record: of a site, or in memory.
        where: in the SQL of DuckDB, about `COLUMNS`; None: all facts. Nothing but an expression is taken: no
            subquery, no file, no setting.

    Raises:
        InputError: it is no such expression, or one that the columns do not bear.
    """
    facts = facts_of_record(record)
    found = facts if where is None else _filtered(facts, where)
    return with_words(record, found)


def facts_of_record(record: Record) -> pl.DataFrame:
    """Give all facts of notes that stand: `COLUMNS`, by subject and time.

    Of what people say of a code at a place the last word counts; where that is a rejection, there is no fact.
    """
    read = [name for name in COLUMNS if name != "unit"]
    events = pl.DataFrame(record.read([*read, "known_until"])).cast({"code": pl.String, "role": pl.String})
    units = record.catalogue.units()
    facts = events.filter(
        pl.col("derived_from").is_not_null()
        & pl.col("span").str.contains(r"^\d+:\d+(;\d+:\d+)*$")
        & pl.col("known_until").is_null()
        & (pl.col("role") != "image")
    )
    facts = _last_words(facts)
    unit = [
        units.get(code) if value is not None else None
        for code, value in facts.select("code", "numeric_value").iter_rows()
    ]
    return facts.with_columns(unit=pl.Series(unit, dtype=pl.String)).select(COLUMNS)


def _last_words(facts: pl.DataFrame) -> pl.DataFrame:
    """Leave out what people said before they said something else of the same code and place, and rejections."""
    rejected = f"{systems.REJECTED}//"
    judged = pl.col("code").str.strip_prefix(rejected).str.strip_prefix("NOT//")
    numbered = facts.with_row_index(_ROW).with_columns(judged=judged)
    by_people = numbered.filter(pl.col("model").is_null()).sort("known_time", maintain_order=True)
    last = by_people.unique(
        ["subject_id", "derived_from", "span", "judged"], keep="last", maintain_order=True
    )
    stands = pl.col("model").is_not_null() | pl.col(_ROW).is_in(last[_ROW].implode())
    return numbered.filter(stands & ~pl.col("code").str.starts_with(rejected)).drop(_ROW, "judged")


def with_words(record: Record, facts: pl.DataFrame) -> pl.DataFrame:
    """Add the words of the notes that facts come from."""
    texts = note_texts(record, facts["subject_id"].unique().to_list())
    words = [
        None if (text := texts.get((subject, note))) is None else words_at(text, parts_of(span))
        for subject, note, span in facts.select("subject_id", "derived_from", "span").iter_rows()
    ]
    return facts.with_columns(words=pl.Series(words, dtype=pl.String))


def _filtered(facts: pl.DataFrame, where: str) -> pl.DataFrame:
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.register("facts", facts.with_row_index(_ROW).to_arrow())
        connection.execute(_LOCKED)
        _check(connection, where)
        try:
            rows = connection.execute(_query(_ROW, where)).fetchall()
        except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException):
            # from None and without the reason, which quotes values
            raise InputError(
                "{where!r} cannot be told of every fact: a value does not convert; use try_cast", where=where
            ) from None
        except duckdb.Error as error:
            raise InputError(
                "this question cannot be answered: {reason}", reason=str(error).splitlines()[0]
            ) from None
    return facts[sorted(row for (row,) in rows)]


_ROW: Final = "_row"
_LOCKED: Final = (
    "SET enable_external_access = false; SET autoload_known_extensions = false;"
    "SET autoinstall_known_extensions = false; SET threads = 1; SET memory_limit = '1GB';"
    "SET lock_configuration = true"
)


def _query(what: str, where: str) -> str:
    return f"SELECT {what} FROM facts WHERE (\n{where}\n)"


def _check(connection: Any, where: str) -> None:
    """Refuse what is more than one expression: what surrounds it must be parsed as if it were `true`."""
    plain, _ = _parsed(connection, "true")
    around, condition = _parsed(connection, where)
    if not where.strip() or around != plain or _SUBQUERY in orjson.dumps(condition):
        raise InputError(
            "{where!r} is no expression behind WHERE; write one about {columns}, such as code like 'ICD10CM//E11%'",
            where=where,
            columns=", ".join(COLUMNS),
        )


_SUBQUERY: Final = b'"class":"SUBQUERY"'


def _parsed(connection: Any, where: str) -> tuple[object, object]:
    """Give how a query is parsed: all but its condition, and its condition."""
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [_query("*", where)]).fetchone()
    parsed = orjson.loads(text)
    if parsed.get("error"):
        return parsed.get("error_type"), None
    if len(parsed["statements"]) != 1:
        return len(parsed["statements"]), None
    node = parsed["statements"][0]["node"]
    condition = node.pop("where_clause", None)
    return _without_places(parsed), condition


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_places(one) for name, one in value.items() if not name.startswith("query_location")
        }
    return [_without_places(one) for one in value] if isinstance(value, list) else value
