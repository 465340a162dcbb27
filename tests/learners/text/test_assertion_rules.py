"""What notes say of what they name, in both languages."""

from __future__ import annotations

import pytest

from medloom.learners.text.assertion_rules import ASPECTS, assertion_of


def said_of(text: str, name: str) -> set[str]:
    start = text.index(name)
    found = assertion_of(text, start, start + len(name))
    return {aspect for aspect in ASPECTS if getattr(found, aspect)}


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("Patient has chest pain.", "chest pain", set()),
        ("No evidence of pneumonia.", "pneumonia", {"negated"}),
        ("He denies fever, chills or cough.", "cough", {"negated"}),
        ("No fever but cough.", "cough", set()),
        ("No change in the nodule.", "nodule", set()),
        ("Pulmonary embolism was ruled out.", "Pulmonary embolism", {"negated"}),
        ("Pulmonary embolism cannot be excluded.", "Pulmonary embolism", {"possible"}),
        ("Admitted to rule out myocardial infarction.", "myocardial infarction", {"possible"}),
        ("Mother had breast cancer.", "breast cancer", {"family"}),
        ("History of stroke.", "stroke", {"historical"}),
        ("No history of stroke.", "stroke", {"negated", "historical"}),
        ("Return for fever.", "fever", {"conditional"}),
        ("No fever. Cough since Monday.", "Cough", set()),
        (
            "COMPLICATIONS:  None    POSTOPERATIVE DIAGNOSIS:  1) Varices  2) Hiatal hernia",
            "Hiatal hernia",
            set(),
        ),
        ("Seen by Dr. Lee without dyspnea.", "dyspnea", {"negated"}),
        ("NO ACUTE FRACTURE", "FRACTURE", {"negated"}),
        ("non-smoker with cough", "cough", set()),
    ],
)
def test_english(text: str, name: str, said: set[str]) -> None:
    assert said_of(text, name) == said


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("患者头痛3天。", "头痛", set()),
        ("否认发热、咳嗽，有头痛。", "咳嗽", {"negated"}),
        ("否认发热、咳嗽，有头痛。", "头痛", set()),
        ("无诱因出现腹痛。", "腹痛", set()),
        ("双肺未闻及干湿性啰音。", "干湿性啰音", {"negated"}),
        ("不排除肺栓塞。", "肺栓塞", {"possible"}),
        ("肺栓塞待排。", "肺栓塞", {"possible"}),
        ("墨菲征阴性。", "墨菲征", {"negated"}),
        ("父亲患糖尿病。", "糖尿病", {"family"}),
        ("既往高血压10年。", "高血压", {"historical"}),
        ("高血压病史10年。", "高血压", {"historical"}),
        ("如出现胸痛，请就诊。", "胸痛", {"conditional"}),
        ("无发热。咳嗽2天。", "咳嗽", set()),
        ("考虑肺炎。", "肺炎", {"possible"}),
    ],
)
def test_chinese(text: str, name: str, said: set[str]) -> None:
    assert said_of(text, name) == said


def test_what_is_present_is_neither_denied_nor_doubted_nor_anothers() -> None:
    assert assertion_of("History of asthma.", 11, 17).is_present
    assert not assertion_of("No asthma.", 3, 9).is_present


def test_a_long_note_is_read_by_the_sentence() -> None:
    text = "No fever. " * 20_000 + "Cough."
    assert said_of(text, "Cough") == set()


def test_the_heading_of_the_present_history_makes_nothing_past() -> None:
    text = "History: 64-year-old woman with hypertension. Past medical history: asthma."
    told = {
        one: assertion_of(text, text.index(one), text.index(one) + len(one))
        for one in ("hypertension", "asthma")
    }
    assert not told["hypertension"].historical
    assert told["asthma"].historical
