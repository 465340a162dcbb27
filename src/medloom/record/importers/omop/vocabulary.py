"""The concepts a CDM uses: their codes in our spelling, names and ancestors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.knowledge import systems
from medloom.record.importers.omop.source import Cdm, Relation, reading, rejects
from medloom.record.importers.omop.tables import TABLES
from medloom.record.importing import CodeInfo

if TYPE_CHECKING:
    import duckdb

CONCEPT_SCHEMA = pl.Schema(
    {
        "concept_id": pl.Int64(),
        "vocabulary": pl.String(),
        "value": pl.String(),
        "name": pl.String(),
        "code": pl.String(),
    }
)


@dataclass(frozen=True)
class Vocabulary:
    """The concepts used by a CDM and their ancestors; concept 0 is in none of them.

    `concepts`: one row a concept, `value` its code as the vocabulary writes it, `code` as the record does.
    """

    concepts: pl.DataFrame
    ancestors: Mapping[int, list[int]]
    unread: Mapping[str, int] = field(default_factory=dict)  # vocabulary table → lines that could not be read
    _by_code: Mapping[str, int] = field(default_factory=dict)
    _names: Mapping[int, str | None] = field(default_factory=dict)
    _codes: Mapping[int, str] = field(default_factory=dict)

    def name(self, concept: int) -> str | None:
        """Give the name of a concept."""
        return self._names.get(concept)

    def info(self, code: str) -> CodeInfo | None:
        """Describe a code of the record; None if it is of no concept."""
        concept = self._by_code.get(code)
        if concept is None:
            return None
        above = {
            self._codes[ancestor] for ancestor in self.ancestors.get(concept, ()) if ancestor in self._codes
        }
        return CodeInfo(self._names[concept], tuple(sorted(above - {code})))


def load(cdm: Cdm) -> Vocabulary:
    """Read from CONCEPT and CONCEPT_ANCESTOR what the CDM's tables point at.

    Each of the two is read once; memory grows with the concepts used, not with the vocabulary.
    """
    with progress(tr("Reading the vocabulary")):
        cursor = cdm.connection.cursor()
        cursor.execute("CREATE TABLE used (id BIGINT)")
        for table in TABLES:
            relation = cdm.read(table.name)
            if relation is not None:
                _add_used(cursor, relation, table.concept_columns())
        concept = cdm.read("concept")
        if concept is None:
            return Vocabulary(pl.DataFrame(schema=CONCEPT_SCHEMA), {})
        return _load(cursor, concept, cdm.read("concept_ancestor"))


def as_concept(column: tuple[str, str] | None) -> str:
    """Write the SQL that reads a concept id from a column of any type; null and 0 are null."""
    return "NULL::BIGINT" if column is None else f"nullif(try_cast({column[0]} AS BIGINT), 0)"


def _add_used(cursor: duckdb.DuckDBPyConnection, relation: Relation, columns: tuple[str, ...]) -> None:
    present = [as_concept(place) for name in columns if (place := relation.column(name))]
    if not present:
        return
    ids = f"unnest([{', '.join(present)}])"
    with reading(relation.path):
        cursor.execute(
            f"INSERT INTO used SELECT DISTINCT id FROM (SELECT {ids} AS id {relation.sql}) "
            "WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM used)"
        )


def _load(cursor: duckdb.DuckDBPyConnection, concept: Relation, lineage: Relation | None) -> Vocabulary:
    ancestors: dict[int, list[int]] = {}
    unread: dict[str, int] = {}
    if lineage is not None:
        above, below = (
            as_concept(lineage.column(name)) for name in ("ancestor_concept_id", "descendant_concept_id")
        )
        with reading(lineage.path):
            cursor.execute(
                "CREATE TABLE lineage AS SELECT DISTINCT above, below FROM "
                f"(SELECT {above} AS above, {below} AS below {lineage.sql}) "
                "WHERE above <> below AND below IN (SELECT id FROM used)"
            )
            ancestors = dict(
                cursor.execute(
                    "SELECT below, list(above ORDER BY above) FROM lineage GROUP BY below"
                ).fetchall()
            )
            unread[lineage.table] = rejects(cursor, lineage).height
            cursor.execute(
                "INSERT INTO used SELECT DISTINCT above FROM lineage WHERE above NOT IN (SELECT id FROM used)"
            )
    names = {
        name: (concept.column(name) or ("",))[0]
        for name in ("vocabulary_id", "concept_code", "concept_name", "standard_concept")
    }
    standard = (
        f"{names['standard_concept']} IS NOT DISTINCT FROM 'S'" if names["standard_concept"] else "FALSE"
    )
    with reading(concept.path):
        # a standard concept comes first, so that it describes a code that two concepts share
        rows = cursor.execute(
            "SELECT id, trim(vocabulary), trim(value), name FROM "
            f"(SELECT {as_concept(concept.column('concept_id'))} AS id, "
            f"{names['vocabulary_id']}::VARCHAR AS vocabulary, {names['concept_code']}::VARCHAR AS value, "
            f"{names['concept_name']}::VARCHAR AS name, {standard} AS standard {concept.sql}) "
            "WHERE id IN (SELECT id FROM used) AND trim(vocabulary) <> '' AND trim(value) <> '' "
            "QUALIFY row_number() OVER (PARTITION BY id ORDER BY standard DESC, vocabulary, value) = 1 "
            "ORDER BY standard DESC, id"
        ).fetchall()
        unread[concept.table] = rejects(cursor, concept).height
    coded = [(*row, systems.code(row[1], row[2])) for row in rows]
    by_code: dict[str, int] = {}
    for number, *_, code in coded:
        by_code.setdefault(code, number)
    return Vocabulary(
        pl.DataFrame(coded, schema=CONCEPT_SCHEMA, orient="row"),
        ancestors,
        unread,
        by_code,
        {row[0]: row[3] for row in coded},
        {row[0]: row[4] for row in coded},
    )
