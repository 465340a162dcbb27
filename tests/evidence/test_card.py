"""The card: everything is asked once, nothing is claimed that no field proves, and people's answers are theirs."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.evidence.card.card import card_html, card_markdown, make_card, write_card
from medloom.evidence.card.checklist import NAMES, all_items, checklist
from medloom.evidence.card.facts import MAKERS, facts_of
from medloom.evidence.card.known import InputsKnown, Known, PackageKnown, PartSize
from medloom.evidence.card.person import blank_file, parse_answers
from medloom.evidence.characteristics import summarise_people
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation, evaluate
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, speaking
from medloom.tasks.labelling import FlowStep
from medloom.tasks.question import Question, Title
from medloom.tasks.task import Task
from tests.evidence.test_evaluation import demographics, risks, said, samples
from tests.evidence.test_report import Parsed
from tests.evidence.test_survival import curves_of, drawn, evaluated

TITLE = Text2("Bleed", "出血")
# 45 CFR 170.315(b)(11)(iv)(B)(1)-(9): how many attributes each paragraph has
HTI = {1: 4, 2: 4, 3: 2, 4: 4, 5: 2, 6: 4, 7: 5, 8: 4, 9: 2}
# TRIPOD+AI's parts of items that have some
TRIPOD = {
    3: "abc",
    5: "ab",
    6: "abc",
    8: "abc",
    9: "abc",
    12: "abcdefg",
    18: "abcdef",
    20: "abc",
    23: "ab",
    27: "abc",
}
# PROBAST+AI's questions by domain
PROBAST = {"dev": (3, 4, 4, 5), "eval": (3, 4, 4, 7)}


def known(evaluation: Evaluation) -> Known:
    """Know everything there is to know."""
    n = 60
    frame = pl.DataFrame(
        {"sample_id": range(n), "group": range(n), "split": ["train", "held_out"] * (n // 2)}
    )
    people = pl.DataFrame({"sample_id": range(n), "sex": ["F", "M", "F"] * (n // 3), "age": [50.0] * n})
    task = Task.model_validate(
        {
            "name": "bleed",
            "kind": "binary",
            "title": {"en": "Bleed", "zh": "出血"},
            "population": {"min_age": 18},
            "prediction_time": {"event": ["ENCOUNTER//inpatient//START"], "offset": "24h"},
            "predict": {"event": ["SNOMED//74474003"], "within": "90d"},
            "exclude": [{"event": ["SNOMED//74474003"]}],
        }
    )
    return Known(
        question=Question(task="bleed", kind="binary", title=Title(en="Bleed", zh="出血")),
        evaluation=evaluation,
        task=task,
        descriptions={"SNOMED//74474003": "Gastrointestinal haemorrhage"},
        flow=(FlowStep(Text2("subjects in the record", "记录中的受试者"), 60, 60),),
        withheld=2,
        parts={"train": PartSize(30, 30, 12), "held_out": PartSize(30, 30, 11)},
        period=(date(2019, 1, 3), date(2020, 5, 6)),
        subjects=60,
        importers=("omop",),
        people=summarise_people(frame, people, None),
        covariates=(),
        inputs=InputsKnown(("age", "LOINC//1 last 24h"), ("MEDS_BIRTH", "LOINC//1"), (TITLE,), 0.25, False),
        learner="gbdt",
        learner_is=Text2("Boosted trees.", "提升树。"),
        parameters={"num_leaves": 15},
        seed=0,
        weighted=False,
        package=PackageKnown("bleed.gbdt@1", "ab" * 32, {"numpy": "2"}, None),
        updated=Text2("As it was trained.", "未更新。"),
        mitigated=Text2("Not reweighed.", "未重新加权。"),
        own_thresholds=False,
        explained_by="TreeSHAP",
        sections={},
        evaluated=date(2026, 1, 2),
        medloom="0.1.0",
    )


@pytest.fixture(scope="module")
def everything() -> Known:
    found = evaluate(
        samples(), said(risks()), demographics(), replicates=20, model="bleed.gbdt@1", split="held_out"
    )
    return known(found)


def test_every_item_of_the_sources_is_asked_once_and_in_both_languages() -> None:
    expected = {
        "hti-1": [
            f"{n}.{roman}" for n, many in HTI.items() for roman in ("i", "ii", "iii", "iv", "v")[:many]
        ],
        "tripod-ai": [f"{n}{part}" for n in range(1, 28) for part in TRIPOD.get(n, [""])],
        "probast-ai": [
            f"{part}.{domain}.{n}"
            for part, domains in PROBAST.items()
            for domain, many in enumerate(domains, 1)
            for n in range(1, many + 1)
        ],
    }
    assert [len(ids) for ids in expected.values()] == [31, 52, 34]
    for name, ids in expected.items():
        listed = [item.id for part in checklist(name).sections for item in part.items]  # type: ignore[arg-type]
        assert listed == ids
    for name in NAMES:
        for part in checklist(name).sections:
            for text in (part.title, *(item.asks for item in part.items)):
                assert not text.zh.isascii() or text.zh == text.en, text
    refs = {ref for item in all_items().values() for ref in item.answered_by}
    assert refs <= MAKERS.keys() | all_items().keys()


def test_nothing_is_claimed_that_no_field_proves(everything: Known) -> None:
    facts = facts_of(everything)
    assert len(facts) > 50
    for one in facts.values():
        assert one.sources
        assert not one.text.zh.isascii() or one.text.en == one.text.zh, one
    for field in fields(Known):
        left = facts_of(replace(everything, **{field.name: None}))
        kept = [
            name for name, one in facts.items() if any(s.partition(".")[0] == field.name for s in one.sources)
        ]
        assert not left.keys() & set(kept), field.name
    nothing = make_card(TITLE, "m", "held_out", {}, {})
    assert {one.text for one in nothing.answers.values()} == {None}
    assert all(one.missing is not None for one in nothing.answers.values())


def test_what_is_known_is_answered_and_the_rest_is_a_persons(everything: Known) -> None:
    card = make_card(TITLE, "bleed.gbdt@1", "held_out", facts_of(everything), {})
    found = card.to_json()
    assert found["hti-1.1.i"] == {
        "item": {"en": "Name and contact of the developer", "zh": "开发者名称与联系方式"},
        "answer": None,
        "source": None,
        "missing": {"en": "Name and contact of the developer", "zh": "开发者名称与联系方式"},
        "fields": [],
    }
    eligible = found["tripod-ai.6b"]
    assert (
        eligible["source"] == "computed"
        and eligible["missing"] is None
        and "task.exclude" in eligible["fields"]
    )
    assert "at least 18 years old" in eligible["answer"]["en"]
    assert "Gastrointestinal haemorrhage (SNOMED//74474003)" in eligible["answer"]["en"]
    assert found["probast-ai.eval.4.1"]["answer"]["en"].startswith("Yes")
    assert found["hti-1.6.ii"]["answer"] is None
    page = card_html(card)
    parsed = Parsed(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    for words in ("What it is", "For whom", "How good", "Limits of use", "Still blank", "使用限制"):
        assert words in page
    assert page.count('scope="row"') == len(all_items()) and "<script" not in page


def test_a_persons_answers_are_merged_and_marked(everything: Known, tmp_path: Path) -> None:
    person = parse_answers(
        "hti-1.1.ii: our <own> means | no grant\nhti-1.2.i: {en: triage, zh: 分诊}\nchai.level:\n"
    )
    card = make_card(TITLE, "bleed.gbdt@1", "held_out", facts_of(everything), person)
    for name in ("hti-1.1.ii", "chai.funding", "tripod-ai.18a"):  # asked thrice, answered once
        assert card.answers[name].source == "person" and card.answers[name].missing is None, name
    use = card.answers["hti-1.2.i"]
    assert use.computed is not None and use.person == Text2("triage", "分诊") and use.source == "person"
    assert card.answers["chai.level"].source is None
    write_card(tmp_path, card)
    assert "our &lt;own&gt; means" in (tmp_path / "card.html").read_text("utf-8")
    assert "our &lt;own> means \\| no grant" in (tmp_path / "card.md").read_text("utf-8")
    with speaking("zh"):
        blank = blank_file(card.open)
    assert "hti-1.1.ii:" not in blank and "\nchai.level:\n" in blank and "尚需说明" in blank
    assert parse_answers(blank) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hti-1.2i: x", r"line 1: no item is called 'hti-1.2i'; nearest: hti-1.2.i"),
        ("\n18a: x", r"line 2: no item is called '18a'; nearest: tripod-ai.18a"),
        ("hti-1.2.i: [x]", r"an answer is a text"),
        ("- x", r"write the name of an item"),
    ],
)
def test_an_answer_to_what_is_not_asked_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_answers(text)


def test_what_few_had_cannot_be_counted_out_from_shares(everything: Known) -> None:
    held_out = everything.evaluation
    assert held_out is not None
    few = replace(
        everything,
        evaluation=replace(held_out, n=100, prevalence=0.03),
        parts={"train": PartSize(100, 100, 95), "held_out": PartSize(100, 100, 3)},
    )
    facts = facts_of(few)
    said = " ".join(facts[name].text.en for name in ("events", "splits", "same_question"))
    assert "<10 with the outcome." in said and "≥10 with the outcome" in said
    assert "%" not in said and "95" not in said


def test_gaps_that_chance_may_make_are_told_as_such(everything: Known) -> None:
    evaluation = everything.evaluation
    assert evaluation is not None

    def told(chance: float) -> str:
        fair = {
            name: replace(
                one,
                gaps=dict.fromkeys(one.gaps, Estimate(0.2, 0.1, 0.3)),
                chance=dict.fromkeys(one.gaps, chance),
            )
            for name, one in evaluation.fairness.items()
        }
        known = replace(everything, evaluation=replace(evaluation, fairness=fair))
        return facts_of(known)["fairness"].text.en

    assert "0.20 (0.10–0.30), no more than chance may make it" in told(0.2)
    assert "0.20 (0.10–0.30)" in told(0.01) and "chance" not in told(0.01)


def test_of_samples_that_were_learned_from_nothing_is_claimed_that_held_out_ones_would_prove(
    everything: Known,
) -> None:
    assert everything.evaluation is not None
    facts = facts_of(replace(everything, evaluation=replace(everything.evaluation, split="train")))
    assert not {"resampling", "leakage"} & facts.keys()
    assert facts["beyond_apparent"].text.en.startswith("No")


def test_of_a_blend_it_is_not_said_that_nothing_is_imputed(everything: Known) -> None:
    assert everything.inputs is not None
    facts = facts_of(replace(everything, inputs=replace(everything.inputs, filled=None)))
    for name in ("missing", "missing_in_use", "preparation"):
        assert "members of the blend" in facts[name].text.en
        assert "nothing is imputed" not in facts[name].text.en and "unscaled" not in facts[name].text.en


def test_markdown_of_a_card_holds_no_markup_of_others(everything: Known) -> None:
    title = Text2("<script>x</script> ![a](http://b)", "图")
    facts = facts_of(everything)
    text = card_markdown(make_card(title, "m", "held_out", facts, parse_answers("hti-1.3.i: <img src=x>\\|")))
    assert "<script" not in text and "<img" not in text and "![a](" not in text
    rows = [line for line in text.splitlines() if "&lt;img" in line and line.startswith("|")]
    assert rows and all(row.replace("\\\\", "").replace("\\|", "").count("|") == 4 for row in rows)


def test_prognosis_has_a_card_too(everything: Known) -> None:
    outcomes, risk = drawn(0, 150)
    people = pl.DataFrame({"sample_id": np.arange(150), "sex": ["F", "M"] * 75, "age": [50.0] * 150})
    found = evaluated(outcomes, curves_of(risk), demographics=people)
    question = Question(task="t", kind="survival", title=Title(en="T", zh="时"), classes=("death",), unit="d")
    card = make_card(
        TITLE, "t.cox@1", "held_out", facts_of(replace(everything, evaluation=found, question=question)), {}
    )
    text = card_markdown(card)
    assert "C-index" in text and "C 指数" in text and "by each time of a grid" in text
    assert "calibration" in card.facts and "subgroups" in card.facts
