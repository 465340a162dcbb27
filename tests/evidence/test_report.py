"""The report stands alone, speaks both languages, and says what matters first."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

from medloom.dossier import Tested
from medloom.evidence import words
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import evaluate
from medloom.evidence.report import flow_section, report_html, write_report
from medloom.foundation.messages import Text2, speaking
from medloom.tasks.labelling import FlowStep
from tests.evidence.test_evaluation import demographics, risks, said, samples

_VOID = {"meta", "input", "link", "br", "img", "hr"}


class Parsed(HTMLParser):
    """Fails on tags that do not nest; keeps attributes and ids."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.ids = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def evaluation():
    others = {"<b>rival</b>": said(risks(0.5))}
    return evaluate(
        samples(), said(risks()), demographics(), compared_with=others, replicates=60, model="bleed.gbdt@1"
    )


@pytest.fixture(scope="module")
def page(evaluation):
    return report_html(
        evaluation,
        Text2("Bleed & more", "出血"),
        [
            flow_section(
                [
                    FlowStep(Text2("record", "记录"), 300, 300),
                    FlowStep(Text2("first drug", "首次用药"), 240, 240),
                ]
            )
        ],
        important=[(Text2("age", "年龄"), 0.3), (Text2("sex <F>", "sex <F>"), -0.1)],
        provenance={"digest": "sha256:ab", "seed": "0"},
    )


def test_the_report_is_well_formed_html_with_unique_ids(page):
    parsed = Parsed(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    referred = " ".join(v for _, name, v in parsed.attributes if name == "aria-labelledby").split()
    assert set(referred) <= set(parsed.ids)


def test_the_report_asks_nothing_of_the_network_and_runs_no_script(page):
    parsed = Parsed(page)
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]{2}|url\(|@import", page)
    assert not [
        tag
        for tag, name, value in parsed.attributes
        if name in ("src", "srcset")
        or name.startswith("on")
        or (name == "href" and value.removeprefix("#") not in parsed.ids)
    ]
    assert "<script" not in page


def test_every_text_stands_in_both_languages(page):
    assert page.count('class="en') == page.count('class="zh')
    for text in ("How good", "For whom", "Compared with what", "效果如何", "对谁有效", "与什么相比", "出血"):
        assert text in page


def test_the_first_screen_answers_how_good_for_whom_compared_with_what(page, evaluation):
    first = page[page.index("<main") : page.index('id="curves"')]
    right = round(100 * evaluation.metrics["auroc"].value)
    assert f"the model ranks {right} correctly" in first
    assert "the same for everybody" in first
    assert first.count("<svg") == 2


def with_metric(evaluation, **metrics):
    return replace(evaluation, metrics=evaluation.metrics | metrics)


@pytest.mark.parametrize(
    ("slope", "said", "chinese"),
    [
        (Estimate(2.44, 1.89, 3.08), "too timid", "过于保守"),
        (Estimate(0.6, 0.4, 0.8), "too extreme", "过于极端"),
        (Estimate(1.2, 0.9, 1.5), None, None),
    ],
)
def test_the_first_screen_says_whether_risks_are_too_timid_or_too_extreme(evaluation, slope, said, chinese):
    page = report_html(with_metric(evaluation, calibration_slope=slope))
    first = page[page.index("<main") : page.index('id="compared"')]
    for words_of in ("too timid", "too extreme", "过于保守", "过于极端"):
        assert (words_of in first) == (words_of in (said, chinese))
    if said:
        assert "On average its risks fit" not in first
        assert f"calibration slope {slope.value:.2f}" in first


def test_the_tenth_with_the_highest_risks_is_told_where_it_does_not_fit(evaluation):
    tenths = {"predicted": [0.1, 0.29], "observed": [0.1, 0.46], "low": [0.0, 0.33], "high": [0.2, 0.59]}
    known = replace(evaluation, curves={"calibration": tenths | {"mean_predicted": 0.2}})
    assert "expected 29 of 100; 46 had the outcome" in words.of_highest(known).en
    fits = replace(evaluation, curves={"calibration": tenths | {"low": [0.0, 0.25]}})
    assert words.of_highest(fits) is None


def test_beside_one_risk_stands_what_testing_found_of_such_risks():
    tenths = {"predicted": [0.1, 0.29], "observed": [0.1, 0.46], "low": [0.0, 0.33], "high": [0.2, 0.59]}
    timid = {
        "calibration_slope": Estimate(2.44, 1.89, 3.08),
        "calibration_intercept": Estimate(0.0, -0.2, 0.2),
    }
    said = Tested(100, timid, tenths).caveat(0.31)
    assert "it expected 29 of 100; 46 of 100 (33–59) had the outcome" in said.en
    assert "too timid" in said.en
    low = {"calibration_slope": Estimate(1.0, 0.8, 1.2), "calibration_intercept": Estimate(0.5, 0.2, 0.8)}
    assert "too low on average" in Tested(100, low, tenths).caveat(0.31).en
    assert Tested(100, timid | {"calibration_slope": Estimate(1.0, 0.8, 1.2)}, tenths).caveat(0.31) is None


def test_a_value_outside_of_its_interval_is_explained(evaluation):
    odd = with_metric(evaluation, ece=Estimate(0.066, 0.068, 0.173))
    for text in (report_html(odd), str(odd)):
        assert "calibration error (ECE): the value lies outside of its interval" in text
    assert "校准误差（ECE）：估计值落在自身区间之外" in report_html(odd)
    inside = with_metric(evaluation, ece=Estimate(0.07, 0.068, 0.173))
    assert "outside of its interval" not in report_html(inside) + str(inside)


def test_a_dimension_in_which_nobody_is_known_makes_no_subgroups():
    people = demographics().with_columns(sex=pl.lit(None, pl.String))
    found = evaluate(samples(), said(risks()), people, replicates=10)
    assert set(found.subgroups) == {"age"}
    assert not evaluate(
        samples(), said(risks()), people.with_columns(age=pl.lit(None, pl.Float64)), replicates=10
    ).subgroups


def test_who_is_unknown_is_said_by_what():
    assert [words.subgroup_name(one, "unknown").en for one in ("sex", "age")] == [
        "sex unknown",
        "age unknown",
    ]


def test_chinese_is_chinese_throughout(evaluation):
    negative = with_metric(evaluation, calibration_intercept=Estimate(0.17, -0.299, 0.534))
    page = report_html(
        negative, provenance={"package": "ab", "learner": "gbdt", "record": "cd", "evaluated": "2026-01-01"}
    )
    for text in ("−0.299 至 0.534", "模型包摘要", "算法", "病历数据摘要", "评估日期"):
        assert text in page
    with speaking("zh"):
        assert " to " not in str(negative)
        assert "留出集（held_out）" in str(replace(negative, split="held_out"))


def test_the_title_stands_in_both_languages(page):
    assert "<title>Bleed &amp; more · 出血</title>" in page


def test_names_from_outside_are_escaped(page):
    assert "<b>rival" not in page
    assert "&lt;b&gt;rival" in page
    assert "sex &lt;F&gt;" in page
    assert "Bleed &amp; more" in page


def test_the_statement_of_use_and_the_provenance_are_there(page):
    assert "not cleared as a medical device" in page
    assert "sha256:ab" in page


def test_the_language_chosen_is_the_one_shown_first(evaluation):
    with speaking("zh"):
        page = report_html(evaluation)
    assert re.search(r'id="speak-zh"[^>]* checked', page)
    assert '<html lang="zh">' in page


def test_a_report_of_nothing_estimable_still_says_so(tmp_path):
    values = risks()
    values[:] = float("nan")
    write_report(tmp_path / "report.html", evaluate(samples(), said(values), replicates=10))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    Parsed(text)
    assert "cannot be said from these data: 240 of 240 predictions" in text
