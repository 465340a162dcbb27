"""What a quality report holds: an overview, and checks with their numbers and what they mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from medloom.foundation.files import write_text
from medloom.foundation.messages import LANGUAGES, Text2, language

Kind = Literal["conformance", "completeness", "plausibility"]
Status = Literal["ok", "notice", "warning"]


@dataclass(frozen=True)
class Finding:
    """Where a check found something: a code, a month, a reason; `count` of `of`."""

    what: Text2
    count: int
    of: int


@dataclass(frozen=True)
class Check:
    """One question put to the record: `count` of `of` are as the title says; `meaning`: and so, what to do."""

    name: str
    kind: Kind
    status: Status
    title: Text2
    count: int
    of: int
    meaning: Text2
    findings: tuple[Finding, ...] = ()

    @property
    def share(self) -> float:
        """Give `count` as a share of `of`."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class CodeUse:
    """How much one code is used; `below` and `above` count values outside physiological limits."""

    code: str
    name: Text2
    role: str
    subjects: int
    share: float  # of the subjects
    events: int
    unit: str | None
    numeric: int
    below: int
    above: int


@dataclass(frozen=True)
class UnitMixUp:
    """Two groups of values in one code whose ratio is a known factor between units."""

    code: str
    name: Text2
    unit: str | None
    likely_unit: str | None  # the other group's, where the factor belongs to this measurement
    again: bool  # the other group was converted from `likely_unit` though it was not in it
    main: float  # medians of the two groups
    other: float
    count: int  # values in the other group
    of: int
    edges: tuple[float, ...]  # log10 of the value
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Overview:
    """The record in numbers; times are the site's wall clock, births left out."""

    subjects: int
    events: int
    codes: int
    first: datetime | None
    last: datetime | None
    events_per_subject: dict[str, float]  # min p5 p25 median p75 p95 max mean
    months: tuple[tuple[str, int], ...]  # YYYY-MM, events


@dataclass(frozen=True)
class QualityReport:
    """The quality of one record at one moment; holds no identifier and no pseudonym."""

    record: str  # digest
    made: datetime
    overview: Overview
    checks: tuple[Check, ...]
    codes: tuple[CodeUse, ...]  # the most used of each role
    mix_ups: tuple[UnitMixUp, ...]

    @property
    def status(self) -> Status:
        """Give the worst status of all checks."""
        order: Sequence[Status] = ("ok", "notice", "warning")
        return max((check.status for check in self.checks), key=order.index, default="ok")

    def to_json(self) -> dict[str, object]:
        """Give the report as plain values; a text in both languages is {"en": …, "zh": …}."""
        plain = _plain(asdict(self))
        assert isinstance(plain, dict)
        return plain | {"status": self.status}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Give a row a check in the current language: status, title, number, share, meaning."""
        at = LANGUAGES.index(language())
        return [
            (
                check.status,
                check.title[at],
                f"{check.count:,} / {check.of:,}",
                _percent(check.share),
                check.meaning[at],
            )
            for check in self.checks
        ]

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page in both languages that needs nothing else, replacing it whole."""
        from medloom.record.quality.page import report_html

        write_text(Path(path), report_html(self))


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def _plain(value: object) -> object:
    if isinstance(value, Text2):
        return value._asdict()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
