"""What a tagger learned to find is replaced beside what rules find."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import medloom as ml
from medloom.cli.app import app

_NAMES = ("Quillfeather", "Brambleton", "Oxenhyde", "Tamsworth", "Pellinger", "Wrexmore")
_TASK = """\
name: identities
kind: tagging
title: {en: Identifiers, zh: 标识符}
prediction_time: {event: [NOTE//*], which: every}
predict: {of: note, spans: {NAME: [IDENTITY//name]}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose notes name people without a title, marked by somebody, and a model of each way to call them."""
    folder = tmp_path_factory.mktemp("identities") / "site"
    made, rows = ml.Site.create(folder), []
    for number in range(60):
        name = _NAMES[number % len(_NAMES)]
        text = f"Then {name} went back to bed and slept well."
        asset = made.record.assets().put(f"{number} {text}".encode())
        base = {"patient": f"P{number}", "time": datetime(2024, 1, 1) + timedelta(days=number)}
        rows.append({**base, "code": "NOTE//visit", "role": "note", "asset": asset, "text_value": text})
        rows.append({**base, "code": "READ//all", "role": "observation", "derived_from": asset})
        place = f"5:{5 + len(name)}"
        code = "IDENTITY//name"
        rows.append({**base, "code": code, "role": "observation", "derived_from": asset, "span": place})
    made.record.append(pl.DataFrame(rows))
    made.record.compact()
    for task, name in (("identities", "name"), ("others", "person")):
        told = _TASK.replace("NAME", name).replace("identities", task)
        (folder / "tasks" / f"{task}.yaml").write_text(told, encoding="utf-8")
        assert run("train", task, "--learner", "crf", "--site", str(folder)).exit_code == 0
    return folder


def run(*words: str):  # type: ignore[no-untyped-def]  # what the runner gives
    return CliRunner().invoke(app, list(words))


def written(site: Path, folder: Path, *more: str) -> tuple[str, dict[str, int]]:
    """De-identify a note; its new text, and what was replaced."""
    source = folder / "note.txt"
    source.write_text("Then Tamsworth went back to bed. MRN: 0012345.", encoding="utf-8")
    found = run("deidentify", str(source), str(folder / "out"), "--site", str(site), "--json", *more)
    assert found.exit_code == 0, found.output
    return (folder / "out" / "000001.txt").read_text(encoding="utf-8"), json.loads(found.stdout)[
        "identifiers"
    ]


def test_a_name_that_nothing_tells_is_found_by_a_model_of_the_site(site: Path, tmp_path: Path) -> None:
    for folder in ("rules", "taught"):
        (tmp_path / folder).mkdir()
    assert "Tamsworth" in written(site, tmp_path / "rules")[0]
    text, counts = written(site, tmp_path / "taught", "--model", "identities.crf")
    assert text == "Then [NAME] went back to bed. MRN: [RECORD_NUMBER]."
    assert counts == {"name": 1, "record_number": 1}


def test_a_model_whose_places_are_called_otherwise_is_refused(site: Path, tmp_path: Path) -> None:
    source = tmp_path / "note.txt"
    source.write_text("Nothing.", encoding="utf-8")
    found = run(
        "deidentify", str(source), str(tmp_path / "out"), "--site", str(site), "--model", "others.crf"
    )
    assert found.exit_code != 0
    assert "no kinds of identifiers" in str(found.exception) + found.output
    assert not (tmp_path / "out").exists()
