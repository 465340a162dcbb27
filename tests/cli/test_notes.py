"""The commands for notes: a question about them is asked, learned, judged and explained, place by place."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import medloom as ml
from medloom.cli.app import app
from medloom.foundation.errors import InputError
from medloom.foundation.files import write_json
from medloom.loop import releases
from medloom.loop.releases import Actor
from medloom.loop.serving import Serving
from medloom.places import tagging_by
from medloom.tasks import models
from tests.databases import opened
from tests.learners.text.worlds import DRUGS, FINDINGS, note, small_encoder

TASK = """\
name: named
kind: tagging
title: {en: Drugs and findings, zh: 药物与所见}
prediction_time: {event: [NOTE//*], which: every}
predict: {of: note, spans: {drug: [DRUG//*], finding: [FINDING//*]}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of 60 patients with a note each, read by somebody; the last note is empty of both."""
    folder = tmp_path_factory.mktemp("notes") / "site"
    made, rng, rows = ml.Site.create(folder), np.random.default_rng(0), []
    for number in range(60):
        text, places = note(rng) if number < 59 else ("We saw him in the ward today.", [])
        asset = made.record.assets().put(text.encode())
        base = {"patient": f"P{number}", "time": datetime(2024, 1, 1) + timedelta(days=number)}
        rows.append({**base, "code": "NOTE//visit", "role": "note", "asset": asset, "text_value": text})
        rows.append({**base, "code": "READ//all", "role": "observation", "derived_from": asset})
        rows += [
            {
                **base,
                "code": f"{name.upper()}//any",
                "role": "observation",
                "derived_from": asset,
                "span": f"{a}:{b}",
            }
            for a, b, name in places
        ]
    made.record.append(pl.DataFrame(rows))
    made.record.compact()
    (folder / "tasks" / "named.yaml").write_text(TASK, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def learned(site: Path) -> Path:
    run("train", "named", "--learner", "crf", site=site)
    return site


def run(*words: str, site: Path) -> str:
    found = CliRunner().invoke(app, [*words, "--site", str(site)])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_labels_are_counted_by_name_of_place(site: Path) -> None:
    told = json.loads(run("label", "named", "--json", site=site))
    assert told["n"] == 60
    assert set(told["labels"]) == {"drug", "finding"}


def test_the_evaluation_tells_places_that_are_right(learned: Path) -> None:
    told = json.loads(run("evaluate", "named.crf", "--json", site=learned))
    assert told["metrics"]["f1"]["value"] > 0.9
    page = (learned / "models" / "named.crf" / "1" / "evidence" / "held_out" / "report.html").read_text(
        encoding="utf-8"
    )
    assert "Of 100 places that people named" in page
    assert "人标注的每 100 处中" in page


def test_predictions_are_places_in_characters(learned: Path, tmp_path: Path) -> None:
    out = tmp_path / "places.parquet"
    told = json.loads(run("predict", "named.crf", "--out", str(out), "--json", site=learned))
    frame = pl.read_parquet(out)
    assert told["answers"] == frame.height
    assert (frame["end"] > frame["start"]).all()
    assert frame["value"].is_between(0, 1).all()


def test_a_note_is_explained_by_its_places_with_their_words(learned: Path) -> None:
    told = json.loads(run("explain", "named.crf", "--patient", "P3", "--json", site=learned))
    assert told["places"]
    assert all(one["words"] and one["end"] - one["start"] == len(one["words"]) for one in told["places"])
    assert "words" in run("explain", "named.crf", "--patient", "P3", site=learned)


def test_of_a_note_in_which_nothing_is_named_it_is_said(learned: Path) -> None:
    assert "names nothing" in run("explain", "named.crf", "--patient", "P59", site=learned)


def test_a_model_that_names_places_is_released_without_a_threshold(learned: Path, tmp_path: Path) -> None:
    run("evaluate", "named.crf", site=learned)
    database, site = opened(f"sqlite:///{tmp_path / 'site.db'}"), ml.Site.open(learned)
    ann = Actor("ann", "data_scientist")
    with pytest.raises(InputError, match="threshold"):
        releases.propose(site, database, "named.crf", ann, threshold=0.5)
    proposed = releases.propose(site, database, "named.crf", ann)
    releases.sign(database, proposed.id, Actor("bert", "governance"))
    serving = Serving(site, database, lambda: datetime(2024, 6, 1))
    assert serving.served == [] and [str(one.name) for one in serving.taggers] == ["named.crf@1"]
    assert serving.board().is_empty() and not serving.refused
    with pytest.raises(InputError, match="on the page of a note"):
        serving.find("named")


def test_a_model_that_answers_about_whole_notes_is_not_released_and_it_is_said(
    learned: Path, tmp_path: Path
) -> None:
    asked = TASK.replace("named", "sick").replace("kind: tagging", "kind: binary")
    asked = asked.replace("spans: {drug: [DRUG//*], finding: [FINDING//*]}", "event: [FINDING//*]")
    (learned / "tasks" / "sick.yaml").write_text(asked, encoding="utf-8")
    site = ml.Site.open(learned)
    small = {"epochs": 1, "vocabulary": 200, "width": 16, "window": 64, "overlap": 16}
    made = ml.train(site.task("sick"), "bilstm-crf", ranges=False, **small)
    evidence = models.evidence_directory(site.directory, site.model_name("sick.bilstm-crf"))
    write_json(evidence / "held_out" / "evaluation.json", ml.evaluate(made).to_json())
    database = opened(f"sqlite:///{tmp_path / 'site.db'}")
    with pytest.raises(InputError, match="binary does not"):
        releases.propose(site, database, "sick.bilstm-crf", Actor("ann", "data_scientist"))


def test_places_of_a_model_become_facts_and_an_unsure_one_waits(learned: Path, tmp_path: Path) -> None:
    site = Path(shutil.copytree(learned, tmp_path / "site", symlinks=True))
    text = "The patient takes aspirin every day. She reports fever since Monday. "
    text += "The patient takes 5-fluorouracil every day. "  # of which only `fluorouracil` has a code
    fresh = {"patient": "P99", "time": datetime(2024, 6, 1), "code": "NOTE//visit", "role": "note"}
    ml.Site.open(site).record.append(pl.DataFrame([{**fresh, "text_value": text}]))
    asked = ["facts", "--extract", "--dictionary", "own", "--json"]
    told = json.loads(run(*asked, "--model", "named.crf", site=site))
    assert told["notes"] == 60 + 1
    assert told["doubtful"] == {"unsure": 1}
    where = ["--where", "model = 'named.crf'", "--json"]
    found = json.loads(run("facts", *where, site=site))["facts"]
    assert {("ATC//B01AC06", "aspirin every day"), ("ICD10CM//R50.9", "fever")} <= {
        (one["code"], one["words"]) for one in found
    }
    assert all(0 < one["confidence"] <= 1 and one["span"] and one["derived_from"] for one in found)
    again = json.loads(run(*asked, "--model", "named.crf@1", site=site))
    assert (again["written"], again["doubtful"]) == (0, {})
    refused = CliRunner().invoke(app, ["facts", "--kind", "drug=drug", "--site", str(site)])
    assert refused.exit_code != 0


def test_a_tagger_is_made_a_graph_and_its_facts_take_the_place_of_those_before(
    learned: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    site = Path(shutil.copytree(learned, tmp_path / "site", symlinks=True))
    small = [
        "-p",
        "width=48",
        "-p",
        "vocabulary=300",
        "-p",
        "epochs=15",
        "-p",
        "patience=15",
        "-p",
        "batch=4",
    ]
    small += ["-p", "average=0.0", "-p", "learning_rate=0.01"]
    run("train", "named", "--learner", "bilstm-crf", *small, site=site)
    text = "She reports fever since Monday. The patient takes aspirin every day. "
    fresh = {"patient": "P99", "time": datetime(2024, 6, 1), "code": "NOTE//visit", "role": "note"}
    ml.Site.open(site).record.append(pl.DataFrame([{**fresh, "text_value": text}]))
    asked = ["facts", "--extract", "--dictionary", "own", "--model", "named.bilstm-crf", "--json"]
    run(*asked, site=site)
    told = json.loads(
        run("compress", "named.bilstm-crf", "--to", "int8", "--most-lost", "0.2", "--json", site=site)
    )
    assert told["model"] == "named.bilstm-crf@2"
    assert told["before"]["f1"] - told["after"]["f1"] <= 0.2
    assert "F1, strict" in run("compress", "named.bilstm-crf@1", "--to", "onnx", site=site)
    evaluated = json.loads(run("evaluate", "named.bilstm-crf", "--json", site=site))
    assert evaluated["metrics"]["f1"]["value"] > 0.8
    again = json.loads(run(*asked, site=site))
    assert again["written"] == 0
    places = ml.Site.open(site).model("named.bilstm-crf@3")
    assert tagging_by(places).tag([text])[0]


def test_an_encoder_goes_on_learning_from_the_sites_notes_and_is_started_from(
    site: Path, tmp_path: Path
) -> None:
    start = small_encoder(tmp_path / "encoder")
    told = json.loads(run("pretrain-notes", "ours", "--start", str(start), "--json", site=site))
    assert told["encoder"] == "ours@1" and 0 < told["facts"] < 60
    assert "ours@1" in run("encoders", site=site)
    run(
        "train",
        "named",
        "--learner",
        "encoder",
        "-p",
        "start=ours",
        "-p",
        "epochs=1",
        "-p",
        "window=64",
        "-p",
        "overlap=16",
        site=site,
    )


def test_deciding_about_a_doubtful_fact_tells_one_object(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    site = ml.Site.create(folder)
    rows = [("P1", datetime(2024, 5, 1), "NOTE//note", "note", "Glucose 180. Hgb 12.")]
    columns = ["patient", "time", "code", "role", "text_value"]
    site.record.append(pl.DataFrame(rows, schema=columns, orient="row"))
    run("facts", "--extract", "--dictionary", "own", site=folder)
    for number, way, state in ((1, "--accept", "accepted"), (2, "--reject", "rejected")):
        said = run("facts", way, str(number), "--by", "Dr Li", "--json", site=folder)
        assert json.loads(said) == {"id": number, "state": state}


RELATED = """\
name: caused
kind: relations
title: {en: What drugs caused, zh: 药物所致}
prediction_time: {event: [NOTE//*], which: every}
predict:
  of: note
  spans: {drug: [DRUG//*], finding: [FINDING//*]}
  relations: {causes: {head: drug, tail: finding, codes: [ADE//causes]}}
"""


@pytest.fixture(scope="module")
def related(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of 80 notes in which drugs are stopped because of findings, or are not, with a model of that."""
    folder = tmp_path_factory.mktemp("related") / "site"
    made, rng, rows = ml.Site.create(folder), np.random.default_rng(1), []
    for number in range(80):
        drug, finding = DRUGS[rng.integers(5)], FINDINGS[rng.integers(5)]
        holds = bool(rng.integers(2))
        text = (
            f"{drug} was stopped because of {finding}." if holds else f"After {drug} there was no {finding}."
        )
        asset = made.record.assets().put(f"{number} {text}".encode())
        base = {"patient": f"P{number}", "time": datetime(2024, 1, 1) + timedelta(days=number)}
        rows.append({**base, "code": "NOTE//visit", "role": "note", "asset": asset, "text_value": text})
        places = [f"{text.index(one)}:{text.index(one) + len(one)}" for one in (drug, finding)]
        said = [("DRUG//any", places[0]), ("FINDING//any", places[1])]
        said += [("ADE//causes", ">".join(places))] if holds else []
        fact = {**base, "role": "observation", "derived_from": asset}
        rows += [{**fact, "code": code, "span": place} for code, place in said]
    made.record.append(pl.DataFrame(rows))
    made.record.compact()
    (folder / "tasks" / "caused.yaml").write_text(RELATED, encoding="utf-8")
    run("train", "caused", "--learner", "crf", site=folder)
    return folder


def test_relations_are_counted_judged_written_and_told(related: Path, tmp_path: Path) -> None:
    labels = json.loads(run("label", "caused", "--json", site=related))["labels"]
    assert labels["drug"] == 80 and 0 < labels["causes"] < 80
    report = tmp_path / "report.html"
    told = json.loads(run("evaluate", "caused.crf", "--report", str(report), "--json", site=related))
    assert told["metrics"]["f1"]["value"] > 0.8
    page = report.read_text(encoding="utf-8")
    assert "Of 100 relations that people named" in page and "每 100 个关系" in page
    out = tmp_path / "answers.parquet"
    run("predict", "caused.crf", "--out", str(out), site=related)
    found = pl.read_parquet(out).filter(pl.col("output") == "causes")
    assert found.height and found["place"].str.contains(">").all()
    subject = str(found["subject_id"][0])
    told = json.loads(run("explain", "caused.crf", "--subject", subject, "--json", site=related))
    assert any(" → " in one["words"] for one in told["places"] if one["name"] == "causes")
    assert "→" in run("explain", "caused.crf", "--subject", subject, site=related)
    run("card", "caused.crf", site=related)
    kept = (related / "models" / "caused.crf" / "1" / "evidence" / "held_out").rglob("*.*")
    assert any("the relations causes between them" in one.read_text("utf-8") for one in kept if one.is_file())
