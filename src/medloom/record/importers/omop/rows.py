"""The query that reads a CDM table in our terms, whatever types and names its columns have."""

from __future__ import annotations

from medloom.record.importers.omop.source import Relation, literal
from medloom.record.importers.omop.tables import VISIT_OCCURRENCE, Column, Table
from medloom.record.importers.omop.vocabulary import as_concept

_FLOATING = ("DOUBLE", "FLOAT", "DECIMAL")


def query(relation: Relation, table: Table, zone: str, repeated: str, people: str, visits: str) -> str:
    """Write the SELECT over one table: `row` (from 1), `patient`, `id`, and each column by our name.

    A moment gives two columns: NAME (naive, in `zone`) and NAME_bad, true where something stands that
    is no date. A number gives NAME and NAME_text, what stands there where it is no number. Besides:
    `repeated` (the row's number occurs twice in the table), `stranger` (no such person),
    `visit_unknown` and `visit_ended` (when the visit was over).

    Args:
        relation: where the table is.
        table: what its columns mean.
        zone: IANA zone of the wall clock, for columns that carry an offset.
        repeated: name of a table of the numbers that occur twice.
        people: name of a table of the persons there are.
        visits: name of a table of visits and when they ended.
    """
    selected = ["row_number() OVER () AS row", f"{identifier(relation.column('person_id'))} AS patient"]
    selected.append(f"{identifier(relation.column(table.identifier))} AS id")
    selected += [
        expression for column in table.columns for expression in _expressions(column, relation, zone)
    ]
    inner = f"SELECT {', '.join(selected)} {relation.sql}"
    has_visit = any(column.name == "visit" for column in table.columns)
    joined = f"LEFT JOIN {visits} v ON v.visit = t.visit" if has_visit else ""
    visit = "t.visit IS NOT NULL AND v.visit IS NULL, v.ended" if has_visit else "FALSE, NULL::TIMESTAMP"
    unknown, ended = visit.split(", ")
    return (
        f"SELECT t.*, t.id IS NOT NULL AND t.id IN (SELECT id FROM {repeated}) AS repeated, "
        f"t.patient IS NOT NULL AND t.patient NOT IN (SELECT patient FROM {people}) AS stranger, "
        f"{unknown} AS visit_unknown, {ended} AS visit_ended FROM ({inner}) t {joined}"
    )


def visit_ends(relation: Relation, zone: str) -> str:
    """Write the SELECT that gives each visit and the moment from which all of it was known."""
    end = [moment(relation.column(f"visit_end_{suffix}"), zone) for suffix in ("datetime", "date")]
    ended = f"coalesce({', '.join(end)})"
    visit = identifier(relation.column(VISIT_OCCURRENCE.identifier))
    day_over = (
        "CASE WHEN finish = date_trunc('day', finish) "
        "THEN finish + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND ELSE finish END"
    )
    return (
        f"SELECT visit, max({day_over}) AS ended FROM "
        f"(SELECT {visit} AS visit, {ended} AS finish {relation.sql}) "
        "WHERE visit IS NOT NULL GROUP BY visit"
    )


def identifier(column: tuple[str, str] | None) -> str:
    """Write the SQL that reads a number that names something, as text; null, empty and 0 are null.

    Some exports hold identifiers as DOUBLE: 4182.0 is 4182.
    """
    if column is None:
        return "NULL::VARCHAR"
    place, kind = column
    if kind.startswith(_FLOATING):
        text = f"try_cast({place} AS BIGINT)::VARCHAR"
    elif kind == "VARCHAR":
        text = f"regexp_replace(trim({place}), '^(\\d+)\\.0+$', '\\1')"
    else:
        text = f"{place}::VARCHAR"
    return f"nullif(nullif({text}, ''), '0')"


def moment(column: tuple[str, str] | None, zone: str) -> str:
    """Write the SQL that reads a moment as naive wall clock in `zone`; what is no date is null."""
    if column is None:
        return "NULL::TIMESTAMP"
    place, kind = column
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone({literal(zone)}, {place})"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"{place}::TIMESTAMP"
    text = f"trim({place}::VARCHAR)"
    return (
        f"CASE WHEN regexp_matches({text}, ':\\d\\d.*([Zz]|[+-]\\d\\d:?\\d\\d)$') "
        f"THEN timezone({literal(zone)}, try_cast({text} AS TIMESTAMPTZ)) "
        f"WHEN regexp_full_match({text}, '\\d{{8}}') THEN try_strptime({text}, '%Y%m%d') "
        f"ELSE try_cast({text} AS TIMESTAMP) END"
    )


def _expressions(column: Column, relation: Relation, zone: str) -> list[str]:
    place = relation.column(*column.sources)
    name = column.name
    match column.kind:
        case "identifier":
            return [f"{identifier(place)} AS {name}"]
        case "concept":
            return [f"{as_concept(place)} AS {name}"]
        case "text":
            return [f"{_text(place)} AS {name}"]
        case "moment":
            read = moment(place, zone)
            present = f"{_text(place)} IS NOT NULL" if place else "FALSE"
            return [f"{read} AS {name}", f"{present} AND ({read}) IS NULL AS {name}_bad"]
        case "number":
            number = f"try_cast({place[0]} AS DOUBLE)" if place else "NULL::DOUBLE"
            finite = f"CASE WHEN isfinite({number}) THEN {number} END"
            is_text = place is not None and place[1] == "VARCHAR"
            text = f"CASE WHEN ({finite}) IS NULL THEN {_text(place)} END" if is_text else "NULL::VARCHAR"
            return [f"{finite} AS {name}", f"{text} AS {name}_text"]


def _text(column: tuple[str, str] | None) -> str:
    return f"nullif(trim({column[0]}::VARCHAR), '')" if column else "NULL::VARCHAR"
