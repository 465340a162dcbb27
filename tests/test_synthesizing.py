"""Made-up patients: alike on the whole, nobody's copy, judged for privacy and for what they are worth."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom.evidence.synthetic import judge_synthetic, same_rows
from medloom.evidence.synthetic_page import write_synthetic_page
from medloom.foundation.errors import InputError, IntegrityError
from medloom.learners.synthetic.columns import TableForm
from medloom.learners.synthetic.tables import TableGenerator, load_generator
from medloom.synthesizing import Synthesized
from tests.learners.timeline.test_futures import asked, encoder, ward


def patients(n: int = 600, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(60, 15, n).round()
    return pl.DataFrame(
        {
            "age": age.astype(int),
            "pressure": 80 + 0.6 * age + rng.normal(0, 8, n),
            "lab": pl.Series(np.where(rng.random(n) < 0.3, np.nan, rng.lognormal(0, 0.5, n))).fill_nan(None),
            "sex": rng.choice(["F", "M"], n),
            "ill": rng.random(n) < 1 / (1 + np.exp(-(age - 60) / 5)),
        }
    )


@cache
def made() -> Synthesized:
    return ml.synthesize(patients(), "ill", learner="logistic", epochs=120, seed=1)


def test_made_up_rows_are_like_the_real_ones_and_nobodys_copy() -> None:
    rows, real = made().rows, patients()
    assert rows.columns == real.columns
    assert rows.schema == real.schema
    assert rows.height == round(0.7 * real.height)
    assert not same_rows(rows, real).any()
    assert rows["age"].mean() == pytest.approx(60, abs=8)
    assert rows["lab"].null_count() / rows.height == pytest.approx(0.3, abs=0.2)
    ages = dict(rows.group_by("ill").agg(pl.col("age").mean()).iter_rows())
    assert ages[True] > ages[False]
    found = made().evidence
    assert found.utility["real"].value > 0.85
    assert found.utility["synthetic"].value > 0.75
    assert found.membership.value == pytest.approx(0.5, abs=0.1)


def test_copies_are_found_out() -> None:
    real = patients(900)
    train, held_out = real[:450], real[450:]
    honest = judge_synthetic(train, held_out, patients(450, seed=7))
    assert honest.doubts == ()
    assert honest.distance_ratio.low < 1 < honest.distance_ratio.high
    copied = judge_synthetic(train, held_out, train.with_columns(pl.col("pressure") + 0.01))
    assert copied.membership.value > 0.95
    assert copied.distance_ratio.value < 0.1
    assert len(copied.doubts) == 2
    assert same_rows(train, real).all()


def test_a_column_comes_back_from_its_numbers() -> None:
    frame = patients()
    form = TableForm.fit(frame)
    again = form.decode(form.encode(frame))
    inside = frame["pressure"].is_between(form.columns[1].low, form.columns[1].high)
    np.testing.assert_allclose(
        again["pressure"].filter(inside), frame["pressure"].filter(inside), rtol=0, atol=0.01
    )
    assert again["sex"].equals(frame["sex"])
    assert again["lab"].is_null().equals(frame["lab"].is_null())
    assert TableForm.from_json(form.to_json()) == form


def test_a_generator_is_kept_and_makes_the_same_rows(tmp_path: Path) -> None:
    generator = made().generator
    generator.save(tmp_path / "one")
    assert load_generator(tmp_path / "one").rows(30, seed=5).equals(generator.rows(30, seed=5))
    (tmp_path / "one" / "weights" / "generator.json").write_text("{}")
    with pytest.raises(IntegrityError):
        load_generator(tmp_path / "one")


def test_tables_that_cannot_be_learned_from_are_refused() -> None:
    with pytest.raises(InputError, match="too small"):
        TableGenerator.fit(patients(50))
    named = patients(200).with_columns(name=pl.Series([f"patient {row}" for row in range(200)]))
    with pytest.raises(InputError, match="no value of column 'name'"):
        TableGenerator.fit(named)


def test_invented_timelines_have_numbers_of_their_own_and_answer_the_task() -> None:
    task, _ = asked({"event": ["MEDS_DEATH"], "within": "6h"})
    found = ml.synthesize_timelines(encoder(), ward(), task, n=150, learner="logistic", seed=2)
    subjects = found.rows["subject_id"].unique()
    assert len(subjects) == 150 - found.evidence.copies
    assert subjects.min() > ward().subject_ids.max()
    assert found.record.n_subjects == len(subjects)
    assert set(found.rows["code"]) <= {"RISK//high", "RISK//low", "LAB", "MEDS_DEATH", "GENDER//F"}
    assert found.rows.filter(code="GENDER//F")["time"].null_count() == len(subjects)
    last = found.rows.sort("subject_id", "time").group_by("subject_id").last()
    died = found.rows.filter(code="MEDS_DEATH")["subject_id"].n_unique() / len(subjects)
    assert 0.1 < died < 0.8
    assert last.height == len(subjects)
    assert found.evidence.utility["synthetic"].value > 0.6


def test_the_page_speaks_both_languages(tmp_path: Path) -> None:
    write_synthetic_page(tmp_path / "page.html", made().evidence)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Made-up patients beside real ones" in page
    assert "<script" not in page
