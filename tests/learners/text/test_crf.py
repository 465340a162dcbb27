"""The linear tagger learns to name places in notes of any language, without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from medloom.evidence.tagging_evaluation import evaluate_tagging
from medloom.foundation.hashing import sha256_bytes
from medloom.learners.text.tagging.linear import CrfLearner, CrfModel
from medloom.record.record import Record
from medloom.tasks import package
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from tests.learners.text.worlds import question, samples


@pytest.fixture(scope="module")
def model() -> CrfModel:
    known = samples()
    return CrfLearner().fit(known.in_split("train"), known.in_split("tuning"))


def chinese(patients: int = 60) -> Samples:
    """Notes in Chinese, in which somebody named drugs and findings."""
    rng, rows = np.random.default_rng(2), []
    for patient in range(1, patients + 1):
        drug = ("阿司匹林", "二甲双胍", "肝素")[rng.integers(3)]
        finding = ("头痛", "胸闷", "咳嗽")[rng.integers(3)]
        first, second = f"患者因{finding}", f"入院，口服{drug}，第{patient}天。"
        asset = "sha256:" + sha256_bytes(f"{patient}{first}{second}".encode())
        rows += [
            (patient, "NOTE//visit", asset, None, None, first + second),
            (patient, "FINDING//any", None, asset, f"3:{3 + len(finding)}", None),
            (patient, "DRUG//any", None, asset, f"{len(first) + 5}:{len(first) + 5 + len(drug)}", None),
        ]
    names = ["subject_id", "code", "asset", "derived_from", "span", "text_value"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(time=pl.datetime(2024, 1, 1))
    return apply(question(), Record.from_events(frame)).samples


def test_places_are_found_in_notes_it_has_not_seen(model: CrfModel) -> None:
    found = evaluate_tagging(samples(), model, split="held_out", replicates=50)
    assert (found.metrics["f1"].value or 0) > 0.95


def test_chinese_is_tagged_character_by_character() -> None:
    known = chinese()
    made = CrfLearner().fit(known.in_split("train"), known.in_split("tuning"))
    text = "患者因头痛入院，口服肝素，第3天。"
    assert [(one.span.words(text), one.span.name) for one in made.tag([text])[0]] == [
        ("头痛", "finding"),
        ("肝素", "drug"),
    ]


def test_a_saved_model_says_the_same(model: CrfModel, tmp_path: Path) -> None:
    model.save(tmp_path / "package")
    again = package.load(tmp_path / "package")
    assert isinstance(again, CrfModel)
    texts = samples(20, seed=4).texts()
    assert again.tag(texts) == model.tag(texts)


def test_it_is_sure_of_what_it_has_seen_and_says_nothing_of_an_empty_note(model: CrfModel) -> None:
    (found,) = model.tag(["The patient takes aspirin every day."])
    assert [one.span.name for one in found] == ["drug"]
    assert 0.9 < found[0].confidence <= 1
    assert model.tag(["", "\n"]) == [(), ()]


def letters(patients: int = 80, seed: int = 3) -> Samples:
    """Letters in which only a label tells whose name a line holds; a line may end within a name of several words."""
    rng, rows = np.random.default_rng(seed), []
    names = ("Ann Lee", "Tom Hill", "Eva van Dam", "Rob Ray", "Mia Fox", "Jon Day")
    for patient in range(1, patients + 1):
        drug, finding = (names[at] for at in rng.permutation(len(names))[:2])
        text, places = "", []
        for label, said, name in (("Patient", drug, "DRUG"), ("Doctor", finding, "FINDING")):
            text += f"{label}: "
            places.append((len(text), len(text) + len(said), name))
            text += f"{said}\n"
        asset = "sha256:" + sha256_bytes(f"{patient}{text}".encode())
        rows.append((patient, "NOTE//visit", asset, None, None, text))
        rows += [(patient, f"{name}//any", None, asset, f"{a}:{b}", None) for a, b, name in places]
    columns = ["subject_id", "code", "asset", "derived_from", "span", "text_value"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(time=pl.datetime(2024, 1, 1))
    return apply(question(), Record.from_events(frame)).samples


def test_lines_of_a_letter_are_read_by_their_labels_and_tags_without_ends_mean_the_same(
    tmp_path: Path,
) -> None:
    known = letters()
    made = CrfLearner(lines=True, ends=False).fit(known.in_split("train"), known.in_split("tuning"))
    text = "Doctor: Kai Soe Win\nPatient: Kai Soe Win\n"
    said = [(one.span.place, one.span.name) for one in made.tag([text])[0]]
    assert said == [("8:19", "finding"), ("29:40", "drug")]
    made.save(tmp_path / "package")
    again = package.load(tmp_path / "package")
    assert isinstance(again, CrfModel)
    assert again.tag([text]) == made.tag([text])
