"""Dates as people and systems write them, and offsets; what is ambiguous is not guessed."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.record.importers.table import problems
from medloom.record.importers.table.moments import read_dates, read_offsets

MOMENTS = st.datetimes(datetime(1850, 1, 1), datetime(2299, 12, 31))


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2021-03-05T08:30:15", datetime(2021, 3, 5, 8, 30, 15)),
        ("2021-03-05 08:30:15.123456789", datetime(2021, 3, 5, 8, 30, 15, 123456)),
        ("2021-03-05 08:30:15.5", datetime(2021, 3, 5, 8, 30, 15, 500000)),
        ("2021-03-05 08:30", datetime(2021, 3, 5, 8, 30)),
        ("2021/3/5 8:30", datetime(2021, 3, 5, 8, 30)),
        ("2021.03.05 08:30", datetime(2021, 3, 5, 8, 30)),
        ("2021年3月5日 8时30分", datetime(2021, 3, 5, 8, 30)),
        ("2021年3月5日8时", datetime(2021, 3, 5, 8)),
        ("2021年03月05日 08:30:15", datetime(2021, 3, 5, 8, 30, 15)),
        ("05.03.2021 08:30", datetime(2021, 3, 5, 8, 30)),
        ("25/03/2021 08:30", datetime(2021, 3, 25, 8, 30)),
        ("03/25/2021 08:30", datetime(2021, 3, 25, 8, 30)),
        ("03/25/2021 08:30 PM", datetime(2021, 3, 25, 20, 30)),
        ("2021-03-05 12:30:15 am", datetime(2021, 3, 5, 0, 30, 15)),
        ("2021-03-05 12:30 PM", datetime(2021, 3, 5, 12, 30)),
        ("20210305083015", datetime(2021, 3, 5, 8, 30, 15)),
        ("20210305T0830", datetime(2021, 3, 5, 8, 30)),
    ],
)
def test_moments_are_read_in_their_usual_spellings(cell: str, time: datetime) -> None:
    assert read_dates(pl.Series([cell])).row(0) == (time, False, None)


@pytest.mark.parametrize(
    "cell",
    [
        "2021-03-05",
        "2021/3/5",
        "2021年3月5日",
        "05.03.2021",
        "5.3.2021",
        "20210305",
        "03/03/2021"[:2] + "/03/2021",
    ],
)
def test_a_date_without_a_time_of_day_is_told_apart(cell: str) -> None:
    time, day_only, problem = read_dates(pl.Series([cell])).row(0)
    assert (time.month, day_only, problem) == (3, True, None)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("0000-00-00", problems.UNREADABLE),
        ("2021-02-30", problems.UNREADABLE),
        ("2021-13-01", problems.UNREADABLE),
        ("soon", problems.UNREADABLE),
        ("2020-1-123", problems.UNREADABLE),
        ("05.03.20218", problems.UNREADABLE),
        ("25/03/20218:30", problems.UNREADABLE),
        ("44197", problems.UNREADABLE),
        ("2021-03-05 25:00", problems.UNREADABLE),
        ("2021-03-05 13:00 PM", problems.UNREADABLE),
        ("03/04/2021", problems.AMBIGUOUS),
        ("2999-01-01", problems.OUTSIDE),
        ("1066-10-14", problems.OUTSIDE),
    ],
)
def test_what_cannot_be_a_date_is_a_problem_not_a_guess(cell: str, problem: str) -> None:
    assert read_dates(pl.Series([cell])).row(0) == (None, False, problem)


def test_an_empty_cell_is_no_problem() -> None:
    assert read_dates(pl.Series([None, "2021-01-01"], dtype=pl.String))["problem"].to_list() == [None, None]


def test_an_offset_from_utc_becomes_the_site_s_wall_clock() -> None:
    cells = pl.Series(
        ["2021-03-05T00:30:00Z", "2021-03-05T08:30:00+08:00", "2021-03-04T19:30:00-0500", "2021-03-05 08:30"]
    )
    times = read_dates(cells, zone="Asia/Shanghai")["time"].unique().to_list()
    assert times == [datetime(2021, 3, 5, 8, 30)]


def test_explicit_formats_are_tried_in_order() -> None:
    cells = pl.Series(["03/04/2021 08:30", "03/04/2021", "2021-03-04"])
    read = read_dates(cells, ["%m/%d/%Y %H:%M", "%m/%d/%Y"])
    assert read.rows() == [
        (datetime(2021, 3, 4, 8, 30), False, None),
        (datetime(2021, 3, 4), True, None),
        (None, False, problems.UNREADABLE),
    ]


def test_a_fraction_of_a_second_means_what_it_means_in_python() -> None:
    read = read_dates(pl.Series(["05.03.2021 08:30:15.25"]), ["%d.%m.%Y %H:%M:%S.%f"])
    assert read["time"][0] == datetime(2021, 3, 5, 8, 30, 15, 250000)


@given(MOMENTS)
def test_every_moment_survives_iso(moment: datetime) -> None:
    assert read_dates(pl.Series([moment.isoformat(sep=" ")]))["time"][0] == moment


@given(MOMENTS)
def test_every_moment_survives_chinese(moment: datetime) -> None:
    cell = f"{moment.year}年{moment.month}月{moment.day}日 {moment.hour}时{moment.minute}分{moment.second}秒"
    assert read_dates(pl.Series([cell]))["time"][0] == moment.replace(microsecond=0)


@given(st.lists(st.none() | st.text(max_size=20), max_size=20))
def test_no_text_breaks_the_reading_of_dates(cells: list[str | None]) -> None:
    read = read_dates(pl.Series(cells, dtype=pl.String))
    for cell, (time, _, problem) in zip(cells, read.iter_rows(), strict=True):
        assert (cell is None) == (time is None and problem is None)


@given(st.integers(0, 10**5), st.integers(0, 59), st.integers(0, 59), st.sampled_from(["", "-", "+"]))
def test_clock_offsets_go_beyond_a_day_and_below_zero(
    hours: int, minutes: int, seconds: int, sign: str
) -> None:
    size = timedelta(hours=hours, minutes=minutes)
    size = -size if sign == "-" else size
    assert read_offsets(pl.Series([f"{sign}{hours:02d}:{minutes:02d}"]), "HH:MM").row(0) == (size, None)
    exact = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    exact = -exact if sign == "-" else exact
    assert read_offsets(pl.Series([f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}"]), "HH:MM").row(0) == (
        exact,
        None,
    )


@given(st.integers(-10_000, 10_000), st.sampled_from(["days", "hours", "minutes", "seconds"]))
def test_counted_offsets_are_exact(count: int, unit: str) -> None:
    read = read_offsets(pl.Series([str(count), f"{count}.5"]), unit)["offset"]  # type: ignore[arg-type]
    half = timedelta(**{unit: 0.5}) * (-1 if str(count).startswith("-") else 1)
    assert read[0] == timedelta(**{unit: count})
    assert read[1] == timedelta(**{unit: count}) + half


@pytest.mark.parametrize("cell", ["8", "08:61", "8:30pm", "", "x", "1e300"])
def test_what_is_no_offset_is_a_problem(cell: str) -> None:
    assert read_offsets(pl.Series([cell]), "HH:MM").row(0) == (None, problems.UNREADABLE)


def test_an_absurdly_long_offset_is_a_problem() -> None:
    assert read_offsets(pl.Series(["1e300", ">5"]), "days")["problem"].to_list() == [problems.UNREADABLE] * 2
