"""The card of a site's model: written by evaluate, and again with what people answered."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import medloom as ml
from medloom import cards, dossier
from medloom.cli.app import app
from medloom.evidence.card.checklist import all_items
from medloom.foundation.errors import InputError, NotFoundError
from medloom.learners.windowed import WindowedModel
from tests.sites import site_of


def test_a_card_is_written_with_the_evaluation_and_again_with_what_people_answered(
    tmp_path: Path,
) -> None:
    site = site_of(tmp_path / "site", 150)
    ml.train(site.task("outcome"), "tree")
    with pytest.raises(NotFoundError, match=r"was not evaluated.*medloom evaluate outcome.tree@1"):
        cards.card(site, "outcome.tree")
    folder = dossier.evaluate(site, "outcome.tree").folder
    before = json.loads((folder / "card.json").read_text("utf-8"))
    assert before.keys() == all_items().keys()
    assert before["hti-1.1.ii"]["source"] is None
    assert "48h after ENCOUNTER//inpatient//START" in before["hti-1.2.ii"]["answer"]["en"]
    assert "outcome.tree@1" in before["tripod-ai.22"]["answer"]["en"]
    assert "Who the patients are" in (folder / "report.html").read_text("utf-8")
    people = json.loads((folder / "characteristics.json").read_text("utf-8"))["people"]
    assert set(people["held_out"]) == {"all", "with", "without"}

    where = ["--site", str(tmp_path / "site")]
    answers = tmp_path / "site" / "models" / "outcome.tree" / "card.yaml"
    assert CliRunner().invoke(app, ["card", "outcome.tree", "--blank", *where]).exit_code == 0
    blank = answers.read_text(encoding="utf-8")
    assert "\nhti-1.1.ii:\n" in blank and "hti-1.1.iii:" not in blank
    answers.write_text(blank.replace("hti-1.1.ii:\n", "hti-1.1.ii: own means\n"), encoding="utf-8")
    CliRunner().invoke(app, ["card", "outcome.tree", "--blank", *where])
    # asked again, nothing is lost
    assert answers.read_text(encoding="utf-8").count("hti-1.1.ii: own means") == 1
    told = CliRunner().invoke(app, ["card", "outcome.tree", *where]).output
    assert "questions are for a person" in told
    after = json.loads((folder / "card.json").read_text("utf-8"))["hti-1.1.ii"]
    own = {"en": "own means", "zh": "own means"}
    assert (after["answer"], after["source"], after["missing"]) == (own, "person", None)
    assert "own means" in (folder / "card.html").read_text("utf-8")
    answers.write_text("hti-1.1.2: x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"nearest: hti-1.1.i"):
        cards.card(site, "outcome.tree")
    with pytest.raises(InputError, match=r"no split '../x'"):
        cards.card(site, "outcome.tree", "../x")


def test_of_a_blend_of_both_sorts_the_card_does_not_say_how_missing_values_are_taken() -> None:
    frame = pl.DataFrame({"x": [float(i % 97) for i in range(300)], "ill": [i % 97 > 48 for i in range(300)]})

    def filled(*names: str) -> bool | None:
        blend = [{"learner": name, "parameters": {}, "weight": 1 / len(names)} for name in names]
        made = ml.train(frame, "auto", label="ill", blend=blend, ranges=False)
        assert isinstance(made.model, WindowedModel)
        return cards._filled(made.model)

    assert (filled("logistic", "tree"), filled("logistic"), filled("tree")) == (None, True, False)
