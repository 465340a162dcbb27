"""How unusual a patient is, from a package alone; what an evaluation keeps of robustness."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import medloom as ml
from medloom import dossier
from medloom.foundation.errors import InputError
from tests.sites import site_of


def patients(n: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    sodium, potassium = rng.normal(140, 4, n), rng.normal(4, 0.5, n)
    chloride = sodium - 36 + rng.normal(0, 1, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-2 * (potassium - 4)))
    return pl.DataFrame(
        {"sodium": sodium, "potassium": potassium, "chloride": chloride, "ill": ill}
    ).with_columns(potassium=pl.when(pl.int_range(n) % 7 > 0).then("potassium"))


def test_a_loaded_model_finds_whom_it_has_not_seen_and_says_why_without_its_patients(tmp_path: Path) -> None:
    frame = patients()
    trained = ml.train(frame, "tree", label="ill", ranges=False)
    trained.save(tmp_path / "package")
    model = ml.load(tmp_path / "package")
    usual = {"sodium": 140.0, "potassium": 4.0, "chloride": 104.0}
    asked = pl.DataFrame([usual, {**usual, "potassium": 40.0}, {**usual, "sodium": 145.0, "chloride": 101.0}])
    found = ml.unusual(model, asked)
    assert found["percentile"][0] < 50
    assert (
        found["percentile"][1] > 99 and found["inputs"][1][0] == "potassium" and found["values"][1][0] == 40
    )
    # neither value is unusual; the two together are
    assert found["percentile"][2] > 99 and set(found["inputs"][2]) == {"sodium", "chloride"}
    new = ml.unusual(model, patients(2000).tail(1400).drop("ill"))["percentile"].to_numpy()
    assert (new > 90).mean() == pytest.approx(0.1, abs=0.04)
    kept = [np.load(path) for path in (tmp_path / "package").rglob("novelty.*.npy")]
    assert kept and max(array.size for array in kept) < len(frame), "no array could hold a row a patient"


def test_few_patients_tell_nothing_of_who_is_unlike_them() -> None:
    trained = ml.train(patients(60), "tree", label="ill", ranges=False)
    with pytest.raises(InputError, match="50 patients or more"):
        ml.unusual(trained, patients(1))


def test_an_evaluation_keeps_what_was_tried_and_a_page_warns_of_an_unusual_patient(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 300)
    one = ml.train(site.task("outcome"), "logistic", ranges=False)
    kept = dossier.evaluate(site, "outcome.logistic")
    found = json.loads((kept.folder / "robustness.json").read_text(encoding="utf-8"))
    assert found["metric"] == "auroc" and len(found["missing"]) == 4
    page = (kept.folder / "report.html").read_text(encoding="utf-8")
    assert "What if things are not as they were" in page and "情况与以往不同时会怎样" in page
    sample = one.samples.where(pl.int_range(pl.len()) == 0)
    dossier.patient_page(site, one, sample, tmp_path / "p.html")
    assert "How unusual" in (tmp_path / "p.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("learner", "kind", "metric"),
    [("tree", "multiclass", "auroc_macro"), ("linear", "regression", "mae"), ("cox", "survival", "c_index")],
)
def test_every_kind_of_question_is_tried(learner: str, kind: str, metric: str) -> None:
    frame = patients()
    drawn = np.random.default_rng(1)
    potassium = frame["potassium"].fill_null(4).to_numpy()
    if kind == "survival":
        time = drawn.exponential(np.exp(2 * (4 - potassium)))
        frame = frame.drop("ill").with_columns(time=pl.Series(np.minimum(time, 3)), event=pl.Series(time < 3))
        trained = ml.train(frame, learner, time="time", event="event", ranges=False)
    else:
        where = np.where(potassium > 4.3, "icu", np.where(potassium < 3.7, "home", "ward"))
        label = pl.Series("label", potassium + drawn.normal(0, 0.1, 600) if kind == "regression" else where)
        trained = ml.train(frame.drop("ill").with_columns(label), learner, label="label", ranges=False)
    found = ml.robustness(trained, replicates=30)
    assert found.primary == metric and found.kind == kind
    sign = 1 if metric == "mae" else -1
    losses = [sign * (one.difference.value or 0) for one in found.trials["missing"]]
    assert losses == sorted(losses) and losses[-1] > 0
    assert "prevalence" in found.reasons
    assert ("attack" in found.reasons) == (learner == "tree")
    assert found.worst is not None and "potassium" in found.worst.name.en.casefold()
