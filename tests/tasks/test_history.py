"""What a history shows: the rule of what was known when, against an oracle in plain Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.record.record import Record
from medloom.record.schema import BIRTH
from medloom.tasks.history import STATIC, History, Visibility, read_history
from tests.tasks.builders import at

CODES = ("X//a", "X//b", "X//static", "X//label", BIRTH)
ALL = Visibility(static=frozenset(["X//static"]))


@dataclasses.dataclass(frozen=True)
class Fact:
    """A row, in hours."""

    subject: int
    code: str
    time: int | None
    known: int | None = None
    until: int | None = None
    value: float | None = None


def record(facts: Sequence[Fact]) -> Record:
    moment = pl.Datetime("us")
    schema = {"subject_id": pl.Int64, "time": moment, "code": pl.String, "numeric_value": pl.Float32}
    schema |= {"known_time": moment, "known_until": moment}
    rows = [
        (fact.subject, when(fact.time), fact.code, fact.value, when(fact.known), when(fact.until))
        for fact in facts
    ]
    return Record.from_events(pl.DataFrame(rows, schema, orient="row"))


def when(hours: int | None) -> datetime | None:
    return None if hours is None else at(hours)


def microseconds(hours: int) -> int:
    return (at(hours) - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def history(facts: Sequence[Fact], asked: Sequence[tuple[int, int]], visibility: Visibility = ALL) -> History:
    subjects, moments = zip(*asked, strict=True)
    times = np.array([microseconds(hours) for hours in moments])
    return read_history(record(facts), np.array(subjects), times, visibility)


def shown(found: History, sample: int = 0) -> list[tuple[str, int, float]]:
    mine = found.sample == sample
    return [
        (found.vocabulary[code], int(time), float(value))
        for code, time, value in zip(found.code[mine], found.time[mine], found.value[mine], strict=True)
    ]


def codes(facts: Sequence[Fact], at_hour: int = 10, visibility: Visibility = ALL) -> list[str]:
    return [code for code, _, _ in shown(history(facts, [(1, at_hour)], visibility))]


@pytest.mark.parametrize(
    ("fact", "visible"),
    [
        (Fact(1, "X//a", 10), True),
        (Fact(1, "X//a", 11), False),
        (Fact(1, "X//a", 5, known=10), True),
        (Fact(1, "X//a", 5, known=11), False),
        (Fact(1, "X//a", 11, known=5), False),
        (Fact(1, "X//a", 5, until=11), True),
        (Fact(1, "X//a", 5, until=10), False),
        (Fact(1, "X//static", None), True),
        (Fact(1, "X//static", None, known=11), False),
        (Fact(1, "X//a", None), False),
        (Fact(2, "X//a", 5), False),
    ],
)
def test_a_fact_is_visible_once_it_has_happened_and_is_known_and_until_a_newer_version_is(
    fact: Fact, visible: bool
) -> None:
    assert codes([fact]) == ([fact.code] if visible else [])


def test_hidden_codes_never_show_and_with_only_nothing_else_does() -> None:
    facts = [Fact(1, code, None if code == "X//static" else 5) for code in CODES]
    hidden = dataclasses.replace(ALL, hidden=frozenset(["X//label", "X//static"]))
    assert set(codes(facts, visibility=hidden)) == {"X//a", "X//b", BIRTH}
    only = dataclasses.replace(ALL, only=frozenset(["X//b", "X//static"]))
    assert set(codes(facts, visibility=only)) == {"X//b", "X//static"}


def test_a_window_leaves_static_facts_and_the_birth() -> None:
    facts = [Fact(1, BIRTH, -1000), Fact(1, "X//static", None), Fact(1, "X//a", 4), Fact(1, "X//b", 5)]
    window = dataclasses.replace(ALL, window=6 * 3_600_000_000)
    assert codes(facts, visibility=window) == ["X//static", BIRTH, "X//b"]


def test_facts_come_static_first_then_by_time_with_a_missing_value_as_nan() -> None:
    facts = [Fact(1, "X//a", 7, value=2), Fact(1, "X//b", 3), Fact(1, "X//static", None, value=4)]
    found = shown(history(facts, [(1, 10)]))
    assert [(code, time) for code, time, _ in found] == [
        ("X//static", STATIC),
        ("X//b", microseconds(3)),
        ("X//a", microseconds(7)),
    ]
    np.testing.assert_array_equal([value for *_, value in found], [4, np.nan, 2])


def test_a_subject_asked_twice_has_a_history_each_time() -> None:
    facts = [Fact(1, "X//a", 1, value=1), Fact(1, "X//a", 6, value=2), Fact(2, "X//a", 2, value=3)]
    found = history(facts, [(1, 5), (1, 10), (2, 10), (3, 10)])
    assert [[value for *_, value in shown(found, sample)] for sample in range(4)] == [[1], [1, 2], [3], []]
    assert found.offsets.tolist() == [0, 1, 3, 4, 4]


def test_other_columns_are_carried_along() -> None:
    events = pl.DataFrame(
        {
            "subject_id": [1, 1, 2],
            "time": [at(1), at(20), at(3)],
            "code": ["X//a"] * 3,
            "text_value": ["early", "late", None],
        }
    )
    times = np.array([microseconds(10)] * 2)
    found = read_history(Record.from_events(events), np.array([1, 2]), times, ALL, ("text_value", "asset"))
    assert found.columns["text_value"].to_pylist() == ["early", None]
    assert found.columns["asset"].to_pylist() == [None, None]


def test_a_history_among_others_has_the_bytes_it_has_alone() -> None:
    events = pl.DataFrame(
        {
            "subject_id": [1, 1, 2, 2, 4],
            "time": [at(1), at(3), at(2), at(4), at(1)],
            "code": ["X//b", "X//a", "X//c", "X//b", "X//a"],
            "text_value": ["later", "early", None, "later", "early"],
        }
    )
    asked, times = np.array([1, 2, 3, 4]), np.full(4, microseconds(10))
    among = Record.from_events(events)
    each = read_history(among, asked, times, ALL, ("text_value", "asset")).each()
    for place, subject in enumerate(asked):
        alone = Record.from_events(events.filter(pl.col("subject_id") == subject)) if subject != 3 else among
        own = read_history(alone, asked[place : place + 1], times[:1], ALL, ("text_value", "asset"))
        assert each[place].digest() == own.digest()
        assert each[place].to_bytes() == own.to_bytes()
        assert History.from_bytes(each[place].to_bytes()).digest() == own.digest()


def test_nobody_and_nothing_give_an_empty_history() -> None:
    nobody = read_history(record([Fact(1, "X//a", 1)]), np.empty(0, np.int64), np.empty(0, np.int64), ALL)
    assert (len(nobody), nobody.n_samples) == (0, 0)
    nothing = history([Fact(1, "X//a", 20)], [(1, 10)])
    assert (len(nothing), nothing.n_samples) == (0, 1)


hours = st.integers(0, 12)
facts = st.builds(
    Fact,
    st.integers(1, 3),
    st.sampled_from(CODES),
    st.none() | hours,
    st.none() | hours,
    st.none() | hours,
    st.none(),
)
visibilities = st.builds(
    Visibility,
    hidden=st.frozensets(st.sampled_from(CODES), max_size=2),
    static=st.frozensets(st.sampled_from(CODES)),
    window=st.none() | st.integers(1, 8).map(lambda each: each * 3_600_000_000),
    only=st.none() | st.frozensets(st.sampled_from(CODES)),
)


def oracle(each: Fact, asked_at: int, rule: Visibility) -> bool:
    if each.code in rule.hidden or (rule.only is not None and each.code not in rule.only):
        return False
    if each.until is not None and each.until <= asked_at:
        return False
    if any(moment is not None and moment > asked_at for moment in (each.time, each.known)):
        return False
    if each.time is None:
        return each.code in rule.static
    if rule.window is None or each.code == BIRTH:
        return True
    return (asked_at - each.time) * 3_600_000_000 < rule.window


@given(
    st.lists(facts, max_size=12),
    st.lists(st.tuples(st.integers(1, 3), hours), min_size=1, max_size=5),
    visibilities,
)
def test_a_history_shows_just_what_the_rule_says(
    rows: list[Fact], asked: list[tuple[int, int]], rule: Visibility
) -> None:
    asked = sorted(asked)
    found = history(rows, asked, rule)
    for sample, (subject, moment) in enumerate(asked):
        expected: list[tuple[Any, ...]] = [
            (each.code, STATIC if each.time is None else microseconds(each.time))
            for each in rows
            if each.subject == subject and oracle(each, moment, rule)
        ]
        assert sorted((code, time) for code, time, _ in shown(found, sample)) == sorted(expected)
