"""Searches in one patient's chart: which of its facts and stays were asked for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import reduce
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.knowledge import systems
from medloom.knowledge.fhir_terms import Json
from medloom.knowledge.loinc import group_of
from medloom.server.fhir import patients
from medloom.server.fhir.chart import Chart
from medloom.server.fhir.clinical import CATEGORY_SYSTEM
from medloom.server.fhir.kinds import KINDS, Kind, resource
from medloom.server.fhir.moments import date_filter
from medloom.server.fhir.outcomes import RefusedError, as_refusal
from medloom.server.fhir.query import Query, alternatives

Page = Callable[[int, int], Sequence[Json]]

_EVERY: Final = ("_id", "_lastUpdated")
_GROUPS: Final = {"vital-signs": "vitals", "laboratory": "laboratory"}
_NEVER: Final = pl.lit(value=False)


def parameters(kind: str) -> frozenset[str]:
    """List by what a type that is made from the record is found."""
    if kind == "Encounter":
        return frozenset({*_EVERY, "_sort", "patient", "subject", "date", "status", "class"})
    of = KINDS[kind]
    optional = [name for name in (of.encounter, of.recorded) if name]
    return frozenset(
        {*_EVERY, "_sort", *of.patient, of.date, of.code, *optional, *(["category"] if of.categories else [])}
    )


def facts(chart: Chart, query: Query) -> tuple[int, Page]:
    """Find facts of the query's type, newest first unless asked otherwise: how many, and how to get a page.

    Raises:
        RefusedError: a value cannot be read.
    """
    of = KINDS[query.kind]
    time, until = pl.col("time"), pl.col("until")
    wanted = [pl.col("type") == query.kind, *_common(query, chart.clock.zone)]
    wanted += [
        _any(_date(one, chart.clock.zone, time, until) for one in each)
        for each in query.alternatives(of.date)
    ]
    wanted += [_any(map(_of_code, each)) for each in query.alternatives(of.code)]
    if of.recorded:
        known = pl.max_horizontal("time", "known_time")
        wanted += [
            _any(_date(one, chart.clock.zone, known, known) for one in each)
            for each in query.alternatives(of.recorded)
        ]
    if of.encounter:
        wanted += [_of_encounter(chart, each) for each in query.alternatives(of.encounter)]
    if of.categories:
        wanted += [_of_category(chart, each) for each in query.alternatives("category")]
    rows = _sorted(chart.rows.filter(wanted), query, of)

    def page(offset: int, count: int) -> list[Json]:
        return [resource(fact, chart) for fact in chart.facts(rows.slice(offset, count))]

    return rows.height, page


def encounters(chart: Chart, query: Query) -> tuple[int, Page]:
    """Find stays, newest first unless asked otherwise.

    Raises:
        RefusedError: a value cannot be read.
    """
    frame = pl.DataFrame(
        [
            {
                "id": stay.id,
                "time": stay.start,
                "until": stay.end or (datetime.max if stay.status == "in-progress" else stay.start),
                "visible": stay.visible,
                "status": stay.status,
                "class": patients.encounter(stay, chart)["class"]["code"],
                "place": place,
            }
            for place, stay in enumerate(chart.stays)
        ],
        schema={
            "id": pl.String,
            "time": pl.Datetime("us"),
            "until": pl.Datetime("us"),
            "visible": pl.Datetime("us"),
            "status": pl.String,
            "class": pl.String,
            "place": pl.Int64,
        },
    )
    zone = chart.clock.zone
    wanted = _common(query, zone)
    wanted += [
        _any(_date(one, zone, pl.col("time"), pl.col("until")) for one in each)
        for each in query.alternatives("date")
    ]
    wanted += [
        pl.col(name).is_in([one.rpartition("|")[2] for one in each])
        for name in ("status", "class")
        for each in query.alternatives(name)
    ]
    rows = _sorted(frame.filter(wanted) if wanted else frame, query, Kind(resource, "date"))

    def page(offset: int, count: int) -> list[Json]:
        return [
            patients.encounter(chart.stays[place], chart) for place in rows["place"][offset : offset + count]
        ]

    return rows.height, page


def subject_in(value: str) -> int:
    """Read which patient a reference names.

    >>> subject_in("12"), subject_in("Patient/12"), subject_in("https://h.org/fhir/Patient/12")
    (12, 12, 12)

    Raises:
        RefusedError: none of ours.
    """
    path = value.partition("/_history")[0].split("/")
    number = path[-1]
    typed = len(path) == 1 or path[-2] == "Patient"
    if not (typed and number.isascii() and number.isdecimal() and len(number) < 19):
        raise RefusedError("a patient is named by their number here, such as Patient/12")
    return int(number)


def _common(query: Query, zone: str) -> list[pl.Expr]:
    visible = pl.col("visible")
    return [
        *(pl.col("id").is_in(each) for each in query.alternatives("_id")),
        *(
            _any(_date(one, zone, visible, visible) for one in each)
            for each in query.alternatives("_lastUpdated")
        ),
    ]


def _any(wanted: Iterable[pl.Expr]) -> pl.Expr:
    return reduce(operator.or_, wanted, _NEVER)


def _date(value: str, zone: str, time: pl.Expr, until: pl.Expr) -> pl.Expr:
    with as_refusal():
        found: pl.Expr = date_filter(value, zone, time, until)
    return found


def _of_code(token: str) -> pl.Expr:
    """Turn `system|code`, `|code`, `system|` or `code` into a filter (R4 § 3.1.1.4.10)."""
    system, bar, value = token.rpartition("|")
    bare = pl.col("bare")
    try:
        if system and value:
            return bare == systems.code(system, value)
        if system:
            return bare.str.starts_with(systems.vocabulary(system) + "//")
    except InputError:
        return _NEVER
    if bar:
        return bare == f"LOCAL//{value}"
    return bare.str.replace("^.+?//", "") == value


def _of_category(chart: Chart, tokens: list[str]) -> pl.Expr:
    groups = []
    for token in tokens:
        system, _, value = token.rpartition("|")
        if system in ("", CATEGORY_SYSTEM):
            groups.append(_GROUPS.get(value, value))
    codes = [code for code in chart.rows["bare"].unique() if group_of(code) in groups]
    return pl.col("bare").is_in(codes)


def _of_encounter(chart: Chart, references: list[str]) -> pl.Expr:
    ids = {reference.rpartition("/")[2] for reference in references}
    return pl.col("encounter").is_in(chart.encounters_named(ids))


def _sorted(rows: pl.DataFrame, query: Query, of: Kind) -> pl.DataFrame:
    keys, downwards = ["time"], [True]
    if asked := query.all_of("_sort"):
        columns = {of.date: "time", "date": "time", "_lastUpdated": "visible", "_id": "id"}
        names = alternatives(asked[-1])
        if unknown := [name for name in names if name.removeprefix("-") not in columns]:
            raise RefusedError(
                "results cannot be sorted by {name!r}; they can by {known}",
                name=unknown[0][:40],
                known=list(columns),
            )
        keys = [columns[name.removeprefix("-")] for name in names]
        downwards = [name.startswith("-") for name in names]
    return rows.sort([*keys, "id"], descending=[*downwards, False])
