"""One patient's record as swim lanes: what to show of it large, what small, and what only as a count."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Final

import polars as pl

from medloom.explanation.pushes import Push
from medloom.explanation.wording import amount, clean, code_name, usual_range
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2

EVENT_COLUMNS: Final = ("time", "code", "numeric_value", "text_value", "role")

_LANES: Final[Mapping[str, str]] = {
    "encounter": "encounter",
    "condition": "condition",
    "allergy": "condition",
    "order": "drug",
    "dispense": "drug",
    "administration": "drug",
    "statement": "drug",
    "immunization": "drug",
    "procedure": "procedure",
    "device": "procedure",
    "image": "procedure",
    "waveform": "procedure",
}
_MOST_ROWS: Final[Mapping[str, int]] = {
    "encounter": 4,
    "condition": 6,
    "drug": 6,
    "procedure": 4,
    "measurement": 7,
    "observation": 4,
}
# Periods a person thinks in, in hours.
_PERIODS: Final = (
    6,
    12,
    24,
    48,
    72,
    168,
    336,
    720,
    2160,
    4320,
    *(8766 * y for y in (1, 2, 5, 10, 20, 50, 120)),
)
# As many different hours as a reader can take in beside each other.
_MOMENTS: Final = 40
_LONGEST_STAY: Final = timedelta(days=30)
# Stays that may still go on; another encounter without an end has merely none on record.
_LASTING: Final = frozenset(["inpatient", "icu", "emergency"])


@dataclass(frozen=True)
class Mark:
    """Something at a moment; `hollow` where it was ordered but is not known to have been given."""

    time: datetime
    text: Text2
    hollow: bool = False


@dataclass(frozen=True)
class Span:
    """Something that lasted; `end` None: it had not ended at the prediction time."""

    start: datetime
    end: datetime | None
    text: Text2


@dataclass(frozen=True)
class Row:
    """One thing through time.

    Attributes:
        label: its name.
        note: what to say at its end: the latest value, or how often.
        marks, spans: when.
        values: a curve, in time order.
        usual: the reference range of the values, either end None where there is none.
        effect: > 0 where it raises the answer, < 0 where it lowers it, 0 where it is no reason given.
        minor: stands for several things together.
        pushes: facts of it that moved the answer, in order of time.
    """

    label: Text2
    note: Text2
    marks: Sequence[Mark] = ()
    spans: Sequence[Span] = ()
    values: Sequence[tuple[datetime, float]] = ()
    usual: tuple[float | None, float | None] = (None, None)
    effect: float = 0.0
    minor: bool = False
    pushes: Sequence[Push] = ()


@dataclass(frozen=True)
class Lane:
    """The rows of one kind."""

    name: Text2
    rows: Sequence[Row]


@dataclass(frozen=True)
class Entry:
    """A line of the table that says the same in words."""

    time: datetime
    kind: Text2
    name: Text2
    value: Text2


@dataclass(frozen=True)
class Lanes:
    """A patient's record up to a moment.

    Attributes:
        first, until: of the whole record.
        start: from where it is shown large; `first` where all of it is.
        counts: entries in each of equal parts of the whole record.
        total: entries in all.
        lanes: what is shown large.
        dated: whether no entry has a time of day.
    """

    first: datetime
    until: datetime
    start: datetime
    counts: Sequence[int]
    total: int
    lanes: Sequence[Lane]
    dated: bool
    entries: Sequence[Entry] = field(repr=False)

    @property
    def whole(self) -> bool:
        """Tell whether all of the record is shown large."""
        return self.start <= self.first


def arrange(
    events: pl.DataFrame,
    until: datetime,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    effects: Mapping[str, float] | None = None,
    adult: bool = True,
    parts: int = 72,
    pushes: Sequence[Push] = (),
) -> Lanes | None:
    """Arrange one patient's events in lanes; None where none has a time.

    Args:
        events: columns `EVENT_COLUMNS`; what is after `until` is left out, for it was not known.
        until: the prediction time, naive wall clock.
        descriptions, units: of codes.
        effects: code → its contribution to the answer; such codes are shown before others.
        adult: whether reference ranges apply.
        parts: how many `counts` there are.
        pushes: single facts that moved the answer, in order of time; they are marked where they are.

    Raises:
        InputError: a column is missing.

    >>> at = datetime(2020, 1, 1)
    >>> rows = {"time": [at], "code": ["ICD10CM//I10"], "role": ["condition"]}
    >>> frame = pl.DataFrame(rows).with_columns(numeric_value=None, text_value=None)
    >>> arrange(frame, at, {}, {}).lanes[0].rows[0].label.en
    'ICD10CM I10'
    """
    missing = [name for name in EVENT_COLUMNS if name not in events.columns]
    if missing:
        raise InputError("a patient's events lack the columns {missing}", missing=missing)
    facts = _facts(events, until)
    if not facts:
        return None
    times = [fact.time for fact in facts]
    first = times[0]
    of_code: dict[str, list[Push]] = defaultdict(list)
    for push in pushes:
        of_code[push.code].append(push)
    start = _period(facts, until)
    return Lanes(
        first,
        until,
        start,
        _counts(times, first, until, parts),
        len(facts),
        _lanes(
            facts,
            start,
            until,
            descriptions,
            units,
            effects or {},
            adult,
            of_code,
        ),
        all(time == time.replace(hour=0, minute=0, second=0, microsecond=0) for time in times),
        [_entry(fact, descriptions, units) for fact in reversed(facts)],
    )


@dataclass(frozen=True)
class _Fact:
    time: datetime
    code: str
    value: float | None
    text: str | None
    role: str
    lane: str


def _facts(events: pl.DataFrame, until: datetime) -> list[_Fact]:
    timed = (
        events.select(EVENT_COLUMNS)
        .filter(pl.col("time").is_not_null(), pl.col("code").is_not_null(), pl.col("time") <= until)
        .sort("time", maintain_order=True)
    )
    facts = []
    for time, code, value, text, role in timed.iter_rows():
        known = value if value is not None and isfinite(value) else None
        lane = _lane(code, role, known)
        if lane:
            facts.append(_Fact(time, code, known, text, role or "", lane))
    return facts


def _lane(code: str, role: str | None, value: float | None) -> str:
    if role in ("demographic", "period") or code == "MEDS_BIRTH":
        return ""
    if code.startswith("ENCOUNTER//"):
        return "encounter"
    known = _LANES.get(role or "")
    if known is not None and (known != "procedure" or value is None):
        return known
    return "measurement" if value is not None else "observation"


def _period(facts: Sequence[_Fact], until: datetime) -> datetime:
    """Choose from when on the record is shown large.

    The shortest period with enough different hours, at least a stay that still
    goes on; all of the record where little would be left out.
    """
    first = facts[0].time
    start = first
    for hours in _PERIODS:
        since = until - timedelta(hours=hours)
        moments = {
            fact.time.replace(minute=0, second=0, microsecond=0) for fact in facts if fact.time >= since
        }
        if since <= first or len(moments) >= _MOMENTS:
            start = max(since, first)
            break
    for stays in _paired([fact for fact in facts if fact.lane == "encounter"]).values():
        for begun, ended in stays:
            if ended is None and until - begun <= _LONGEST_STAY:
                start = min(start, begun)
    return first if (until - start) >= 0.6 * (until - first) else start


def _paired(encounters: Sequence[_Fact]) -> dict[str, list[tuple[datetime, datetime | None]]]:
    """Pair starts with ends, kind by kind, each end with the latest open start; None: goes on."""
    waiting: dict[str, list[datetime]] = defaultdict(list)
    stays: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
    for fact in encounters:
        kind, _, bound = fact.code.removeprefix("ENCOUNTER//").partition("//")
        if bound != "END":
            waiting[kind].append(fact.time)
        elif waiting[kind]:
            stays[kind].append((waiting[kind].pop(), fact.time))
    for kind, starts in waiting.items():
        last = max([*starts, *(start for start, _ in stays[kind])], default=None)
        goes_on = kind in _LASTING
        stays[kind] += [(start, None if goes_on and start == last else start) for start in starts]
    return {kind: sorted(found, key=lambda stay: stay[0]) for kind, found in stays.items()}


def _counts(times: Sequence[datetime], first: datetime, until: datetime, parts: int) -> list[int]:
    length = (until - first).total_seconds() or 1.0
    counts = [0] * parts
    for time in times:
        counts[min(int((time - first).total_seconds() / length * parts), parts - 1)] += 1
    return counts


def _lanes(
    facts: Sequence[_Fact],
    since: datetime,
    until: datetime,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    effects: Mapping[str, float],
    adult: bool,
    pushes: Mapping[str, Sequence[Push]],
) -> list[Lane]:
    names = {
        "encounter": text2("Encounters"),
        "condition": text2("Conditions"),
        "drug": text2("Drugs and vaccines"),
        "procedure": text2("Procedures"),
        "measurement": text2("Measurements"),
        "observation": text2("Observations"),
    }
    lanes = []
    for lane, name in names.items():
        if lane == "encounter":
            within = [fact for fact in facts if fact.lane == lane]
            rows = _stays(within, since, until, descriptions, effects, pushes)
        else:
            rows = _rows(
                [fact for fact in facts if fact.lane == lane and fact.time >= since],
                lane,
                descriptions,
                units,
                effects,
                adult,
                pushes,
            )
        if rows:
            lanes.append(Lane(name, rows))
    return lanes


def _stays(
    encounters: Sequence[_Fact],
    since: datetime,
    until: datetime,
    descriptions: Mapping[str, str],
    effects: Mapping[str, float],
    pushes: Mapping[str, Sequence[Push]],
) -> list[Row]:
    rows = []
    for kind, stays in _paired(encounters).items():
        name = code_name(f"ENCOUNTER//{kind}", descriptions)
        spans = [Span(begun, ended, name) for begun, ended in stays if (ended or until) >= since]
        if spans:
            bounds = [f"ENCOUNTER//{kind}//{bound}" for bound in ("START", "END")]
            effect = sum(effects.get(bound, 0.0) for bound in bounds)
            pushed = [push for bound in bounds for push in pushes.get(bound, ())]
            rows.append(Row(name, _times(len(spans)), spans=spans, effect=effect, pushes=pushed))
    # Reasons first, by weight; then what happened last.
    rows.sort(key=lambda row: max(span.start for span in row.spans), reverse=True)
    rows.sort(key=lambda row: -abs(row.effect))
    most = _MOST_ROWS["encounter"]
    if len(rows) <= most + 1:
        return rows
    others = rows[most:]
    spans = sorted((span for row in others for span in row.spans), key=lambda span: span.start)
    label = text2("{n} others", n=f"{len(others):,}")
    return [*rows[:most], Row(label, _times(len(spans)), spans=spans, minor=True)]


def _rows(
    facts: Sequence[_Fact],
    lane: str,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    effects: Mapping[str, float],
    adult: bool,
    pushes: Mapping[str, Sequence[Push]],
) -> list[Row]:
    by_code: dict[str, list[_Fact]] = defaultdict(list)
    for fact in facts:
        by_code[fact.code].append(fact)
    # Reasons first, by weight; then what was measured most often; then what happened last.
    order = sorted(sorted(by_code), key=lambda code: by_code[code][-1].time, reverse=True)
    often = {code: len(by_code[code]) if lane == "measurement" else 0 for code in by_code}
    order.sort(key=lambda code: (-abs(effects.get(code, 0.0)), -often[code]))
    most = _MOST_ROWS[lane]
    # One row that stands for others must stand for at least two.
    kept = order if len(order) <= most + 1 else order[:most]
    rows = [
        replace(
            _row(by_code[code], code, lane, descriptions, units, effects.get(code, 0.0), adult),
            pushes=pushes.get(code, ()),
        )
        for code in kept
    ]
    others = [fact for code in order[len(kept) :] for fact in by_code[code]]
    if others:
        marks = [
            Mark(fact.time, code_name(fact.code, descriptions))
            for fact in sorted(others, key=lambda f: f.time)
        ]
        label = text2("{n} others", n=f"{len(order) - len(kept):,}")
        rows.append(Row(label, _times(len(others)), marks, minor=True))
    return rows


def _row(
    facts: Sequence[_Fact],
    code: str,
    lane: str,
    descriptions: Mapping[str, str],
    units: Mapping[str, str],
    effect: float,
    adult: bool,
) -> Row:
    label = code_name(code, descriptions)
    if lane == "measurement":
        usual = usual_range(code, units.get(code)) if adult else None
        values = [(fact.time, fact.value) for fact in facts if fact.value is not None]
        return Row(
            label,
            amount(values[-1][1], units.get(code)),
            values=values,
            usual=(usual.reference_low, usual.reference_high) if usual else (None, None),
            effect=effect,
        )
    marks = [Mark(fact.time, label, fact.role == "order") for fact in facts]
    return Row(label, _times(len(facts)), marks, effect=effect)


def _times(n: int) -> Text2:
    return text2("{n}×", n=f"{n:,}")


def _entry(fact: _Fact, descriptions: Mapping[str, str], units: Mapping[str, str]) -> Entry:
    value = Text2("", "")
    if fact.value is not None:
        value = amount(fact.value, units.get(fact.code))
    elif fact.text:
        said = clean(fact.text)
        said = said if len(said) <= 120 else said[:119] + "…"
        value = Text2(said, said)
    name = code_name(fact.code, descriptions)
    if fact.code.endswith("//START") and fact.lane == "encounter":
        name = Text2(f"{name.en}: {text2('start').en}", f"{name.zh}：{text2('start').zh}")
    return Entry(fact.time, kind_name(fact.role, fact.value is not None), name, value)


def kind_name(role: str, measured: bool) -> Text2:
    """Say what kind of entry a fact is, by its role; without a known one, whether it has a value tells.

    >>> kind_name("administration", measured=True).en, kind_name("observation", measured=False).en
    ('drug given', 'observation')
    """
    said = {
        "encounter": text2("encounter"),
        "condition": text2("condition"),
        "allergy": text2("allergy"),
        "order": text2("drug ordered"),
        "dispense": text2("drug dispensed"),
        "administration": text2("drug given"),
        "statement": text2("drug reported"),
        "immunization": text2("vaccination"),
        "procedure": text2("procedure"),
        "device": text2("device"),
        "image": text2("image"),
        "waveform": text2("waveform"),
        "note": text2("note"),
    }
    return said.get(role) or (text2("measurement") if measured else text2("observation"))
