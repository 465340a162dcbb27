"""The quality report finds what was planted, says how much of how much, and names nobody."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.foundation.messages import speaking
from medloom.record.importing import CodeInfo
from medloom.record.quality import QualityReport, assess
from medloom.record.quality.page import _time_ticks
from medloom.record.quality.report import Check
from medloom.record.record import Record
from tests.record.sources import GLUCOSE, Listed, facts, glucose, new_site

NOW = datetime(2024, 1, 1)


def record_of(*rows: dict[str, Any]) -> Record:
    """Make a record in memory; `day` counts from 2020-01-01."""
    frames = []
    for row in rows:
        row = dict(row)
        if (day := row.pop("day", None)) is not None:
            row["time"] = datetime(2020, 1, 1) + timedelta(days=day)
        frames.append({"subject_id": 1, "time": None, "code": GLUCOSE} | row)
    types = {
        "numeric_value": pl.Float32,
        "text_value": pl.String,
        "known_time": pl.Datetime("us"),
        "known_until": pl.Datetime("us"),
    }
    return Record.from_events(
        pl.DataFrame(frames, schema_overrides={"time": pl.Datetime("us")} | types, infer_schema_length=None)
    )


def check(report: QualityReport, name: str) -> Check:
    (found,) = [one for one in report.checks if one.name == name]
    return found


def counted(report: QualityReport, name: str) -> tuple[int, int]:
    found = check(report, name)
    return found.count, found.of


def test_an_overview_counts_subjects_events_and_months() -> None:
    report = assess(
        record_of(
            {"day": 0}, {"day": 40}, {"day": 40, "subject_id": 2}, {"code": "MEDS_BIRTH", "day": -9000}
        ),
        NOW,
    )
    overview = report.overview
    assert (overview.subjects, overview.events, overview.codes) == (2, 4, 2)
    assert (overview.first, overview.last) == (datetime(2020, 1, 1), datetime(2020, 2, 10))
    assert overview.months == (("2020-01", 1), ("2020-02", 2))
    assert overview.events_per_subject["max"] == 3
    assert overview.events_per_subject["mean"] == 2


def test_the_share_of_subjects_with_a_code_is_given_by_role() -> None:
    rows = [{"day": n, "subject_id": n % 4 + 1, "role": "observation"} for n in range(8)]
    rows += [{"code": "ICD10CM//I10", "day": 1, "role": "condition"}]
    uses = {use.code: use for use in assess(record_of(*rows), NOW).codes}
    assert (uses[GLUCOSE].subjects, uses[GLUCOSE].share, uses[GLUCOSE].events) == (4, 1.0, 8)
    assert (uses["ICD10CM//I10"].role, uses["ICD10CM//I10"].share) == ("condition", 0.25)
    assert uses[GLUCOSE].name.zh == "葡萄糖"


def test_values_outside_limits_are_counted_by_code() -> None:
    report = assess(
        record_of(*({"day": n, "numeric_value": v} for n, v in enumerate([90.0, -1.0, 100_000.0, None]))), NOW
    )
    assert counted(report, "outside_limits") == (2, 3)
    (use,) = report.codes
    assert (use.below, use.above) == (1, 1)
    assert check(report, "outside_limits").status == "warning"


def test_limits_follow_the_unit_of_the_code(tmp_path: Path) -> None:
    record = Record.open(new_site(tmp_path))
    # 5.5 mmol/L is usual and would be impossible in mg/dL, in which the record keeps it as 99
    record.add(Listed(facts(glucose("a", 1, 5.5, unit="mmol/L"))))
    assert counted(assess(record, NOW), "outside_limits") == (0, 1)


def test_dates_that_contradict_a_life_are_found() -> None:
    report = assess(
        record_of(
            {"code": "MEDS_BIRTH", "day": 10},
            {"day": 9},
            {"day": 10},
            {"code": "MEDS_DEATH", "day": 20},
            {"day": 20.9},
            {"day": 21},
            {"day": 15, "known_time": datetime(2021, 1, 1)},
            {"subject_id": 2, "day": 3},
        ),
        NOW,
    )
    assert counted(report, "before_birth") == (1, 8)
    assert counted(report, "after_death") == (1, 8)
    assert check(report, "after_death").findings[0].what.en == f"Glucose ({GLUCOSE})"
    assert counted(report, "without_birth") == (1, 2)
    assert counted(report, "without_gender") == (2, 2)


def test_deaths_without_a_date_or_with_several_are_found() -> None:
    rows = [{"code": "MEDS_DEATH", "subject_id": 1}, {"code": "MEDS_DEATH", "subject_id": 2, "day": 1}]
    rows += [
        {"code": "MEDS_DEATH", "subject_id": 2, "day": 2},
        {"code": "MEDS_DEATH", "subject_id": 3, "day": 2},
    ]
    assert counted(assess(record_of(*rows), NOW), "uncertain_deaths") == (2, 3)


def test_repeated_rows_are_counted_once_each() -> None:
    same = {"day": 1, "numeric_value": 5.0, "text_value": "x"}
    report = assess(record_of(same, same, same, same | {"text_value": "y"}, same | {"subject_id": 2}), NOW)
    assert counted(report, "repeated") == (2, 5)


def test_ended_versions_are_left_out() -> None:
    ended = {"day": 1, "numeric_value": 1e9, "known_until": datetime(2020, 2, 1)}
    report = assess(record_of(ended, {"day": 1, "numeric_value": 90.0}), NOW)
    assert counted(report, "ended") == (1, 2)
    assert counted(report, "outside_limits") == (0, 1)
    assert report.overview.events == 1


def test_what_is_known_when_is_counted() -> None:
    before = {"day": 3, "known_time": datetime(2020, 1, 1)}
    report = assess(
        record_of(before, {"day": 3, "known_time": datetime(2020, 1, 5)}, {"day": 3}, {"code": "GENDER//F"}),
        NOW,
    )
    assert counted(report, "without_known_time") == (1, 3)
    assert counted(report, "foreseen") == (1, 2)
    assert counted(report, "undated") == (1, 4)


def test_the_future_is_what_lies_behind_now() -> None:
    record = record_of({"day": 0}, {"day": 400})
    assert counted(assess(record, datetime(2020, 6, 1)), "future") == (1, 2)
    assert counted(assess(record, NOW), "future") == (0, 2)


def test_codes_without_unit_name_or_vocabulary_are_found(tmp_path: Path) -> None:
    record = Record.open(new_site(tmp_path))
    local = glucose("a", 1, code="st-mary//GLU7", unit=None)
    record.add(
        Listed(
            facts(local, glucose("a", 2), glucose("a", 3, code="LOINC//99999-1")),
            codes={"LOINC//99999-1": CodeInfo("A test")},
        )
    )
    report = assess(record, NOW)
    for name in ("without_unit", "undescribed", "local_codes"):
        assert counted(report, name) == (1, 3)
        assert check(report, name).findings[0].what.en == "st-mary//GLU7"


def test_quarantine_is_reported_by_reason(tmp_path: Path) -> None:
    record = Record.open(new_site(tmp_path, encrypt_at_rest=True))
    record.add(Listed(facts(glucose("a", 1), glucose("", 1), glucose("b", 1, code=""))))
    report = assess(record, NOW)
    assert counted(report, "quarantined") == (2, 3)
    assert {one.what.zh: one.count for one in check(report, "quarantined").findings} == {
        "没有患者": 1,
        "没有编码": 1,
    }
    assert counted(report, "silent_subjects") == (1, 2)


def test_quarantine_counts_each_fact_once_however_often_it_is_imported(tmp_path: Path) -> None:
    record = Record.open(new_site(tmp_path))
    first = facts(glucose("a", 1), glucose("", 1), glucose("b", 1, code=""), glucose("b", 1, code=""))
    record.add(Listed(first))
    again = record.add(Listed(first))
    assert (again.balanced, again.quarantined, again.generation) == (True, 3, 1)
    assert again.notes["quarantined by an earlier import already, kept there"] == 3
    assert counted(assess(record, NOW), "quarantined") == (3, 4)
    more = record.add(Listed(pl.concat([first, facts(glucose("b", 1, code=""))])))
    assert (more.balanced, more.quarantined, more.generation) == (True, 4, 2)
    assert counted(assess(record, NOW), "quarantined") == (4, 5)


def test_a_month_with_few_events_between_full_ones_is_a_gap() -> None:
    start = datetime(2020, 1, 1)
    rows = [{"time": start + timedelta(hours=12 * n)} for n in range(700)]
    rows = [row for row in rows if not datetime(2020, 5, 1) <= row["time"] < datetime(2020, 5, 29)]
    report = assess(record_of(*rows), NOW)
    (gap,) = check(report, "gaps").findings
    assert (gap.what.en, gap.count) == ("2020-05", 6)
    assert counted(report, "gaps") == (1, 12)


def mixed(share: float, n: int = 2_000, factor: float = 1 / 18.016) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    values = rng.lognormal(np.log(110), 0.25, n)
    values[rng.random(n) < share] *= factor
    return [{"day": at, "subject_id": 1 + at % 50, "numeric_value": value} for at, value in enumerate(values)]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_two_units_in_one_code_are_found_with_the_likely_unit(share: float) -> None:
    report = assess(record_of(*mixed(share)), NOW)
    (found,) = report.mix_ups
    assert found.likely_unit == "mmol/L"
    assert found.count / found.of == pytest.approx(share, abs=0.03)
    assert found.main == pytest.approx(110, rel=0.1)
    assert check(report, "mixed_units").status == "warning"


def test_one_unit_is_no_mix_up() -> None:
    assert assess(record_of(*mixed(0.0)), NOW).mix_ups == ()
    # two groups, but by no factor between units of glucose
    assert assess(record_of(*mixed(0.3, factor=1 / 50)), NOW).mix_ups == ()


def test_doses_are_no_mix_up() -> None:
    rows = [row | {"code": "RxNorm//1", "role": "administration"} for row in mixed(0.3, factor=10)]
    assert assess(record_of(*rows), NOW).mix_ups == ()


def test_an_empty_record_has_a_report(tmp_path: Path) -> None:
    for record in (
        Record.open(new_site(tmp_path)),
        Record.from_events(pl.DataFrame({"subject_id": [], "time": [], "code": []})),
    ):
        report = assess(record, NOW)
        assert report.status == "ok"
        assert report.overview.events == 0
        report.to_html(tmp_path / "empty.html")


def test_the_report_does_not_depend_on_how_the_record_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [glucose(f"p{n % 7}", 1 + n % 20, float(n)) for n in range(100)]
    cut, whole = (
        Record.open(new_site(tmp_path / "cut")),
        Record.open(new_site(tmp_path / "whole", subjects_per_shard=100)),
    )
    for record in (cut, whole):
        record.add(Listed(facts(*rows)))
    assert len(cut.parts()) == 3
    first, second = assess(cut, NOW).to_json(), assess(whole, NOW).to_json()
    assert {k: v for k, v in first.items() if k != "record"} == {
        k: v for k, v in second.items() if k != "record"
    }


def test_the_report_is_said_in_both_languages_and_names_nobody(tmp_path: Path) -> None:
    record = Record.open(new_site(tmp_path))
    rows = [glucose(f"MRN-{n}", 1 + n % 27, row["numeric_value"]) for n, row in enumerate(mixed(0.3, 300))]
    record.add(Listed(facts(*rows, *rows, glucose("MRN-1", 1, file=1, row=1, text_value="Zhang San"))))
    report = assess(record, NOW)
    path = tmp_path / "quality.html"
    report.to_html(path)
    page = path.read_text(encoding="utf-8")
    for words in (
        "Quality of the record",
        "病历质量",
        "Two units in one code",
        "as if in mmol/L",
        "prefers-color-scheme:dark",
        "@media print",
    ):
        assert words in page
    for outside in ("http://", "https://", "<script", "src="):
        assert outside not in page
    plain = json.dumps(report.to_json(), ensure_ascii=False)
    for text in (page, plain):
        assert "MRN" not in text
        assert "Zhang San" not in text
    assert (
        '<td><span class="en" lang="en">observation</span><span class="zh" lang="zh">观察</span></td>' in page
    )
    with speaking("zh"):
        assert any("活人不可能有的数值" in row[1] for row in report.rows())
    assert [len(row) for row in report.rows()] == [5] * len(report.checks)
    assert json.loads(plain)["checks"][0]["title"]["zh"]


def test_values_that_were_converted_once_too_often_are_found() -> None:
    rng = np.random.default_rng(5)
    celsius = rng.normal(36.8, 0.4, 600)
    celsius[:60] = (celsius[:60] - 32) / 1.8
    rows = [
        {"day": n, "subject_id": 1 + n % 9, "code": "LOINC//8310-5", "numeric_value": v}
        for n, v in enumerate(celsius)
    ]
    (found,) = assess(record_of(*rows), NOW).mix_ups
    assert (found.likely_unit, found.again, found.count) == ("[degF]", True, 60)
    assert found.main == pytest.approx(36.8, abs=0.5)


def test_every_year_on_the_axis_is_told_once() -> None:
    ticks = _time_ticks(2022 * 12 + 2, 2025 * 12 + 1)
    assert [said for _, said in ticks] == ["2023", "2024", "2025"]
    assert all(place == int(said) for place, said in ticks)
    for first, months in ((24200, 2), (24205, 7), (24200, 23), (24193, 30), (22900, 1400)):
        told = [said for _, said in _time_ticks(first, first + months)]
        assert 1 <= len(told) == len(set(told)) <= 9
