"""When problems began and procedures were done, by what notes tell of it."""

from __future__ import annotations

from datetime import date

import pytest

from medloom.learners.text.facts.facts import facts_of
from medloom.learners.text.facts.onset import began, onset_of
from medloom.learners.text.facts.rules import RuleFinder


@pytest.mark.parametrize(
    ("sentence", "words", "told"),
    [
        ("Asthma diagnosed in 2015.", "Asthma", "2015"),
        ("In March 2019, she was found to have asthma.", "asthma", "2019-03"),
        ("Appendectomy (1998), no complications.", "Appendectomy", "1998"),
        ("Three days ago he developed a cough.", "cough", "-P3D"),
        ("Cough and fever for the past 2 weeks.", "Cough", "-P2W"),
        ("A 10 year history of diabetes.", "diabetes", "-P10Y"),
        ("Fall on 3/4/2015 with wrist fracture.", "fracture", "2015"),
        ("She had chest pain yesterday.", "chest pain", "-P1D"),
        ("反复咳嗽、咳痰十年，加重3天。", "咳嗽", "-P10Y"),
        ("3天前，患者出现发热。", "发热", "-P3D"),
        ("2019年5月行阑尾切除术。", "阑尾切除术", "2019-05"),
        ("糖尿病两年余。", "糖尿病", "-P2Y"),
        ("高血压病史20余年。", "高血压", "-P20Y"),
        ("于2023-11-05行胆囊切除术。", "胆囊切除术", "2023-11-05"),
        ("胸闷半月余，1个月前曾晕厥。", "晕厥", "-P1M"),
    ],
)
def test_the_nearest_time_in_the_same_thought_is_told(sentence: str, words: str, told: str) -> None:
    at = sentence.index(words)
    assert onset_of(sentence, at, at + len(words)) == told


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A 45-year-old man with asthma.", "asthma"),
        ("Pneumonia, treated with amoxicillin for 2 weeks.", "Pneumonia"),
        ("Hypertension since 2015, cough.", "cough"),
        ("Cough, recheck in 3 days.", "Cough"),
        ("Asthma until 2015.", "Asthma"),
        ("Vancomycin 2000 mg for pneumonia.", "pneumonia"),
        ("肺炎，1周后复查。", "肺炎"),
        ("发热，每3天查血常规。", "发热"),
        ("患者，45岁，咳嗽。", "咳嗽"),
        ("Fever on 2023-02-30.", "Fever"),
    ],
)
def test_a_time_of_something_else_is_not_told(sentence: str, words: str) -> None:
    at = sentence.index(words)
    assert onset_of(sentence, at, at + len(words)) is None


@pytest.mark.parametrize(
    ("onset", "noted", "told"),
    [
        ("-P2W", date(2024, 3, 10), "2024-02-25"),
        ("-P3M", date(2024, 2, 10), "2023-11"),
        ("-P12M", date(2024, 1, 10), "2023-01"),
        ("2015-03-04", date(2024, 1, 1), "2015-03-04"),
    ],
)
def test_what_counts_from_the_note_is_told_as_precisely_as_it_was(onset: str, noted: date, told: str) -> None:
    assert began(onset, noted) == told


def test_facts_tell_when_but_not_of_what_is_denied_or_a_relative_s() -> None:
    text = "Hypertension since 2015. No cough for 3 days. Mother had asthma since 1990. Aspirin for 2 weeks."
    found = {one.code: one.mention.details.get("onset") for one in facts_of(text, [RuleFinder()])}
    assert {code: onset for code, onset in found.items() if onset} == {"ICD10CM//I10": "2015"}
    assert len(found) == 4
