"""The demo of notes from end to end: notes in two languages become rows of a table and FHIR resources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import medloom as ml
from medloom.cli.app import app


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo") / "here"
    done = CliRunner().invoke(app, ["demo", "notes", "--into", str(folder)])
    assert done.exit_code == 0, done.output
    return folder, done.output


def test_facts_of_both_languages_are_found_with_their_words(shown: tuple[Path, str]) -> None:
    for words in ("metformin", "二甲双胍", "NOT//ICD10CM", "FAMILY//ICD1"):
        assert words in shown[1]


def test_what_is_denied_is_not_found_by_its_code(shown: tuple[Path, str]) -> None:
    from medloom.care.notes.asking import facts_where

    record = ml.Site.open(shown[0]).record
    found = facts_where(record, "code = 'ICD10CM//I25.10'")
    assert not found.height
    assert facts_where(record, "code = 'NOT//ICD10CM//I25.10'").height == 1


def test_the_bundle_holds_resources_and_where_they_come_from(shown: tuple[Path, str]) -> None:
    bundle = json.loads((shown[0] / "facts.fhir.json").read_text(encoding="utf-8"))
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"Condition", "MedicationStatement", "Observation", "Provenance", "FamilyMemberHistory"} <= kinds


def test_it_does_not_end_in_the_workbench(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "notes", "--serve", "--into", str(tmp_path / "x")])
    assert done.exit_code != 0
