"""Which code words of a note mean."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from medloom.foundation.errors import InputError
from medloom.learners.text.normalising.abbreviations import abbreviations, set_beside
from medloom.learners.text.normalising.dictionary import Dictionary
from medloom.learners.text.normalising.normaliser import Normaliser
from medloom.learners.text.normalising.teaching import Annotated, taught

DISEASES = [
    ("Hypertension", "I10"),
    ("High blood pressure", "I10"),
    ("Hypotension", "I95.9"),
    ("Acute myocardial infarction", "I21.9"),
    ("Heart attack", "I21.9"),
    ("Tumor of the breast", "C50"),
    ("Edema", "R60.9"),
    ("β-thalassemia", "D56.1"),
    ("Cold", "J00"),
    ("Common cold", "J00"),
    ("Chronic obstructive lung disease", "J44.9"),
    ("Cold", "J44.9"),
    ("高血压", "I10"),
    ("低血压", "I95.9"),
    ("２型糖尿病", "E11"),
]


@pytest.fixture(scope="module")
def known() -> Normaliser:
    return Normaliser(DISEASES)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hypertension", "I10"),
        ("HYPOTENSIONS", "I95.9"),
        ("blood pressure, high", "I10"),
        ("breast tumours", "C50"),
        ("oedema", "R60.9"),
        ("beta thalassaemia", "D56.1"),
        ("infarction, acute myocardial", "I21.9"),
        ("高血压病", "I10"),
        ("2型糖尿病", "E11"),
        ("fracture of the femur", None),
        ("骨折", None),
        ("", None),
        ("☠", None),
    ],
)
def test_names_are_found_however_they_are_written(known: Normaliser, said: str, code: str | None) -> None:
    assert known.normalise([said])[0].code == code


def test_a_short_form_means_what_its_note_says(known: Normaliser) -> None:
    note = "Hypotension (HT) was seen; AMI, short for heart attack, was not. Chronic high blood pressure (HBP) was."
    assert [one.code for one in known.normalise(["HT", "HBP", "Hypotension"], note)] == [
        "I95.9",
        "I10",
        "I95.9",
    ]
    assert known.normalise(["HT"])[0].code is None


def test_of_two_codes_with_one_name_the_preferred_comes_first_and_both_are_told(known: Normaliser) -> None:
    answer = known.normalise(["cold"])[0]
    assert [one.code for one in answer.candidates[:2]] == ["J00", "J44.9"]
    assert answer.candidates[0].score == answer.candidates[1].score
    assert answer.code == "J00"


def test_the_same_name_means_the_same_whatever_order_mentions_come_in(known: Normaliser) -> None:
    said = ["cold", "oedema", "cold", "heart attacks"]
    forth, back = known.normalise(said), known.normalise(said[::-1])
    assert forth == back[::-1]


def test_what_annotated_texts_say_is_learned_and_kept(tmp_path: Path) -> None:
    known = Normaliser(DISEASES)
    ready = taught(known, _texts(60), seed=1)
    said = ["raised pressure", "cold", "the bends", "hypotension"]
    answers = ready.normalise(said)
    assert [one.code for one in answers] == ["I10", "J44.9", None, "I95.9"]
    assert known.normalise(["raised pressure"])[0].code is None
    ready.save(tmp_path)
    assert Normaliser.load(tmp_path).normalise(said) == answers
    assert {one.suffix for one in tmp_path.iterdir()} == {".npz", ".json", ".txt"}


def test_an_untaught_normaliser_answers_the_same_when_it_is_read_again(
    known: Normaliser, tmp_path: Path
) -> None:
    known.save(tmp_path)
    said = [name for name, _ in DISEASES] + ["pressure of blood", "高血压性心脏病"]
    assert Normaliser.load(tmp_path).normalise(said) == known.normalise(said)


def test_nothing_is_read_where_nothing_was_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no normaliser"):
        Normaliser.load(tmp_path)


@pytest.mark.parametrize("names", [[], [("", "I10")], [("Cold", "")], [("Cold\nFever", "J00")]])
def test_names_that_are_none_are_refused(names: list[tuple[str, str]]) -> None:
    with pytest.raises(InputError, match="needs names and codes"):
        Dictionary(names)


def test_a_threshold_beyond_1_and_texts_that_teach_nothing_are_refused(known: Normaliser) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Normaliser(DISEASES, threshold=1.5)
    with pytest.raises(InputError, match="teach nothing"):
        taught(known, [Annotated("Nothing is meant.", ())] * 10)


def test_brackets_explain_short_forms_only_by_their_letters_or_beside_another_mention() -> None:
    text = "Deferoxamine mesylate (DFO) and carboplatin (CBDCA: 5 mg) in mice (male)."
    assert abbreviations(text) == {"DFO": "Deferoxamine mesylate"}
    assert set_beside(text, ["carboplatin", "CBDCA", "male", "mice"]) == {"CBDCA": "carboplatin"}


def _texts(count: int) -> list[Annotated]:
    """Write texts in which `cold` is a disease of the lung, and the bends are none of those known."""
    rng = random.Random(0)
    meant = [
        *DISEASES[:2],
        *DISEASES[2:7],
        ("raised pressure", "I10"),
        ("cold", "J44.9"),
        ("the bends", None),
    ]
    found = []
    for _ in range(count):
        those = rng.sample(meant, 4)
        found.append(Annotated(", ".join(name for name, _ in those), tuple(those)))
    return found
