"""The tables of the CDM that hold facts of a patient, and which column means what in 5.3 and in 5.4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# How a column is read: a row's or person's number (as text), a concept id, text, a number
# (with the text beside it where it is none), or a date with or without a time.
Kind = Literal["identifier", "concept", "text", "number", "moment"]
Shape = Literal["person", "period", "visit", "clinical", "death", "note"]


@dataclass(frozen=True)
class Column:
    """A column as we call it, how to read it, and its names in the CDM, the first one present counts."""

    name: str
    kind: Kind
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One CDM table. `identifier`, `required`: names in the CDM; without them the table cannot be read."""

    name: str
    shape: Shape
    role: str
    identifier: str
    required: tuple[str, ...]
    columns: tuple[Column, ...]
    batch_rows: int  # so that a batch stays near 50,000 facts, or a few megabytes of notes
    billed: bool = False  # coded for a claim, it is known when the visit has ended

    def concept_columns(self) -> tuple[str, ...]:
        """Name the CDM columns that point into CONCEPT."""
        return tuple(
            source for column in self.columns if column.kind == "concept" for source in column.sources
        )


_EVENT_ROWS: Final = 25_000


def _event(
    name: str,
    prefix: str,
    role: str,
    *,
    identifier: str | None = None,
    start: str = "",
    values: tuple[Column, ...] = (),
    billed: bool = False,
) -> Table:
    """Describe a table of one event a row, whose columns begin with the prefix."""
    identifier = identifier or f"{name}_id"
    date = f"{start or prefix}_date"
    return Table(
        name,
        "clinical",
        role,
        identifier,
        ("person_id", identifier, f"{prefix}_concept_id", date),
        (
            Column("concept", "concept", (f"{prefix}_concept_id",)),
            Column("source_concept", "concept", (f"{prefix}_source_concept_id",)),
            Column("source_value", "text", (f"{prefix}_source_value",)),
            Column("type", "concept", (f"{prefix}_type_concept_id",)),
            Column("date", "moment", (date,)),
            Column("datetime", "moment", (f"{start or prefix}_datetime",)),
            Column("visit", "identifier", ("visit_occurrence_id",)),
            Column("detail", "identifier", ("visit_detail_id",)),
            *values,
        ),
        _EVENT_ROWS,
        billed,
    )


def _visit(name: str, identifier: str, prefix: str, role: str = "encounter") -> Table:
    return Table(
        name,
        "visit",
        role,
        identifier,
        ("person_id", identifier, f"{prefix}_concept_id", f"{prefix}_start_date"),
        (
            Column("concept", "concept", (f"{prefix}_concept_id",)),
            Column("date", "moment", (f"{prefix}_start_date",)),
            Column("datetime", "moment", (f"{prefix}_start_datetime",)),
            Column("end_date", "moment", (f"{prefix}_end_date",)),
            Column("end_datetime", "moment", (f"{prefix}_end_datetime",)),
        ),
        _EVENT_ROWS,
    )


_NUMBER: Final = Column("number", "number", ("value_as_number",))
_VALUE_CONCEPT: Final = Column("value_concept", "concept", ("value_as_concept_id",))
_UNIT: Final = (
    Column("unit_concept", "concept", ("unit_concept_id",)),
    Column("unit_source", "text", ("unit_source_value",)),
)

PERSON: Final = Table(
    "person",
    "person",
    "demographic",
    "person_id",
    ("person_id", "gender_concept_id", "year_of_birth"),
    (
        Column("gender_concept", "concept", ("gender_concept_id",)),
        Column("gender_source", "text", ("gender_source_value",)),
        Column("race_concept", "concept", ("race_concept_id",)),
        Column("race_source", "text", ("race_source_value",)),
        Column("ethnicity_concept", "concept", ("ethnicity_concept_id",)),
        Column("ethnicity_source", "text", ("ethnicity_source_value",)),
        Column("birth", "moment", ("birth_datetime",)),
        Column("year", "number", ("year_of_birth",)),
        Column("month", "number", ("month_of_birth",)),
        Column("day", "number", ("day_of_birth",)),
    ),
    12_500,
)

VISIT_OCCURRENCE: Final = _visit("visit_occurrence", "visit_occurrence_id", "visit")

TABLES: Final[tuple[Table, ...]] = (
    PERSON,
    Table(
        "observation_period",
        "period",
        "period",
        "observation_period_id",
        (
            "person_id",
            "observation_period_id",
            "observation_period_start_date",
            "observation_period_end_date",
        ),
        (
            Column("date", "moment", ("observation_period_start_date",)),
            Column("end_date", "moment", ("observation_period_end_date",)),
        ),
        _EVENT_ROWS,
    ),
    VISIT_OCCURRENCE,
    _visit("visit_detail", "visit_detail_id", "visit_detail"),
    _event("condition_occurrence", "condition", "condition", start="condition_start", billed=True),
    _event(
        "drug_exposure",
        "drug",
        "statement",
        start="drug_exposure_start",
        values=(
            Column("number", "number", ("quantity",)),
            Column("unit_source", "text", ("dose_unit_source_value",)),
            Column("value_source", "text", ("sig",)),
        ),
    ),
    _event("procedure_occurrence", "procedure", "procedure", billed=True),
    _event(
        "measurement",
        "measurement",
        "observation",
        values=(
            _NUMBER,
            Column("operator", "concept", ("operator_concept_id",)),
            _VALUE_CONCEPT,
            Column("value_source", "text", ("value_source_value",)),
            *_UNIT,
        ),
    ),
    _event(
        "observation",
        "observation",
        "observation",
        values=(_NUMBER, Column("value_string", "text", ("value_as_string",)), _VALUE_CONCEPT, *_UNIT),
    ),
    _event(
        "device_exposure",
        "device",
        "device",
        start="device_exposure_start",
        values=(Column("number", "number", ("quantity",)), *_UNIT),
    ),
    Table(
        "death",
        "death",
        "demographic",
        "person_id",
        ("person_id", "death_date"),
        (Column("date", "moment", ("death_date",)), Column("datetime", "moment", ("death_datetime",))),
        _EVENT_ROWS,
    ),
    Table(
        "note",
        "note",
        "note",
        "note_id",
        ("person_id", "note_id", "note_date", "note_text"),
        (
            Column("date", "moment", ("note_date",)),
            Column("datetime", "moment", ("note_datetime",)),
            Column("class_concept", "concept", ("note_class_concept_id",)),
            Column("type", "concept", ("note_type_concept_id",)),
            Column("source_value", "text", ("note_source_value",)),
            Column("title", "text", ("note_title",)),
            Column("text", "text", ("note_text",)),
            Column("visit", "identifier", ("visit_occurrence_id",)),
            Column("detail", "identifier", ("visit_detail_id",)),
        ),
        2_000,
    ),
)

# What is needed of the vocabulary, and what a header must hold to be recognised as one.
VOCABULARY: Final[dict[str, tuple[str, ...]]] = {
    "concept": ("concept_id", "concept_name", "vocabulary_id", "concept_code"),
    "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
}
REQUIRED: Final[dict[str, tuple[str, ...]]] = {table.name: table.required for table in TABLES} | VOCABULARY
