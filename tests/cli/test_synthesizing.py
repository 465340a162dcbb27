"""Patients that are made up, and answers that are counted in futures, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from tests.cli.conftest import TASK, done, refused
from tests.test_synthesizing import patients


def test_a_table_becomes_made_up_rows_with_a_page(tmp_path: Path) -> None:
    patients(400).write_parquet(tmp_path / "patients.parquet")
    asked = [
        "synthesize",
        "--table",
        "patients.parquet",
        "--out",
        "made-up.parquet",
        "--n",
        100,
        "--epochs",
        2,
    ]
    told = json.loads(done(*asked, "--report", "page.html", "--json", folder=tmp_path))
    assert told["rows"] == {"train": 280, "held_out": 120, "synthetic": 100}
    assert pl.read_parquet(tmp_path / "made-up.parquet").height == 100
    assert "虚构患者与真实患者的比较" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "--table FILE or --encoder NAME" in refused("synthesize", "--out", "out.parquet", folder=tmp_path)


def test_an_encoder_answers_a_task_and_invents_patients(own_site: Path) -> None:
    how = ["--objective", "next-event", "--step", "fact", "--epochs", 2, "--most", 32]
    assert "--zero-shot futures@1" in done("pretrain", "futures", *how, folder=own_site)
    asked = ["predict", TASK, "--zero-shot", "futures", "--split", "held_out", "--futures", 10]
    said = done(*asked, "--out", "answers.parquet", folder=own_site)
    assert "share of 10 futures" in said and "95 % interval" in said and "answers.parquet" in said
    answers = pl.read_parquet(own_site / "answers.parquet")
    assert answers["value"].is_between(0, 1).all()
    assert answers["low"].null_count() == 0
    made = ["synthesize", "--encoder", "futures", "--out", "events.parquet", "--n", 40, "--anyway"]
    assert "events.parquet" in done(*made, folder=own_site)
    assert pl.read_parquet(own_site / "events.parquet")["subject_id"].n_unique() <= 40
