"""One patient's record as it stood at a moment: each visible fact with the type of resource it becomes, and its id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import polars as pl

from medloom.foundation.clock import Clock
from medloom.foundation.hashing import hash64
from medloom.knowledge.systems import ASSERTION_PREFIXES, REJECTED
from medloom.record.record import Record
from medloom.record.schema import BIRTH, DEATH, visible_time
from medloom.server.access import Person
from medloom.server.fhir.moments import last_moment, precision
from medloom.server.showing import facts_shown

# What a role makes of a fact, and which assertions the resource can say. What is not listed is left out: see
# docs/fhir.md. Orders are told apart below.
_ROLES: Final = {
    "observation": "Observation",
    "condition": "Condition",
    "allergy": "AllergyIntolerance",
    "procedure": "Procedure",
    "immunization": "Immunization",
    "administration": "MedicationAdministration",
    "dispense": "MedicationDispense",
    "statement": "MedicationStatement",
    "note": "DiagnosticReport",
}
_ASSERTIONS: Final[Mapping[str, frozenset[str]]] = {
    "Condition": frozenset(("NOT", "POSSIBLE", "HISTORY")),
    "AllergyIntolerance": frozenset(("NOT", "POSSIBLE")),
    "Procedure": frozenset(("NOT", "PLANNED")),
    "Immunization": frozenset(("NOT",)),
    "MedicationAdministration": frozenset(("NOT",)),
    "MedicationDispense": frozenset(("NOT", "PLANNED")),
    "MedicationStatement": frozenset(("NOT", "PLANNED")),
    "MedicationRequest": frozenset(("NOT", "PLANNED")),
    "ServiceRequest": frozenset(("NOT", "PLANNED")),
}
# What a fact is of which the source does not say the role.
_VOCABULARIES: Final = {
    **dict.fromkeys(("ICD10CM", "ICD10", "ICD10CN", "ICD10GM", "ICD9CM", "ICD11"), "Condition"),
    **dict.fromkeys(("ICD10PCS", "ICD9Proc", "CPT4", "OPCS4"), "Procedure"),
    "CVX": "Immunization",
    "LOINC": "Observation",
}
_DRUGS: Final = ("RxNorm", "RxNorm Extension", "NDC", "ATC", "dm+d", "UNII", "NDFRT", "VANDF", "SPL")
_NO_DRUGS: Final = ("LOINC", "CPT4", "HCPCS", "ICD10PCS", "ICD9Proc", "OPCS4", "CDT", "Revenue Code")
_TAKEN: Final = ("administration", "dispense", "statement")
# Which kinds of stay go on until an end is known; others are a visit.
_LASTING: Final = frozenset(("inpatient", "icu", "emergency"))
_CONTENT: Final = ("time", "code", "numeric_value", "text_value", "known_time", "role", "encounter")

Identifiers = tuple[tuple[str, str], ...]
"""(system, identifier) pairs by which the hospital knows a patient."""


@dataclass(frozen=True)
class Fact:
    """One visible row, as a resource is made of it; `code` without its `assertion`."""

    id: str
    type: str
    code: str
    assertion: str | None
    time: datetime
    precision: Any
    known: datetime | None
    visible: datetime
    value: float | None
    text: str | None
    text_hidden: bool
    encounter: str | None  # id of the Encounter, where it is one of the chart
    model: str | None
    confidence: float | None


@dataclass(frozen=True)
class Stay:
    """An encounter: the START and END that belong together."""

    id: str
    kind: str
    start: datetime
    start_precision: Any
    end: datetime | None
    end_precision: Any
    status: str
    discharge: str | None  # code of the record
    visible: datetime


@dataclass(frozen=True)
class Chart:
    """What was known of a patient at `now`.

    Attributes:
        subject_id: the pseudonym.
        rows: visible rows of the record, by time, with `type`, `assertion`, `bare` (the code without it), `id`,
            `precision`, `until` and `visible`; `type` is null for what becomes no resource of its own.
        descriptions: of the codes, as the source has them.
        units: canonical UCUM unit of each code.
        clock: of the site.
        now: as of when.
        identifiers: (system, identifier) pairs for who may see them; None: who reads may not, or did not ask.
    """

    subject_id: int
    rows: pl.DataFrame
    descriptions: Mapping[str, str]
    units: Mapping[str, str]
    clock: Clock
    now: datetime
    identifiers: Identifiers | None = None

    @classmethod
    def of(
        cls,
        record: Record,
        person: Person,
        subject_id: int,
        now: datetime,
        identifiers: Identifiers | None = None,
    ) -> Chart:
        """Read a patient's chart as of `now`, the site's wall clock, as a person may see it; some ten milliseconds."""
        return cls.several(record, person, [subject_id], now, {subject_id: identifiers})[0]

    @classmethod
    def several(
        cls,
        record: Record,
        person: Person,
        subjects: Sequence[int],
        now: datetime,
        identifiers: Mapping[int, Identifiers | None],
    ) -> list[Chart]:
        """Read the charts of several patients at once, in their order."""
        events = _with_keys(record.events(subjects))
        rows = events.lazy().pipe(visible, now).pipe(typed).collect()
        by_subject = {
            subject: facts_shown(person, of_one)
            for (subject,), of_one in rows.partition_by("subject_id", as_dict=True).items()
        }
        codes = sorted({*rows["bare"], *rows["code"]})
        known = record.catalogue.frame.filter(pl.col("code").is_in(codes))
        descriptions, units = {}, {}
        for code, description, unit in known.select("code", "description", "unit").iter_rows():
            if description is not None:
                descriptions[code] = description
            if unit is not None:
                units[code] = unit
        clock = Clock(record.settings.time_zone)
        nothing = facts_shown(person, rows.clear())
        return [
            cls(one, by_subject.get(one, nothing), descriptions, units, clock, now, identifiers.get(one))
            for one in subjects
        ]

    def facts(self, rows: pl.DataFrame) -> list[Fact]:
        """Give some of the chart's rows as facts, in their order."""
        return [
            Fact(
                row["id"],
                row["type"],
                row["bare"],
                row["assertion"],
                row["time"],
                row["precision"],
                row["known_time"],
                row["visible"],
                row["numeric_value"],
                row["text_value"],
                row["text_hidden"],
                self._encounters.get(row["encounter"]),
                row["model"],
                row["confidence"],
            )
            for row in rows.iter_rows(named=True)
        ]

    def unit_of(self, fact: Fact) -> str | None:
        """Give the UCUM unit of a fact's value."""
        return self.units.get(f"{fact.assertion}//{fact.code}" if fact.assertion else fact.code)

    @cached_property
    def stays(self) -> list[Stay]:
        """Pair starts and ends: by the encounter they name, else each end with the latest open start of its kind."""
        named: dict[int, list[dict[str, Any]]] = {}
        unnamed: list[dict[str, Any]] = []
        of_stays = pl.col("bare").str.starts_with("ENCOUNTER//") | (
            pl.col("bare").str.starts_with("DISCHARGE//") & pl.col("encounter").is_not_null()
        )
        for row in self.rows.filter(of_stays, pl.col("time").is_not_null()).iter_rows(named=True):
            if row["encounter"] is None:
                unnamed.append(row)
            else:
                named.setdefault(row["encounter"], []).append(row)
        found = [self._stay(rows) for rows in named.values()]
        found += [self._stay(rows) for rows in _paired(unnamed)]
        stays = sorted((stay for stay in found if stay is not None), key=lambda stay: (stay.start, stay.id))
        # of one without an end that another of its kind followed, the end was never recorded
        last = {stay.kind: stay.id for stay in stays if stay.status != "planned"}
        return [
            replace(stay, status="unknown")
            if stay.status == "in-progress" and last[stay.kind] != stay.id
            else stay
            for stay in stays
        ]

    def encounters_named(self, ids: Collection[str]) -> list[int]:
        """Give the record's numbers of encounters by their ids."""
        return [number for number, one in self._encounters.items() if one in ids]

    def born(self) -> tuple[datetime, Any] | None:
        """Give the birth and as what it was written; None: unknown."""
        return self._first(BIRTH)

    def died(self) -> tuple[datetime, Any] | None:
        """Give the death and as what it was written; None: none is known of."""
        return self._first(DEATH)

    def static(self, kind: str) -> str | None:
        """Give the code of a static fact, such as `GENDER//F` of kind `GENDER`."""
        codes = self.rows.filter(pl.col("time").is_null() & pl.col("code").str.starts_with(f"{kind}//"))
        return codes["code"][0] if codes.height else None

    def age(self, time: datetime) -> float | None:
        """Give the age at a moment in years; None: the birth is unknown."""
        born = self.born()
        return None if born is None else (time - born[0]).days / 365.25

    def seen_since(self) -> datetime | None:
        """Tell when the chart last changed: when its newest fact became visible."""
        rows = self.rows if self.identifiers is not None else self.rows.filter(pl.col("code") != BIRTH)
        newest = rows["visible"].max()
        return newest if isinstance(newest, datetime) else None

    @cached_property
    def _encounters(self) -> dict[int, str]:
        stays = {stay.id for stay in self.stays}
        named = self.rows["encounter"].drop_nulls().unique()
        ids = {number: encounter_id(self.subject_id, number) for number in named}
        return {number: one for number, one in ids.items() if one in stays}

    def _first(self, code: str) -> tuple[datetime, Any] | None:
        rows = self.rows.filter(pl.col("code") == code, pl.col("time").is_not_null())
        return (rows["time"][0], rows["precision"][0]) if rows.height else None

    def _stay(self, rows: list[dict[str, Any]]) -> Stay | None:
        starts = [row for row in rows if row["bare"].endswith("//START")]
        ends = [row for row in rows if row["bare"].endswith("//END")]
        if not starts:
            return None
        start, end = starts[0], ends[-1] if ends else None
        kind = start["bare"].split("//")[1]
        number = start["encounter"]
        if start["assertion"] == "PLANNED":
            status = "planned"
        elif end is not None:
            status = "finished"
        else:
            status = "in-progress" if kind in _LASTING and self.died() is None else "unknown"
        discharge = next((row["bare"] for row in rows if row["bare"].startswith("DISCHARGE//")), None)
        return Stay(
            start["id"] if number is None else encounter_id(self.subject_id, number),
            kind,
            start["time"],
            start["precision"],
            end["time"] if end else None,
            end["precision"] if end else None,
            status,
            discharge,
            max(row["visible"] for row in rows),
        )


def visible(events: pl.LazyFrame, now: datetime) -> pl.LazyFrame:
    """Leave what was visible at `now` (docs/architecture.md, "What was known when"), and `visible`: since when."""
    since = visible_time().fill_null(datetime.min)  # static facts have no date
    return (
        events.with_columns(since.alias("visible"))
        .filter(
            pl.col("visible") <= now,
            (pl.col("known_until") > now).fill_null(value=True),
            pl.col("code") != "RETRACTED",
            ~pl.col("code").cast(pl.String).str.starts_with(f"{REJECTED}//"),
        )
        .sort("time", maintain_order=True)
    )


def typed(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Add what becomes of each row: `assertion`, `bare`, `type`, `id`, `precision`, `until`."""
    code = pl.col("code")
    words = "|".join(ASSERTION_PREFIXES)
    return rows.with_columns(
        code.str.extract(f"^({words})//.+", 1).alias("assertion"),
        code.str.replace(f"^({words})//(.+)", "$2").alias("bare"),
        precision(),
    ).with_columns(
        last_moment(),
        _type().alias("type"),
        pl.format("{}-{}-{}", "subject_id", pl.col("key").reinterpret(signed=False), "part").alias("id"),
    )


def encounter_id(subject_id: int, number: int) -> str:
    """Name an encounter."""
    return f"{subject_id}-e{number % 2**64}"


def subject_of(resource_id: str) -> int | None:
    """Tell of which patient a resource is, from its id; None: it is no id of ours.

    >>> subject_of("12-17446744073709551615-0"), subject_of("12-e7"), subject_of("patient")
    (12, 12, None)
    """
    first, dash, _ = resource_id.partition("-")
    return int(first) if dash and first.isascii() and first.isdecimal() and len(first) < 19 else None


def _type() -> pl.Expr:
    """Tell the type of resource by role and code, null where there is none."""
    bare, role = pl.col("bare"), pl.col("role")
    vocabulary = bare.str.extract("^(.+?)//", 1)
    measured = pl.col("numeric_value").is_not_null()
    # an order of what the patient also takes, by the same code, is of a drug
    taken = role.is_in(_TAKEN).any().over("subject_id", "bare")
    is_drug = vocabulary.is_in(_DRUGS) | (~vocabulary.is_in(_NO_DRUGS) & (measured | taken))
    by_role = (
        pl.when(role == "order")
        .then(pl.when(is_drug).then(pl.lit("MedicationRequest")).otherwise(pl.lit("ServiceRequest")))
        .when(role.is_null() & bare.str.contains("^(ENCOUNTER|GENDER|MEDS_BIRTH|MEDS_DEATH)\\b"))
        .then(None)
        .when(role.is_null())
        .then(
            pl.coalesce(
                vocabulary.replace_strict(_VOCABULARIES, default=None, return_dtype=pl.String),
                pl.when(measured).then(pl.lit("Observation")),
            )
        )
        .otherwise(role.replace_strict(_ROLES, default=None, return_dtype=pl.String))
    )
    assertion = pl.col("assertion")
    pairs = [f"{kind} {word}" for kind, words in _ASSERTIONS.items() for word in sorted(words)]
    sayable = assertion.is_null() | pl.concat_str(by_role, assertion, separator=" ").is_in(pairs)
    told = pl.col("time").is_not_null() & (
        (by_role != "DiagnosticReport") | pl.col("text_value").is_not_null()
    )
    return pl.when(sayable & told).then(by_role)


def _with_keys(events: pl.DataFrame) -> pl.DataFrame:
    """Name rows in memory, which no import has named, by their content and its ordinal."""
    if not events["key"].null_count():
        return events
    content = pl.concat_str(_CONTENT, separator="\x1f", ignore_nulls=True)
    hashes = content.map_elements(hash64, return_dtype=pl.UInt64).reinterpret(signed=True)
    ordinal = pl.int_range(pl.len(), dtype=pl.Int32).over(_CONTENT)
    return events.with_columns(
        pl.coalesce("key", hashes).alias("key"), pl.coalesce("part", ordinal).alias("part")
    )


def _paired(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    waiting: dict[str, list[dict[str, Any]]] = {}
    pairs = []
    for row in rows:
        _, kind, bound = [*row["bare"].split("//", 2), ""][:3]
        open_ones = waiting.setdefault(kind, [])
        if bound == "START":
            open_ones.append(row)
        elif bound == "END" and open_ones:
            pairs.append([open_ones.pop(), row])
    return pairs + [[row] for open_ones in waiting.values() for row in open_ones]
