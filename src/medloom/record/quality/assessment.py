"""From a record to its quality report."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from medloom.foundation.messages import Text2, tr
from medloom.foundation.progress import progress
from medloom.knowledge.names import name as short_name
from medloom.record.quality.checks import all_checks
from medloom.record.quality.modes import BIN, LOWEST, two_units
from medloom.record.quality.report import CodeUse, Overview, QualityReport, UnitMixUp
from medloom.record.quality.tally import COLUMNS, Tally
from medloom.record.record import Record

_PER_ROLE = 20


def assess(record: Record, now: datetime | None = None) -> QualityReport:
    """Assess the quality of a record: conformance, completeness, plausibility (Kahn et al., eGEMs 2016;4(1):1244).

    `now` (the site's wall clock; None: this moment) is what dates are compared with.
    Reads the record once, piece by piece. The report holds no identifier of a patient.

    >>> import polars as pl
    >>> events = pl.DataFrame({"subject_id": [1, 1], "time": [datetime(2020, 1, 1)] * 2,
    ...                        "code": ["LOINC//8867-4"] * 2, "numeric_value": [72.0, 7200.0]})
    >>> report = assess(Record.from_events(events))
    >>> [check.count for check in report.checks if check.name == "outside_limits"]
    [1]
    """
    moment = now or datetime.now()
    tally = Tally(moment, record.catalogue)
    parts = record.parts()
    with progress(tr("Assessing the record"), total=len(parts)) as advance:
        for part in parts:
            tally.add(record.read(COLUMNS, part), part)
            advance(1)
    names = _Names(record.catalogue.descriptions())
    mix_ups = _mix_ups(tally, names)
    return QualityReport(
        record.digest(),
        moment.replace(microsecond=0),
        _overview(tally, record.n_subjects),
        tuple(all_checks(tally, record, mix_ups, names.of)),
        tuple(_most_used(tally, record.n_subjects, names)),
        tuple(mix_ups),
    )


class _Names:
    """What codes are called: by their short name, else by their source's description, else by themselves."""

    def __init__(self, descriptions: dict[str, str]) -> None:
        self._descriptions = descriptions

    def of(self, code: str) -> Text2:
        english, chinese = short_name(code, "en"), short_name(code, "zh")
        if english is not None and chinese is not None:
            return Text2(english, chinese)
        described = self._descriptions.get(code, code)
        return Text2(described, described)


def _overview(tally: Tally, n_subjects: int) -> Overview:
    counts = np.concatenate([*tally.per_subject, np.empty(0, np.int64)])
    shares = (0, 5, 25, 50, 75, 95, 100)
    quantiles = np.percentile(counts, shares) if len(counts) else np.zeros(len(shares))
    names = ("min", "p5", "p25", "median", "p75", "p95", "max")
    per_subject = dict(zip(names, (float(value) for value in quantiles), strict=True))
    return Overview(
        n_subjects,
        tally.events,
        sum(code.events > 0 for code in tally.codes.values()),
        _moment(tally.first),
        _moment(tally.last),
        per_subject | {"mean": float(counts.mean()) if len(counts) else 0.0},
        tuple((str(np.datetime64(month, "M")), count) for month, count in sorted(tally.months.items())),
    )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else np.datetime64(microseconds, "us").astype(datetime)


def _most_used(tally: Tally, n_subjects: int, names: _Names) -> list[CodeUse]:
    units = tally.catalogue.units()
    by_role: dict[str, list[CodeUse]] = {}
    for code, counted in tally.codes.items():
        if not counted.events:
            continue
        role = counted.roles.most_common(1)[0][0]
        use = CodeUse(
            code,
            names.of(code),
            role,
            counted.subjects,
            counted.subjects / n_subjects if n_subjects else 0.0,
            counted.events,
            units.get(code),
            counted.numeric,
            counted.below,
            counted.above,
        )
        by_role.setdefault(role, []).append(use)
    return [
        use
        for role in sorted(by_role, key=lambda role: -sum(use.events for use in by_role[role]))
        for use in sorted(by_role[role], key=lambda use: (-use.subjects, -use.events, use.code))[:_PER_ROLE]
    ]


def _mix_ups(tally: Tally, names: _Names) -> list[UnitMixUp]:
    units = tally.catalogue.units()
    found = []
    for code, counted in tally.codes.items():
        histogram = counted.histogram
        groups = None if histogram is None else two_units(histogram, code, units.get(code))
        if groups is None or histogram is None:
            continue
        used = np.flatnonzero(histogram)
        step = 5  # bins drawn together
        first, last = int(used[0]) // step * step, int(used[-1]) + 1
        edges = tuple(round(LOWEST + at * BIN, 2) for at in range(first, last + step, step))
        counts = tuple(int(histogram[at : at + step].sum()) for at in range(first, last, step))
        found.append(
            UnitMixUp(
                code,
                names.of(code),
                units.get(code),
                groups.unit,
                groups.again,
                groups.main,
                groups.other,
                groups.count,
                groups.of,
                edges[: len(counts) + 1],
                counts,
            )
        )
    return sorted(found, key=lambda one: (one.likely_unit is None, -one.count, one.code))
