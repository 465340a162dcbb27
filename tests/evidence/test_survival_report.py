"""The page of a survival evaluation."""

from pathlib import Path

import numpy as np
import polars as pl

from medloom.evidence.report import write_report
from medloom.evidence.survival_evaluation import evaluate_survival
from medloom.evidence.survival_report import headline
from tests.evidence.test_survival import curves_of, drawn, evaluated, samples_of


def test_the_page_says_how_good_for_whom_and_draws_in_both_languages(tmp_path: Path) -> None:
    outcomes, risk = drawn(0, 150)
    people = pl.DataFrame({"sample_id": np.arange(150), "sex": ["F", "M"] * 75, "age": [50.0] * 150})
    found = evaluated(outcomes, curves_of(risk), demographics=people)
    write_report(tmp_path / "r.html", found, important=[(found.title, 1.0)])
    page = (tmp_path / "r.html").read_text("utf-8")
    for words in ("C-index (Harrell)", "C 指数", "Calibration at 3 d: death", "Share with the event", "<svg"):
        assert words in page, words
    assert "积分 Brier 分数" in page


def test_competing_events_are_each_drawn(tmp_path: Path) -> None:
    outcomes, risk = drawn(3, 200, 2)
    write_report(tmp_path / "r.html", evaluated(outcomes, curves_of(risk, 2), ("death", "transplant")))
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "Share with the event: death" in page and "Share with the event: transplant" in page


def test_three_patients_make_a_page_of_reasons(tmp_path: Path) -> None:
    outcomes, risk = drawn(0, 3)
    samples = samples_of(outcomes)
    predictions = curves_of(risk).predictions(samples.frame["sample_id"], ("death",))
    found = evaluate_survival(samples, predictions, horizons=(3.0,))
    write_report(tmp_path / "r.html", found)
    assert "too few subjects" in (tmp_path / "r.html").read_text("utf-8")
    assert "cannot be said" in headline(found).en
