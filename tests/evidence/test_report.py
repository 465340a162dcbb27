"""The report stands alone, speaks both languages, and says what matters first."""

import re
from html.parser import HTMLParser

import pytest

from medloom.evidence.evaluation import evaluate
from medloom.evidence.report import report_html, write_card, write_report
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
        cohort_flow=[
            FlowStep(Text2("record", "记录"), 300, 300),
            FlowStep(Text2("first drug", "首次用药"), 240, 240),
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
        for tag, name, _ in parsed.attributes
        if name in ("src", "href", "srcset") or name.startswith("on")
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


def test_the_card_is_short_and_in_both_languages(tmp_path, evaluation):
    write_card(tmp_path / "card.md", evaluation, provenance={"digest": "sha256:ab"})
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert text.startswith("# Bleed\n")
    assert "# 出血" in text
    assert len(text.splitlines()) < 120
