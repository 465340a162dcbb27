"""Facts of notes from the command line."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl

from medloom.site import Site
from tests.cli.conftest import done, refused

SAID = "Type 2 diabetes mellitus. Denies fever. Glucose 180. metformin 500 mg p.o. b.i.d."


def site_of(folder: Path) -> None:
    row = ("P1", datetime(2024, 5, 1, 9), "NOTE//note", "note", SAID)
    events = pl.DataFrame([row], schema=["patient", "time", "code", "role", "text_value"], orient="row")
    Site.create(folder / "site").record.append(events)


def test_facts_are_extracted_asked_about_and_reviewed(tmp_path: Path) -> None:
    site_of(tmp_path)
    asked = ["facts", "--site", "site"]
    told = json.loads(done(*asked, "--extract", "--dictionary", "own", "--json", folder=tmp_path))
    assert (told["notes"], told["written"], told["doubtful"]) == (1, 3, {"unsure": 1})
    where = ["--where", "code like 'ICD10CM//%'"]
    told = json.loads(done(*asked, *where, "--fhir", "out.json", "--json", folder=tmp_path))
    assert [(one["code"], one["words"], one["span"]) for one in told["facts"]] == [
        ("ICD10CM//E11.9", "Type 2 diabetes mellitus", "0:24")
    ]
    made = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [one["resource"]["resourceType"] for one in made["entry"]] == ["Condition", "Provenance"]
    waiting = json.loads(done(*asked, "--doubtful", "--json", folder=tmp_path))["doubtful"]
    assert [(one["code"], one["reasons"]) for one in waiting] == [("LOINC//2345-7", ["unsure"])]
    done(*asked, "--accept", waiting[0]["id"], "--by", "Dr Li", folder=tmp_path)
    assert "Glucose 180" in done(*asked, "--where", "model is null", folder=tmp_path)
    assert "--by" in refused(*asked, "--reject", 1, folder=tmp_path)
    assert "WHERE" in refused(*asked, "--where", "1=1; drop table facts", folder=tmp_path)
    assert "icd10cm" in refused(*asked, "--extract", "--dictionary", "umls", folder=tmp_path)
