"""The page about one patient: true, readable, in both languages, and safe whatever a record holds."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloom.explanation.lanes import arrange
from medloom.explanation.patient import PatientPage
from medloom.explanation.patient_answer import answer_in_words
from medloom.explanation.patient_page import patient_html, write_patient_page
from medloom.explanation.wording import input_name, phrase, readable
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, speaking
from medloom.tasks.question import Question, Title
from medloom.tasks.survival import Curves

NOW = datetime(2013, 3, 21, 23, 59, 59, 999999)
NOTICE = (
    "For research and evaluation, not cleared as a medical device;"
    " whether a use is one is decided by its intended use."
)
EVENTS = {
    "time": pl.Datetime("us"),
    "code": pl.String,
    "numeric_value": pl.Float32,
    "text_value": pl.String,
    "role": pl.String,
}
REASONS = {"input": pl.String, "code": pl.String, "value": pl.Float64, "contribution": pl.Float64}
NAMES = {
    "SNOMED//396275006": "Osteoarthritis",
    "SNOMED//24700007": "Parkinson's disease (disorder)",
    "RxNorm//140587": "celecoxib",
    "CVX//10": "IPV",
}
UNITS = {"LOINC//8480-6": "mm[Hg]", "LOINC//8867-4": "/min", "LOINC//26515-7": "10*3/uL"}
VOID = {"meta", "input", "br", "link", "img"}


class Reader(HTMLParser):
    """Checks that what is opened is closed, and keeps what a person reads."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def a_page(**changes: Any) -> PatientPage:
    page = PatientPage(
        question=Question(
            task="bleed",
            kind="binary",
            title=Title(en="Bleed within 90 days", zh="90天内出血"),
            horizon="90d",
        ),
        subject_id=4711,
        prediction_time=NOW,
        sex="F",
        age=71.4,
        answer=0.18,
        low=0.12,
        high=0.26,
        average=0.10,
        percentile=83,
        reasons=pl.DataFrame(
            [
                ("age", "MEDS_BIRTH", 71.4, 0.6),
                ("SNOMED//396275006 count ever", "SNOMED//396275006", 3.0, 0.3),
                ("RxNorm//140587 count ever", "RxNorm//140587", 0.0, -0.4),
                ("…", None, None, 0.1),
            ],
            schema=REASONS,
            orient="row",
        ),
        baseline=log(0.18 / 0.82) - 0.6,
        scale="log-odds",
        events=some_events(
            [
                (NOW - timedelta(days=400), "SNOMED//396275006", None, None, "condition"),
                (NOW - timedelta(days=20), "RxNorm//140587", None, None, "order"),
            ]
        ),
        descriptions=NAMES,
        units=UNITS,
        model="bleed.gbdt@1",
        evidence="AUROC 0.65 (0.59-0.71) on 539 patients",
        cautions=(Text2("The record is short.", "病历较短。"),),
        truth="A bleed was recorded.",
    )
    return replace(page, **changes)


def some_events(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


@pytest.mark.parametrize(
    ("name", "value", "english", "chinese"),
    [
        ("age", 71.9, "Age 71 years", "年龄 71 岁"),
        ("age", 0.75, "Age: 9 months", "年龄：9 个月"),
        ("GENDER//F", 1.0, "Female", "女"),
        ("GENDER//F", 0.0, "Sex: not female", "性别：非女"),
        ("SNOMED//396275006 count ever", 0.0, "No osteoarthritis recorded", "无Osteoarthritis的记录"),
        ("SNOMED//396275006 count ever", 1.0, "Osteoarthritis, recorded once", "Osteoarthritis，记录 1 次"),
        (
            "SNOMED//396275006 count 365d",
            3.0,
            "Osteoarthritis, recorded 3 times in the last year",
            "Osteoarthritis，过去 1 年内记录 3 次",
        ),
        ("SNOMED//24700007 count 7d", 0.0, "No Parkinson's disease recorded in the last 7 days", None),
        ("CVX//10 count ever", 0.0, "No IPV recorded", None),
        ("RxNorm//140587 hours since last ever", 72.5, "Celecoxib, last recorded 3 days ago", None),
        (
            "RxNorm//140587 hours since last ever",
            24.0,
            "Celecoxib, last recorded the same day or the day before",
            None,
        ),
        ("RxNorm//140587 hours since last ever", 47.9999997, "Celecoxib, last recorded 2 days ago", None),
        ("RxNorm//140587 hours since last 90d", None, "No celecoxib recorded in the last 90 days", None),
        (
            "LOINC//8480-6 last 24h",
            128.0,
            "Systolic pressure, latest 128 mmHg in the last 24 hours",
            "收缩压，过去 24 小时内最近一次 128 mmHg",
        ),
        ("LOINC//8867-4 max ever", 135.0, "Heart rate, highest 135/min", "心率，最高 135/min"),
        (
            "LOINC//8867-4 mean 6h",
            None,
            "Heart rate: not measured in the last 6 hours",
            "心率：过去 6 小时内未测量",
        ),
        ("LOINC//8867-4 count 24h", 24.0, "Heart rate, measured 24 times in the last 24 hours", None),
        (
            "LOINC//8867-4 slope 24h",
            -2.04,
            "Heart rate, falling by 2/min per hour in the last 24 hours",
            None,
        ),
        (
            "LOINC//26515-7 slope ever",
            0.01,
            "Platelets, rising by 0.24 10³/µL per day",
            "血小板，每天上升 0.24 10³/µL",
        ),
        ("LOINC//26515-7 slope ever", None, "Platelets, too few values for a trend", None),
        ("SMOKING=never", 1.0, "SMOKING: never", None),
        ("SMOKING=never", 0.0, "SMOKING: not never", None),
        ("mean radius", 17.99, "Mean radius: 18", None),
        ("diabetes", 1.0, "Diabetes: yes", "Diabetes：是"),
        ("FAMILY//SNOMED//396275006 count ever", 1.0, "Osteoarthritis (family history), recorded once", None),
        (
            "ENCOUNTER//inpatient//START count 1y",
            2.0,
            "Hospital stay, recorded 2 times in the last year",
            None,
        ),
        ("…", None, "All other inputs together", "其余各项合计"),
        ("local//X last seen count 7d", 2.0, "Local X last seen, recorded 2 times in the last 7 days", None),
    ],
)
def test_an_input_is_said_as_a_clinician_would(
    name: str, value: float | None, english: str, chinese: str | None
) -> None:
    said = readable(name, value, NAMES, UNITS)
    assert said.en == english
    if chinese is not None:
        assert said.zh == chinese


@given(
    st.text(max_size=60),
    st.none() | st.floats(),
    st.sampled_from(["", " count ever", " slope 7d", " last 2h"]),
)
def test_any_input_is_said_somehow(name: str, value: float | None, suffix: str) -> None:
    said = readable(name + suffix, value, {}, {})
    assert said.en
    assert said.zh
    assert not re.search(r"[\x00-\x1f\u202e]", said.en)


def test_what_is_unusual_is_said_of_adults_only() -> None:
    adult = phrase("LOINC//8867-4 max ever", 135.0, {}, UNITS, adult=True)
    assert adult.detail.en == "highest 135/min (usual: up to 100)"
    child = phrase("LOINC//8867-4 max ever", 135.0, {}, UNITS)
    assert child.detail.en == "highest 135/min"


def test_reference_ranges_are_not_applied_to_another_unit() -> None:
    said = phrase("LOINC//8867-4 max ever", 2.0, {}, {"LOINC//8867-4": "Hz"}, adult=True)
    assert "usual" not in said.detail.en


def test_the_page_says_how_likely_compared_with_what_and_why() -> None:
    text = read(patient_html(a_page())).text
    for said in (
        "18 %",
        "Of 100 patients like this one, the model expects about 18 to have this outcome.",
        "Above the model's average answer (11 %): 1.7 times as high",
        "average answer 11 %",
        "The model starts from its average answer, 11 %.",
        "such answers stood for risks between 12 % and 26 %; others may differ.",
        "Higher than for 83 of 100 patients it did not learn from.",
        "Osteoarthritis",
        "recorded 3 times",
        "AUROC 0.65 (0.59-0.71) on 539 patients",
        "The record is short.",
        "nothing here shows that they cause it",
        "4711",
    ):
        assert said in text


def test_of_competing_events_the_one_that_was_asked_about_leads() -> None:
    curves = Curves(np.array([30.0]), np.array([[[0.1], [0.4]]]))
    asked = Question(
        task="bleed",
        title=Title(en="Bleed", zh="出血"),
        kind="survival",
        classes=("bleed", "death"),
        unit="d",
        horizons=(30,),
    )
    page = replace(a_page(), question=asked, curves=curves, answer={"bleed": 0.1, "death": 0.4})
    said = answer_in_words(page)
    assert said["big"].en == "10 %"
    assert said["headline"].en == "Of 100 patients like this one, about 10 would have “bleed” within 30 d."
    assert [(name, best) for name, *_, best in said["classes"]] == [("bleed", True), ("death", False)]


def test_the_page_says_it_all_in_chinese_too() -> None:
    text = read(patient_html(a_page())).text
    for said in (
        "模型预计：每 100 名与该患者相似的患者中，约有 18 名会发生该结局。",
        "高于模型的平均答案（11 %）：约为其 1.7 倍",
        "病历较短。",
        "疾病与症状",
    ):
        assert said in text


def test_both_notices_stand_on_every_page() -> None:
    for page in (a_page(), a_page(events=some_events([]), reasons=a_page().reasons.head(0))):
        text = read(patient_html(page)).text
        assert NOTICE in text
        assert "未作为医疗器械获批" in text


def test_points_say_what_the_risk_would_be_without_the_entry() -> None:
    odds = log(0.18 / 0.82)
    without = 1 / (1 + exp(-(odds - 0.6)))
    text = read(patient_html(a_page())).text
    assert f"+{100 * (0.18 - without):.1f} points" in text
    assert "odds × 1.8" in text  # e to the 0.6
    assert "odds × 0.67" in text  # e to the -0.4


def test_an_answer_adjusted_after_its_reasons_is_said_to_be() -> None:
    assert "afterwards this was adjusted" not in patient_html(a_page())
    assert "afterwards this was adjusted to 18 %" in patient_html(a_page(baseline=0.0))


def test_a_range_that_ends_at_the_answer_says_why() -> None:
    why = "the range is widened to hold the answer"
    assert why in patient_html(a_page(high=a_page().answer))
    assert why not in patient_html(a_page())


def test_a_range_that_includes_the_average_is_said_to() -> None:
    assert "its range includes that" in patient_html(a_page(low=0.08))
    assert "its range includes that" not in patient_html(a_page())


def test_the_page_knows_one_average() -> None:
    text = read(patient_html(a_page(average=0.31))).text
    assert "31 %" not in text  # the share in training is another number, and stays out
    adjusted = read(patient_html(a_page(average=0.31, baseline=0.0))).text
    assert "Below the average of the patients it learned from (31 %): about half as high" in adjusted
    assert "starts from" not in adjusted


def test_half_as_high_is_said_as_people_do() -> None:
    reasons = pl.DataFrame(
        [("age", "MEDS_BIRTH", 71.4, log(0.18 / 0.82) - log(0.36 / 0.64))], schema=REASONS, orient="row"
    )
    text = read(patient_html(a_page(reasons=reasons, baseline=log(0.36 / 0.64)))).text
    assert "Below the model's average answer (36 %): about half as high" in text
    assert "低于模型的平均答案（36 %）：约为其一半" in text


def test_a_patient_the_model_learned_from_is_said_to_be_one() -> None:
    trained = read(patient_html(a_page(split="train"))).text
    assert "the model learned from this patient, and its answer is too sure" in trained
    assert "（train）" in trained
    assert "Higher than for" not in trained
    for split in ("held_out", None):
        assert "learned from this patient" not in patient_html(a_page(split=split))


def test_a_model_that_was_not_tested_is_said_not_to_be() -> None:
    text = read(patient_html(a_page(evidence=None, percentile=None))).text
    assert "not tested; how good it is, is not known" in text
    assert "Higher than for" not in text


def test_the_drawing_of_people_carries_what_testing_found() -> None:
    html = patient_html(a_page(caveat=Text2("Risks like this came true for 46.", "实际为 46 人。")))
    assert html.index("Risks like this came true for 46.") < html.index('class="chart people"')


def test_a_change_too_small_to_see_has_no_sign() -> None:
    reasons = pl.DataFrame([("age", "MEDS_BIRTH", 71.4, -0.0001)], schema=REASONS, orient="row")
    text = read(patient_html(a_page(reasons=reasons, baseline=log(0.18 / 0.82)))).text
    assert "less than 0.1 points" in text
    assert "−<" not in text


def test_no_two_inputs_of_one_code_are_named_alike() -> None:
    code = "SNOMED//396275006"
    statistics = ("count", "hours since last", "first", "last", "min", "max", "mean", "slope")
    named = [
        input_name(f"{code} {statistic} {window}", NAMES, UNITS)
        for statistic in statistics
        for window in ("ever", "90d", "365d", "7d", "24h")
    ]
    assert len({name.en for name in named}) == len({name.zh for name in named}) == len(named)


def test_inputs_about_one_thing_are_one_reason() -> None:
    rows = [
        ("RxNorm//140587 count 7d", "RxNorm//140587", 0.0, -0.2),
        ("RxNorm//140587 count ever", "RxNorm//140587", 0.0, -0.1),
        ("SNOMED//396275006 count ever", "SNOMED//396275006", 2.0, 0.5),
        ("SNOMED//396275006 hours since last ever", "SNOMED//396275006", 30.0, 0.25),
        ("GENDER//F", "GENDER//F", 1.0, 0.1),
        ("GENDER//M", "GENDER//M", 0.0, 0.1),
    ]
    html = patient_html(a_page(reasons=pl.DataFrame(rows, schema=REASONS, orient="row")))
    why = html[html.index('<ol class="why">') : html.index("</ol>") + 5]
    text = read(why).text
    assert why.count("<li>") == 3
    assert "recorded 2 times; last recorded 30 hours ago" in text
    assert "odds × 2.1" in text  # e to the 0.75
    assert "none recorded in the last 7 days" not in text


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        (0.004, "Of 1,000 patients like this one, the model expects about 4"),
        (0.0001, "expects fewer than 1 of 1,000 patients"),
        (0.999, "expects more than 99 of 100 patients"),
        (0.0, "expects fewer than 1 of 1,000"),
    ],
)
def test_rare_and_near_certain_risks_are_not_rounded_to_none_or_all(risk: float, said: str) -> None:
    assert said in read(patient_html(a_page(answer=risk, low=None, high=None))).text


def test_a_value_is_shown_in_its_unit() -> None:
    question = Question(
        task="creatinine", kind="regression", unit="mg/dL", title=Title(en="Creatinine", zh="肌酐")
    )
    page = a_page(question=question, answer=1.62, low=1.2, high=2.1, average=1.1, baseline=1.1, scale="mg/dL")
    text = read(patient_html(page)).text
    assert "The model expects 1.62 mg/dL; the model's average answer is 1.1 mg/dL." in text
    assert "+0.6 mg/dL" in text


def test_classes_are_ranked_and_a_near_tie_is_said() -> None:
    question = Question(
        task="stay", kind="multiclass", classes=("died", "home", "other"), title=Title(en="Stay", zh="住院")
    )
    page = a_page(question=question, answer={"died": 0.04, "home": 0.5, "other": 0.46}, average=None)
    text = read(patient_html(page)).text
    assert "home 50 %" in text
    assert "other is almost as likely (46 %)." in text
    assert "Why home" in text


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs() -> None:
    html = patient_html(a_page())
    reader = read(html)
    assert not re.search(r"https?:|//[a-z]+\.", re.sub(r"[A-Za-z0-9]+//[A-Za-z0-9]+", "", html))
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in reader.tags}
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    assert "@import" not in html
    assert "url(" not in html


def test_hostile_text_stays_text() -> None:
    evil = "<script>alert('x')</script>\"'&\x00\u202egnp"
    events = some_events([(NOW - timedelta(days=1), f"X//{evil}", None, evil, "note")])
    reasons = pl.DataFrame(
        [(f"X//{evil} count ever", f"X//{evil}", 1.0, 0.2), (f"{{n}}{evil}", None, 0.5, 0.1)],
        schema=REASONS,
        orient="row",
    )
    page = a_page(
        question=Question(task="t", kind="binary", title=Title(en=evil, zh=evil)),
        events=events,
        reasons=reasons,
        descriptions={f"X//{evil}": f"{{name}} {evil}"},
        model=evil,
        evidence=evil,
        truth=evil,
        cautions=(Text2(evil, evil),),
    )
    html = patient_html(page)
    assert "script" not in {tag for tag, _ in read(html).tags}
    assert "\u202e" not in html
    assert "{name}" in read(html).text


def test_an_empty_history_is_said_to_be_empty() -> None:
    page = a_page(events=some_events([]), reasons=a_page().reasons.head(0), average=None, low=None, high=None)
    text = read(patient_html(page)).text
    assert "The record holds nothing with a date before this moment." in text
    assert "The model gave no reasons." in text


def test_a_history_of_one_moment_is_drawn() -> None:
    reader = read(patient_html(a_page(events=some_events([(NOW, "X//1", 3.0, None, "observation")]))))
    assert "1 entry, 2013-03-21" in reader.text
    assert "circle" in {tag for tag, _ in reader.tags}


def test_what_came_after_the_question_is_not_shown() -> None:
    events = some_events(
        [
            (NOW - timedelta(days=1), "X//before", None, None, "condition"),
            (NOW + timedelta(days=1), "X//after", None, None, "condition"),
        ]
    )
    html = patient_html(a_page(events=events))
    assert "X before" in html
    assert "X after" not in html


def test_the_truth_is_shown_only_on_request() -> None:
    html = patient_html(a_page())
    details = html[html.index('<details class="truth">') :]
    assert "A bleed was recorded." in details[: details.index("</details>")]
    assert "A bleed was recorded." not in html[: html.index('<details class="truth">')]
    assert '<details class="truth">' not in patient_html(a_page(truth=None))


def test_a_long_history_stays_a_small_page_and_shows_the_last_part_large() -> None:
    rows: list[tuple[Any, ...]] = []
    for n in range(5000):
        time = NOW - timedelta(hours=2 * n)
        rows.append((time, f"ICD10CM//A{n % 60:02d}", None, None, "condition"))
        rows.append((time, "LOINC//8867-4", 60.0 + n % 50, None, "observation"))
    page = a_page(events=some_events(rows))
    html = patient_html(page)
    assert len(html.encode()) < 400_000
    text = read(html).text
    assert "10,000 entries since" in text
    assert "is shown large" in text
    assert "The last 60 of 10,000." in text


def test_encounters_that_are_reasons_come_first_and_none_is_dropped() -> None:
    kinds = ["ambulatory", "virtual", "home", "emergency", "wellness", "hospice", "inpatient"]
    rows = [
        (
            NOW - timedelta(days=30 - place, hours=-hours),
            f"ENCOUNTER//{kind}//{bound}",
            None,
            None,
            "encounter",
        )
        for place, kind in enumerate(kinds)
        for hours, bound in ((0, "START"), (4, "END"))
    ]
    effects = {"ENCOUNTER//inpatient//START": -0.5, "ENCOUNTER//hospice//END": 0.2}
    lanes = arrange(some_events(rows), NOW, {}, UNITS, effects)
    assert lanes is not None
    shown = lanes.lanes[0].rows
    assert [row.effect for row in shown] == [-0.5, 0.2, 0, 0, 0]
    assert shown[-1].label.en == "3 others" and shown[-1].minor
    assert sum(len(row.spans) for row in shown) == len(kinds)


def test_a_stay_that_goes_on_is_shown_whole() -> None:
    admitted = NOW - timedelta(days=6)
    rows: list[tuple[Any, ...]] = [(admitted, "ENCOUNTER//inpatient//START", None, None, "encounter")]
    rows += [(NOW - timedelta(hours=n), "LOINC//8867-4", 80.0, None, "observation") for n in range(140)]
    rows += [(NOW - timedelta(days=300 * n), "ICD10CM//I10", None, None, "condition") for n in range(1, 20)]
    lanes = arrange(some_events(rows), NOW, {}, UNITS)
    assert lanes is not None
    assert lanes.start == admitted
    stay = lanes.lanes[0].rows[0].spans[0]
    assert (stay.start, stay.end) == (admitted, None)


def test_starts_are_paired_with_ends() -> None:
    def at(day: int) -> datetime:
        return datetime(2012, 1, day)

    rows = [
        (at(1), "ENCOUNTER//inpatient//START", None, None, "encounter"),
        (at(3), "ENCOUNTER//inpatient//END", None, None, "encounter"),
        (at(5), "ENCOUNTER//inpatient//START", None, None, "encounter"),
        (at(6), "ENCOUNTER//inpatient//END", None, None, "encounter"),
        (at(7), "ENCOUNTER//outpatient//START", None, None, "encounter"),
    ]
    lanes = arrange(some_events(rows), at(20), {}, {})
    assert lanes is not None
    found = {row.label.en: [(span.start, span.end) for span in row.spans] for row in lanes.lanes[0].rows}
    # A visit without an end has none on record; it did not last until now.
    assert found == {
        "Hospital stay": [(at(1), at(3)), (at(5), at(6))],
        "Outpatient visit": [(at(7), at(7))],
    }


def test_reasons_come_first_in_their_lane() -> None:
    rows = [(NOW - timedelta(days=n), f"ICD10CM//A{n:02d}", None, None, "condition") for n in range(1, 30)]
    lanes = arrange(some_events(rows), NOW, {}, {}, effects={"ICD10CM//A25": -0.4})
    assert lanes is not None
    row, *others = lanes.lanes[0].rows
    assert row.label.en == "ICD10CM A25"
    assert row.effect < 0
    assert others[-1].minor
    assert others[-1].label.en == "23 others"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1)) | st.none(),
            st.sampled_from(
                ["ENCOUNTER//icu//START", "ENCOUNTER//icu//END", "LOINC//8867-4", "X//1", "MEDS_BIRTH"]
            ),
            st.none() | st.floats(width=32),
            st.none() | st.text(max_size=20),
            st.none() | st.sampled_from(["condition", "order", "observation", "encounter", "demographic"]),
        ),
        max_size=30,
    )
)
def test_any_history_can_be_drawn(rows: list[tuple[Any, ...]]) -> None:
    html = patient_html(a_page(events=some_events(rows)))
    read(html)
    assert "nan" not in re.sub(r"<(title|desc|text|t[dh])\b.*?</\1>", "", html[html.index("<main>") :])


def test_a_reader_of_the_page_hears_the_drawings() -> None:
    reader = read(patient_html(a_page()))
    drawings = [
        attributes for tag, attributes in reader.tags if tag == "svg" and "aria-hidden" not in attributes
    ]
    ids = {attributes["id"] for _, attributes in reader.tags if attributes.get("id")}
    assert drawings
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert set(str(attributes["aria-labelledby"]).split()) <= ids


def test_ids_are_unique() -> None:
    ids = [attributes["id"] for _, attributes in read(patient_html(a_page())).tags if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_the_page_opens_in_the_language_of_its_writer() -> None:
    with speaking("zh"):
        html = patient_html(a_page())
    assert '<html lang="zh">' in html
    assert re.search(r'id="speak-zh"[^>]* checked', html)
    assert not re.search(r'id="speak-en"[^>]* checked', html)


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "pages" / "patient.html"
    write_patient_page(target, a_page())
    assert target.read_text(encoding="utf-8") == patient_html(a_page())
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": 18.0}, "from 0 to 1"),
        ({"answer": float("nan")}, "answer that is a number"),
        ({"answer": {}}, "at least one class"),
        ({"percentile": 830.0}, "from 0 to 100"),
        ({"reasons": pl.DataFrame({"input": ["age"]})}, "contribution, value"),
        ({"events": pl.DataFrame({"time": [NOW]})}, "code, numeric_value"),
    ],
)
def test_what_the_page_cannot_say_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        patient_html(a_page(**changes))


def test_reasons_that_start_from_nobody_are_not_called_an_average() -> None:
    rows = [("SNOMED//396275006 9.00h before", "SNOMED//396275006", None, 0.4), ("rhythm", None, None, 0.2)]
    page = a_page(reasons=pl.DataFrame(rows, schema=REASONS, orient="row"))
    html = patient_html(page)
    assert "of somebody of whom nothing is known" in html
    assert "average answer" not in html
    assert "the average of the patients it learned from" in html
