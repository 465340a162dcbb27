"""FHIR dates as wall clock, against Python's own `datetime` and `zoneinfo`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.record.importers.fhir.times import wall_clock

ZONES = ["UTC", "America/New_York", "Asia/Shanghai", "Europe/Paris", "Australia/Lord_Howe", "Asia/Kathmandu"]


def read(text: str | None, zone: str = "UTC") -> tuple[datetime | None, datetime | None]:
    return wall_clock(pl.Series([text], dtype=pl.String), zone).rows()[0]


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2299, 1, 1)),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(ZONES),
)
def test_a_moment_is_the_same_moment_in_every_zone(moment: datetime, offset: timezone, zone: str) -> None:
    aware = moment.replace(tzinfo=offset)
    expected = aware.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    assert read(aware.isoformat(), zone) == (expected, None)


@given(st.datetimes(datetime(1850, 1, 1), datetime(2299, 1, 1)))
def test_a_time_without_an_offset_is_wall_clock_already(moment: datetime) -> None:
    assert read(moment.isoformat(), "America/New_York") == (moment, None)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2020", "2020-01-01", "2020-12-31"),
        ("2020-02", "2020-02-01", "2020-02-29"),
        ("2020-12", "2020-12-01", "2020-12-31"),
        ("2020-02-29", "2020-02-29", "2020-02-29"),
    ],
)
def test_a_date_reaches_from_its_first_to_its_last_moment_in_any_zone(
    text: str, first: str, last: str
) -> None:
    end = datetime.fromisoformat(last) + timedelta(days=1, microseconds=-1)
    assert read(text, "Asia/Shanghai") == (datetime.fromisoformat(first), end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-03-01T08:30Z", datetime(2020, 3, 1, 8, 30)),
        ("2020-03-01T08:30:15.1234567Z", datetime(2020, 3, 1, 8, 30, 15, 123456)),
        ("2020-03-01T08:30:15.5-00:30", datetime(2020, 3, 1, 9, 0, 15, 500000)),
        ("2180-08-06T00:00:00-04:00", datetime(2180, 8, 6, 4)),
    ],
)
def test_forms_of_a_moment(text: str, expected: datetime) -> None:
    assert read(text) == (expected, None)


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_the_clock_is_met_to_the_minute(zone: str) -> None:
    known = ZoneInfo(zone)
    moments = pl.datetime_range(datetime(2149, 1, 1), datetime(2151, 1, 1), "15m", eager=True)
    expected = [m.replace(tzinfo=UTC).astimezone(known).replace(tzinfo=None, fold=0) for m in moments]
    assert wall_clock(moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), zone)["time"].to_list() == expected


def test_summer_time_goes_on_in_the_far_future_of_deidentified_records() -> None:
    assert read("2180-08-06T00:00:00-04:00", "America/New_York")[0] == datetime(2180, 8, 6)
    assert read("2180-02-06T00:00:00-05:00", "America/New_York")[0] == datetime(2180, 2, 6)


@given(st.text(max_size=30) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.Z+-]*)?\Z"))
def test_what_is_no_date_is_null_and_never_an_error(text: str) -> None:
    time, until = read(text)
    if time is None:
        assert until is None


@pytest.mark.parametrize(
    "text",
    ["0000-00-00", "2019-13-45", "2019-02-29", "2020-03-01T24:00:00Z", "01.03.2020", " 2020", "2020-3-1", ""],
)
def test_what_looks_like_a_date_and_is_none_is_null(text: str) -> None:
    assert read(text) == (None, None)


def test_an_empty_and_an_all_null_column() -> None:
    assert wall_clock(pl.Series([], dtype=pl.String), "UTC").shape == (0, 2)
    assert wall_clock(pl.Series([None, None], dtype=pl.String), "UTC").rows() == [(None, None)] * 2
